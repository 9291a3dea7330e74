//! The notifications service's commands for operators.

use clap::{Arg, ArgMatches, value_parser};
use common::{
    clock::Clock, ids::MessageId, services::Service, settings::Settings, store::StoreError, time::utc,
};
use futures_util::FutureExt;
use runtime::{audit_command, by_ids, process::Command};
use uuid::Uuid;

use crate::store::{self, Planned, Record};

const ID: &str = "ID";
/// Messages that a list shows at most.
const LISTED: usize = 1000;

/// All commands.
pub const COMMANDS: [Command; 4] = [
    audit_command::command(|settings, arguments| {
        async move {
            let user = audit_command::by_id(&arguments)?;
            let trail = crate::audit_trail(&settings).await?;
            audit_command::show(&arguments, user, vec![(Service::Notifications, trail)]).await
        }
        .boxed()
    }),
    MESSAGE,
    DEAD,
    REDRIVE,
];

/// Those about messages. They may be used beside the running system.
pub const MESSAGES: [Command; 3] = [MESSAGE, DEAD, REDRIVE];

const MESSAGE: Command = Command {
    name: "message",
    about: "shows the way of a message, or of all messages and reminders about a registration or payment",
    arguments: one,
    run: |settings, arguments| message(settings, arguments).boxed(),
};

const DEAD: Command = Command {
    name: "messages dead",
    about: "lists the messages that were given up",
    arguments: Vec::new,
    run: |settings, _| dead(settings).boxed(),
};

const REDRIVE: Command = Command {
    name: "messages redrive",
    about: "queues messages that were given up, or that failed, once more",
    arguments: which,
    run: |settings, arguments| redrive(settings, arguments).boxed(),
};

fn one() -> Vec<Arg> {
    vec![
        Arg::new(ID)
            .help("A message's id, as the log, the mailbox and /api/notifications have it, or that of a registration or payment")
            .value_parser(value_parser!(Uuid))
            .required(true),
    ]
}

fn which() -> Vec<Arg> {
    by_ids::arguments("Messages, as the list names them", "All that were given up")
}

fn text(error: StoreError) -> String {
    error.to_string()
}

async fn message(settings: Settings, arguments: ArgMatches) -> Result<(), String> {
    let store = store::open(&settings).await?;
    let id = arguments.get_one::<Uuid>(ID).copied().unwrap_or_default();
    if let Some(record) = store.record(MessageId(id)).await.map_err(text)? {
        print!("{}", story(&record));
        return Ok(());
    }
    let (records, planned) = store.about(id).await.map_err(text)?;
    if records.is_empty() && planned.is_empty() {
        return Err(format!(
            "{id} is no message, and nothing was written or planned about it."
        ));
    }
    for planned in &planned {
        println!("{}", plan(planned));
    }
    for record in &records {
        println!("{}", line(record));
    }
    Ok(())
}

/// `2031-01-31T13:00:00.000Z  reminder_24h: pending`.
fn plan(planned: &Planned) -> String {
    let Planned {
        kind,
        due_at,
        status,
        why,
    } = planned;
    let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{}  {}: {status}{why}", utc(*due_at), kind.name())
}

fn line(record: &Record) -> String {
    let entry = &record.entry;
    let why = entry
        .error
        .as_ref()
        .map(|why| format!(": {why}"))
        .unwrap_or_default();
    format!(
        "{}  {}  {} by {}  {} after {} tries{why}",
        utc(entry.created_at),
        entry.id,
        entry.kind.name(),
        entry.channel.name(),
        entry.status.name(),
        record.attempts,
    )
}

/// The way of a message, one step a line.
fn story(record: &Record) -> String {
    let entry = &record.entry;
    let mut steps = vec![
        ("message", entry.id.to_string()),
        (
            "kind",
            format!("{} by {}", entry.kind.name(), entry.channel.name()),
        ),
        ("status", entry.status.name().to_owned()),
        ("user", record.user_id.to_string()),
        ("about", record.occurrence.to_string()),
        ("written", utc(entry.created_at)),
        ("tries", record.attempts.to_string()),
    ];
    let mut add = |name, value: Option<String>| steps.extend(value.map(|value| (name, value)));
    add("event", entry.event_id.map(|id| id.to_string()));
    add("last error", entry.error.clone());
    add("next try", record.due_at.map(utc));
    add("not after", record.not_after.map(utc));
    add("sent", entry.sent_at.map(utc));
    let by = record.provider.clone().zip(record.provider_id.clone());
    add("taken by", by.map(|(provider, id)| format!("{provider}: {id}")));
    add("delivered", entry.delivered_at.map(utc));
    steps
        .iter()
        .map(|(name, value)| format!("{name:<11}{value}\n"))
        .collect()
}

async fn dead(settings: Settings) -> Result<(), String> {
    let dead = store::open(&settings).await?.dead(LISTED).await.map_err(text)?;
    for record in &dead {
        println!("{}", line(record));
    }
    println!(
        "Dead messages: {}{}.",
        dead.len(),
        if dead.len() == LISTED { " and more" } else { "" }
    );
    Ok(())
}

async fn redrive(settings: Settings, arguments: ArgMatches) -> Result<(), String> {
    let store = store::open(&settings).await?;
    let ids = by_ids::given(&arguments).into_iter().map(MessageId);
    let ids = (!by_ids::are_all(&arguments)).then(|| ids.collect());
    let count = store.redrive(ids, Clock::system().now()).await.map_err(text)?;
    by_ids::finish(count, &arguments, "Redriven", "neither dead nor failed")
}
