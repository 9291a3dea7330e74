-- How an event is listed, and whether it is yet; when registration opens.
ALTER TABLE events ADD COLUMN draft INTEGER NOT NULL DEFAULT 0;    -- 1: only its organizer knows of it
ALTER TABLE events ADD COLUMN opens_at INTEGER;                    -- ms; NULL: open from the beginning
ALTER TABLE events ADD COLUMN category TEXT NOT NULL DEFAULT 'other';
ALTER TABLE events ADD COLUMN tags TEXT;                           -- a JSON array of texts; NULL: none
ALTER TABLE events ADD COLUMN image_url TEXT;
ALTER TABLE events ADD COLUMN unlisted INTEGER NOT NULL DEFAULT 0; -- 1: in no list
