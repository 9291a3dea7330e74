//! Hashing on threads of its own.
//!
//! One hash takes a core and 19 MiB for some 20 ms, so at most one per core is computed at a time, on threads
//! that do nothing else; requests never wait behind one on the async threads. A caller that has gone leaves
//! the queue, and its hash is not computed.
//!
//! The threads run at the priority of all others. Linux could prefer the others, but neither std nor any library
//! that the service is built from can set that without unsafe code, and it is not needed: the scheduler lets a
//! thread that wakes up run before one that has used up its slice, within a few milliseconds.

mod kernel;
mod threads;

use std::{io, sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use common::{metrics::Gauge, problem::ApiError};
use tokio::sync::{Semaphore, oneshot};

pub use self::kernel::{Kernel, KernelError};
use self::threads::Threads;

/// How much hashing there may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Hashes computed at a time.
    pub threads: usize,
    /// Callers waiting beside those whose hash is being computed.
    pub waiting: usize,
    /// How long a caller waits for its turn.
    pub patience: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().map_or(1, usize::from),
            waiting: 1024,
            patience: Duration::from_secs(10),
        }
    }
}

/// Why nothing was hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Too many are waiting, or the turn did not come in time.
    #[error("too many passwords are waiting to be hashed")]
    Overloaded,
    /// The hash could not be computed.
    #[error(transparent)]
    Failed(#[from] KernelError),
    /// The work panicked.
    #[error("hashing broke off")]
    Broken,
}

impl From<HashingError> for ApiError {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Overloaded => {
                Self::unavailable("Too many people are signing in right now. Please try again in a moment.")
                    .because(error)
            }
            HashingError::Failed(_) | HashingError::Broken => Self::internal(error),
        }
    }
}

/// The hashing threads and their queue. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct Hashing(Arc<Inner>);

struct Inner {
    threads: Threads,
    /// One per caller that is served or waits.
    places: Arc<Semaphore>,
    /// One per caller whose work has been handed to the threads.
    turns: Arc<Semaphore>,
    bounds: Bounds,
}

impl Hashing {
    /// Starts the threads. Their memory is taken when there is something to hash, and given back when there
    /// is not.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(bounds: Bounds) -> io::Result<Self> {
        let count = bounds.threads.max(1);
        Ok(Self(Arc::new(Inner {
            threads: Threads::start(count)?,
            places: Arc::new(Semaphore::new(count + bounds.waiting)),
            // Twice as many as threads: while one hash is computed the next lies ready, so that no thread
            // waits for a task to wake up.
            turns: Arc::new(Semaphore::new(2 * count)),
            bounds,
        })))
    }

    /// Has `work` done on a hashing thread when its turn comes.
    ///
    /// # Errors
    /// [`HashingError::Overloaded`] when the queue is full or too slow, else what the work returns.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Kernel) -> Result<T, KernelError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let inner = &self.0;
        let place = inner
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| HashingError::Overloaded)?;
        let turn = tokio::time::timeout(inner.bounds.patience, inner.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(HashingError::Overloaded);
        };
        let (reply, answer) = oneshot::channel();
        inner.threads.run(Box::new(move |kernel| {
            // Held until the work is done, even if the caller goes meanwhile: what is being computed counts.
            let _held = (place, turn);
            if !reply.is_closed() {
                let _ = reply.send(work(kernel));
            }
        }));
        match answer.await {
            Ok(result) => Ok(result?),
            Err(_) => Err(HashingError::Broken),
        }
    }

    /// Callers that are served or wait.
    pub fn callers(&self) -> usize {
        self.0.bounds.threads.max(1) + self.0.bounds.waiting - self.0.places.available_permits()
    }
}

/// The length of the queue, for `/metrics`.
pub struct HashingGauge(pub Hashing);

#[async_trait]
impl Gauge for HashingGauge {
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)> {
        let callers = self.0.callers() as f64;
        vec![(
            "password_hashing_callers",
            "Requests whose password is being hashed or waits for it.",
            callers,
        )]
    }
}

#[cfg(test)]
mod tests;
