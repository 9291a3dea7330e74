//! The audit trail in the service's own file.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Sqlite, rows::sift};
use crate::{Row, RowResult, params};
use common::{
    audit::{AT_ONCE, AuditStore, Entry, Wanted},
    clock::{Timestamp, from_millis},
    store::StoreError,
};

/// The table; a migration of every service. Entries are never changed.
pub const SCHEMA: &str = "
CREATE TABLE audit (
    id         BLOB    NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,                -- ms
    user_id    BLOB,
    session_id BLOB,
    api_key_id BLOB,
    action     TEXT    NOT NULL,
    subject    TEXT,
    network    TEXT    NOT NULL,
    status     INTEGER NOT NULL,
    code       TEXT,
    request_id TEXT    NOT NULL,
    times      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX audit_by_user ON audit (user_id, at, id) WHERE user_id IS NOT NULL;
CREATE TRIGGER audit_is_only_added_to BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
";

/// The audit trail of a service.
pub struct SqliteAudit(Sqlite);

impl SqliteAudit {
    /// As the service takes it.
    pub fn shared(db: Sqlite) -> Arc<dyn AuditStore> {
        Arc::new(Self(db))
    }
}

const COLUMNS: &str =
    "id, at, user_id, session_id, api_key_id, action, subject, network, status, code, request_id, times";

fn entry(row: &Row<'_>) -> RowResult<Entry> {
    Ok(Entry {
        id: row.get(0)?,
        at: from_millis(row.get(1)?),
        user: row.get(2)?,
        session: row.get(3)?,
        api_key: row.get(4)?,
        action: row.get(5)?,
        subject: row.get(6)?,
        network: row.get(7)?,
        status: row.get(8)?,
        code: row.get(9)?,
        request_id: row.get(10)?,
        times: row.get(11)?,
    })
}

#[async_trait]
impl AuditStore for SqliteAudit {
    async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.0
            .write(move |db| {
                let sql = format!(
                    "INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                     ON CONFLICT (id) DO NOTHING"
                );
                let mut insert = db.prepare_cached(&sql)?;
                for entry in entries {
                    insert.execute(params![
                        entry.id,
                        entry.at.timestamp_millis(),
                        entry.user,
                        entry.session,
                        entry.api_key,
                        entry.action,
                        entry.subject,
                        entry.network,
                        i64::from(entry.status),
                        entry.code,
                        entry.request_id,
                        i64::from(entry.times),
                    ])?;
                }
                Ok(())
            })
            .await
    }

    async fn entries(&self, wanted: Wanted) -> Result<Vec<Entry>, StoreError> {
        self.0
            .read(move |db| {
                let since = wanted.since.map_or(i64::MIN, |at| at.timestamp_millis());
                let (beyond, order, from) = match wanted.newest_first {
                    true => ("<", "DESC", (i64::MAX, Uuid::max())),
                    false => (">", "ASC", (i64::MIN, Uuid::nil())),
                };
                let (at, id) = wanted.after.map_or(from, |(at, id)| (at.timestamp_millis(), id));
                let of = match wanted.user {
                    Some(_) => "user_id = ?5",
                    None => "?5 IS NULL",
                };
                let sql = format!(
                    "SELECT {COLUMNS} FROM audit WHERE {of} AND at >= ?1 AND (at, id) {beyond} (?2, ?3)
                     ORDER BY at {order}, id {order} LIMIT ?4"
                );
                let mut select = db.prepare_cached(&sql)?;
                let rows = select.query(params![since, at, id, AT_ONCE as i64, wanted.user])?;
                Ok(sift(rows, 0, entry)?.left_out("audit"))
            })
            .await
    }

    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0
            .write(move |db| {
                Ok(db
                    .prepare_cached(
                        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 ORDER BY at, id LIMIT ?2)",
                    )?
                    .execute(params![before.timestamp_millis(), limit as i64])?)
            })
            .await
    }
}
