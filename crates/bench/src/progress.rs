//! The progress bar: one line on the terminal that says what is measured and how far it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::stats;

/// How often the line is drawn: often enough to move, seldom enough to cost nothing.
const REDRAW: Duration = Duration::from_millis(200);

/// How long a step is.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// It ends after a time.
    Time(Duration),
    /// It ends after so many answers.
    Count(u64),
}

/// The line.
#[derive(Clone)]
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
}

impl Progress {
    /// Starts the line, on standard error. Without a terminal every step is one plain line instead.
    pub fn new() -> Self {
        let bar = ProgressBar::new(1);
        if let Ok(style) = ProgressStyle::with_template("{prefix:<34} [{bar:30.cyan/blue}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self {
            bar,
            began: Instant::now(),
        }
    }

    /// Says what is being done now, when there is nothing to count.
    pub fn say(&self, what: &str) {
        if self.bar.is_hidden() {
            eprintln!("{:>4} s  {what}", self.began.elapsed().as_secs());
        }
        self.bar.set_prefix(what.to_owned());
        self.bar.set_length(1);
        self.bar.set_position(0);
        self.bar.set_message(self.total());
    }

    /// Follows one step until the answer is dropped; the step counts its answers in the counter given.
    pub fn follow(&self, what: &str, length: Length, answers: Arc<AtomicU64>) -> Step {
        self.say(what);
        let line = self.clone();
        let began = Instant::now();
        let ticker = tokio::spawn(async move {
            loop {
                tokio::time::sleep(REDRAW).await;
                let done = answers.load(Ordering::Relaxed);
                match length {
                    Length::Time(time) => {
                        line.bar
                            .set_length(time.as_millis().try_into().unwrap_or(u64::MAX));
                        line.bar
                            .set_position(began.elapsed().as_millis().try_into().unwrap_or(u64::MAX));
                    }
                    Length::Count(count) => {
                        line.bar.set_length(count);
                        line.bar.set_position(done);
                    }
                }
                let rate = stats::rate(done as f64 / began.elapsed().as_secs_f64());
                line.bar.set_message(format!(
                    "{} answers, {rate}, {}",
                    stats::thousands(done),
                    line.total()
                ));
            }
        });
        Step { ticker }
    }

    /// Takes the line away, so that the table stands alone.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn total(&self) -> String {
        format!("{} s in all", self.began.elapsed().as_secs())
    }
}

/// A step being followed.
pub struct Step {
    ticker: JoinHandle<()>,
}

impl Drop for Step {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}
