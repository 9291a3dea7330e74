//! The collections, as the SQLite tables of the same names.

use mongo_store::{Collection, Index, audit, idempotency, inbox, lease, outbox};
use mongodb::bson::doc;

use super::{broadcasts, wordings};

pub(super) const EVENTS: &str = "events";
pub(super) const ATTENDANCES: &str = "attendances";
pub(super) const SCHEDULES: &str = "schedules";
pub(super) const ANNOUNCEMENTS: &str = "announcements";
pub(super) const MESSAGES: &str = "messages";
pub(super) const FORGOTTEN: &str = "forgotten";
pub(super) const PREFERENCES: &str = "preferences";

/// Every collection of the service.
pub const COLLECTIONS: &[Collection] = &[
    inbox::SCHEMA,
    audit::SCHEMA,
    outbox::SCHEMA,
    outbox::DEAD_LETTERS,
    lease::SCHEMA,
    idempotency::SCHEMA,
    broadcasts::SCHEMA,
    wordings::SCHEMA,
    // What is known of events. Every version received stays, so that a message has the same text on every try.
    Collection {
        name: EVENTS, // `_id`: event and version
        fields: &[
            ("event_id", "binData"),
            ("version", "long"),
            ("name", "string"),
            ("address", "string"),
            ("starts_at", "date"),
            ("zone", "string"),
            ("schedule_version", "long"),
            ("cancelled", "bool"),
            ("format", "string?"), // left out: in person
            ("ends_at", "date?"),
            ("join_url", "string?"),
            ("reminders", "string?"), // hours before the start; left out: the default
            ("organizer", "binData?"),
        ],
        check: None,
        indexes: &[Index::unique(&[("event_id", 1), ("version", -1)])],
    },
    // Registrations. An ended one stays, so that a late repeat cannot bring it back.
    Collection {
        name: ATTENDANCES, // `_id`: the registration
        fields: &[
            ("user_id", "binData"),
            ("event_id", "binData"),
            ("told_version", "long"),
            ("live", "bool"),
        ],
        check: None,
        indexes: &[Index::on(&[("event_id", 1), ("live", 1), ("_id", 1)])],
    },
    // Reminders to come and gone.
    Collection {
        name: SCHEDULES, // `_id`: registration and kind
        fields: &[
            ("registration_id", "binData"),
            ("kind", "string"),
            ("due_at", "date"),
            ("schedule_version", "long"),
            ("status", "string"),
            ("why", "string?"), // of one that was set aside, because it cannot be read
        ],
        check: Some(|| doc! {"status": {"$in": ["pending", "done", "dropped", "skipped_late"]}}),
        indexes: &[
            Index::on(&[("status", 1), ("due_at", 1)]),
            Index::on(&[("registration_id", 1)]),
        ],
    },
    // Changes of events that have not reached all attendees.
    Collection {
        name: ANNOUNCEMENTS, // `_id`: the event
        fields: &[
            ("version", "long"),
            ("cursor", "binData?"),
            ("created_at", "date"),
            ("why", "string?"), // of one that was set aside, because it cannot be read
        ],
        check: None,
        indexes: &[Index::on(&[("created_at", 1)])],
    },
    // One document per recipient, kind and channel.
    Collection {
        name: MESSAGES,
        fields: &[
            ("user_id", "binData"),
            ("event_id", "binData"),
            ("event_version", "long?"), // of the event's facts; left out: all content is in details
            ("occurrence", "binData"),  // the registration or payment it is about
            ("kind", "string"),
            ("channel", "string"),
            ("schedule_version", "long"),
            ("address", "string"),
            ("name", "string?"),
            ("details", "string"), // JSON
            ("status", "string"),
            // When a worker may take it: the next try, or the end of the lease of the worker that has it. Left out: settled.
            ("due_at", "date?"),
            ("not_after", "date?"),
            ("withdrawn", "bool"), // void, but a worker had it when it became so
            ("attempts", "long"),
            ("lease_owner", "binData?"),
            ("fence", "long"), // grows with every claim
            ("last_error", "string?"),
            ("created_at", "date"),
            ("sent_at", "date?"),
            ("provider", "string?"),
            ("provider_id", "string?"),
            ("delivered_at", "date?"),
            ("read_at", "date?"),
        ],
        check: Some(|| {
            doc! {
                // `dropped` is what earlier releases called `skipped`.
                "status": {"$in": ["queued", "sending", "sent", "delivered", "failed", "dead", "skipped", "dropped"]},
            }
        }),
        indexes: &[
            // No notification is queued twice.
            Index::unique(&[
                ("occurrence", 1),
                ("kind", 1),
                ("channel", 1),
                ("schedule_version", 1),
            ]),
            Index::on(&[("channel", 1), ("due_at", 1), ("_id", 1)])
                .only(|| doc! {"due_at": {"$exists": true}}),
            Index::on(&[("user_id", 1), ("created_at", -1), ("_id", -1)]),
            Index::on(&[("provider", 1), ("_id", -1)]).only(|| doc! {"provider": {"$exists": true}}),
            Index::on(&[("status", 1)]).only(|| doc! {"status": "failed"}),
            Index::on(&[("status", 1), ("_id", -1)]).only(|| doc! {"status": "dead"}),
            // Of text messages providers report by their own names.
            Index::on(&[("provider", 1), ("provider_id", 1)])
                .only(|| doc! {"channel": "sms", "provider_id": {"$exists": true}}),
            // Of an announcement.
            Index::on(&[("schedule_version", 1), ("status", 1)]).only(|| doc! {"kind": "announcement"}),
        ],
    },
    // What people have chosen to be told. Who has chosen nothing has no document.
    Collection {
        name: PREFERENCES,                               // `_id`: the user
        fields: &[("choice", "string"), ("at", "date")], // the choice is JSON
        check: None,
        indexes: &[],
    },
    // Deleted accounts, to which nothing more is written: what was looked up before may come later.
    Collection {
        name: FORGOTTEN, // `_id`: the user
        fields: &[("at", "date")],
        check: None,
        indexes: &[Index::on(&[("at", 1)])],
    },
];
