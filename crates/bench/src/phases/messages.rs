//! A hundred thousand letters by two schedulers that are stopped and started, and killed, while they send: what is lost, and what
//! goes out twice. The users and events services are played by the generator, so that the people need no sign-ups.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use axum::{Json, Router, extract::State, routing::post};
use bench::token::{Minter, new_id, random_secret};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    failure::{Doing, Failure, Outcome},
    lab::{ask, parsed},
    load::template::Template,
    progress::Progress,
    providers::{Mail, within},
    report::{Report, Row},
    scratch::{Scratch, free_ports, local},
    server::Server,
    stats::{rate, thousands},
    system::Programs,
};

/// Those who are written to while the schedulers are stopped and started.
const PEOPLE: usize = 100_000;
/// Those who are written to while the schedulers are killed.
const FEWER: usize = 20_000;
/// Stops, and kills.
const TIMES: usize = 20;
/// How long nothing may come before the run is broken off.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long is waited for messages that come twice, when all have come.
const QUIET: Duration = Duration::from_secs(3);
/// The longest time until another worker takes over what a killed one held, seconds: its lease of 30 s, and a round.
const RESUMED: f64 = 35.0;

/// How a scheduler is made to end.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// SIGTERM.
    Asked,
    /// SIGKILL.
    Killed,
}

/// Measures it.
pub async fn run(
    programs: &Programs,
    scratch: &Scratch,
    progress: &Progress,
    report: &mut Report,
) -> Outcome<()> {
    for (end, people) in [(End::Asked, PEOPLE), (End::Killed, FEWER)] {
        let name = match end {
            End::Asked => "stopped",
            End::Killed => "killed",
        };
        let data = scratch.directory(name)?;
        let schedulers = Schedulers::of(programs, data, people).await?;
        report.row(schedulers.write_to_all(end, name, progress).await?);
    }
    Ok(())
}

/// Two notifications processes over one store, and what is around them.
struct Schedulers {
    people: usize,
    mail: Mail,
    program: PathBuf,
    data: PathBuf,
    environment: Vec<(&'static str, String)>,
    ports: [u16; 2],
    organizer: String,
    running: [Option<Server>; 2],
    starts: usize,
}

impl Schedulers {
    async fn of(programs: &Programs, data: PathBuf, people: usize) -> Outcome<Self> {
        let (mail, secret, organizer) = (Mail::start().await?, random_secret(), new_id());
        let others = others(people, &organizer).await?;
        let mut environment = programs.environment(&data, &secret);
        environment.extend(mail.settings());
        environment.push(("USERS_URL", format!("http://{others}")));
        environment.push(("EVENTS_URL", format!("http://{others}")));
        let token = Minter::new(&secret).mint(&organizer, "organizer");
        let mut schedulers = Self {
            people,
            mail,
            program: programs.part("notifications")?,
            data,
            environment,
            ports: free_ports()?,
            organizer: token.doing("cannot sign a token")?,
            running: [None, None],
            starts: 0,
        };
        // One after the other: the first makes the tables.
        for number in 0..2 {
            schedulers.start(number).await?;
        }
        Ok(schedulers)
    }

    async fn start(&mut self, number: usize) -> Outcome<()> {
        let mut environment = self.environment.clone();
        environment.push(("NOTIFICATIONS_PORT", self.ports[number].to_string()));
        self.starts += 1;
        let log = self.data.with_extension(format!("{}.log", self.starts));
        let mut server = Server::spawn("notifications", &self.program, &environment, log)?;
        server.ready(local(self.ports[number]), "/health/ready").await?;
        self.running[number] = Some(server);
        Ok(())
    }

    async fn end(&mut self, number: usize, how: End) -> Outcome<()> {
        let server = self.running[number].take();
        if let (Some(server), End::Asked) = (server, how) {
            server.stop().await?;
        }
        Ok(())
    }

