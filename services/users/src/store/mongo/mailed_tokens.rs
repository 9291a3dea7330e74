//! Mailed tokens: issued with the message that has them mailed, and used with all of their effect.

use common::{clock::Timestamp, ids::UserId, store::StoreError};
use mongo_store::{Collection, DocumentExt, Index, Tx, date, outbox, sift, uuid};
use mongodb::bson::{Document, doc};
use uuid::Uuid;

use super::{USERS, account, api_keys, by_email, end_of, identities};
use crate::{
    domain::{Email, MailedToken, PasswordHash, Purpose, User},
    store::{Issue, Redeemed, Redemption, TIDIED, table},
};

const MAILED_TOKENS: &str = "mailed_tokens";

/// By what the token and its code are derived from.
pub(super) const SCHEMA: Collection = Collection {
    name: MAILED_TOKENS,
    fields: &[
        ("user_id", "binData"),
        ("purpose", "string"),
        ("email", "string"),
        ("issued_at", "date"),
        ("expires_at", "date"),
        ("undoes_since", "date?"),
    ],
    check: None,
    indexes: &[
        Index::on(&[("user_id", 1)]),
        Index::on(&[("email", 1), ("issued_at", 1)]),
        Index::on(&[("expires_at", 1)]),
    ],
};

fn token(found: &Document) -> Result<MailedToken, StoreError> {
    Ok(MailedToken {
        id: found.id("_id")?,
        user: found.id("user_id")?,
        purpose: found.named("purpose", Purpose::parse)?,
        email: Email::stored(found.text("email")?),
        issued_at: found.time("issued_at")?,
        expires_at: found.time("expires_at")?,
        undoes_since: found.maybe_time("undoes_since")?,
    })
}

/// Drops some that have expired.
pub(super) async fn tidy(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    let over = doc! {"expires_at": {"$lt": date(now)}};
    tx.delete_some(MAILED_TOKENS, over, doc! {"expires_at": 1}, TIDIED)
        .await?;
    Ok(())
}

/// Issues a token within a transaction.
pub(super) async fn issue(tx: &mut Tx, issue: &Issue) -> Result<(), StoreError> {
    let Issue { token, message } = issue;
    if token.purpose.replaces() {
        forget(tx, token.user, &[token.purpose]).await?;
    }
    touch(tx, token.user).await?;
    let mut document = doc! {
        "_id": uuid(token.id),
        "user_id": uuid(token.user),
        "purpose": token.purpose.name(),
        "email": token.email.as_str(),
        "issued_at": date(token.issued_at),
        "expires_at": date(token.expires_at),
    };
    document.put("undoes_since", token.undoes_since.map(date));
    tx.insert(MAILED_TOKENS, vec![document]).await?;
    outbox::push(tx, std::slice::from_ref(message)).await?;
    Ok(())
}

/// Voids a user's tokens of these purposes.
pub(super) async fn forget(tx: &mut Tx, user: UserId, purposes: &[Purpose]) -> Result<(), StoreError> {
    let purposes: Vec<&str> = purposes.iter().map(|purpose| purpose.name()).collect();
    let these = doc! {"user_id": uuid(user), "purpose": {"$in": purposes}};
    tx.delete(MAILED_TOKENS, these).await?;
    Ok(())
}

/// Voids all of a user's tokens.
pub(super) async fn forget_all(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.delete(MAILED_TOKENS, doc! {"user_id": uuid(user)}).await?;
    Ok(())
}

/// Whether the owner of an account, not this one, can still put it back to this address.
pub(super) async fn is_reserved(
    tx: &mut Tx,
    email: &Email,
    user: Option<UserId>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut these = by_email(email);
    these.insert("purpose", Purpose::RestoreEmail.name());
    these.insert("expires_at", doc! {"$gt": date(now)});
    these.put("user_id", user.map(|user| doc! {"$ne": uuid(user)}));
    Ok(tx.find_one(MAILED_TOKENS, these).await?.is_some())
}

/// Changes a user's document, so that whatever else is decided on it meanwhile conflicts, and is decided again.
async fn touch(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let this = doc! {"_id": uuid(user)};
    tx.update(USERS, this, doc! {"$inc": {"revision": 1_i64}}).await?;
    Ok(())
}

