//! The running system with what every phase needs: users, events, and a way to send requests and to wait.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bench::{
    answers::{Answers, Captured},
    token::{Minter, new_id, random_secret},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    cli::Options,
    failure::{Doing, Failure, Outcome},
    load::{
        connection::{Connection, Reply},
        template::Template,
    },
    progress::Progress,
    providers::Providers,
    scratch::Scratch,
    server::Server,
    system::{Doors, Programs},
};

/// Events in the list that is read.
pub const LISTED_EVENTS: usize = 20;

/// Seats of an event that is not to fill up: the most an event may have.
pub const PLENTY: u32 = 1_000_000;

/// The password of everyone who is signed up.
pub const PASSWORD: &str = "correct horse battery staple";

/// How long an outbox may take to run empty, beside two and a half times the measured time.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// Connections that sign users up: more than cores, so that no core waits.
const SIGN_UP_CONNECTIONS: usize = 16;

/// An account of the users service.
#[derive(Debug, Clone)]
pub struct Account {
    /// The address.
    pub email: String,
    /// A valid access token.
    pub token: String,
}

/// The system, ready to be measured, beside the bare program.
pub struct Lab {
    /// What was asked for.
    pub options: Options,
    /// The progress bar.
    pub progress: Progress,
    /// Signs tokens that the system takes for its own.
    pub minter: Minter,
    /// Where the system listens.
    pub doors: Doors,
    /// Where the bare program listens.
    pub bare: SocketAddr,
    /// The organizer of exactly [`LISTED_EVENTS`] events.
    pub listing: Account,
    /// The organizer of all other events.
    pub stage: Account,
    /// The system's data directory.
    pub data: PathBuf,
    /// The system.
    pub system: Server,
    /// The bare program.
    pub bare_server: Server,
    /// Who carries messages, if not the mailbox.
    pub providers: Option<Providers>,
}

impl Lab {
    /// Starts both programs, and sets up what is read and compared.
    pub async fn open(
        options: Options,
        programs: &Programs,
        scratch: &Scratch,
        progress: Progress,
    ) -> Outcome<Self> {
        progress.say("setting up");
        let secret = random_secret();
        let minter = Minter::new(&secret);
        let data = scratch.directory("system")?;
        let providers = match options.providers {
            true => Some(Providers::start().await?),
            false => None,
        };
        let settings = providers.as_ref().map(Providers::settings).unwrap_or_default();
        let (mut system, doors) = programs.start_system(&data, &secret, settings)?;
        system.ready(doors.gateway, "/health/ready").await?;

        let listing = sign_up(doors.gateway, &minter, "organizer").await?;
        let stage = sign_up(doors.gateway, &minter, "organizer").await?;
        for number in 0..LISTED_EVENTS {
            create_event(
                doors.gateway,
                &listing.token,
                &format!("Listed {number}"),
                PLENTY,
                0,
            )
            .await?;
        }
        let list = ask(
            doors.gateway,
            Template::get("/api/organiser/events")?.bearer(&listing.token)?,
            200,
        )
        .await?;
        let listed = parsed(&list)?.as_array().map_or(0, Vec::len);
        if listed != LISTED_EVENTS {
            return Err(Failure::new(format!(
                "{listed} events are listed instead of {LISTED_EVENTS}"
            )));
        }
        let event = create_event(doors.gateway, &stage.token, "Captured", PLENTY, 0).await?;
        let register = Template::post("/api/reg/register_event", &json!({ "event_id": event }))?;
        let register = ask(doors.gateway, register.bearer(&minted(&minter)?.1)?, 201).await?;

        let capture = |answer: &Reply| Captured::new(answer.status, &answer.headers, &answer.body);
        let answers = Answers {
            list: capture(&list),
            register: capture(&register),
        };
        let (mut bare_server, bare) = programs.start_bare(scratch.path(), &secret, &answers)?;
        bare_server.ready(bare, "/health/ready").await?;
        Ok(Self {
            options,
            progress,
            minter,
            doors,
            bare,
            listing,
            stage,
            data,
            system,
            bare_server,
            providers,
        })
    }

    /// Stops both programs; returns how long the system took.
    pub async fn close(self) -> Outcome<Duration> {
        drop(self.bare_server);
        self.system.stop().await
    }

    /// Creates an event of the stage's organizer and returns its id; `fees` in whole rupees.
    pub async fn event(&self, name: &str, capacity: u32, fees: u32) -> Outcome<String> {
        create_event(self.doors.gateway, &self.stage.token, name, capacity, fees).await
    }

    /// Creates a free event of the stage's organizer that starts then, and returns its id.
    pub async fn event_at(&self, name: &str, start: SystemTime) -> Outcome<String> {
        create_event_at(self.doors.gateway, &self.stage.token, name, start, PLENTY, 0).await
    }

    /// A figure of the notifications service, by its name; 0 when there is none.
    pub async fn notifications_figure(&self, name: &str) -> Outcome<f64> {
        let answer = ask(self.doors.notifications, Template::get("/metrics")?, 200).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let line = text
            .lines()
            .find(|line| line.starts_with(name) && line[name.len()..].starts_with('{'));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        Ok(value.unwrap_or_default())
    }

    /// A user without an account, with a validly signed token: id and token.
    pub fn stranger(&self) -> Outcome<(String, String)> {
        minted(&self.minter)
    }

