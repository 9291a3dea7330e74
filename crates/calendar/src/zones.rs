//! The definition of a time zone, around the times that are written in it (RFC 5545, section 3.6.5).

use chrono::{DateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{OffsetComponents, OffsetName, Tz};
use common::clock::Timestamp;

use crate::text::Lines;

/// How far before the first time and after the last one the zone is described.
const AROUND: TimeDelta = TimeDelta::days(400);
/// The longest time that is described: feeds may reach over centuries, and zones change twice a year.
const LONGEST: TimeDelta = TimeDelta::days(366 * 20);

/// A time from which the clock of a zone shows another time.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Onset {
    at: Timestamp,
    /// Seconds east of UTC before.
    from: i32,
    /// Seconds east of UTC after.
    to: i32,
    summer: bool,
    name: Option<String>,
}

/// Writes the definition of `zone` for these times.
pub(crate) fn write(lines: &mut Lines, zone: Tz, times: &[Timestamp]) {
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
        return;
    };
    let begin = *first - AROUND;
    let end = (*last + AROUND).min(begin + LONGEST);
    lines.add("BEGIN", "VTIMEZONE");
    lines.add("TZID", zone.name());
    for onset in onsets(zone, begin, end) {
        let kind = if onset.summer { "DAYLIGHT" } else { "STANDARD" };
        // The onset is written as the clock showed it until then.
        let shown = onset.at.naive_utc() + TimeDelta::seconds(onset.from.into());
        lines.add("BEGIN", kind);
        lines.add("DTSTART", &shown.format("%Y%m%dT%H%M%S").to_string());
        lines.add("TZOFFSETFROM", &offset(onset.from));
        lines.add("TZOFFSETTO", &offset(onset.to));
        if let Some(name) = onset.name {
            lines.text("TZNAME", &name);
        }
        lines.add("END", kind);
    }
    lines.add("END", "VTIMEZONE");
}

/// The onsets from `begin` to `end`; the first is at `begin`.
fn onsets(zone: Tz, begin: Timestamp, end: Timestamp) -> Vec<Onset> {
    let mut at = DateTime::from_timestamp(begin.timestamp(), 0).unwrap_or(begin);
    let mut onsets = vec![onset(zone, at, seconds(zone, at))];
    while at < end {
        let next = at + TimeDelta::days(1);
        if seconds(zone, next) != seconds(zone, at) {
            let change = first_after(zone, at, next);
            onsets.push(onset(zone, change, seconds(zone, at)));
        }
        at = next;
    }
    onsets
}

fn onset(zone: Tz, at: Timestamp, from: i32) -> Onset {
    let here = zone.offset_from_utc_datetime(&at.naive_utc());
    Onset {
        at,
        from,
        to: seconds(zone, at),
        summer: here.dst_offset() > TimeDelta::zero(),
        name: here.abbreviation().map(str::to_owned),
    }
}

/// The first second after `before` at which the clock shows what it shows at `after`.
fn first_after(zone: Tz, before: DateTime<Utc>, after: DateTime<Utc>) -> Timestamp {
    let (mut low, mut high) = (before, after);
    while high - low > TimeDelta::seconds(1) {
        let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
        if seconds(zone, middle) == seconds(zone, before) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn seconds(zone: Tz, at: Timestamp) -> i32 {
    zone.offset_from_utc_datetime(&at.naive_utc())
        .fix()
        .local_minus_utc()
}

fn offset(seconds: i32) -> String {
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match rest {
        0 => format!("{sign}{hours:02}{minutes:02}"),
        rest => format!("{sign}{hours:02}{minutes:02}{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use common::clock::from_millis;

    use super::*;

    /// 31 January 2027, noon UTC.
    const WINTER: i64 = 1_801_483_200_000;

    #[test]
    fn a_zone_without_summer_time_has_one_onset() {
        let at = from_millis(WINTER);
        let found = onsets(Tz::Asia__Kolkata, at - AROUND, at + AROUND);
        assert_eq!(found.len(), 1);
        assert_eq!(offset(found[0].to), "+0530");
    }

    #[test]
    fn summer_time_begins_and_ends() {
        let at = from_millis(WINTER);
        let found = onsets(Tz::Europe__Berlin, at - AROUND, at + AROUND);
        let told: Vec<_> = found[1..]
            .iter()
            .map(|onset| (onset.at.to_rfc3339(), onset.summer, onset.name.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("2026-03-29T01:00:00+00:00".to_owned(), true, Some("CEST")),
                ("2026-10-25T01:00:00+00:00".to_owned(), false, Some("CET")),
                ("2027-03-28T01:00:00+00:00".to_owned(), true, Some("CEST")),
                ("2027-10-31T01:00:00+00:00".to_owned(), false, Some("CET")),
            ]
        );
    }

    #[test]
    fn offsets_are_written_in_hours_and_minutes() {
        for (seconds, written) in [
            (0, "+0000"),
            (-12_600, "-0330"),
            (20_700, "+0545"),
            (1_172, "+001932"),
        ] {
            assert_eq!(offset(seconds), written);
        }
    }
}
