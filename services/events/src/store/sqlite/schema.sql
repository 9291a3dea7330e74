-- Times are milliseconds since 1970, UTC. Ids are 16-byte UUIDs. Money is paise.
CREATE TABLE events (
    id                BLOB    NOT NULL PRIMARY KEY,
    organizer         BLOB    NOT NULL,
    name              TEXT    NOT NULL,
    details           TEXT    NOT NULL,
    starts_at         INTEGER NOT NULL,
    zone              TEXT    NOT NULL,
    address           TEXT    NOT NULL,
    capacity          INTEGER CHECK (capacity BETWEEN 1 AND 1000000),      -- NULL: unlimited
    fee               INTEGER NOT NULL CHECK (fee >= 0),
    cancelled         INTEGER NOT NULL DEFAULT 0,
    closes_at         INTEGER,                                             -- NULL: never
    closes_by_default INTEGER NOT NULL,
    seats_taken       INTEGER NOT NULL DEFAULT 0,
    version           INTEGER NOT NULL,
    schedule_version  INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    ending            INTEGER NOT NULL DEFAULT 0,                          -- 1: its registrations are being ended
    -- The second wall behind the guarded update: no bug can sell a seat twice.
    CHECK (seats_taken >= 0 AND (capacity IS NULL OR seats_taken <= capacity))
) WITHOUT ROWID;
CREATE INDEX events_by_organizer ON events (organizer, id);
CREATE INDEX events_by_start ON events (starts_at, id) WHERE cancelled = 0;
CREATE INDEX events_ending ON events (id) WHERE ending = 1;

CREATE TABLE event_words (
    word     TEXT NOT NULL,
    event_id BLOB NOT NULL,
    PRIMARY KEY (event_id, word)
) WITHOUT ROWID;
CREATE INDEX event_words_by_word ON event_words (word, event_id);

CREATE TABLE registrations (
    id              BLOB    NOT NULL PRIMARY KEY,
    event_id        BLOB    NOT NULL,
    user_id         BLOB    NOT NULL,
    amount          INTEGER NOT NULL,
    status          TEXT    NOT NULL CHECK (status IN ('pending_payment', 'confirmed', 'expired', 'cancelled')),
    hold_expires_at INTEGER,
    payment_id      BLOB,
    created_at      INTEGER NOT NULL
) WITHOUT ROWID;
-- At most one live registration per user and event: this decides, not a look beforehand.
CREATE UNIQUE INDEX registrations_live ON registrations (event_id, user_id)
    WHERE status IN ('pending_payment', 'confirmed');
CREATE INDEX registrations_by_user ON registrations (user_id, id);
CREATE INDEX registrations_holds ON registrations (event_id, hold_expires_at) WHERE status = 'pending_payment';
CREATE INDEX registrations_expiring ON registrations (hold_expires_at) WHERE status = 'pending_payment';

CREATE TABLE tickets (
    registration_id BLOB    NOT NULL PRIMARY KEY,
    id              BLOB    NOT NULL,
    code            TEXT    NOT NULL UNIQUE,
    issued_at       INTEGER NOT NULL,
    void            INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
