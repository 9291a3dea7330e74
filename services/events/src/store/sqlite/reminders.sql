-- When an event's attendees are reminded of it: hours before its start, with commas between. NULL: the default.
ALTER TABLE events ADD COLUMN reminders TEXT;
