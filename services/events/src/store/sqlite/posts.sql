-- What people say beside an event. Times are milliseconds since 1970, UTC. Ids are 16-byte UUIDs.
CREATE TABLE posts (
    id         BLOB    NOT NULL PRIMARY KEY,
    event_id   BLOB    NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('chat', 'question', 'poll', 'announcement')),
    user_id    BLOB    NOT NULL,
    user_name  TEXT,                        -- NULL: none, or the account was deleted
    part       TEXT    NOT NULL,            -- what the author was to the event
    text       TEXT    NOT NULL,            -- empty once it is deleted
    options    TEXT    NOT NULL,            -- JSON: a poll's [{option_id, text}]
    secret     INTEGER NOT NULL,            -- 1: a poll's votes are shown when it is closed
    stage      TEXT    NOT NULL CHECK (stage IN ('draft', 'open', 'answered', 'closed', 'hidden', 'deleted')),
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    edited_at  INTEGER,
    expires_at INTEGER                      -- an announcement is over then; NULL: never
) WITHOUT ROWID;
CREATE INDEX posts_by_event ON posts (event_id, kind, id);
CREATE INDEX posts_by_user ON posts (user_id, id);

CREATE TABLE votes (
    id        BLOB    NOT NULL PRIMARY KEY, -- made of post and user: one vote each
    post_id   BLOB    NOT NULL,
    user_id   BLOB    NOT NULL,
    option_id BLOB,                         -- NULL: for a question
    at        INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX votes_by_post ON votes (post_id, option_id);
CREATE INDEX votes_by_user ON votes (user_id, id);

CREATE TABLE participants (
    id               BLOB    NOT NULL PRIMARY KEY, -- made of event and user
    event_id         BLOB    NOT NULL,
    user_id          BLOB    NOT NULL,
    restriction      TEXT CHECK (restriction IN ('mute', 'ban')), -- NULL: none
    restricted_until INTEGER,               -- NULL: for good
    said_at          INTEGER                -- when they last wrote in a slow chat
) WITHOUT ROWID;

CREATE TABLE chats (
    id           BLOB    NOT NULL PRIMARY KEY,     -- the event's
    mode         TEXT    NOT NULL CHECK (mode IN ('open', 'slow', 'closed')),
    slow_seconds INTEGER NOT NULL
) WITHOUT ROWID;
