//! The tables.

use sqlite_store::{audit, idempotency, inbox, lease, outbox};

use super::{broadcasts, wordings};

/// The scripts that make and change the tables, in order. One that was released never changes.
pub const MIGRATIONS: &[&str] = &[
    inbox::SCHEMA,
    FIRST,
    WHY,
    audit::SCHEMA,
    FORGOTTEN,
    outbox::SCHEMA,
    outbox::REQUEST_IDS,
    lease::SCHEMA,
    FORMAT,
    STATUSES,
    READ_AT,
    PREFERENCES,
    REMINDERS,
    idempotency::SCHEMA,
    broadcasts::SCHEMA,
    wordings::SCHEMA,
    ORGANIZER,
];

// Ids are UUIDv7 and so grow with time: the tables that are keyed by them are appended to, which is what makes the
// intake fast. WITHOUT ROWID saves each of them a second tree.
const FIRST: &str = "
-- What is known of events. Every version that was heard of stays, so that a message says the same on every try.
CREATE TABLE events (
    event_id         BLOB    NOT NULL,
    version          INTEGER NOT NULL,
    name             TEXT    NOT NULL,
    address          TEXT    NOT NULL,
    starts_at        INTEGER NOT NULL,      -- ms
    zone             TEXT    NOT NULL,
    schedule_version INTEGER NOT NULL,
    cancelled        INTEGER NOT NULL,
    PRIMARY KEY (event_id, version)
) WITHOUT ROWID;

-- Who attends what. An ended registration stays, so that a late repeat cannot bring it back.
CREATE TABLE attendances (
    registration_id BLOB    NOT NULL PRIMARY KEY,
    user_id         BLOB    NOT NULL,
    event_id        BLOB    NOT NULL,
    told_version    INTEGER NOT NULL,       -- of the event
    live            INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX attendances_by_event ON attendances (event_id, registration_id) WHERE live = 1;

-- Reminders to come and gone.
CREATE TABLE schedules (
    registration_id  BLOB    NOT NULL,
    kind             TEXT    NOT NULL,
    due_at           INTEGER NOT NULL,      -- ms
    schedule_version INTEGER NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('pending', 'done', 'dropped', 'skipped_late')),
    PRIMARY KEY (registration_id, kind)
) WITHOUT ROWID;
CREATE INDEX schedules_by_due_time ON schedules (status, due_at);

-- Changes of events that have not reached all attendees.
CREATE TABLE announcements (
    event_id       BLOB    NOT NULL PRIMARY KEY,
    version        INTEGER NOT NULL,
    cursor         BLOB,                    -- the last registration reached
    created_at     INTEGER NOT NULL         -- ms
) WITHOUT ROWID;

