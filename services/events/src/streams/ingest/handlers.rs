//! `PUT /hls/{key}/{name}`: an encoder's files. They come to a port of their own, whose connections may be half closed: ffmpeg sends a
//! file and closes without waiting for the answer, and a server that takes that for a client that has left loses the file.

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    routing::put,
};
use bytes::Bytes;
use common::{
    clock::Timestamp,
    http::{Pipeline, serve::Limits},
    ids::{EventId, StreamId},
    metrics::Metrics,
    problem::{self, ApiError},
    store::StoreError,
};
use http_body_util::{BodyExt, Limited};
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::{
    media_type::{is_mp4, is_ts},
    playlist::{self, FileKind, MAX_PLAYLIST},
    session::{Due, Init, Next, Session},
};
use crate::{
    domain::stream::{PublishRefusal, Segment, State as StreamState, Stream},
    store::streams::{Claim, PublishError},
    streams::{
        Streams, key_hash,
        objects::{ObjectKind, ObjectsError},
    },
};

/// The largest segment.
const MAX_SEGMENT: usize = 16 * 1024 * 1024;
/// Limits of the port's connections.
pub const LIMITS: Limits = Limits {
    head: Duration::from_secs(15),
    body: Some(Duration::from_secs(60)),
    connections: 512,
    drain: Duration::from_secs(5),
    half_close: true,
};
/// How long a file may take in all, from its head to the answer.
const PATIENCE: Duration = Duration::from_secs(90);
/// The largest initialization.
const MAX_INIT: usize = 256 * 1024;
/// Files that are being received at a time, of all encoders: each may take as much memory as the largest.
static PLACES: Semaphore = Semaphore::const_new(16);
/// The only scheme of the header that may bring the key.
const BEARER: &str = "Bearer ";
/// Below this come the key and the file's name.
const ROOT: &str = "/hls/";
/// Of a stream that is not recorded, so many segments stay for those who are behind.
const KEPT: u64 = 20;

/// The pipeline of the ingest port.
pub fn pipeline(streams: Streams) -> Pipeline {
    let files = put(put_file).post(put_file).delete(delete_file);
    let router = Router::new()
        .route("/hls/{name}", files)
        .layer(DefaultBodyLimit::disable())
        .with_state(streams);
    Pipeline::new("ingest", router, Metrics::new("ingest", Vec::new()))
        .patience(PATIENCE)
        .preparing(hide_key)
}

/// Moves the key from the path, which logs show, into a header, which they do not.
fn hide_key(request: &mut Request) {
    let path = request.uri().path();
    let rest = path.strip_prefix(ROOT).unwrap_or_default();
    let Some((key, name)) = rest.split_once('/') else {
        if playlist::file_kind(rest).is_none() {
            // Whatever it is, it may be a key.
            *request.uri_mut() = Uri::from_static(ROOT);
        }
        return;
    };
    let is_plain = !name.contains('/');
    let (true, Ok(uri), Ok(mut value)) = (
        is_plain,
        format!("{ROOT}{name}").parse::<Uri>(),
        HeaderValue::try_from(format!("{BEARER}{key}")),
    ) else {
        *request.uri_mut() = Uri::from_static(ROOT);
        return;
    };
    value.set_sensitive(true);
    *request.uri_mut() = uri;
    request.headers_mut().insert(header::AUTHORIZATION, value);
}

pub(in crate::streams) fn wrong_key() -> ApiError {
    ApiError::unauthorized("stream_key_invalid", "There is no stream with this key.")
}

pub(in crate::streams) fn refused(why: PublishRefusal) -> ApiError {
    match why {
        PublishRefusal::Busy => ApiError::conflict(
            "already_published",
            "Another encoder publishes this stream. Stop it first, or make a new key.",
        ),
        PublishRefusal::CutOff => ApiError::conflict(
            "publisher_cut_off",
            "The organizer has cut this encoder off. It may come back in ten seconds.",
        ),
        PublishRefusal::Ended => {
            ApiError::conflict("stream_ended", "The stream is over. A new key opens it again.")
        }
        PublishRefusal::Full => ApiError::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "stream_full",
            "As much as may be kept of one stream is kept.",
        ),
        PublishRefusal::Elsewhere => ApiError::conflict(
            "received_elsewhere",
            "This stream is received elsewhere: the answer to its creation says where.",
        ),
    }
}

