//! A stream to many viewers: how fast its segments go out, against a bare program that sends the same bytes.

use std::sync::Arc;

use super::{PACKETS, Stream, first_segment, live_playlist, segment};
use crate::{
    failure::Outcome,
    lab::{Lab, PLENTY, ask, parsed},
    load::{
        run::{Plan, Recording, run as load},
        template::Template,
        work::{Again, Step},
    },
    phases::OK,
    report::{Report, Row},
    stats::{median, percent, rate, thousands},
};

/// Viewers, each on a connection of its own.
const VIEWERS: usize = 1_000;
/// Rounds, alternating between the system and the bare program.
const ROUNDS: u32 = 4;
/// Least part of what the bare program sends.
const TARGET_RATIO: f64 = 0.6;

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    lab.progress.say("streams, a segment");
    let segment = segment(PACKETS);
    let stream = Stream::of(lab, &lab.event("Streamed", PLENTY, 0).await?).await?;
    stream.publish(segment.clone()).await?;
    let begun = ask(lab.doors.gateway, stream.playback(&lab.stage.token)?, 201).await?;
    let playlist = live_playlist(&parsed(&begun)?)?;
    let listed = ask(lab.doors.gateway, Template::get(&playlist)?, 200).await?;
    let path = first_segment(&playlist, &listed.body)?;
    ask(lab.bare, Template::upload("/segment", segment.clone())?, 201).await?;
    let time = lab.options.time / ROUNDS;
    let watch = async |who: &str, target, path: &str, number| {
        let step = Step {
            request: Template::get(path)?,
            expected: OK,
        };
        let plan = Plan {
            title: format!("streams, {who}, {number} of {ROUNDS}"),
            target,
            connections: VIEWERS,
            time: Some(time),
            stories: 0,
        };
        load(plan, Arc::new(Again(vec![vec![step]])), &lab.progress).await
    };
    let (mut bare, mut system) = (Recording::default(), Recording::default());
    let (mut bare_rates, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=ROUNDS {
        let there = watch("bare", lab.bare, "/segment", number).await?;
        let here = watch("system", lab.doors.gateway, &path, number).await?;
        bare_rates.push(there.rate(200));
        rates.push(here.rate(200));
        ratios.push(here.rate(200) / there.rate(200).max(1.0));
        bare.merge(there);
        system.merge(here);
    }
    let megabits = |rate: f64| rate * segment.len() as f64 * 8.0 / 1e6;
    let text = |rates: &[f64], recording: &Recording| {
        let per_second = median(rates);
        let traffic = thousands(megabits(per_second) as u64);
        format!(
            "{}; {traffic} Mbit/s; {}",
            rate(per_second),
            recording.latency(200)
        )
    };
    let ratio = median(&ratios);
    report.row(Row {
        path: format!(
            "streams: segments of {} kB to {} viewers",
            segment.len() / 1_000,
            thousands(VIEWERS as u64)
        ),
        result: text(&rates, &system),
        bare: text(&bare_rates, &bare),
        ratio: percent(ratio),
        target: ">= 60 % of bare".into(),
        met: Some(ratio >= TARGET_RATIO),
    });
    report.failures("streams, bare", &bare.failures);
    report.failures("streams", &system.failures);
    Ok(())
}
