//! What goes wrong on the way of a call, by the dice of a seed.

use std::time::Duration;

use rand::{Rng, RngExt, rngs::StdRng, seq::IndexedRandom};

/// Whose calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leg {
    /// To Razorpay.
    Razorpay,
    /// To the events service.
    Events,
    /// To the payments service.
    Payments,
    /// To the notifications service.
    Notifications,
}

/// Whether the call has its effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// It is not made.
    Before,
    /// It is made, and its answer is lost.
    After,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The product is killed (F1).
    Kill(When),
    /// 500 or 503 instead of an answer (F3).
    Failure(When),
    /// A page of a proxy instead of JSON (F3).
    Html(When),
    /// The connection breaks (F3).
    Broken(When),
    /// The call is made twice (F3).
    Twice,
    /// It takes this long (F3).
    Slow(Duration),
    /// Meanwhile so many seconds pass: past a lease, past a hold, or back (F10).
    Jump(i64),
    /// Meanwhile somebody does something: cancels, pays, sends money back (F5).
    Meanwhile,
}

impl Fault {
    /// How it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill(When::Before) => "killed before a call",
            Self::Kill(When::After) => "killed after a call",
            Self::Failure(_) => "500 or 503",
            Self::Html(_) => "HTML",
            Self::Broken(_) => "connection broken",
            Self::Twice => "call made twice",
            Self::Slow(_) => "slow call",
            Self::Jump(seconds) if seconds < 0 => "clock put back during a call",
            Self::Jump(_) => "clock jumped during a call",
            Self::Meanwhile => "something happened during a call",
        }
    }
}

/// Seconds beyond `LEASE_SECONDS` of the worlds.
pub const PAST_LEASE: i64 = 25;
/// Seconds beyond `HOLD_SECONDS` of the worlds.
pub const PAST_HOLD: i64 = 16 * 60;

/// What goes wrong with one in four calls.
pub fn draw(dice: &mut StdRng, leg: Leg, changes: bool) -> Option<Fault> {
    if !dice.random_ratio(1, 4) {
        return None;
    }
    let when = *[When::Before, When::After].choose(dice)?;
    Some(match dice.next_u32() % 12 {
        0..=2 => Fault::Kill(when),
        3 | 4 => Fault::Failure(when),
        5 if leg == Leg::Razorpay => Fault::Html(when),
        5 => Fault::Failure(when),
        6 if leg == Leg::Razorpay => Fault::Broken(when),
        6 | 7 if changes => Fault::Twice,
        6 | 7 => Fault::Failure(when),
        8 => Fault::Slow(Duration::from_millis(dice.random_range(1..60))),
        9 | 10 => Fault::Jump(*[5, PAST_LEASE, PAST_HOLD, PAST_HOLD, -600].choose(dice)?),
        _ => Fault::Meanwhile,
    })
}
