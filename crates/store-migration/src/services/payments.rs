//! What the payments service keeps.

use crate::table::{AUDIT, DEAD_LETTERS, IDEMPOTENCY_KEYS, INBOX, Id, LEASES, OUTBOX, Service, Table};
use common::wire::service;

use ::payments::schema;

/// All of it.
pub const SERVICE: Service = Service {
    name: service::PAYMENTS,
    migrations: schema::MIGRATIONS,
    collections: schema::COLLECTIONS,
    tables: &[
        AUDIT,
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
        crate::complete::assert_nothing_is_forgotten(&super::SERVICE);
    }
}
