//! Admitting people at the door, each ticket once.

use common::{
    clock::Timestamp,
    ids::{EventId, UserId},
};

use super::registration::State;

/// A ticket was scanned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// At the door of this event.
    pub event: EventId,
    /// The scanner's name for this scan: sent again, it means the same scan.
    pub nonce: String,
    /// Which door.
    pub gate: Option<String>,
    /// Who scanned.
    pub by: UserId,
    /// Now.
    pub now: Timestamp,
}

/// That somebody was admitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckIn {
    /// When.
    pub at: Timestamp,
    /// Through which door.
    pub gate: Option<String>,
    /// By whom.
    pub by: UserId,
    /// The scan's name.
    pub nonce: String,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
}

impl CheckIn {
    /// That of a scan.
    pub fn of(scan: &Scan) -> Self {
        Self {
            at: scan.now,
            gate: scan.gate.clone(),
            by: scan.by,
            nonce: scan.nonce.clone(),
            undone_at: None,
        }
    }

    /// Whether its ticket counts as used.
    pub fn stands(&self) -> bool {
        self.undone_at.is_none()
    }
}

/// What is known of a scanned ticket.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The event it admits to.
    pub event: EventId,
    /// How its registration stands.
    pub state: State,
    /// Its last check-in.
    pub last: Option<&'a CheckIn>,
}

/// Why somebody is not admitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Turned {
    /// No ticket has this code.
    Invalid,
    /// It is a ticket of another event.
    WrongEvent,
    /// Its registration has ended, or the event was cancelled.
    Cancelled,
    /// It was used before.
    AlreadyIn {
        /// When.
        at: Timestamp,
        /// Through which door.
        gate: Option<String>,
    },
}

/// Who is admitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admitted {
    /// This one, now.
    Now,
    /// This one was, by the same scan.
    Before,
}

/// Decides on a scan. A repeated scan gets the answer of the first one, also when that was undone since.
///
/// # Errors
/// Why nobody is admitted.
pub fn on_scan(held: Option<Held<'_>>, scan: &Scan) -> Result<Admitted, Turned> {
    let held = held.ok_or(Turned::Invalid)?;
    if held.event != scan.event {
        return Err(Turned::WrongEvent);
    }
    if held.last.is_some_and(|last| last.nonce == scan.nonce) {
        return Ok(Admitted::Before);
    }
    if held.state != State::Confirmed {
        return Err(Turned::Cancelled);
    }
    match held.last {
        Some(last) if last.stands() => Err(Turned::AlreadyIn {
            at: last.at,
            gate: last.gate.clone(),
        }),
        _ => Ok(Admitted::Now),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::samples::NOW;

    fn scan(event: EventId, nonce: &str) -> Scan {
        Scan {
            event,
            nonce: nonce.to_owned(),
            gate: Some("North".to_owned()),
            by: UserId::new(),
            now: NOW,
        }
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let event = EventId::new();
        let scan = scan(event, "1");
        let held = |event, state, last| Held { event, state, last };
        let used = CheckIn {
            nonce: "0".to_owned(),
            ..CheckIn::of(&scan)
        };
        let undone = CheckIn {
            undone_at: Some(NOW),
            ..used.clone()
        };
        let same = CheckIn::of(&scan);
        let already = Err(Turned::AlreadyIn {
            at: NOW,
            gate: Some("North".to_owned()),
        });
        for (found, expected) in [
            (None, Err(Turned::Invalid)),
            (
                Some(held(EventId::new(), State::Confirmed, None)),
                Err(Turned::WrongEvent),
            ),
            (Some(held(event, State::Cancelled, None)), Err(Turned::Cancelled)),
            (
                Some(held(event, State::Cancelled, Some(&used))),
                Err(Turned::Cancelled),
            ),
            (Some(held(event, State::Confirmed, None)), Ok(Admitted::Now)),
            (Some(held(event, State::Confirmed, Some(&used))), already),
            (
                Some(held(event, State::Confirmed, Some(&undone))),
                Ok(Admitted::Now),
            ),
            (
                Some(held(event, State::Confirmed, Some(&same))),
                Ok(Admitted::Before),
            ),
            (
                Some(held(event, State::Cancelled, Some(&same))),
                Ok(Admitted::Before),
            ),
        ] {
            assert_eq!(on_scan(found, &scan), expected, "{found:?}");
        }
    }

    proptest! {
        /// Whatever is scanned, repeated and undone in whatever order, a ticket is in at most once.
        #[test]
        fn a_ticket_admits_one(steps in prop::collection::vec((0_u8..4, any::<bool>()), 1..40)) {
            let event = EventId::new();
            let (mut last, mut inside) = (None::<CheckIn>, 0);
            for (nonce, undo) in steps {
                if undo {
                    if let Some(standing) = last.as_mut().filter(|last| last.stands()) {
                        standing.undone_at = Some(NOW);
                        inside -= 1;
                    }
                    continue;
                }
                let scan = scan(event, &nonce.to_string());
                let held = Held { event, state: State::Confirmed, last: last.as_ref() };
                if on_scan(Some(held), &scan) == Ok(Admitted::Now) {
                    last = Some(CheckIn::of(&scan));
                    inside += 1;
                }
                prop_assert!((0..=1).contains(&inside));
            }
        }
    }
}