/// What is left of the disk is for others.
fn no_room() -> ApiError {
    ApiError::new(
        StatusCode::INSUFFICIENT_STORAGE,
        "recordings_full",
        "The disk has no room for recordings left.",
    )
}

fn publish_problem(error: PublishError) -> ApiError {
    match error {
        PublishError::NoSuchStream => wrong_key(),
        PublishError::Refused(why) => refused(why),
        PublishError::Store(error) => error.into(),
    }
}

/// What a request shows.
struct Sent {
    stream: Stream,
    key_hash: [u8; 32],
    kind: FileKind,
    name: String,
}

async fn sent(streams: &Streams, name: String, headers: &HeaderMap) -> Result<Sent, ApiError> {
    let kind = playlist::file_kind(&name).ok_or_else(|| {
        ApiError::invalid_field(
            "name",
            "must be letters, digits, _ and - with .m3u8, .ts, .m4s or .mp4 at the end",
        )
    })?;
    let header = headers.get(header::AUTHORIZATION);
    let key = header.and_then(|value| value.to_str().ok()?.strip_prefix(BEARER));
    let key_hash = key_hash(key.ok_or_else(wrong_key)?.trim());
    let stream = streams.store().stream_by_key(key_hash).await?;
    Ok(Sent {
        stream: stream.ok_or_else(wrong_key)?,
        key_hash,
        kind,
        name,
    })
}

/// ffmpeg deletes what has left its playlist; here that is decided elsewhere.
async fn delete_file(
    State(streams): State<Streams>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    sent(&streams, name, &headers).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn put_file(
    State(streams): State<Streams>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let sent = sent(&streams, name, &headers).await?;
    if !sent.stream.state.takes_media() {
        return Err(refused(PublishRefusal::Ended));
    }
    let bytes = received(body, sent.kind).await?;
    // On its own, so that what it takes from the session is not lost when the request is given up.
    let taking = async move { streams.take_file(sent, bytes).await };
    tokio::spawn(taking.in_current_span())
        .await
        .map_err(ApiError::internal)??;
    Ok(StatusCode::CREATED)
}

async fn received(body: Body, kind: FileKind) -> Result<Bytes, ApiError> {
    let most = match kind {
        FileKind::Playlist => MAX_PLAYLIST,
        _ => MAX_SEGMENT,
    };
    let _place = PLACES.acquire().await.map_err(ApiError::internal)?;
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(problem::body_too_large()),
        Err(error) => Err(problem::body_incomplete().because(error)),
    }
}

impl Streams {
    /// The claim of a publisher of a stream. What is not recorded takes no more than its last segments.
    pub(super) fn claim_of(&self, stream: &Stream, key_hash: [u8; 32], name: String) -> Claim {
        Claim {
            stream: stream.id,
            process: self.0.process,
            name,
            key_hash,
            quota: if stream.record { self.0.quota } else { u64::MAX },
        }
    }

    /// Takes a file that has come whole.
    async fn take_file(&self, mut sent: Sent, bytes: Bytes) -> Result<(), ApiError> {
        let session = self.0.sessions.of(sent.stream.id);
        let mut session = session.lock().await;
        // The key may have been replaced while the file came.
        let stream = self.store().stream_by_key(sent.key_hash).await?;
        sent.stream = stream.ok_or_else(wrong_key)?;
        if !self.takes_place(sent.stream.event).await? {
            return Err(refused(PublishRefusal::Ended));
        }
        match sent.kind {
            FileKind::Playlist => self.playlist(&mut session, &sent, &bytes).await,
            kind => {
                let is_media = match kind {
                    FileKind::Segment => is_ts(&bytes),
                    _ => is_mp4(&bytes),
                };
                match is_media {
                    true => self.file(&mut session, &sent, bytes).await,
                    false => Err(ApiError::invalid_field(
                        "body",
                        "is not what the file's name says",
                    )),
                }
            }
        }
    }

