//! What the users service keeps.

use crate::table::{AUDIT, DEAD_LETTERS, Id, LEASES, OUTBOX, Service, Table};
use common::wire::service;

use ::users::schema;

/// All of it.
pub const SERVICE: Service = Service {
    name: service::USERS,
    migrations: schema::MIGRATIONS,
    collections: schema::COLLECTIONS,
    tables: &[
        AUDIT,
        Table {
            // Of the collection alone.
            fields: &[("revision", "NULL")],
            ..Table::new("users", Id::Is("id"))
        },
        Table {
            name: "api_keys",
            id: Id::Is("id"),
            fields: &[],
            bytes: &["hash"],
        },
        Table::new("ended_sessions", Id::Is("id")),
        Table::new("identities", Id::Is("id")),
        Table::new("mailed_tokens", Id::Is("id")),
        Table {
            name: "second_factors",
            id: Id::Is("user_id"),
            fields: &[],
            bytes: &["secret"],
        },
        Table {
            name: "sessions",
            id: Id::Is("id"),
            fields: &[],
            bytes: &["token_hash"],
        },
        OUTBOX,
        DEAD_LETTERS,
    ],
    left: &[LEASES],
};

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_forgotten() {
        crate::complete::assert_nothing_is_forgotten(&super::SERVICE);
    }
}
