//! Event times: an instant together with the zone its organiser thinks in.

use chrono::{DateTime, LocalResult, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::clock::Timestamp;

/// When an event takes place: the instant, and the IANA zone it is shown in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventTime {
    /// The instant, UTC, whole milliseconds.
    pub at: Timestamp,
    /// The zone its local time is read and shown in.
    pub zone: Tz,
}

impl EventTime {
    /// Reads RFC 3339 (`2030-01-01T10:00:00+05:30`), or the documented local form without offset
    /// (`2024-11-22T18:44:06.000`), which is a wall-clock time in `zone`.
    ///
    /// A wall-clock time that a change to summer time skips moves forward by the gap, and one that occurs twice
    /// is its first occurrence (RFC 5545, section 3.3.5).
    ///
    /// # Errors
    /// A sentence for the person who sent it.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, &'static str> {
        const FORM: &str = "must be a time such as 2030-01-31T18:30:00+05:30 or 2030-01-31T18:30:00";
        let at = match DateTime::parse_from_rfc3339(text) {
            Ok(at) => at.to_utc(),
            Err(_) => {
                let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                    .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M"))
                    .map_err(|_| FORM)?;
                resolve(local, zone).ok_or(FORM)?
            }
        };
        // Years beyond four digits do not survive RFC 3339, and times before 1970 are typing errors.
        if at.timestamp() < 0 || at.timestamp() >= 253_402_300_800 - 86_400 {
            return Err("must lie between the years 1970 and 9999");
        }
        Ok(Self {
            at: crate::clock::from_millis(at.timestamp_millis()),
            zone,
        })
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
}
