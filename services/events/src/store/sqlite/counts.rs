//! What is counted of events.

use common::{
    clock::{Timestamp, from_millis},
    ids::EventId,
    money::Paise,
    store::StoreError,
};
use sqlite_store::{Connection, params};

use crate::{
    domain::{
        counts::{Bucket, Counts, begins},
        event::Event,
    },
    store::desk::Counted,
};

/// Adds to what is counted of an event.
pub(super) fn add(db: &Connection, event: &Event, counts: Counts, now: Timestamp) -> Result<(), StoreError> {
    let hour = begins(now, event.time.zone, Bucket::Hour);
    db.prepare_cached(
        "INSERT INTO counts (event_id, hour, confirmed, ended, cancelled, paid, refunded, checked_in)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (event_id, hour) DO UPDATE SET
            confirmed = confirmed + excluded.confirmed, ended = ended + excluded.ended,
            cancelled = cancelled + excluded.cancelled, paid = paid + excluded.paid,
            refunded = refunded + excluded.refunded, checked_in = checked_in + excluded.checked_in",
    )?
    .execute(params![
        event.id,
        hour.timestamp_millis(),
        counts.confirmed,
        counts.ended,
        counts.cancelled,
        counts.paid,
        counts.refunded,
        counts.checked_in
    ])?;
    Ok(())
}

pub(super) fn of(db: &Connection, event: EventId, now: Timestamp) -> Result<Counted, StoreError> {
    let pending_payment: i64 = db
        .prepare_cached(
            "SELECT COUNT(*) FROM registrations
             WHERE event_id = ?1 AND status = 'pending_payment' AND hold_expires_at > ?2",
        )?
        .one(params![event, now.timestamp_millis()], |row| row.get(0))?;
    let mut statement = db.prepare_cached(
        "SELECT hour, confirmed, ended, cancelled, paid, refunded, checked_in FROM counts
         WHERE event_id = ?1 ORDER BY hour",
    )?;
    let hours = statement.all([event], |row| {
        let counts = Counts {
            confirmed: row.get(1)?,
            ended: row.get(2)?,
            cancelled: row.get(3)?,
            paid: Paise(row.get(4)?),
            refunded: Paise(row.get(5)?),
            checked_in: row.get(6)?,
        };
        Ok((from_millis(row.get(0)?), counts))
    })?;
    Ok(Counted {
        pending_payment: pending_payment.unsigned_abs(),
        hours,
    })
}
