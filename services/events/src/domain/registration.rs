//! A registration: one user's place at one event, and its states.

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
    /// The id.
    pub id: RegistrationId,
    /// The event.
    pub event_id: EventId,
    /// The attendee.
    pub user_id: UserId,
    /// The price, fixed at registration.
    pub amount: Paise,
    /// The state.
    pub state: State,
    /// The payment that confirmed it; `None` while it is unpaid, or when it is free. Kept after it has ended.
    pub payment_id: Option<PaymentId>,
    /// The amount of that payment, where an offer or a convenience fee made it differ from `amount`. `None`: `amount`,
    /// if it was paid.
    pub paid: Option<Paise>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// The state of a registration. It moves down this list only, except that a late payment may still confirm an expired
/// registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A seat is held until it is paid for.
    PendingPayment {
        /// When the hold ends.
        hold_expires_at: Timestamp,
    },
    /// The seat is taken.
    Confirmed,
    /// The hold expired unpaid.
    Expired {
        /// When the hold ended. `None`: expired in an earlier release, which did not keep it.
        held_until: Option<Timestamp>,
    },
    /// Cancelled by the attendee or the organizer.
    Cancelled,
}

impl State {
    /// The state as of `now`: a hold past its end is expired, whether or not that is stored yet.
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::PendingPayment { hold_expires_at } if hold_expires_at <= now => Self::Expired {
                held_until: Some(hold_expires_at),
            },
            state => state,
        }
    }

    /// Whether the hold expired unpaid.
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
    /// The end of the hold, while it has one.
    pub fn held_until(&self) -> Option<Timestamp> {
        match self.state {
            State::PendingPayment { hold_expires_at } => Some(hold_expires_at),
            _ => None,
        }
    }

    /// The answer to a claim to its seat.
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

    /// Whether the user may have another, live registration for the event, because this one has ended.
    pub fn may_have_a_successor(&self) -> bool {
        match self.state {
            State::PendingPayment { .. } | State::Confirmed => false,
            State::Expired { .. } | State::Cancelled => true,
        }
    }

    /// The amount still due.
    pub fn amount_due(&self) -> Paise {
        match self.state {
            State::PendingPayment { .. } => self.amount,
            _ => Paise::ZERO,
        }
    }

    /// The amount paid. Kept after the registration has ended; whether it was refunded is a property of the payment.
    pub fn amount_paid(&self) -> Paise {
        match self.payment_id {
            Some(_) => self.paid.unwrap_or(self.amount),
            None => Paise::ZERO,
        }
    }

    /// The registration, confirmed by this payment.
    pub fn confirmed_by(&self, payment: &PaymentCaptured) -> Self {
        Self {
            state: State::Confirmed,
            payment_id: Some(payment.payment_id),
            paid: (payment.amount != self.amount).then_some(payment.amount),
            ..self.clone()
        }
    }
}

/// Crockford's alphabet: no I, L, O, U.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters of a code.
const CODE_LETTERS: usize = 16;

/// A ticket's code as people type it: in any case, with or without the dashes, and with the letters that are mistaken for
/// others. `None`: it is no code.
pub fn typed_code(text: &str) -> Option<String> {
    let mut code = String::with_capacity(CODE_LETTERS + 3);
    let mut letters = 0;
    for typed in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let letter = match typed.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            letter => letter,
        };
        if letters == CODE_LETTERS || !u8::try_from(letter).is_ok_and(|letter| LETTERS.contains(&letter)) {
            return None;
        }
        if letters > 0 && letters % 4 == 0 {
            code.push('-');
        }
        code.push(letter);
        letters += 1;
    }
    (letters == CODE_LETTERS).then_some(code)
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The id.
    pub id: TicketId,
    /// The code shown at the entrance: 80 random bits, in letters and digits that cannot be mistaken for each other.
    pub code: String,
    /// What its QR code holds: made of the rest with the key of the day, and so never stored. `None`: not asked for.
    pub qr: Option<String>,
}

impl Ticket {
    /// A new ticket.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn issue() -> Result<Self, rand::rngs::SysError> {
        let mut random = [0u8; CODE_LETTERS];
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
            qr: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let ticket = Ticket::issue().unwrap();
        assert_eq!(typed_code(&ticket.code), Some(ticket.code.clone()));
        let plain = ticket.code.replace('-', "").to_lowercase();
        assert_eq!(typed_code(&plain), Some(ticket.code));
        assert_eq!(
            typed_code(" oKQ2 m4xd-0rzt 9hvl "),
            Some("0KQ2-M4XD-0RZT-9HV1".to_owned())
        );
        for text in [
            "",
            "7KQ2",
            "7KQ2-M4XD-0RZT-9HVB-1",
            "7KQ2-M4XD-0RZT-9HVU",
            "७KQ2-M4XD-0RZT-9HVB",
        ] {
            assert_eq!(typed_code(text), None, "{text}");
        }
    }
}
