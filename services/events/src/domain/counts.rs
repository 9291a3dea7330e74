//! What is counted of an event, in the same commit as what happens: so that its numbers are read, not searched for.

use chrono::{Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use common::{
    clock::{Timestamp, from_millis},
    money::Paise,
};

use super::{
    ending::Refund,
    registration::{Registration, State},
};

/// What happened in an hour, or altogether.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Registrations that were confirmed.
    pub confirmed: i64,
    /// Of the confirmed ones, those that ended.
    pub ended: i64,
    /// Registrations that were cancelled, held seats included.
    pub cancelled: i64,
    /// What was paid.
    pub paid: Paise,
    /// What goes back.
    pub refunded: Paise,
    /// Check-ins, less those undone.
    pub checked_in: i64,
}

impl Counts {
    /// Somebody was admitted.
    pub const ADMITTED: Self = Self {
        checked_in: 1,
        ..Self::NONE
    };
    /// A check-in was undone.
    pub const UNDONE: Self = Self {
        checked_in: -1,
        ..Self::NONE
    };
    const NONE: Self = Self {
        confirmed: 0,
        ended: 0,
        cancelled: 0,
        paid: Paise::ZERO,
        refunded: Paise::ZERO,
        checked_in: 0,
    };

    /// A registration was confirmed; as it is now.
    pub fn confirmed(registration: &Registration) -> Self {
        Self {
            confirmed: 1,
            paid: registration.amount_paid(),
            ..Self::NONE
        }
    }

    /// A registration has ended; as it was before.
    pub fn ended(before: &Registration, refund: Refund) -> Self {
        match before.state {
            State::Confirmed => Self {
                ended: 1,
                cancelled: 1,
                refunded: refund.of(before.amount_paid()),
                ..Self::NONE
            },
            _ => Self {
                cancelled: 1,
                ..Self::NONE
            },
        }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            confirmed: self.confirmed + other.confirmed,
            ended: self.ended + other.ended,
            cancelled: self.cancelled + other.cancelled,
            paid: Paise(self.paid.0 + other.paid.0),
            refunded: Paise(self.refunded.0 + other.refunded.0),
            checked_in: self.checked_in + other.checked_in,
        }
    }

    /// What was paid and did not go back.
    pub fn revenue(&self) -> Paise {
        Paise(self.paid.0 - self.refunded.0)
    }
}

/// How long a bucket of a series is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bucket {
    /// An hour.
    Hour,
    /// A day of the event's zone.
    Day,
}

/// The beginning of the hour, or day, as the clocks of the zone show it.
pub fn begins(at: Timestamp, zone: Tz, bucket: Bucket) -> Timestamp {
    let east = TimeDelta::seconds(
        zone.offset_from_utc_datetime(&at.naive_utc())
            .fix()
            .local_minus_utc()
            .into(),
    );
    let length = match bucket {
        Bucket::Hour => TimeDelta::hours(1),
        Bucket::Day => TimeDelta::days(1),
    };
    let (shown, length) = ((at + east).timestamp_millis(), length.num_milliseconds());
    from_millis(shown - shown.rem_euclid(length)) - east
}

/// Everything together.
pub fn total(hours: &[(Timestamp, Counts)]) -> Counts {
    hours
        .iter()
        .fold(Counts::default(), |total, (_, counts)| total.and(*counts))
}

/// The series in buckets; `hours` are in order of time.
pub fn series(hours: &[(Timestamp, Counts)], zone: Tz, bucket: Bucket) -> Vec<(Timestamp, Counts)> {
    let mut series: Vec<(Timestamp, Counts)> = Vec::new();
    for (hour, counts) in hours {
        let at = begins(*hour, zone, bucket);
        match series.last_mut() {
            // A day on which the clocks change has hours of two beginnings.
            Some((last, sum)) if *last == at || same_day(*last, at, zone, bucket) => *sum = sum.and(*counts),
            _ => series.push((at, *counts)),
        }
    }
    series
}

