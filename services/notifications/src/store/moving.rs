//! What moves from SQLite into MongoDB.

use common::{
    moving::{INBOX, Id, Service, Table},
    wire::service,
};

use super::{mongo, sqlite};

/// Everything that the service keeps. A message that a worker had in its hands moves as such, with the end of its lease,
/// after which another takes it up.
pub const MOVE: Service = Service {
    name: service::NOTIFICATIONS,
    migrations: sqlite::MIGRATIONS,
    collections: mongo::COLLECTIONS,
    tables: &[
        INBOX,
        Table::new(
            "events",
            Id::Made("event_id, version", |row, at| {
                Ok(mongo::event_id(row.get(at)?, row.get(at + 1)?).into())
            }),
        ),
        Table::new("attendances", Id::Is("registration_id")),
        Table::new(
            "schedules",
            Id::Made("registration_id, kind", |row, at| {
                let kind: String = row.get(at + 1)?;
                Ok(mongo::schedule_id(row.get(at)?, &kind).into())
            }),
        ),
        Table::new("announcements", Id::Is("event_id")),
        Table::new("messages", Id::Is("id")),
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
