-- The lines for full events. Times are milliseconds since 1970, UTC. Ids are 16-byte UUIDs.
ALTER TABLE events ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0);   -- people in line
ALTER TABLE events ADD COLUMN offered INTEGER NOT NULL DEFAULT 0 CHECK (offered >= 0);   -- open offers, in seats_taken too
ALTER TABLE events ADD COLUMN last_place INTEGER NOT NULL DEFAULT 0;                     -- the last place given
CREATE INDEX events_with_line ON events (id) WHERE waiting > 0 OR offered > 0;

CREATE TABLE waitlist (
    id               BLOB    NOT NULL PRIMARY KEY,
    event_id         BLOB    NOT NULL,
    user_id          BLOB    NOT NULL,
    place            INTEGER NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN
        ('waiting', 'offered', 'expired', 'registered', 'left', 'closed')),
    offer_expires_at INTEGER,                     -- of an offer, also one that has run out
    joined_at        INTEGER NOT NULL
) WITHOUT ROWID;
-- At most one place per user and event: this decides, not a look beforehand.
CREATE UNIQUE INDEX waitlist_open ON waitlist (event_id, user_id) WHERE status IN ('waiting', 'offered');
CREATE UNIQUE INDEX waitlist_line ON waitlist (event_id, place) WHERE status = 'waiting';
CREATE INDEX waitlist_by_user ON waitlist (user_id, id);
CREATE INDEX waitlist_offers ON waitlist (event_id, offer_expires_at) WHERE status = 'offered';
