-- The ledger: every refund of our payments at Razorpay, whoever asked for it.
CREATE TABLE refund_entries (
    id           TEXT    NOT NULL PRIMARY KEY,      -- Razorpay's
    payment_id   BLOB    NOT NULL,
    refund_id    BLOB,                              -- ours that it was made for; NULL: made at Razorpay
    amount       INTEGER NOT NULL,
    status       TEXT    NOT NULL CHECK (status IN ('pending', 'processed', 'failed')),
    created_at   INTEGER NOT NULL,
    processed_at INTEGER,
    failed_at    INTEGER,
    looked_at    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX refund_entries_by_payment ON refund_entries (payment_id, created_at);
CREATE INDEX refund_entries_pending ON refund_entries (looked_at) WHERE status = 'pending';
INSERT INTO refund_entries (id, payment_id, refund_id, amount, status, created_at, processed_at, looked_at)
    SELECT razorpay_id, payment_id, id, amount, iif(next_at IS NULL, 'processed', 'pending'), created_at,
        iif(next_at IS NULL, created_at, NULL), created_at
    FROM refunds WHERE razorpay_id IS NOT NULL;
-- What Razorpay says when it refuses to send money back.
ALTER TABLE refunds ADD COLUMN refused TEXT;
ALTER TABLE refunds DROP COLUMN generation;
-- Until when something has been looked at.
CREATE TABLE marks (
    name TEXT    NOT NULL PRIMARY KEY,
    at   INTEGER NOT NULL
) WITHOUT ROWID;
