//! The threads, and the jobs handed to them.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::Kernel;

/// A thread that has had nothing to do for this long gives its memory back.
const IDLE: Duration = Duration::from_secs(5);

/// One piece of work.
pub(super) type Job = Box<dyn FnOnce(&mut Kernel) + Send>;

/// A fixed number of threads that take jobs first come, first served. They end when this is dropped.
pub(super) struct Threads(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Threads {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let threads = Self(Arc::default());
        for _ in 0..count {
            let shared = threads.0.clone();
            thread::Builder::new()
                .name("password-hash".to_owned())
                .spawn(move || shared.work())?;
        }
        Ok(threads)
    }

    pub(super) fn run(&self, job: Job) {
        self.0.state.lock().jobs.push_back(job);
        self.0.changed.notify_one();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        let mut kernel = Kernel::new();
        while let Some(job) = self.next(&mut kernel) {
            // A job that panics takes its caller's answer with it, not the thread.
            if catch_unwind(AssertUnwindSafe(|| job(&mut kernel))).is_err() {
                kernel = Kernel::new();
            }
        }
    }

    fn next(&self, kernel: &mut Kernel) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            if !kernel.holds_memory() {
                self.changed.wait(&mut state);
            } else if self.changed.wait_for(&mut state, IDLE).timed_out() && state.jobs.is_empty() {
                MutexGuard::unlocked(&mut state, || kernel.release_memory());
            }
        }
    }
}
