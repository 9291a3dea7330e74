//! The server's side of one RTMP connection (Adobe, RTMP 1.0) of a publisher, without its socket.
//!
//! Who wants to publish is told only after the key has been checked, which takes time: until then the reply is held back
//! and nothing that comes is read any further.

use std::{error::Error, fmt};

use bytes::Bytes;
use rtmp_runtime::{
    amf0::{Amf0Value, Command},
    chunk::{ChunkWriter, Message},
    message::msg_type,
    server::{DEFAULT_CHUNK_SIZE, ServerConfig, ServerEvent, ServerSession},
};

use crate::Kind;

/// Before and after the body of a tag as the engine gives it out (FLV, annex E.4.1), and before the first tag.
const TAG_HEADER: usize = 11;
const TAG_TRAILER: usize = 4;
const FILE_HEADER: usize = 13;
/// The chunk stream of commands.
const COMMANDS: u32 = 3;
/// The most of a description that a refused publisher is sent, in bytes.
const LONGEST_DESCRIPTION: usize = 1_024;

/// How much one publisher may make the server keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes that are taken before the publisher is accepted; ffmpeg and OBS need 5 KiB. Each may cost some forty bytes of
    /// memory for a moment.
    pub unaccepted_bytes: usize,
    /// Bytes of all messages that have begun and not ended; a keyframe is one message. Twice as much may be kept.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unaccepted_bytes: 32 * 1024,
            message_bytes: 4 * 1024 * 1024,
        }
    }
}

/// What a publisher does.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// It wants to publish and waits: [`Session::accept`] or [`Session::refuse`] it.
    Publish {
        /// The path before the key, such as `live`.
        app: String,
        /// The stream key, a secret; without what follows a `?`.
        key: String,
    },
    /// It sends media.
    Tag {
        /// What it is.
        kind: Kind,
        /// Its time in milliseconds, which wraps.
        ms: u32,
        /// The body of an FLV tag.
        body: Bytes,
    },
    /// It has ended its stream. What follows is to be ignored; the connection may be closed.
    Unpublish,
}

/// Without the key and the media.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish { app, .. } => f
                .debug_struct("Publish")
                .field("app", app)
                .finish_non_exhaustive(),
            Self::Tag { kind, ms, body } => f
                .debug_struct("Tag")
                .field("kind", kind)
                .field("ms", ms)
                .field("bytes", &body.len())
                .finish(),
            Self::Unpublish => f.write_str("Unpublish"),
        }
    }
}

/// Why a connection has to be closed.
#[derive(Debug, thiserror::Error)]
pub enum RtmpError {
    /// The peer does not keep to the protocol, or holds more than [`Limits::message_bytes`].
    #[error("the peer breaks the protocol")]
    Protocol(#[source] Box<dyn Error + Send + Sync>),
    /// More than [`Limits::unaccepted_bytes`] came before the publisher was accepted.
    #[error("the peer sent too much before it was accepted")]
    Unaccepted,
    /// The session has ended with an error or a refusal before.
    #[error("the session is over")]
    Over,
}

/// One connection.
pub struct Session {
    engine: ServerSession,
    limits: Limits,
    stage: Stage,
    /// Bytes that came before the publisher was accepted.
    taken: usize,
    begun: bool,
    unpublished: bool,
}

enum Stage {
    /// Up to the wish to publish.
    Opening,
    /// The key is being checked.
    Asked {
        stream: u32,
        /// What is sent once it is accepted.
        reply: Vec<u8>,
        /// What came meanwhile.
        unread: Vec<u8>,
    },
    /// Accepted; with what is still to be read.
    Publishing(Vec<u8>),
    Over,
}

impl Session {
    /// The session of a connection that has just been made.
    pub fn new(limits: Limits) -> Self {
        let config = ServerConfig::default()
            .with_chunk_size(DEFAULT_CHUNK_SIZE)
            .with_max_in_progress_bytes(limits.message_bytes);
        Self {
            engine: ServerSession::new(config),
            limits,
            stage: Stage::Opening,
            taken: 0,
            begun: false,
            unpublished: false,
        }
    }

    /// Takes what was read from the connection, as it comes. Returns what is to be sent, and what the publisher does.
    ///
    /// # Errors
    /// When the connection is to be closed. Nothing more can be done with the session.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(Vec<u8>, Vec<Event>), RtmpError> {
        let received = self.take(bytes);
        if received.is_err() {
            self.stage = Stage::Over;
        }
        received
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(Vec<u8>, Vec<Event>), RtmpError> {
        if matches!(self.stage, Stage::Opening | Stage::Asked { .. }) {
            self.taken = self.taken.saturating_add(bytes.len());
            if self.taken > self.limits.unaccepted_bytes {
                return Err(RtmpError::Unaccepted);
            }
        }
        match &mut self.stage {
            Stage::Opening => self.open(bytes),
            Stage::Asked { unread, .. } => {
                unread.extend(bytes);
                Ok(Default::default())
            }
            Stage::Publishing(unread) => {
                let unread = std::mem::take(unread);
                let (mut reply, mut events) = (Vec::new(), Vec::new());
                for bytes in [&unread, bytes] {
                    if !bytes.is_empty() {
                        self.publish(bytes, &mut reply, &mut events)?;
                    }
                }
                Ok((reply, events))
            }
            Stage::Over => Err(RtmpError::Over),
        }
    }

