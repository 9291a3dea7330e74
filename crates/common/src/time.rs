//! Event times: an instant together with the zone its organiser thinks in.

use chrono::{DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::{clock::Timestamp, text::trimmed};

/// Monday first.
const HINDI_WEEKDAYS: [&str; 7] = ["सोमवार", "मंगलवार", "बुधवार", "गुरुवार", "शुक्रवार", "शनिवार", "रविवार"];
const HINDI_MONTHS: [&str; 12] = [
    "जनवरी",
    "फ़रवरी",
    "मार्च",
    "अप्रैल",
    "मई",
    "जून",
    "जुलाई",
    "अगस्त",
    "सितंबर",
    "अक्टूबर",
    "नवंबर",
    "दिसंबर",
];

/// When an event takes place: the instant, and the IANA zone it is shown in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventTime {
    /// The instant, UTC, whole milliseconds.
    pub at: Timestamp,
    /// The zone its local time is read and shown in.
    pub zone: Tz,
}

/// Which end of a day a date stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Day {
    /// Its first instant.
    Begins,
    /// The first instant after it.
    Ends,
}

impl EventTime {
    const FORM: &str = "must be a time such as 2030-01-31T18:30:00+05:30 or 2030-01-31T18:30:00";

    /// Reads RFC 3339 (`2030-01-01T10:00:00+05:30`), or the documented local form without offset
    /// (`2024-11-22T18:44:06.000`), which is a wall-clock time in `zone`.
    ///
    /// A wall-clock time that a change to summer time skips moves forward by the gap, and one that occurs twice
    /// is its first occurrence (RFC 5545, section 3.3.5).
    ///
    /// # Errors
    /// A sentence for the person who sent it.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, &'static str> {
        let text = trimmed(text);
        let at = match DateTime::parse_from_rfc3339(text) {
            Ok(at) => at.to_utc(),
            Err(_) => {
                let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                    .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M"))
                    .map_err(|_| Self::FORM)?;
                resolve(local, zone).ok_or(Self::FORM)?
            }
        };
        Ok(Self {
            at: in_range(crate::clock::from_millis(at.timestamp_millis()))?,
            zone,
        })
    }

    /// Reads a time from a query string: what [`EventTime::parse`] reads, also when the `+` of its offset was sent
    /// unescaped and so arrived as a blank; or a date (`2031-01-31`), which is its whole day in `zone`.
    ///
    /// # Errors
    /// A sentence for the person who sent it.
    pub fn parse_query(text: &str, zone: Tz, day: Day) -> Result<Self, &'static str> {
        const FORM: &str = "must be a time such as 2030-01-31T18:30:00+05:30 or 2030-01-31T18:30:00, or a date such as 2030-01-31";
        let text = trimmed(text);
        if let Some(date) = date(text) {
            let date = match day {
                Day::Begins => date,
                Day::Ends => date.succ_opt().ok_or(FORM)?,
            };
            return Self::parse(&date.format("%Y-%m-%dT00:00:00").to_string(), zone);
        }
        // Only an offset has a sign there, and a blank is no sign.
        let repaired = match text.rsplit_once(' ') {
            Some((time, offset)) if time.contains(['T', 't']) => format!("{time}+{offset}"),
            _ => text.to_owned(),
        };
        Self::parse(&repaired, zone).map_err(|why| if why == Self::FORM { FORM } else { why })
    }

    /// The same wall-clock time in another zone. Of one that occurs twice there, it is the occurrence with today's
    /// offset, so that naming the same zone by another name moves nothing.
    ///
    /// # Errors
    /// As [`EventTime::parse`].
    pub fn in_zone(self, zone: Tz) -> Result<Self, &'static str> {
        let local = self.at.with_timezone(&self.zone);
        let moved = match zone.from_local_datetime(&local.naive_local()) {
            LocalResult::Ambiguous(_, second) if second.to_utc() == self.at => self.at,
            _ => return Self::parse(&local.format("%Y-%m-%dT%H:%M:%S%.3f").to_string(), zone),
        };
        Ok(Self { at: moved, zone })
    }

    /// As the public API shows it: local time with milliseconds and offset,
    /// `2024-11-22T18:44:06.000+05:30`.
    pub fn rfc3339(self) -> String {
        self.at
            .with_timezone(&self.zone)
            .to_rfc3339_opts(SecondsFormat::Millis, false)
    }

    /// As a letter says it: `Friday, 22 November 2024, 18:44 IST`.
    pub fn in_words(self) -> String {
        self.at
            .with_timezone(&self.zone)
            .format("%A, %-d %B %Y, %H:%M %Z")
            .to_string()
    }

    /// The same in Hindi: `शुक्रवार, 22 नवंबर 2024, 18:44 IST`.
    pub fn in_hindi_words(self) -> String {
        let local = self.at.with_timezone(&self.zone);
        let weekday = HINDI_WEEKDAYS.get(local.weekday().num_days_from_monday() as usize);
        let month = HINDI_MONTHS.get(local.month0() as usize);
        let (weekday, month) = (
            weekday.copied().unwrap_or_default(),
            month.copied().unwrap_or_default(),
        );
        local
            .format(&format!("{weekday}, %-d {month} %Y, %H:%M %Z"))
            .to_string()
    }
}

