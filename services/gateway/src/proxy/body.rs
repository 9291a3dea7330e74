//! A request body on its way through: counted while it streams, and what becomes of it noted.

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes, HttpBody};
use common::problem::{ApiError, body_incomplete, body_too_large, request_timeout};
use http_body::{Frame, SizeHint};

const TOO_LONG: u8 = 1;
const TOO_SLOW: u8 = 2;
const BROKEN: u8 = 3;

/// What became of a body. Clones share it.
#[derive(Clone, Default)]
pub struct Fate(Arc<AtomicU8>);

impl Fate {
    /// What the client is to know, if the body did not come in whole.
    pub fn fault(&self) -> Option<ApiError> {
        match self.0.load(Ordering::Relaxed) {
            TOO_LONG => Some(body_too_large()),
            TOO_SLOW => Some(request_timeout()),
            BROKEN => Some(body_incomplete()),
            _ => None,
        }
    }

    fn is(&self, fault: u8) {
        self.0.store(fault, Ordering::Relaxed);
    }
}

/// A body that fails once more than its limit has come.
pub struct Upload {
    body: Body,
    left: usize,
    fate: Fate,
}

impl Upload {
    /// `limit` is in bytes.
    pub fn new(body: Body, limit: usize, fate: Fate) -> Self {
        Self {
            body,
            left: limit,
            fate,
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let Some(left) = self.left.checked_sub(length) else {
                    self.fate.is(TOO_LONG);
                    return Poll::Ready(Some(Err(axum::Error::new(io::Error::other(
                        "the body is too long",
                    )))));
                };
                self.left = left;
            }
            Some(Err(error)) => self.fate.is(if is_timeout(error) { TOO_SLOW } else { BROKEN }),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether the listener's deadline for bodies (`common::http::serve`) is at the bottom of an error.
fn is_timeout(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