    /// Announces something to all, ends a scheduler now and then, and tells what came of it.
    async fn write_to_all(mut self, end: End, name: &str, progress: &Progress) -> Outcome<Row> {
        let event = new_id();
        let path = format!("/api/organiser/events/{event}/announcements");
        let words = json!({"subject": "Doors open at six", "text": "Come early, the queue is long."});
        let announce = Template::post(&path, &words)?.bearer(&self.organizer)?;
        let began = Instant::now();
        let made = parsed(&ask(local(self.ports[0]), announce, 202).await?)?;
        let people = self.people;
        let mut ended_at = SystemTime::now();
        for time in 1..=TIMES {
            progress.say(&format!("messages, {name} {time} times of {TIMES}"));
            self.until(people * time / (TIMES + 1)).await?;
            ended_at = SystemTime::now();
            self.end(time % 2, end).await?;
            self.start(time % 2).await?;
        }
        progress.say("messages, the last");
        self.until(people).await?;
        let took = began.elapsed().as_secs_f64();
        // What a killed scheduler had sent and not noted goes out again, when another one takes it over.
        let of_it = format!("{path}/{}", made["announcement_id"].as_str().unwrap_or_default());
        self.until_noted(&of_it).await?;
        let last = self.mail.taken.after(0).last().map(|call| call.at);
        let resumed = last
            .and_then(|last| last.duration_since(ended_at).ok())
            .unwrap_or_default();
        tokio::time::sleep(QUIET).await;
        let times = self.mail.taken.times();
        let lost = people - times.len().min(people);
        let twice = self.mail.taken.count() - times.len();
        let most = times.values().copied().max().unwrap_or_default();
        for number in 0..2 {
            self.end(number, End::Asked).await?;
        }
        let to = format!(
            "an announcement to {} people, two schedulers",
            thousands(people as u64)
        );
        let at = rate(people as f64 / took);
        Ok(match end {
            End::Asked => Row {
                path: format!("{to}, {TIMES} rolling restarts"),
                result: format!("all after {took:.0} s, {at}; {lost} lost, {twice} twice"),
                target: "none lost, none twice".into(),
                met: Some(lost == 0 && twice == 0),
                ..Row::default()
            },
            End::Killed => Row {
                path: format!("{to}, {TIMES} times kill -9"),
                result: format!(
                    "{lost} lost; {twice} calls more than letters, for one letter {} at most; the last letter {:.1} s after the \
                     last kill",
                    most.saturating_sub(1),
                    resumed.as_secs_f64()
                ),
                target: "none lost, one call more a letter and kill, all resumed in 35 s".into(),
                met: Some(lost == 0 && most as usize <= 1 + TIMES && resumed.as_secs_f64() <= RESUMED),
                ..Row::default()
            },
        })
    }

    /// Waits until all letters of an announcement are noted as sent.
    async fn until_noted(&self, announcement: &str) -> Outcome<()> {
        let shown = Template::get(announcement)?.bearer(&self.organizer)?;
        let since = Instant::now();
        loop {
            let shown = parsed(&ask(local(self.ports[0]), shown.clone(), 200).await?)?;
            if shown["sent"] == self.people {
                return Ok(());
            }
            if since.elapsed() > PATIENCE {
                let people = self.people;
                return Err(Failure::new(format!(
                    "messages: {} of {people} are noted as sent",
                    shown["sent"]
                )));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until so many calls have come.
    async fn until(&self, count: usize) -> Outcome<()> {
        match within(PATIENCE, || self.mail.taken.count() >= count).await {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "messages: {} of {count} letters within {} s",
                self.mail.taken.count(),
                PATIENCE.as_secs()
            ))),
        }
    }
}

/// The people, and who their organizer is.
#[derive(Clone)]
struct Others {
    people: usize,
    organizer: String,
}

/// A user's id by their number, in the order of numbers.
fn user(number: usize) -> String {
    format!("01900000-0000-7000-8000-{number:012x}")
}

fn number(user: &Value) -> Option<usize> {
    let digits = user.as_str()?.rsplit('-').next()?;
    usize::from_str_radix(digits, 16).ok()
}

/// Plays the users and events services.
async fn others(people: usize, organizer: &str) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind(local(0)).await.doing("the other services")?;
    let address = listener.local_addr().doing("the other services")?;
    let router = Router::new()
        .route("/internal/users/lookup", post(lookup))
        .route("/internal/users/ended_sessions", post(ended_sessions))
        .route("/internal/events/organizer", post(its_organizer))
        .route("/internal/events/announce", post(announce))
        .route("/internal/events/attendees", post(attendees))
        .with_state(Others {
            people,
            organizer: organizer.to_owned(),
        });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn lookup(State(others): State<Others>, Json(asked): Json<Value>) -> Json<Value> {
    let ids = asked["user_ids"].as_array().into_iter().flatten();
    let card = |id: &Value| {
        let number = number(id).filter(|number| *number < others.people)?;
        Some(
            json!({"user_id": id, "email": format!("person-{number}@example.com"), "name": format!("Person {number}"), "phone": null}),
        )
    };
    let users: Vec<Value> = ids.filter_map(card).collect();
    Json(json!({ "users": users }))
}

async fn ended_sessions() -> Json<Value> {
    Json(json!({"sessions": []}))
}

async fn its_organizer(State(others): State<Others>) -> Json<Value> {
    Json(json!({"organizer": others.organizer, "cancelled": false, "team": []}))
}

async fn announce() -> Json<Value> {
    Json(json!({"is_new": true}))
}

async fn attendees(State(others): State<Others>, Json(asked): Json<Value>) -> Json<Value> {
    let first = number(&asked["after"]).map_or(0, |number| number + 1);
    let limit = asked["limit"].as_u64().unwrap_or_default() as usize;
    let page = (first..others.people).take(limit);
    let page: Vec<Value> = page
        .map(|number| json!({"user_id": user(number), "registration_id": user(number)}))
        .collect();
    let event = json!({
        "event_id": asked["event_id"], "name": "RustConf India", "address": "Hall 3, New Delhi", "starts_at": "2040-01-31T13:00:00Z",
        "zone": "Asia/Kolkata", "version": 1, "schedule_version": 1, "cancelled": false,
    });
    Json(json!({"event": event, "attendees": page}))
}
