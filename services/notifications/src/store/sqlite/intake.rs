//! Messages from other services, taken in with their effect.

use common::{
    clock::Timestamp,
    ids::{RegistrationId, UserId},
    sqlite::inbox,
    store::StoreError,
    wire::EventFacts,
};
use rusqlite::{Connection, params};

use super::{events::Newest, letters, reminders};
use crate::{
    domain::message::{Draft, Kind},
    store::{Change, Intake},
};

pub fn take(db: &Connection, batch: &[Intake], now: Timestamp) -> Result<(), StoreError> {
    let mut newest = Newest::default();
    for intake in batch {
        if inbox::first_time(db, intake.id, now)? {
            apply(db, &mut newest, &intake.change, now)?;
        }
    }
    Ok(())
}

fn apply(db: &Connection, newest: &mut Newest, change: &Change, now: Timestamp) -> Result<(), StoreError> {
    match change {
        Change::Confirmed {
            registration_id,
            user_id,
            facts,
            letters,
        } => confirmed(db, newest, *registration_id, *user_id, facts, letters, now),
        Change::Ended {
            registration_id,
            user_id,
            facts,
            letters,
        } => ended(db, newest, *registration_id, *user_id, facts, letters, now),
        Change::EventChanged(facts) => newest.learn(db, facts, now).map(drop),
        Change::Told { letters } => queue(db, letters, None, now),
        Change::Nothing => Ok(()),
    }
}

fn confirmed(
    db: &Connection,
    newest: &mut Newest,
    registration: RegistrationId,
    user: UserId,
    facts: &EventFacts,
    letters: &[Draft],
    now: Timestamp,
) -> Result<(), StoreError> {
    let facts = newest.learn(db, facts, now)?;
    let added = db
        .prepare_cached(
            "INSERT INTO attendances (registration_id, user_id, event_id, told_version, live)
             VALUES (?1, ?2, ?3, ?4, 1) ON CONFLICT (registration_id) DO NOTHING",
        )?
        .execute(params![registration, user, facts.event_id, facts.version])?;
    if added == 0 {
        return Ok(());
    }
    reminders::plan(db, registration, &facts, now)?;
    queue(db, letters, Some(facts.version), now)
}

fn ended(
    db: &Connection,
    newest: &mut Newest,
    registration: RegistrationId,
    user: UserId,
    facts: &EventFacts,
    letters: &[Draft],
    now: Timestamp,
) -> Result<(), StoreError> {
    let facts = newest.learn(db, facts, now)?;
    db.prepare_cached(
        "INSERT INTO attendances (registration_id, user_id, event_id, told_version, live) VALUES (?1, ?2, ?3, ?4, 0)
         ON CONFLICT (registration_id) DO UPDATE SET live = 0",
    )?
    .execute(params![registration, user, facts.event_id, facts.version])?;
    reminders::drop_all(db, registration)?;
    for kind in [Kind::Reminder24h, Kind::Reminder3h, Kind::EventUpdated] {
        letters::withdraw(db, registration, kind, i64::MAX)?;
    }
    queue(db, letters, Some(facts.version), now)
}

pub fn queue(
    db: &Connection,
    letters: &[Draft],
    event_version: Option<i64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    letters
        .iter()
        .try_for_each(|letter| letters::queue(db, letter, event_version, now))
}
