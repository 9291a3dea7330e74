//! `seats.changed`: at most once a second per event, and always the last state.
//!
//! A change marks its event; a worker publishes the seats of marked events. The mark is removed only after the
//! publication, and with Redis it lies there, so that a process that is killed in between leaves it to the others. Without Redis
//! there are no others, and the readers of a process that is killed begin again.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    ids::EventId,
    workers::{Next, Pace, rounds},
};
use parking_lot::Mutex;
use serde::Serialize;
use shared_state::{Away, channel_log::ChannelLog};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Live, channel::Channel, publication::Entry};
use crate::domain::event::Event;

/// Between two publications for one event.
const PAUSE: Duration = Duration::from_secs(1);
/// How often marks whose pause is over are looked for.
const EVERY: Duration = Duration::from_millis(200);
/// For so long a worker has the marks that it took.
const CLAIMED_FOR: Duration = Duration::from_secs(5);
/// Marks taken at once.
const AT_ONCE: usize = 100;

/// The marked events. Cheap to clone.
#[derive(Clone)]
pub struct Counters(Arc<Inner>);

struct Inner {
    marks: Marks,
    marked: Arc<Notify>,
}

enum Marks {
    Here(Mutex<HashMap<EventId, Mark>>),
    InRedis(ChannelLog),
}

/// An event that was published lately, or is to be.
struct Mark {
    due: bool,
    not_before: Instant,
}

/// The data of `seats.changed`.
#[derive(Serialize)]
struct Seats {
    capacity: Option<u32>,
    seats_left: Option<u32>,
    registered: u32,
}

impl From<&Event> for Seats {
    fn from(event: &Event) -> Self {
        Self {
            capacity: event.capacity,
            seats_left: event.seats_left(),
            registered: event.seats_taken,
        }
    }
}

impl Counters {
    /// No marks yet, or those in Redis.
    pub fn new(log: Option<ChannelLog>) -> Self {
        Self(Arc::new(Inner {
            marks: log.map_or_else(|| Marks::Here(Mutex::default()), Marks::InRedis),
            marked: Arc::default(),
        }))
    }

    /// Marks an event whose seats have changed.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn mark(&self, event: EventId) -> Result<(), Away> {
        match &self.0.marks {
            Marks::Here(marks) => {
                let mut marks = marks.lock();
                let mark = marks.entry(event).or_insert_with(|| Mark {
                    due: true,
                    not_before: Instant::now(),
                });
                mark.due = true;
            }
            Marks::InRedis(log) => drop(log.mark(&event.to_string()).await?),
        }
        self.0.marked.notify_one();
        Ok(())
    }

    /// Takes marks whose time has come.
    async fn claim(&self) -> Result<Vec<(EventId, String)>, Away> {
        match &self.0.marks {
            Marks::Here(marks) => {
                let (mut marks, now) = (marks.lock(), Instant::now());
                marks.retain(|_, mark| mark.due || mark.not_before > now);
                let due = marks
                    .iter_mut()
                    .filter(|(_, mark)| mark.due && mark.not_before <= now);
                let claimed = due.take(AT_ONCE).map(|(event, mark)| {
                    *mark = Mark {
                        due: false,
                        not_before: now + PAUSE,
                    };
                    (*event, String::new())
                });
                Ok(claimed.collect())
            }
            Marks::InRedis(log) => {
                let claimed = log.claim(AT_ONCE, CLAIMED_FOR).await?;
                let claimed = claimed.into_iter();
                Ok(claimed
                    .map(|(event, version)| (EventId::lenient(&event), version))
                    .collect())
            }
        }
    }

    /// Notes that the seats of an event have been published.
    async fn settle(&self, event: EventId, version: &str) -> Result<(), Away> {
        match &self.0.marks {
            Marks::Here(_) => Ok(()),
            Marks::InRedis(log) => log.settle(&event.to_string(), version, PAUSE).await,
        }
    }
}

/// Publishes the seats of marked events, until `stop`.
pub async fn publish(live: Live, stop: CancellationToken) {
    let pace = Pace::every(EVERY).woken_by(Arc::clone(&live.counters().0.marked));
    rounds("live counters", pace.at_most(CLAIMED_FOR), stop, || async {
        let claimed = live.counters().claim().await.map_err(|away| away.to_string())?;
        let count = claimed.len();
        let mut fault = None;
        for (event, version) in claimed {
            if let Err(why) = one(&live, event, &version).await {
                // In Redis its mark is still there; here it is made again.
                if live.hub().log().is_none() {
                    let _ = live.counters().mark(event).await;
                }
                fault = Some(why);
            }
        }
        match fault {
            Some(why) => Err(why),
            None => Ok(Next::after(count)),
        }
    })
    .await;
}

async fn one(live: &Live, event: EventId, version: &str) -> Result<(), String> {
    let channel = Channel::Event(event);
    let open = live.hub().open(vec![channel]).await;
    if !open.map_err(|away| away.to_string())?.is_empty() {
        let found = live
            .store()
            .event(event)
            .await
            .map_err(|error| error.to_string())?;
        if let Some(found) = found {
            let entry = Entry::new("seats.changed", live.auth().clock().now(), &Seats::from(&found));
            let published = live.hub().publish(channel, &entry, None).await;
            published.map_err(|away| away.to_string())?;
        }
    }
    let settled = live.counters().settle(event, version).await;
    settled.map_err(|away| away.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mark_is_due_once_and_again_after_the_pause() {
        let (counters, event) = (Counters::new(None), EventId::new());
        for _ in 0..3 {
            counters.mark(event).await.unwrap();
        }
        assert_eq!(counters.claim().await.unwrap().len(), 1);
        counters.mark(event).await.unwrap();
        assert_eq!(counters.claim().await.unwrap().len(), 0);
        let Marks::Here(marks) = &counters.0.marks else {
            unreachable!()
        };
        marks.lock().get_mut(&event).unwrap().not_before = Instant::now();
        assert_eq!(counters.claim().await.unwrap().len(), 1);
        marks.lock().get_mut(&event).unwrap().not_before = Instant::now();
        assert_eq!(counters.claim().await.unwrap().len(), 0);
        assert!(marks.lock().is_empty());
    }
}
