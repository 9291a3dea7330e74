//! `GET /api/organiser/events` while others register. Each registration's commit makes the pages that events keeps stale,
//! so this shows what the cache of pages is worth when something happens.

use std::sync::Arc;

use crate::{
    failure::Outcome,
    lab::{LISTED_EVENTS, Lab, PLENTY},
    load::{
        run::{Plan, Recording, run as load},
        work::{Again, Once},
    },
    phases::{CONFIRMED, list, register},
    report::{Report, Row},
    stats::{percent, rate},
};

/// Connections that register, each as soon as its last answer came.
const REGISTERING: usize = 4;

/// Most registrations, far more than [`REGISTERING`] connections get done.
const MOST: usize = 40_000;

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let event = lab.event("Mixed", PLENTY, 0).await?;
    let crowd = register::crowd(lab, &[event], MOST, CONFIRMED)?;
    let lists = Arc::new(Again(vec![vec![list::request(lab)?]]));
    let time = lab.options.time / 2;
    let plan = |title: &str, connections| Plan {
        title: title.to_owned(),
        target: lab.doors.gateway,
        connections,
        time: Some(time),
        stories: 0,
    };
    let reading = plan("mixed, lists alone", lab.options.connections);
    let alone = load(reading, lists.clone(), &lab.progress).await?;
    let reading = plan("mixed, lists", lab.options.connections);
    let writing = plan("mixed, registrations", REGISTERING);
    let (read, written) = tokio::join!(
        load(reading, lists, &lab.progress),
        load(writing, Arc::new(Once(crowd)), &lab.progress)
    );
    let (read, written) = (read?, written?);
    lab.drain().await?;
    let row = |path: String, recording: &Recording, status, ratio| Row {
        path,
        result: format!("{}; {}", rate(recording.rate(status)), recording.latency(status)),
        ratio,
        ..Row::default()
    };
    let ratio = percent(read.rate(200) / alone.rate(200).max(1.0));
    report.row(row(
        format!("GET /api/organiser/events ({LISTED_EVENTS} events) while others register"),
        &read,
        200,
        format!("{ratio} of lists alone"),
    ));
    report.row(row(
        format!("... POST /api/reg/register_event meanwhile, {REGISTERING} connections"),
        &written,
        201,
        String::new(),
    ));
    for (name, recording) in [("alone", &alone), ("lists", &read), ("registrations", &written)] {
        report.failures(&format!("mixed, {name}"), &recording.failures);
    }
    Ok(())
}
