//! What a viewer costs the system in memory: a playback of their own, on a connection of their own.

use std::time::Duration;

use super::{PACKETS, Stream, first_segment, live_playlist, segment};
use crate::{
    failure::{Doing, Failure, Outcome},
    lab::{Lab, PLENTY, parsed},
    load::{connection::Connection, template::Template},
    machine::resident_mb,
    phases::live::attendees,
    report::{Report, Row},
    stats::thousands,
};

/// Viewers who come first, so that what is allocated once is there.
const FIRST: usize = 200;
/// Those who are measured.
const MEASURED: usize = 2_000;
/// The system is left alone for so long before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let event = lab.event("Watched", PLENTY, 0).await?;
    let stream = Stream::of(lab, &event).await?;
    stream.publish(segment(PACKETS)).await?;
    lab.progress.say("streams, viewers register");
    let tokens = attendees(lab, &event, FIRST + MEASURED).await?;
    lab.drain().await?;
    let mut viewers = Vec::with_capacity(tokens.len());
    let mut before = None;
    for (number, token) in tokens.iter().enumerate() {
        if number == FIRST {
            before = memory(lab).await;
        }
        if number % 500 == 0 {
            lab.progress
                .say(&format!("streams, viewer {}", thousands(number as u64)));
        }
        viewers.push(watching(lab, &stream, token).await?);
    }
    let grown = memory(lab)
        .await
        .zip(before)
        .map(|(after, before)| after - before);
    let grown = grown.ok_or_else(|| Failure::new("the memory cannot be read"))?;
    report.row(Row {
        path: format!("streams: memory of {} more viewers", thousands(MEASURED as u64)),
        result: format!(
            "{:.1} KiB each: a playback, its place among the viewers, a connection",
            grown * 1024.0 / MEASURED as f64
        ),
        ..Row::default()
    });
    Ok(())
}

async fn memory(lab: &Lab) -> Option<f64> {
    tokio::time::sleep(IDLE).await;
    resident_mb(lab.system.pid())
}

/// A viewer who has begun a playback, its playlist and a segment.
async fn watching(lab: &Lab, stream: &Stream, token: &str) -> Outcome<Connection> {
    let mut connection = Connection::open(lab.doors.gateway).await?;
    let begun = connection
        .send(&stream.playback(token)?)
        .await
        .doing("a playback")?;
    if begun.status != 201 {
        return Err(Failure::new(format!("a playback gave {}", begun.status)));
    }
    let playlist = live_playlist(&parsed(&begun)?)?;
    let listed = connection
        .send(&Template::get(&playlist)?)
        .await
        .doing("a playlist")?;
    let segment = first_segment(&playlist, &listed.body)?;
    let answer = connection
        .send(&Template::get(&segment)?)
        .await
        .doing("a segment")?;
    match answer.status {
        200 => Ok(connection),
        other => Err(Failure::new(format!("a segment gave {other}"))),
    }
}
