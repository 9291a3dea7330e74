//! RTMP, as OBS sends it: one connection is one encoder. What it sends is cut into segments here.

use std::{io, sync::Arc, time::Duration};

use axum::http::StatusCode;
use bytes::Bytes;
use common::{
    ids::{StreamId, new_id},
    problem::ApiError,
};
use media::{
    Kind, MediaError, Options, Piece, Remuxer,
    rtmp::{Event, Limits, RtmpError, Session},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    domain::stream::{PublishRefusal, Segment},
    store::streams::{Claim, PublishError},
    streams::{Streams, key_hash, objects::ObjectKind},
};

/// Connections at a time.
const CONNECTIONS: usize = 128;
/// From the connection to its key.
const GREETING: Duration = Duration::from_secs(10);
/// An encoder that sends nothing for so long is gone.
const IDLE: Duration = Duration::from_secs(15);
/// Between two attempts to store something.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// How long a refused encoder has to read why.
const FAREWELL: Duration = Duration::from_secs(2);
/// After the stop, what was received is still stored.
const DRAIN: Duration = Duration::from_secs(5);
/// How much is read at once.
const READ: usize = 64 * 1024;
/// A segment ends with the first keyframe after this.
const TARGET: Duration = Duration::from_secs(2);
/// And without one after this: OBS sends one every 250 frames unless it is told otherwise.
const LONGEST: Duration = Duration::from_secs(10);
/// The most of a segment.
const MAX_SEGMENT: usize = 16 * 1024 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("nothing came")]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error("{0}")]
    Protocol(#[from] RtmpError),
    #[error("{0}")]
    Media(#[from] MediaError),
    #[error("{0}")]
    Refused(&'static str),
    #[error("{0}")]
    Publish(#[from] PublishError),
    #[error("a segment could not be stored: {0:?}")]
    Store(ApiError),
    #[error("the service stops")]
    Stop,
}

/// Tries something again while it is unavailable, for some seconds.
async fn again<T, F: Future<Output = Result<T, ApiError>>>(attempt: impl Fn() -> F) -> Result<T, ApiError> {
    for wait in PATIENCE {
        match attempt().await {
            Err(error) if error.status() == StatusCode::SERVICE_UNAVAILABLE => sleep(wait).await,
            done => return done,
        }
    }
    attempt().await
}

/// Serves until `stop`.
pub async fn serve(streams: Streams, listener: TcpListener, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = tokio::select! {
            // The semaphore is never closed.
            place = places.clone().acquire_owned() => match place { Ok(place) => place, Err(_) => break },
            () = stop.cancelled() => break,
        };
        let socket = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "could not accept an RTMP connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        let (streams, stop) = (streams.clone(), stop.clone());
        connections.spawn(async move {
            let _place = place;
            let mut connection = Connection::new(streams, socket);
            let ended = tokio::select! {
                ended = connection.run() => ended,
                () = stop.cancelled() => Err(Ended::Stop),
            };
            connection.finish(ended).await;
        });
    }
    connections.close();
    if timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::warn!("some encoders' last segments were not stored in time");
    }
}

struct Connection {
    streams: Streams,
    socket: TcpStream,
    session: Session,
    remuxer: Remuxer,
    claim: Option<Claim>,
    /// The object of the initialization that segments need now.
    init: Option<String>,
    /// The next segment does not follow the one before.
    broken: bool,
    /// It has sent what cannot be read.
    is_malformed: bool,
}

impl Connection {
    fn new(streams: Streams, socket: TcpStream) -> Self {
        let options = Options {
            target: TARGET,
            longest: LONGEST,
            max_bytes: MAX_SEGMENT,
        };
        Self {
            streams,
            socket,
            session: Session::new(Limits::default()),
            remuxer: Remuxer::new(options),
            claim: None,
            init: None,
            broken: false,
            is_malformed: false,
        }
    }

    /// Receives until the encoder has ended its stream.
    async fn run(&mut self) -> Result<(), Ended> {
        timeout(GREETING, self.greet()).await??;
        let mut buffer = vec![0; READ];
        let mut read = 0;
        loop {
            // What came with the greeting is taken first.
            let (reply, events) = self.session.receive(&buffer[..read])?;
            self.socket.write_all(&reply).await?;
            for event in events {
                match event {
                    Event::Tag { kind, ms, body } => self.tag(kind, ms, &body).await?,
                    Event::Unpublish => return Ok(()),
                    Event::Publish { .. } => return Err(Ended::Refused("it publishes twice")),
                }
            }
            read = timeout(IDLE, self.socket.read(&mut buffer)).await??;
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Receives until the encoder has shown a key that is good.
    async fn greet(&mut self) -> Result<(), Ended> {
        let mut buffer = vec![0; 4 * 1024];
        loop {
            let read = self.socket.read(&mut buffer).await?;
            if read == 0 {
                return Err(Ended::Refused("it left before it showed a key"));
            }
            let (reply, events) = self.session.receive(&buffer[..read])?;
            self.socket.write_all(&reply).await?;
            for event in events {
                if let Event::Publish { key, .. } = event {
                    return self.publish(&key).await;
                }
            }
        }
    }

    async fn publish(&mut self, key: &str) -> Result<(), Ended> {
        let key_hash = key_hash(key);
        let (store, now) = (self.streams.store(), self.streams.now());
        let stream = store.stream_by_key(key_hash).await.map_err(PublishError::from)?;
        let Some(stream) = stream else {
            return self.refuse("There is no stream with this key.").await;
        };
        let name = format!("rtmp:{}", new_id().simple());
        if !self
            .streams
            .takes_place(stream.event)
            .await
            .map_err(PublishError::from)?
        {
            return self.refuse("The event was cancelled.").await;
        }
        let claim = self.streams.claim_of(&stream, key_hash, name);
        match store.claim_stream(claim.clone(), now).await {
            Ok(_) => {}
            Err(PublishError::NoSuchStream) => return self.refuse("There is no stream with this key.").await,
            Err(PublishError::Refused(PublishRefusal::Busy)) => {
                return self.refuse("Another encoder publishes this stream.").await;
            }
            Err(PublishError::Refused(PublishRefusal::CutOff)) => {
                return self.refuse("The organizer has cut this encoder off.").await;
            }
            Err(PublishError::Refused(PublishRefusal::Ended)) => {
                return self.refuse("The stream is over. A new key opens it again.").await;
            }
            Err(PublishError::Refused(PublishRefusal::Full)) => {
                return self.refuse("As much as may be kept of one stream is kept.").await;
            }
            Err(PublishError::Refused(PublishRefusal::Elsewhere)) => {
                return self.refuse("This stream is received elsewhere.").await;
            }
            Err(error) => return Err(error.into()),
        }
        tracing::info!(stream_id = %claim.stream, event_id = %stream.event, "an encoder publishes by RTMP");
        self.claim = Some(claim);
        let accepted = self.session.accept();
        self.socket.write_all(&accepted).await?;
        Ok(())
    }

    /// Has the encoder show its user why it is refused: a socket that is closed with something unread loses the last words.
    async fn refuse(&mut self, why: &'static str) -> Result<(), Ended> {
        let refusal = self.session.refuse(why);
        let farewell = async {
            self.socket.write_all(&refusal).await?;
            self.socket.shutdown().await?;
            let mut rest = vec![0; 4 * 1024];
            while self.socket.read(&mut rest).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        let _ = timeout(FAREWELL, farewell).await;
        Err(Ended::Refused(why))
    }

    async fn tag(&mut self, kind: Kind, ms: u32, body: &[u8]) -> Result<(), Ended> {
        let pieces = match self.remuxer.push(kind, ms, body) {
            Ok(pieces) => pieces,
            // What follows may be whole again.
            Err(error @ MediaError::Malformed(_)) => {
                if !self.is_malformed {
                    self.is_malformed = true;
                    self.note(None, Some(error.to_string())).await?;
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for piece in pieces {
            self.take(piece).await?;
        }
        Ok(())
    }

    /// Shows the organizer what is known of the encoder.
    async fn note(&self, codecs: Option<String>, problem: Option<String>) -> Result<(), Ended> {
        if let Some(claim) = self.claim.clone() {
            let store = self.streams.store();
            store.note_encoder(claim, codecs, problem).await?;
        }
        Ok(())
    }

    /// Stores an object; the encoder waits while the disk or the store is away for a moment.
    async fn put(&self, stream: StreamId, kind: ObjectKind, bytes: Bytes) -> Result<String, Ended> {
        let put = || self.streams.put_object(stream, kind, bytes.clone());
        let put = again(put).await;
        if let (Err(error), Some(claim)) = (&put, &self.claim) {
            self.streams.note_no_room(claim, error).await;
        }
        put.map_err(Ended::Store)
    }

    async fn take(&mut self, piece: Piece) -> Result<(), Ended> {
        let Some(claim) = self.claim.clone() else {
            return Ok(());
        };
        match piece {
            Piece::Init(init) => {
                // What follows another one does not follow what came before.
                self.broken |= self.init.is_some();
                self.init = Some(self.put(claim.stream, ObjectKind::Init, init.bytes).await?);
                self.note(Some(init.codecs), None).await?;
            }
            Piece::Segment(segment) => {
                self.must_publish(&claim).await?;
                let bytes = segment.bytes.len() as u64;
                let segment = Segment {
                    stream: claim.stream,
                    number: 0,
                    object: self
                        .put(claim.stream, ObjectKind::Fragment, segment.bytes)
                        .await?,
                    init: self.init.clone(),
                    micros: u64::try_from(segment.duration.as_micros()).unwrap_or(u64::MAX),
                    bytes,
                    discontinuity: self.broken,
                    at: self.streams.now(),
                };
                let publish = || self.streams.publish_segment(claim.clone(), segment.clone());
                again(publish).await.map_err(Ended::Store)?;
                self.broken = false;
            }
            Piece::Notice(notice) => {
                let (stream_id, problem) = (claim.stream, notice.to_string());
                tracing::warn!(%stream_id, problem, "an encoder's stream has a problem");
                self.note(None, Some(problem)).await?;
            }
        }
        Ok(())
    }

    /// Who was cut off does not come back on the same connection.
    async fn must_publish(&self, claim: &Claim) -> Result<(), Ended> {
        let stream = self.streams.store().stream(claim.stream).await;
        match stream.map_err(PublishError::from)? {
            Some(stream) if stream.is_published_by(claim.process, &claim.name) => {
                match self
                    .streams
                    .takes_place(stream.event)
                    .await
                    .map_err(PublishError::from)?
                {
                    true => Ok(()),
                    false => Err(Ended::Refused("its event was cancelled")),
                }
            }
            _ => Err(Ended::Refused("it was cut off")),
        }
    }

    /// Stores what has been received, and says how it ended.
    async fn finish(mut self, ended: Result<(), Ended>) {
        let claim = self.claim.clone();
        if !matches!(ended, Err(Ended::Refused(_) | Ended::Store(_))) {
            for piece in self.remuxer.finish() {
                if let Err(error) = self.take(piece).await {
                    tracing::debug!(%error, "the last of a stream was not stored");
                    break;
                }
            }
        }
        let Some(claim) = claim else {
            if let Err(why) = ended {
                tracing::debug!(%why, "an RTMP connection came to nothing");
            }
            return;
        };
        let stream_id = claim.stream;
        let left = self
            .streams
            .store()
            .release_stream(claim.clone(), self.streams.now());
        if let Err(error) = left.await {
            tracing::debug!(%stream_id, %error, "the claim of an encoder that has left runs out by itself");
        }
        match ended {
            Ok(()) => tracing::info!(%stream_id, "an encoder has left"),
            Err(why) => {
                tracing::warn!(%stream_id, %why, "an encoder was disconnected");
                if let Ended::Media(why) = why {
                    let _ = self.note(None, Some(why.to_string())).await;
                }
            }
        }
    }
}
