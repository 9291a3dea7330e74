//! Live updates: what ten thousand sockets cost, how long a publication takes to reach them all, and what happens when they
//! all come back at once. Clients and server share the cores.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    failure::{Doing, Failure, Outcome},
    lab::{Lab, PLENTY},
    load::{connection::Connection, socket::LiveSocket, template::Template},
    machine::{cpu_time, resident_mb},
    report::{Report, Row},
    stats::{millis, rate, thousands},
};

/// Sockets that watch one event.
const MANY: usize = 10_000;
/// Half of them.
const HALF: usize = 5_000;
/// Sockets opened at a time.
const AT_ONCE: usize = 64;
/// Those that come back do so over this time.
const STORM: Duration = Duration::from_secs(30);
/// The system is left alone for so long before its memory is read.
const IDLE: Duration = Duration::from_secs(2);
/// Publications are waited for at most so long after the last one.
const PATIENCE: Duration = Duration::from_secs(15);
/// Most memory of an idle socket, KiB.
const TARGET_KIB: f64 = 16.0;

/// What the sockets have received, all together.
struct Tally {
    received: AtomicU64,
    /// How many took so many milliseconds.
    took: Vec<AtomicU32>,
}

impl Tally {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            received: AtomicU64::new(0),
            took: (0..20_000).map(|_| AtomicU32::new(0)).collect(),
        })
    }

    fn note(&self, sent_at: u64) {
        let took = now().saturating_sub(sent_at) as usize;
        self.took[took.min(self.took.len() - 1)].fetch_add(1, Ordering::Relaxed);
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// Milliseconds within which so many of a thousand came.
    fn within(&self, per_mille: u64) -> f64 {
        let rank = (self.received.load(Ordering::Relaxed) * per_mille).div_ceil(1000);
        let mut seen = 0;
        for (millis, count) in self.took.iter().enumerate() {
            seen += u64::from(count.load(Ordering::Relaxed));
            if seen >= rank {
                return millis as f64;
            }
        }
        f64::INFINITY
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// The sockets of a run. Dropped, they are closed.
struct Crowd {
    tasks: JoinSet<()>,
    tally: Arc<Tally>,
}

/// Opens sockets that watch the event, each from where it is.
async fn gather(lab: &Lab, event: &str, count: usize) -> Outcome<Crowd> {
    let (mut tasks, tally) = (JoinSet::new(), Tally::new());
    let mut opening = JoinSet::new();
    let address = lab.doors.gateway;
    let channel: Arc<str> = format!("event:{event}").into();
    for started in 0..count {
        if started >= AT_ONCE
            && let Some(socket) = opening.join_next().await
        {
            listen(&mut tasks, socket.doing("a socket")??, &tally);
        }
        if started % 500 == 0 {
            lab.progress.say(&format!(
                "live, socket {} of {}",
                thousands(started as u64),
                thousands(count as u64)
            ));
        }
        let channel = Arc::clone(&channel);
        opening.spawn(async move { open(address, &channel, "").await.map(|(socket, _)| socket) });
    }
    while let Some(socket) = opening.join_next().await {
        listen(&mut tasks, socket.doing("a socket")??, &tally);
    }
    Ok(Crowd { tasks, tally })
}

/// A socket that watches the channel, and the answer to that.
async fn open(address: SocketAddr, channel: &str, recover: &str) -> Outcome<(LiveSocket, String)> {
    let mut socket = LiveSocket::open(address).await?;
    socket.say(r#"{"id":1,"op":"connect"}"#).await?;
    socket.hear().await?;
    socket
        .say(&format!(
            r#"{{"id":2,"op":"subscribe","ch":"{channel}"{recover}}}"#
        ))
        .await?;
    let joined = socket.hear().await?;
    let joined = String::from_utf8_lossy(joined).into_owned();
    if joined.contains("\"ok\"") {
        Ok((socket, joined))
    } else {
        Err(Failure::new(format!("a channel could not be joined: {joined}")))
    }
}

fn listen(tasks: &mut JoinSet<()>, mut socket: LiveSocket, tally: &Arc<Tally>) {
    let tally = Arc::clone(tally);
    tasks.spawn(async move {
        while let Ok(heard) = socket.hear().await {
            if heard.starts_with(br#"{"ev":"ping"}"#) {
                if socket.say(r#"{"op":"pong"}"#).await.is_err() {
                    return;
                }
            } else if let Some(sent_at) = number_after(heard, b"\"ts\":")
                && heard.windows(15).any(|part| part == b"\"event.changed\"")
            {
                tally.note(sent_at);
            }
        }
    });
}

fn number_after(text: &[u8], mark: &[u8]) -> Option<u64> {
    let at = text.windows(mark.len()).position(|part| part == mark)? + mark.len();
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Changes the event so many times a second.
async fn publish(lab: &Lab, event: &str, per_second: u32, time: Duration) -> Outcome<u64> {
    let mut connection = Connection::open(lab.doors.gateway).await?;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    let count = (time.as_secs_f64() * f64::from(per_second)) as u64;
    for number in 0..count {
        tick.tick().await;
        let body = json!({ "e_details": format!("Change {number} of the evening.") });
        let change = Template::patch(&format!("/api/organiser/events/{event}"), &body)?;
        let answer = connection.send(&change.bearer(&lab.stage.token)?).await?;
        if answer.status != 200 {
            return Err(Failure::new(format!("a change gave {}", answer.status)));
        }
    }
    Ok(count)
}

async fn fan_out(
    lab: &Lab,
    report: &mut Report,
    event: &str,
    crowd: &Crowd,
    (count, per_second, target): (usize, u32, f64),
) -> Outcome<()> {
    lab.progress.say(&format!(
        "live, {per_second} changes a second to {}",
        thousands(count as u64)
    ));
    // What is published is the state: of changes that come faster than it goes out, the last. So one more socket counts.
    let (mut listening, seen) = (JoinSet::new(), Tally::new());
    let (probe, _) = open(lab.doors.gateway, &format!("event:{event}"), "").await?;
    listen(&mut listening, probe, &seen);
    let before = cpu_time(lab.system.pid()).unwrap_or_default();
    let changes = publish(lab, event, per_second, lab.options.time).await?;
    lab.drain().await?;
    let wanted = || seen.received.load(Ordering::Relaxed) * count as u64;
    let received = || crowd.tally.received.load(Ordering::Relaxed);
    let last = Instant::now();
    while (received() != wanted() || last.elapsed() < IDLE) && last.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let used = cpu_time(lab.system.pid())
        .unwrap_or_default()
        .saturating_sub(before);
    let (delivered, wanted) = (received(), wanted());
    if delivered != wanted {
        report.error(format!(
            "live: {} of {} deliveries came",
            thousands(delivered),
            thousands(wanted)
        ));
    }
    let published = wanted / count as u64;
    let p99 = crowd.tally.within(990);
    let per_delivery = used.as_secs_f64() * 1e6 / delivered.max(1) as f64;
    let every = rate(delivered as f64 / lab.options.time.as_secs_f64());
    report.row(Row {
        path: format!(
            "live: {per_second} changes/s to {} sockets",
            thousands(count as u64)
        ),
        result: format!(
            "{published} publications of {changes} changes, {every}; p50 {}, p99 {} ms; {per_delivery:.1} us of processor each",
            millis(crowd.tally.within(500)),
            millis(p99)
        ),
        target: format!("all, p99 < {target} ms"),
        met: Some(p99 < target && delivered == wanted),
        ..Row::default()
    });
    for took in &crowd.tally.took {
        took.store(0, Ordering::Relaxed);
    }
    crowd.tally.received.store(0, Ordering::Relaxed);
    Ok(())
}

/// All come back within half a minute, while things go on.
async fn storm(lab: &Lab, report: &mut Report, event: &str) -> Outcome<()> {
    lab.progress.say("live, everybody comes back");
    let channel = format!("event:{event}");
    let (_socket, joined) = open(lab.doors.gateway, &channel, "").await?;
    let epoch = joined
        .split("\"epoch\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let epoch = epoch.ok_or_else(|| Failure::new("no epoch"))?.to_owned();
    let since = number_after(joined.as_bytes(), b"\"offset\":").unwrap_or_default();
    let missed = publish(lab, event, 20, Duration::from_secs(5)).await?;
    let recover: Arc<str> = format!(r#","recover":{{"epoch":"{epoch}","offset":{since}}}"#).into();
    let (channel, began): (Arc<str>, _) = (channel.into(), Instant::now());
    let (mut coming, mut took, mut lost) = (JoinSet::new(), Vec::with_capacity(HALF), 0_u32);
    for number in 0..HALF {
        let due = began + STORM.mul_f64(number as f64 / HALF as f64);
        tokio::time::sleep_until(due.into()).await;
        let (channel, recover, address) = (Arc::clone(&channel), Arc::clone(&recover), lab.doors.gateway);
        coming.spawn(async move {
            let started = Instant::now();
            let (socket, joined) = open(address, &channel, &recover).await?;
            Ok::<_, Failure>((
                socket,
                joined.matches("\"event.changed\"").count() as u64,
                started.elapsed(),
            ))
        });
    }
    let mut sockets = Vec::with_capacity(HALF);
    while let Some(back) = coming.join_next().await {
        let (socket, got, time) = back.doing("a socket")??;
        lost += u32::from(got < missed);
        took.push(time.as_micros() as u32);
        sockets.push(socket);
    }
    if lost > 0 {
        report.error(format!("live: {lost} of {HALF} did not get all that they missed"));
    }
    let latency = crate::stats::Latency::of(took.into_iter());
    report.row(Row {
        path: format!(
            "live: {} come back in {} s",
            thousands(HALF as u64),
            STORM.as_secs()
        ),
        result: format!("{} publications each; {latency}", thousands(missed)),
        target: "nothing lost".into(),
        met: Some(lost == 0),
        ..Row::default()
    });
    Ok(())
}

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let event = lab.event("Watched", PLENTY, 0).await?;
    let before = resident_mb(lab.system.pid());
    let crowd = gather(lab, &event, MANY).await?;
    tokio::time::sleep(IDLE).await;
    let after = resident_mb(lab.system.pid());
    let each = before
        .zip(after)
        .map(|(before, after)| (after - before) * 1e6 / 1024.0 / MANY as f64);
    report.row(Row {
        path: format!("live: {} idle sockets", thousands(MANY as u64)),
        result: each.map_or_else(
            || "unknown on this system".into(),
            |each| format!("{each:.1} KiB each"),
        ),
        target: format!("<= {TARGET_KIB} KiB each"),
        met: each.map(|each| each <= TARGET_KIB),
        ..Row::default()
    });
    for (per_second, target) in [(10, 250.0), (40, 400.0)] {
        fan_out(lab, report, &event, &crowd, (MANY, per_second, target)).await?;
    }
    drop(crowd);
    let half = lab.event("Watched by fewer", PLENTY, 0).await?;
    let crowd = gather(lab, &half, HALF).await?;
    fan_out(lab, report, &half, &crowd, (HALF, 10, 120.0)).await?;
    drop(crowd.tasks);
    storm(lab, report, &half).await
}
