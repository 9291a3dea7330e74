//! What people have chosen to be told.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

use common::{clock::Timestamp, ids::UserId, store::StoreError, unreadable::not_json};
use sqlite_store::{Connection, params};

use crate::{
    domain::{
        message::Letter,
        preferences::{Preferences, chosen},
    },
    store::PreferencesChange,
};

/// The choice of a user; the default when there is none.
pub fn of(db: &Connection, user: UserId) -> Result<Preferences, StoreError> {
    Ok(find(db, user)?.unwrap_or_default())
}

fn find(db: &Connection, user: UserId) -> Result<Option<Preferences>, StoreError> {
    let found: Option<String> = db
        .prepare_cached("SELECT choice FROM preferences WHERE user_id = ?1")?
        .find([user], |row| row.get(0))?;
    found
        .map(|json| serde_json::from_str(&json).map_err(|error| not_json("choice", &error)))
        .transpose()
}

/// Changes the choice of a user.
pub fn set(
    db: &Connection,
    user: UserId,
    change: PreferencesChange,
    now: Timestamp,
) -> Result<Preferences, StoreError> {
    let choice = change.apply(of(db, user)?);
    let json = serde_json::to_string(&choice).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    db.prepare_cached(
        "INSERT INTO preferences (user_id, choice, at)
         SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE user_id = ?1)
         ON CONFLICT (user_id) DO UPDATE SET choice = excluded.choice, at = excluded.at",
    )?
    .execute(params![user, json, now.timestamp_millis()])?;
    Ok(choice)
}

/// Those letters that their readers want. A choice that cannot be read is none: better one letter too many.
pub fn wanted<'a>(
    db: &Connection,
    letters: &'a [Letter],
    now: Timestamp,
) -> Result<Vec<Cow<'a, Letter>>, StoreError> {
    let mut choices: HashMap<UserId, Option<Preferences>> = HashMap::new();
    let mut wanted = Vec::with_capacity(letters.len());
    for letter in letters {
        let choice = match choices.entry(letter.user_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(match find(db, letter.user_id) {
                Err(StoreError::Corrupt(_)) => None,
                found => found?,
            }),
        };
        wanted.extend(chosen(letter, choice.as_ref(), now));
    }
    Ok(wanted)
}