    /// Whether an event is not cancelled.
    pub(in crate::streams) async fn takes_place(&self, event: EventId) -> Result<bool, StoreError> {
        let event = self.store().event(event).await?;
        Ok(event.is_some_and(|event| !event.cancelled))
    }

    /// A playlist has come: it says who publishes, and which segments there are.
    async fn playlist(&self, session: &mut Session, sent: &Sent, text: &[u8]) -> Result<(), ApiError> {
        let listed = playlist::read(text).map_err(|why| ApiError::invalid_field("body", why))?;
        // What leads to playlists is not needed: there is one.
        let Some(listed) = listed else { return Ok(()) };
        let claim = self.claim_of(&sent.stream, sent.key_hash, format!("hls:{}", sent.name));
        self.store()
            .claim_stream(claim.clone(), self.now())
            .await
            .map_err(publish_problem)?;
        session.published_by(claim, &sent.stream.feed);
        session.playlist(listed, Instant::now());
        self.take_due(session).await
    }

    /// A segment or an initialization has come.
    async fn file(&self, session: &mut Session, sent: &Sent, bytes: Bytes) -> Result<(), ApiError> {
        let now = self.now();
        if is_others(&sent.stream, self.0.process, now) {
            return Err(refused(PublishRefusal::Busy));
        }
        session.file(sent.name.clone(), sent.key_hash, bytes, Instant::now());
        // Sent with a key that was replaced meanwhile, it is of another publisher.
        match session.publisher() {
            Some(claim) if claim.key_hash == sent.key_hash => self.take_due(session).await,
            _ => Ok(()),
        }
    }

