//! Live updates: what ten thousand sockets cost, how long a chat message or a taken seat takes to reach them all, and what happens
//! when they all come back at once. Each socket is a user's whose registration is confirmed. Clients and server share the cores.

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
    stats::{millis, percent, rate, thousands},
};

/// Sockets that watch one event.
const MANY: usize = 10_000;
/// Half of them.
const HALF: usize = 5_000;
/// Sockets opened at a time.
const AT_ONCE: usize = 64;
/// Connections over which their users register.
const REGISTERING: usize = 16;
/// Seats taken one after the other, each when all have heard of the one before.
const SEATS: usize = 5;
/// What is said, with which a publication has some 400 bytes.
const TEXT: &str =
    "Ten thousand people read this at once, each on a socket of their own, and nobody misses a word of it.";
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

    /// Waits until so many have come, but not for ever; gives how many have.
    async fn reaches(&self, wanted: u64) -> u64 {
        let since = Instant::now();
        while self.received.load(Ordering::Relaxed) < wanted && since.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.received.load(Ordering::Relaxed)
    }

    fn clear(&self) {
        for took in &self.took {
            took.store(0, Ordering::Relaxed);
        }
        self.received.store(0, Ordering::Relaxed);
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

/// A program that fans out.
#[derive(Clone, Copy)]
struct Program {
    address: SocketAddr,
    pid: u32,
}

/// What came of a fan-out.
struct FannedOut {
    /// Messages.
    said: u64,
    /// How many sockets got them, all together.
    delivered: u64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
    /// Processor time of the program per delivery, microseconds.
    each: f64,
}

/// The sockets of a run. Dropped, they are closed.
struct Crowd {
    tasks: JoinSet<()>,
    /// Chat messages.
    tally: Arc<Tally>,
    /// News of the seats.
    seats: Arc<Tally>,
    /// Whose they are.
    tokens: Vec<String>,
}

/// Tokens of so many users who are registered for the event.
pub(super) async fn attendees(lab: &Lab, event: &str, count: usize) -> Outcome<Vec<String>> {
    let tokens = (0..count).map(|_| lab.stranger().map(|(_, token)| token));
    let tokens: Vec<String> = tokens.collect::<Outcome<_>>()?;
    let mut registering = JoinSet::new();
    for part in tokens.chunks(count.div_ceil(REGISTERING)) {
        let (part, address) = (part.to_vec(), lab.doors.gateway);
        let body = json!({ "event_id": event });
        registering.spawn(async move {
            let mut connection = Connection::open(address).await?;
            for token in &part {
                let register = Template::post("/api/reg/register_event", &body)?.bearer(token)?;
                let answer = connection.send(&register).await?;
                if answer.status != 201 {
                    return Err(Failure::new(format!("a registration gave {}", answer.status)));
                }
            }
            Ok(())
        });
    }
    while let Some(done) = registering.join_next().await {
        done.doing("registering")??;
    }
    Ok(tokens)
}

/// Opens sockets that follow the event and its chat, from where they are.
async fn gather(lab: &Lab, program: Program, event: &str, tokens: Vec<String>) -> Outcome<Crowd> {
    let count = tokens.len();
    let mut crowd = Crowd {
        tasks: JoinSet::new(),
        tally: Tally::new(),
        seats: Tally::new(),
        tokens,
    };
    let mut opening = JoinSet::new();
    for (started, token) in crowd.tokens.clone().into_iter().enumerate() {
        if started >= AT_ONCE
            && let Some(socket) = opening.join_next().await
        {
            crowd.listen(socket.doing("a socket")??);
        }
        if started % 500 == 0 {
            lab.progress.say(&format!(
                "live, socket {} of {}",
                thousands(started as u64),
                thousands(count as u64)
            ));
        }
        let (address, event) = (program.address, event.to_owned());
        opening.spawn(async move {
            let (mut socket, _) = open(address, &token, &format!("event:{event}"), "").await?;
            join(&mut socket, 3, &format!("event:{event}:chat"), "").await?;
            Ok::<_, Failure>(socket)
        });
    }
    while let Some(socket) = opening.join_next().await {
        crowd.listen(socket.doing("a socket")??);
    }
    Ok(crowd)
}

/// A signed-in socket that reads a channel, and the answer to that.
async fn open(
    address: SocketAddr,
    token: &str,
    channel: &str,
    recover: &str,
) -> Outcome<(LiveSocket, String)> {
    let mut socket = LiveSocket::open(address).await?;
    socket
        .say(&format!(r#"{{"id":1,"op":"connect","token":"{token}"}}"#))
        .await?;
    socket.hear().await?;
    let joined = join(&mut socket, 2, channel, recover).await?;
    Ok((socket, joined))
}

async fn join(socket: &mut LiveSocket, id: u32, channel: &str, recover: &str) -> Outcome<String> {
    socket
        .say(&format!(
            r#"{{"id":{id},"op":"subscribe","ch":"{channel}"{recover}}}"#
        ))
        .await?;
    // Seats may go while it joins.
    loop {
        let heard = String::from_utf8_lossy(socket.hear().await?).into_owned();
        if heard.contains("\"ok\"") {
            return Ok(heard);
        }
        if heard.contains("\"err\"") {
            return Err(Failure::new(format!("a channel could not be joined: {heard}")));
        }
    }
}

impl Crowd {
    fn listen(&mut self, mut socket: LiveSocket) {
        let (tally, seats) = (Arc::clone(&self.tally), Arc::clone(&self.seats));
        self.tasks.spawn(async move {
            while let Ok(heard) = socket.hear().await {
                if heard.starts_with(br#"{"ev":"ping"}"#) {
                    if socket.say(r#"{"op":"pong"}"#).await.is_err() {
                        return;
                    }
                } else if let Some(sent_at) = number_after(heard, b"\"ts\":") {
                    // The type stands before the data.
                    let head = &heard[..heard.len().min(160)];
                    let is = |kind: &[u8]| head.windows(kind.len()).any(|part| part == kind);
                    if is(b"\"chat.message\"") {
                        tally.note(sent_at);
                    } else if is(b"\"seats.changed\"") {
                        seats.note(sent_at);
                    }
                }
            }
        });
    }
}

fn number_after(text: &[u8], mark: &[u8]) -> Option<u64> {
    let at = text.windows(mark.len()).position(|part| part == mark)? + mark.len();
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Says something so many times a second.
async fn publish(lab: &Lab, program: Program, event: &str, per_second: u32, time: Duration) -> Outcome<u64> {
    let mut connection = Connection::open(program.address).await?;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    let count = (time.as_secs_f64() * f64::from(per_second)) as u64;
    let message = Template::post(
        &format!("/api/live/events/{event}/chat"),
        &json!({ "text": TEXT }),
    )?;
    let message = message.bearer(&lab.stage.token)?;
    for _ in 0..count {
        tick.tick().await;
        let answer = connection.send(&message).await?;
        if answer.status != 201 {
            return Err(Failure::new(format!("a message gave {}", answer.status)));
        }
    }
    Ok(count)
}

async fn fan_out(
    lab: &Lab,
    program: Program,
    event: &str,
    crowd: &Crowd,
    per_second: u32,
) -> Outcome<FannedOut> {
    let count = crowd.tokens.len() as u64;
    lab.progress.say(&format!(
        "live, {per_second} messages a second to {}",
        thousands(count)
    ));
    let before = cpu_time(program.pid).unwrap_or_default();
    let said = publish(lab, program, event, per_second, lab.options.time).await?;
    let delivered = crowd.tally.reaches(said * count).await;
    let used = cpu_time(program.pid).unwrap_or_default().saturating_sub(before);
    let fanned_out = FannedOut {
        said,
        delivered,
        p50: crowd.tally.within(500),
        p99: crowd.tally.within(990),
        each: used.as_secs_f64() * 1e6 / delivered.max(1) as f64,
    };
    crowd.tally.clear();
    Ok(fanned_out)
}

impl FannedOut {
    fn text(&self, time: Duration) -> String {
        let every = rate(self.delivered as f64 / time.as_secs_f64());
        format!(
            "{every}; p50 {}, p99 {} ms; {:.1} us of processor each",
            millis(self.p50),
            millis(self.p99),
            self.each
        )
    }
}

/// The fan-outs to so many sockets: messages per second, and the p99 in milliseconds to stay below.
type Asked = (u32, f64);

/// What the library does by itself: no rights, no order, no recovery.
async fn library(lab: &Lab, tokens: &[String], asked: &[Asked]) -> Outcome<Vec<FannedOut>> {
    let program = Program {
        address: lab.bare,
        pid: lab.bare_server.pid(),
    };
    let crowd = gather(lab, program, "bare", tokens.to_vec()).await?;
    let mut all = Vec::with_capacity(asked.len());
    for (per_second, _) in asked {
        all.push(fan_out(lab, program, "bare", &crowd, *per_second).await?);
    }
    Ok(all)
}

async fn fan_outs(
    lab: &Lab,
    report: &mut Report,
    event: &str,
    crowd: &Crowd,
    asked: &[Asked],
    library: Vec<FannedOut>,
) -> Outcome<()> {
    let (count, time) = (crowd.tokens.len() as u64, lab.options.time);
    for ((per_second, target), library) in asked.iter().zip(library) {
        let ours = fan_out(lab, system(lab), event, crowd, *per_second).await?;
        let wanted = ours.said * count;
        if ours.delivered != wanted {
            report.error(format!(
                "live: {} of {} deliveries came",
                thousands(ours.delivered),
                thousands(wanted)
            ));
        }
        report.row(Row {
            path: format!("live: {per_second} messages/s to {} sockets", thousands(count)),
            result: ours.text(time),
            bare: format!("{} (the library alone)", library.text(time)),
            ratio: percent(library.each / ours.each.max(0.01)),
            target: format!("all, p99 < {target} ms"),
            met: Some(ours.p99 < *target && ours.delivered == wanted),
        });
    }
    Ok(())
}

fn system(lab: &Lab) -> Program {
    Program {
        address: lab.doors.gateway,
        pid: lab.system.pid(),
    }
}

/// Seats are taken one after the other, and all hear of each.
async fn seats(lab: &Lab, report: &mut Report, event: &str, crowd: &Crowd) -> Outcome<()> {
    lab.progress.say("live, seats");
    // Those of the crowd itself have been told of.
    tokio::time::sleep(IDLE).await;
    crowd.seats.clear();
    for taken in 1..=SEATS {
        attendees(lab, event, 1).await?;
        let wanted = (taken * MANY) as u64;
        let delivered = crowd.seats.reaches(wanted).await;
        if delivered != wanted {
            report.error(format!(
                "live: {} of {} heard of seats",
                thousands(delivered),
                thousands(wanted)
            ));
        }
    }
    report.row(Row {
        path: format!("live: a seat is taken, {} watch", thousands(MANY as u64)),
        result: format!(
            "p50 {}, p99 {} ms from its publication",
            millis(crowd.seats.within(500)),
            millis(crowd.seats.within(990))
        ),
        target: "all".into(),
        ..Row::default()
    });
    Ok(())
}

/// All come back within half a minute, with what they missed.
async fn storm(lab: &Lab, report: &mut Report, event: &str, tokens: Vec<String>) -> Outcome<()> {
    lab.progress.say("live, everybody comes back");
    let channel = format!("event:{event}:chat");
    let (_socket, joined) = open(lab.doors.gateway, &lab.stage.token, &channel, "").await?;
    let epoch = joined
        .split("\"epoch\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let epoch = epoch.ok_or_else(|| Failure::new("no epoch"))?.to_owned();
    let since = number_after(joined.as_bytes(), b"\"offset\":").unwrap_or_default();
    let missed = publish(lab, system(lab), event, 20, Duration::from_secs(5)).await?;
    let recover: Arc<str> = format!(r#","recover":{{"epoch":"{epoch}","offset":{since}}}"#).into();
    let (channel, began): (Arc<str>, _) = (channel.into(), Instant::now());
    let (mut coming, mut took, mut lost) = (JoinSet::new(), Vec::with_capacity(HALF), 0_u32);
    for (number, token) in tokens.into_iter().enumerate() {
        let due = began + STORM.mul_f64(number as f64 / HALF as f64);
        tokio::time::sleep_until(due.into()).await;
        let (channel, recover, address) = (Arc::clone(&channel), Arc::clone(&recover), lab.doors.gateway);
        coming.spawn(async move {
            let started = Instant::now();
            let (socket, joined) = open(address, &token, &channel, &recover).await?;
            Ok::<_, Failure>((
                socket,
                joined.matches("\"chat.message\"").count() as u64,
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
        result: format!("{} messages each; {latency}", thousands(missed)),
        target: "nothing lost".into(),
        met: Some(lost == 0),
        ..Row::default()
    });
    Ok(())
}

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let event = lab.event("Watched", PLENTY, 0).await?;
    lab.progress.say("live, registering");
    let tokens = attendees(lab, &event, MANY).await?;
    lab.drain().await?;
    let (many, half) = ([(10, 250.0), (40, 400.0)], [(10, 120.0)]);
    let library_many = library(lab, &tokens, &many).await?;
    let library_half = library(lab, &tokens[..HALF], &half).await?;
    tokio::time::sleep(IDLE).await;
    let before = resident_mb(lab.system.pid());
    let crowd = gather(lab, system(lab), &event, tokens).await?;
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
    fan_outs(lab, report, &event, &crowd, &many, library_many).await?;
    seats(lab, report, &event, &crowd).await?;
    drop(crowd);
    let event = lab.event("Watched by fewer", PLENTY, 0).await?;
    let tokens = attendees(lab, &event, HALF).await?;
    let mut crowd = gather(lab, system(lab), &event, tokens).await?;
    fan_outs(lab, report, &event, &crowd, &half, library_half).await?;
    crowd.tasks.shutdown().await;
    storm(lab, report, &event, crowd.tokens).await
}
