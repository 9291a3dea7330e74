//! The channels that this process serves: their histories and their readers.
//!
//! Without Redis the histories here are the only ones: a channel begins with its first reader and a publication to one
//! that does not exist has nobody to reach. With Redis each is a copy of the channel's log, kept up to date by what is
//! received of it; an entry that is missing is read from the log before any later one is passed on.
//!
//! A reader joins, and gets what it missed, under the lock under which publications are passed on: it misses none and gets none
//! twice.

mod copies;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use shared_state::{
    Away,
    channel_log::{ChannelLog, KEPT, KEPT_FOR, Place, new_epoch},
};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    channel::Channel,
    history::{History, Missed, Position, Publication},
    publication::Entry,
    queue::{Outgoing, Queue},
};

/// How often channels that nobody reads are looked for.
const SWEPT_EVERY: Duration = Duration::from_secs(30);
/// How long a copy that nobody reads is kept.
const COPY_KEPT_FOR: Duration = Duration::from_secs(60);

/// The channels. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    log: Option<ChannelLog>,
    /// Copies that may not be what their logs are, until they have been compared.
    doubtful: Mutex<HashSet<Arc<str>>>,
}

/// One channel.
struct Topic {
    channel: Channel,
    name: Arc<str>,
    /// Set once its history is known.
    state: OnceCell<Mutex<State>>,
    /// When it was last compared with its log.
    compared: Mutex<Instant>,
}

struct State {
    history: History,
    /// Which version of what was published, and where. Without a log.
    versions: HashMap<Uuid, (u64, u64)>,
    readers: HashMap<u64, Reader>,
    /// Since when there is none.
    unread: Option<Instant>,
    /// It was removed from the hub: nothing is passed on to it any more. Noted here, because a lock on a channel is held
    /// inside that on all of them, and never around it.
    is_swept: bool,
}

struct Reader {
    queue: Arc<Queue>,
    place: u32,
}

/// How a reader joins.
pub struct Joining<'a> {
    /// Its connection.
    pub connection: u64,
    /// Where it gets publications.
    pub queue: &'a Arc<Queue>,
    /// The channel's place in the reader's list.
    pub place: u32,
    /// What it has seen; `None`: it begins now.
    pub since: Option<Position>,
}

/// A reader of a channel, until this is dropped.
pub struct Subscription {
    hub: Hub,
    channel: Channel,
    connection: u64,
}

