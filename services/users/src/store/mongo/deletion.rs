//! The end of an account.

use common::{clock::Timestamp, outbox::NewMessage, store::StoreError};
use mongo_store::{Tx, outbox, uuid};
use mongodb::bson::doc;

use super::{SECOND_FACTORS, USERS, api_keys, end_of, identities, mailed_tokens};
use crate::{
    domain::{Dropped, PasswordHash},
    store::{Deleted, Proved},
};

/// Deletes an account with all that belongs to it, if it still is as it was when its user was asked to prove it.
pub(super) async fn delete(
    tx: &mut Tx,
    proved: &Proved,
    messages: &[NewMessage],
    at: Timestamp,
) -> Result<Deleted, StoreError> {
    let user = proved.user;
    if let Some(until) = mailed_tokens::way_back_until(tx, user, at).await? {
        return Ok(Deleted::WayBack(until));
    }
    let unchanged = doc! {
        "_id": uuid(user),
        "email": proved.email.as_str(),
        "password_hash": PasswordHash::to_stored(proved.password_hash.as_ref()),
    };
    if tx.delete(USERS, unchanged).await? != 1 {
        return Ok(Deleted::Changed);
    }
    let mut ended = end_of(tx, user, None, at, usize::MAX).await?;
    ended.extend(api_keys::drop_of(tx, user, &proved.email, Dropped::All, at).await?);
    identities::unlink(tx, user, &proved.email, Dropped::All).await?;
    mailed_tokens::forget_all(tx, user).await?;
    tx.delete(SECOND_FACTORS, doc! {"_id": uuid(user)}).await?;
    // Letters that could not be delivered have the address.
    tx.delete(outbox::DEAD_LETTERS.name, doc! {"subject": uuid(user)})
        .await?;
    outbox::push(tx, messages).await?;
    Ok(Deleted::Done(ended))
}