    /// Up to the wish to publish, one byte at a time: so its reply is known from those before it, and what follows is
    /// not read before it is accepted. These are some hundred bytes after the handshake.
    fn open(&mut self, bytes: &[u8]) -> Result<(Vec<u8>, Vec<Event>), RtmpError> {
        let mut reply = Vec::new();
        for (at, byte) in bytes.iter().enumerate() {
            let (sent, events) = self.engine.handle_data(&[*byte]).map_err(protocol)?;
            let wish = events.into_iter().find_map(|event| match event {
                ServerEvent::Publish {
                    app,
                    stream_key,
                    stream_id,
                } => Some((app, stream_key, stream_id)),
                _ => None,
            });
            let Some((app, key, stream)) = wish else {
                reply.extend(sent);
                continue;
            };
            self.stage = Stage::Asked {
                stream,
                reply: sent,
                unread: bytes.get(at + 1..).unwrap_or_default().to_vec(),
            };
            let key = key.split('?').next().unwrap_or_default().to_owned();
            return Ok((reply, vec![Event::Publish { app, key }]));
        }
        Ok((reply, Vec::new()))
    }

    fn publish(
        &mut self,
        bytes: &[u8],
        reply: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<(), RtmpError> {
        let (sent, happened) = self.engine.handle_data(bytes).map_err(protocol)?;
        reply.extend(sent);
        for event in happened {
            match event {
                ServerEvent::Media { flv } => events.extend(self.tag(flv.into())),
                // Most publishers say it twice.
                ServerEvent::Eof if !self.unpublished => {
                    self.unpublished = true;
                    events.push(Event::Unpublish);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Unpacks a tag; the first comes with the header of a file.
    fn tag(&mut self, mut flv: Bytes) -> Option<Event> {
        if !self.begun {
            self.begun = true;
            flv = flv.get(FILE_HEADER..).map(|tag| flv.slice_ref(tag))?;
        }
        let [kind, _, _, _, high, middle, low, highest, ..] = *flv.get(..TAG_HEADER)? else {
            return None;
        };
        let body = flv.get(TAG_HEADER..flv.len().checked_sub(TAG_TRAILER)?)?;
        let kind = match kind {
            msg_type::AUDIO => Kind::Audio,
            msg_type::VIDEO => Kind::Video,
            msg_type::DATA_AMF0 => Kind::Script,
            _ => return None,
        };
        Some(Event::Tag {
            kind,
            ms: u32::from_be_bytes([highest, high, middle, low]),
            body: flv.slice_ref(body),
        })
    }

    /// Lets the publisher begin. Returns what is to be sent; nothing unless [`Event::Publish`] came just before.
    ///
    /// What it has already sent is among the events of the next [`receive`](Self::receive).
    pub fn accept(&mut self) -> Vec<u8> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asked { reply, unread, .. } => {
                self.stage = Stage::Publishing(unread);
                reply
            }
            other => {
                self.stage = other;
                Vec::new()
            }
        }
    }

    /// Turns the publisher away. Returns what is to be sent before the connection is closed: an error with this
    /// description, which encoders show or log; nothing unless [`Event::Publish`] came just before.
    pub fn refuse(&mut self, description: &str) -> Vec<u8> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asked { stream, .. } => refusal(stream, description).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

/// The `onStatus` of a refusal (section 7.2.2).
fn refusal(stream: u32, description: &str) -> Result<Vec<u8>, rtmp_runtime::RtmpError> {
    let description = &description[..description.floor_char_boundary(LONGEST_DESCRIPTION)];
    let members = [
        ("level", "error"),
        ("code", "NetStream.Publish.BadName"),
        ("description", description),
    ];
    let members = members.map(|(name, value)| (name.to_owned(), Amf0Value::String(value.to_owned())));
    let command = Command {
        name: "onStatus".to_owned(),
        transaction_id: 0.0,
        arguments: vec![Amf0Value::Null, Amf0Value::Object(members.into())],
    };
    // The engine has announced this size when the peer connected, which comes before a wish to publish.
    let mut writer = ChunkWriter::new();
    writer.set_chunk_size(DEFAULT_CHUNK_SIZE);
    writer.write(&Message {
        chunk_stream_id: COMMANDS,
        timestamp: 0,
        message_type_id: msg_type::COMMAND_AMF0,
        message_stream_id: stream,
        payload: command.to_body()?,
    })
}

fn protocol(error: rtmp_runtime::RtmpError) -> RtmpError {
    RtmpError::Protocol(Box::new(error))
}

#[cfg(test)]
mod tests;
