//! Reservations for one event wait in a queue, and one transaction at a time decides on all that wait.
//!
//! Sixteen concurrent transactions that took seats of one event had 147 write conflicts in a trial; the queue makes one
//! transaction of them. Transactions of other processes still conflict with this one, and are retried.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use common::{ids::EventId, store::StoreError, workers::WakeSignal};
use futures_util::FutureExt;
use mongo_store::Mongo;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::register::{RegisterResult, Reservation, register};

/// The most reservations in one transaction. It costs a few round trips whatever its size, and must end within a few
/// hundred milliseconds.
const GROUP: usize = 200;
/// The most reservations that wait for one event; further callers get [`StoreError::Overloaded`].
const LINE: usize = 4096;

type Line = VecDeque<(Reservation, oneshot::Sender<RegisterResult>)>;

/// The queues of all events. An event has one while reservations wait.
#[derive(Clone)]
pub(super) struct Groups {
    db: Mongo,
    wake: WakeSignal,
    lines: Arc<Mutex<HashMap<EventId, Line>>>,
}

impl Groups {
    pub(super) fn new(db: Mongo, wake: WakeSignal) -> Self {
        Self {
            db,
            wake,
            lines: Arc::default(),
        }
    }

    pub(super) async fn register(&self, reservation: Reservation) -> RegisterResult {
        let event = reservation.0.event_id;
        let (reply, answer) = oneshot::channel();
        {
            let mut lines = self.lines.lock();
            match lines.get_mut(&event) {
                Some(line) if line.len() >= LINE => return Err(StoreError::Overloaded.into()),
                Some(line) => line.push_back((reservation, reply)),
                None => {
                    lines.insert(event, Line::from([(reservation, reply)]));
                    tokio::spawn(self.clone().work_off(event));
                }
            }
        }
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable("the group's worker has stopped".to_owned()).into())
        })
    }

    async fn work_off(self, event: EventId) {
        while let Some(group) = self.next(event) {
            let (reservations, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let count = reservations.len();
            let decide = self.db.write((event, reservations), |tx, (event, reservations)| {
                register(tx, *event, reservations).boxed()
            });
            // A panic must not leave the queue behind without a worker.
            let decided = std::panic::AssertUnwindSafe(decide).catch_unwind().await;
            let decided =
                decided.unwrap_or_else(|_| Err(StoreError::Unavailable("a change panicked".to_owned())));
            if decided.is_ok() {
                self.wake.wake();
            }
            let answers =
                decided.unwrap_or_else(|error| (0..count).map(|_| Err(error.clone().into())).collect());
            for (reply, answer) in replies.into_iter().zip(answers) {
                let _ = reply.send(answer);
            }
        }
    }

    /// The next group, without callers that have gone; an empty queue is removed.
    fn next(&self, event: EventId) -> Option<Line> {
        let mut lines = self.lines.lock();
        let line = lines.get_mut(&event)?;
        line.retain(|(_, reply)| !reply.is_closed());
        if line.is_empty() {
            lines.remove(&event);
            return None;
        }
        let size = line.len().min(GROUP);
        Some(line.drain(..size).collect())
    }
}
