//! What people have chosen to be told.

use std::collections::{HashMap, HashSet};

use common::{clock::Timestamp, ids::UserId, store::StoreError, unreadable::not_json};
use mongo_store::{DocumentExt, Tx, date, uuid, uuids};
use mongodb::bson::{Document, doc};

use super::schema::{FORGOTTEN, PREFERENCES};
use crate::{domain::preferences::Preferences, store::PreferencesChange};

fn read(found: &Document) -> Result<Preferences, StoreError> {
    serde_json::from_str(&found.text("choice")?).map_err(|error| not_json("choice", &error))
}

/// The choice of a user; the default when there is none.
pub(super) async fn of(tx: &mut Tx, user: UserId) -> Result<Preferences, StoreError> {
    let found = tx.find_one(PREFERENCES, doc! {"_id": uuid(user)}).await?;
    Ok(found.as_ref().map(read).transpose()?.unwrap_or_default())
}

/// The choices of users. One that cannot be read is none: better one letter too many.
pub(super) async fn of_all(
    tx: &mut Tx,
    users: &HashSet<UserId>,
) -> Result<HashMap<UserId, Preferences>, StoreError> {
    let which = doc! {"_id": {"$in": uuids(users.iter().copied())}};
    let found = tx.find(PREFERENCES, which, doc! {}, users.len()).await?;
    let read = |found: &Document| Some((found.id("_id").ok()?, read(found).ok()?));
    Ok(found.iter().filter_map(read).collect())
}

/// Changes the choice of a user.
pub(super) async fn set(
    tx: &mut Tx,
    user: UserId,
    change: PreferencesChange,
    now: Timestamp,
) -> Result<Preferences, StoreError> {
    let choice = change.apply(of(tx, user).await?);
    if tx.find_one(FORGOTTEN, doc! {"_id": uuid(user)}).await?.is_some() {
        return Ok(choice);
    }
    let json = serde_json::to_string(&choice).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let set = doc! {"$set": {"choice": json, "at": date(now)}};
    tx.upsert(PREFERENCES, doc! {"_id": uuid(user)}, set).await?;
    Ok(choice)
}
