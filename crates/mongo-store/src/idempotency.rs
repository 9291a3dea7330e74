//! Idempotency keys, as in [`sqlite_store::idempotency`].

use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use sha2::{Digest, Sha256};

use super::{Collection, DocumentExt, Index, Mongo, Tx, date};
use common::{
    clock::{Timestamp, from_millis},
    idempotency::{Answer, KEPT_FOR_SECONDS, Key, Keyed, Outcome, Refusal, is_in_flight},
    ids::UserId,
    store::StoreError,
};

/// Part of the schema of every service that takes keys. `_id` is the SHA-256 of caller, route and key.
pub const SCHEMA: Collection = Collection {
    name: NAME,
    fields: &[
        ("fingerprint", "binData"),
        ("status", "long?"), // left out while the request is being worked on
        ("body", "binData?"),
        ("claimed_until", "date"), // a claim that is older belongs to a process that died
        ("created_at", "date"),
    ],
    check: None,
    indexes: &[Index::on(&[("created_at", 1)])],
};
const NAME: &str = "idempotency_keys";

fn bytes(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    })
}

fn id_of(key: &Key) -> Bson {
    id(key.caller, &key.route, &key.key)
}

/// `_id` of a key.
pub fn id(caller: UserId, route: &str, key: &str) -> Bson {
    let mut hash = Sha256::new();
    hash.update(caller.0.as_bytes());
    hash.update((route.len() as u64).to_be_bytes());
    hash.update(route);
    hash.update(key);
    bytes(&hash.finalize())
}

/// Carries out `change` unless its key says that it was carried out before; then stores the answer beside it. Call it inside
/// [`Mongo::write`], which makes both one transaction.
///
/// # Errors
/// What `change` returns; then nothing is stored and the key stays free.
pub async fn keyed<T, E: From<StoreError>>(
    tx: &mut Tx,
    keyed: &Keyed<T>,
    now: Timestamp,
    change: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
) -> Result<Outcome<T>, E> {
    if let Some(refusal) = check(tx, keyed, now).await? {
        return Ok(Outcome::Refused(refusal));
    }
    let value = change(tx).await?;
    keep(tx, keyed, &value, now).await?;
    Ok(Outcome::Done(value))
}

/// Looks a keyed change up: `None` when it may go ahead. Then [`keep`] its answer in the same transaction.
///
/// # Errors
/// A storage error.
pub async fn check<T>(tx: &mut Tx, keyed: &Keyed<T>, now: Timestamp) -> Result<Option<Refusal>, StoreError> {
    match &keyed.key {
        Some(key) => find(tx, key, now).await,
        None => Ok(None),
    }
}

/// Stores the answer to a keyed change that was carried out.
///
/// # Errors
/// A storage error.
pub async fn keep<T>(tx: &mut Tx, keyed: &Keyed<T>, value: &T, now: Timestamp) -> Result<(), StoreError> {
    match &keyed.key {
        Some(key) => store(tx, key, &(keyed.answer)(value), now).await,
        None => Ok(()),
    }
}

/// Looks a key up: `None` when the request may go ahead.
///
/// # Errors
/// A storage error.
pub async fn find(tx: &mut Tx, key: &Key, now: Timestamp) -> Result<Option<Refusal>, StoreError> {
    let oldest = date(from_millis(now.timestamp_millis() - KEPT_FOR_SECONDS * 1000));
    let kept = doc! {"_id": id_of(key), "created_at": {"$gt": oldest}};
    let Some(found) = tx.find_one(NAME, kept).await? else {
        return Ok(None);
    };
    if found.bytes("fingerprint")? != key.fingerprint {
        return Ok(Some(Refusal::OtherBody));
    }
    Ok(match found.maybe_long("status")? {
        Some(status) => Some(Refusal::Replay(Answer {
            status: u16::try_from(status).map_err(|_| StoreError::Corrupt(format!("status {status}")))?,
            body: found.maybe_bytes("body")?.unwrap_or_default(),
        })),
        None if is_in_flight(found.time("created_at")?, found.time("claimed_until")?, now) => {
            Some(Refusal::InFlight)
        }
        None => None,
    })
}

/// Claims a key for work that takes several steps, until `until`; `Some` when it may not be claimed.
///
/// # Errors
/// A storage error.
pub async fn claim(
    tx: &mut Tx,
    key: &Key,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Refusal>, StoreError> {
    if let Some(refusal) = find(tx, key, now).await? {
        return Ok(Some(refusal));
    }
    put(tx, key, None, now, until).await?;
    Ok(None)
}

/// Gives a claim back, so that the caller may try again.
///
/// # Errors
/// A storage error.
pub async fn release(tx: &mut Tx, key: &Key) -> Result<(), StoreError> {
    let claimed = doc! {"_id": id_of(key), "status": {"$exists": false}};
    tx.delete(NAME, claimed).await.map(drop)
}

/// Forgets a key with its answer, which has turned out not to be true.
///
/// # Errors
/// A storage error.
pub async fn forget(tx: &mut Tx, key: &Key) -> Result<(), StoreError> {
    tx.delete(NAME, doc! {"_id": id_of(key)}).await.map(drop)
}

/// Stores the answer to a request.
///
/// # Errors
/// A storage error.
pub async fn store(tx: &mut Tx, key: &Key, answer: &Answer, now: Timestamp) -> Result<(), StoreError> {
    put(tx, key, Some(answer), now, now).await
}

async fn put(
    tx: &mut Tx,
    key: &Key,
    answer: Option<&Answer>,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    let mut set: Document = doc! {
        "fingerprint": bytes(&key.fingerprint),
        "claimed_until": date(until),
        "created_at": date(now),
    };
    set.put("status", answer.map(|answer| i64::from(answer.status)));
    set.put("body", answer.map(|answer| bytes(&answer.body)));
    let mut update = doc! {"$set": set};
    if answer.is_none() {
        update.insert("$unset", doc! {"status": "", "body": ""});
    }
    tx.upsert(NAME, doc! {"_id": id_of(key)}, update).await.map(drop)
}

/// Drops keys past their 24 hours, at most `limit`; gives the number dropped.
///
/// # Errors
/// A storage error.
pub async fn purge(db: &Mongo, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let oldest = date(from_millis(now.timestamp_millis() - KEPT_FOR_SECONDS * 1000));
    let old = doc! {"created_at": {"$lte": oldest}};
    db.read()
        .delete_some(NAME, old, doc! {"created_at": 1}, limit)
        .await
}
