//! Reminders: planned, found by due time, decided on.

use common::{
    clock::{Timestamp, from_millis},
    ids::RegistrationId,
    store::StoreError,
    unreadable,
    wire::EventFacts,
};
use sqlite_store::rows::{Key, maybe_time, named, sift};
use sqlite_store::{Connection, Row, params};

use super::{events::Newest, intake::queue, letters::withdraw};
use crate::{
    domain::{
        kind::Kinds,
        message::Kind,
        reminder::{self, Known, Planned, Standing},
    },
    store::{DecidedReminder, Decision, DueReminder, table},
};

/// Plans the reminders of a registration that has none yet.
pub fn plan(
    db: &Connection,
    registration: RegistrationId,
    facts: &EventFacts,
    now: Timestamp,
) -> Result<(), StoreError> {
    reminder::plan(facts, now)
        .try_for_each(|planned| insert(db, registration, &planned, facts.schedule_version))
}

/// A reminder of an older schedule becomes one of this.
fn insert(
    db: &Connection,
    registration: RegistrationId,
    planned: &Planned,
    schedule_version: i64,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO schedules (registration_id, kind, due_at, schedule_version, status)
         VALUES (?1, ?2, ?3, ?4, 'pending')
         ON CONFLICT (registration_id, kind) DO UPDATE SET
            due_at = excluded.due_at, schedule_version = excluded.schedule_version, status = 'pending',
            why = NULL
         WHERE schedule_version < excluded.schedule_version",
    )?
    .execute(params![
        registration,
        planned.kind.name(),
        planned.due_at.timestamp_millis(),
        schedule_version
    ])?;
    Ok(())
}

/// Lets the reminders of a registration follow the event to another schedule. What cannot follow is dropped.
pub fn follow(
    db: &Connection,
    registration: RegistrationId,
    facts: &EventFacts,
    now: Timestamp,
) -> Result<(), StoreError> {
    if facts.cancelled {
        drop_all(db, registration)?;
        return withdraw(db, registration, Kinds::Reminders, i64::MAX);
    }
    let following = reminder::follow(&known(db, registration)?, facts, now);
    let version = facts.schedule_version;
    for kind in following.kept {
        db.prepare_cached(
            "UPDATE schedules SET schedule_version = ?3
             WHERE registration_id = ?1 AND kind = ?2 AND status = 'pending'",
        )?
        .execute(params![registration, kind.name(), version])?;
    }
    for planned in &following.planned {
        insert(db, registration, planned, version)?;
    }
    for kind in following.deleted {
        db.prepare_cached(
            "DELETE FROM schedules WHERE registration_id = ?1 AND kind = ?2 AND status = 'pending'",
        )?
        .execute(params![registration, kind.name()])?;
    }
    db.prepare_cached(
        "UPDATE schedules SET status = 'dropped'
         WHERE registration_id = ?1 AND status = 'pending' AND schedule_version < ?2",
    )?
    .execute(params![registration, version])?;
    following
        .void
        .into_iter()
        .try_for_each(|kind| withdraw(db, registration, kind, version))
}

/// The reminders of a registration, but for those that cannot be read.
fn known(db: &Connection, registration: RegistrationId) -> Result<Vec<Known>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT kind, due_at, schedule_version, status FROM schedules WHERE registration_id = ?1",
    )?;
    let known = sift(statement.query([registration])?, 0, |row| {
        Ok::<_, StoreError>(Known {
            kind: named(row, 0, Kind::parse)?,
            due_at: from_millis(row.get(1)?),
            schedule_version: row.get(2)?,
            standing: named(row, 3, Standing::parse)?,
        })
    })?;
    Ok(known.left_out(table::SCHEDULES))
}

/// Drops the pending reminders of a registration.
pub fn drop_all(db: &Connection, registration: RegistrationId) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE schedules SET status = 'dropped' WHERE registration_id = ?1 AND status = 'pending'",
    )?
    .execute([registration])?;
    Ok(())
}

