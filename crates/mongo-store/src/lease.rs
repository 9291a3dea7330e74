//! Named leases with fencing tokens, as in [`sqlite_store::lease`].

use mongodb::bson::doc;
use uuid::Uuid;

use super::{Collection, DocumentExt, Mongo, Tx, date, uuid};
use common::{
    clock::{Timestamp, from_millis, latest_end},
    store::StoreError,
};

/// Part of the schema of every service with workers.
pub const SCHEMA: Collection = Collection {
    name: NAME,
    fields: &[("owner", "binData"), ("fence", "long"), ("until", "date")],
    check: None,
    indexes: &[],
};
pub(super) const NAME: &str = "leases";

/// Takes or renews a lease until `until`; gives its fence, or `None` while another owner holds it.
///
/// # Errors
/// A storage error.
pub async fn acquire(
    db: &Mongo,
    name: &str,
    owner: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let mut tx = db.read();
    let free = doc! {"_id": name, "$or": [{"owner": uuid(owner)}, {"until": {"$lte": date(now)}},
    {"until": {"$gt": date(latest_end(now, until))}}]};
    let take = vec![doc! {"$set": {
        "fence": {"$cond": [{"$eq": ["$owner", uuid(owner)]}, "$fence", {"$add": ["$fence", 1_i64]}]},
        "owner": uuid(owner),
        "until": date(until),
    }}];
    for _ in 0..2 {
        if let Some(lease) = tx
            .find_and_update(NAME, free.clone(), doc! {}, take.clone())
            .await?
        {
            return lease.long("fence").map(Some);
        }
        if tx.find_one(NAME, doc! {"_id": name}).await?.is_some() {
            return Ok(None);
        }
        // The first owner ever: one of several concurrent ones makes it.
        let first = doc! {"_id": name, "owner": uuid(owner), "fence": 1_i64, "until": date(until)};
        match tx.insert(NAME, vec![first]).await {
            Ok(()) => return Ok(Some(1)),
            Err(_) if tx.met_duplicate() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether `fence` is still the lease's latest, to be asked in the transaction of the work done under it. It touches
/// the lease, so that of this work and a takeover at the same time one comes before the other.
///
/// # Errors
/// A storage error.
pub async fn holds(tx: &mut Tx, name: &str, owner: Uuid, fence: i64) -> Result<bool, StoreError> {
    let held = doc! {"_id": name, "owner": uuid(owner), "fence": fence};
    tx.update(NAME, held, doc! {"$inc": {"settled": 1_i64}}).await
}

/// Hands a lease back, so that another worker need not wait for it to run out.
///
/// # Errors
/// A storage error.
pub async fn release(db: &Mongo, name: &str, owner: Uuid) -> Result<(), StoreError> {
    let until = doc! {"$set": {"until": date(from_millis(0))}};
    db.read()
        .update(NAME, doc! {"_id": name, "owner": uuid(owner)}, until)
        .await
        .map(drop)
}
