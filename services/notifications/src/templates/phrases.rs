//! What the templates take ready made, in each language: times, spans and reasons.

use chrono::{DateTime, Datelike};
use chrono_tz::Tz;
use common::{time::EventTime, wire::RefundReason};

use crate::domain::language::Language;

/// Monday first.
const SHORT_WEEKDAYS: [&str; 7] = ["सोम", "मंगल", "बुध", "गुरु", "शुक्र", "शनि", "रवि"];
const SHORT_MONTHS: [&str; 12] = [
    "जन॰",
    "फ़र॰",
    "मार्च",
    "अप्रैल",
    "मई",
    "जून",
    "जुल॰",
    "अग॰",
    "सित॰",
    "अक्टू॰",
    "नव॰",
    "दिस॰",
];

impl Language {
    /// `Friday, 22 November 2024, 18:44 IST`, `शुक्रवार, 22 नवंबर 2024, 18:44 IST`.
    pub(super) fn moment(self, time: EventTime) -> String {
        match self {
            Self::English => time.in_words(),
            Self::Hindi => time.in_hindi_words(),
        }
    }

    /// The same for text messages: `Fri 22 Nov 2024, 18:44 IST`, `शुक्र 22 नव॰ 2024, 18:44 IST`.
    pub(super) fn short_moment(self, time: EventTime) -> String {
        let local = time.at.with_timezone(&time.zone);
        match self {
            Self::English => local.format("%a %-d %b %Y, %H:%M %Z").to_string(),
            Self::Hindi => {
                let weekday = of_week(&SHORT_WEEKDAYS, &local);
                let month = of_year(&SHORT_MONTHS, &local);
                local
                    .format(&format!("{weekday} %-d {month} %Y, %H:%M %Z"))
                    .to_string()
            }
        }
    }

    /// `24 hours`, or `3 days`: of two days and more in days, where they are whole ones.
    pub(super) fn starts_in(self, hours: i64) -> String {
        let in_days = hours >= 48 && hours % 24 == 0;
        let number = if in_days { hours / 24 } else { hours };
        let unit = match (self, in_days) {
            (Self::English, true) => "days",
            (Self::English, false) if number == 1 => "hour",
            (Self::English, false) => "hours",
            (Self::Hindi, true) => "दिन",
            (Self::Hindi, false) => "घंटे",
        };
        format!("{number} {unit}")
    }

    /// The rest of a sentence with "because".
    pub(super) fn why(self, reason: RefundReason) -> &'static str {
        match self {
            Self::English => match reason {
                RefundReason::NoSeat => "your time to pay had run out and the last seat was gone",
                RefundReason::Attendee => "you cancelled your registration",
                RefundReason::EventCancelled => "the event was cancelled",
                RefundReason::Duplicate => "this registration had been paid for already",
                RefundReason::WrongAmount => "it was not the amount that was due",
                RefundReason::Organizer => "the organizer has sent it back",
            },
            Self::Hindi => match reason {
                RefundReason::NoSeat => "भुगतान का समय बीत चुका था और कोई सीट नहीं बची",
                RefundReason::Attendee => "आपने अपना पंजीकरण रद्द किया था",
                RefundReason::EventCancelled => "कार्यक्रम रद्द हो गया है",
                RefundReason::Duplicate => "इस पंजीकरण का भुगतान पहले ही हो चुका था",
                RefundReason::WrongAmount => "यह रकम देय रकम से अलग थी",
                RefundReason::Organizer => "आयोजक ने यह रकम लौटा दी है",
            },
        }
    }

    /// Where an event is that is nowhere.
    pub(super) fn online(self) -> &'static str {
        match self {
            Self::English => "Online",
            Self::Hindi => "ऑनलाइन",
        }
    }

    /// An event whose name is not known.
    pub(super) fn your_event(self) -> &'static str {
        match self {
            Self::English => "your event",
            Self::Hindi => "आपका कार्यक्रम",
        }
    }
}

fn of_week(names: &[&'static str; 7], at: &DateTime<Tz>) -> &'static str {
    let index = at.weekday().num_days_from_monday() as usize;
    names.get(index).copied().unwrap_or_default()
}

fn of_year(names: &[&'static str; 12], at: &DateTime<Tz>) -> &'static str {
    names.get(at.month0() as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use common::clock::from_millis;

    use super::*;

    fn time(days: i64) -> EventTime {
        EventTime {
            at: from_millis(1_732_281_246_000) + TimeDelta::days(days),
            zone: Tz::Asia__Kolkata,
        }
    }

    #[test]
    fn times_in_words() {
        for (language, long, short) in [
            (
                Language::English,
                "Friday, 22 November 2024, 18:44 IST",
                "Fri 22 Nov 2024, 18:44 IST",
            ),
            (
                Language::Hindi,
                "शुक्रवार, 22 नवंबर 2024, 18:44 IST",
                "शुक्र 22 नव॰ 2024, 18:44 IST",
            ),
        ] {
            assert_eq!(language.moment(time(0)), long);
            assert_eq!(language.short_moment(time(0)), short);
        }
    }

    #[test]
    fn spans_in_words() {
        for (hours, english, hindi) in [
            (1, "1 hour", "1 घंटे"),
            (24, "24 hours", "24 घंटे"),
            (48, "2 days", "2 दिन"),
            (47, "47 hours", "47 घंटे"),
            (50, "50 hours", "50 घंटे"),
            (720, "30 days", "30 दिन"),
        ] {
            assert_eq!(Language::English.starts_in(hours), english);
            assert_eq!(Language::Hindi.starts_in(hours), hindi);
        }
    }
}
