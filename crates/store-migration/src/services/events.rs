//! What the events service keeps.

use crate::table::{AUDIT, DEAD_LETTERS, IDEMPOTENCY_KEYS, INBOX, Id, LEASES, OUTBOX, Service, Table};
use common::wire::service;

use ::events::schema;

/// All of it.
pub const SERVICE: Service = Service {
    name: service::EVENTS,
    migrations: schema::MIGRATIONS,
    collections: schema::COLLECTIONS,
    tables: &[
        AUDIT,
        Table::with(
            "events",
            Id::Is("id"),
            &[
                ("ending", "nullif(ending, 0)"),
                (
                    "words",
                    "(SELECT json_group_array(word ORDER BY word) FROM event_words WHERE event_id = id)",
                ),
                // Counts what meets in MongoDB only; so does `playbacks`.
                ("streams", "NULL"),
                // SQLite's migration has counted them.
                ("counted", "1"),
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
        Table::new(
            "counts",
            Id::Made("event_id, hour", |row, at| {
                let hour: i64 = row.get(at + 1)?;
                Ok(schema::count_id(row.get(at)?, hour, 0).into())
            }),
        ),
        Table {
            name: "calendars",
            id: Id::Is("user_id"),
            fields: &[],
            bytes: &["token_hash"],
        },
        Table::new("posts", Id::Is("id")),
        Table::new("votes", Id::Is("id")),
        Table::with("participants", Id::Is("id"), &[("playbacks", "NULL")]),
        Table::new("chats", Id::Is("id")),
        Table {
            name: "streams",
            id: Id::Is("id"),
            fields: &[],
            bytes: &["key_hash"],
        },
        Table::new(
            "segments",
            Id::Made("stream_id, number", |row, at| {
                let number: i64 = row.get(at + 1)?;
                Ok(schema::segment_id(row.get(at)?, number.unsigned_abs()).into())
            }),
        ),
        Table::new("playbacks", Id::Is("id")),
        Table::with(
            "waitlist",
            Id::Is("id"),
            &[("open", "CASE WHEN status IN ('waiting', 'offered') THEN 1 END")],
        ),
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
        crate::complete::assert_nothing_is_forgotten(&super::SERVICE);
    }
}
