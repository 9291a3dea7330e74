//! What providers report of messages, and what operators see of them.

use common::{
    clock::{Timestamp, from_millis},
    ids::{MessageId, UserId},
    store::StoreError,
};
use sqlite_store::rows::{maybe_time, named, sift};
use sqlite_store::{Connection, Row, outbox, params};
use uuid::Uuid;

use super::letters;
use super::lists::{ENTRY, ENTRY_WIDTH, entry};
use crate::{
    domain::{
        delivery::{Outcome, after_report},
        message::{Kind, Status},
    },
    store::{News, Planned, Record, messages, table},
};

pub fn note(db: &Connection, news: &News, now: Timestamp) -> Result<Option<MessageId>, StoreError> {
    let mut statement = match news.id {
        Some(_) => db.prepare_cached(
            "SELECT id, status, user_id FROM messages WHERE id = ?1 AND channel = 'sms' AND (provider IS NULL OR provider = ?2)",
        )?,
        None => db.prepare_cached(
            "SELECT id, status, user_id FROM messages WHERE channel = 'sms' AND provider = ?2 AND provider_id = ?1",
        )?,
    };
    let read = |row: &Row<'_>| -> sqlite_store::RowResult<(MessageId, Status, UserId)> {
        Ok((row.get(0)?, named(row, 1, Status::parse)?, row.get(2)?))
    };
    let found = match news.id {
        Some(id) => statement.find(params![id, news.provider], read)?,
        None => statement.find(params![news.provider_id, news.provider], read)?,
    };
    let Some((id, before, user)) = found else {
        return Ok(None);
    };
    let Some(status) = after_report(before, &news.outcome) else {
        return Ok(None);
    };
    let (why, delivered_at) = match &news.outcome {
        Outcome::Delivered => (None, Some(now.timestamp_millis())),
        Outcome::Failed(why) => (Some(why), None),
    };
    db.prepare_cached(
        "UPDATE messages SET status = ?2, provider = ?3, provider_id = ?4, last_error = ?5, delivered_at = ?6,
            sent_at = coalesce(sent_at, ?7), due_at = NULL, lease_owner = NULL
         WHERE id = ?1",
    )?
    .execute(params![
        id,
        status.name(),
        news.provider,
        news.provider_id,
        why,
        delivered_at,
        now.timestamp_millis(),
    ])?;
    if before == Status::Sending {
        outbox::push(db, &messages::sent(id, user, now))?;
    }
    if status == Status::Failed {
        letters::replace(db, id, now)?;
    }
    Ok(Some(id))
}

pub fn redrive(db: &Connection, ids: Option<&[MessageId]>, now: Timestamp) -> Result<usize, StoreError> {
    const AGAIN: &str = "UPDATE messages SET status = 'queued', due_at = ?1, attempts = 0";
    let now = now.timestamp_millis();
    let Some(ids) = ids else {
        return Ok(db
            .prepare_cached(&format!("{AGAIN} WHERE status = 'dead'"))?
            .execute(params![now])?);
    };
    let sql = format!("{AGAIN} WHERE id = ?2 AND status IN ('dead', 'failed')");
    let mut statement = db.prepare_cached(&sql)?;
    let mut count = 0;
    for id in ids {
        count += statement.execute(params![now, id])?;
    }
    Ok(count)
}

const MORE: &str = "user_id, occurrence, attempts, due_at, not_after, provider, provider_id";

pub fn record(db: &Connection, id: MessageId) -> Result<Option<Record>, StoreError> {
    let sql = format!("SELECT {ENTRY}, {MORE} FROM messages WHERE id = ?1");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id])?;
    rows.next()?.map(|row| read(&row)).transpose()
}

pub fn about(db: &Connection, occurrence: Uuid) -> Result<(Vec<Record>, Vec<Planned>), StoreError> {
    let sql = format!("SELECT {ENTRY}, {MORE} FROM messages WHERE occurrence = ?1 ORDER BY id LIMIT 1000");
    let mut statement = db.prepare_cached(&sql)?;
    let records = sift(statement.query(params![occurrence])?, 0, read)?.left_out(table::MESSAGES);
    let mut statement = db.prepare_cached(
        "SELECT kind, due_at, status, why FROM schedules WHERE registration_id = ?1 ORDER BY due_at",
    )?;
    let planned = sift(statement.query(params![occurrence])?, 0, |row| {
        Ok::<_, StoreError>(Planned {
            kind: named(row, 0, Kind::parse)?,
            due_at: from_millis(row.get(1)?),
            status: row.get(2)?,
            why: row.get(3)?,
        })
    })?;
    Ok((records, planned.left_out(table::SCHEDULES)))
}

pub fn dead(db: &Connection, limit: usize) -> Result<Vec<Record>, StoreError> {
    let sql = format!("SELECT {ENTRY}, {MORE} FROM messages WHERE status = 'dead' ORDER BY id DESC LIMIT ?1");
    let mut statement = db.prepare_cached(&sql)?;
    Ok(sift(statement.query(params![limit as i64])?, 0, read)?.left_out(table::MESSAGES))
}

fn read(row: &Row<'_>) -> Result<Record, StoreError> {
    const AT: usize = ENTRY_WIDTH;
    Ok(Record {
        entry: entry(row, 0)?,
        user_id: row.get(AT)?,
        occurrence: row.get(AT + 1)?,
        attempts: row.get(AT + 2)?,
        due_at: maybe_time(row, AT + 3)?,
        not_after: maybe_time(row, AT + 4)?,
        provider: row.get(AT + 5)?,
        provider_id: row.get(AT + 6)?,
    })
}
