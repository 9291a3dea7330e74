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

use super::letters::{COLUMNS, Reader, WIDTH};
use crate::{
    domain::message::{Channel, Kind, Message, Status},
    store::{Entry, Listed, Only, Stats, event_of, table},
};

pub const ENTRY: &str =
    "id, event_id, kind, channel, status, created_at, sent_at, delivered_at, last_error, read_at";
/// The number of [`ENTRY`]'s columns.
pub const ENTRY_WIDTH: usize = 10;

/// What [`listed`] reads: a message, then how it stands.
fn columns() -> String {
    format!("{COLUMNS}, {ENTRY}")
}

pub fn one(db: &Connection, id: MessageId, user: UserId) -> Result<Option<Listed>, StoreError> {
    let sql = format!(
        "SELECT {} FROM messages WHERE id = ?1 AND user_id = ?2",
        columns()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id, user])?;
    let found = rows.next()?;
    found
        .map(|row| listed(db, &mut Reader::default(), &row))
        .transpose()
}

pub fn of_user(db: &Connection, user: UserId, only: Only, page: Page) -> Result<Vec<Listed>, StoreError> {
    let (before, before_id) = page
        .after
        .map_or((i64::MAX, Uuid::max()), |after| (after.key, after.id));
    let unread = match only {
        Only::All => "",
        Only::Unread => " AND read_at IS NULL",
    };
    let sql = format!(
        "SELECT {} FROM messages
         WHERE user_id = ?1 AND (created_at, id) < (?2, ?3){unread} ORDER BY created_at DESC, id DESC LIMIT ?4",
        columns()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut reader = Reader::default();
    let found = sift_page(page.limit + 1, |asked| {
        let rows = statement.query(params![user, before, before_id, asked])?;
        sift(rows, 0, |row| listed(db, &mut reader, row))
    })?;
    Ok(found.left_out(table::MESSAGES))
}

fn listed(db: &Connection, reader: &mut Reader, row: &Row<'_>) -> Result<Listed, StoreError> {
    Listed::new(entry(row, WIDTH)?, reader.read(db, row))
}

pub fn mark_read(
    db: &Connection,
    user: UserId,
    message: Option<MessageId>,
    now: Timestamp,
) -> Result<Option<usize>, StoreError> {
    if let Some(id) = message {
        let exists = db
            .prepare_cached("SELECT 1 FROM messages WHERE id = ?1 AND user_id = ?2")?
            .exists(params![id, user])?;
        if !exists {
            return Ok(None);
        }
    }
    let marked = db
        .prepare_cached(
            "UPDATE messages SET read_at = ?3 WHERE user_id = ?1 AND read_at IS NULL AND (?2 IS NULL OR id = ?2)",
        )?
        .execute(params![user, message, now.timestamp_millis()])?;
    Ok(Some(marked))
}

/// Reads [`ENTRY`] from the columns that begin at `at`.
pub fn entry(row: &Row<'_>, at: usize) -> Result<Entry, StoreError> {
    Ok(Entry {
        id: row.get(at)?,
        event_id: event_of(row.get(at + 1)?),
        kind: named(row, at + 2, Kind::parse)?,
        channel: named(row, at + 3, Channel::parse)?,
        status: named(row, at + 4, Status::parse)?,
        created_at: from_millis(row.get(at + 5)?),
        sent_at: row.get::<_, Option<i64>>(at + 6)?.map(from_millis),
        delivered_at: row.get::<_, Option<i64>>(at + 7)?.map(from_millis),
        error: row.get(at + 8)?,
        read_at: row.get::<_, Option<i64>>(at + 9)?.map(from_millis),
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