fn same_day(a: Timestamp, b: Timestamp, zone: Tz, bucket: Bucket) -> bool {
    let date = |at: Timestamp| at.with_timezone(&zone).date_naive();
    // The beginning of a day may be shown as the end of the day before.
    let noon = TimeDelta::hours(12);
    bucket == Bucket::Day && date(a + noon) == date(b + noon)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::samples::registration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn hours_and_days_begin_where_the_clocks_of_the_event_say() {
        for (zone, time, hour, day) in [
            (
                Tz::Asia__Kolkata,
                "2031-01-31T13:14:06Z",
                "2031-01-31T12:30:00Z",
                "2031-01-30T18:30:00Z",
            ),
            (
                Tz::Asia__Kathmandu,
                "2031-01-31T13:14:06Z",
                "2031-01-31T12:15:00Z",
                "2031-01-30T18:15:00Z",
            ),
            (
                Tz::UTC,
                "2031-01-31T13:14:06Z",
                "2031-01-31T13:00:00Z",
                "2031-01-31T00:00:00Z",
            ),
            (
                Tz::UTC,
                "1969-12-31T23:59:59Z",
                "1969-12-31T23:00:00Z",
                "1969-12-31T00:00:00Z",
            ),
        ] {
            assert_eq!(begins(at(time), zone, Bucket::Hour), at(hour));
            assert_eq!(begins(at(time), zone, Bucket::Day), at(day));
        }
    }

    #[test]
    fn a_day_of_25_hours_is_one_bucket() {
        // On 26 October 2031 the clocks of Berlin go back at 01:00 UTC.
        let one = Counts {
            confirmed: 1,
            ..Counts::default()
        };
        let hours: Vec<_> = (0..25)
            .map(|hour| (at("2031-10-25T22:00:00Z") + TimeDelta::hours(hour), one))
            .collect();
        let days = series(&hours, Tz::Europe__Berlin, Bucket::Day);
        assert_eq!(total(&hours).confirmed, 25);
        assert_eq!(days.len(), 1, "{days:?}");
        assert_eq!(days[0].1.confirmed, 25);
    }

    #[test]
    fn what_ends_is_counted_once() {
        let paid = Registration {
            payment_id: Some(common::ids::PaymentId::new()),
            ..registration(State::Confirmed)
        };
        let sold = Counts::confirmed(&paid);
        assert_eq!((sold.confirmed, sold.revenue()), (1, Paise(50_000)));
        for (refund, left) in [
            (Refund::Full, 0),
            (Refund::None, 50_000),
            (Refund::Part(Paise(20_000)), 30_000),
        ] {
            let after = sold.and(Counts::ended(&paid, refund));
            assert_eq!((after.confirmed - after.ended, after.cancelled), (0, 1));
            assert_eq!(after.revenue(), Paise(left));
        }
        let held = registration(State::PendingPayment {
            hold_expires_at: crate::domain::samples::NOW,
        });
        let ended = Counts::ended(&held, Refund::Full);
        assert_eq!((ended.ended, ended.cancelled, ended.refunded), (0, 1, Paise(0)));
    }

    proptest! {
        /// A series adds up to the total, whatever the buckets.
        #[test]
        fn a_series_adds_up(mut hours in prop::collection::vec((0_i64..20_000, 0_i64..5), 0..50), day: bool) {
            hours.sort_unstable();
            let hours: Vec<_> = hours
                .into_iter()
                .map(|(hour, confirmed)| (from_millis(hour * 3_600_000), Counts { confirmed, ..Counts::default() }))
                .collect();
            let bucket = if day { Bucket::Day } else { Bucket::Hour };
            let series = series(&hours, Tz::America__New_York, bucket);
            let sum = series.iter().fold(Counts::default(), |sum, (_, one)| sum.and(*one));
            prop_assert_eq!(sum, total(&hours));
            prop_assert!(series.windows(2).all(|two| two[0].0 < two[1].0));
        }
    }
}
