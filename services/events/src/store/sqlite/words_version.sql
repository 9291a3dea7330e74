-- Which words::VERSION an event was indexed by; NULL: before there were versions.
ALTER TABLE events ADD COLUMN words_version INTEGER;
CREATE INDEX events_by_words_version ON events (words_version);
