-- Who receives an ingest stream: this service, or a media server, whose streams are looked up by it.
ALTER TABLE streams ADD COLUMN receiver TEXT NOT NULL DEFAULT 'own' CHECK (receiver IN ('own', 'mediamtx'));
CREATE INDEX streams_on_air ON streams (receiver, id) WHERE receiver <> 'own' AND state IN ('live', 'interrupted');
