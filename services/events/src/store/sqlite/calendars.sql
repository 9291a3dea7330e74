-- Calendars to subscribe to: one for each user, reached by a token of which the hash is kept.
CREATE TABLE calendars (
    user_id    BLOB    NOT NULL PRIMARY KEY,
    token_hash BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL -- ms
) WITHOUT ROWID;
