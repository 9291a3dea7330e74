//! A registration: one user's place at one event, and what may become of it.

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    ids::{EventId, PaymentId, RegistrationId, TicketId, UserId},
    money::Paise,
    wire::{ExtendedHold, PaymentCaptured, RefundReason},
};
use rand::{TryRng, rngs::SysRng};

/// A registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub id: RegistrationId,
    /// For what.
    pub event_id: EventId,
    /// Whose.
    pub user_id: UserId,
    /// What it costs; fixed when it is made.
    pub amount: Paise,
    /// Where it stands.
    pub state: State,
    /// The payment that confirmed it; none while it is unpaid or when it was free. Stays known when it has ended.
    pub payment_id: Option<PaymentId>,
    /// What that payment was, which an offer or a convenience fee may have made another sum than `amount`. `None`: that,
    /// if it was paid.
    pub paid: Option<Paise>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a registration stands. It moves down this list only, except that money arriving late may still confirm one
/// that has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A seat is held until then, and must be paid.
    PendingPayment {
        /// When the hold ends.
        hold_expires_at: Timestamp,
    },
    /// It is certain.
    Confirmed,
    /// The hold ended unpaid.
    Expired {
        /// When it ended; stays known. Earlier releases forgot it.
        held_until: Option<Timestamp>,
    },
    /// Its holder or the organizer cancelled it.
    Cancelled,
}

impl State {
    /// As it is at `now`: a hold that has run out has expired, whether or not anybody has noted it yet.
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::PendingPayment { hold_expires_at } if hold_expires_at <= now => Self::Expired {
                held_until: Some(hold_expires_at),
            },
            state => state,
        }
    }

    /// Whether the hold ended unpaid.
    pub fn is_expired(self) -> bool {
        matches!(self, Self::Expired { .. })
    }

    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::PendingPayment { .. } => "pending_payment",
            Self::Confirmed => "confirmed",
            Self::Expired { .. } => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How long a seat is held at least while its money is captured: several times what the calls for that may take.
const CAPTURE_TIME: TimeDelta = TimeDelta::seconds(60);

impl Registration {
    /// The hold that gives a capture at `now` time enough, where the present one does not. One that has expired always
    /// gets it, even if by a clock put back it ends later still: its seat has just been taken again.
    pub fn extended_hold(&self, now: Timestamp) -> Option<ExtendedHold> {
        let until = now + CAPTURE_TIME;
        let before = match self.state {
            State::PendingPayment { hold_expires_at } if hold_expires_at < until => hold_expires_at,
            State::Expired { held_until } => held_until.map_or(now, |held| held.min(now)),
            State::PendingPayment { .. } | State::Confirmed | State::Cancelled => return None,
        };
        Some(ExtendedHold {
            registration_id: self.id,
            before,
            until,
        })
    }

    /// When its hold ends, while it has one.
    pub fn held_until(&self) -> Option<Timestamp> {
        match self.state {
            State::PendingPayment { hold_expires_at } => Some(hold_expires_at),
            _ => None,
        }
    }

    /// What remains to be paid.
    pub fn amount_due(&self) -> Paise {
        match self.state {
            State::PendingPayment { .. } => self.amount,
            _ => Paise::ZERO,
        }
    }

    /// What was paid for it. It stays known when the registration has ended; whether the money went back is for the
    /// payment to say.
    pub fn amount_paid(&self) -> Paise {
        match self.payment_id {
            Some(_) => self.paid.unwrap_or(self.amount),
            None => Paise::ZERO,
        }
    }

    /// The registration once money has confirmed it.
    pub fn confirmed_by(&self, payment: &PaymentCaptured) -> Self {
        Self {
            state: State::Confirmed,
            payment_id: Some(payment.payment_id),
            paid: (payment.amount != self.amount).then_some(payment.amount),
            ..self.clone()
        }
    }
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// What is shown at the door: 80 random bits, in letters and digits that cannot be mistaken for each other.
    pub code: String,
}

impl Ticket {
    /// A new ticket.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn issue() -> Result<Self, rand::rngs::SysError> {
        // Crockford's alphabet: no I, L, O, U.
        const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut random = [0u8; 16];
        SysRng.try_fill_bytes(&mut random)?;
        let mut code = String::with_capacity(19);
        for (index, byte) in random.iter().enumerate() {
            if index > 0 && index % 4 == 0 {
                code.push('-');
            }
            code.push(char::from(LETTERS[usize::from(byte & 31)]));
        }
        Ok(Self {
            id: TicketId::new(),
            code,
        })
    }
}

/// What becomes of a captured payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCapture<'a> {
    /// It has confirmed a registration before: nothing happens.
    Known,
    /// It confirms this registration, whose seat is still held.
    Confirm(&'a Registration),
    /// It confirms this registration if a seat can be had again.
    Retake(&'a Registration),
    /// It goes back.
    Refund(RefundReason),
}

/// Decides what a captured payment does. `ordered` is the registration it was made for. `live` is the pending or
/// confirmed one that the same user has for the same event, if there is one: the same, or a later one when the hold had
/// run out and they registered again. docs/payments.md has the table.
pub fn on_capture<'a>(
    ordered: &'a Registration,
    live: Option<&'a Registration>,
    payment: PaymentId,
    amount: Paise,
    event_cancelled: bool,
) -> OnCapture<'a> {
    let confirmed_by_it =
        |one: &Registration| one.state == State::Confirmed && one.payment_id == Some(payment);
    if confirmed_by_it(ordered) || live.is_some_and(confirmed_by_it) {
        return OnCapture::Known;
    }
    if event_cancelled {
        return OnCapture::Refund(RefundReason::EventCancelled);
    }
    let pays_for = match ordered.state {
        // Payments sends the money of a cancelled one back as soon as it hears of its end: it may not buy another.
        State::Confirmed | State::Cancelled => ordered,
        State::PendingPayment { .. } | State::Expired { .. } => live.unwrap_or(ordered),
    };
    match pays_for.state {
        State::Confirmed => OnCapture::Refund(RefundReason::Duplicate),
        State::Cancelled => OnCapture::Refund(RefundReason::Attendee),
        // An order is made for the amount due, so this money was for another price.
        _ if amount != pays_for.amount => OnCapture::Refund(RefundReason::WrongAmount),
        State::Expired { .. } => OnCapture::Retake(pays_for),
        State::PendingPayment { .. } => OnCapture::Confirm(pays_for),
    }
}
