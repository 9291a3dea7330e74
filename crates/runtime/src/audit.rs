//! Writing the audit trail ([`common::audit`]): entries are collected and written every fraction of a second, so that no request waits
//! for them. What was noted in the last moment before a kill -9, of refusals of nobody in particular
//! in the last ten seconds, is in the log alone.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use common::{
    audit::{AuditStore, Entry, KEPT_FOR, KNOCKING, Knock},
    clock::Clock,
    ids::new_id,
    metrics::Gauge,
};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often entries are written.
const PACE: Duration = Duration::from_millis(200);
/// Entries that may wait to be written; beyond that they are dropped, and counted.
const MOST_WAITING: usize = 20_000;
/// Refusals of nobody in particular that are told apart by network.
const MOST_KNOCKING: usize = 5_000;
/// How often old entries are dropped, and how many at a time.
const TIDY: Duration = Duration::from_secs(600);
const TIDIED: usize = 5_000;

/// Takes entries of one service. Cheap to clone.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Inner>);

#[derive(Default)]
struct Inner {
    waiting: Mutex<Waiting>,
    in_flight: AtomicUsize,
    dropped: AtomicU64,
}

/// What is to be written.
#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    knocking: HashMap<Knock, (Entry, Instant)>,
}

/// A request that may be noted when it is answered. While there is one the recorder goes on.
pub struct InFlight(Arc<Inner>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Recorder {
    /// A request comes in.
    pub fn begin(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(&self.0))
    }

    /// Takes an entry.
    pub fn note(&self, entry: Entry) {
        let waiting = &mut *self.0.waiting.lock();
        let mut entry = entry;
        if waiting.knocking.len() >= MOST_KNOCKING && entry.user.is_none() {
            // From everywhere at once: where from is no news any more.
            "elsewhere".clone_into(&mut entry.network);
        }
        if let Some(knock) = entry.knock() {
            match waiting.knocking.entry(knock) {
                Slot::Occupied(mut like) => {
                    let (like, _) = like.get_mut();
                    like.times = like.times.saturating_add(1);
                    return;
                }
                Slot::Vacant(free) => {
                    // The first of somebody known is written at once; the repeats follow as one.
                    let repeats = Entry {
                        id: new_id(),
                        times: u32::from(entry.user.is_none()),
                        ..entry.clone()
                    };
                    free.insert((repeats, Instant::now()));
                    if entry.user.is_none() {
                        return;
                    }
                }
            }
        }
        if waiting.entries.len() < MOST_WAITING {
            waiting.entries.push(entry);
        } else {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is to be written now: all but the knocking of the last moments.
    pub(crate) fn due(&self, all: bool) -> Vec<Entry> {
        let mut waiting = self.0.waiting.lock();
        let mut due = std::mem::take(&mut waiting.entries);
        let knocked = waiting
            .knocking
            .extract_if(|_, (_, noted)| all || noted.elapsed() >= KNOCKING);
        let repeated = |entry: &Entry| entry.times > 0;
        due.extend(knocked.map(|(_, (entry, _))| entry).filter(repeated));
        due
    }

    /// Puts back what could not be written.
    fn put_back(&self, entries: Vec<Entry>) {
        let mut waiting = self.0.waiting.lock();
        let room = MOST_WAITING.saturating_sub(waiting.entries.len());
        let lost = entries.len().saturating_sub(room);
        self.0.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        waiting.entries.extend(entries.into_iter().take(room));
    }

    /// Writes entries until the stop, and then until the last request is answered.
    pub async fn run(self, store: Arc<dyn AuditStore>, clock: Clock, stop: CancellationToken) {
        let (mut failures, mut tidied) = (0_u32, None::<Instant>);
        loop {
            tokio::select! {
                () = stop.cancelled() => tokio::time::sleep(PACE / 10).await,
                () = tokio::time::sleep(PACE) => {}
            }
            let is_last = stop.is_cancelled() && self.0.in_flight.load(Ordering::Acquire) == 0;
            let due = self.due(stop.is_cancelled());
            if !due.is_empty() {
                let written = store.append(due.clone()).await;
                match &written {
                    Ok(()) => failures = 0,
                    Err(error) => {
                        failures += 1;
                        if failures.is_power_of_two() {
                            tracing::error!(%error, failures, "the audit trail cannot be written; entries wait in memory");
                        }
                        if is_last {
                            tracing::error!(%error, entries = due.len(), "entries of the audit trail are lost at the stop");
                        }
                        self.put_back(due);
                    }
                }
                if written.is_err() && !is_last {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(PACE * failures.min(50)) => {}
                    }
                }
            }
            if is_last {
                return;
            }
            if tidied.is_none_or(|at| at.elapsed() > TIDY) {
                tidied = Some(Instant::now());
                match store.drop_before(clock.now() - KEPT_FOR, TIDIED).await {
                    // There are more: in the next round.
                    Ok(TIDIED) => tidied = None,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "old entries of the audit trail could not be dropped");
                    }
                }
            }
        }
    }

    /// The figures.
    pub fn gauge(&self) -> Box<dyn Gauge> {
        Box::new(Figures(Arc::clone(&self.0)))
    }
}

