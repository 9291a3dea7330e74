//! What waits to be sent to one reader.

use std::{collections::VecDeque, sync::Arc};

use axum::extract::ws::Utf8Bytes;
use common::ids::EventId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{closing::Closing, history::Publication};

/// The most that may wait for one reader, in bytes; one that is slower is disconnected, and recovers what it missed.
const MOST_BYTES: usize = 1024 * 1024;
/// What a queue keeps allocated when it is empty.
const KEPT: usize = 64;

/// Something to be sent.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// A publication of the channel that the reader knows by this place in its list.
    Publication(u32, Arc<Publication>),
    /// An answer or a notice.
    Text(Utf8Bytes),
    /// The reader may read the topics of an event no longer.
    Revoked(EventId),
}

impl Outgoing {
    /// Bytes of it.
    fn len(&self) -> usize {
        match self {
            Self::Publication(_, publication) => publication.frame.len(),
            Self::Text(text) => text.len(),
            Self::Revoked(_) => 0,
        }
    }
}

/// The queue of one reader. Never waits: who publishes is not to be held up by who reads.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Outgoing>,
    bytes: usize,
    closing: Option<Closing>,
}

/// What is next.
pub enum Batch {
    /// To be sent, in this order.
    Send(VecDeque<Outgoing>),
    /// The connection is to be closed.
    Close(Closing),
}

impl Queue {
    /// Adds something, unless the connection is about to be closed; too much of it closes it.
    pub fn push(&self, outgoing: Outgoing) {
        let mut state = self.state.lock();
        if state.closing.is_some() {
            return;
        }
        let bytes = state.bytes + outgoing.len();
        if bytes > MOST_BYTES {
            state.close(Closing::Slow);
        } else {
            state.bytes = bytes;
            state.waiting.push_back(outgoing);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Closes the connection; what waits is not sent any more. The first reason counts.
    pub fn close(&self, closing: Closing) {
        self.state.lock().close(closing);
        self.changed.notify_one();
    }

    /// Why the connection is to be closed, if it is.
    pub fn closing(&self) -> Option<Closing> {
        self.state.lock().closing
    }

    /// Waits until the connection is to be closed.
    pub async fn closed(&self) -> Closing {
        loop {
            let changed = self.changed.notified();
            if let Some(closing) = self.closing() {
                return closing;
            }
            changed.await;
        }
    }

    /// All that waits, once there is something. May be dropped and asked again without losing any.
    pub async fn next(&self) -> Batch {
        loop {
            let changed = self.changed.notified();
            if let Some(batch) = self.state.lock().take() {
                return batch;
            }
            changed.await;
        }
    }
}

impl State {
    fn close(&mut self, closing: Closing) {
        self.closing.get_or_insert(closing);
        self.waiting = VecDeque::new();
        self.bytes = 0;
    }

    fn take(&mut self) -> Option<Batch> {
        if let Some(closing) = self.closing {
            return Some(Batch::Close(closing));
        }
        if self.waiting.is_empty() {
            return None;
        }
        self.bytes = 0;
        let keep = self.waiting.capacity() <= KEPT;
        let mut taken = VecDeque::with_capacity(if keep { self.waiting.capacity() } else { 0 });
        std::mem::swap(&mut taken, &mut self.waiting);
        Some(Batch::Send(taken))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_given_in_order_and_has_a_bound() {
        let queue = Queue::default();
        assert!(queue.next().now_or_never().is_none());
        for text in ["one", "two"] {
            queue.push(Outgoing::Text(text.into()));
        }
        let Some(Batch::Send(batch)) = queue.next().now_or_never() else {
            panic!("two wait")
        };
        let texts: Vec<_> = batch
            .iter()
            .map(|one| match one {
                Outgoing::Text(text) => text.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(texts, ["one", "two"]);

        let piece: Utf8Bytes = "x".repeat(MOST_BYTES / 4).into();
        for _ in 0..4 {
            queue.push(Outgoing::Text(piece.clone()));
        }
        assert_eq!(queue.closing(), None);
        queue.push(Outgoing::Text("x".into()));
        assert_eq!(queue.closing(), Some(Closing::Slow));
        queue.close(Closing::Shutdown);
        queue.push(Outgoing::Text("late".into()));
        assert!(matches!(
            queue.next().now_or_never(),
            Some(Batch::Close(Closing::Slow))
        ));
    }
}
