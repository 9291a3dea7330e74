//! Twenty encoders that send at once, each in the time of its own pictures.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{Stream, playlist, segment};
use crate::{
    failure::{Doing, Failure, Outcome},
    lab::{Lab, PLENTY},
    load::connection::Connection,
    machine::{cpu_time, resident_mb},
    report::{Report, Row},
    stats::{Latency, percent},
};

/// Encoders.
pub(super) const ENCODERS: usize = 20;
/// Packets of MPEG-TS in a second of 5 Mbit/s.
const SECOND: usize = 3_324;
/// The highest p99 of a segment and its playlist, microseconds: a tenth of the time of its pictures.
const P99: u32 = 100_000;

/// What the system used while encoders sent.
pub(super) struct Used {
    since: Instant,
    cpu: Duration,
    memory: f64,
}

impl Used {
    pub(super) fn from_now(lab: &Lab) -> Self {
        let pid = lab.system.pid();
        Self {
            since: Instant::now(),
            cpu: cpu_time(pid).unwrap_or_default(),
            memory: resident_mb(pid).unwrap_or_default(),
        }
    }

    pub(super) fn text(&self, lab: &Lab) -> String {
        let pid = lab.system.pid();
        let cpu = cpu_time(pid).unwrap_or_default().saturating_sub(self.cpu);
        let share = cpu.as_secs_f64() / self.since.elapsed().as_secs_f64();
        let grown = resident_mb(pid).unwrap_or_default() - self.memory;
        format!("{} of a core, {grown:.0} MB more of memory", percent(share))
    }
}

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let event = lab.event("Twenty stages", PLENTY, 0).await?;
    let mut streams = Vec::with_capacity(ENCODERS);
    for _ in 0..ENCODERS {
        streams.push(Stream::of(lab, &event).await?);
    }
    lab.progress.say(&format!("streams, {ENCODERS} encoders"));
    let (used, time) = (Used::from_now(lab), lab.options.time);
    let mut encoders = JoinSet::new();
    for (number, stream) in streams.into_iter().enumerate() {
        // They do not all end their segments at the same moment.
        let offset = Duration::from_secs(1) * u32::try_from(number).unwrap_or(0) / ENCODERS as u32;
        encoders.spawn(async move {
            tokio::time::sleep(offset).await;
            encode(&stream, time).await
        });
    }
    let mut took = Vec::new();
    while let Some(encoder) = encoders.join_next().await {
        took.extend(encoder.doing("an encoder")??);
    }
    let latency = Latency::of(took.iter().copied());
    report.row(Row {
        path: format!("streams: {ENCODERS} encoders of 5 Mbit/s by HTTP, segments of 1 s"),
        result: format!(
            "{} segments; {latency} until one is stored and listed; {}",
            took.len(),
            used.text(lab)
        ),
        target: "all stored, p99 < 100 ms".into(),
        met: Some(latency.p99 < P99),
        ..Row::default()
    });
    Ok(())
}

/// Sends a segment each second; how long each took with its playlist, microseconds.
async fn encode(stream: &Stream, time: Duration) -> Outcome<Vec<u32>> {
    let (segment, mut took) = (segment(SECOND), Vec::new());
    let mut connection = Connection::open(stream.http).await?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for number in 0..time.as_secs().max(1) as usize {
        second.tick().await;
        let began = Instant::now();
        let name = format!("s{number}.ts");
        let listed = playlist(number, &name).into();
        for (name, file) in [(name.as_str(), segment.clone()), ("live.m3u8", listed)] {
            let answer = connection.send(&stream.file(name, file)?).await?;
            if !matches!(answer.status, 200 | 201) {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                return Err(Failure::new(format!("{name} gave {}: {body}", answer.status)));
            }
        }
        took.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(took)
}