impl Subscription {
    /// What the channel has published since a position.
    pub fn missed(&self, since: &Position) -> Option<Joined> {
        let name = self.channel.to_string();
        let topic = self.hub.0.topics.read().get(name.as_str()).cloned()?;
        let state = topic.state.get()?.lock();
        Some(Joined {
            position: state.history.position(),
            missed: state.history.missed(since),
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.leave(self.channel, self.connection);
    }
}

/// What a reader that joins is given first.
#[derive(Debug)]
pub struct Joined {
    /// Where the channel is.
    pub position: Position,
    /// What it missed.
    pub missed: Missed,
}

impl Hub {
    /// A hub; with a log, its channels are copies of those there.
    pub fn new(log: Option<ChannelLog>) -> Self {
        Self(Arc::new(Inner {
            topics: RwLock::default(),
            log,
            doubtful: Mutex::default(),
        }))
    }

    /// Adds a reader, until the subscription is dropped. `first` is called before any later publication is passed on to it.
    ///
    /// # Errors
    /// When Redis is away, unless the channel is known here already.
    pub async fn join(
        &self,
        channel: Channel,
        joining: Joining<'_>,
        first: impl FnOnce(Joined),
    ) -> Result<Subscription, Away> {
        let mut first = Some(first);
        loop {
            let topic = self.topic(channel);
            let state = self.state(&topic).await?;
            if let Some(since) = &joining.since
                && !channel.is_ephemeral()
            {
                self.catch_up_to(&topic, state, since).await;
            }
            let mut state = state.lock();
            if state.is_swept {
                continue;
            }
            let missed = match &joining.since {
                _ if channel.is_ephemeral() => Missed::All(Vec::new()),
                Some(since) => state.history.missed(since),
                None => Missed::All(Vec::new()),
            };
            let reader = Reader {
                queue: Arc::clone(joining.queue),
                place: joining.place,
            };
            state.readers.insert(joining.connection, reader);
            state.unread = None;
            if let Some(first) = first.take() {
                first(Joined {
                    position: state.history.position(),
                    missed,
                });
            }
            return Ok(Subscription {
                hub: self.clone(),
                channel,
                connection: joining.connection,
            });
        }
    }

    /// Nothing more is passed on to a reader.
    pub fn leave(&self, channel: Channel, connection: u64) {
        let name = channel.to_string();
        let topic = self.0.topics.read().get(name.as_str()).cloned();
        let Some(topic) = topic else { return };
        if let Some(state) = topic.state.get() {
            let mut state = state.lock();
            state.readers.remove(&connection);
            if state.readers.is_empty() {
                state.unread = Some(Instant::now());
            }
        }
    }

    /// Publishes to a channel, and gives the publication's place; `None`: nobody has read the channel lately, and `begins`
    /// was not asked for. What tells about a version that was published before, or overtaken, is not published again.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn publish(
        &self,
        channel: Channel,
        entry: &Entry,
        about: Option<Versioned>,
        begins: bool,
    ) -> Result<Option<Position>, Away> {
        let name = channel.to_string();
        if let Some(log) = &self.0.log {
            let subject = about.map(|about| about.subject.simple().to_string());
            let about = subject.as_deref().zip(about.map(|about| about.version));
            let place = log.publish(&name, &entry.encode(), about, !begins).await?;
            if place.is_none() {
                // Redis has lost it; those who read it here have to know.
                self.doubt(&name);
            }
            return Ok(place.map(|Place { epoch, offset }| Position {
                epoch: epoch.into(),
                offset,
            }));
        }
        if begins {
            self.state(&self.topic(channel)).await?;
        }
        let topic = self.0.topics.read().get(name.as_str()).cloned();
        let state = topic.as_ref().and_then(|topic| topic.state.get());
        let Some(state) = state else { return Ok(None) };
        Ok(Some(state.lock().publish_entry(channel, entry, about)))
    }

    /// Where a channel is.
    ///
    /// # Errors
    /// When Redis is away, unless the channel is known here already.
    pub async fn position(&self, channel: Channel) -> Result<Position, Away> {
        let topic = self.topic(channel);
        let state = self.state(&topic).await?;
        Ok(state.lock().history.position())
    }

    /// Which of these channels somebody has read lately, here or, where there is a log, anywhere.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn open(&self, channels: Vec<Channel>) -> Result<HashSet<Channel>, Away> {
        let Some(log) = &self.0.log else {
            let topics = self.0.topics.read();
            let is_open = |channel: &Channel| topics.contains_key(channel.to_string().as_str());
            return Ok(channels.into_iter().filter(is_open).collect());
        };
        let names: Vec<String> = channels.iter().map(Channel::to_string).collect();
        let open = log.are_open(&names).await?;
        for (name, _) in names.iter().zip(&open).filter(|(_, open)| !**open) {
            // Redis has lost it, if it is read here.
            self.doubt(name);
        }
        let open = channels.into_iter().zip(open).filter(|(_, open)| *open);
        Ok(open.map(|(channel, _)| channel).collect())
    }

    /// The log that the channels are copies of.
    pub fn log(&self) -> Option<&ChannelLog> {
        self.0.log.as_ref()
    }

    fn topic(&self, channel: Channel) -> Arc<Topic> {
        let name = channel.to_string();
        if let Some(topic) = self.0.topics.read().get(name.as_str()) {
            return Arc::clone(topic);
        }
        let name: Arc<str> = name.into();
        let mut topics = self.0.topics.write();
        let topic = topics.entry(Arc::clone(&name)).or_insert_with(|| {
            Arc::new(Topic {
                channel,
                name,
                state: OnceCell::new(),
                compared: Mutex::new(Instant::now()),
            })
        });
        Arc::clone(topic)
    }

