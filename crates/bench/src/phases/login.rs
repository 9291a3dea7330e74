//! `POST /api/users/login` against what Argon2id alone does on the same cores; and how long others wait while people log in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde_json::json;

use super::list;
use crate::{
    failure::{Doing, Failure, Outcome},
    lab::{Lab, PASSWORD},
    load::{
        Failures, paced,
        run::{Plan, Recording, run as load},
        template::Template,
        work::{Again, Step},
    },
    machine::{cores, cpu_time},
    phases::OK,
    report::{Report, Row},
    stats::{Latency, median, millis, percent, rate},
};

/// Rounds, alternating between logins and Argon2id alone.
const ROUNDS: u32 = 5;

/// Connections that log in: more than cores, so that no core waits for the generator.
const CONNECTIONS: usize = 16;

/// Connections that read the list meanwhile.
const READERS: u32 = 4;

/// Between two reads of one reader: 100 a second in all, light enough to leave the cores to the logins.
const READ_EVERY: Duration = Duration::from_millis(40);

/// The cost that the users service hashes passwords with: OWASP's recommendation for Argon2id.
const MEMORY_KIB: u32 = 19_456;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;

/// Least part of what Argon2id alone allows.
const TARGET_RATIO: f64 = 0.9;

/// Highest p99 of the reads, microseconds.
const TARGET_P99: u32 = 50_000;

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    lab.progress.say("login, signing up");
    let mut stories = Vec::with_capacity(CONNECTIONS);
    for account in lab.sign_up(CONNECTIONS).await? {
        let body = json!({ "email": account.email, "password": PASSWORD });
        stories.push(vec![Step {
            request: Template::post("/api/users/login", &body)?,
            expected: OK,
        }]);
    }
    let work = Arc::new(Again(stories));

    // Each round has three parts, which take twice the asked time together: Argon2id alone, logins, and logins beside reads.
    let time = lab.options.time * 2 / (3 * ROUNDS);
    let (mut logins, mut beside) = (Recording::default(), Recording::default());
    let (mut reads, mut read_failures) = (Vec::new(), Failures::default());
    let (mut alone_rates, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut beside_ratios = Vec::new();
    let log_in = async |title: String| {
        let plan = Plan {
            title,
            target: lab.doors.gateway,
            connections: CONNECTIONS,
            time: Some(time),
            stories: 0,
        };
        load(plan, work.clone(), &lab.progress).await
    };
    let mut had = Vec::new();
    for number in 1..=ROUNDS {
        lab.progress.say(&format!("Argon2id alone, {number} of {ROUNDS}"));
        let before = own_time();
        let alone = tokio::task::spawn_blocking(move || argon2id_alone(time))
            .await
            .doing("Argon2id")??;
        had.push((own_time().saturating_sub(before)).as_secs_f64() / time.as_secs_f64() / cores() as f64);

        let recording = log_in(format!("login, {number} of {ROUNDS}")).await?;
        alone_rates.push(alone);
        rates.push(recording.rate(200));
        ratios.push(recording.rate(200) / alone);
        logins.merge(recording);

        let stop = Arc::new(AtomicBool::new(false));
        let readers = paced::run(
            lab.doors.gateway,
            list::request(lab)?,
            READERS,
            READ_EVERY,
            Arc::clone(&stop),
        );
        let readers = tokio::spawn(readers);
        let recording = log_in(format!("login and reads, {number} of {ROUNDS}")).await;
        stop.store(true, Ordering::Relaxed);
        let paced = readers.await.doing("readers")??;
        let recording = recording?;
        beside_ratios.push(recording.rate(200) / alone);
        beside.merge(recording);
        reads.extend(paced.took);
        read_failures.merge(paced.failures);
    }
    let ratio = median(&ratios);
    report.row(Row {
        path: "POST /api/users/login".into(),
        result: format!("{}; {}", rate(median(&rates)), logins.latency(200)),
        bare: format!("{} (Argon2id alone)", rate(median(&alone_rates))),
        ratio: percent(ratio),
        target: ">= 90 % of Argon2id alone".into(),
        met: Some(ratio >= TARGET_RATIO),
    });
    let count = reads.len();
    let latency = Latency::of(reads.into_iter());
    report.row(Row {
        path: "... GET /api/organiser/events meanwhile".into(),
        result: latency.to_string(),
        target: "p99 < 50 ms".into(),
        met: Some(latency.p99 < TARGET_P99 && count > 0),
        ..Row::default()
    });
    report.note(format!(
        "login: {CONNECTIONS} connections; beside {count} reads at a steady 100/s, of which the longest took {} ms, {} of Argon2id \
         alone. That had {} of the cores; well below 100 % something else was running, and the ratio means little.",
        millis(f64::from(latency.max) / 1000.0),
        percent(median(&beside_ratios)),
        percent(median(&had)),
    ));
    report.failures("login", &logins.failures);
    report.failures("login, beside reads", &beside.failures);
    report.failures("login, reads", &read_failures);
    Ok(())
}

/// Processor time that the generator has used so far.
fn own_time() -> Duration {
    cpu_time(std::process::id()).unwrap_or_default()
}

/// Hashes per second when every core does nothing else, in memory that is allocated once: no server can do
/// better.
fn argon2id_alone(time: Duration) -> Outcome<f64> {
    let one = || -> Outcome<f64> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).doing("Argon2id")?;
        let mut memory = vec![Block::default(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut output = [0; 32];
        let began = Instant::now();
        let mut hashes = 0_u32;
        while began.elapsed() < time {
            argon2
                .hash_password_into_with_memory(
                    PASSWORD.as_bytes(),
                    b"sixteen bytes...",
                    &mut output,
                    &mut memory,
                )
                .doing("Argon2id")?;
            hashes += 1;
        }
        Ok(f64::from(hashes) / began.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(one)).collect();
        let mut sum = 0.0;
        for thread in threads {
            sum += thread
                .join()
                .map_err(|_| Failure::new("a hashing thread broke"))??;
        }
        Ok(sum)
    })
}
