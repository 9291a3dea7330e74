//! Who may read the topics of an event. A registration that ends and a ban are published to the processes that serve readers, which
//! send those away whom it concerns; so no reader is asked for again and again, and a thousand that come back are not a thousand
//! reads of the store.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use common::{
    clock::Timestamp,
    ids::{EventId, UserId},
    store::StoreError,
};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use shared_state::Away;
use tokio::{sync::OnceCell, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    ChannelError, Live,
    channel::{Channel, ChannelRefusal},
    history::Publication,
    hub::{Joining, Subscription},
    publication::Entry,
    queue::{Batch, Outgoing, Queue},
};
use crate::domain::standing::Standing;

/// How often events that nobody reads any more are looked for, and what has failed is tried again.
const EVERY: Duration = Duration::from_secs(1);
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
    data: Changed,
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

/// How the worker reads the channels: by another reader whenever it begins anew.
#[derive(Clone, Default)]
struct Feed {
    queue: Arc<Queue>,
    generation: u64,
}

/// An event whose changes of rights are followed.
#[derive(Default)]
struct Watched {
    subscription: OnceCell<Subscription>,
    admitted: Mutex<Admitted>,
}

#[derive(Default)]
struct Admitted {
    users: HashSet<UserId>,
    /// Counts the changes, so that what was read before one is not kept after it.
    changes: u64,
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
        let watched = Arc::clone(self.events.lock().entry(event).or_default());
        let feed = self.feed.lock().clone();
        let joining = Joining {
            connection: u64::MAX - feed.generation,
            queue: &feed.queue,
            place: 0,
            since: None,
        };
        let joining = live.hub().join(Channel::Access(event), joining, |_| {});
        watched.subscription.get_or_try_init(|| joining).await?;
        Ok(watched)
    }

    /// Lets a user in who may read the topics of an event. Who is let in has to have a [`super::people::Place`] there: that is how
    /// they are found when they may no longer.
    ///
    /// # Errors
    /// When they may not, and when that cannot be found out.
    pub async fn admit(&self, live: &Live, event: EventId, user: UserId) -> Result<(), ChannelError> {
        let watched = self.followed(live, event).await?;
        let changes = {
            let admitted = watched.admitted.lock();
            if admitted.users.contains(&user) {
                return Ok(());
            }
            admitted.changes
        };
        let standing = live.store().standing(event, user).await?;
        let standing = standing.ok_or(ChannelRefusal::Unknown)?;
        standing
            .may_read(live.auth().clock().now())
            .map_err(ChannelError::Denied)?;
        let mut admitted = watched.admitted.lock();
        if admitted.changes == changes {
            admitted.users.insert(user);
        }
        Ok(())
    }

    /// Forgets events that nobody reads any more.
    fn sweep(&self, live: &Live) {
        let mut events = self.events.lock();
        // A reader enters before it is let in, so one that is about to be is found.
        events.retain(|event, _| live.people().is_read(*event));
    }

    /// What the worker has to look at after a publication.
    fn read(&self, publication: &Publication) -> Option<Check> {
        let frame: Frame = serde_json::from_str(&publication.frame).ok()?;
        let event = EventId::lenient(frame.ch.split(':').nth(1)?);
        let watched = self.events.lock().get(&event).cloned();
        if let Some(watched) = watched {
            let mut admitted = watched.admitted.lock();
            admitted.changes += 1;
            match frame.data.user {
                Some(user) => drop(admitted.users.remove(&user)),
                None => admitted.users.clear(),
            }
        }
        Some(match frame.data.user {
            Some(user) => Check::One(event, user),
            None => Check::All(event),
        })
    }

    /// Begins anew, after publications may have been missed: everybody is looked at.
    fn begin_again(&self) -> Vec<Check> {
        {
            let mut feed = self.feed.lock();
            *feed = Feed {
                queue: Arc::default(),
                generation: feed.generation + 1,
            };
        }
        let mut events = self.events.lock();
        let all = events.keys().map(|event| Check::All(*event)).collect();
        events.clear();
        all
    }

    fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.feed.lock().queue)
    }
}

/// Follows the changes of rights and sends those away who may read no longer, until `stop`.
pub async fn watch(live: Live, stop: CancellationToken) {
    let access = live.access();
    // What could not be looked at is tried again.
    let mut left = HashSet::<Check>::new();
    loop {
        let queue = access.queue();
        tokio::select! {
            () = stop.cancelled() => return,
            batch = queue.next() => match batch {
                Batch::Send(batch) => left.extend(batch.iter().filter_map(|one| match one {
                    Outgoing::Publication(_, publication) => access.read(publication),
                    Outgoing::Text(_) | Outgoing::Revoked(_) => None,
                })),
                Batch::Close(_) => left.extend(access.begin_again()),
            },
            () = sleep(EVERY) => access.sweep(&live),
        }
        let mut failed = HashSet::new();
        for check in left.drain() {
            if let Err(why) = look(&live, check).await {
                tracing::warn!(?check, why, "who may read an event could not be looked up");
                failed.insert(check);
            }
        }
        left = failed;
    }
}

/// Sends those away who may read no longer.
async fn look(live: &Live, check: Check) -> Result<(), String> {
    let (event, users) = match check {
        Check::One(event, user) => (event, vec![user]),
        Check::All(event) => (event, live.people().readers(event)),
    };
    let users: Vec<_> = users
        .into_iter()
        .filter(|user| !live.people().queues(event, *user).is_empty())
        .collect();
    if users.is_empty() {
        return Ok(());
    }
    // Before it is looked at, so that what changes after that is heard of.
    let followed = live.access().followed(live, event).await;
    followed.map_err(|away| away.to_string())?;
    let looks = stream::iter(users).map(|user| async move {
        let standing = live.store().standing(event, user).await;
        standing.map(|standing| (user, standing))
    });
    let looks: Vec<Result<(UserId, Option<Standing>), StoreError>> =
        looks.buffer_unordered(AT_ONCE).collect().await;
    let now = live.auth().clock().now();
    for looked in looks {
        let (user, standing) = looked.map_err(|error| error.to_string())?;
        if standing.is_some_and(|standing| standing.may_read(now).is_ok()) {
            continue;
        }
        tracing::info!(event_id = %event, user_id = %user, "live access revoked");
        for queue in live.people().queues(event, user) {
            queue.push(Outgoing::Revoked(event));
        }
    }
    Ok(())
}
