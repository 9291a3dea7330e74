//! The end of an account.

use common::{clock::Timestamp, outbox::NewMessage, store::StoreError};
use sqlite_store::{Connection, outbox, params};

use super::{api_keys, end_of, mailed_tokens, tidy};
use crate::{
    domain::{Dropped, PasswordHash},
    store::{Deleted, Proved},
};

/// Deletes an account with all that belongs to it, if it still is as it was when its user was asked to prove it.
pub fn delete(
    db: &Connection,
    proved: &Proved,
    messages: &[NewMessage],
    at: Timestamp,
) -> Result<Deleted, StoreError> {
    let user = proved.user;
    if let Some(until) = mailed_tokens::way_back_until(db, user, at)? {
        return Ok(Deleted::WayBack(until));
    }
    let deleted = db
        .prepare_cached("DELETE FROM users WHERE id = ?1 AND email = ?2 AND password_hash = ?3")?
        .execute(params![
            user,
            proved.email.as_str(),
            PasswordHash::to_stored(proved.password_hash.as_ref())
        ])?;
    if deleted != 1 {
        return Ok(Deleted::Changed);
    }
    tidy(db, at)?;
    let mut ended = end_of(db, user, None, at, -1)?;
    ended.extend(api_keys::drop_of(db, user, &proved.email, Dropped::All, at)?);
    for table in ["identities", "mailed_tokens", "second_factors"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE user_id = ?1"))?
            .execute([user])?;
    }
    // Letters that could not be delivered have the address.
    db.prepare_cached("DELETE FROM dead_letters WHERE subject = ?1")?
        .execute([user])?;
    for message in messages {
        outbox::push(db, message)?;
    }
    Ok(Deleted::Done(ended))
}