/// A reminder that cannot be read: its registration, its kind, and why.
pub type Unreadable = (Key, Key, String);

/// Those that are due, and those that cannot be read, which [`set_aside`] is for.
pub fn due(
    db: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<(Vec<DueReminder>, Vec<Unreadable>), StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT s.registration_id, s.kind, s.due_at, s.schedule_version, a.user_id, a.event_id
         FROM schedules AS s LEFT JOIN attendances AS a ON a.registration_id = s.registration_id
         WHERE s.status = 'pending' AND s.due_at <= ?1 ORDER BY s.due_at LIMIT ?2",
    )?;
    let mut rows = statement.query(params![now.timestamp_millis(), limit as i64])?;
    let (mut newest, mut due, mut unreadable) = (Newest::default(), Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match read(db, &row, &mut newest) {
            Ok(reminder) => due.push(reminder),
            Err(StoreError::Corrupt(why)) => unreadable.push((Key::of(&row, 0), Key::of(&row, 1), why)),
            Err(error) => return Err(error),
        }
    }
    Ok((due, unreadable))
}

fn read(db: &Connection, row: &Row<'_>, newest: &mut Newest) -> Result<DueReminder, StoreError> {
    let event = row.get(5)?;
    let facts = newest
        .get(db, event)?
        .ok_or_else(|| StoreError::Corrupt(format!("it is for the unknown event {event}")))?;
    Ok(DueReminder {
        registration_id: row.get(0)?,
        kind: named(row, 1, Kind::parse)?,
        due_at: from_millis(row.get(2)?),
        schedule_version: row.get(3)?,
        user_id: row.get(4)?,
        facts,
    })
}

/// Drops reminders that cannot be read; `why` distinguishes them from those that were not needed any more.
pub fn set_aside(db: &Connection, reminders: &[Unreadable]) -> Result<(), StoreError> {
    for (registration, kind, why) in reminders {
        db.prepare_cached(
            "UPDATE schedules SET status = 'dropped', why = ?3
             WHERE registration_id = ?1 AND kind = ?2 AND status = 'pending'",
        )?
        .execute(params![registration, kind, why])?;
        unreadable::set_aside(table::SCHEDULES, registration, why);
    }
    Ok(())
}

pub fn next(db: &Connection) -> Result<Option<Timestamp>, StoreError> {
    Ok(db
        .prepare_cached("SELECT min(due_at) FROM schedules WHERE status = 'pending'")?
        .one(params![], |row| maybe_time(row, 0))?)
}

pub fn decide(db: &Connection, decided: &[DecidedReminder], now: Timestamp) -> Result<usize, StoreError> {
    let mut stood = 0;
    for reminder in decided {
        let (status, moved) = match &reminder.decision {
            Decision::Send { .. } => ("done", None),
            Decision::Move {
                due_at,
                schedule_version,
            } => ("pending", Some((due_at, schedule_version))),
            Decision::Drop => ("dropped", None),
            Decision::SkipLate => ("skipped_late", None),
        };
        let changed = db
            .prepare_cached(
                "UPDATE schedules SET
                    status = ?4, due_at = coalesce(?5, due_at), schedule_version = coalesce(?6, schedule_version)
                 WHERE registration_id = ?1 AND kind = ?2 AND schedule_version = ?3 AND status = 'pending'",
            )?
            .execute(params![
                reminder.registration_id,
                reminder.kind.name(),
                reminder.schedule_version,
                status,
                moved.map(|(due_at, _)| due_at.timestamp_millis()),
                moved.map(|(_, version)| version),
            ])?;
        if changed == 0 {
            continue;
        }
        stood += 1;
        if let Decision::Send {
            event_version,
            letters,
        } = &reminder.decision
        {
            queue(db, letters, Some(*event_version), now)?;
        }
    }
    Ok(stood)
}
