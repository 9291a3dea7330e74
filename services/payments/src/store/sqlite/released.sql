-- Payments may be released: authorized and not captured. A CHECK cannot be changed, so the table is made anew.
CREATE TABLE payments_anew (
    id          BLOB    NOT NULL PRIMARY KEY,
    order_id    BLOB    NOT NULL,
    user_id     BLOB    NOT NULL,
    razorpay_id TEXT    NOT NULL UNIQUE,
    method      TEXT    NOT NULL,
    amount      INTEGER NOT NULL,
    status      TEXT    NOT NULL
        CHECK (status IN ('created', 'failed', 'authorized', 'released', 'captured', 'refunded')),
    reason      TEXT,
    description TEXT,
    created_at  INTEGER NOT NULL,
    captured_at INTEGER,
    released_at INTEGER,
    follow_at   INTEGER                             -- when Razorpay is asked whether it is released there too
) WITHOUT ROWID;
INSERT INTO payments_anew (id, order_id, user_id, razorpay_id, method, amount, status, reason, description, created_at,
    captured_at)
    SELECT id, order_id, user_id, razorpay_id, method, amount, status, reason, description, created_at, captured_at
    FROM payments;
DROP TABLE payments;
ALTER TABLE payments_anew RENAME TO payments;
CREATE INDEX payments_by_user ON payments (user_id, id);
CREATE INDEX payments_authorized ON payments (created_at) WHERE status = 'authorized';
CREATE INDEX payments_followed ON payments (follow_at) WHERE follow_at IS NOT NULL;
