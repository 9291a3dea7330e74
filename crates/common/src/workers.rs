//! Background work: started together, stopped together, and never dead in silence.

use std::{future::Future, io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
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

    /// Runs a task until the stop. One that panics, or ends before it was told to, takes the process down: half a
    /// system that looks whole is worse than one that is restarted.
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

/// SIGTERM and Ctrl-C. Made before anything tells the world that the process is there: until then they would end it
/// without a word.
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
