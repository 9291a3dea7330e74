-- The desk: who was admitted, and what is counted.
ALTER TABLE tickets ADD COLUMN checked_in_at INTEGER; -- ms
ALTER TABLE tickets ADD COLUMN gate TEXT;
ALTER TABLE tickets ADD COLUMN checked_in_by BLOB;
ALTER TABLE tickets ADD COLUMN nonce TEXT;
ALTER TABLE tickets ADD COLUMN undone_at INTEGER; -- ms
CREATE INDEX tickets_by_id ON tickets (id);
CREATE INDEX registrations_by_event ON registrations (event_id, id);

CREATE TABLE counts (
    event_id   BLOB    NOT NULL,
    hour       INTEGER NOT NULL, -- ms; its beginning, as the clocks of the event show it
    confirmed  INTEGER NOT NULL DEFAULT 0,
    ended      INTEGER NOT NULL DEFAULT 0,
    cancelled  INTEGER NOT NULL DEFAULT 0,
    paid       INTEGER NOT NULL DEFAULT 0,
    refunded   INTEGER NOT NULL DEFAULT 0,
    checked_in INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (event_id, hour)
) WITHOUT ROWID;
-- What was before is counted in the hour in which its event was created.
INSERT INTO counts (event_id, hour, confirmed, cancelled, paid, refunded)
SELECT r.event_id, e.created_at / 3600000 * 3600000,
    SUM(r.status = 'confirmed'),
    SUM(r.status = 'cancelled'),
    SUM(CASE WHEN r.payment_id IS NOT NULL THEN coalesce(r.paid, r.amount) ELSE 0 END),
    SUM(CASE WHEN r.payment_id IS NOT NULL AND r.status <> 'confirmed' THEN coalesce(r.paid, r.amount) ELSE 0 END)
FROM registrations AS r JOIN events AS e ON e.id = r.event_id
WHERE r.status IN ('confirmed', 'cancelled')
GROUP BY r.event_id;
