//! Runs work over many connections and records what came of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{Failures, connection::Connection, work::Work};
use crate::{
    failure::{Doing, Failure, Outcome},
    progress::{Length, Progress},
    stats::Latency,
};

/// A connection that failed this often gives up: the server is gone.
const MOST_FAILURES: u32 = 20;

/// How long after its end a run waits for the last answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest run that ends by running out of work.
const LONGEST: Duration = Duration::from_secs(60);

/// What to run.
pub struct Plan {
    /// What the progress bar says.
    pub title: String,
    /// The server.
    pub target: SocketAddr,
    /// Keep-alive connections.
    pub connections: usize,
    /// When to begin no more stories; without it, the run lasts until the work is done.
    pub time: Option<Duration>,
    /// Stories there are, when the run lasts until the work is done.
    pub stories: usize,
}

/// One finished story.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it was finished, microseconds after the start.
    pub at: u32,
    /// How long it took, microseconds.
    pub took: u32,
    /// The status of its last answer.
    pub status: u16,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Recording {
    /// Every story that went as expected.
    pub samples: Vec<Sample>,
    /// Everything else.
    pub failures: Failures,
}

impl Recording {
    /// Stories that ended with `status`.
    pub fn with(&self, status: u16) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.status == status)
    }

    /// Stories per second that ended with `status`, up to the last of them.
    pub fn rate(&self, status: u16) -> f64 {
        let (count, last) = self
            .with(status)
            .fold((0_u32, 0), |(n, last), sample| (n + 1, last.max(sample.at)));
        f64::from(count) / (f64::from(last) / 1e6).max(1e-6)
    }

    /// How long the stories took that ended with `status`.
    pub fn latency(&self, status: u16) -> Latency {
        Latency::of(self.with(status).map(|sample| sample.took))
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.failures.merge(other.failures);
    }
}

/// Runs `work` as planned. The connections are opened before the clock starts.
///
/// # Errors
/// When no connection can be opened, or answers fail to come for [`PATIENCE`].
pub async fn run(plan: Plan, work: Arc<dyn Work>, progress: &Progress) -> Outcome<Recording> {
    let mut connections = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        connections.push(Connection::open(plan.target).await?);
    }
    let answers = Arc::new(AtomicU64::new(0));
    let length = plan.time.map_or(Length::Count(plan.stories as u64), Length::Time);
    let _step = progress.follow(&plan.title, length, Arc::clone(&answers));

    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for connection in connections {
        let worker = Worker {
            target: plan.target,
            work: Arc::clone(&work),
            next: Arc::clone(&next),
            answers: Arc::clone(&answers),
            start,
            end: plan.time.map(|time| start + time),
        };
        tasks.spawn(worker.run(connection));
    }
    let limit = plan.time.unwrap_or(LONGEST) + PATIENCE;
    let all = async {
        let mut recording = Recording::default();
        while let Some(part) = tasks.join_next().await {
            recording.merge(part.doing("a connection's task broke")?);
        }
        Ok(recording)
    };
    match tokio::time::timeout(limit, all).await {
        Ok(recording) => recording,
        Err(_) => Err(Failure::new(format!(
            "{}: not finished after {} s",
            plan.title,
            limit.as_secs()
        ))),
    }
}

/// One connection's part.
struct Worker {
    target: SocketAddr,
    work: Arc<dyn Work>,
    next: Arc<AtomicUsize>,
    answers: Arc<AtomicU64>,
    start: Instant,
    end: Option<Instant>,
}

impl Worker {
    async fn run(self, mut connection: Connection) -> Recording {
        let mut recording = Recording::default();
        let mut broken = 0;
        while self.end.is_none_or(|end| Instant::now() < end) {
            let Some(story) = self.work.story(self.next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let began = Instant::now();
            let mut status = None;
            for step in story {
                match connection.send(&step.request).await {
                    Ok(answer) if step.accepts(&answer) => status = Some(answer.status),
                    Ok(answer) => {
                        let body = String::from_utf8_lossy(&answer.body);
                        recording
                            .failures
                            .count(format!("{}: {}", answer.status, kind_of(&body)));
                        status = None;
                        break;
                    }
                    Err(failure) => {
                        recording.failures.count(failure.to_string());
                        status = None;
                        broken += 1;
                        match Connection::open(self.target).await {
                            Ok(new) if broken < MOST_FAILURES => connection = new,
                            _ => return recording,
                        }
                        break;
                    }
                }
            }
            self.answers.fetch_add(1, Ordering::Relaxed);
            if let Some(status) = status {
                recording.samples.push(Sample {
                    at: micros(self.start.elapsed()),
                    took: micros(began.elapsed()),
                    status,
                });
            }
        }
        recording
    }
}

/// Microseconds that fit: a run is at most minutes, and 32 bits hold 71 of them.
pub fn micros(time: Duration) -> u32 {
    time.as_micros().try_into().unwrap_or(u32::MAX)
}

/// What distinguishes unexpected answers: the code where there is one, else the start of the body.
fn kind_of(body: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(body).ok();
    match value
        .as_ref()
        .and_then(|value| value.get("code"))
        .and_then(serde_json::Value::as_str)
    {
        Some(code) => code.to_owned(),
        None => body.chars().take(120).collect(),
    }
}
