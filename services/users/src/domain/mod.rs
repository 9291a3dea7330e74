//! What an account is, and the forms its parts must have.

mod account;
mod api_key;
mod email;
mod identity;
mod locale;
mod mailed_token;
mod password;
mod phone;
mod second_factor;
mod session;

pub use account::{Account, Details, MAX_NAME, User};
pub use api_key::{MAX_KEYS, StoredKey, deleted, read_scopes, stored_scopes};
pub use email::Email;
pub use identity::{Admission, Claims, Identity};
pub use locale::Locale;
pub use mailed_token::{Dropped, MailedToken, Purpose};
pub use password::{Password, PasswordHash};
pub use phone::Phone;
pub use second_factor::{RECOVERY_CODES, RecoveryHash, SecondFactor, Shown, TotpSecret, recovery_code};
#[cfg(test)]
pub use session::GRACE;
pub use session::{Device, Lifetimes, RefreshToken, Rotation, Session, Successors, TokenHash, TokenVerdict};
