//! API keys.

use common::{
    api_keys::KeyHash,
    auth::Role,
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    ids::UserId,
    store::StoreError,
    wire::{ApiKeyCard, EndedSession},
};
use mongo_store::{Collection, DocumentExt, Index, Mongo, Tx, date, sift, uuid, uuids};
use mongodb::bson::{Document, doc};
use uuid::Uuid;

use super::{SESSIONS, USERS, bytes, end};
use crate::{
    domain::{Dropped, Email, MAX_KEYS, StoredKey, deleted, read_scopes, stored_scopes},
    store::{KeyAdded, table},
};

const API_KEYS: &str = "api_keys";

pub(super) const SCHEMA: Collection = Collection {
    name: API_KEYS,
    fields: &[
        ("user_id", "binData"),
        ("email", "string"), // the account's at that time, if it was verified
        ("name", "string"),
        ("scopes", "string"), // names with blanks between them
        ("hash", "binData"),  // SHA-256
        ("created_at", "date"),
        ("expires_at", "date?"),
        ("last_used_at", "date?"),
    ],
    check: None,
    indexes: &[
        Index::unique(&[("hash", 1)]),
        Index::on(&[("user_id", 1), ("created_at", 1), ("_id", 1)]),
    ],
};

fn key(found: &Document) -> Result<StoredKey, StoreError> {
    let hash = <[u8; 32]>::try_from(found.bytes("hash")?);
    Ok(StoredKey {
        id: found.id("_id")?,
        user: found.id("user_id")?,
        name: found.text("name")?,
        scopes: read_scopes(&found.text("scopes")?),
        hash: KeyHash(
            hash.map_err(|_| StoreError::Corrupt("an API key with an unreadable hash".to_owned()))?,
        ),
        created_at: found.time("created_at")?,
        expires_at: found.maybe_time("expires_at")?,
        last_used_at: found.maybe_time("last_used_at")?,
    })
}

/// Adds a key for whoever this session still is of.
pub(super) async fn add(tx: &mut Tx, key: &StoredKey, session: Uuid) -> Result<KeyAdded, StoreError> {
    // An update, not a look, so that whoever takes the account over at the same time conflicts, and so does another key.
    let this = doc! {"_id": uuid(key.user)};
    let session = doc! {"_id": uuid(session), "user_id": uuid(key.user)};
    if !tx.update(USERS, this, doc! {"$inc": {"revision": 1_i64}}).await?
        || tx.find_one(SESSIONS, session).await?.is_none()
    {
        return Ok(KeyAdded::SessionEnded);
    }
    let Some(owner) = tx.find_one(USERS, doc! {"_id": uuid(key.user)}).await? else {
        return Ok(KeyAdded::SessionEnded);
    };
    let proved = match owner.maybe_flag("email_verified")? {
        Some(true) => owner.text("email")?,
        _ => String::new(),
    };
    let theirs = doc! {"user_id": uuid(key.user)};
    if tx.count(API_KEYS, theirs).await? >= MAX_KEYS as u64 {
        return Ok(KeyAdded::TooMany);
    }
    let mut document = doc! {
        "_id": uuid(key.id),
        "user_id": uuid(key.user),
        "email": proved,
        "name": &key.name,
        "scopes": stored_scopes(&key.scopes),
        "hash": bytes(&key.hash.0),
        "created_at": date(key.created_at),
    };
    document.put("expires_at", key.expires_at.map(date));
    document.put("last_used_at", key.last_used_at.map(date));
    tx.insert(API_KEYS, vec![document]).await?;
    Ok(KeyAdded::Added)
}

/// A user's keys, newest first.
pub(super) async fn list(tx: &mut Tx, user: UserId, page: Page) -> Result<Vec<StoredKey>, StoreError> {
    let mut filter = doc! {"user_id": uuid(user)};
    if let Some(Cursor { key, id }) = page.after {
        let at = date(from_millis(key));
        filter.insert("created_at", doc! {"$lte": at.clone()});
        filter.insert(
            "$or",
            vec![doc! {"created_at": {"$lt": at}}, doc! {"_id": {"$lt": uuid(id)}}],
        );
    }
    let order = doc! {"created_at": -1, "_id": -1};
    let (wanted, mut asked) = (page.limit + 1, page.limit + 1);
    loop {
        let found = tx.find(API_KEYS, filter.clone(), order.clone(), asked).await?;
        let found = sift(&found, key)?;
        match found.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => return Ok(found.left_out(table::API_KEYS)),
        }
    }
}

/// Deletes a user's key.
pub(super) async fn delete(
    tx: &mut Tx,
    user: UserId,
    id: Uuid,
    at: Timestamp,
) -> Result<Option<EndedSession>, StoreError> {
    let this = doc! {"_id": uuid(id), "user_id": uuid(user)};
    match tx.delete(API_KEYS, this).await? {
        0 => Ok(None),
        _ => end(tx, deleted(id, at)).await.map(Some),
    }
}

/// Deletes keys of a user whose account has this address.
pub(super) async fn drop_of(
    tx: &mut Tx,
    user: UserId,
    email: &Email,
    which: Dropped,
    at: Timestamp,
) -> Result<Vec<EndedSession>, StoreError> {
    let mut these = doc! {"user_id": uuid(user)};
    match which {
        Dropped::Nothing => return Ok(Vec::new()),
        Dropped::OfOtherAddresses => drop(these.insert("email", doc! {"$ne": email.as_str()})),
        Dropped::All => {}
    }
    let found = tx.find(API_KEYS, these, doc! {}, usize::MAX).await?;
    let mut ended = Vec::with_capacity(found.len());
    for key in found {
        ended.extend(delete(tx, user, key.id("_id")?, at).await?);
    }
    Ok(ended)
}

/// What the keys of these hashes are good for; their uses are noted.
pub(super) async fn use_all(
    db: &Mongo,
    hashes: Vec<KeyHash>,
    now: Timestamp,
) -> Result<Vec<ApiKeyCard>, StoreError> {
    let mut tx = db.read();
    let limit = hashes.len();
    let these: Vec<_> = hashes.iter().map(|hash| bytes(&hash.0)).collect();
    let found = tx
        .find(API_KEYS, doc! {"hash": {"$in": these}}, doc! {}, limit)
        .await?;
    let keys: Vec<StoredKey> = sift(&found, key)?.left_out(table::API_KEYS);
    let owners = uuids(keys.iter().map(|key| key.user));
    let owners = tx
        .find(USERS, doc! {"_id": {"$in": owners}}, doc! {}, limit)
        .await?;
    let roles = sift(&owners, |owner| {
        Ok((owner.id::<UserId>("_id")?, owner.named("role", Role::parse)?))
    })?;
    let roles = roles.left_out(table::USERS);
    let to_note = uuids(keys.iter().filter(|key| key.notes_use(now)).map(|key| key.id));
    if !to_note.is_empty() {
        let used = doc! {"$set": {"last_used_at": date(now)}};
        let noted = tx
            .update_all(API_KEYS, doc! {"_id": {"$in": to_note}}, used)
            .await;
        // A key is good although nobody can write down that it was used.
        if let Err(error) = noted {
            tracing::warn!(%error, "the use of an API key could not be noted");
        }
    }
    let role = |user| {
        roles
            .iter()
            .find(|(owner, _)| *owner == user)
            .map(|(_, role)| *role)
    };
    Ok(keys
        .into_iter()
        .filter_map(|key| role(key.user).map(|role| key.card(role)))
        .collect())
}
