//! API keys as they are kept.

use chrono::TimeDelta;
use common::{
    api_keys::{KeyHash, REVOKED_FOR, Scope},
    auth::Role,
    clock::Timestamp,
    ids::UserId,
    wire::{ApiKeyCard, EndedSession},
};
use uuid::Uuid;

/// How many an account can have.
pub const MAX_KEYS: usize = 50;
/// Uses are noted to the minute.
const USE_NOTED: TimeDelta = TimeDelta::minutes(1);

/// A key, without its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredKey {
    /// Its id.
    pub id: Uuid,
    /// In whose name it calls.
    pub user: UserId,
    /// What its user calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// By which it is found.
    pub hash: KeyHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is void.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl StoredKey {
    /// What the other services are told of it, with the role of its user.
    pub fn card(self, role: Role) -> ApiKeyCard {
        ApiKeyCard {
            hash: self.hash,
            api_key_id: self.id,
            user_id: self.user,
            role,
            scopes: self.scopes,
            expires_at: self.expires_at,
        }
    }

    /// Whether a use at `now` is to be noted.
    pub fn notes_use(&self, now: Timestamp) -> bool {
        let is_good = self.expires_at.is_none_or(|at| now < at);
        is_good && self.last_used_at.is_none_or(|at| now - at >= USE_NOTED)
    }
}

/// How the deletion of a key is published.
pub fn deleted(key: Uuid, at: Timestamp) -> EndedSession {
    EndedSession {
        session_id: key,
        ended_at: at,
        until: at + REVOKED_FOR,
    }
}

/// Scopes as they are stored: names with blanks between them.
pub fn stored_scopes(scopes: &[Scope]) -> String {
    let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
    names.join(" ")
}

/// The scopes of a stored text. One that a later release has written, and this one does not know, is worth nothing.
pub fn read_scopes(text: &str) -> Vec<Scope> {
    text.split(' ').filter_map(Scope::parse).collect()
}

#[cfg(test)]
mod tests {
    use common::clock::from_millis;

    use super::*;

    #[test]
    fn a_use_is_noted_to_the_minute_while_the_key_is_good() {
        let key = |expires_at: Option<i64>, last_used_at: Option<i64>| StoredKey {
            id: Uuid::nil(),
            user: UserId(Uuid::nil()),
            name: String::new(),
            scopes: Vec::new(),
            hash: KeyHash([0; 32]),
            created_at: from_millis(0),
            expires_at: expires_at.map(from_millis),
            last_used_at: last_used_at.map(from_millis),
        };
        let now = from_millis(100_000);
        for (expires_at, last_used_at, notes) in [
            (None, None, true),
            (None, Some(40_000), true),
            (None, Some(40_001), false),
            (Some(100_001), None, true),
            (Some(100_000), None, false),
        ] {
            assert_eq!(key(expires_at, last_used_at).notes_use(now), notes);
        }
    }

    #[test]
    fn scopes_read_back() {
        for scopes in [&Scope::ALL[..], &Scope::ALL[1..2], &[]] {
            assert_eq!(read_scopes(&stored_scopes(scopes)), scopes);
        }
        assert_eq!(read_scopes("check_in everything"), [Scope::CheckIn]);
    }
}
