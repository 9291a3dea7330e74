//! Reminders: planned, found by due time, decided on.

use std::collections::HashMap;

use common::{
    clock::{Timestamp, from_millis},
    ids::{EventId, RegistrationId},
    store::StoreError,
    unreadable::Sifted,
    wire::EventFacts,
};
use mongo_store::{DocumentExt, Key, Tx, date, set_aside, uuid};
use mongodb::bson::{Bson, Document, doc};

use super::{
    events::Newest,
    letters::{self, Queued, withdraw},
    schema::{ATTENDANCES, SCHEDULES},
};
use crate::{
    domain::{
        message::Kind,
        reminder::{self, LEADS},
    },
    store::{DecidedReminder, Decision, DueReminder, table},
};

/// Two kinds of reminders, and room for more.
const KINDS: usize = 16;

fn id(registration: RegistrationId, kind: Kind) -> String {
    schedule_id(registration, kind.name())
}

/// `_id` of a reminder.
pub fn schedule_id(registration: RegistrationId, kind: &str) -> String {
    format!("{registration}:{kind}")
}

/// The reminders of a registration that has none yet.
pub(super) fn planned(registration: RegistrationId, facts: &EventFacts, now: Timestamp) -> Vec<Document> {
    reminder::plan(facts, now)
        .map(|planned| {
            doc! {
                "_id": id(registration, planned.kind),
                "registration_id": uuid(registration),
                "kind": planned.kind.name(),
                "due_at": date(planned.due_at),
                "schedule_version": facts.schedule_version,
                "status": "pending",
            }
        })
        .collect()
}

/// Lets the reminders of a registration follow the event to another schedule, sent ones included, which are due once
/// more for the new one. What cannot follow is dropped.
pub(super) async fn follow(
    tx: &mut Tx,
    registration: RegistrationId,
    facts: &EventFacts,
    now: Timestamp,
) -> Result<(), StoreError> {
    let kinds: Vec<Kind> = LEADS.iter().map(|(kind, _)| *kind).collect();
    if facts.cancelled {
        drop_all(tx, registration).await?;
        return withdraw(tx, registration, &kinds, i64::MAX).await;
    }
    let theirs = tx
        .find(
            SCHEDULES,
            doc! {"registration_id": uuid(registration)},
            doc! {},
            KINDS,
        )
        .await?;
    let mut versions: HashMap<String, i64> = HashMap::new();
    for known in &theirs {
        versions.insert(known.text("_id")?, known.long("schedule_version")?);
    }
    let mut added = Vec::new();
    for mut planned in planned(registration, facts, now) {
        match versions.get(&planned.text("_id")?) {
            None => added.push(planned),
            Some(version) if *version < facts.schedule_version => {
                let this = doc! {"_id": planned.text("_id")?};
                planned.remove("_id");
                let again = doc! {"$set": planned, "$unset": {"why": ""}};
                tx.update(SCHEDULES, this, again).await?;
            }
            Some(_) => {}
        }
    }
    tx.insert(SCHEDULES, added).await?;
    let outdated = doc! {
        "registration_id": uuid(registration),
        "status": "pending",
        "schedule_version": {"$lt": facts.schedule_version},
    };
    tx.update_all(SCHEDULES, outdated, doc! {"$set": {"status": "dropped"}})
        .await?;
    withdraw(tx, registration, &kinds, facts.schedule_version).await
}

/// Drops the pending reminders of a registration.
pub(super) async fn drop_all(tx: &mut Tx, registration: RegistrationId) -> Result<(), StoreError> {
    let pending = doc! {"registration_id": uuid(registration), "status": "pending"};
    tx.update_all(SCHEDULES, pending, doc! {"$set": {"status": "dropped"}})
        .await
        .map(drop)
}

