//! What is counted is published at most once a second, and always the last state: seats, votes, reactions.
//!
//! A change makes a mark; a worker publishes what is marked. The mark is removed only after the
//! publication, and with Redis it lies there, so that a process that is killed in between leaves it to the others. Without Redis
//! there are no others, and the readers of a process that is killed begin again.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    ids::{EventId, PostId},
    workers::{Next, Pace, rounds},
};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde::Serialize;
use shared_state::{Away, channel_log::ChannelLog};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Live,
    channel::{Channel, Topic},
    posts::Fault,
    publication::Entry,
    reactions,
};
use crate::domain::event::Event;

/// Between two publications of the same.
const PAUSE: Duration = Duration::from_secs(1);
/// How often marks whose pause is over are looked for.
const EVERY: Duration = Duration::from_millis(200);
/// For so long a worker has the marks that it took.
const CLAIMED_FOR: Duration = Duration::from_secs(5);
/// Marks worked on at once.
const TOGETHER: usize = 8;
/// Marks taken at once.
const AT_ONCE: usize = 100;

/// What has changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mark {
    /// The seats of an event.
    Seats(EventId),
    /// How it stands, for its organizer.
    Desk(EventId),
    /// The votes of a question or poll.
    Votes(PostId),
    /// The reactions beside an event.
    Reactions(EventId),
}

impl Mark {
    /// As it is kept in Redis. Seats have no name, as before there were other marks.
    fn text(self) -> String {
        match self {
            Self::Seats(event) => event.to_string(),
            Self::Desk(event) => format!("desk:{event}"),
            Self::Votes(post) => format!("votes:{post}"),
            Self::Reactions(event) => format!("reactions:{event}"),
        }
    }

    fn read(text: &str) -> Self {
        match text.split_once(':') {
            Some(("desk", event)) => Self::Desk(EventId::lenient(event)),
            Some(("votes", post)) => Self::Votes(PostId::lenient(post)),
            Some(("reactions", event)) => Self::Reactions(EventId::lenient(event)),
            _ => Self::Seats(EventId::lenient(text)),
        }
    }
}

/// The marks. Cheap to clone.
#[derive(Clone)]
pub struct Counters(Arc<Inner>);

struct Inner {
    marks: Marks,
    marked: Arc<Notify>,
}

enum Marks {
    Here(Mutex<HashMap<Mark, State>>),
    InRedis(ChannelLog),
}

/// Something that was published lately, or is to be.
struct State {
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
            registered: event.registered(),
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

    /// Marks what has changed.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn mark(&self, mark: Mark) -> Result<(), Away> {
        match &self.0.marks {
            Marks::Here(marks) => {
                let mut marks = marks.lock();
                let state = marks.entry(mark).or_insert_with(|| State {
                    due: true,
                    not_before: Instant::now(),
                });
                state.due = true;
            }
            Marks::InRedis(log) => drop(log.mark(&mark.text()).await?),
        }
        self.0.marked.notify_one();
        Ok(())
    }

    /// Takes marks whose time has come.
    async fn claim(&self) -> Result<Vec<(Mark, String)>, Away> {
        match &self.0.marks {
            Marks::Here(marks) => {
                let (mut marks, now) = (marks.lock(), Instant::now());
                marks.retain(|_, state| state.due || state.not_before > now);
                let due = marks
                    .iter_mut()
                    .filter(|(_, state)| state.due && state.not_before <= now);
                let claimed = due.take(AT_ONCE).map(|(mark, state)| {
                    *state = State {
                        due: false,
                        not_before: now + PAUSE,
                    };
                    (*mark, String::new())
                });
                Ok(claimed.collect())
            }
            Marks::InRedis(log) => {
                let claimed = log.claim(AT_ONCE, CLAIMED_FOR).await?;
                let claimed = claimed.into_iter();
                Ok(claimed
                    .map(|(mark, version)| (Mark::read(&mark), version))
                    .collect())
            }
        }
    }

    /// Notes that it has been published.
    async fn settle(&self, mark: Mark, version: &str) -> Result<(), Away> {
        match &self.0.marks {
            Marks::Here(_) => Ok(()),
            Marks::InRedis(log) => log.settle(&mark.text(), version, PAUSE).await,
        }
    }
}

