//! Reminders: planned, found by due time, decided on.

use std::collections::{HashMap, HashSet};

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
        kind::Kinds,
        message::Kind,
        reminder::{self, Known, Planned, Standing},
    },
    store::{DecidedReminder, Decision, DueReminder, table},
};

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
        .map(|planned| document(registration, &planned, facts.schedule_version))
        .collect()
}

fn document(registration: RegistrationId, planned: &Planned, schedule_version: i64) -> Document {
    doc! {
        "_id": id(registration, planned.kind),
        "registration_id": uuid(registration),
        "kind": planned.kind.name(),
        "due_at": date(planned.due_at),
        "schedule_version": schedule_version,
        "status": "pending",
    }
}

/// Lets the reminders of a registration follow the event to another schedule. What cannot follow is dropped.
pub(super) async fn follow(
    tx: &mut Tx,
    registration: RegistrationId,
    facts: &EventFacts,
    now: Timestamp,
) -> Result<(), StoreError> {
    if facts.cancelled {
        drop_all(tx, registration).await?;
        return withdraw(tx, registration, &[Kinds::Reminders], i64::MAX).await;
    }
    let theirs = doc! {"registration_id": uuid(registration)};
    let found = tx.find(SCHEDULES, theirs, doc! {}, usize::MAX).await?;
    let mut readable = Sifted::default();
    for found in &found {
        readable.add(known(found), || Key::of(found))?;
    }
    let known = readable.left_out(table::SCHEDULES);
    let following = reminder::follow(&known, facts, now);
    let version = facts.schedule_version;
    let pending = |kind| doc! {"_id": id(registration, kind), "status": "pending"};
    for kind in following.kept {
        tx.update(
            SCHEDULES,
            pending(kind),
            doc! {"$set": {"schedule_version": version}},
        )
        .await?;
    }
    let stored: HashSet<Kind> = known.iter().map(|known| known.kind).collect();
    let mut added = Vec::new();
    for planned in &following.planned {
        let mut document = document(registration, planned, version);
        if stored.contains(&planned.kind) {
            document.remove("_id");
            let again = doc! {"$set": document, "$unset": {"why": ""}};
            tx.update(SCHEDULES, doc! {"_id": id(registration, planned.kind)}, again)
                .await?;
        } else {
            added.push(document);
        }
    }
    tx.insert(SCHEDULES, added).await?;
    for kind in following.deleted {
        tx.delete(SCHEDULES, pending(kind)).await?;
    }
    let outdated = doc! {
        "registration_id": uuid(registration),
        "status": "pending",
        "schedule_version": {"$lt": version},
    };
    tx.update_all(SCHEDULES, outdated, doc! {"$set": {"status": "dropped"}})
        .await?;
    withdraw(tx, registration, &following.void, version).await
}

fn known(found: &Document) -> Result<Known, StoreError> {
    Ok(Known {
        kind: found.named("kind", Kind::parse)?,
        due_at: found.time("due_at")?,
        schedule_version: found.long("schedule_version")?,
        standing: found.named("status", Standing::parse)?,
    })
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
