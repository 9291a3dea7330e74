//! A stream to many viewers: how fast its segments go out, against a bare program that sends the same bytes.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use serde_json::json;

use crate::{
    failure::{Failure, Outcome},
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
/// Packets of MPEG-TS in a segment: 250 kB, two seconds of 1 Mbit/s.
const PACKETS: usize = 1_330;
/// Rounds, alternating between the system and the bare program.
const ROUNDS: u32 = 4;
/// Least part of what the bare program sends.
const TARGET_RATIO: f64 = 0.6;

/// A segment that is one by its form.
fn segment() -> Bytes {
    let mut packet = [0xff_u8; 188];
    packet[0] = 0x47;
    Bytes::from(packet.repeat(PACKETS))
}

/// Makes a stream, sends it a segment, and gives the path of that for those who watch.
async fn published(lab: &Lab, segment: Bytes) -> Outcome<String> {
    let event = lab.event("Streamed", PLENTY, 0).await?;
    let make = Template::post(
        &format!("/api/organiser/events/{event}/streams"),
        &json!({ "title": "Stage", "kind": "ingest" }),
    )?;
    let made = parsed(&ask(lab.doors.gateway, make.bearer(&lab.stage.token)?, 201).await?)?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let (key, at) = (text(&made["stream_key"]), text(&made["ingest"]["hls"]));
    let port = at
        .rsplit(':')
        .next()
        .and_then(|rest| rest.split('/').next()?.parse().ok());
    let port = port.ok_or_else(|| Failure::new("no ingest port"))?;
    let ingest = SocketAddr::new(lab.doors.gateway.ip(), port);
    let playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:2.0,\na.ts\n";
    for (name, file) in [("a.ts", segment), ("live.m3u8", playlist.into())] {
        ask(
            ingest,
            Template::upload(&format!("/hls/{key}/{name}"), file)?,
            201,
        )
        .await?;
    }
    let begin = Template::post(
        &format!("/api/live/streams/{}/playback", text(&made["stream_id"])),
        &json!({}),
    )?;
    let begun = parsed(&ask(lab.doors.gateway, begin.bearer(&lab.stage.token)?, 201).await?)?;
    let url = text(&begun["url"]);
    let path = url.find("/api/").map(|at| url[at..].to_owned());
    let path = path.ok_or_else(|| Failure::new("no playlist"))?;
    let live = path.replace("master.m3u8", "live.m3u8");
    let listed = ask(lab.doors.gateway, Template::get(&live)?, 200).await?;
    let listed = String::from_utf8_lossy(&listed.body).into_owned();
    let name = listed.lines().find(|line| !line.starts_with('#'));
    let name = name.ok_or_else(|| Failure::new("no segment"))?;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Ok(format!("{folder}/{name}"))
}

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    lab.progress.say("streams, a segment");
    let segment = segment();
    let path = published(lab, segment.clone()).await?;
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
