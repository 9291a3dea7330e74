//! A provider for the tests.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};

use crate::channels::{MailError, Mailer, Pace, Parcel};

/// A provider that reports its calls to the test, and answers as the test sets.
pub struct Recorder {
    calls: mpsc::UnboundedSender<Parcel>,
    /// Calls take a permit each before they end.
    pub gate: Semaphore,
    /// What to answer, by call; the rest succeed.
    pub answers: Mutex<Vec<Result<String, MailError>>>,
    pub pace: Pace,
}

impl Recorder {
    pub fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Parcel>) {
        Self::with(
            Pace {
                batch: 16,
                at_once: 4,
                patience: Duration::from_secs(15),
            },
            Semaphore::MAX_PERMITS,
        )
    }

    pub fn with(pace: Pace, permits: usize) -> (Arc<Self>, mpsc::UnboundedReceiver<Parcel>) {
        let (calls, received) = mpsc::unbounded_channel();
        let gate = Semaphore::new(permits);
        (
            Arc::new(Self {
                calls,
                gate,
                answers: Mutex::default(),
                pace,
            }),
            received,
        )
    }
}

#[async_trait]
impl Mailer for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    async fn send(&self, parcel: Parcel, _: u32) -> Result<String, MailError> {
        let answer = {
            let mut answers = self.answers.lock();
            if answers.is_empty() {
                Ok("taken".to_owned())
            } else {
                answers.remove(0)
            }
        };
        let _ = self.calls.send(parcel);
        self.gate.acquire().await.unwrap().forget();
        answer
    }

    async fn tidy(&self, _: Duration) {}
}
