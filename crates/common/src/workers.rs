//! Background work: started together and stopped together; a task that dies takes the process down.

use std::{fmt::Display, future::Future, io, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use parking_lot::RwLock;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Workers {
    tracker: TaskTracker,
    stop: CancellationToken,
    died: CancellationToken,
}

impl Workers {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when everything is to end.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a task until the stop. One that panics, or ends before the stop, takes the process down: half a system that
    /// looks whole is worse than one that is restarted.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let (stop, died) = (self.stop.clone(), self.died.clone());
        let task = tokio::spawn(work);
        self.tracker.spawn(async move {
            let result = task.await;
            if !stop.is_cancelled() {
                let how = if result.is_err() { "panicked" } else { "ended" };
                tracing::error!(task = name, how, "a background task died; stopping");
                died.cancel();
            }
        });
    }

    /// Waits for a signal or the death of a task, then stops everything within `grace`. Gives whether all ended as it
    /// should.
    pub async fn run(self, mut signals: Signals, grace: Duration) -> bool {
        let died = tokio::select! {
            () = signals.next() => false,
            () = self.died.cancelled() => true,
        };
        tracing::info!("stopping");
        !died & self.shut_down(grace).await
    }

    /// Stops everything; gives whether it ended within `grace`.
    pub async fn shut_down(self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

/// SIGTERM and Ctrl-C. Made before the process announces itself: until then they would end it without a log line.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the two signals over.
    ///
    /// # Errors
    /// When the system does not allow that.
    pub fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How a worker waits between its rounds.
#[derive(Clone)]
pub struct Pace {
    idle: Duration,
    longest: Duration,
    wake: Option<Arc<Notify>>,
}

impl Pace {
    /// Looks again after `idle` when there was nothing to do, and after failures at the latest after 30 s, or `idle` if that
    /// is longer.
    pub fn every(idle: Duration) -> Self {
        Self {
            idle,
            longest: idle.max(Duration::from_secs(30)),
            wake: None,
        }
    }

    /// Looks at once when notified, unless the last round failed: while what it needs is away, new work is no reason to
    /// try sooner.
    #[must_use]
    pub fn woken_by(mut self, wake: Arc<Notify>) -> Self {
        self.wake = Some(wake);
        self
    }

    /// Waits at most so long after failures.
    #[must_use]
    pub fn at_most(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Waits; `false`: everything is to end.
    async fn pause(&self, time: Duration, failed: bool, stop: &CancellationToken) -> bool {
        let woken = async {
            match self.wake.as_ref().filter(|_| !failed) {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            () = woken => true,
            () = tokio::time::sleep(time) => true,
        }
    }
}

/// When a worker looks again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// At once: there may be more.
    Now,
    /// After its pause: there was nothing to do.
    Idle,
    /// After this time, or its pause if that is shorter.
    Within(Duration),
}

impl Next {
    /// After a round that found so much.
    pub fn after(found: usize) -> Self {
        if found == 0 { Self::Idle } else { Self::Now }
    }
}

/// Runs rounds until `stop`. A round does one bounded piece of work, so that tests need no waiting. One that fails or
/// panics is logged and tried again, with back-off; what it was about has to be safe in a store.
pub async fn rounds<E, F>(worker: &str, pace: Pace, stop: CancellationToken, mut round: impl FnMut() -> F)
where
    E: Display,
    F: Future<Output = Result<Next, E>>,
{
    let mut failures = 0;
    while !stop.is_cancelled() {
        let outcome = AssertUnwindSafe(round()).catch_unwind().await;
        let pause = match outcome {
            Ok(Ok(next)) => {
                failures = 0;
                match next {
                    Next::Now => continue,
                    Next::Idle => pace.idle,
                    Next::Within(time) => time.min(pace.idle),
                }
            }
            Ok(Err(error)) => {
                failures += 1;
                tracing::warn!(worker, failures, %error, "a worker's round failed; trying again");
                backoff(failures).min(pace.longest)
            }
            // The panic hook has logged where and why.
            Err(_) => {
                failures += 1;
                tracing::error!(worker, failures, "a worker's round panicked; trying again");
                backoff(failures).min(pace.longest)
            }
        };
        if !pace.pause(pause, failures > 0, &stop).await {
            break;
        }
    }
}

/// Exponential with jitter: half to all of 250 ms x 2^attempts, which is at most 6 hours.
pub fn backoff(attempts: u32) -> Duration {
    let ceiling = Duration::from_millis(250 << attempts.min(17)).min(Duration::from_secs(6 * 3600));
    ceiling.mul_f64(rand::random_range(0.5..1.0))
}

/// Wakes the relays and workers that wait for a store's changes, after each commit that may have given them something to
/// do. Cheap to clone.
#[derive(Clone, Default)]
pub struct WakeSignal(Arc<RwLock<Vec<Arc<Notify>>>>);

impl WakeSignal {
    /// A listener of one relay or worker, notified of each wake from now on; one that comes while none waits is kept.
    pub fn listen(&self) -> Arc<Notify> {
        let listener = Arc::<Notify>::default();
        self.0.write().push(Arc::clone(&listener));
        listener
    }

    /// Wakes all listeners.
    pub fn wake(&self) {
        self.0.read().iter().for_each(|listener| listener.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_goes_on_after_failures_and_panics_and_ends_at_the_stop() {
        let (stop, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
        let pace = Pace::every(Duration::from_secs(3600)).woken_by(wake.clone());
        let pace = pace.at_most(Duration::from_millis(1));
        let count = AtomicU32::new(0);
        rounds("test", pace, stop.clone(), || async {
            match count.fetch_add(1, Ordering::Relaxed) {
                0 => Err("the store is away"),
                1 => panic!("a bug"),
                2 => Ok(Next::Now),
                3 => {
                    wake.notify_one();
                    Ok(Next::Idle)
                }
                4 => Ok(Next::Within(Duration::from_millis(1))),
                _ => {
                    stop.cancel();
                    Ok(Next::Now)
                }
            }
        })
        .await;
        assert_eq!(count.into_inner(), 6);
    }

    #[tokio::test]
    async fn a_wake_does_not_shorten_the_wait_after_a_failure() {
        let (stop, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
        let pace = Pace::every(Duration::from_secs(1)).woken_by(wake.clone());
        let (start, failed) = (std::time::Instant::now(), AtomicU32::new(0));
        rounds("test", pace, stop.clone(), || async {
            if failed.fetch_add(1, Ordering::Relaxed) > 0 {
                stop.cancel();
                return Ok(Next::Idle);
            }
            wake.notify_one();
            Err("away")
        })
        .await;
        assert!(
            start.elapsed() >= Duration::from_millis(250),
            "{:?}",
            start.elapsed()
        );
    }
}
