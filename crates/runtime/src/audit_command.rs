//! `audit`: reading the audit trail.

use std::{collections::VecDeque, sync::Arc};

use chrono_tz::Tz;
use clap::{Arg, ArgAction, ArgMatches};
use common::{
    audit::{AuditStore, Entry, Wanted},
    clock::Timestamp,
    ids::UserId,
    services::Service,
    settings::Settings,
    time::{Day, EventTime, utc},
};
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::process::Command;

const USER: &str = "user";
const SINCE: &str = "since";
const JSON: &str = "json";

/// The command of a program, with what carries it out.
pub const fn command(run: fn(Settings, ArgMatches) -> BoxFuture<'static, Result<(), String>>) -> Command {
    Command {
        name: "audit",
        about: "shows who did what to which, from where, when, and with what outcome",
        arguments,
        run,
    }
}

fn arguments() -> Vec<Arg> {
    vec![
        Arg::new(USER).long(USER).value_name("ID").help(
            "What this user did, and what was tried at their account; where there are accounts, also by e-mail address",
        ),
        Arg::new(SINCE)
            .long(SINCE)
            .value_name("TIME")
            .help("From then on: 2031-01-31T18:30:00Z, or 2031-01-31 for a day in UTC"),
        Arg::new(JSON)
            .long(JSON)
            .help("One JSON object a line")
            .action(ArgAction::SetTrue),
    ]
}

/// Whom the arguments name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// Everybody.
    All,
    /// By the id.
    Id(UserId),
    /// By an e-mail address.
    Email(String),
}

/// Whom the arguments name.
///
/// # Errors
/// One sentence.
pub fn named(arguments: &ArgMatches) -> Result<Named, String> {
    let Some(text) = arguments.get_one::<String>(USER) else {
        return Ok(Named::All);
    };
    if text.contains('@') {
        return Ok(Named::Email(text.clone()));
    }
    let id =
        Uuid::parse_str(text).map_err(|_| format!("{text:?} is neither an id nor an e-mail address."))?;
    Ok(Named::Id(UserId(id)))
}

/// The user that the arguments name, for a program that knows no addresses.
///
/// # Errors
/// One sentence.
pub fn by_id(arguments: &ArgMatches) -> Result<Option<UserId>, String> {
    match named(arguments)? {
        Named::All => Ok(None),
        Named::Id(user) => Ok(Some(user)),
        Named::Email(_) => Err("only the users service knows addresses; name the user by the id.".to_owned()),
    }
}

/// Prints the entries that the arguments want, of one service or several, in the order of time.
///
/// # Errors
/// One sentence.
pub async fn show(
    arguments: &ArgMatches,
    user: Option<UserId>,
    trails: Vec<(Service, Arc<dyn AuditStore>)>,
) -> Result<(), String> {
    let since = arguments
        .get_one::<String>(SINCE)
        .map(|text| since(text))
        .transpose()?;
    let wanted = Wanted {
        user,
        since,
        ..Wanted::default()
    };
    let mut trails: Vec<Trail> = trails
        .into_iter()
        .map(|(service, store)| Trail {
            service,
            store,
            wanted,
            page: VecDeque::new(),
            is_over: false,
        })
        .collect();
    let (json, mut count) = (arguments.get_flag(JSON), 0_u64);
    while let Some((service, entry)) = next(&mut trails).await? {
        println!(
            "{}",
            if json {
                as_json(service, &entry)
            } else {
                line(service, &entry)
            }
        );
        count += 1;
    }
    if !json {
        println!("Entries: {count}.");
    }
    Ok(())
}

fn since(text: &str) -> Result<Timestamp, String> {
    EventTime::parse_query(text, Tz::UTC, Day::Begins)
        .map(|time| time.at)
        .map_err(|why| format!("--{SINCE} {why}."))
}

/// The entries of one service, page by page.
struct Trail {
    service: Service,
    store: Arc<dyn AuditStore>,
    wanted: Wanted,
    page: VecDeque<Entry>,
    is_over: bool,
}

impl Trail {
    async fn fill(&mut self) -> Result<(), String> {
        if self.page.is_empty() && !self.is_over {
            let page = self.store.entries(self.wanted).await;
            self.page = page.map_err(|error| error.to_string())?.into();
            self.wanted.after = self.page.back().map(|last| (last.at, last.id));
            self.is_over = self.page.is_empty();
        }
        Ok(())
    }
}

/// The earliest entry of all that are left.
async fn next(trails: &mut [Trail]) -> Result<Option<(Service, Entry)>, String> {
    for trail in &mut *trails {
        trail.fill().await?;
    }
    let earliest = trails
        .iter_mut()
        .filter(|trail| !trail.page.is_empty())
        .min_by_key(|trail| trail.page.front().map(|entry| (entry.at, entry.id)));
    Ok(earliest.and_then(|trail| trail.page.pop_front().map(|entry| (trail.service, entry))))
}

fn as_json(service: Service, entry: &Entry) -> String {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    value["service"] = service.name().into();
    value["at"] = utc(entry.at).into();
    value.to_string()
}

fn line(service: Service, entry: &Entry) -> String {
    let mut line = format!(
        "{}  {:<13}  {:<4} {}  {}",
        utc(entry.at),
        service.name(),
        entry.status,
        entry.code.as_deref().unwrap_or("ok"),
        entry.action,
    );
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            line.push_str(&format!("  {name}={value}"));
        }
    };
    add("user", entry.user.map(|id| id.to_string()));
    add("session", entry.session.map(|id| id.to_string()));
    add("api_key", entry.api_key.map(|id| id.to_string()));
    add("of", entry.subject.clone());
    add("from", Some(entry.network.clone()));
    add("times", (entry.times > 1).then(|| entry.times.to_string()));
    add("request", Some(entry.request_id.clone()));
    line
}
