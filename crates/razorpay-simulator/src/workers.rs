//! Bringing about what is due: outcomes of payments, ends of windows, refunds that fail, links that expire. Each is a
//! row with a time, found by that time; a restart changes nothing.

use std::time::Duration;

use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Tx},
    failure::Failure,
    moves,
    records::{Link, Payment, Refund},
};

/// Brought about in one commit.
const BATCH: i64 = 128;
/// How long to wait when nothing is known to come.
const IDLE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
enum Kind {
    Payment,
    Refund,
    Link,
}

/// Works until `stop`.
pub(crate) async fn run(app: &App, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let pause = step(app).await.unwrap_or(Duration::from_secs(1));
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.due.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Brings about what is due; gives how long until something else will be.
async fn step(app: &App) -> Result<Duration, Failure> {
    loop {
        let coming = app.db.read(coming).await?;
        let now = app.clock.now_ms();
        let (due, later): (Vec<_>, Vec<_>) = coming.into_iter().partition(|(at, ..)| *at <= now);
        if due.is_empty() {
            let next = later
                .first()
                .map(|(at, ..)| Duration::from_millis((at - now).unsigned_abs()));
            return Ok(next.unwrap_or(IDLE).min(IDLE));
        }
        app.change(move |tx| {
            due.iter()
                .try_for_each(|(_, kind, id)| bring_about(tx, *kind, id))
        })
        .await?;
    }
}

/// The next things to come, soonest first.
fn coming(db: &Connection) -> Result<Vec<(i64, Kind, String)>, Failure> {
    let sql = "SELECT due_at, 0, id FROM payments WHERE due_at IS NOT NULL
        UNION ALL SELECT due_at, 1, id FROM refunds WHERE due_at IS NOT NULL
        UNION ALL SELECT due_at, 2, id FROM links WHERE due_at IS NOT NULL
        ORDER BY 1 LIMIT ?1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![BATCH])?;
    let mut coming = Vec::new();
    while let Some(row) = rows.next()? {
        let kind = match row.get::<_, i64>(1)? {
            0 => Kind::Payment,
            1 => Kind::Refund,
            _ => Kind::Link,
        };
        coming.push((row.get(0)?, kind, row.get(2)?));
    }
    Ok(coming)
}

/// Each looks again whether it is still due: since the reading, a customer or merchant may have been faster.
fn bring_about(tx: &Tx<'_>, kind: Kind, id: &str) -> Result<(), Failure> {
    match kind {
        Kind::Payment => moves::payment::expire(tx, &mut Payment::find(tx.db, id)?),
        Kind::Refund => moves::refund::expire(tx, &mut Refund::find(tx.db, id)?),
        Kind::Link => moves::link::expire(tx, &mut Link::find(tx.db, id)?),
    }
}
