//! Presence: the signed-in users that read a channel of an event, counted by person, however many sockets they have.
//!
//! With Redis each process has a heartbeat that names its own; those of one that was killed expire within a minute.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use common::ids::{EventId, UserId};
use moka::future::Cache;
use parking_lot::Mutex;
use shared_state::{
    Away,
    channel_log::{
        ChannelLog,
        people::{NAMED, Present},
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    channel::{Channel, Topic},
    queue::Queue,
};

/// How often changes are sent.
const EVERY: Duration = Duration::from_secs(1);
/// Events whose count is remembered for that time.
const COUNTED: u64 = 10_000;
/// How often all are sent again.
const ALL_EVERY: Duration = Duration::from_secs(25);

/// The people of this process. Cheap to clone.
#[derive(Clone)]
pub struct People(Arc<Inner>);

struct Inner {
    log: Option<ChannelLog>,
    events: Mutex<HashMap<EventId, Attendance>>,
    /// How many there are, where other processes have some too.
    counted: Cache<EventId, u64>,
}

/// Those beside one event.
#[derive(Default)]
struct Attendance {
    users: HashMap<UserId, HashMap<u64, Connected>>,
    /// Who has come or gone since the last heartbeat.
    changed: HashSet<UserId>,
    /// When a heartbeat named all.
    sent_at: Option<Instant>,
}

/// One user's connection.
struct Connected {
    queue: Arc<Queue>,
    /// Channels of the event that it reads.
    channels: u32,
    /// Whether those of them that only participants may were revoked, one by one.
    topics: Vec<(Topic, Arc<AtomicBool>)>,
}

/// A reader's place beside an event, until this is dropped.
pub struct Place {
    people: People,
    event: EventId,
    user: UserId,
    connection: u64,
    /// Whether the reader may read no longer, where that needs a right.
    revoked: Option<Arc<AtomicBool>>,
}

/// Who enters.
pub struct Entering<'a> {
    /// Who.
    pub user: UserId,
    /// By which connection.
    pub connection: u64,
    /// What waits to be sent to it.
    pub queue: &'a Arc<Queue>,
}

impl People {
    /// Nobody yet. With a log, other processes have people too.
    pub fn new(log: Option<ChannelLog>) -> Self {
        Self(Arc::new(Inner {
            log,
            events: Mutex::default(),
            counted: Cache::builder().max_capacity(COUNTED).time_to_live(EVERY).build(),
        }))
    }

    /// Somebody begins to read a channel.
    pub fn enter(&self, channel: Channel, entering: &Entering<'_>) -> Option<Place> {
        let event = channel.event()?;
        let Entering {
            user,
            connection,
            queue,
        } = *entering;
        let topic = match channel {
            Channel::Topic(_, topic) => Some((topic, Arc::default())),
            _ => None,
        };
        let mut events = self.0.events.lock();
        let attendance = events.entry(event).or_default();
        let connections = attendance.users.entry(user).or_default();
        if connections.is_empty() && self.0.log.is_some() {
            attendance.changed.insert(user);
        }
        let connected = connections.entry(connection).or_insert_with(|| Connected {
            queue: Arc::clone(queue),
            channels: 0,
            topics: Vec::new(),
        });
        connected.channels += 1;
        connected.topics.extend(topic.clone());
        Some(Place {
            people: self.clone(),
            event,
            user,
            connection,
            revoked: topic.map(|(_, revoked)| revoked),
        })
    }

    /// Who reads topics of an event here.
    pub fn readers(&self, event: EventId) -> Vec<UserId> {
        let events = self.0.events.lock();
        let users = events
            .get(&event)
            .into_iter()
            .flat_map(|attendance| &attendance.users);
        let reads = users.filter(|(_, connections)| connections.values().any(Connected::reads_topics));
        reads.map(|(user, _)| *user).collect()
    }

    /// Whether anybody reads topics of an event here.
    pub fn is_read(&self, event: EventId) -> bool {
        let events = self.0.events.lock();
        let users = events
            .get(&event)
            .into_iter()
            .flat_map(|attendance| attendance.users.values());
        users.flat_map(HashMap::values).any(Connected::reads_topics)
    }

