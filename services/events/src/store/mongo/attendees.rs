//! Who takes part in an event.

use common::{
    ids::{EventId, UserId},
    store::StoreError,
    unreadable::Sifted,
    wire::{AttendeeFound, Recipients},
};
use mongo_store::{DocumentExt, Key, Tx, uuid};
use mongodb::bson::doc;

use super::schema::{REGISTRATIONS, WAITLIST};
use crate::store::table;

pub(super) async fn page(
    tx: &mut Tx,
    event: EventId,
    to: Recipients,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<AttendeeFound>, StoreError> {
    // Of both collections the open ones are in an index by event and user.
    let (collection, table) = match to {
        Recipients::Waitlist => (WAITLIST, table::WAITLIST),
        _ => (REGISTRATIONS, table::REGISTRATIONS),
    };
    let mut rest = doc! {"event_id": uuid(event)};
    rest.insert(if collection == WAITLIST { "open" } else { "live" }, true);
    if let Some(after) = after {
        rest.insert("user_id", doc! {"$gt": uuid(after)});
    }
    match to {
        Recipients::Confirmed => rest.insert("status", "confirmed"),
        Recipients::Pending => rest.insert("status", "pending_payment"),
        Recipients::Waitlist | Recipients::All => None,
    };
    let found = tx.find(collection, rest, doc! {"user_id": 1}, limit).await?;
    let mut attendees = Sifted::default();
    for found in &found {
        let attendee = found.id("user_id").and_then(|user_id| {
            Ok(AttendeeFound {
                user_id,
                registration_id: found.id("_id")?,
            })
        });
        attendees.add(attendee, || Key::of(found))?;
    }
    Ok(attendees.left_out(table))
}
