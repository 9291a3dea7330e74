//! What moves from SQLite into MongoDB.

use common::{
    moving::{DEAD_LETTERS, IDEMPOTENCY_KEYS, INBOX, Id, LEASES, OUTBOX, Service, Table},
    wire::service,
};

use super::{mongo, sqlite};

/// Everything that the service keeps.
pub const MOVE: Service = Service {
    name: service::EVENTS,
    migrations: sqlite::MIGRATIONS,
    collections: mongo::COLLECTIONS,
    tables: &[
        Table::with(
            "events",
            Id::Is("id"),
            &[
                ("ending", "nullif(ending, 0)"),
                (
                    "words",
                    "(SELECT json_group_array(word ORDER BY word) FROM event_words WHERE event_id = id)",
                ),
            ],
        ),
        Table::with(
            "registrations",
            Id::Is("id"),
            &[(
                "live",
                "CASE WHEN status IN ('pending_payment', 'confirmed') THEN 1 END",
            )],
        ),
        Table::with("tickets", Id::Is("registration_id"), &[("ticket_id", "id")]),
        OUTBOX,
        DEAD_LETTERS,
        INBOX,
        IDEMPOTENCY_KEYS,
    ],
    left: &[("event_words", "they are the field `words` of events"), LEASES],
};

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_forgotten() {
        common::moving::testing::assert_nothing_is_forgotten(&super::MOVE);
    }
}
