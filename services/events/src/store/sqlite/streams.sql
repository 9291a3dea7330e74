-- The streams of an event, what was received of them, and who watches. Times are milliseconds since 1970, UTC. Ids are 16-byte
-- UUIDs.
CREATE TABLE streams (
    id         BLOB    NOT NULL PRIMARY KEY,
    event_id   BLOB    NOT NULL,
    title      TEXT    NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('ingest', 'hls', 'embed', 'meeting')),
    url        TEXT,                        -- NULL: ingest
    starts_at  INTEGER,
    ends_at    INTEGER,
    priority   INTEGER NOT NULL,
    record     INTEGER NOT NULL,            -- 1: what is received can be watched afterwards
    state      TEXT    NOT NULL CHECK (state IN
        ('scheduled', 'ready', 'live', 'interrupted', 'ended', 'replay', 'deleted')),
    since      INTEGER NOT NULL,
    look_at    INTEGER,                     -- NULL: time alone does not move it
    key_hash   BLOB,                        -- SHA-256 of the stream key; NULL: none is good
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    feed       TEXT    NOT NULL,            -- JSON: the publisher, and what was received
    drop_from  INTEGER                      -- its recording is dropped when all up to then are; NULL: nothing is to be
) WITHOUT ROWID;
CREATE INDEX streams_by_event ON streams (event_id, id);
CREATE UNIQUE INDEX streams_by_key ON streams (key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX streams_to_look_at ON streams (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX streams_to_drop ON streams (drop_from) WHERE drop_from IS NOT NULL;

CREATE TABLE segments (
    stream_id     BLOB    NOT NULL,
    number        INTEGER NOT NULL,
    object        TEXT    NOT NULL,
    init          TEXT,                     -- NULL: MPEG-TS
    micros        INTEGER NOT NULL,
    bytes         INTEGER NOT NULL,
    discontinuity INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    PRIMARY KEY (stream_id, number)
) WITHOUT ROWID;

CREATE TABLE playbacks (
    id             BLOB    NOT NULL PRIMARY KEY,
    stream_id      BLOB    NOT NULL,
    event_id       BLOB    NOT NULL,
    user_id        BLOB    NOT NULL,
    started_at     INTEGER NOT NULL,
    seen_at        INTEGER NOT NULL,
    watched_millis INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX playbacks_by_viewer ON playbacks (event_id, user_id, seen_at);
CREATE INDEX playbacks_by_event ON playbacks (event_id, seen_at, user_id);
CREATE INDEX playbacks_by_user ON playbacks (user_id, id);
CREATE INDEX playbacks_by_stream ON playbacks (stream_id);
