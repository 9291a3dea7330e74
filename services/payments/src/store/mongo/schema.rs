//! The collections, as the SQLite tables of the same names.

use mongo_store::{Collection, Index, audit, idempotency, inbox, lease, outbox};
use mongodb::bson::doc;

pub(super) const ORDERS: &str = "orders";
pub(super) const PAYMENTS: &str = "payments";
pub(super) const REFUNDS: &str = "refunds";
pub(super) const ENTRIES: &str = "refund_entries";
pub(super) const MARKS: &str = "marks";
/// Webhooks signed by Razorpay and not understood; kept for a replay.
pub(super) const PARKED: &str = "parked_webhooks";
pub(super) const WEBHOOKS: &str = "webhook_events";

/// Every collection of the service.
pub const COLLECTIONS: &[Collection] = &[
    Collection {
        name: ORDERS,
        fields: &[
            ("registration_id", "binData"),
            ("event_id", "binData"),
            ("event_name", "string"),
            ("user_id", "binData"),
            ("amount", "long"),
            ("razorpay_id", "string?"),
            ("paid_by", "binData?"), // the payment that paid it
            ("created_at", "date"),
            ("worked_until", "date"), // the end of the lease
            ("fence", "long"),
            ("reconcile_at", "date?"), // left out: nothing left to reconcile
            ("looks", "long"),
        ],
        check: Some(|| doc! {"amount": {"$gt": 0_i64}}),
        indexes: &[
            Index::unique(&[("registration_id", 1)]),
            Index::unique(&[("razorpay_id", 1)]).only(|| doc! {"razorpay_id": {"$exists": true}}),
            Index::on(&[("reconcile_at", 1)]).only(|| doc! {"reconcile_at": {"$exists": true}}),
        ],
    },
    Collection {
        name: PAYMENTS,
        fields: &[
            ("order_id", "binData"),
            ("user_id", "binData"),
            ("event_id", "binData?"), // left out by earlier releases
            ("razorpay_id", "string"),
            ("method", "string"),
            ("amount", "long"),
            ("status", "string"),
            ("reason", "string?"),
            ("description", "string?"),
            ("created_at", "date"),
            ("captured_at", "date?"),
            ("released_at", "date?"),
            ("refunds_at", "date?"), // the last change of its refunds: concurrent changes conflict here
            ("detail", "string?"),   // Razorpay's other details and the timeline, as JSON
            ("steps", "string?"),    // the payer's next steps, as JSON
            ("follow_at", "date?"),  // when Razorpay is asked whether it is released there
        ],
        check: Some(|| {
            doc! {"status": {"$in": ["created", "failed", "authorized", "released", "captured", "refunded"]}}
        }),
        indexes: &[
            Index::unique(&[("razorpay_id", 1)]),
            Index::on(&[("user_id", 1), ("_id", 1)]),
            Index::on(&[("event_id", 1), ("_id", 1)]),
            Index::on(&[("status", 1), ("created_at", 1)]).only(|| doc! {"status": "authorized"}),
            Index::on(&[("follow_at", 1)]).only(|| doc! {"follow_at": {"$exists": true}}),
        ],
    },
    Collection {
        name: REFUNDS,
        fields: &[
            ("payment_id", "binData"), // there is one refund per payment
            ("razorpay_payment_id", "string"),
            ("amount", "long"), // how much is to be back in all; 0: the money is kept on purpose
            ("reason", "string"),
            ("razorpay_id", "string?"),
            ("attempts", "long"),
            ("next_at", "date?"), // left out: done
            ("worked_until", "date"),
            ("fence", "long"),
            ("why", "string?"),
            ("refused", "string?"), // Razorpay's error when it refuses
            ("created_at", "date"),
        ],
        check: None,
        indexes: &[
            Index::unique(&[("payment_id", 1)]),
            Index::unique(&[("razorpay_id", 1)]).only(|| doc! {"razorpay_id": {"$exists": true}}),
            Index::on(&[("next_at", 1)]).only(|| doc! {"next_at": {"$exists": true}}),
        ],
    },
    // The ledger: every refund of our payments at Razorpay, by its id there, including those made at the dashboard.
    Collection {
        name: ENTRIES,
        fields: &[
            ("payment_id", "binData"),
            ("refund_id", "binData?"), // the refund it was made for; left out: made at the dashboard
            ("amount", "long"),
            ("status", "string"),
            ("created_at", "date"),
            ("processed_at", "date?"),
            ("failed_at", "date?"),
            ("looked_at", "date"),
        ],
        check: Some(|| doc! {"status": {"$in": ["pending", "processed", "failed"]}}),
        indexes: &[
            Index::on(&[("payment_id", 1), ("created_at", 1), ("_id", 1)]),
            Index::on(&[("status", 1), ("looked_at", 1)]).only(|| doc! {"status": "pending"}),
        ],
    },
    // The times up to which something has been read.
    Collection {
        name: MARKS,
        fields: &[("at", "date")],
        check: None,
        indexes: &[],
    },
    Collection {
        name: WEBHOOKS,
        fields: &[("received_at", "date")],
        check: None,
        indexes: &[Index::on(&[("received_at", 1)])],
    },
    Collection {
        name: PARKED,
        fields: &[
            ("event", "string"),
            ("body", "binData"),
            ("why", "string"),
            ("received_at", "date"),
        ],
        check: None,
        indexes: &[Index::on(&[("received_at", 1)])],
    },
    outbox::SCHEMA,
    outbox::DEAD_LETTERS,
    inbox::SCHEMA,
    lease::SCHEMA,
    idempotency::SCHEMA,
    audit::SCHEMA,
];
