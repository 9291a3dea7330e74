//! `GET /api/organiser/events`: 20 events, with a token, against the same bytes from the bare program.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    failure::Outcome,
    lab::{LISTED_EVENTS, Lab},
    load::{
        run::{Plan, Recording, run as load},
        template::Template,
        work::{Again, Step},
    },
    machine::cpu_time,
    phases::OK,
    report::{Report, Row},
    stats::{median, percent, rate},
};

/// Rounds, alternating between the two programs, so that noise from outside hits both alike.
const ROUNDS: u32 = 5;

/// Least part of the bare program's rate.
const TARGET_RATIO: f64 = 0.6;

/// Highest p99, microseconds.
const TARGET_P99: u32 = 10_000;

/// The request, signed in as the organizer of the listed events.
pub fn request(lab: &Lab) -> Outcome<Step> {
    let request = Template::get("/api/organiser/events")?.bearer(&lab.listing.token)?;
    Ok(Step {
        request,
        expected: OK,
    })
}

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let work = Arc::new(Again(vec![vec![request(lab)?]]));
    let time = lab.options.time / ROUNDS;
    let round = |who: &str, target: SocketAddr, number: u32, time: Duration| {
        let plan = Plan {
            title: match number {
                0 => format!("list, {who}, warming up"),
                _ => format!("list, {who}, {number} of {ROUNDS}"),
            },
            target,
            connections: lab.options.connections,
            time: Some(time),
            stories: 0,
        };
        load(plan, work.clone(), &lab.progress)
    };
    // Connection pools, caches and the allocator settle before anything counts.
    for (who, target) in [("bare", lab.bare), ("system", lab.doors.gateway)] {
        round(who, target, 0, time.min(Duration::from_secs(1))).await?;
    }
    let (mut bare, mut system) = (Recording::default(), Recording::default());
    let (mut bare_rates, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut spent, mut own) = (Duration::ZERO, Duration::ZERO);
    for number in 1..=ROUNDS {
        let there = round("bare", lab.bare, number, time).await?;
        let before = used(lab);
        let here = round("system", lab.doors.gateway, number, time).await?;
        let after = used(lab);
        spent += after.0.saturating_sub(before.0);
        own += after.1.saturating_sub(before.1);
        bare_rates.push(there.rate(200));
        rates.push(here.rate(200));
        ratios.push(here.rate(200) / there.rate(200).max(1.0));
        bare.merge(there);
        system.merge(here);
    }
    let (ratio, latency) = (median(&ratios), system.latency(200));
    report.row(Row {
        path: format!("GET /api/organiser/events ({LISTED_EVENTS} events)"),
        result: format!("{}; {latency}", rate(median(&rates))),
        bare: format!("{}; {}", rate(median(&bare_rates)), bare.latency(200)),
        ratio: percent(ratio),
        target: ">= 60 % of bare, p99 < 10 ms".into(),
        met: Some(ratio >= TARGET_RATIO && latency.p99 < TARGET_P99),
    });
    let each: Vec<String> = ratios.iter().map(|ratio| percent(*ratio)).collect();
    let cost = |time: Duration| time.as_secs_f64() * 1e6 / system.samples.len().max(1) as f64;
    report.note(format!(
        "list: ratio by round {}; {:.0} us of processor per request in the system, {:.0} in the generator.",
        each.join(", "),
        cost(spent),
        cost(own)
    ));
    report.failures("list, bare", &bare.failures);
    report.failures("list", &system.failures);
    Ok(())
}

/// Processor time used so far by the system and by the generator.
fn used(lab: &Lab) -> (Duration, Duration) {
    let of = |pid| cpu_time(pid).unwrap_or_default();
    (of(lab.system.pid()), of(std::process::id()))
}
