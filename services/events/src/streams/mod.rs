//! Streams: what encoders send here is kept in segments and shown to those who take part, live and afterwards.
//! docs/streaming.md says how to use it, docs/decisions/033 why it is built like this.

mod hls;
pub mod ingest;
pub mod mediamtx;
mod objects;
mod secrets;
mod serving;
mod viewers;
pub mod workers;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use common::{
    auth::Auth,
    clock::{Clock, Timestamp},
    ids::{EventId, StreamId, UserId, new_id},
    settings::Settings,
};
use moka::future::Cache;
use runtime::process::Context;
use uuid::Uuid;

use self::{ingest::Sessions, mediamtx::MediaMtx, objects::Objects, secrets::Secrets, viewers::Viewers};
pub use self::{
    secrets::hash as key_hash,
    serving::{
        Begun, Playlist, access_ended, closed, no_such_stream, not_confirmed, not_open_yet, not_playing,
        nothing_yet, segment_refused, too_many_devices,
    },
};
use crate::{
    domain::{standing::Denied, stream::Receiver},
    live::Live,
    store::Store,
};

/// How long a playlist is given out as it is.
const PLAYLIST_KEPT: Duration = Duration::from_millis(500);
/// How long somebody's rights are taken as they were.
const RIGHTS_KEPT: Duration = Duration::from_secs(1);
/// Rights that are remembered.
const RIGHTS: u64 = 100_000;

/// The ports that encoders send to.
#[derive(Clone, Copy, Debug, Default)]
pub struct IngestPorts {
    /// HLS by HTTP PUT.
    pub http: u16,
    /// RTMP; `None`: it is off.
    pub rtmp: Option<u16>,
}

/// What the room's handlers and workers work with. Cheap to clone.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    live: Live,
    clock: Clock,
    objects: Objects,
    secrets: Secrets,
    /// This process, as a receiver of encoders.
    process: Uuid,
    sessions: Sessions,
    viewers: Viewers,
    playlists: Cache<(StreamId, Playlist), Option<Bytes>>,
    rights: Cache<(EventId, UserId), Result<(), Denied>>,
    /// Who receives new streams in place of this service.
    mediamtx: Option<MediaMtx>,
    public_url: String,
    hls_address: String,
    rtmp_address: Option<String>,
    /// Bytes that may be stored of one stream.
    quota: u64,
    /// How long a recording is kept.
    retention: Duration,
}

impl Streams {
    /// The room.
    ///
    /// # Errors
    /// One sentence for the person who started the program: where recordings are kept cannot be used.
    pub fn new(
        context: &Context,
        auth: &Auth,
        store: &Arc<dyn Store>,
        live: &Live,
        ports: IngestPorts,
    ) -> Result<Self, String> {
        let settings = &context.settings;
        Ok(Self(Arc::new(Inner {
            store: Arc::clone(store),
            live: live.clone(),
            clock: context.clock.clone(),
            objects: match &settings.bucket {
                Some(bucket) => Objects::in_bucket(bucket)?,
                None => Objects::in_directory(&context.data("streams"), settings.stream_keep_free)?,
            },
            secrets: Secrets::new(auth),
            process: new_id(),
            sessions: Sessions::default(),
            viewers: Viewers::default(),
            playlists: Cache::builder()
                .weigher(|_, text: &Option<Bytes>| {
                    let length = text.as_ref().map_or(0, Bytes::len);
                    u32::try_from(length + 100).unwrap_or(u32::MAX)
                })
                .max_capacity(64 * 1024 * 1024)
                .time_to_live(PLAYLIST_KEPT)
                .build(),
            rights: Cache::builder()
                .max_capacity(RIGHTS)
                .time_to_live(RIGHTS_KEPT)
                .build(),
            mediamtx: settings.mediamtx.as_ref().map(MediaMtx::new).transpose()?,
            public_url: public_url(settings),
            hls_address: format!("{}/hls", ingest_url(settings, ports.http)),
            rtmp_address: ports
                .rtmp
                .map(|port| format!("{}/live", rtmp_url(settings, ports.http, port))),
            quota: settings.stream_quota,
            retention: settings.stream_retention,
        })))
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// The key of a stream's generation, for the organizer.
    pub fn key(&self, stream: StreamId, generation: u32) -> String {
        self.0.secrets.stream_key(stream, generation)
    }

    /// Who receives a new ingest stream.
    pub fn receiver(&self) -> Receiver {
        match self.0.mediamtx {
            Some(_) => Receiver::MediaMtx,
            None => Receiver::Own,
        }
    }

    /// The MediaMTX that receives new streams.
    pub fn mediamtx(&self) -> Option<&MediaMtx> {
        self.0.mediamtx.as_ref()
    }

    /// Where encoders put their files: below it comes the key, then the file's name.
    pub fn hls_address(&self) -> &str {
        &self.0.hls_address
    }

    /// Where encoders publish by RTMP, the key as the stream's name; `None`: nowhere.
    pub fn rtmp_address(&self) -> Option<&str> {
        self.0.rtmp_address.as_deref()
    }
}

/// How the world reaches the gateway; empty while that takes any free port: addresses are relative then.
fn public_url(settings: &Settings) -> String {
    match (settings.gateway_port, &settings.public_url) {
        (0, None) => String::new(),
        (port, _) => settings.public_url(port),
    }
}

/// How encoders reach the ingest port.
fn ingest_url(settings: &Settings, port: u16) -> String {
    if let Some(url) = &settings.ingest_url {
        return url.clone();
    }
    format!(
        "http://{}:{port}",
        host(&settings.public_url(settings.gateway_port))
    )
}

/// How encoders reach the RTMP port.
fn rtmp_url(settings: &Settings, http: u16, port: u16) -> String {
    let default = || format!("rtmp://{}:{port}", host(&ingest_url(settings, http)));
    settings.rtmp_url.clone().unwrap_or_else(default)
}

/// The host of an address.
fn host(url: &str) -> &str {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    match host.rsplit_once(':') {
        // An IPv6 address has colons of its own, within brackets.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_host_is_found() {
        for (url, host) in [
            ("http://localhost:3003", "localhost"),
            ("https://events.example.org/api", "events.example.org"),
            ("http://[::1]:3003", "[::1]"),
            ("http://[::1]", "[::1]"),
        ] {
            assert_eq!(super::host(url), host);
        }
    }
}
