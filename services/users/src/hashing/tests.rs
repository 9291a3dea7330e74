use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn hashing(threads: usize, waiting: usize, patience: Duration) -> Hashing {
    Hashing::start(Bounds {
        threads,
        waiting,
        patience,
    })
    .unwrap()
}

/// Work that runs until it is let go.
struct Held {
    caller: JoinHandle<Result<(), HashingError>>,
    go: mpsc::Sender<()>,
}

impl Held {
    async fn start(hashing: &Hashing) -> Self {
        let (go, wait) = mpsc::channel::<()>();
        let (started, runs) = oneshot::channel();
        let hashing = hashing.clone();
        let caller = tokio::spawn(async move {
            hashing
                .run(move |_| {
                    let _ = started.send(());
                    let _ = wait.recv();
                    Ok(())
                })
                .await
        });
        runs.await.unwrap();
        Self { caller, go }
    }

    async fn finish(self) {
        let _ = self.go.send(());
        self.caller.await.unwrap().unwrap();
    }
}

/// Lets every task that can run do so.
async fn until(mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < LONG, "it never happened");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn as_many_at_a_time_as_threads_and_1024_waiting() {
    let hashing = hashing(2, 1024, LONG);
    let held = [Held::start(&hashing).await, Held::start(&hashing).await];
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let waiting: Vec<_> = (0..1024)
        .map(|_| {
            let (hashing, running, most) = (hashing.clone(), running.clone(), most.clone());
            tokio::spawn(async move {
                hashing
                    .run(move |_| {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    })
                    .await
            })
        })
        .collect();
    until(|| hashing.callers() == 1026).await;
    assert!(
        matches!(hashing.run(|_| Ok(())).await, Err(HashingError::Overloaded)),
        "one too many"
    );
    assert_eq!(most.load(Ordering::SeqCst), 0, "both threads are held");
    for held in held {
        held.finish().await;
    }
    for caller in waiting {
        caller.await.unwrap().unwrap();
    }
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    until(|| hashing.callers() == 0).await;
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let hashing = hashing(1, 8, Duration::from_millis(20));
    let held = Held::start(&hashing).await;
    // One more lies ready before the only thread; the next has to wait for its turn.
    let ready = tokio::spawn({
        let hashing = hashing.clone();
        async move { hashing.run(|_| Ok(())).await }
    });
    until(|| hashing.callers() == 2).await;
    assert!(matches!(
        hashing.run(|_| Ok(())).await,
        Err(HashingError::Overloaded)
    ));
    assert_eq!(hashing.callers(), 2);
    held.finish().await;
    ready.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_has_gone_is_not_served() {
    let hashing = hashing(1, 8, LONG);
    let held = Held::start(&hashing).await;
    let computed = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (hashing, computed) = (hashing.clone(), computed.clone());
            tokio::spawn(async move {
                hashing
                    .run(move |_| {
                        computed.store(true, Ordering::SeqCst);
                        Ok(())
                    })
                    .await
            })
        })
        .collect();
    until(|| hashing.callers() == 9).await;
    for caller in &callers {
        caller.abort();
    }
    // All but the one that lies ready have left the queue.
    until(|| hashing.callers() == 2).await;
    held.finish().await;
    assert!(hashing.run(|_| Ok(())).await.is_ok(), "the places are free again");
    assert!(!computed.load(Ordering::SeqCst));
}

#[tokio::test]
async fn what_is_being_computed_counts_though_its_caller_has_gone() {
    let hashing = hashing(1, 0, LONG);
    let held = Held::start(&hashing).await;
    held.caller.abort();
    assert!(held.caller.await.unwrap_err().is_cancelled());
    assert!(matches!(
        hashing.run(|_| Ok(())).await,
        Err(HashingError::Overloaded)
    ));
    held.go.send(()).unwrap();
    until(|| hashing.callers() == 0).await;
    assert!(hashing.run(|_| Ok(())).await.is_ok());
}

#[tokio::test]
async fn a_panic_costs_one_answer() {
    let hashing = hashing(1, 8, LONG);
    let broken = hashing
        .run(|_| -> Result<(), KernelError> { panic!("on purpose") })
        .await;
    assert!(matches!(broken, Err(HashingError::Broken)));
    assert!(hashing.run(|_| Ok(())).await.is_ok());
}

#[tokio::test]
async fn the_threads_end_with_the_last_clone() {
    let hashing = hashing(1, 8, LONG);
    let alive = Arc::new(());
    // Thread-locals are dropped when their thread ends.
    thread_local!(static KEPT: std::cell::RefCell<Option<Arc<()>>> = const { std::cell::RefCell::new(None) });
    let kept = alive.clone();
    let keep = move |_: &mut Kernel| {
        KEPT.set(Some(kept));
        Ok(())
    };
    hashing.run(keep).await.unwrap();
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(hashing);
    until(|| Arc::strong_count(&alive) == 1).await;
}
