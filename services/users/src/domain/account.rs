//! The account.

use chrono_tz::Tz;
use common::{auth::Role, clock::Timestamp, ids::UserId};

use super::{Email, Locale, PasswordHash, Phone};

/// A person, as the service knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// Where they get their mail; no two accounts share one.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// What to call them.
    pub name: Option<String>,
    /// Where they get text messages.
    pub phone: Option<Phone>,
    /// The zone they live in.
    pub timezone: Option<Tz>,
    /// The language they read.
    pub locale: Option<Locale>,
    /// When they signed up.
    pub created_at: Timestamp,
}

/// A user together with what proves that it is them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The person.
    pub user: User,
    /// Their password, hashed.
    pub password_hash: PasswordHash,
}

/// A change of what users may change themselves: `None` leaves it, `Some(None)` takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// What to call them.
    pub name: Option<Option<String>>,
    /// Where they get text messages.
    pub phone: Option<Option<Phone>>,
    /// The zone they live in.
    pub timezone: Option<Option<Tz>>,
    /// The language they read.
    pub locale: Option<Option<Locale>>,
}
