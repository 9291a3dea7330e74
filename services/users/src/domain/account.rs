//! The account.

use chrono_tz::Tz;
use common::{auth::Role, clock::Timestamp, ids::UserId};

use super::{Email, Locale, PasswordHash, Phone};

/// The longest name, in characters.
pub const MAX_NAME: usize = 200;

/// A user's account, without the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// The account's e-mail address; no two accounts share one.
    pub email: Email,
    /// Whether the user has proved to read what is sent there.
    pub email_verified: bool,
    /// The account's role.
    pub role: Role,
    /// The display name.
    pub name: Option<String>,
    /// The number for text messages.
    pub phone: Option<Phone>,
    /// The user's time zone.
    pub timezone: Option<Tz>,
    /// The user's language.
    pub locale: Option<Locale>,
    /// When the account was created.
    pub created_at: Timestamp,
}

/// A user with the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The hashed password; `None`: there is none, and the user signs in with Google.
    pub password_hash: Option<PasswordHash>,
}

/// A change of what users may change themselves: `None` leaves it, `Some(None)` takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The display name.
    pub name: Option<Option<String>>,
    /// The number for text messages.
    pub phone: Option<Option<Phone>>,
    /// The user's time zone.
    pub timezone: Option<Option<Tz>>,
    /// The user's language.
    pub locale: Option<Option<Locale>>,
}