-- One row per recipient, kind and channel.
CREATE TABLE messages (
    id               BLOB    NOT NULL PRIMARY KEY,
    user_id          BLOB    NOT NULL,
    event_id         BLOB    NOT NULL,
    event_version    INTEGER,               -- what it says of the event; NULL: all it says is in details
    occurrence       BLOB    NOT NULL,      -- the registration or payment it is about
    kind             TEXT    NOT NULL,
    channel          TEXT    NOT NULL,
    schedule_version INTEGER NOT NULL,
    address          TEXT    NOT NULL,
    name             TEXT,
    details          TEXT    NOT NULL,      -- JSON
    status           TEXT    NOT NULL CHECK (status IN ('queued', 'sending', 'sent', 'failed', 'dropped')),
    -- When a worker may take it: the next try, or the end of the lease of the worker that has it. NULL: settled.
    due_at           INTEGER,               -- ms
    not_after        INTEGER,               -- ms
    withdrawn        INTEGER NOT NULL DEFAULT 0,  -- void, but a worker had it when it became so
    attempts         INTEGER NOT NULL DEFAULT 0,
    lease_owner      BLOB,
    fence            INTEGER NOT NULL DEFAULT 0,  -- grows with every claim
    last_error       TEXT,
    created_at       INTEGER NOT NULL,      -- ms
    sent_at          INTEGER,               -- ms
    provider         TEXT,
    provider_id      TEXT
) WITHOUT ROWID;
-- Nobody is told the same thing twice.
CREATE UNIQUE INDEX messages_once ON messages (occurrence, kind, channel, schedule_version);
CREATE INDEX messages_by_turn ON messages (channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX messages_by_user ON messages (user_id, created_at);
CREATE INDEX messages_failed ON messages (status) WHERE status = 'failed';
";

// Deleted accounts, to which nothing more is written: what was looked up before may come later.
const FORGOTTEN: &str = "
CREATE TABLE forgotten (
    user_id BLOB    NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL                -- ms
) STRICT, WITHOUT ROWID;
CREATE INDEX forgotten_by_time ON forgotten (at);
";

// How people take part in an event, when it ends, and where to join it.
const FORMAT: &str = "
ALTER TABLE events ADD COLUMN format TEXT NOT NULL DEFAULT 'in_person';
ALTER TABLE events ADD COLUMN ends_at INTEGER; -- ms
ALTER TABLE events ADD COLUMN join_url TEXT;
";

// More states. SQLite changes a CHECK only with its table. `dropped` is what earlier releases called `skipped`.
const STATUSES: &str = "
CREATE TABLE messages_anew (
    id               BLOB    NOT NULL PRIMARY KEY,
    user_id          BLOB    NOT NULL,
    event_id         BLOB    NOT NULL,
    event_version    INTEGER,
    occurrence       BLOB    NOT NULL,
    kind             TEXT    NOT NULL,
    channel          TEXT    NOT NULL,
    schedule_version INTEGER NOT NULL,
    address          TEXT    NOT NULL,
    name             TEXT,
    details          TEXT    NOT NULL,      -- JSON
    status           TEXT    NOT NULL
        CHECK (status IN ('queued', 'sending', 'sent', 'delivered', 'failed', 'dead', 'skipped', 'dropped')),
    due_at           INTEGER,               -- ms; the next try, or the end of a lease; NULL: settled
    not_after        INTEGER,               -- ms
    withdrawn        INTEGER NOT NULL DEFAULT 0,
    attempts         INTEGER NOT NULL DEFAULT 0,
    lease_owner      BLOB,
    fence            INTEGER NOT NULL DEFAULT 0,
    last_error       TEXT,
    created_at       INTEGER NOT NULL,      -- ms
    sent_at          INTEGER,               -- ms
    provider         TEXT,
    provider_id      TEXT,
    delivered_at     INTEGER                -- ms
) WITHOUT ROWID;
INSERT INTO messages_anew SELECT id, user_id, event_id, event_version, occurrence, kind, channel, schedule_version, address,
    name, details, status, due_at, not_after, withdrawn, attempts, lease_owner, fence, last_error, created_at, sent_at,
    provider, provider_id, NULL FROM messages;
DROP TABLE messages;
ALTER TABLE messages_anew RENAME TO messages;
CREATE UNIQUE INDEX messages_once ON messages (occurrence, kind, channel, schedule_version);
CREATE INDEX messages_by_turn ON messages (channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX messages_by_user ON messages (user_id, created_at);
CREATE INDEX messages_failed ON messages (status) WHERE status = 'failed';
CREATE INDEX messages_dead ON messages (id) WHERE status = 'dead';
-- Of text messages providers report by their own names.
CREATE INDEX messages_by_provider ON messages (provider, provider_id) WHERE channel = 'sms' AND provider_id IS NOT NULL;
";

// When its reader has marked a message as read.
const READ_AT: &str = "ALTER TABLE messages ADD COLUMN read_at INTEGER; -- ms";

// What people have chosen to be told. Who has chosen nothing has no row.
const PREFERENCES: &str = "
CREATE TABLE preferences (
    user_id BLOB    NOT NULL PRIMARY KEY,
    choice  TEXT    NOT NULL,               -- JSON
    at      INTEGER NOT NULL                -- ms
) STRICT, WITHOUT ROWID;
";

// When attendees are reminded: hours before the start, with commas between. NULL: the default.
const REMINDERS: &str = "
ALTER TABLE events ADD COLUMN reminders TEXT;
";

// Whose event it is, in whose name letters about it come. NULL: told by a release that did not say.
const ORGANIZER: &str = "
ALTER TABLE events ADD COLUMN organizer BLOB;
";

// Why a reminder or an announcement was set aside: it cannot be read.
const WHY: &str = "
ALTER TABLE schedules ADD COLUMN why TEXT;
ALTER TABLE announcements ADD COLUMN why TEXT;
";
