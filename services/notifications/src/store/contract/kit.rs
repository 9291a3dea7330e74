//! What the tests have in common.

use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use common::{
    clock::{Timestamp, from_millis},
    http::Page,
    ids::{EventId, MessageId, RegistrationId, UserId, new_id},
    wire::EventFacts,
};

use crate::{
    domain::message::{Channel, Details, Kind, Letter, Status},
    store::{
        Change, Claimed, DecidedReminder, Decision, DeliveryReport, DueReminder, Intake, Listed, Store, Tried,
    },
};

/// A moment that no test comes near the edges of.
pub const NOW: i64 = 1_900_000_000_123;
pub const PROVIDER: &str = "test";

pub fn at(offset: TimeDelta) -> Timestamp {
    from_millis(NOW) + offset
}

pub fn now() -> Timestamp {
    from_millis(NOW)
}

pub fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

pub fn event(starts_in: TimeDelta) -> EventFacts {
    EventFacts {
        event_id: EventId::new(),
        name: "Rust evening".into(),
        address: "Online".into(),
        starts_at: at(starts_in),
        zone: Tz::Asia__Kolkata,
        version: 1,
        schedule_version: 1,
        cancelled: false,
        format: common::wire::EventFormat::Hybrid,
        ends_at: Some(at(starts_in + hours(2))),
        join_url: Some("https://meet.example.org/rust".into()),
        reminders: common::leads::Leads::default(),
        organizer: Some(UserId::new()),
    }
}

pub fn moved(facts: &EventFacts, starts_in: TimeDelta) -> EventFacts {
    EventFacts {
        starts_at: at(starts_in),
        version: facts.version + 1,
        schedule_version: facts.schedule_version + 1,
        ..facts.clone()
    }
}

/// An attendee.
#[derive(Clone, Copy)]
pub struct Person {
    pub user: UserId,
    pub registration: RegistrationId,
}

impl Person {
    pub fn new() -> Self {
        Self {
            user: UserId::new(),
            registration: RegistrationId::new(),
        }
    }

    pub fn letter(&self, event: &EventFacts, kind: Kind, channel: Channel) -> Letter {
        Letter {
            id: MessageId::new(),
            user_id: self.user,
            event_id: Some(event.event_id),
            occurrence: self.registration.0,
            kind,
            channel,
            schedule_version: 0,
            address: "asha@example.com".into(),
            name: Some("Asha".into()),
            details: Details::default(),
            not_before: None,
            not_after: None,
        }
    }

    pub fn confirmed(&self, facts: &EventFacts) -> Change {
        Change::Confirmed {
            registration_id: self.registration,
            user_id: self.user,
            facts: facts.clone(),
            paid: false,
            letters: vec![self.letter(facts, Kind::RegistrationConfirmed, Channel::Email)],
        }
    }

    pub fn ended(&self, facts: &EventFacts) -> Change {
        Change::Ended {
            registration_id: self.registration,
            user_id: self.user,
            facts: facts.clone(),
            letters: vec![self.letter(facts, Kind::RegistrationCancelled, Channel::Email)],
        }
    }
}

pub async fn take(store: &Arc<dyn Store>, changes: impl IntoIterator<Item = Change>) {
    let batch = changes
        .into_iter()
        .map(|change| Intake { id: new_id(), change })
        .collect();
    store.take(batch, now()).await.unwrap();
}

pub async fn attend(store: &Arc<dyn Store>, facts: &EventFacts) -> Person {
    let person = Person::new();
    take(store, [person.confirmed(facts)]).await;
    person
}

pub async fn due(store: &Arc<dyn Store>, starts_in: TimeDelta) -> Vec<DueReminder> {
    store.due_reminders(at(starts_in), 100).await.unwrap()
}

pub fn send(reminder: &DueReminder) -> DecidedReminder {
    let person = Person {
        user: reminder.user_id,
        registration: reminder.registration_id,
    };
    let mut letter = person.letter(&reminder.facts, reminder.kind, Channel::Email);
    letter.schedule_version = reminder.schedule_version;
    decided(
        reminder,
        Decision::Send {
            event_version: reminder.facts.version,
            letters: vec![letter],
        },
    )
}

pub fn decided(reminder: &DueReminder, decision: Decision) -> DecidedReminder {
    DecidedReminder {
        registration_id: reminder.registration_id,
        kind: reminder.kind,
        schedule_version: reminder.schedule_version,
        decision,
    }
}

pub async fn claim(store: &Arc<dyn Store>, at: Timestamp, limit: usize) -> Vec<Claimed> {
    store
        .claim(Channel::Email, new_id(), at, at + TimeDelta::seconds(20), limit)
        .await
        .unwrap()
}

pub fn sent(claim: &Claimed) -> DeliveryReport {
    let result = Tried::Sent {
        provider: PROVIDER,
        provider_id: "1".into(),
    };
    DeliveryReport {
        id: claim.message.id,
        fence: claim.fence,
        result,
    }
}

pub fn report(claim: &Claimed, result: Tried) -> DeliveryReport {
    DeliveryReport {
        id: claim.message.id,
        fence: claim.fence,
        result,
    }
}

pub async fn note(store: &Arc<dyn Store>, reports: Vec<DeliveryReport>) -> usize {
    store.report(reports.into(), now()).await.unwrap()
}

pub async fn entries(store: &Arc<dyn Store>, user: UserId) -> Vec<Listed> {
    store
        .of_user(
            user,
            crate::store::Only::All,
            Page {
                limit: 100,
                after: None,
            },
        )
        .await
        .unwrap()
}

pub async fn statuses(store: &Arc<dyn Store>, user: UserId) -> Vec<(Kind, Status)> {
    let mut statuses: Vec<_> = entries(store, user)
        .await
        .iter()
        .map(|entry| (entry.kind, entry.status))
        .collect();
    statuses.sort_by_key(|(kind, _)| kind.name());
    statuses
}

pub async fn status(store: &Arc<dyn Store>, person: Person, kind: Kind) -> Status {
    let found: Vec<_> = statuses(store, person.user)
        .await
        .into_iter()
        .filter(|(k, _)| *k == kind)
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].1
}

pub async fn queue(store: &Arc<dyn Store>, count: usize) -> Vec<Person> {
    let facts = event(hours(-1));
    let people: Vec<_> = (0..count).map(|_| Person::new()).collect();
    take(store, people.iter().map(|person| person.confirmed(&facts))).await;
    people
}