/// Checks that a time can be written: years beyond four digits do not survive RFC 3339, and times before 1970 are typing
/// errors.
///
/// # Errors
/// A sentence for the person who sent it.
pub fn in_range(at: Timestamp) -> Result<Timestamp, &'static str> {
    if at.timestamp() < 0 || at.timestamp() >= 253_402_300_800 - 86_400 {
        return Err("must lie between the years 1970 and 9999");
    }
    Ok(at)
}

/// `2031-01-31`, and nothing looser: chrono's `%Y` also takes signs and any number of digits.
fn date(text: &str) -> Option<NaiveDate> {
    let digits =
        |range: std::ops::Range<usize>| text.get(range)?.bytes().all(|b| b.is_ascii_digit()).then_some(());
    let shape = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    digits(0..4)
        .and(digits(5..7))
        .and(digits(8..10))
        .filter(|()| shape)?;
    text.parse().ok()
}

/// A zone by its IANA name, in any case, with blanks around it or for its underscores (`America/New York`).
pub fn zone(name: &str) -> Option<Tz> {
    let name = trimmed(name).replace([' ', '\u{a0}'], "_");
    let in_any_case = || {
        TZ_VARIANTS
            .iter()
            .find(|zone| zone.name().eq_ignore_ascii_case(&name))
            .copied()
    };
    name.parse().ok().or_else(in_any_case)
}

fn resolve(local: NaiveDateTime, zone: Tz) -> Option<Timestamp> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
        // Reading the skipped time with the offset in force before the gap is the same as moving it forward by the
        // gap's length. No zone has ever skipped more than a day.
        LocalResult::None => {
            let before = zone
                .from_local_datetime(&local.checked_sub_signed(TimeDelta::days(1))?)
                .earliest()?;
            Some(before.to_utc() + TimeDelta::days(1))
        }
    }
}

