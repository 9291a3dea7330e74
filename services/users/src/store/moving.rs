//! What moves from SQLite into MongoDB.

use common::{
    moving::{Id, Service, Table},
    wire::service,
};

use super::{mongo, sqlite};

/// Everything that the service keeps.
pub const MOVE: Service = Service {
    name: service::USERS,
    migrations: sqlite::MIGRATIONS,
    collections: mongo::COLLECTIONS,
    tables: &[
        Table::new("users", Id::Is("id")),
        Table::new("ended_sessions", Id::Is("id")),
    ],
    left: &[],
};

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_forgotten() {
        common::moving::testing::assert_nothing_is_forgotten(&super::MOVE);
    }
}
