-- Entities are JSON documents beside the columns that queries need. seq is the order of creation: two entities of the
-- same second still list newest first. Times are unix seconds; due times, and those of events, unix milliseconds.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE orders (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    receipt TEXT,
    created_at INTEGER NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX orders_receipt ON orders (receipt) WHERE receipt IS NOT NULL;

CREATE TABLE payments (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    order_id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER,
    doc TEXT NOT NULL
);
CREATE INDEX payments_order ON payments (order_id);
CREATE INDEX payments_due ON payments (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE refunds (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    payment_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER,
    doc TEXT NOT NULL
);
CREATE INDEX refunds_payment ON refunds (payment_id);
CREATE INDEX refunds_due ON refunds (due_at) WHERE due_at IS NOT NULL;

-- X-Refund-Idempotency: what was asked under a key, and what came of it.
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    refund_id TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE links (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    reference_id TEXT UNIQUE,
    created_at INTEGER NOT NULL,
    due_at INTEGER,
    doc TEXT NOT NULL
);
CREATE INDEX links_due ON links (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE receivers (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    active INTEGER NOT NULL,
    doc TEXT NOT NULL
) WITHOUT ROWID;

-- body: the very bytes that are posted, at the first try and at every other.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX events_created ON events (created_at);

-- subject: deliveries of one subject to one receiver go out one after the other. due_at is NULL once outcome is set.
CREATE TABLE deliveries (
    event INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    receiver TEXT NOT NULL,
    subject TEXT NOT NULL,
    signature TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER,
    outcome TEXT,
    PRIMARY KEY (event, receiver)
) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