    /// Whether a user reads topics of an event here.
    pub fn reads(&self, event: EventId, user: UserId) -> bool {
        let events = self.0.events.lock();
        let connections = events
            .get(&event)
            .and_then(|attendance| attendance.users.get(&user));
        connections.is_some_and(|connections| connections.values().any(Connected::reads_topics))
    }

    /// The topics of an event that a user reads here, each as often as they do.
    pub fn topics(&self, event: EventId, user: UserId) -> Vec<Topic> {
        let events = self.0.events.lock();
        let connections = events
            .get(&event)
            .and_then(|attendance| attendance.users.get(&user));
        let connections = connections.into_iter().flat_map(HashMap::values);
        connections
            .flat_map(|connected| connected.topics.iter().map(|(topic, _)| *topic))
            .collect()
    }

    /// Revokes the topics of an event that a user reads, and gives the connections, which are to be told. From here on none of
    /// them is answered that it reads one, see [`Place::unless_revoked`].
    pub fn revoke(&self, event: EventId, user: UserId) -> Vec<(u64, Arc<Queue>)> {
        let events = self.0.events.lock();
        let connections = events
            .get(&event)
            .and_then(|attendance| attendance.users.get(&user));
        let connections = connections.into_iter().flatten();
        let reading = connections.filter(|(_, connected)| connected.reads_topics());
        reading
            .map(|(connection, connected)| {
                for (_, revoked) in &connected.topics {
                    revoked.store(true, Ordering::Relaxed);
                }
                (*connection, Arc::clone(&connected.queue))
            })
            .collect()
    }

    /// How many people are beside an event, in all processes.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn count(&self, event: EventId) -> Result<u64, Away> {
        let Some(log) = &self.0.log else {
            let events = self.0.events.lock();
            return Ok(events
                .get(&event)
                .map_or(0, |attendance| attendance.users.len() as u64));
        };
        // Many ask, and counting is work for Redis.
        let counting = async { Ok(log.people(&Channel::Event(event).to_string(), 0).await?.0) };
        let counted: Result<u64, Arc<Away>> = self.0.counted.try_get_with(event, counting).await;
        counted.map_err(|_| Away)
    }

    /// Likewise, and up to a thousand of them.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn list(&self, event: EventId) -> Result<(u64, Vec<UserId>), Away> {
        match &self.0.log {
            Some(log) => {
                let (count, named) = log.people(&Channel::Event(event).to_string(), NAMED).await?;
                Ok((count, named.iter().map(|id| UserId::lenient(id)).collect()))
            }
            None => {
                let events = self.0.events.lock();
                let users = events.get(&event).map(|attendance| &attendance.users);
                let named = users.into_iter().flat_map(HashMap::keys).take(NAMED);
                Ok((
                    users.map_or(0, |users| users.len() as u64),
                    named.copied().collect(),
                ))
            }
        }
    }

    /// The heartbeat: lets the other processes know who is here, until `stop`.
    pub async fn heartbeat(self, log: ChannelLog, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(EVERY) => {}
            }
            for due in self.due() {
                let event = due.event;
                if due.send(&log).await.is_err() {
                    // The next one names all.
                    if let Some(attendance) = self.0.events.lock().get_mut(&event) {
                        attendance.sent_at = None;
                    }
                }
            }
        }
        // All are sent away now.
        let events: Vec<_> = self.0.events.lock().keys().copied().collect();
        for event in events {
            let nobody = Due {
                event,
                come: Vec::new(),
                gone: Vec::new(),
                are_all: true,
            };
            if nobody.send(&log).await.is_err() {
                return;
            }
        }
    }

    /// What is to be sent now.
    fn due(&self) -> Vec<Due> {
        let mut events = self.0.events.lock();
        let mut due = Vec::new();
        for (event, attendance) in events.iter_mut() {
            let are_all = attendance.sent_at.is_none_or(|at| at.elapsed() >= ALL_EVERY);
            if !are_all && attendance.changed.is_empty() {
                continue;
            }
            let changed = std::mem::take(&mut attendance.changed);
            let (come, gone): (Vec<_>, Vec<_>) = if are_all {
                attendance.sent_at = Some(Instant::now());
                (attendance.users.keys().copied().collect(), Vec::new())
            } else {
                changed
                    .into_iter()
                    .partition(|user| attendance.users.contains_key(user))
            };
            due.push(Due {
                event: *event,
                come,
                gone,
                are_all,
            });
        }
        // Nobody is left, and the others are about to know.
        events.retain(|_, attendance| !attendance.users.is_empty());
        due
    }

    fn leave(&self, place: &Place) {
        let mut events = self.0.events.lock();
        let Some(attendance) = events.get_mut(&place.event) else {
            return;
        };
        let Entry::Occupied(mut user) = attendance.users.entry(place.user) else {
            return;
        };
        if let Entry::Occupied(mut connected) = user.get_mut().entry(place.connection) {
            let one = connected.get_mut();
            one.channels -= 1;
            if let Some(revoked) = &place.revoked {
                one.topics.retain(|(_, topic)| !Arc::ptr_eq(topic, revoked));
            }
            if one.channels == 0 {
                connected.remove();
            }
        }
        if user.get().is_empty() {
            user.remove();
            if self.0.log.is_some() {
                attendance.changed.insert(place.user);
            }
        }
        // Without others to tell, nobody looks through the events.
        if self.0.log.is_none() && attendance.users.is_empty() {
            events.remove(&place.event);
        }
    }
}

