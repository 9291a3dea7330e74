//! The collections, as the SQLite tables of the same names.

use mongo_store::{Collection, Index, audit, idempotency, inbox, lease, outbox};
use mongodb::bson::doc;

pub(super) const EVENTS: &str = "events";
pub(super) const REGISTRATIONS: &str = "registrations";
pub(super) const TICKETS: &str = "tickets";
pub(super) const CALENDARS: &str = "calendars";
pub(super) const COUNTS: &str = "counts";
pub(super) const POSTS: &str = "posts";
pub(super) const VOTES: &str = "votes";
pub(super) const PARTICIPANTS: &str = "participants";
pub(super) const CHATS: &str = "chats";
pub(super) const STREAMS: &str = "streams";
pub(super) const SEGMENTS: &str = "segments";
pub(super) const PLAYBACKS: &str = "playbacks";
pub(super) const WAITLIST: &str = "waitlist";

/// Every collection of the service.
pub const COLLECTIONS: &[Collection] = &[
    Collection {
        name: EVENTS,
        fields: &[
            ("organizer", "binData"),
            ("name", "string"),
            ("details", "string"),
            ("starts_at", "date"),
            ("zone", "string"),
            ("address", "string"),
            ("capacity", "long?"), // left out: unlimited
            ("fee", "long"),
            ("cancelled", "bool"),
            ("closes_at", "date?"), // left out: never
            ("closes_by_default", "bool"),
            ("seats_taken", "long"),
            ("version", "long"),
            ("schedule_version", "long"),
            ("created_at", "date"),
            ("ending", "bool?"), // true while its registrations are being ended
            ("words", "array"),
            ("words_version", "long?"), // left out: indexed before there were versions
            ("format", "string?"),      // left out: in person
            ("ends_at", "date?"),
            ("join_url", "string?"),
            ("reminders", "string?"), // hours before the start; left out: the default
            ("streams", "long?"),     // how often one was added; left out: never
            ("counted", "bool?"),     // left out: by an earlier release, which did not count
            ("draft", "bool?"),       // left out: published
            ("opens_at", "date?"),    // left out: open from the beginning
            ("category", "string?"),  // left out: other
            ("tags", "array?"),       // left out: none
            ("image_url", "string?"),
            ("unlisted", "bool?"),   // left out: public
            ("waiting", "long?"),    // people in line; left out: none
            ("offered", "long?"),    // open offers, in `seats_taken` too; left out: none
            ("last_place", "long?"), // the last place given; left out: none
        ],
        // The second guard behind the conditional update: no bug can push the count of taken seats past the capacity.
        check: Some(|| {
            doc! {"seats_taken": {"$gte": 0_i64}, "$or": [
                {"capacity": {"$exists": false}},
                {"$expr": {"$lte": ["$seats_taken", "$capacity"]}},
            ]}
        }),
        indexes: &[
            Index::on(&[("organizer", 1), ("_id", 1)]),
            Index::on(&[("cancelled", 1), ("starts_at", 1), ("_id", 1)]),
            Index::on(&[("words", 1), ("starts_at", 1)]),
            Index::on(&[("words_version", 1)]),
            Index::on(&[("ending", 1)]).only(|| doc! {"ending": true}),
            Index::on(&[("counted", 1)]),
            Index::on(&[("waiting", 1), ("_id", 1)]).only(|| doc! {"waiting": {"$gt": 0_i64}}),
            Index::on(&[("offered", 1), ("_id", 1)]).only(|| doc! {"offered": {"$gt": 0_i64}}),
        ],
    },
    Collection {
        name: REGISTRATIONS,
        fields: &[
            ("event_id", "binData"),
            ("user_id", "binData"),
            ("amount", "long"),
            ("status", "string"),
            ("live", "bool?"), // true while pending or confirmed
            ("hold_expires_at", "date?"),
            ("payment_id", "binData?"),
            ("paid", "long?"), // where it differs from the amount
            ("created_at", "date"),
        ],
        check: Some(|| doc! {"status": {"$in": ["pending_payment", "confirmed", "expired", "cancelled"]}}),
        indexes: &[
            // At most one live registration per user and event: this index decides, not a read beforehand.
            Index::unique(&[("event_id", 1), ("user_id", 1)]).only(|| doc! {"live": true}),
            Index::on(&[("user_id", 1), ("_id", 1)]),
            Index::on(&[("event_id", 1), ("_id", 1)]),
            Index::on(&[("event_id", 1), ("hold_expires_at", 1)]).only(|| doc! {"status": "pending_payment"}),
            Index::on(&[("hold_expires_at", 1)]).only(|| doc! {"status": "pending_payment"}),
        ],
    },
    Collection {
        name: TICKETS, // `_id` is the registration's
        fields: &[
            ("ticket_id", "binData"),
            ("code", "string"),
            ("issued_at", "date"),
            ("void", "bool"),
            ("checked_in_at", "date?"),
            ("gate", "string?"),
            ("checked_in_by", "binData?"),
            ("nonce", "string?"),
            ("undone_at", "date?"),
        ],
        check: None,
        indexes: &[Index::unique(&[("code", 1)]), Index::on(&[("ticket_id", 1)])],
    },
    Collection {
        name: COUNTS, // `_id` is made of event, hour and part
        fields: &[
            ("event_id", "binData"),
            ("hour", "date"), // its beginning, as the clocks of the event show it
            ("confirmed", "long"),
            ("ended", "long"),
            ("cancelled", "long"),
            ("paid", "long"),
            ("refunded", "long"),
            ("checked_in", "long"),
        ],
        check: None,
        indexes: &[Index::on(&[("event_id", 1), ("hour", 1)])],
    },
    Collection {
        name: CALENDARS, // `_id` is the user's
        fields: &[("token_hash", "binData"), ("created_at", "date")],
        check: None,
        indexes: &[Index::unique(&[("token_hash", 1)])],
    },
    Collection {
        name: POSTS,
        fields: &[
            ("event_id", "binData"),
            ("kind", "string"),
            ("user_id", "binData"),
            ("user_name", "string?"), // left out: none, or the account was deleted
            ("part", "string"),
            ("text", "string"),
            ("options", "string"), // JSON
            ("secret", "bool"),
            ("stage", "string"),
            ("version", "long"),
            ("created_at", "date"),
            ("edited_at", "date?"),
            ("expires_at", "date?"),
        ],
        check: Some(|| {
            doc! {
                "kind": {"$in": ["chat", "question", "poll", "announcement"]},
                "stage": {"$in": ["draft", "open", "answered", "closed", "hidden", "deleted"]},
            }
        }),
        indexes: &[
            Index::on(&[("event_id", 1), ("kind", 1), ("_id", 1)]),
            Index::on(&[("user_id", 1), ("_id", 1)]),
        ],
    },
    Collection {
        name: VOTES, // `_id` is made of post and user
        fields: &[
            ("post_id", "binData"),
            ("user_id", "binData"),
            ("option_id", "binData?"), // left out: for a question
            ("at", "date"),
        ],
        check: None,
        indexes: &[
            Index::on(&[("post_id", 1), ("option_id", 1)]),
            Index::on(&[("user_id", 1), ("_id", 1)]),
        ],
    },
    Collection {
        name: PARTICIPANTS, // `_id` is made of event and user
        fields: &[
            ("event_id", "binData"),
            ("user_id", "binData"),
            ("restriction", "string?"),
            ("restricted_until", "date?"), // left out: for good
            ("said_at", "date?"),
            ("playbacks", "long?"), // how often one was begun; left out: never
        ],
        check: None,
        indexes: &[],
    },
    Collection {
        name: CHATS, // `_id` is the event's
        fields: &[("mode", "string"), ("slow_seconds", "long")],
        check: Some(|| doc! {"mode": {"$in": ["open", "slow", "closed"]}}),
        indexes: &[],
    },
    Collection {
        name: STREAMS,
        fields: &[
            ("event_id", "binData"),
            ("title", "string"),
            ("kind", "string"),
            ("url", "string?"),      // left out: ingest
            ("receiver", "string?"), // left out: this service
            ("starts_at", "date?"),
            ("ends_at", "date?"),
            ("priority", "long"),
            ("record", "bool"),
            ("state", "string"),
            ("since", "date"),
            ("look_at", "date?"),     // left out: time alone does not move it
            ("key_hash", "binData?"), // left out: no key is good
            ("version", "long"),
            ("created_at", "date"),
            ("feed", "string"),     // JSON
            ("drop_from", "date?"), // left out: nothing is to be dropped
        ],
        check: Some(|| {
            doc! {
                "kind": {"$in": ["ingest", "hls", "embed", "meeting"]},
                "state": {"$in": ["scheduled", "ready", "live", "interrupted", "ended", "replay", "deleted"]},
            }
        }),
        indexes: &[
            Index::on(&[("event_id", 1), ("_id", 1)]),
            Index::unique(&[("key_hash", 1)]).only(|| doc! {"key_hash": {"$exists": true}}),
            Index::on(&[("look_at", 1)]).only(|| doc! {"look_at": {"$exists": true}}),
            Index::on(&[("drop_from", 1)]).only(|| doc! {"drop_from": {"$exists": true}}),
            Index::on(&[("receiver", 1), ("state", 1), ("_id", 1)]).only(|| doc! {"receiver": "mediamtx"}),
        ],
    },
    Collection {
        name: SEGMENTS, // `_id` is text made of stream and number, in whose order segments are
        fields: &[
            ("stream_id", "binData"),
            ("number", "long"),
            ("object", "string"),
            ("init", "string?"), // left out: MPEG-TS
            ("micros", "long"),
            ("bytes", "long"),
            ("discontinuity", "bool"),
            ("at", "date"),
        ],
        check: None,
        indexes: &[],
    },
    Collection {
        name: PLAYBACKS,
        fields: &[
            ("stream_id", "binData"),
            ("event_id", "binData"),
            ("user_id", "binData"),
            ("started_at", "date"),
            ("seen_at", "date"),
            ("watched_millis", "long"),
        ],
        check: None,
        indexes: &[
            Index::on(&[("event_id", 1), ("user_id", 1), ("seen_at", 1)]),
            Index::on(&[("event_id", 1), ("seen_at", 1), ("user_id", 1)]),
            Index::on(&[("user_id", 1), ("_id", 1)]),
            Index::on(&[("stream_id", 1)]),
        ],
    },
    Collection {
        name: WAITLIST,
        fields: &[
            ("event_id", "binData"),
            ("user_id", "binData"),
            ("place", "long"),
            ("status", "string"),
            ("open", "bool?"), // true while waiting or offered
            ("offer_expires_at", "date?"),
            ("joined_at", "date"),
        ],
        check: Some(
            || doc! {"status": {"$in": ["waiting", "offered", "expired", "registered", "left", "closed"]}},
        ),
        indexes: &[
            // At most one place per user and event: this index decides, not a read beforehand.
            Index::unique(&[("event_id", 1), ("user_id", 1)]).only(|| doc! {"open": true}),
            Index::unique(&[("event_id", 1), ("place", 1)]).only(|| doc! {"status": "waiting"}),
            Index::on(&[("user_id", 1), ("_id", 1)]),
            Index::on(&[("event_id", 1), ("offer_expires_at", 1)]).only(|| doc! {"status": "offered"}),
            Index::on(&[("offer_expires_at", 1)]).only(|| doc! {"status": "offered"}),
        ],
    },
    outbox::SCHEMA,
    outbox::DEAD_LETTERS,
    inbox::SCHEMA,
    lease::SCHEMA,
    idempotency::SCHEMA,
    audit::SCHEMA,
];
