//! What every handler and worker shares, and the context of a change.

use std::{
    cell::Cell,
    collections::HashSet,
    net::SocketAddr,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Notify;

use crate::{clock::Clock, db::Db, failure::Failure, faults::Faults, mischief::Mischief, settings::Settings};

/// The parts of a running simulator. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    /// The merchant's account id, in every event.
    pub(crate) account_id: String,
    pub(crate) http: reqwest::Client,
    pub(crate) faults: Faults,
    pub(crate) mischief: Mischief,
    /// Whether new refunds stay pending until a control decides them.
    pub(crate) hold_refunds: AtomicBool,
    /// Idempotency keys of requests that are being worked on.
    pub(crate) in_flight: Mutex<HashSet<String>>,
    /// Rung when something may have become due earlier than the worker believes.
    pub(crate) due: Notify,
    /// Rung when there may be webhooks to send.
    pub(crate) outgoing: Notify,
    /// Where the simulator listens, for links in answers to requests that name no host.
    pub(crate) address: OnceLock<SocketAddr>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Makes one atomic change of the state, and wakes the workers that it concerns once it is durable.
    pub(crate) async fn change<T, F>(&self, change: F) -> Result<T, Failure>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let app = self.clone();
        let (value, due, outgoing) = self
            .db
            .write(move |db| {
                let tx = Tx {
                    db,
                    app: &app,
                    now_ms: app.clock.now_ms(),
                    due: Cell::default(),
                    sent: Cell::default(),
                };
                let value = change(&tx)?;
                Ok((value, tx.due.get(), tx.sent.get()))
            })
            .await?;
        if due {
            self.due.notify_one();
        }
        if outgoing {
            self.outgoing.notify_one();
        }
        Ok(value)
    }

    /// Whether new refunds wait for a control.
    pub(crate) fn holds_refunds(&self) -> bool {
        self.hold_refunds.load(Ordering::Relaxed)
    }
}

/// A change that is being made: the store inside its transaction, and the one time at which all of it happens.
pub(crate) struct Tx<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) app: &'a App,
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
    due: Cell<bool>,
    sent: Cell<bool>,
}

impl Tx<'_> {
    /// Unix seconds, as entities have them.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    /// Says that something now has a due time.
    pub(crate) fn wake_due(&self) {
        self.due.set(true);
    }

    /// Says that a webhook is waiting.
    pub(crate) fn wake_outgoing(&self) {
        self.sent.set(true);
    }
}
