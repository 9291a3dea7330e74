//! Messages on their way out: claimed, reported on.

use common::{
    clock::{Timestamp, from_millis, latest_end},
    ids::MessageId,
    store::StoreError,
};
use sqlite_store::rows::{maybe_time, sift};
use sqlite_store::{Connection, Param, outbox, params};
use uuid::Uuid;

use super::letters::{self, COLUMNS, Reader, WIDTH};
use crate::{
    domain::{
        delivery::{Turn, after_failure, turn},
        message::{Channel, Status},
    },
    store::{Claimed, DeliveryReport, Tried, messages, table},
};

pub fn claim(
    db: &Connection,
    channel: Channel,
    owner: Uuid,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Claimed>, StoreError> {
    // Claims that end too far ahead were made before the clock was set back; so was what was written in the future.
    db.prepare_cached(
        "UPDATE messages SET due_at = ?2 WHERE channel = ?1 AND due_at > ?2
            AND ((status = 'sending' AND due_at > ?3) OR (status = 'queued' AND attempts = 0 AND created_at > ?2))",
    )?
    .execute(params![
        channel.name(),
        now.timestamp_millis(),
        latest_end(now, until).timestamp_millis()
    ])?;
    let sql = format!(
        "SELECT {COLUMNS}, fence, attempts, withdrawn, not_after FROM messages
         WHERE channel = ?1 AND due_at <= ?2 ORDER BY due_at, id LIMIT ?3"
    );
    let mut reader = Reader::default();
    let found = {
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query(params![channel.name(), now.timestamp_millis(), limit as i64])?;
        sift(rows, 0, |row| {
            let not_after = row.get::<_, Option<i64>>(WIDTH + 3)?.map(from_millis);
            let (fence, attempts): (i64, u32) = (row.get(WIDTH)?, row.get(WIDTH + 1)?);
            let verdict = turn(attempts, row.get(WIDTH + 2)?, not_after, now);
            let claim = Claimed {
                message: reader.read(db, row)?,
                fence: fence + 1,
                attempts: attempts + 1,
            };
            Ok::<_, StoreError>((verdict, claim))
        })?
    };
    let found = found.set_aside(table::MESSAGES, |id, why| settle(db, id, Status::Dead, why))?;
    let mut taken = Vec::with_capacity(found.len());
    for (verdict, mut claim) in found {
        let id = claim.message.id;
        match verdict {
            Turn::Take => {
                db.prepare_cached(
                    "UPDATE messages SET status = 'sending', due_at = ?2, lease_owner = ?3, fence = ?4, attempts = ?5
                     WHERE id = ?1",
                )?
                .execute(params![id, until.timestamp_millis(), owner, claim.fence, claim.attempts])?;
                claim.message.status = Status::Sending;
                taken.push(claim);
            }
            Turn::Drop(why) => settle(db, &id, Status::Skipped, why)?,
            Turn::GiveUp(why) => lose(db, id, Status::Dead, why, now)?,
        }
    }
    Ok(taken)
}

pub fn next(db: &Connection, channel: Channel) -> Result<Option<Timestamp>, StoreError> {
    Ok(db
        .prepare_cached("SELECT min(due_at) FROM messages WHERE channel = ?1 AND due_at IS NOT NULL")?
        .one([channel.name()], |row| maybe_time(row, 0))?)
}

pub fn report(db: &Connection, reports: &[DeliveryReport], now: Timestamp) -> Result<usize, StoreError> {
    let mut held = 0;
    for DeliveryReport { id, fence, result } in reports {
        held += match result {
            Tried::Sent {
                provider,
                provider_id,
            } => {
                let user = db
                    .prepare_cached(
                        "UPDATE messages SET status = 'sent', sent_at = ?3, provider = ?4, provider_id = ?5,
                            due_at = NULL, lease_owner = NULL, last_error = NULL
                         WHERE id = ?1 AND fence = ?2 AND status = 'sending' RETURNING user_id",
                    )?
                    .find(
                        params![id, fence, now.timestamp_millis(), provider, provider_id],
                        |row| row.get(0),
                    )?;
                match user {
                    Some(user) => {
                        outbox::push(db, &messages::sent(*id, user, now))?;
                        1
                    }
                    None => 0,
                }
            }
            Tried::Retry { at, why } => failed(db, *id, *fence, Ok(*at), why, now)?,
            Tried::Failed { why } => failed(db, *id, *fence, Err(Status::Failed), why, now)?,
            Tried::Dead { why } => failed(db, *id, *fence, Err(Status::Dead), why, now)?,
            Tried::Returned => db
                .prepare_cached(
                    "UPDATE messages SET
                        status = CASE withdrawn WHEN 1 THEN 'skipped' ELSE 'queued' END,
                        due_at = CASE withdrawn WHEN 1 THEN NULL ELSE ?3 END,
                        attempts = attempts - 1, lease_owner = NULL
                     WHERE id = ?1 AND fence = ?2 AND status = 'sending'",
                )?
                .execute(params![id, fence, now.timestamp_millis()])?,
        };
    }
    Ok(held)
}

fn failed(
    db: &Connection,
    id: MessageId,
    fence: i64,
    again: Result<Timestamp, Status>,
    why: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let held = db
        .prepare_cached(
            "SELECT attempts, withdrawn, not_after FROM messages WHERE id = ?1 AND fence = ?2 AND status = 'sending'",
        )?
        .find(params![id, fence], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, bool>(1)?, row.get::<_, Option<i64>>(2)?.map(from_millis)))
        })?;
    let Some((attempts, withdrawn, not_after)) = held else {
        return Ok(0);
    };
    let at = match again {
        Ok(at) => match after_failure(attempts, withdrawn, not_after, at) {
            Status::Queued => at,
            status => return lose(db, id, status, why, now).map(|()| 1),
        },
        Err(status) => return lose(db, id, status, why, now).map(|()| 1),
    };
    db.prepare_cached(
        "UPDATE messages SET status = 'queued', due_at = ?2, lease_owner = NULL, last_error = ?3 WHERE id = ?1",
    )?
    .execute(params![id, at.timestamp_millis(), why])?;
    Ok(1)
}

/// Settles a message that will not be sent any more.
fn lose(db: &Connection, id: MessageId, status: Status, why: &str, now: Timestamp) -> Result<(), StoreError> {
    settle(db, &id, status, why)?;
    if matches!(status, Status::Failed | Status::Dead) {
        letters::replace(db, id, now)?;
    }
    Ok(())
}

fn settle(db: &Connection, id: &dyn Param, status: Status, why: &str) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE messages SET status = ?2, due_at = NULL, lease_owner = NULL, last_error = ?3 WHERE id = ?1",
    )?
    .execute(params![id, status.name(), why])?;
    Ok(())
}
