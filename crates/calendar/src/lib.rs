//! Events as calendars read them (RFC 5545), alone in a letter (RFC 5546) or many in a feed.

mod text;
mod zones;

use chrono::TimeDelta;
use chrono_tz::Tz;
use common::{clock::Timestamp, ids::RegistrationId, time::EventTime, wire::EventFacts};

use self::text::Lines;

/// The media type of a calendar, without its method.
pub const CONTENT_TYPE: &str = "text/calendar; charset=utf-8";

/// What a calendar is to do with the entries (RFC 5546).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Show them: a feed, or a file to open.
    Publish,
    /// Put it into the reader's calendar, or change it there.
    Request,
    /// Take it out.
    Cancel,
}

impl Method {
    /// As the calendar and the media type name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "PUBLISH",
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// Somebody with an e-mail address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// What to call them.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: String,
}

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The same for all versions of the entry, and no other's.
    pub uid: String,
    /// Grows with each version: a calendar ignores one that is older than what it has.
    pub sequence: i64,
    /// When this version was written.
    pub written_at: Timestamp,
    /// The start, in the zone of the event.
    pub starts: EventTime,
    /// The end; `None`: not said.
    pub ends_at: Option<Timestamp>,
    /// One line.
    pub summary: String,
    /// Where; empty: not said.
    pub location: String,
    /// More about it; empty: nothing.
    pub description: String,
    /// A link to it.
    pub url: Option<String>,
    /// Whether it does not take place, or not for the reader.
    pub cancelled: bool,
    /// Who it is from. Needed to request and to cancel.
    pub organizer: Option<Person>,
    /// Who it is for. Needed to request and to cancel.
    pub attendee: Option<Person>,
}

impl Entry {
    /// The entry of a registration: the same one in letters, files and feeds. `join`: where the event is joined.
    pub fn of(
        facts: &EventFacts,
        registration: RegistrationId,
        ticket_code: Option<&str>,
        join: Option<String>,
        written_at: Timestamp,
    ) -> Self {
        let lines = [
            ticket_code.map(|code| format!("Ticket: {code}")),
            join.as_ref().map(|link| format!("Join: {link}")),
        ];
        Self {
            description: lines.into_iter().flatten().collect::<Vec<_>>().join("\n"),
            url: join,
            ..Self::with_uid(facts, registration.0, written_at)
        }
    }

    /// The entry of an event, for its organizer.
    pub fn of_event(facts: &EventFacts, written_at: Timestamp) -> Self {
        Self::with_uid(facts, facts.event_id.0, written_at)
    }

    fn with_uid(facts: &EventFacts, of: impl std::fmt::Display, written_at: Timestamp) -> Self {
        Self {
            uid: format!("{of}@organise-event"),
            sequence: facts.version,
            written_at,
            starts: facts.time(),
            ends_at: facts.ends_at,
            summary: facts.name.clone(),
            location: facts.address.clone(),
            description: String::new(),
            url: None,
            cancelled: facts.cancelled,
            organizer: None,
            attendee: None,
        }
    }
}

/// The calendar with these entries. `name` is shown by programs that subscribe to it.
pub fn write(method: Method, name: Option<&str>, entries: &[Entry]) -> String {
    let mut lines = Lines::default();
    lines.add("BEGIN", "VCALENDAR");
    lines.add("VERSION", "2.0");
    lines.add("PRODID", "-//Organise_Event//EN");
    lines.add("CALSCALE", "GREGORIAN");
    lines.add("METHOD", method.name());
    if let Some(name) = name {
        lines.text("X-WR-CALNAME", name);
        lines.add("REFRESH-INTERVAL;VALUE=DURATION", "PT1H");
        lines.add("X-PUBLISHED-TTL", "PT1H");
    }
    for zone in zones_of(entries) {
        let starts = entries.iter().filter(|entry| entry.starts.zone == zone);
        let times: Vec<Timestamp> = starts
            .flat_map(|entry| [Some(entry.starts.at), entry.ends_at])
            .flatten()
            .collect();
        zones::write(&mut lines, zone, &times);
    }
    for entry in entries {
        event(&mut lines, entry);
    }
    lines.add("END", "VCALENDAR");
    lines.finish()
}

fn zones_of(entries: &[Entry]) -> Vec<Tz> {
    let mut zones: Vec<Tz> = entries.iter().map(|entry| entry.starts.zone).collect();
    zones.sort_by_key(|zone| zone.name());
    zones.dedup();
    // UTC is written with a Z and needs no definition.
    zones.retain(|zone| *zone != Tz::UTC);
    zones
}

fn event(lines: &mut Lines, entry: &Entry) {
    let zone = entry.starts.zone;
    lines.add("BEGIN", "VEVENT");
    lines.text("UID", &entry.uid);
    lines.add("SEQUENCE", &entry.sequence.to_string());
    lines.add("DTSTAMP", &utc(entry.written_at));
    lines.add(
        &format!("DTSTART{}", zone_of(zone)),
        &local(entry.starts.at, zone),
    );
    // A second is the shortest that can be written, and an end must lie after its start.
    if let Some(end) = entry
        .ends_at
        .filter(|end| *end - entry.starts.at >= TimeDelta::seconds(1))
    {
        lines.add(&format!("DTEND{}", zone_of(zone)), &local(end, zone));
    }
    lines.text("SUMMARY", &entry.summary);
    for (name, value) in [("LOCATION", &entry.location), ("DESCRIPTION", &entry.description)] {
        if !value.is_empty() {
            lines.text(name, value);
        }
    }
    if let Some(url) = &entry.url {
        lines.add("URL", url);
    }
    lines.add("STATUS", if entry.cancelled { "CANCELLED" } else { "CONFIRMED" });
    lines.add("TRANSP", "OPAQUE");
    if let Some(organizer) = &entry.organizer {
        lines.person("ORGANIZER", organizer);
    }
    if let Some(attendee) = &entry.attendee {
        lines.person(
            "ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE",
            attendee,
        );
    }
    lines.add("END", "VEVENT");
}

fn zone_of(zone: Tz) -> String {
    match zone {
        Tz::UTC => String::new(),
        zone => format!(";TZID={}", zone.name()),
    }
}

fn local(at: Timestamp, zone: Tz) -> String {
    match zone {
        Tz::UTC => utc(at),
        zone => at.with_timezone(&zone).format("%Y%m%dT%H%M%S").to_string(),
    }
}

fn utc(at: Timestamp) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests;