    /// Signs up `count` users for real.
    pub async fn sign_up(&self, count: usize) -> Outcome<Vec<Account>> {
        let minter = Arc::new(self.minter.clone());
        let mut tasks = JoinSet::new();
        let mut accounts = Vec::with_capacity(count);
        let gateway = self.doors.gateway;
        for started in 0..count {
            if started >= SIGN_UP_CONNECTIONS
                && let Some(account) = tasks.join_next().await
            {
                accounts.push(account.doing("sign-up")??);
            }
            let minter = Arc::clone(&minter);
            tasks.spawn(async move { sign_up(gateway, &minter, "user").await });
        }
        while let Some(account) = tasks.join_next().await {
            accounts.push(account.doing("sign-up")??);
        }
        Ok(accounts)
    }

    /// Waits until the services have sent all messages from their outboxes; returns how many were waiting at first, and
    /// how long it took.
    pub async fn drain(&self) -> Outcome<(u64, Duration)> {
        let patience = DRAIN_PATIENCE + self.options.time * 5 / 2;
        let began = Instant::now();
        let mut first = None;
        loop {
            let mut waiting = Some(0);
            // Payments first: what it sends makes events send.
            for (address, service) in [(self.doors.payments, "payments"), (self.doors.events, "events")] {
                let answer = ask(address, Template::get("/metrics")?, 200).await?;
                let pending = outbox_pending(&String::from_utf8_lossy(&answer.body), service);
                waiting = waiting
                    .zip(pending)
                    .map(|(sum, pending): (u64, u64)| sum + pending);
            }
            first = first.or(waiting);
            if waiting == Some(0) {
                return Ok((first.unwrap_or_default(), began.elapsed()));
            }
            if began.elapsed() > patience {
                let limit = patience.as_secs();
                return Err(Failure::new(match waiting {
                    Some(waiting) => format!("{waiting} messages are still unsent after {limit} s"),
                    None => "/metrics does not say outbox_pending".to_owned(),
                }));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Sends one request on a connection of its own; anything but `status` is a failure that shows the body.
pub async fn ask(address: SocketAddr, request: Template, status: u16) -> Outcome<Reply> {
    let answer = Connection::open(address).await?.send(&request).await?;
    if answer.status == status {
        return Ok(answer);
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(Failure::new(format!(
        "{request} gave {} instead of {status}: {body}",
        answer.status
    )))
}

/// The body of an answer as JSON.
pub fn parsed(answer: &Reply) -> Outcome<Value> {
    serde_json::from_slice(&answer.body).doing("an answer is not JSON")
}

/// A text field of an answer.
fn text(answer: &Reply, field: &str) -> Outcome<String> {
    let value = parsed(answer)?;
    let text = value.get(field).and_then(Value::as_str);
    text.map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("an answer has no {field}: {value}")))
}

fn minted(minter: &Minter) -> Outcome<(String, String)> {
    let user_id = new_id();
    let token = minter.mint(&user_id, "user").doing("cannot sign a token")?;
    Ok((user_id, token))
}

async fn sign_up(gateway: SocketAddr, minter: &Minter, role: &str) -> Outcome<Account> {
    let email = format!("bench-{}@example.com", new_id());
    let body = json!({ "email": email, "password": PASSWORD, "role": role });
    let answer = ask(gateway, Template::post("/api/users/register", &body)?, 201).await?;
    let user_id = text(&answer, "user_id")?;
    let token = minter.mint(&user_id, role).doing("cannot sign a token")?;
    Ok(Account { email, token })
}

async fn create_event(
    gateway: SocketAddr,
    token: &str,
    name: &str,
    capacity: u32,
    fees: u32,
) -> Outcome<String> {
    // Far enough ahead that no reminder falls due.
    let start = SystemTime::now() + Duration::from_secs(30 * 24 * 3600);
    create_event_at(gateway, token, name, start, capacity, fees).await
}

async fn create_event_at(
    gateway: SocketAddr,
    token: &str,
    name: &str,
    start: SystemTime,
    capacity: u32,
    fees: u32,
) -> Outcome<String> {
    let time = chrono::DateTime::<chrono::Utc>::from(start);
    let body = json!({
        "e_name": name,
        "e_details": "An evening of talks about what happens between a request and its answer.",
        "event_time": time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "event_add": "Hall 3, Pragati Maidan, New Delhi",
        "capacity": capacity,
        "fees": fees,
    });
    let request = Template::post("/api/organiser/create_event", &body)?.bearer(token)?;
    text(&ask(gateway, request, 201).await?, "event_id")
}

/// Messages waiting in a service's outbox, from the text of its metrics; `None` when it is not there.
fn outbox_pending(metrics: &str, service: &str) -> Option<u64> {
    let label = format!("service=\"{service}\"");
    let line = metrics
        .lines()
        .find(|line| line.starts_with("outbox_pending{") && line.contains(&label))?;
    let number: f64 = line.rsplit_once('}')?.1.split_whitespace().next()?.parse().ok()?;
    Some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outbox_is_found_among_the_metrics() {
        let metrics = "# TYPE outbox_pending gauge\noutbox_pending{service=\"events\"} 42\n\
                       outbox_pending{service=\"payments\",kind=\"x\"} 7.0 1700000000\n";
        assert_eq!(outbox_pending(metrics, "events"), Some(42));
        assert_eq!(outbox_pending(metrics, "payments"), Some(7));
        assert_eq!(outbox_pending(metrics, "users"), None);
    }
}
