//! What an account is, and the forms its parts must have.

mod account;
mod email;
mod locale;
mod password;
mod phone;
mod session;

pub use account::{Account, Details, User};
pub use email::Email;
pub use locale::Locale;
pub use password::{Password, PasswordHash};
pub use phone::Phone;
#[cfg(test)]
pub use session::GRACE;
pub use session::{Device, Lifetimes, RefreshToken, Rotation, Session, Successors, TokenHash, Verdict};
