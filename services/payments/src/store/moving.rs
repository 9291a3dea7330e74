//! What moves from SQLite into MongoDB.

use common::{
    moving::{DEAD_LETTERS, IDEMPOTENCY_KEYS, INBOX, Id, LEASES, OUTBOX, Service, Table},
    wire::service,
};

use super::{mongo, sqlite};

/// Everything that the service keeps.
pub const MOVE: Service = Service {
    name: service::PAYMENTS,
    migrations: sqlite::MIGRATIONS,
    collections: mongo::COLLECTIONS,
    tables: &[
        Table::new("orders", Id::Is("id")),
        // In MongoDB it is where two changes at once meet.
        Table::with("payments", Id::Is("id"), &[("refunds_at", "NULL")]),
        Table::with(
            "refunds",
            Id::Is("id"),
            &[(
                "razorpay_payment_id",
                "(SELECT razorpay_id FROM payments WHERE payments.id = payment_id)",
            )],
        ),
        Table::new("refund_entries", Id::Is("id")),
        Table::new("marks", Id::Is("name")),
        Table::new("webhook_events", Id::Is("id")),
        Table {
            bytes: &["body"],
            ..Table::new("parked_webhooks", Id::Is("id"))
        },
        OUTBOX,
        DEAD_LETTERS,
        INBOX,
        IDEMPOTENCY_KEYS,
    ],
    left: &[LEASES],
};

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_forgotten() {
        common::moving::testing::assert_nothing_is_forgotten(&super::MOVE);
    }
}
