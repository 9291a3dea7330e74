-- Who runs an event beside its organizer, and who is invited to. Times are milliseconds since 1970, UTC. Ids are 16-byte UUIDs.
CREATE TABLE team (
    id       BLOB    NOT NULL PRIMARY KEY,  -- made of event and user
    event_id BLOB    NOT NULL,
    owner    BLOB    NOT NULL,              -- whose event it is
    user_id  BLOB    NOT NULL,
    role     TEXT    NOT NULL CHECK (role IN ('manager', 'scanner')),
    since    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX team_by_event ON team (event_id, since);
CREATE INDEX team_by_user ON team (user_id, event_id);
CREATE INDEX team_by_owner ON team (owner, id);

CREATE TABLE invitations (
    id         BLOB    NOT NULL PRIMARY KEY, -- what the token is derived from
    event_id   BLOB    NOT NULL,
    owner      BLOB    NOT NULL,             -- whose event it is
    email      TEXT    NOT NULL,             -- in canonical form
    role       TEXT    NOT NULL CHECK (role IN ('manager', 'scanner')),
    invited_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX invitations_by_event ON invitations (event_id, email);
CREATE INDEX invitations_by_owner ON invitations (owner, id);
CREATE INDEX invitations_by_end ON invitations (expires_at);
