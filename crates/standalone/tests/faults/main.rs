//! The way of money under faults, in one process: thousands of them by the dice of a seed, and a kill at each step.
//!
//! `FAULTS=20000` asks for more of them than usual, `FAULTS_SEED=17` for another first seed: worlds are numbered from
//! there, and a failure names its seed; `FAULTS_HISTORY=1` tells what happened in the
//! others too, `FAULTS_LOG=info` adds the log. What runs at the same time still decides a little, so a seed may need a few
//! runs.

#![expect(clippy::unwrap_used, reason = "tests fail loudly")]

mod act;
mod books;
mod fault;
mod product;
mod wire;
mod world;

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinSet;
use tracing_subscriber::{filter::Targets, prelude::*};

use crate::{act::act, fault::When, wire::Wire, world::World};

/// How many faults there are to be at least.
const FAULTS: usize = 2_000;
/// How many worlds run at once: they wait more than they work.
const AT_ONCE: usize = 8;
/// What people do in a world.
const ACTS: usize = 40;

fn number(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok();
    set.map_or(default, |set| set.parse().expect("a number"))
}

/// What there was in a world, or in several.
#[derive(Default)]
struct Seen {
    faults: BTreeMap<&'static str, usize>,
    acts: BTreeMap<&'static str, usize>,
    /// Answers that said the money was taken.
    paid: usize,
}

impl Seen {
    fn add(&mut self, other: Self) {
        for (name, times) in other.faults {
            *self.faults.entry(name).or_default() += times;
        }
        for (name, times) in other.acts {
            *self.acts.entry(name).or_default() += times;
        }
        self.paid += other.paid;
    }

    fn faults(&self) -> usize {
        self.faults.values().sum()
    }
}

/// Lets one world run.
async fn run(seed: u64) -> Result<Seen, String> {
    let wire = Wire::new(seed, None);
    let world = World::begin(seed, wire.clone()).await;
    for capacity in [1, 2, 3, 2] {
        world.create_event(capacity).await;
    }
    wire.calm(false);
    for _ in 0..ACTS {
        act(world.clone()).await;
        world.jump(world.dice(3) as i64).await;
    }
    wire.calm(true);
    let found = world.rest().await;
    if !found.is_empty() {
        let (found, history) = (found.join("\n  "), wire.history());
        return Err(format!("seed {seed}:\n  {found}\nwhat happened:\n  {history}"));
    }
    if std::env::var_os("FAULTS_HISTORY").is_some() {
        println!("seed {seed}\n  {}", wire.history());
    }
    let [faults, acts] = wire.counted();
    let paid = world.promises.lock().len();
    Ok(Seen { faults, acts, paid })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_finds_its_way_through_thousands_of_faults() {
    let (wanted, mut seed) = (number("FAULTS", FAULTS), number("FAULTS_SEED", 1) as u64);
    if let Ok(filter) = std::env::var("FAULTS_LOG") {
        let filter: Targets = filter.parse().unwrap();
        let log = tracing_subscriber::fmt::layer().with_ansi(false);
        tracing_subscriber::registry().with(filter).with(log).init();
    }
    let (mut seen, mut worlds) = (Seen::default(), JoinSet::new());
    let (mut failures, mut rested) = (Vec::new(), 0);
    let started = std::time::Instant::now();
    loop {
        while worlds.len() < AT_ONCE && seen.faults() < wanted && failures.len() < 3 {
            worlds.spawn(run(seed));
            seed += 1;
        }
        match worlds.join_next().await {
            None => break,
            Some(Ok(Ok(there))) => {
                rested += 1;
                seen.add(there);
            }
            Some(Ok(Err(failure))) => failures.push(failure),
            Some(Err(error)) => failures.push(error.to_string()),
        }
    }
    println!(
        "{rested} worlds in {:?}, {} faults, {} paid:",
        started.elapsed(),
        seen.faults(),
        seen.paid
    );
    for (name, times) in &seen.faults {
        println!("{times:6} {name}");
    }
    println!("beside them:");
    for (name, times) in &seen.acts {
        println!("{times:6} {name}");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(
        seen.paid > rested,
        "{} payments in {rested} worlds: nothing was tried",
        seen.paid
    );
}

/// One payer's whole story: registers, pays, and cancels.
async fn story(only: Option<(usize, When)>) -> (Arc<World>, Vec<String>) {
    let wire = Wire::new(1, only);
    let world = World::begin(3, wire.clone()).await;
    world.create_event(2).await;
    wire.calm(false);
    world.register(0, 0).await;
    world.pay_with(0, 0, Some("key 0 0".to_owned())).await;
    world.pay_with(0, 0, Some("key 0 0".to_owned())).await;
    world.cancel(0, 0).await;
    let found = world.rest().await;
    (world, found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_a_payment_loses_nothing() {
    let mut step = 0;
    loop {
        let mut reached = false;
        for when in [When::Before, When::After] {
            let (world, found) = story(Some((step, when))).await;
            reached |= world.wire.calls() > step;
            let history = world.wire.history();
            assert!(
                found.is_empty(),
                "killed {when:?} call {step}: {found:?}\n  {history}"
            );
            let paid = world.promises.lock().len();
            assert!(
                reached || paid == 2,
                "nobody was killed, and {paid} answers of 2 say that it is paid\n  {history}"
            );
        }
        if !reached {
            break;
        }
        step += 1;
    }
    println!("{step} steps");
    // 12 or 13 as a rule: messages that go together are one call.
    assert!(step >= 10, "the story has {step} steps only");
}
