//! The connections of this process: counted, found by their session, and sent away at the stop.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use common::auth::Auth;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    closing::Closing,
    limits::{CLOSE_TIME, Counts},
    queue::Queue,
    who::Identity,
};

/// How often sessions that were signed out are looked for.
const CHECKED_EVERY: Duration = Duration::from_millis(250);
/// At the stop, clients are sent away one after the other over at most this time, so that they do not all come back at once.
const SPREAD: Duration = Duration::from_secs(4);
/// The pause between two of them when they are few.
const APART: Duration = Duration::from_millis(2);

/// The connections. Cheap to clone.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    limited: bool,
    last_id: AtomicU64,
    state: Mutex<State>,
    running: TaskTracker,
}

#[derive(Default)]
struct State {
    counts: Counts,
    all: HashMap<u64, (Arc<Queue>, Option<Uuid>)>,
}

/// A connection's place among the others, for as long as it lives.
pub struct Registered {
    id: u64,
    queue: Arc<Queue>,
    address: IpAddr,
    identity: Option<Identity>,
    connections: Connections,
}

impl Connections {
    /// None yet. `limited`: a user and an address may have so many.
    pub fn new(limited: bool) -> Self {
        Self(Arc::new(Inner {
            limited,
            last_id: AtomicU64::new(0),
            state: Mutex::default(),
            running: TaskTracker::new(),
        }))
    }

    /// A new one; `None`: there are too many from this address.
    pub fn enter(&self, address: IpAddr) -> Option<Registered> {
        let mut state = self.0.state.lock();
        if self.0.limited && !state.counts.enter(address) {
            return None;
        }
        let (id, queue) = (self.number(), Arc::<Queue>::default());
        if self.0.running.is_closed() {
            queue.close(Closing::Shutdown);
        }
        state.all.insert(id, (Arc::clone(&queue), None));
        Some(Registered {
            id,
            queue,
            address,
            identity: None,
            connections: self.clone(),
        })
    }

    /// A number that no reader of a channel has.
    pub fn number(&self) -> u64 {
        self.0.last_id.fetch_add(1, Ordering::Relaxed)
    }

    /// What their tasks are counted with.
    pub fn running(&self) -> &TaskTracker {
        &self.0.running
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.state.lock().all.len()
    }

    /// Sends away those whose session has been signed out, until `stop`; and then all.
    pub async fn supervise(self, auth: Auth, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(CHECKED_EVERY) => {}
            }
            for (queue, session) in self.0.state.lock().all.values() {
                if session.is_some_and(|session| auth.has_ended(session)) {
                    queue.close(Closing::SignedOut);
                }
            }
        }
        self.shut_down().await;
    }

    async fn shut_down(&self) {
        let queues: Vec<_> = {
            let state = self.0.state.lock();
            self.0.running.close();
            state.all.values().map(|(queue, _)| Arc::clone(queue)).collect()
        };
        if !queues.is_empty() {
            tracing::info!(connections = queues.len(), "live connections are sent away");
        }
        let spread = SPREAD.min(APART * u32::try_from(queues.len()).unwrap_or(u32::MAX));
        let began = Instant::now();
        for (number, queue) in queues.iter().enumerate() {
            // Timers are no finer than a millisecond, so of many some are sent away at once.
            let due = began + spread.mul_f64(number as f64 / queues.len() as f64);
            if due > Instant::now() {
                sleep_until(due).await;
            }
            queue.close(Closing::Shutdown);
        }
        // Who does not take it in that time is cut off.
        let _ = timeout(CLOSE_TIME, self.0.running.wait()).await;
    }
}

impl Registered {
    /// Its number in this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What waits to be sent to it.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Notes whose it is; `false`: the user has too many.
    pub fn sign_in(&mut self, identity: Identity) -> bool {
        let inner = &self.connections.0;
        let mut state = inner.state.lock();
        if inner.limited && !state.counts.sign_in(identity.user) {
            return false;
        }
        state.note(self.id, identity.session);
        self.identity = Some(identity);
        true
    }

    /// Notes the session of its new token.
    pub fn refresh(&mut self, identity: Identity) {
        self.connections.0.state.lock().note(self.id, identity.session);
        self.identity = Some(identity);
    }
}

impl State {
    fn note(&mut self, connection: u64, session: Uuid) {
        if let Some((_, of)) = self.all.get_mut(&connection) {
            *of = Some(session);
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let inner = &self.connections.0;
        let mut state = inner.state.lock();
        state.all.remove(&self.id);
        if inner.limited {
            state.counts.exit(self.address);
            if let Some(identity) = self.identity {
                state.counts.sign_out(identity.user);
            }
        }
    }
}