/// A UTC instant as the public API shows it: `2024-11-22T13:14:06.000Z`.
pub fn utc(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use chrono_tz::{America::New_York, Asia::Kolkata};

    use super::*;

    fn shown(text: &str, zone: Tz) -> String {
        EventTime::parse(text, zone).unwrap().rfc3339()
    }

    #[test]
    fn what_was_sent_is_a_prefix_of_what_is_shown() {
        assert_eq!(
            shown("2024-11-22T18:44:06.000", Kolkata),
            "2024-11-22T18:44:06.000+05:30"
        );
        assert_eq!(
            shown("2024-11-22T18:44:06Z", Kolkata),
            "2024-11-23T00:14:06.000+05:30"
        );
    }

    #[test]
    fn blanks_around_a_time_go() {
        for text in [
            "2024-11-22T18:44:06.000\n",
            "\u{a0}2024-11-22T18:44:06+05:30\u{200b}",
        ] {
            assert_eq!(shown(text, Kolkata), "2024-11-22T18:44:06.000+05:30", "{text:?}");
        }
    }

    #[test]
    fn summer_time() {
        // 02:30 on 10 March 2024 does not exist in New York; 01:30 on 3 November 2024 exists twice.
        assert_eq!(
            shown("2024-03-10T02:30:00", New_York),
            "2024-03-10T03:30:00.000-04:00"
        );
        assert_eq!(
            shown("2024-11-03T01:30:00", New_York),
            "2024-11-03T01:30:00.000-04:00"
        );
    }

    #[test]
    fn query_strings() {
        let read = |text, day| EventTime::parse_query(text, Kolkata, day).map(EventTime::rfc3339);
        let shown = "2031-01-01T10:00:00.000+05:30";
        for text in [
            "2031-01-01T10:00:00+05:30",
            "2031-01-01T10:00:00 05:30",
            "2031-01-01T04:30:00Z",
            "2031-01-01T10:00",
            " 2031-01-01T10:00 ",
        ] {
            assert_eq!(read(text, Day::Begins).as_deref(), Ok(shown), "{text}");
        }
        assert_eq!(
            read("2031-01-01", Day::Begins).unwrap(),
            "2031-01-01T00:00:00.000+05:30"
        );
        assert_eq!(
            read("2031-12-31", Day::Ends).unwrap(),
            "2032-01-01T00:00:00.000+05:30"
        );
        // Midnight of 8 September 2030 does not exist in Santiago.
        let day = EventTime::parse_query("2024-09-08", chrono_tz::America::Santiago, Day::Begins).unwrap();
        assert_eq!(day.rfc3339(), "2024-09-08T01:00:00.000-03:00");
        for text in [
            "2031-02-30",
            "2031-1-1",
            "+2031-1-01",
            "01-01-2031",
            "2031-01-01 +",
            "9999-12-31T",
            "आज",
        ] {
            assert!(read(text, Day::Ends).is_err(), "{text}");
        }
    }

    #[test]
    fn another_name_of_the_same_zone_moves_nothing() {
        // The second 01:30 of 7 November 2027.
        let second = EventTime::parse("2027-11-07T01:30:00-05:00", New_York).unwrap();
        for zone in [New_York, chrono_tz::US::Eastern, chrono_tz::America::Toronto] {
            assert_eq!(second.in_zone(zone).unwrap().at, second.at, "{zone}");
        }
        let first = EventTime::parse("2027-11-07T01:30:00-04:00", New_York).unwrap();
        assert_eq!(first.in_zone(New_York).unwrap().at, first.at);
        let moved = second.in_zone(Kolkata).unwrap();
        assert_eq!(moved.rfc3339(), "2027-11-07T01:30:00.000+05:30");
    }

    #[test]
    fn zones_in_any_case() {
        for name in ["Asia/Kolkata", "asia/kolkata", "  ASIA/KOLKATA\n"] {
            assert_eq!(zone(name), Some(Kolkata), "{name}");
        }
        for name in ["utc", "UTC", "Utc\u{200b}"] {
            assert_eq!(zone(name), Some(Tz::UTC), "{name}");
        }
        for name in [
            "America/New_York",
            "america/new york",
            "\u{a0}America/New\u{a0}York ",
        ] {
            assert_eq!(zone(name), Some(New_York), "{name}");
        }
        assert_eq!(zone("asia/CALCUTTA"), Some(chrono_tz::Asia::Calcutta));
        for name in ["", "Asia", "Asia /Kolkata", "IST+5"] {
            assert_eq!(zone(name), None, "{name}");
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "tomorrow",
            "2024-13-01T00:00:00",
            "1969-12-31T00:00:00",
            "+12024-11-22T18:44:06",
            "2024-11-22",
        ] {
            assert!(EventTime::parse(text, Kolkata).is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_a_year_has_its_names() {
        let day = |days: i64| EventTime {
            at: crate::clock::from_millis(1_732_281_246_000) + TimeDelta::days(days),
            zone: Tz::Asia__Kolkata,
        };
        let names = |days: i64| {
            let written = day(days).in_hindi_words();
            let mut words = written.split(' ').map(str::to_owned);
            (words.next().unwrap(), words.nth(1).unwrap())
        };
        for days in 0..366 {
            let english = day(days).in_words();
            let (weekday, month) = names(days);
            let index = |names: &[&str], name: &str| names.iter().position(|known| *known == name).unwrap();
            let nth = |names: &[&str]| names.iter().position(|name| english.contains(name)).unwrap();
            assert_eq!(
                index(&HINDI_WEEKDAYS, weekday.trim_end_matches(',')),
                nth(&[
                    "Monday",
                    "Tuesday",
                    "Wednesday",
                    "Thursday",
                    "Friday",
                    "Saturday",
                    "Sunday"
                ]),
                "{english}"
            );
            assert_eq!(
                index(&HINDI_MONTHS, &month),
                nth(&[
                    "January",
                    "February",
                    "March",
                    "April",
                    "May",
                    "June",
                    "July",
                    "August",
                    "September",
                    "October",
                    "November",
                    "December"
                ]),
                "{english}"
            );
        }
    }
}
