//! Live updates: channels that clients read over a WebSocket or server-sent events, and recover on after they were away.
//! docs/live.md describes the protocol, docs/decisions/031 why it is built like this.

mod access;
mod channel;
mod closing;
mod connection;
mod connections;
mod counters;
mod document;
mod history;
mod hub;
mod limits;
mod own;
mod people;
mod posts;
mod protocol;
mod publication;
mod publisher;
mod queue;
mod reactions;
pub mod say;
pub mod sse;
mod stage;
#[cfg(test)]
mod tests;
pub mod who;
pub mod ws;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use common::{
    auth::Auth,
    clock::Timestamp,
    ids::{EventId, UserId},
    metrics::Gauge,
    origin::AllowedOrigins,
    problem::ApiError,
    store::StoreError,
    workers::Workers,
};
use moka::future::Cache;
use parking_lot::Mutex;
use runtime::{process::Context, user_directory::UserDirectory};
use shared_state::{Away, Shared, channel_log::Received};
use tokio::sync::mpsc;

pub use self::publisher::Publisher;
use self::{
    access::Access,
    channel::{Channel, ChannelRefusal},
    connections::{Connections, Registered},
    counters::Counters,
    history::Position,
    hub::{Hub, Joined, Subscription},
    limits::Timing,
    people::{Entering, People, Place},
    posts::{Fault, KnownState},
    protocol::Refusal,
    reactions::Reactions,
    say::{Rates, Refused},
    who::Identity,
};
use crate::{domain::standing::Denied, store::Store, ticketing::Ticketing};

/// Events whose existence is remembered. An event is never deleted.
const KNOWN_EVENTS: u64 = 100_000;
/// How long.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// Names that are remembered.
const KNOWN_NAMES: u64 = 10_000;
/// Bytes of what is remembered to be in force on channels.
const KNOWN_STATES: u64 = 64 * 1024 * 1024;
/// How long.
const STATE_KNOWN_FOR: Duration = Duration::from_secs(60);

/// What the room's handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    hub: Hub,
    /// What is received of the logs, until the workers take it.
    received: Mutex<Option<mpsc::Receiver<Received>>>,
    counters: Counters,
    reactions: Reactions,
    connections: Connections,
    people: People,
    access: Access,
    rates: Rates,
    directory: UserDirectory,
    /// Names that were looked up lately, for while none can be.
    names: Cache<UserId, Option<String>>,
    names_away_until: Mutex<Option<Instant>>,
    known_states: Cache<Channel, KnownState>,
    auth: Auth,
    shared: Shared,
    store: Arc<dyn Store>,
    tickets: Ticketing,
    /// Their organizers.
    events: Cache<EventId, ()>,
    origins: AllowedOrigins,
    public_url: Option<String>,
    has_limits: bool,
    timing: Timing,
}

impl Live {
    /// The room; nothing is published before [`Live::work`].
    pub fn new(
        context: &Context,
        auth: &Auth,
        store: &Arc<dyn Store>,
        directory: &UserDirectory,
        tickets: &Ticketing,
    ) -> Self {
        Self::with(context, auth, store, directory, tickets, Timing::default())
    }

    fn with(
        context: &Context,
        auth: &Auth,
        store: &Arc<dyn Store>,
        directory: &UserDirectory,
        tickets: &Ticketing,
        timing: Timing,
    ) -> Self {
        let settings = &context.settings;
        let (log, received) = context.shared.channel_log().unzip();
        Self(Arc::new(Inner {
            counters: Counters::new(log.clone()),
            reactions: Reactions::new(log.clone()),
            people: People::new(log.clone()),
            access: Access::default(),
            rates: Rates::new(&context.shared, settings.rate_limits),
            directory: directory.clone(),
            names: Cache::builder()
                .max_capacity(KNOWN_NAMES)
                .time_to_live(KNOWN_FOR)
                .build(),
            names_away_until: Mutex::default(),
            known_states: Cache::builder()
                .weigher(|_, known: &KnownState| u32::try_from(known.len()).unwrap_or(u32::MAX))
                .max_capacity(KNOWN_STATES)
                .time_to_live(STATE_KNOWN_FOR)
                .build(),
            hub: Hub::new(log),
            received: Mutex::new(received),
            connections: Connections::new(settings.rate_limits),
            auth: auth.clone(),
            shared: context.shared.clone(),
            store: Arc::clone(store),
            tickets: tickets.clone(),
            events: Cache::builder()
                .max_capacity(KNOWN_EVENTS)
                .time_to_live(KNOWN_FOR)
                .build(),
            origins: settings.allowed_origins(),
            public_url: settings.public_url.clone(),
            has_limits: settings.rate_limits,
            timing,
        }))
    }

