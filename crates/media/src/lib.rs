//! Live media without transcoding: what a publisher sends by RTMP becomes fragmented MP4 for HLS.
//!
//! - [`rtmp::Session`]: the server's side of one RTMP connection. Bytes in; replies, and tags in the format of FLV, out.
//! - [`Remuxer`]: tags in; an [`Init`] and [`Segment`]s out. H.264 and AAC only.
//!
//! Nothing here reads a socket, a file or the time: the caller does, and drops what it no longer needs. Both take bytes from
//! strangers: none of them panics, whatever it is given, and what each holds has a bound that the caller sets.
//!
//! The two know nothing of each other; between them are [`Kind`], a time in milliseconds and the body of a tag.
//! A further codec is a sample entry in `boxes`, the parser of its configuration, and a line in `flv`.

#![forbid(unsafe_code)]

mod aac;
mod avc;
mod bits;
mod boxes;
mod clock;
mod flv;
mod piece;
mod remux;
pub mod rtmp;
mod sample;
mod script;
mod segment;
#[cfg(test)]
mod testing;

pub use flv::Kind;
pub use piece::{Init, Notice, Options, Piece, Segment};
pub use remux::Remuxer;

/// Why the media of a publisher could not be taken.
///
/// Whatever was pushed before is kept, so the caller may go on with the next tag; refusing the publisher is better.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MediaError {
    /// A length, a field or a whole structure is not what its format demands.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The video is not H.264.
    #[error("the video codec {0} is not supported: only H.264 (avc1) is")]
    VideoCodec(String),
    /// One frame has more bytes than half of what an open segment may have.
    #[error("a frame of {0} bytes is too big")]
    TooBig(usize),
    /// Times or configurations change again and again, without a whole segment between.
    #[error("the timestamps or configurations of the stream change all the time")]
    Unsteady,
}
