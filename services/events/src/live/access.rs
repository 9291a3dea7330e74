//! Who may read the topics of an event. A registration that ends and a ban are published to the processes that serve readers, which
//! send those away whom it concerns; so no reader is asked for again and again, and a thousand that come back are not a thousand
//! reads of the store.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    clock::Timestamp,
    ids::{EventId, UserId},
};
use futures_util::{
    StreamExt,
    stream::{self, FuturesUnordered},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use shared_state::Away;
use tokio::{
    sync::OnceCell,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    ChannelError, Live,
    channel::{Channel, ChannelRefusal, Topic},
    history::Publication,
    hub::{Joining, Subscription},
    publication::Entry,
    queue::{Batch, Outgoing, Queue},
};
use crate::domain::standing::{Denied, Standing};

/// How often events that nobody reads any more are looked for, and what has failed is tried again.
const EVERY: Duration = Duration::from_secs(1);
/// How often all readers of an event are looked at, for what may have been missed all the same: an older release does not tell.
const ALL_EVERY: Duration = Duration::from_secs(300);
/// Look-ups at a time.
const AT_ONCE: usize = 16;
const KIND: &str = "access.changed";

/// What is published: whose rights have changed; all, where there is nobody.
#[derive(Serialize, Deserialize)]
struct Changed {
    user: Option<UserId>,
}

/// What of it is read.
#[derive(Deserialize)]
struct Frame {
    ch: String,
    data: serde_json::Value,
}

/// The entry that lets the processes look at a user again, or at all of them.
pub fn entry(user: Option<UserId>, now: Timestamp) -> Entry {
    Entry::new(KIND, now, &Changed { user })
}

/// Who was let in, of the events that are read here.
#[derive(Default)]
pub struct Access {
    events: Mutex<HashMap<EventId, Arc<Watched>>>,
    feed: Mutex<Feed>,
}

/// Where the worker gets what is published. Another one whenever it begins anew.
type Feed = Arc<Queue>;

/// An event whose changes of rights are followed.
struct Watched {
    /// The worker's number as a reader of the channel.
    reader: u64,
    subscription: OnceCell<Subscription>,
    admitted: Mutex<Admitted>,
    /// When all were last looked at.
    looked_at: Instant,
}

#[derive(Default)]
struct Admitted {
    users: HashSet<(UserId, Needs)>,
    /// Counts the changes, so that what was read before one is not kept after it.
    changes: u64,
}

/// What reading a topic takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Needs {
    /// To take part in the event.
    Part,
    /// To work at its desk.
    Desk,
}

impl From<Topic> for Needs {
    fn from(topic: Topic) -> Self {
        match topic {
            Topic::Desk => Self::Desk,
            _ => Self::Part,
        }
    }
}

impl Needs {
    fn met_by(self, standing: &Standing, now: Timestamp) -> Result<(), Denied> {
        match self {
            Self::Part => standing.may_read(now),
            Self::Desk => standing.may_work_at_the_desk(),
        }
    }
}

/// Whose rights are to be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Check {
    One(EventId, UserId),
    All(EventId),
}

impl Access {
    /// The event, whose changes are followed from here on.
    async fn followed(&self, live: &Live, event: EventId) -> Result<Arc<Watched>, Away> {
        let (watched, queue) = {
            let (mut events, feed) = (self.events.lock(), self.feed.lock());
            let watched = events.entry(event).or_insert_with(|| {
                Arc::new(Watched {
                    reader: live.connections().number(),
                    subscription: OnceCell::new(),
                    admitted: Mutex::default(),
                    looked_at: Instant::now(),
                })
            });
            (Arc::clone(watched), Arc::clone(&feed))
        };
        let joining = Joining {
            connection: watched.reader,
            queue: &queue,
            place: 0,
            since: None,
        };
        let joining = live.hub().join(Channel::Access(event), joining, |_| {});
        watched.subscription.get_or_try_init(|| joining).await?;
        Ok(watched)
    }

    /// Lets a user in who may read a topic of an event. Who is let in has to have a [`super::people::Place`] there: that is how
    /// they are found when they may no longer.
    ///
    /// # Errors
    /// When they may not, and when that cannot be found out.
    pub async fn admit(
        &self,
        live: &Live,
        (event, topic): (EventId, Topic),
        user: UserId,
    ) -> Result<(), ChannelError> {
        let needs = Needs::from(topic);
        let watched = self.followed(live, event).await?;
        let changes = {
            let admitted = watched.admitted.lock();
            if admitted.users.contains(&(user, needs)) {
                return Ok(());
            }
            admitted.changes
        };
        let standing = live.store().standing(event, user).await?;
        let standing = standing.ok_or(ChannelRefusal::Unknown)?;
        needs
            .met_by(&standing, live.auth().clock().now())
            .map_err(ChannelError::Denied)?;
        let mut admitted = watched.admitted.lock();
        if admitted.changes == changes {
            admitted.users.insert((user, needs));
        }
        Ok(())
    }

