//! Background work: started together, stopped together, and never dead in silence.

use std::{future::Future, time::Duration};

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

    /// Waits for SIGTERM, Ctrl-C or the death of a task, then stops everything within `grace`. Gives whether all
    /// ended as it should.
    pub async fn run(self, grace: Duration) -> bool {
        let died = tokio::select! {
            () = signal() => false,
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

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
