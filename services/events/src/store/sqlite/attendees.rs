//! Who takes part in an event.

use common::{
    ids::{EventId, UserId},
    store::StoreError,
    wire::{AttendeeFound, Recipients},
};
use sqlite_store::{Connection, params, rows::sift};
use uuid::Uuid;

use crate::store::table;

pub(super) fn page(
    db: &Connection,
    event: EventId,
    to: Recipients,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<AttendeeFound>, StoreError> {
    let (status, table) = match to {
        Recipients::Confirmed => (Some("confirmed"), table::REGISTRATIONS),
        Recipients::Pending => (Some("pending_payment"), table::REGISTRATIONS),
        Recipients::All => (None, table::REGISTRATIONS),
        Recipients::Waitlist => (None, table::WAITLIST),
    };
    // The first condition on the status is that of the index.
    let sql = match to {
        Recipients::Waitlist => {
            "SELECT id, user_id FROM waitlist
             WHERE event_id = ?1 AND user_id > ?2 AND status IN ('waiting', 'offered') AND ?3 IS NULL
             ORDER BY user_id LIMIT ?4"
        }
        _ => {
            "SELECT id, user_id FROM registrations
             WHERE event_id = ?1 AND user_id > ?2 AND status IN ('pending_payment', 'confirmed')
                AND (?3 IS NULL OR status = ?3)
             ORDER BY user_id LIMIT ?4"
        }
    };
    let mut statement = db.prepare_cached(sql)?;
    let after = after.map_or(Uuid::nil(), |user| user.0);
    let rows = statement.query(params![event, after, status, limit as i64])?;
    let found = sift(rows, 0, |row| {
        Ok::<_, StoreError>(AttendeeFound {
            registration_id: row.get(0)?,
            user_id: row.get(1)?,
        })
    })?;
    Ok(found.left_out(table))
}