pub(super) async fn due(tx: &mut Tx, now: Timestamp, limit: usize) -> Result<Vec<DueReminder>, StoreError> {
    let pending = doc! {"status": "pending", "due_at": {"$lte": date(now)}};
    let found = tx.find(SCHEDULES, pending, doc! {"due_at": 1}, limit).await?;
    let ids: Vec<Bson> = found
        .iter()
        .filter_map(|found| found.get("registration_id").cloned())
        .collect();
    let attending = tx
        .find(ATTENDANCES, doc! {"_id": {"$in": ids}}, doc! {}, limit)
        .await?;
    let who: HashMap<RegistrationId, &Document> = attending
        .iter()
        .filter_map(|attendance| Some((attendance.id("_id").ok()?, attendance)))
        .collect();
    let (mut newest, mut due) = (Newest::default(), Sifted::default());
    for reminder in &found {
        due.add(read(tx, reminder, &who, &mut newest).await, || Key::of(reminder))?;
    }
    // Dropped; the reason distinguishes them from those that were not needed any more.
    let drop = |why: &str| doc! {"$set": {"status": "dropped", "why": why}};
    set_aside(tx, SCHEDULES, table::SCHEDULES, due, drop).await
}

async fn read(
    tx: &mut Tx,
    reminder: &Document,
    who: &HashMap<RegistrationId, &Document>,
    newest: &mut Newest,
) -> Result<DueReminder, StoreError> {
    let registration_id = reminder.id("registration_id")?;
    let attendance = who
        .get(&registration_id)
        .ok_or_else(|| StoreError::Corrupt(format!("nothing is known of registration {registration_id}")))?;
    let event: EventId = attendance.id("event_id")?;
    let facts = newest.get(tx, event).await?;
    Ok(DueReminder {
        registration_id,
        kind: reminder.named("kind", Kind::parse)?,
        due_at: reminder.time("due_at")?,
        schedule_version: reminder.long("schedule_version")?,
        user_id: attendance.id("user_id")?,
        facts: facts.ok_or_else(|| StoreError::Corrupt(format!("it is for the unknown event {event}")))?,
    })
}

pub(super) async fn next(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let dated = doc! {"$gt": date(from_millis(0))};
    let found = tx
        .find(
            SCHEDULES,
            doc! {"status": "pending", "due_at": dated},
            doc! {"due_at": 1},
            1,
        )
        .await?;
    found.first().map(|found| found.time("due_at")).transpose()
}

pub(super) async fn decide(
    tx: &mut Tx,
    decided: &[DecidedReminder],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut stood = 0;
    let mut queued: Vec<Queued<'_>> = Vec::new();
    for reminder in decided {
        let set = match &reminder.decision {
            Decision::Send { .. } => doc! {"status": "done"},
            Decision::Move {
                due_at,
                schedule_version,
            } => {
                doc! {"status": "pending", "due_at": date(*due_at), "schedule_version": schedule_version}
            }
            Decision::Drop => doc! {"status": "dropped"},
            Decision::SkipLate => doc! {"status": "skipped_late"},
        };
        let pending = doc! {
            "_id": id(reminder.registration_id, reminder.kind),
            "schedule_version": reminder.schedule_version,
            "status": "pending",
        };
        if !tx.update(SCHEDULES, pending, doc! {"$set": set}).await? {
            continue;
        }
        stood += 1;
        if let Decision::Send {
            event_version,
            letters,
        } = &reminder.decision
        {
            queued.extend(letters.iter().map(|letter| (letter, Some(*event_version))));
        }
    }
    letters::queue(tx, &queued, now).await?;
    Ok(stood)
}

/// Forgets reminders that were settled and due before `oldest`.
pub(super) async fn purge(tx: &mut Tx, oldest: i64, limit: usize) -> Result<usize, StoreError> {
    let settled = doc! {
        "status": {"$in": ["done", "dropped", "skipped_late"]},
        "due_at": {"$lte": date(from_millis(oldest))},
    };
    tx.delete_some(SCHEDULES, settled, doc! {"due_at": 1}, limit)
        .await
}
