-- How people take part in an event, when it ends, and where to join it.
ALTER TABLE events ADD COLUMN format TEXT NOT NULL DEFAULT 'in_person' CHECK (format IN ('in_person', 'online', 'hybrid'));
ALTER TABLE events ADD COLUMN ends_at INTEGER; -- ms
ALTER TABLE events ADD COLUMN join_url TEXT;