/// Until when an earlier address of an account can be put back, or the account that was put back recovered.
pub(super) async fn way_back_until(
    tx: &mut Tx,
    user: UserId,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let these = doc! {
        "user_id": uuid(user),
        "purpose": {"$in": [Purpose::RestoreEmail.name(), Purpose::RecoverAccount.name()]},
        "expires_at": {"$gt": date(now)},
    };
    let found = tx.find(MAILED_TOKENS, these, doc! {}, usize::MAX).await?;
    let until = found.iter().map(|found| found.time("expires_at"));
    Ok(until.collect::<Result<Vec<_>, _>>()?.into_iter().max())
}

/// The token of this id.
pub(super) async fn find(tx: &mut Tx, id: Uuid) -> Result<Option<MailedToken>, StoreError> {
    let found = tx.find_one(MAILED_TOKENS, doc! {"_id": uuid(id)}).await?;
    found.as_ref().map(token).transpose()
}

/// Those mailed to an address, newest first.
pub(super) async fn of_address(tx: &mut Tx, email: &Email) -> Result<Vec<MailedToken>, StoreError> {
    let order = doc! {"issued_at": -1};
    let found = tx.find(MAILED_TOKENS, by_email(email), order, usize::MAX).await?;
    Ok(sift(&found, token)?.left_out(table::MAILED_TOKENS))
}

/// Uses a token within a transaction.
pub(super) async fn redeem(tx: &mut Tx, redemption: &Redemption) -> Result<Redeemed, StoreError> {
    let Some(token) = find(tx, redemption.token).await? else {
        return Ok(Redeemed::Void);
    };
    let Some(found) = tx.find_one(USERS, doc! {"_id": uuid(token.user)}).await? else {
        return Ok(Redeemed::Void);
    };
    let account = account(&found)?;
    let Some(effect) = token.effect(&account, redemption.password.is_some()) else {
        return Ok(Redeemed::Void);
    };
    let user = account.user;
    // A concurrent sign-up violates the index; the transaction runs again, and finds it.
    let holder = tx.find_one(USERS, by_email(&token.email)).await?;
    let taken = holder.is_some_and(|holder| holder.id::<UserId>("_id").ok() != Some(user.id));
    if taken || is_reserved(tx, &token.email, Some(user.id), redemption.at).await? {
        return Ok(Redeemed::EmailTaken);
    }
    tx.delete(MAILED_TOKENS, doc! {"_id": uuid(token.id)}).await?;
    forget(tx, user.id, effect.voids).await?;
    forget_ways_back(tx, user.id, effect.voids_ways_back_since).await?;
    if let Some(since) = effect.undoes_since {
        identities::undo_since(tx, user.id, since).await?;
    }
    identities::unlink(tx, user.id, &token.email, effect.unlinks).await?;
    let mut set = doc! {"email": token.email.as_str(), "email_verified": true};
    let password = redemption.password.as_ref().map(PasswordHash::as_str);
    set.put("password_hash", password.or(effect.drops_password.then_some("")));
    let change = doc! {"$set": set, "$inc": {"revision": 1_i64}};
    tx.update(USERS, doc! {"_id": uuid(user.id)}, change).await?;
    let mut ended = if effect.ends_sessions {
        end_of(tx, user.id, None, redemption.at, usize::MAX).await?
    } else {
        Vec::new()
    };
    let dropped = api_keys::drop_of(tx, user.id, &token.email, effect.drops_keys, redemption.at);
    ended.extend(dropped.await?);
    if let Some(next) = &redemption.issue {
        issue(tx, next).await?;
    }
    let user = User {
        email: token.email,
        email_verified: true,
        ..user
    };
    Ok(Redeemed::Done(user, ended))
}

async fn forget_ways_back(tx: &mut Tx, user: UserId, since: Option<Timestamp>) -> Result<(), StoreError> {
    let Some(since) = since else {
        return Ok(());
    };
    let these = doc! {
        "user_id": uuid(user),
        "purpose": Purpose::RestoreEmail.name(),
        "issued_at": {"$gte": date(since)},
    };
    tx.delete(MAILED_TOKENS, these).await?;
    Ok(())
}
