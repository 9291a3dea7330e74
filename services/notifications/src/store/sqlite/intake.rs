//! Messages from other services, consumed with their effect.

use common::{
    clock::Timestamp,
    ids::{RegistrationId, UserId},
    store::StoreError,
    wire::EventFacts,
};
use sqlite_store::inbox;
use sqlite_store::{Connection, params};

use super::{events::Newest, letters, preferences, reminders};
use crate::{
    domain::message::{Kind, Letter},
    store::{Change, Intake, WITHDRAWN_AT_END},
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
            paid,
            letters,
        } => {
            if *paid {
                letters::withdraw(db, *registration_id, Kind::PaymentFailed, i64::MAX)?;
                letters::withdraw(db, *registration_id, Kind::HoldExpired, i64::MAX)?;
            }
            confirmed(db, newest, *registration_id, *user_id, facts, letters, now)
        }
        Change::Unpaid {
            registration_id,
            facts,
            letters,
        } => {
            let facts = facts
                .as_ref()
                .map(|facts| newest.learn(db, facts, now))
                .transpose()?;
            unpaid(
                db,
                *registration_id,
                facts.map(|facts| facts.version),
                letters,
                now,
            )
        }
        Change::Ended {
            registration_id,
            user_id,
            facts,
            letters,
        } => ended(db, newest, *registration_id, *user_id, facts, letters, now),
        Change::EventChanged(facts) => newest.learn(db, facts, now).map(drop),
        Change::Told { letters } => queue(db, letters, None, now),
        Change::ToldOf { facts, letters } => {
            let facts = newest.learn(db, facts, now)?;
            queue(db, letters, Some(facts.version), now)
        }
        Change::Forget { user_id } => {
            db.prepare_cached(
                "INSERT INTO forgotten (user_id, at) VALUES (?1, ?2) ON CONFLICT (user_id) DO NOTHING",
            )?
            .execute(params![*user_id, now.timestamp_millis()])?;
            for (table, owner) in [
                ("messages", "user_id"),
                ("preferences", "user_id"),
                ("wordings", "organizer"),
            ] {
                db.prepare_cached(&format!("DELETE FROM {table} WHERE {owner} = ?1"))?
                    .execute([*user_id])?;
            }
            Ok(())
        }
        Change::Nothing => Ok(()),
    }
}

fn confirmed(
    db: &Connection,
    newest: &mut Newest,
    registration: RegistrationId,
    user: UserId,
    facts: &EventFacts,
    letters: &[Letter],
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

fn unpaid(
    db: &Connection,
    registration: RegistrationId,
    event_version: Option<i64>,
    letters: &[Letter],
    now: Timestamp,
) -> Result<(), StoreError> {
    let known = db
        .prepare_cached(
            "SELECT 1 FROM attendances WHERE registration_id = ?1
             UNION ALL SELECT 1 FROM messages WHERE occurrence = ?1 AND kind = ?2",
        )?
        .exists(params![registration, Kind::HoldExpired.name()])?;
    if known {
        return Ok(());
    }
    if letters.iter().any(|letter| letter.kind == Kind::HoldExpired) {
        letters::withdraw(db, registration, Kind::PaymentFailed, i64::MAX)?;
    }
    queue(db, letters, event_version, now)
}

fn ended(
    db: &Connection,
    newest: &mut Newest,
    registration: RegistrationId,
    user: UserId,
    facts: &EventFacts,
    letters: &[Letter],
    now: Timestamp,
) -> Result<(), StoreError> {
    let facts = newest.learn(db, facts, now)?;
    db.prepare_cached(
        "INSERT INTO attendances (registration_id, user_id, event_id, told_version, live) VALUES (?1, ?2, ?3, ?4, 0)
         ON CONFLICT (registration_id) DO UPDATE SET live = 0",
    )?
    .execute(params![registration, user, facts.event_id, facts.version])?;
    reminders::drop_all(db, registration)?;
    for kind in WITHDRAWN_AT_END {
        letters::withdraw(db, registration, kind, i64::MAX)?;
    }
    queue(db, letters, Some(facts.version), now)
}

pub fn queue(
    db: &Connection,
    letters: &[Letter],
    event_version: Option<i64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    preferences::wanted(db, letters, now)?
        .iter()
        .try_for_each(|letter| letters::queue(db, letter, event_version, now))
}