    /// Takes all that has come and is listed.
    pub(super) async fn take_due(&self, session: &mut Session) -> Result<(), ApiError> {
        let Some(claim) = session.publisher().cloned() else {
            return Ok(());
        };
        loop {
            match session.next(Instant::now()) {
                Next::Wait => return Ok(()),
                Next::Lost(names) if names.is_empty() => {}
                Next::Lost(names) => {
                    let problem = format!("The encoder listed {} and never sent it.", names.join(", "));
                    let problem: String = problem.chars().take(500).collect();
                    tracing::warn!(stream_id = %claim.stream, problem, "segments were listed and never came");
                    let noted = self
                        .store()
                        .note_encoder(claim.clone(), None, Some(problem))
                        .await;
                    noted.map_err(publish_problem)?;
                }
                Next::Due(mut due) => {
                    if let Err(error) = self.take(session, &claim, &mut due).await {
                        session.put_back(due);
                        self.note_no_room(&claim, &error).await;
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn take(&self, session: &mut Session, claim: &Claim, due: &mut Due) -> Result<(), ApiError> {
        let init = match &due.listed.init {
            None => None,
            Some(name) => match session.init(name) {
                Init::Stored(object) => Some(object),
                Init::Missing => {
                    // It is sent once, maybe to a process that has ended since.
                    let known = match session.goes_on() {
                        true => self.last_init(claim.stream).await?,
                        false => None,
                    };
                    let object = known.ok_or_else(|| {
                        let why = format!("lists {name} as the initialization, which has not come");
                        ApiError::invalid_field("body", why)
                    })?;
                    session.init_known(name, object.clone());
                    Some(object)
                }
                Init::ToStore(bytes) if bytes.len() > MAX_INIT => {
                    let why =
                        format!("lists {name} as the initialization, which has more than {MAX_INIT} bytes");
                    return Err(ApiError::invalid_field("body", why));
                }
                Init::ToStore(bytes) => {
                    let object = self
                        .put_object(claim.stream, ObjectKind::Init, bytes.clone())
                        .await?;
                    session.init_stored(name, bytes, object.clone());
                    Some(object)
                }
            },
        };
        let kind = match init {
            Some(_) => ObjectKind::Fragment,
            None => ObjectKind::Ts,
        };
        let object = self.put_object(claim.stream, kind, due.bytes.clone()).await?;
        let segment = Segment {
            stream: claim.stream,
            number: 0,
            object,
            init,
            micros: due.listed.micros,
            bytes: due.bytes.len() as u64,
            discontinuity: due.discontinuity,
            at: self.now(),
        };
        self.publish_segment(claim.clone(), segment).await
    }

    /// The initialization of the last segment.
    async fn last_init(&self, stream: StreamId) -> Result<Option<String>, ApiError> {
        let stream = self.store().stream(stream).await?;
        let Some((stream, last)) =
            stream.and_then(|stream| Some((stream.id, stream.feed.next.checked_sub(1)?)))
        else {
            return Ok(None);
        };
        let segment = self.store().segment(stream, last).await?;
        Ok(segment.and_then(|segment| segment.init))
    }

    pub(super) async fn put_object(
        &self,
        stream: StreamId,
        kind: ObjectKind,
        bytes: Bytes,
    ) -> Result<String, ApiError> {
        let put = self.0.objects.put(stream, kind, bytes).await;
        put.map_err(|error| match error {
            ObjectsError::NoRoom => {
                tracing::error!(stream_id = %stream, "the disk has no room for recordings left");
                no_room()
            }
            error => ApiError::unavailable("The segment cannot be stored right now.").because(error),
        })
    }

    /// Shows the organizer that there is no room, if that is why.
    pub(super) async fn note_no_room(&self, claim: &Claim, why: &ApiError) {
        if why.code() == no_room().code() {
            let problem = "The disk has no room for recordings left.".to_owned();
            let noted = self
                .store()
                .note_encoder(claim.clone(), None, Some(problem))
                .await;
            if let Err(error) = noted {
                tracing::debug!(stream_id = %claim.stream, %error, "the organizer is not shown that there is no room");
            }
        }
    }

    /// Lists a segment whose object is stored: from here on players get it.
    pub(super) async fn publish_segment(&self, claim: Claim, segment: Segment) -> Result<(), ApiError> {
        let id = claim.stream;
        let added = self.store().add_segment(claim, segment.clone(), self.now()).await;
        let (stream, segment) = match added {
            Ok(added) => added,
            // Whether it is listed is not known: it stays, and goes with the recording.
            Err(error @ PublishError::Store(_)) => return Err(publish_problem(error)),
            Err(error) => {
                // Nobody will ask for it.
                let _ = self.0.objects.delete(id, vec![segment.object]).await;
                return Err(publish_problem(error));
            }
        };
        self.forget_playlists(id).await;
        if segment.number == 0 || segment.discontinuity {
            let (number, init) = (segment.number, segment.init.is_some());
            tracing::info!(stream_id = %id, event_id = %stream.event, number, mp4 = init, "segments come");
        }
        if !stream.record && segment.number > KEPT && segment.number % 10 == 0 {
            // What is left is trimmed with the next ones.
            if let Err(error) = self.trim(&stream).await {
                tracing::warn!(stream_id = %id, ?error, "old segments are not dropped yet");
            }
        }
        Ok(())
    }

    /// Drops the beginning of what is not recorded.
    async fn trim(&self, stream: &Stream) -> Result<(), ApiError> {
        let below = stream.feed.next.saturating_sub(KEPT);
        let mut old = self.store().segments(stream.id, 0, 100).await?;
        old.retain(|segment| segment.number < below);
        let Some(last) = old.last().map(|segment| segment.number) else {
            return Ok(());
        };
        let objects = old.into_iter().map(|segment| segment.object).collect();
        let deleted = self.0.objects.delete(stream.id, objects).await;
        deleted.map_err(|error| ApiError::unavailable("Old segments cannot be deleted.").because(error))?;
        Ok(self.store().drop_segments(stream.id, last + 1).await?)
    }
}

/// Whether a stream is published to another process, or by other means.
fn is_others(stream: &Stream, process: uuid::Uuid, now: Timestamp) -> bool {
    stream.feed.publisher.as_ref().is_some_and(|publisher| {
        let ours = publisher.process == process && publisher.name.starts_with("hls:");
        !ours && publisher.until > now && stream.state != StreamState::Interrupted
    })
}