    /// The channel's state, which is read from the log first if there is one.
    async fn state<'a>(&self, topic: &'a Arc<Topic>) -> Result<&'a Mutex<State>, Away> {
        topic
            .state
            .get_or_try_init(|| async {
                let history = match &self.0.log {
                    None => History::new(new_epoch(), 0),
                    Some(log) => {
                        // Followed first: what is published meanwhile is received, and found to be missing or known.
                        log.follow(&topic.name).await?;
                        let part = log.read(&topic.name, 0).await?;
                        copies::history(topic.channel, part)
                    }
                };
                Ok(Mutex::new(State {
                    history,
                    versions: HashMap::new(),
                    readers: HashMap::new(),
                    unread: Some(Instant::now()),
                    is_swept: false,
                }))
            })
            .await
    }

    /// Removes channels that nobody has read for long, until `stop`.
    pub async fn sweep(self, stop: CancellationToken) {
        let kept_for = match self.0.log {
            Some(_) => COPY_KEPT_FOR,
            None => KEPT_FOR,
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEPT_EVERY) => {}
            }
            for name in self.remove_unread(kept_for) {
                let Some(log) = &self.0.log else { continue };
                log.unfollow(&name).await;
                // Somebody may have joined it again, and followed it before that.
                self.doubt(&name);
            }
        }
    }

    fn remove_unread(&self, kept_for: Duration) -> Vec<Arc<str>> {
        let mut removed = Vec::new();
        self.0.topics.write().retain(|name, topic| {
            // Without a state, its first reader is about to read the log.
            let Some(state) = topic.state.get() else {
                return true;
            };
            let mut state = state.lock();
            state.is_swept = state.unread.is_some_and(|since| since.elapsed() >= kept_for);
            if state.is_swept {
                removed.push(Arc::clone(name));
            }
            !state.is_swept
        });
        removed
    }

    /// Channels and readers, for `/metrics`.
    pub fn counts(&self) -> (usize, usize) {
        let topics: Vec<_> = self.0.topics.read().values().cloned().collect();
        let readers = topics.iter().filter_map(|topic| topic.state.get());
        (
            topics.len(),
            readers.map(|state| state.lock().readers.len()).sum(),
        )
    }
}

/// Which version of what is published, so that no reader gets it twice, or an older one after a newer.
#[derive(Clone, Copy, Debug)]
pub struct Versioned {
    /// What it is about.
    pub subject: Uuid,
    /// Which of its states.
    pub version: u64,
}

impl Versioned {
    /// Something that is told of once.
    pub fn once(subject: Uuid) -> Self {
        Self { subject, version: 1 }
    }
}

impl State {
    /// Publishes, unless this version was told of before; gives its place.
    fn publish_entry(&mut self, channel: Channel, entry: &Entry, about: Option<Versioned>) -> Position {
        let told = about.and_then(|about| {
            let told = self.versions.get(&about.subject);
            told.filter(|(version, _)| *version >= about.version)
        });
        if let Some((_, offset)) = told {
            return Position {
                offset: *offset,
                ..self.history.position()
            };
        }
        let offset = self.history.top() + 1;
        if let Some(Versioned { subject, version }) = about {
            if self.versions.len() >= 2 * KEPT {
                self.versions.retain(|_, (_, at)| *at + KEPT as u64 > offset);
            }
            self.versions.insert(subject, (version, offset));
        }
        self.publish(entry.publication(channel, offset));
        self.history.position()
    }

    /// Passes the next publication on to all readers.
    fn publish(&mut self, publication: Publication) {
        let publication = Arc::new(publication);
        self.history.push(Arc::clone(&publication));
        for reader in self.readers.values() {
            reader
                .queue
                .push(Outgoing::Publication(reader.place, Arc::clone(&publication)));
        }
    }
}

#[cfg(test)]
mod tests {
    use common::{clock::from_millis, ids::EventId};

    use shared_state::channel_log::LogPart;

    use super::*;
    use crate::live::{closing::Closing, queue::Batch};

    fn entry(number: u64) -> Entry {
        Entry::new("test", from_millis(0), &number)
    }

    async fn join(hub: &Hub, channel: Channel, connection: u64) -> (Subscription, Arc<Queue>, Position) {
        let (queue, mut position) = (Arc::<Queue>::default(), None);
        let joining = Joining {
            connection,
            queue: &queue,
            place: 0,
            since: None,
        };
        let joined = hub
            .join(channel, joining, |joined| position = Some(joined.position))
            .await;
        (joined.unwrap(), queue, position.unwrap())
    }

