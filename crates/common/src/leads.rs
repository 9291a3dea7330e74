//! How long before an event's start its attendees are reminded of it.

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// The longest lead in hours: 30 days.
pub const MAX_HOURS: i64 = 720;
/// The most reminders of one event.
pub const MAX_LEADS: usize = 5;
/// Why hours are not taken as [`Leads`].
pub const WRONG: &str = "must be a list of 1 to 5 different whole numbers of hours from 1 to 720";

/// A reminder's distance from the start, in whole hours: 1 to [`MAX_HOURS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Lead(u16);

impl Lead {
    /// A day before.
    pub const DAY: Self = Self(24);
    /// Three hours before.
    pub const THREE_HOURS: Self = Self(3);

    /// The lead of so many hours, if there is one.
    pub fn new(hours: i64) -> Option<Self> {
        let hours = u16::try_from(hours).ok()?;
        (1..=MAX_HOURS).contains(&i64::from(hours)).then_some(Self(hours))
    }

    /// In hours.
    pub fn hours(self) -> u16 {
        self.0
    }

    /// As a length of time.
    pub fn span(self) -> TimeDelta {
        TimeDelta::hours(i64::from(self.0))
    }
}

/// An event's leads: 1 to [`MAX_LEADS`] different ones, the longest first. Earlier releases had no others than the
/// default, which therefore need not be stored or sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<i64>", into = "Vec<u16>")]
pub struct Leads([Option<Lead>; MAX_LEADS]);

impl Default for Leads {
    fn default() -> Self {
        Self([Some(Lead::DAY), Some(Lead::THREE_HOURS), None, None, None])
    }
}

impl Leads {
    /// The leads of so many hours each, in any order.
    ///
    /// # Errors
    /// What they must be, when they are not.
    pub fn new(hours: &[i64]) -> Result<Self, &'static str> {
        if !(1..=MAX_LEADS).contains(&hours.len()) {
            return Err(WRONG);
        }
        let mut sorted = hours.to_vec();
        sorted.sort_unstable_by(|one, other| other.cmp(one));
        sorted.dedup();
        if sorted.len() < hours.len() {
            return Err(WRONG);
        }
        let mut leads = [None; MAX_LEADS];
        for (lead, hours) in leads.iter_mut().zip(sorted) {
            *lead = Some(Lead::new(hours).ok_or(WRONG)?);
        }
        Ok(Self(leads))
    }

    /// The leads in a text that a store kept: hours with commas between.
    pub fn parse(text: &str) -> Option<Self> {
        let hours: Vec<i64> = text.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
        Self::new(&hours).ok()
    }

    /// The text for [`Leads::parse`]; `None` for the default.
    pub fn to_store(self) -> Option<String> {
        (!self.is_default()).then(|| self.to_string())
    }

    /// The longest first.
    pub fn iter(self) -> impl Iterator<Item = Lead> {
        self.0.into_iter().flatten()
    }

    /// In hours, the longest first.
    pub fn hours(self) -> Vec<u16> {
        self.iter().map(Lead::hours).collect()
    }

    /// Whether this is one of them.
    pub fn contains(self, lead: Lead) -> bool {
        self.0.contains(&Some(lead))
    }

    /// Whether they are those of an event whose organizer has said nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Leads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, hours) in self.hours().into_iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{hours}")?;
        }
        Ok(())
    }
}

impl TryFrom<Vec<i64>> for Leads {
    type Error = &'static str;

    fn try_from(hours: Vec<i64>) -> Result<Self, Self::Error> {
        Self::new(&hours)
    }
}

impl From<Leads> for Vec<u16> {
    fn from(leads: Leads) -> Self {
        leads.hours()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_different_hours_are_leads() {
        assert_eq!(Leads::default().hours(), [24, 3]);
        assert_eq!(Leads::new(&[3, 24]), Ok(Leads::default()));
        assert_eq!(Leads::new(&[1, 720, 48]).map(Leads::hours), Ok(vec![720, 48, 1]));
        for wrong in [
            &[][..],
            &[0],
            &[-3],
            &[721],
            &[i64::MAX],
            &[3, 3],
            &[1, 2, 3, 4, 5, 6],
        ] {
            assert_eq!(Leads::new(wrong), Err(WRONG), "{wrong:?}");
        }
        for wrong in ["", "24,", "24;3", "3,3", "0", "24, 3"] {
            assert_eq!(Leads::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_default_is_not_stored() {
        assert_eq!(Leads::default().to_store(), None);
        let leads = Leads::new(&[1, 168]).unwrap();
        assert_eq!(leads.to_store().as_deref(), Some("168,1"));
    }

    proptest! {
        #[test]
        fn leads_survive_the_store_and_the_wire(hours in proptest::collection::hash_set(1..=MAX_HOURS, 1..=MAX_LEADS)) {
            let hours: Vec<i64> = hours.into_iter().collect();
            let leads = Leads::new(&hours).unwrap();
            prop_assert!(leads.hours().is_sorted_by(|one, next| one > next));
            prop_assert_eq!(Leads::parse(&leads.to_string()), Some(leads));
            let wire = serde_json::to_string(&leads).unwrap();
            prop_assert_eq!(serde_json::from_str::<Leads>(&wire).unwrap(), leads);
        }
    }
}