    /// Starts the room's workers, beside the relay that delivers to [`Publisher`].
    pub fn work(&self, workers: &Workers) {
        let stop = || workers.stop_token();
        let Inner { hub, connections, .. } = &*self.0;
        if let Some(received) = self.0.received.lock().take() {
            workers.spawn("live: follow logs", hub.clone().follow_logs(received, stop()));
        }
        workers.spawn("live: sweep", hub.clone().sweep(stop()));
        let supervise = connections.clone().supervise(self.0.auth.clone(), stop());
        workers.spawn("live: connections", supervise);
        workers.spawn("live: counters", counters::publish(self.clone(), stop()));
        if let Some(log) = hub.log() {
            let heartbeat = self.people().clone().heartbeat(log.clone(), stop());
            workers.spawn("live: presence", heartbeat);
        }
        workers.spawn("live: access", access::watch(self.clone(), stop()));
    }

    fn tickets(&self) -> &Ticketing {
        &self.0.tickets
    }

    fn hub(&self) -> &Hub {
        &self.0.hub
    }

    fn counters(&self) -> &Counters {
        &self.0.counters
    }

    fn reactions(&self) -> &Reactions {
        &self.0.reactions
    }

    fn people(&self) -> &People {
        &self.0.people
    }

    fn access(&self) -> &Access {
        &self.0.access
    }

    /// The protocol, for programs that read AsyncAPI.
    pub fn document(&self) -> String {
        document::document(self.0.public_url.as_deref())
    }

    /// How often users may do what.
    pub fn rates(&self) -> &Rates {
        &self.0.rates
    }

    fn directory(&self) -> &UserDirectory {
        &self.0.directory
    }

    fn names(&self) -> &Cache<UserId, Option<String>> {
        &self.0.names
    }

    fn names_away_until(&self) -> &Mutex<Option<Instant>> {
        &self.0.names_away_until
    }

    fn known_states(&self) -> &Cache<Channel, KnownState> {
        &self.0.known_states
    }

    fn now(&self) -> Timestamp {
        self.0.auth.clock().now()
    }

    fn connections(&self) -> &Connections {
        &self.0.connections
    }

    fn auth(&self) -> &Auth {
        &self.0.auth
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// What the room and the rest of the service share with other processes.
    pub fn shared(&self) -> &Shared {
        &self.0.shared
    }

    fn timing(&self) -> Timing {
        self.0.timing
    }

    fn has_limits(&self) -> bool {
        self.0.has_limits
    }

    /// Whether a browser's page of this origin may connect: one that `CORS_ORIGINS` names, or one of our own.
    fn allows_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let own = |url: &str| url.trim_end_matches('/').eq_ignore_ascii_case(origin);
        let same_host = || {
            host.is_some_and(|host| {
                origin
                    .split_once("://")
                    .is_some_and(|(_, of)| of.eq_ignore_ascii_case(host))
            })
        };
        self.0.origins.allows(origin) || self.0.public_url.as_deref().is_some_and(own) || same_host()
    }