/// Publishes what is marked, until `stop`.
pub async fn publish(live: Live, stop: CancellationToken) {
    let pace = Pace::every(EVERY).woken_by(Arc::clone(&live.counters().0.marked));
    rounds("live counters", pace.at_most(CLAIMED_FOR), stop, || async {
        let claimed = live.counters().claim().await.map_err(|away| away.to_string())?;
        let count = claimed.len();
        let mut fault = None;
        let live = &live;
        let mut published = stream::iter(claimed)
            .map(|(mark, version)| async move { (mark, one(live, mark, &version).await) })
            .buffer_unordered(TOGETHER);
        while let Some((mark, published)) = published.next().await {
            if let Err(why) = published {
                // In Redis its mark is still there; here it is made again.
                if live.hub().log().is_none() {
                    let _ = live.counters().mark(mark).await;
                }
                fault = Some(why.to_string());
            }
        }
        match fault {
            Some(why) => Err(why),
            None => Ok(Next::after(count)),
        }
    })
    .await;
}

async fn one(live: &Live, mark: Mark, version: &str) -> Result<(), Fault> {
    match mark {
        Mark::Seats(event) => seats(live, event).await?,
        Mark::Desk(event) => desk(live, event).await?,
        Mark::Votes(post) => live.publish_votes(post).await?,
        Mark::Reactions(event) => reactions::publish(live, event).await?,
    }
    Ok(live.counters().settle(mark, version).await?)
}

async fn seats(live: &Live, event: EventId) -> Result<(), Fault> {
    let (public, desk) = (Channel::Event(event), Channel::Topic(event, Topic::Desk));
    let open = live.hub().open(vec![public, desk]).await?;
    if open.contains(&public)
        && let Some(found) = live.store().event(event).await?
        && !found.draft
    {
        let entry = Entry::new("seats.changed", live.now(), &Seats::from(&found));
        live.hub().publish(public, &entry, None, false).await?;
    }
    if open.contains(&desk) {
        // For itself: its counting is more work, and is not to hold up the seats.
        live.counters().mark(Mark::Desk(event)).await?;
    }
    Ok(())
}

async fn desk(live: &Live, event: EventId) -> Result<(), Fault> {
    let channel = Channel::Topic(event, Topic::Desk);
    let entry = Entry::new("desk.changed", live.now(), &live.desk(event).await?);
    live.hub().publish(channel, &entry, None, false).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let (event, post) = (EventId::new(), PostId::new());
        for mark in [
            Mark::Seats(event),
            Mark::Desk(event),
            Mark::Votes(post),
            Mark::Reactions(event),
        ] {
            assert_eq!(Mark::read(&mark.text()), mark);
        }
    }

    #[tokio::test]
    async fn a_mark_is_due_once_and_again_after_the_pause() {
        let (counters, mark) = (Counters::new(None), Mark::Seats(EventId::new()));
        for _ in 0..3 {
            counters.mark(mark).await.unwrap();
        }
        assert_eq!(counters.claim().await.unwrap().len(), 1);
        counters.mark(mark).await.unwrap();
        assert_eq!(counters.claim().await.unwrap().len(), 0);
        let Marks::Here(marks) = &counters.0.marks else {
            unreachable!()
        };
        marks.lock().get_mut(&mark).unwrap().not_before = Instant::now();
        assert_eq!(counters.claim().await.unwrap().len(), 1);
        marks.lock().get_mut(&mark).unwrap().not_before = Instant::now();
        assert_eq!(counters.claim().await.unwrap().len(), 0);
        assert!(marks.lock().is_empty());
    }
}
