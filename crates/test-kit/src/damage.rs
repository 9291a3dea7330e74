//! Rows that were damaged from outside, for the contract suites.

use futures_util::future::BoxFuture;
pub use uuid::Uuid;

/// What a field becomes.
#[derive(Clone, Copy)]
pub enum Bad {
    /// This text.
    Text(&'static str),
    /// Something of no type that is ever written there.
    Type,
    /// This number, as an operator who repairs a row writes it.
    Number(i64),
    /// The whole row is gone.
    Gone,
}

/// The rows whose `key` is `id` are damaged in `field`.
pub struct Damage {
    /// Table or collection.
    pub table: &'static str,
    /// The column, and the field in MongoDB.
    pub key: (&'static str, &'static str),
    /// What it is.
    pub id: Uuid,
    /// Has the same name in both.
    pub field: &'static str,
    /// What becomes of it.
    pub to: Bad,
}

/// Does damage.
pub type Damager = Box<dyn Fn(Damage) -> BoxFuture<'static, ()> + Send + Sync>;
