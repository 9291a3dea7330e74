//! A light, steady load beside a heavy one: requests at fixed times, whether or not the last answer came.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::{Failures, connection::Connection, run::micros, work::Step};
use crate::failure::{Doing, Outcome};

/// What came of it.
#[derive(Debug, Default)]
pub struct Paced {
    /// Microseconds from when each request was due until it was answered. Counting from then, and not
    /// from when it could be sent, keeps a stalled server from hiding the requests it held up.
    pub took: Vec<u32>,
    /// Whatever was not as expected.
    pub failures: Failures,
}

/// Sends `step` once per `interval` on each of `connections`, evenly spread, until `stop` is set.
pub async fn run(
    target: SocketAddr,
    step: Step,
    connections: u32,
    interval: Duration,
    stop: Arc<AtomicBool>,
) -> Outcome<Paced> {
    let mut tasks = JoinSet::new();
    for index in 0..connections {
        let (step, stop) = (step.clone(), Arc::clone(&stop));
        let mut connection = Connection::open(target).await?;
        tasks.spawn(async move {
            let mut paced = Paced::default();
            let mut due = Instant::now() + interval * index / connections;
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep_until(due).await;
                match connection.send(&step.request).await {
                    Ok(answer) if step.accepts(&answer) => paced.took.push(micros(due.elapsed())),
                    Ok(answer) => paced.failures.count(format!("{} beside the load", answer.status)),
                    Err(failure) => {
                        paced.failures.count(failure.to_string());
                        break;
                    }
                }
                due += interval;
            }
            paced
        });
    }
    let mut all = Paced::default();
    while let Some(part) = tasks.join_next().await {
        let part = part.doing("a connection's task broke")?;
        all.took.extend(part.took);
        all.failures.merge(part.failures);
    }
    Ok(all)
}
