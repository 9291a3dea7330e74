//! One connection's socket: what hyper leaves to the socket's owner.
//!
//! * hyper answers a request that it cannot parse by itself, with an empty body. Here that answer gets the one error
//!   shape.
//! * Closing a socket that still holds unread bytes resets the connection, and the client may lose the answer it was
//!   about to read ("too large", say). Here the rest of such a request is read and thrown away for a moment.
//! * A client that stops reading its answer would hold its connection for ever. Here it is cut.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};

use crate::context::new_request_id;
use crate::problem::{self, PROBLEM_JSON};

/// How long the rest of a request is read after its answer.
const LINGER: Duration = Duration::from_secs(1);
/// How long a client may take nothing of what is written to it.
const STALL: Duration = Duration::from_secs(30);

/// How a client begins that takes us for an HTTP/2 server (RFC 9113, 3.4), up to the version.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// Where the version's first digit is in it.
const VERSION_DIGIT: usize = 11;

/// Nothing is owed to the client: what is written now is hyper's own answer.
const PARSER: u8 = 0;
/// A request is in the pipeline, or its answer is being made.
const FRONT: u8 = 1;
/// The answer is made, and not all of it is written.
const WRITING: u8 = 2;
/// The connection speaks another protocol.
const UPGRADED: u8 = 3;

/// Whose turn it is to write. Shared by the socket, the service and the bodies of one connection, which all live in
/// its task; so relaxed ordering will do.
#[derive(Default)]
pub(super) struct Turn {
    whose: AtomicU8,
    unread: AtomicBool,
}

impl Turn {
    /// A request has come.
    pub(super) fn begin(&self) {
        self.unread.store(false, Ordering::Relaxed);
        self.whose.store(FRONT, Ordering::Relaxed);
    }

    /// The request's body was dropped before its end.
    pub(super) fn left_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// The answer is ready to be written.
    pub(super) fn answer(self: Arc<Self>, mut response: Response) -> http::Response<Answer> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.whose.store(UPGRADED, Ordering::Relaxed);
        } else if self.unread.load(Ordering::Relaxed) {
            // hyper will close after this; a client that is not notified loses its next request.
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Answer { body, turn: self })
    }

    fn is(&self, whose: u8) -> bool {
        self.whose.load(Ordering::Relaxed) == whose
    }

    fn pass(&self, from: u8, to: u8) {
        let _ = self
            .whose
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The body of an answer, which notes when hyper has taken all of it.
pub(super) struct Answer {
    body: Body,
    turn: Arc<Turn>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.turn.pass(FRONT, WRITING);
    }
}

/// A connection's socket, which holds its place among the connections for as long as it lives, upgraded or not.
pub(super) struct Socket {
    stream: TcpStream,
    turn: Arc<Turn>,
    /// How much of HTTP/2's preface the connection began with; `None` once it is something else.
    preface: Option<usize>,
    /// What is still to be written in place of hyper's own answer.
    own: Bytes,
    stall: Option<Pin<Box<Sleep>>>,
    linger: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, turn: Arc<Turn>, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            turn,
            preface: Some(0),
            own: Bytes::new(),
            stall: None,
            linger: None,
            _place: place,
        }
    }

    /// Takes over what hyper writes on its own account. `None`: it is not that.
    fn take_over(&mut self, bytes: &[u8]) -> Option<usize> {
        if !self.turn.is(PARSER) {
            return None;
        }
        self.own = own_answer(bytes, self.preface == Some(PREFACE.len()))?;
        self.turn.left_unread();
        Some(bytes.len())
    }

    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.own.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(cx, &self.own);
            match ready!(self.bounded(cx, written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.own.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Bounds the time for which nothing can be written.
    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL)));
        stall
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Follows HTTP/2's preface through the first bytes of a connection. hyper closes on it without an answer; with another
/// version in its place it answers, and [`own_answer`] puts that right.
fn disguise_preface(matched: usize, bytes: &mut [u8]) -> Option<usize> {
    let wanted = PREFACE[matched..].iter();
    let same = bytes.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let matched = matched + same;
    if matched < PREFACE.len() {
        return (same == bytes.len()).then_some(matched);
    }
    // The version's digit is the third byte from the end, and the end is in these bytes.
    let digit = (same + VERSION_DIGIT).checked_sub(PREFACE.len())?;
    *bytes.get_mut(digit)? = b'9';
    Some(matched)
}

/// hyper's own answer with a body of ours. `None`: these bytes are not such an answer.
fn own_answer(bytes: &[u8], is_http2: bool) -> Option<Bytes> {
    const NO_BODY: &str = "content-length: 0\r\n";
    let head = std::str::from_utf8(bytes)
        .ok()
        .filter(|head| head.ends_with("\r\n\r\n") && head.contains(NO_BODY))?;
    let status_line = head.lines().next()?;
    let status = StatusCode::from_bytes(status_line.strip_prefix("HTTP/1.1 ")?.get(..3)?.as_bytes()).ok()?;
    let (status, head) = if is_http2 {
        let other = "HTTP/1.1 505 HTTP Version Not Supported";
        (
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            head.replacen(status_line, other, 1),
        )
    } else {
        (status, head.to_owned())
    };
    let id = new_request_id();
    let id = id.to_str().unwrap_or_default();
    let body = problem::unparsed(status, id);
    tracing::debug!(request_id = id, %status, "a request could not be parsed");
    let headers = format!(
        "content-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\nx-request-id: {id}\r\n",
        body.len()
    );
    let mut answer = head.replacen(NO_BODY, &headers, 1).into_bytes();
    answer.extend_from_slice(&body);
    Some(answer.into())
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        if let Some(matched) = self.preface.filter(|matched| *matched < PREFACE.len()) {
            self.preface = disguise_preface(matched, &mut into.filled_mut()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_own(cx))?;
        if let Some(taken) = self.take_over(bytes) {
            return Poll::Ready(Ok(taken));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_own(cx))?;
        // hyper's own answer is a head alone, in one slice.
        if let [only] = slices
            && let Some(taken) = self.take_over(only)
        {
            return Poll::Ready(Ok(taken));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has handed over all it had.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(cx))?;
        self.turn.pass(WRITING, PARSER);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(cx))?;
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if this.turn.is(UPGRADED) || !this.turn.unread.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut scrap = [0; 8 * 1024];
        loop {
            let mut scrap = ReadBuf::new(&mut scrap);
            match Pin::new(&mut this.stream).poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(())) if !scrap.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return linger.as_mut().poll(cx).map(Ok),
            }
        }
    }
}
