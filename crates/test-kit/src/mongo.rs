//! The MongoDB that tests use.

use common::ids::new_id;
use secrecy::SecretString;

/// Names the server that tests use; `./test` sets it.
pub const VARIABLE: &str = "ORGANISE_MONGODB_URI";

/// A URI with a database name of its own.
///
/// # Panics
/// When no server is named.
pub fn fresh_uri() -> SecretString {
    let uri = std::env::var(VARIABLE)
        .unwrap_or_else(|_| panic!("{VARIABLE} names no MongoDB: run ./test, which starts one"));
    let (address, query) = uri.split_once('?').unwrap_or((&uri, ""));
    let hosts = address.trim_end_matches('/');
    SecretString::from(format!("{hosts}/t{}?{query}", new_id().simple()))
}
