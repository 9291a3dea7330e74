//! Which letters a fact asks for. What they say in words is in `templates/`.

use common::{
    clock::Timestamp,
    ids::{EventId, MessageId, PaymentId, RegistrationId},
    wire::{EndReason, EventFacts, PaymentRefunded, RegistrationConfirmed, RegistrationEnded, UserCard},
};
use uuid::Uuid;

use super::{
    message::{Channel, Details, Draft, Kind},
    reminder,
};

/// Which channels there are. E-mail always is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Whether somebody carries text messages.
    pub sms: bool,
}

/// What all letters about one thing have in common.
struct About<'a> {
    card: &'a UserCard,
    event_id: EventId,
    occurrence: Uuid,
    schedule_version: i64,
    not_after: Option<Timestamp>,
}

impl Reach {
    /// You are in, and here is your ticket.
    pub fn confirmed(self, fact: &RegistrationConfirmed, card: &UserCard) -> Vec<Draft> {
        let about = About::registration(card, fact.event.event_id, fact.registration_id);
        let confirmation = Details {
            amount: Some(fact.paid).filter(|paid| paid.0 > 0),
            payment_id: fact.payment_id,
            ..Details::default()
        };
        let ticket = Details {
            ticket_id: Some(fact.ticket_id),
            ticket_code: Some(fact.ticket_code.clone()),
            ..Details::default()
        };
        let mut letters = Vec::with_capacity(4);
        self.write(&about, Kind::RegistrationConfirmed, confirmation, &mut letters);
        self.write(&about, Kind::Ticket, ticket, &mut letters);
        letters
    }

    /// You are out. Nothing when a hold that was never paid is given up by its holder.
    pub fn ended(self, fact: &RegistrationEnded, card: &UserCard) -> Vec<Draft> {
        let mut letters = Vec::new();
        if let Some(kind) = told_of_end(fact) {
            let about = About::registration(card, fact.event.event_id, fact.registration_id);
            self.write(&about, kind, Details::default(), &mut letters);
        }
        letters
    }

    /// Your money is on its way back.
    pub fn refunded(self, fact: &PaymentRefunded, card: &UserCard) -> Vec<Draft> {
        let about = About::payment(card, fact.event_id, fact.payment_id);
        let details = Details {
            amount: Some(fact.amount),
            payment_id: Some(fact.payment_id),
            reason: Some(fact.reason),
            event_name: Some(fact.event_name.clone()),
            ..Details::default()
        };
        let mut letters = Vec::new();
        self.write(&about, Kind::PaymentRefunded, details, &mut letters);
        letters
    }

    /// It starts soon.
    pub fn reminder(
        self,
        kind: Kind,
        registration: RegistrationId,
        facts: &EventFacts,
        card: &UserCard,
        now: Timestamp,
        not_after: Timestamp,
    ) -> Vec<Draft> {
        let about = About {
            schedule_version: facts.schedule_version,
            not_after: Some(not_after),
            ..About::registration(card, facts.event_id, registration)
        };
        let details = Details {
            hours: Some(reminder::hours_left(facts, now)),
            ..Details::default()
        };
        let mut letters = Vec::new();
        self.write(&about, kind, details, &mut letters);
        letters
    }

    /// Something about it is different from how the reader knows it. Each version is told once.
    pub fn updated(
        self,
        registration: RegistrationId,
        facts: &EventFacts,
        known: &EventFacts,
        card: &UserCard,
    ) -> Vec<Draft> {
        let about = About {
            schedule_version: facts.version,
            ..About::registration(card, facts.event_id, registration)
        };
        let details = Details {
            before: Some(known.clone()),
            ..Details::default()
        };
        let mut letters = Vec::new();
        self.write(&about, Kind::EventUpdated, details, &mut letters);
        letters
    }

    fn write(self, about: &About<'_>, kind: Kind, details: Details, letters: &mut Vec<Draft>) {
        let card = about.card;
        let letter = |channel, address: &str, details| Draft {
            id: MessageId::new(),
            user_id: card.user_id,
            event_id: about.event_id,
            occurrence: about.occurrence,
            kind,
            channel,
            schedule_version: about.schedule_version,
            address: address.to_owned(),
            name: card.name.clone(),
            details,
            not_after: about.not_after,
        };
        match card.phone.as_deref().filter(|_| self.sms) {
            Some(phone) => {
                letters.push(letter(Channel::Email, &card.email, details.clone()));
                letters.push(letter(Channel::Sms, phone, details));
            }
            None => letters.push(letter(Channel::Email, &card.email, details)),
        }
    }
}

impl<'a> About<'a> {
    fn registration(card: &'a UserCard, event_id: EventId, registration: RegistrationId) -> Self {
        Self {
            card,
            event_id,
            occurrence: registration.0,
            schedule_version: 0,
            not_after: None,
        }
    }

    fn payment(card: &'a UserCard, event_id: EventId, payment: PaymentId) -> Self {
        Self {
            card,
            event_id,
            occurrence: payment.0,
            schedule_version: 0,
            not_after: None,
        }
    }
}

/// The letter that the end of a registration asks for.
pub fn told_of_end(fact: &RegistrationEnded) -> Option<Kind> {
    match fact.reason {
        EndReason::EventCancelled => Some(Kind::EventCancelled),
        EndReason::Attendee if fact.was_confirmed => Some(Kind::RegistrationCancelled),
        EndReason::Attendee => None,
    }
}