    /// Forgets events that nobody reads any more; gives those whose readers are to be looked at again.
    fn sweep(&self, live: &Live) -> Vec<Check> {
        let mut events = self.events.lock();
        // A reader enters before it is let in, so one that is about to be is found.
        events.retain(|event, _| live.people().is_read(*event));
        let mut due = Vec::new();
        // They are followed anew, and let in anew from then on.
        events.retain(|event, watched| {
            let is_due = watched.looked_at.elapsed() >= ALL_EVERY;
            if is_due {
                due.push(Check::All(*event));
            }
            !is_due
        });
        due
    }

    /// What the worker has to look at after a publication.
    fn read(&self, publication: &Publication) -> Option<Check> {
        let frame: Frame = serde_json::from_str(&publication.frame).ok()?;
        let event = EventId::lenient(frame.ch.split(':').nth(1)?);
        let user = Changed::deserialize(frame.data)
            .ok()
            .and_then(|changed| changed.user);
        let watched = self.events.lock().get(&event).cloned();
        if let Some(watched) = watched {
            let mut admitted = watched.admitted.lock();
            admitted.changes += 1;
            match user {
                Some(user) => {
                    for needs in [Needs::Part, Needs::Desk] {
                        admitted.users.remove(&(user, needs));
                    }
                }
                None => admitted.users.clear(),
            }
        }
        Some(user.map_or(Check::All(event), |user| Check::One(event, user)))
    }

    /// Begins anew, after publications may have been missed: everybody is looked at.
    fn begin_again(&self) -> Vec<Check> {
        let mut events = self.events.lock();
        *self.feed.lock() = Feed::default();
        events.drain().map(|(event, _)| Check::All(event)).collect()
    }

    fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.feed.lock())
    }
}

/// Follows the changes of rights and sends those away who may read no longer, until `stop`.
pub async fn watch(live: Live, stop: CancellationToken) {
    let access = live.access();
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Many readers of one event do not hold up one of another.
    let mut looks = FuturesUnordered::new();
    // What could not be looked at is tried again.
    let mut failed = HashSet::<Check>::new();
    loop {
        let queue = access.queue();
        let checks: Vec<Check> = tokio::select! {
            () = stop.cancelled() => return,
            batch = queue.next() => match batch {
                Batch::Send(batch) => batch.iter().filter_map(|one| match one {
                    Outgoing::Publication(_, publication) => access.read(publication),
                    Outgoing::Text(_) | Outgoing::Revoked(_) => None,
                }).collect(),
                Batch::Close(_) => access.begin_again(),
            },
            Some(left) = looks.next() => {
                failed.extend(left);
                Vec::new()
            }
            _ = tick.tick() => access.sweep(&live).into_iter().chain(failed.drain()).collect(),
        };
        looks.extend(checks.into_iter().map(|check| look(&live, check)));
    }
}

/// Sends those away who may read no longer; gives what could not be looked at.
async fn look(live: &Live, check: Check) -> Vec<Check> {
    let (event, users) = match check {
        Check::One(event, user) => (event, vec![user]),
        Check::All(event) => (event, live.people().readers(event)),
    };
    let users: Vec<_> = users
        .into_iter()
        .filter(|user| live.people().reads(event, *user))
        .collect();
    if users.is_empty() {
        return Vec::new();
    }
    // Before it is looked at, so that what changes after that is heard of.
    if live.access().followed(live, event).await.is_err() {
        return vec![check];
    }
    let mut looks = stream::iter(users)
        .map(|user| async move { (user, live.store().standing(event, user).await) })
        .buffer_unordered(AT_ONCE);
    let (now, mut left) = (live.now(), Vec::new());
    while let Some((user, standing)) = looks.next().await {
        match standing {
            Ok(Some(standing)) if may_read_on(live, &standing, now) => {}
            Ok(_) => revoke(live, event, user),
            Err(error) => {
                tracing::warn!(%error, event_id = %event, user_id = %user, "who may read an event could not be looked up");
                left.push(Check::One(event, user));
            }
        }
    }
    left
}

/// Whether somebody may read all that they read. Who may not is sent away from all of it, and comes back to what is left to them.
fn may_read_on(live: &Live, standing: &Standing, now: Timestamp) -> bool {
    let topics = live.people().topics(standing.event, standing.user);
    let mut needs = topics.into_iter().map(Needs::from);
    needs.all(|needs| needs.met_by(standing, now).is_ok())
}

fn revoke(live: &Live, event: EventId, user: UserId) {
    let connections = live.people().revoke(event, user);
    tracing::info!(event_id = %event, user_id = %user, connections = connections.len(), "live access revoked");
    for (connection, queue) in connections {
        // What is published from here on is not for them, however slowly they take what waits.
        for topic in Topic::ALL {
            live.hub().leave(Channel::Topic(event, topic), connection);
        }
        queue.push(Outgoing::Revoked(event));
    }
}
