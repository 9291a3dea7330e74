-- Times are milliseconds since 1970, UTC. Ids are 16-byte UUIDs. Money is paise.
CREATE TABLE orders (
    id              BLOB    NOT NULL PRIMARY KEY,
    registration_id BLOB    NOT NULL UNIQUE,
    event_id        BLOB    NOT NULL,
    event_name      TEXT    NOT NULL,
    user_id         BLOB    NOT NULL,
    amount          INTEGER NOT NULL CHECK (amount > 0),
    razorpay_id     TEXT    UNIQUE,
    paid_by         BLOB,                           -- the one payment that paid it
    created_at      INTEGER NOT NULL,
    worked_until    INTEGER NOT NULL DEFAULT 0,     -- somebody works on it until then
    fence           INTEGER NOT NULL DEFAULT 0,
    reconcile_at    INTEGER,                        -- NULL: nothing more to find out
    looks           INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX orders_due ON orders (reconcile_at) WHERE reconcile_at IS NOT NULL;

CREATE TABLE payments (
    id          BLOB    NOT NULL PRIMARY KEY,
    order_id    BLOB    NOT NULL,
    user_id     BLOB    NOT NULL,
    razorpay_id TEXT    NOT NULL UNIQUE,
    method      TEXT    NOT NULL,
    amount      INTEGER NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('created', 'failed', 'authorized', 'captured', 'refunded')),
    reason      TEXT,
    description TEXT,
    created_at  INTEGER NOT NULL,
    captured_at INTEGER
) WITHOUT ROWID;
CREATE INDEX payments_by_user ON payments (user_id, id);

CREATE TABLE refunds (
    id           BLOB    NOT NULL PRIMARY KEY,
    payment_id   BLOB    NOT NULL UNIQUE,           -- there is one refund per payment
    amount       INTEGER NOT NULL,                  -- how much is to be back in all; 0: the money is kept on purpose
    reason       TEXT    NOT NULL,
    razorpay_id  TEXT    UNIQUE,
    generation   INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER,                           -- NULL: done
    worked_until INTEGER NOT NULL DEFAULT 0,
    fence        INTEGER NOT NULL DEFAULT 0,
    why          TEXT,
    created_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX refunds_due ON refunds (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE webhook_events (
    id          TEXT    NOT NULL PRIMARY KEY,
    received_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhook_events_by_age ON webhook_events (received_at);
