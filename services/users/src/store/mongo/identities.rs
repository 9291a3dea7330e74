//! Who users are elsewhere.

use common::{
    auth::Role,
    clock::Timestamp,
    ids::{UserId, new_id},
    store::StoreError,
    wire::EndedSession,
};
use mongo_store::{Collection, DocumentExt, Index, Tx, date, uuid};
use mongodb::bson::{Document, doc};

use super::{SECOND_FACTORS, USERS, api_keys, end_of, mailed_tokens, user};
use crate::{
    domain::{Dropped, Email, Identity, PasswordHash, User},
    store::Claim,
};

const IDENTITIES: &str = "identities";

pub(super) const SCHEMA: Collection = Collection {
    name: IDENTITIES,
    fields: &[
        ("issuer", "string"),
        ("subject", "string"),
        ("user_id", "binData"),
        ("email", "string"), // the account's at that time
        ("linked_at", "date"),
    ],
    check: None,
    indexes: &[
        Index::unique(&[("issuer", 1), ("subject", 1)]),
        Index::on(&[("user_id", 1)]),
    ],
};

fn this(identity: &Identity) -> Document {
    doc! {"issuer": &identity.issuer, "subject": &identity.subject}
}

/// The user that an identity is linked with.
pub(super) async fn user_of(tx: &mut Tx, identity: &Identity) -> Result<Option<User>, StoreError> {
    let Some(found) = tx.find_one(IDENTITIES, this(identity)).await? else {
        return Ok(None);
    };
    let id: UserId = found.id("user_id")?;
    let found = tx.find_one(USERS, doc! {"_id": uuid(id)}).await?;
    found.as_ref().map(user).transpose()
}

/// Those that a user is linked with, the earliest first.
pub(super) async fn of(tx: &mut Tx, user: UserId) -> Result<Vec<(Identity, Timestamp)>, StoreError> {
    let order = doc! {"linked_at": 1, "_id": 1};
    let found = tx
        .find(IDENTITIES, doc! {"user_id": uuid(user)}, order, usize::MAX)
        .await?;
    let read = |found: &Document| {
        let identity = Identity {
            issuer: found.text("issuer")?,
            subject: found.text("subject")?,
        };
        Ok((identity, found.time("linked_at")?))
    };
    found.iter().map(read).collect()
}

/// Links an identity within a transaction; `false` when it is linked already.
pub(super) async fn add(
    tx: &mut Tx,
    identity: &Identity,
    user: UserId,
    email: &Email,
    at: Timestamp,
) -> Result<bool, StoreError> {
    // A concurrent one violates the index; the transaction runs again, and finds it.
    if tx.find_one(IDENTITIES, this(identity)).await?.is_some() {
        return Ok(false);
    }
    let mut document = this(identity);
    document.insert("_id", uuid(new_id()));
    document.insert("user_id", uuid(user));
    document.insert("email", email.as_str());
    document.insert("linked_at", date(at));
    tx.insert(IDENTITIES, vec![document]).await?;
    Ok(true)
}

/// Links an identity with an account that still is as it was when its password was checked.
pub(super) async fn link(
    tx: &mut Tx,
    identity: &Identity,
    user: UserId,
    email: &Email,
    proved: &PasswordHash,
    at: Timestamp,
) -> Result<bool, StoreError> {
    // An update, not a look, so that a concurrent change of the account conflicts.
    let unchanged = doc! {
        "_id": uuid(user), "email": email.as_str(), "password_hash": proved.as_str(), "email_verified": true,
    };
    let touched = doc! {"$inc": {"revision": 1_i64}};
    Ok(tx.update(USERS, unchanged, touched).await? && add(tx, identity, user, email, at).await?)
}

/// Gives an account to who has proved its address.
pub(super) async fn claim(tx: &mut Tx, claim: &Claim) -> Result<Option<Vec<EndedSession>>, StoreError> {
    let unproved =
        doc! {"_id": uuid(claim.user), "email": claim.email.as_str(), "email_verified": {"$ne": true}};
    let mut set = doc! {"password_hash": "", "email_verified": true};
    set.put("name", claim.name.as_deref());
    set.put("role", claim.role.map(Role::name));
    let mut unset = doc! {"phone": "", "timezone": "", "locale": ""};
    if claim.name.is_none() {
        unset.insert("name", "");
    }
    let proved = doc! {"$set": set, "$unset": unset};
    if tx.find_one(IDENTITIES, this(&claim.identity)).await?.is_some()
        || !tx.update(USERS, unproved, proved).await?
    {
        return Ok(None);
    }
    add(tx, &claim.identity, claim.user, &claim.email, claim.at).await?;
    mailed_tokens::forget_all(tx, claim.user).await?;
    tx.delete(SECOND_FACTORS, doc! {"_id": uuid(claim.user)}).await?;
    let mut ended = end_of(tx, claim.user, None, claim.at, usize::MAX).await?;
    let dropped = api_keys::drop_of(tx, claim.user, &claim.email, Dropped::All, claim.at);
    ended.extend(dropped.await?);
    Ok(Some(ended))
}

/// Takes away what was added to an account since then: linked identities and the second factor.
pub(super) async fn undo_since(tx: &mut Tx, user: UserId, since: Timestamp) -> Result<(), StoreError> {
    let since = doc! {"$gte": date(since)};
    tx.delete(
        IDENTITIES,
        doc! {"user_id": uuid(user), "linked_at": since.clone()},
    )
    .await?;
    // One that is proposed may be about to be confirmed.
    let factor = doc! {"_id": uuid(user), "$or": [{"confirmed": false}, {"confirmed_at": since}]};
    tx.delete(SECOND_FACTORS, factor).await?;
    Ok(())
}

/// Takes linked identities away from an account that has this address.
pub(super) async fn unlink(
    tx: &mut Tx,
    user: UserId,
    email: &Email,
    which: Dropped,
) -> Result<(), StoreError> {
    let mut these = doc! {"user_id": uuid(user)};
    match which {
        Dropped::Nothing => return Ok(()),
        Dropped::OfOtherAddresses => drop(these.insert("email", doc! {"$ne": email.as_str()})),
        Dropped::All => {}
    }
    tx.delete(IDENTITIES, these).await?;
    Ok(())
}