struct Figures(Arc<Inner>);

#[async_trait]
impl Gauge for Figures {
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)> {
        vec![(
            "audit_dropped_total",
            "Entries of the audit trail that could not be written and did not fit into memory.",
            self.0.dropped.load(Ordering::Relaxed) as f64,
        )]
    }
}

#[cfg(test)]
mod tests {
    use common::{
        clock::from_millis,
        ids::{UserId, new_id},
    };

    use super::*;

    fn entry(user: Option<UserId>, status: u16, network: &str) -> Entry {
        Entry {
            id: new_id(),
            at: from_millis(0),
            user,
            session: None,
            api_key: None,
            action: "POST /api/users/login".to_owned(),
            subject: None,
            network: network.to_owned(),
            status,
            code: None,
            request_id: "x".to_owned(),
            times: 1,
        }
    }

    #[tokio::test]
    async fn what_repeats_is_one_entry_for_a_while() {
        let recorder = Recorder::default();
        let times = |all| {
            let mut times: Vec<u32> = recorder.due(all).iter().map(|entry| entry.times).collect();
            times.sort_unstable();
            times
        };
        let user = Some(UserId::new());
        for _ in 0..5 {
            recorder.note(entry(None, 401, "192.0.2.0/24"));
            recorder.note(entry(user, 401, "192.0.2.0/24"));
        }
        recorder.note(entry(None, 401, "198.51.100.0/24"));
        recorder.note(entry(user, 200, "192.0.2.0/24"));
        recorder.note(entry(user, 200, "192.0.2.0/24"));
        // A change stands for itself, and so does the first refusal of somebody.
        assert_eq!(times(false), [1, 1, 1]);
        recorder.note(entry(None, 401, "192.0.2.0/24"));
        let past = || {
            let mut waiting = recorder.0.waiting.lock();
            waiting
                .knocking
                .values_mut()
                .for_each(|(_, noted)| *noted -= KNOCKING);
        };
        past();
        assert_eq!(times(false), [1, 4, 6]);
        recorder.note(entry(user, 401, "192.0.2.0/24"));
        assert_eq!(times(false), [1]);
        past();
        assert_eq!(times(false), [0; 0], "it was not repeated");
        recorder.note(entry(None, 401, "192.0.2.0/24"));
        assert_eq!(times(true), [1], "at the end all are written");
        // Knocking from everywhere has a bound.
        for n in 0..MOST_KNOCKING + 10 {
            recorder.note(entry(None, 401, &format!("{n}")));
        }
        let last = times(true);
        assert_eq!((last.len(), last.last()), (MOST_KNOCKING + 1, Some(&10)));
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let recorder = Recorder::default();
        for _ in 0..MOST_WAITING + 3 {
            recorder.note(entry(Some(UserId::new()), 200, "192.0.2.0/24"));
        }
        let due = recorder.due(false);
        assert_eq!(due.len(), MOST_WAITING);
        recorder.note(entry(Some(UserId::new()), 200, "192.0.2.0/24"));
        recorder.put_back(due);
        assert_eq!(recorder.gauge().read().await[0].2, 4.0);
    }
}
