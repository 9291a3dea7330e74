//! A registration: one user's place at one event, and what may become of it.

use common::{
    clock::Timestamp,
    ids::{EventId, PaymentId, RegistrationId, TicketId, UserId},
    money::Paise,
    wire::{PaymentCaptured, SeatClaim},
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

impl Registration {
    /// When its hold ends, while it has one.
    pub fn held_until(&self) -> Option<Timestamp> {
        match self.state {
            State::PendingPayment { hold_expires_at } => Some(hold_expires_at),
            _ => None,
        }
    }

    /// The answer to a payer's claim to its seat.
    pub fn claimed(&self, event_name: &str) -> SeatClaim {
        SeatClaim {
            held_until: self.held_until(),
            registration_id: self.id,
            confirmed: self.state == State::Confirmed,
            amount: self.amount,
            payment_id: self.payment_id,
            event_name: event_name.to_owned(),
        }
    }

    /// Whether its user may have another, live registration for the event: this one has ended.
    pub fn may_have_a_successor(&self) -> bool {
        match self.state {
            State::PendingPayment { .. } | State::Confirmed => false,
            State::Expired { .. } | State::Cancelled => true,
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