impl Connected {
    fn reads_topics(&self) -> bool {
        !self.topics.is_empty()
    }
}

impl Place {
    /// Calls `answer` unless the reader may read no longer; no revocation comes in between.
    pub fn unless_revoked(&self, answer: impl FnOnce()) -> bool {
        let _events = self.people.0.events.lock();
        let is_revoked = self
            .revoked
            .as_ref()
            .is_some_and(|revoked| revoked.load(Ordering::Relaxed));
        if !is_revoked {
            answer();
        }
        !is_revoked
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.people.leave(self);
    }
}

/// What the other processes are to know.
struct Due {
    event: EventId,
    come: Vec<UserId>,
    gone: Vec<UserId>,
    are_all: bool,
}

impl Due {
    async fn send(self, log: &ChannelLog) -> Result<(), Away> {
        let text = |users: Vec<UserId>| users.iter().map(UserId::to_string).collect::<Vec<_>>();
        let (come, gone) = (text(self.come), text(self.gone));
        let present = Present {
            come: &come,
            gone: &gone,
            are_all: self.are_all,
        };
        log.heartbeat(&Channel::Event(self.event).to_string(), present)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn people_are_counted_by_person_and_found_by_what_they_read() {
        let (people, event) = (People::new(None), EventId::new());
        let (asha, ben) = (UserId::new(), UserId::new());
        let queue = Arc::<Queue>::default();
        let enter = |channel, user, connection| {
            let entering = Entering {
                user,
                connection,
                queue: &queue,
            };
            people.enter(channel, &entering)
        };
        let (public, chat) = (Channel::Event(event), Channel::Topic(event, Topic::Chat));
        assert!(enter(Channel::Me(asha), asha, 1).is_none());
        let first = enter(public, asha, 1);
        let second = enter(public, asha, 2);
        let third = enter(chat, asha, 2);
        let fourth = enter(public, ben, 3);
        assert_eq!(people.count(event).await.unwrap(), 2);
        assert_eq!(people.readers(event), [asha]);
        assert!(people.revoke(event, ben).is_empty());
        assert!(third.as_ref().unwrap().unless_revoked(|| ()));
        let revoked = people.revoke(event, asha);
        assert!(revoked.len() == 1 && revoked[0].0 == 2);
        assert!(!third.as_ref().unwrap().unless_revoked(|| panic!("it is revoked")));
        assert!(second.as_ref().unwrap().unless_revoked(|| ()));
        drop(third);
        assert!(people.readers(event).is_empty());
        drop((first, fourth));
        assert_eq!(people.list(event).await.unwrap(), (1, vec![asha]));
        drop(second);
        assert_eq!(people.count(event).await.unwrap(), 0);
        assert!(people.0.events.lock().is_empty());
    }
}
