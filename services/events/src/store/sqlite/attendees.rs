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
    let status = match to {
        Recipients::Confirmed => Some("confirmed"),
        Recipients::Pending => Some("pending_payment"),
        Recipients::All => None,
    };
    // The first condition on the status is that of the index.
    let mut statement = db.prepare_cached(
        "SELECT id, user_id FROM registrations
         WHERE event_id = ?1 AND user_id > ?2 AND status IN ('pending_payment', 'confirmed')
            AND (?3 IS NULL OR status = ?3)
         ORDER BY user_id LIMIT ?4",
    )?;
    let after = after.map_or(Uuid::nil(), |user| user.0);
    let rows = statement.query(params![event, after, status, limit as i64])?;
    let found = sift(rows, 0, |row| {
        Ok::<_, StoreError>(AttendeeFound {
            registration_id: row.get(0)?,
            user_id: row.get(1)?,
        })
    })?;
    Ok(found.left_out(table::REGISTRATIONS))
}