    /// Joining, leaving and sweeping at once: who is there gets what is published, and nobody waits for ever.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_channel_that_is_swept_is_joined_anew() {
        let (hub, channel) = (Hub::new(None), Channel::Event(EventId::new()));
        let sweeping = hub.clone();
        let done = CancellationToken::new();
        let until = done.clone();
        let sweeper = std::thread::spawn(move || {
            while !until.is_cancelled() {
                sweeping.remove_unread(Duration::ZERO);
            }
        });
        for round in 0..2_000 {
            let (subscription, queue, _) = join(&hub, channel, round).await;
            assert!(
                hub.publish(channel, &entry(round), None, false)
                    .await
                    .unwrap()
                    .is_some()
            );
            assert!(matches!(queue.next().await, Batch::Send(sent) if sent.len() == 1));
            drop(subscription);
        }
        done.cancel();
        sweeper.join().unwrap();
        hub.remove_unread(Duration::ZERO);
        assert_eq!(hub.counts(), (0, 0));
        assert!(
            hub.publish(channel, &entry(1), None, false)
                .await
                .unwrap()
                .is_none()
        );
    }

    /// Ten thousand readers get one text, not ten thousand copies.
    #[tokio::test]
    async fn a_publication_is_written_once_for_all() {
        let (hub, channel) = (Hub::new(None), Channel::Event(EventId::new()));
        let (_one, first, _) = join(&hub, channel, 1).await;
        let (_other, second, _) = join(&hub, channel, 2).await;
        hub.publish(channel, &entry(1), None, false).await.unwrap();
        let mut frames = Vec::new();
        for queue in [first, second] {
            let Batch::Send(sent) = queue.next().await else {
                panic!("it is open")
            };
            let Some(Outgoing::Publication(_, publication)) = sent.into_iter().next() else {
                panic!("it was published")
            };
            frames.push(publication);
        }
        assert!(Arc::ptr_eq(&frames[0], &frames[1]));
        // And what a socket is given of it is the same memory again.
        let clone = frames[0].frame.clone();
        assert_eq!(clone.as_str().as_ptr(), frames[1].frame.as_str().as_ptr());
    }

    #[tokio::test]
    async fn what_was_told_or_overtaken_is_not_told_again() {
        let (hub, channel) = (Hub::new(None), Channel::Event(EventId::new()));
        let subject = common::ids::new_id();
        let publish = async |version, begins| {
            let about = Some(Versioned { subject, version });
            let place = hub.publish(channel, &entry(version), about, begins).await;
            place.unwrap().map(|position| position.offset)
        };
        assert_eq!(publish(1, false).await, None);
        for (version, offset) in [(1, 1), (1, 1), (3, 2), (2, 2), (4, 3)] {
            assert_eq!(publish(version, true).await, Some(offset), "{version}");
        }
        for _ in 0..3 * KEPT {
            let about = Versioned::once(common::ids::new_id());
            hub.publish(channel, &entry(1), Some(about), true).await.unwrap();
        }
        let topic = hub.topic(channel);
        assert!(topic.state.get().unwrap().lock().versions.len() <= 2 * KEPT);
    }

    #[tokio::test]
    async fn a_copy_follows_its_log_or_sends_its_readers_away() {
        let (hub, channel) = (Hub::new(None), Channel::Event(EventId::new()));
        let (_subscription, queue, at) = join(&hub, channel, 1).await;
        let topic = hub.topic(channel);
        let catch_up = |epoch: &str, top, offsets: &[u64]| {
            let entries = offsets.iter().map(|offset| (*offset, entry(*offset).encode()));
            let part = LogPart {
                epoch: epoch.to_owned(),
                top,
                entries: entries.collect(),
            };
            topic.state.get().unwrap().lock().catch_up(channel, part);
        };
        catch_up(&at.epoch, 3, &[1, 2, 3]);
        assert!(matches!(queue.next().await, Batch::Send(sent) if sent.len() == 3));
        // Some of it again, and more.
        catch_up(&at.epoch, 5, &[2, 3, 4, 5]);
        assert!(matches!(queue.next().await, Batch::Send(sent) if sent.len() == 2));
        // Nothing new.
        catch_up(&at.epoch, 5, &[]);
        assert_eq!(queue.closing(), None);
        // What comes next is gone.
        catch_up(&at.epoch, 9, &[8, 9]);
        assert_eq!(queue.closing(), Some(Closing::InsufficientState));
        let (_second, queue, at) = join(&hub, channel, 2).await;
        assert_eq!(at.offset, 9);
        catch_up("another", 0, &[]);
        assert_eq!(queue.closing(), Some(Closing::InsufficientState));
        let (_third, _, at) = join(&hub, channel, 3).await;
        assert_eq!((&*at.epoch, at.offset), ("another", 0));
    }
}
