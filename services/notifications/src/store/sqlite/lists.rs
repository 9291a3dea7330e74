//! Messages and figures for display.

use common::{
    clock::{Timestamp, from_millis},
    http::Page,
    ids::{MessageId, UserId},
    store::StoreError,
};
use sqlite_store::rows::{named, sift, sift_page};
use sqlite_store::{Connection, Row, params};
use uuid::Uuid;

use super::letters::{COLUMNS, Reader};
use crate::{
    domain::message::{Channel, Kind, Message, Status},
    store::{Entry, Stats, event_of, table},
};

pub const ENTRY: &str = "id, event_id, kind, channel, status, created_at, sent_at, delivered_at, last_error";

pub fn one(db: &Connection, id: MessageId, user: UserId) -> Result<Option<Entry>, StoreError> {
    let sql = format!("SELECT {ENTRY} FROM messages WHERE id = ?1 AND user_id = ?2");
    let mut statement = db.prepare_cached(&sql)?;
    Ok(statement.find(params![id, user], |row| Ok(entry(row)?))?)
}

pub fn of_user(db: &Connection, user: UserId, page: Page) -> Result<Vec<Entry>, StoreError> {
    let (before, before_id) = page
        .after
        .map_or((i64::MAX, Uuid::max()), |after| (after.key, after.id));
    let sql = format!(
        "SELECT {ENTRY} FROM messages
         WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC LIMIT ?4"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift_page(page.limit + 1, |asked| {
        sift(
            statement.query(params![user, before, before_id, asked])?,
            0,
            entry,
        )
    })?;
    Ok(found.left_out(table::MESSAGES))
}

pub fn entry(row: &Row<'_>) -> Result<Entry, StoreError> {
    Ok(Entry {
        id: row.get(0)?,
        event_id: event_of(row.get(1)?),
        kind: named(row, 2, Kind::parse)?,
        channel: named(row, 3, Channel::parse)?,
        status: named(row, 4, Status::parse)?,
        created_at: from_millis(row.get(5)?),
        sent_at: row.get::<_, Option<i64>>(6)?.map(from_millis),
        delivered_at: row.get::<_, Option<i64>>(7)?.map(from_millis),
        error: row.get(8)?,
    })
}

pub fn taken_by(
    db: &Connection,
    provider: &str,
    address: Option<&str>,
    page: Page,
) -> Result<Vec<Message>, StoreError> {
    let before = page.after.map_or(Uuid::max(), |after| after.id);
    let sql = format!(
        "SELECT {COLUMNS} FROM messages
         WHERE id < ?1 AND provider = ?2 AND (?3 IS NULL OR address = ?3) ORDER BY id DESC LIMIT ?4"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut reader = Reader::default();
    let found = sift_page(page.limit + 1, |asked| {
        let rows = statement.query(params![before, provider, address, asked])?;
        sift(rows, 0, |row| reader.read(db, row))
    })?;
    Ok(found.left_out(table::MESSAGES))
}

pub fn find(db: &Connection, provider: &str, id: MessageId) -> Result<Option<Message>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM messages WHERE id = ?1 AND provider = ?2");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id, provider])?;
    rows.next()?
        .map(|row| Reader::default().read(db, &row))
        .transpose()
}

pub fn stats(db: &Connection, now: Timestamp) -> Result<Stats, StoreError> {
    let count = |sql: &str| -> Result<u64, StoreError> {
        let count: i64 = db.prepare_cached(sql)?.one(params![], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    let mut oldest: Option<i64> = None;
    for channel in [Channel::Email, Channel::Sms] {
        let next = super::delivery::next(db, channel)?.map(|at| at.timestamp_millis());
        oldest = oldest.into_iter().chain(next).min();
    }
    Ok(Stats {
        queued: count("SELECT count(*) FROM messages WHERE due_at IS NOT NULL")?,
        failed: count("SELECT count(*) FROM messages WHERE status = 'failed'")?,
        dead: count("SELECT count(*) FROM messages WHERE status = 'dead'")?,
        reminders_pending: count("SELECT count(*) FROM schedules WHERE status = 'pending'")?,
        overdue_millis: oldest.map_or(0, |at| u64::try_from(now.timestamp_millis() - at).unwrap_or(0)),
    })
}
