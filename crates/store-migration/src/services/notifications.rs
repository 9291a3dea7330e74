//! What the notifications service keeps.

use crate::table::{AUDIT, DEAD_LETTERS, IDEMPOTENCY_KEYS, INBOX, Id, LEASES, OUTBOX, Service, Table};
use common::wire::service;

use ::notifications::schema;

/// All of it. A message that a worker had leased moves as such, with the end of its lease, after which another
/// takes it up.
pub const SERVICE: Service = Service {
    name: service::NOTIFICATIONS,
    migrations: schema::MIGRATIONS,
    collections: schema::COLLECTIONS,
    tables: &[
        AUDIT,
        INBOX,
        Table::new(
            "events",
            Id::Made("event_id, version", |row, at| {
                Ok(schema::event_id(row.get(at)?, row.get(at + 1)?).into())
            }),
        ),
        Table::new("attendances", Id::Is("registration_id")),
        Table::new(
            "schedules",
            Id::Made("registration_id, kind", |row, at| {
                let kind: String = row.get(at + 1)?;
                Ok(schema::schedule_id(row.get(at)?, &kind).into())
            }),
        ),
        Table::new("announcements", Id::Is("event_id")),
        Table::new("messages", Id::Is("id")),
        Table::new("broadcasts", Id::Is("id")),
        Table::new("wordings", Id::Is("id")),
        IDEMPOTENCY_KEYS,
        Table::new("forgotten", Id::Is("user_id")),
        Table::new("preferences", Id::Is("user_id")),
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
