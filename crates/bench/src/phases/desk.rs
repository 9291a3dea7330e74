//! The desk of an event: checking in at the door, printing tickets, and the list of all who registered.

use std::{sync::Arc, time::Instant};

use serde_json::json;

use crate::{
    failure::Outcome,
    lab::{Lab, PLENTY, ask, parsed},
    load::{
        run::{Plan, run as load},
        template::Template,
        work::{Again, Expected, Once, Step},
    },
    phases::OK,
    report::{Report, Row},
    stats::{rate, thousands},
};

/// People who register.
const GUESTS: usize = 3_000;
/// Scanners at the door.
const SCANNERS: usize = 16;
/// Tickets that are printed at the same time.
const PRINTED_AT_ONCE: usize = 20;
/// The least check-ins per second, and the highest p99 in microseconds.
const CHECK_INS: f64 = 300.0;
const CHECK_IN_P99: u32 = 50_000;
/// The highest p99 of a printed ticket, microseconds.
const PRINT_P99: u32 = 200_000;

const ADMITTED: &[Expected] = &[(200, "\"admitted\"")];

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let event = lab.event("Desk", PLENTY, 0).await?;
    let codes = codes(lab, &event).await?;
    lab.drain().await?;
    check_in(lab, &event, &codes, report).await?;
    print(lab, &codes, report).await?;
    export(lab, &event, report).await
}

/// The codes of the guests' tickets.
async fn codes(lab: &Lab, event: &str) -> Outcome<Vec<String>> {
    lab.progress.say("desk, registering");
    let mut codes = Vec::with_capacity(GUESTS);
    for _ in 0..GUESTS {
        let request = Template::post("/api/reg/register_event", &json!({ "event_id": event }))?;
        let answer = ask(lab.doors.gateway, request.bearer(&lab.stranger()?.1)?, 201).await?;
        let ticket = parsed(&answer)?["ticket"]["code"].as_str().map(str::to_owned);
        codes.extend(ticket);
    }
    Ok(codes)
}

async fn check_in(lab: &Lab, event: &str, codes: &[String], report: &mut Report) -> Outcome<()> {
    let path = format!("/api/organiser/events/{event}/check_in");
    let scan = |(number, code): (usize, &String)| {
        let body = json!({ "code": code, "nonce": number.to_string(), "gate": "North" });
        Ok(vec![Step {
            request: Template::post(&path, &body)?.bearer(&lab.stage.token)?,
            expected: ADMITTED,
        }])
    };
    let scans = codes.iter().enumerate().map(scan).collect::<Outcome<_>>()?;
    let plan = Plan {
        title: "desk, check-in".into(),
        target: lab.doors.gateway,
        connections: SCANNERS,
        time: None,
        stories: codes.len(),
    };
    let recording = load(plan, Arc::new(Once(scans)), &lab.progress).await?;
    let (admitted, latency) = (recording.rate(200), recording.latency(200));
    let stats = Template::get(&format!("/api/organiser/events/{event}/stats"))?;
    let stats = parsed(&ask(lab.doors.gateway, stats.bearer(&lab.stage.token)?, 200).await?)?;
    if stats["checked_in"].as_u64() != Some(codes.len() as u64) {
        report.error(format!("desk: {} of {} are in", stats["checked_in"], codes.len()));
    }
    report.row(Row {
        path: "POST .../check_in, one event".into(),
        result: format!("{}; {latency}", rate(admitted)),
        target: ">= 300/s, p99 < 50 ms".into(),
        met: Some(admitted >= CHECK_INS && latency.p99 < CHECK_IN_P99),
        ..Row::default()
    });
    report.note(format!(
        "desk: {} tickets, {SCANNERS} scanners.",
        thousands(codes.len() as u64)
    ));
    report.failures("desk, check-in", &recording.failures);
    Ok(())
}

async fn print(lab: &Lab, codes: &[String], report: &mut Report) -> Outcome<()> {
    let page = |code: &String| {
        Ok(vec![Step {
            request: Template::get(&format!("/api/reg/tickets/{code}.pdf"))?,
            expected: OK,
        }])
    };
    let pages = codes.iter().map(page).collect::<Outcome<_>>()?;
    let plan = Plan {
        title: "desk, tickets".into(),
        target: lab.doors.gateway,
        connections: PRINTED_AT_ONCE,
        time: Some(lab.options.time / 2),
        stories: 0,
    };
    let recording = load(plan, Arc::new(Again(pages)), &lab.progress).await?;
    let (printed, latency) = (recording.rate(200), recording.latency(200));
    report.row(Row {
        path: format!("GET .../tickets/{{code}}.pdf, {PRINTED_AT_ONCE} at a time"),
        result: format!("{}; {latency}", rate(printed)),
        target: "p99 < 200 ms".into(),
        met: Some(latency.p99 < PRINT_P99),
        ..Row::default()
    });
    report.failures("desk, tickets", &recording.failures);
    Ok(())
}

async fn export(lab: &Lab, event: &str, report: &mut Report) -> Outcome<()> {
    let path = format!("/api/organiser/events/{event}/registrations.csv");
    let begun = Instant::now();
    let answer = ask(
        lab.doors.gateway,
        Template::get(&path)?.bearer(&lab.stage.token)?,
        200,
    )
    .await?;
    let took = begun.elapsed();
    let lines = answer.body.iter().filter(|byte| **byte == b'\n').count();
    if lines != GUESTS + 1 {
        report.error(format!("desk: the list has {lines} lines"));
    }
    report.row(Row {
        path: "GET .../registrations.csv".into(),
        result: format!(
            "{} in {:.2} s",
            rate(GUESTS as f64 / took.as_secs_f64().max(0.001)),
            took.as_secs_f64()
        ),
        ..Row::default()
    });
    Ok(())
}
