//! The inbox: which messages have had their effect, as in [`sqlite_store::inbox`].

use std::collections::HashSet;

use mongodb::bson::{Bson, doc};
use uuid::Uuid;

use super::{Collection, DocumentExt, Index, Mongo, Tx, date, uuid};
use common::{
    clock::{Timestamp, from_millis},
    outbox::INBOX_KEPT_FOR_MILLIS,
    store::StoreError,
};

/// Part of the schema of every service that receives messages.
pub const SCHEMA: Collection = Collection {
    name: NAME,
    fields: &[("received_at", "date")],
    check: None,
    indexes: &[Index::on(&[("received_at", 1)])],
};
const NAME: &str = "inbox";

/// Notes a message id in the transaction of its effect. `false`: it was there, so the effect must not happen again.
/// Of two transactions with the same message one meets the other's id and is run again.
///
/// # Errors
/// A storage error.
pub async fn first_time(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
    if tx.find_one(NAME, doc! {"_id": uuid(id)}).await?.is_some() {
        return Ok(false);
    }
    tx.insert(NAME, vec![doc! {"_id": uuid(id), "received_at": date(now)}])
        .await?;
    Ok(true)
}

/// Notes several message ids in the transaction of their effects; gives those that were not there.
///
/// # Errors
/// A storage error.
pub async fn first_times(
    tx: &mut Tx,
    ids: impl Iterator<Item = Uuid>,
    now: Timestamp,
) -> Result<HashSet<Uuid>, StoreError> {
    let mut new: HashSet<Uuid> = ids.collect();
    let all: Vec<Bson> = new.iter().map(|id| uuid(*id)).collect();
    for known in tx
        .find(NAME, doc! {"_id": {"$in": all}}, doc! {}, new.len())
        .await?
    {
        new.remove(&known.id("_id")?);
    }
    let noted = new
        .iter()
        .map(|id| doc! {"_id": uuid(*id), "received_at": date(now)});
    tx.insert(NAME, noted.collect()).await?;
    Ok(new)
}

/// Drops ids that no relay will send again, at most `limit`; gives the number dropped.
///
/// # Errors
/// A storage error.
pub async fn purge(db: &Mongo, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let oldest = date(from_millis(now.timestamp_millis() - INBOX_KEPT_FOR_MILLIS));
    let old = doc! {"received_at": {"$lte": oldest}};
    db.read()
        .delete_some(NAME, old, doc! {"received_at": 1}, limit)
        .await
}