    /// The channel that `user` means by a name, if there is one that they may read; they have a place beside its event from here on.
    async fn begin_reading(
        &self,
        name: &str,
        user: Option<UserId>,
        registered: &Registered,
    ) -> Result<Reading, ChannelError> {
        let channel = Channel::read(name, user)?;
        if let Some(event) = channel.event() {
            let known = self.knows(event, user).await?;
            if !known {
                return Err(ChannelRefusal::Unknown.into());
            }
        }
        let enter = |user| {
            let entering = Entering {
                user,
                connection: registered.id(),
                queue: registered.queue(),
            };
            self.people().enter(channel, &entering)
        };
        let reading = Reading {
            channel,
            place: user.and_then(enter),
            subscription: None,
        };
        if let (Channel::Topic(event, topic), Some(user)) = (channel, user) {
            self.access().admit(self, (event, topic), user).await?;
        }
        Ok(reading)
    }

    /// Whether there is an event that `user` may know of. One that was found is remembered, so that a thousand clients that come back
    /// are not a thousand reads; but not a draft, which others may know of later.
    async fn knows(&self, event: EventId, user: Option<UserId>) -> Result<bool, StoreError> {
        if self.0.events.contains_key(&event) {
            return Ok(true);
        }
        let Some(found) = self.0.store.event(event).await? else {
            return Ok(false);
        };
        if !found.draft {
            self.0.events.insert(event, ()).await;
            return Ok(true);
        }
        match user {
            Some(user) => Ok(self.0.store.standing(event, user).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Whose ticket it is, which is used up by that.
    async fn redeem(&self, ticket: &str) -> Result<Identity, ApiError> {
        match who::redeem(&self.0.shared, &self.0.auth, ticket).await {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => Err(who::ticket_refused()),
            Err(away) => Err(ApiError::unavailable(
                "Tickets cannot be checked at the moment. Please try again.",
            )
            .because(away)),
        }
    }

    /// Figures for `/metrics`.
    pub fn gauge(&self) -> Box<dyn Gauge> {
        Box::new(Figures(self.clone()))
    }
}

/// A channel that a client reads, until this is dropped.
struct Reading {
    channel: Channel,
    /// The reader's place beside the channel's event, for who is signed in.
    place: Option<Place>,
    subscription: Option<Subscription>,
}

impl Reading {
    fn channel(&self) -> Channel {
        self.channel
    }

    /// The reader gets what is published.
    fn reads(&mut self, subscription: Subscription) {
        self.subscription = Some(subscription);
    }

    /// Calls `answer` unless the reader may read it no longer.
    fn unless_revoked(&self, answer: impl FnOnce()) -> bool {
        match &self.place {
            Some(place) => place.unless_revoked(answer),
            None => {
                answer();
                true
            }
        }
    }

    /// What was published since a position.
    fn missed(&self, since: &Position) -> Option<Joined> {
        self.subscription.as_ref()?.missed(since)
    }

    /// Whether it is a topic of this event.
    fn is_topic_of(&self, event: EventId) -> bool {
        matches!(self.channel, Channel::Topic(of, _) if of == event) && self.place.is_some()
    }
}

/// Why a channel cannot be read.
#[derive(Debug, thiserror::Error)]
enum ChannelError {
    /// There is none that this client may read.
    #[error("refused: {0:?}")]
    Refused(ChannelRefusal),
    /// It is not for this user.
    #[error("denied: {0:?}")]
    Denied(Denied),
    /// Redis is away.
    #[error(transparent)]
    Away(#[from] Away),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refused::from(fault).into()
    }
}

impl From<ChannelRefusal> for ChannelError {
    fn from(why: ChannelRefusal) -> Self {
        Self::Refused(why)
    }
}

struct Figures(Live);

#[async_trait]
impl Gauge for Figures {
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)> {
        let (channels, readers) = self.0.hub().counts();
        vec![
            (
                "live_connections",
                "Open WebSockets and event streams.",
                self.0.connections().count() as f64,
            ),
            (
                "live_channels",
                "Channels that are read, or were lately.",
                channels as f64,
            ),
            (
                "live_subscriptions",
                "Channels read, counted by reader.",
                readers as f64,
            ),
        ]
    }
}
