//! `dead-letters list|redrive|drop`: messages between services that were given up.

use std::{collections::BTreeSet, sync::Arc};

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use common::{
    outbox::{DeadLetter, OutboxStore},
    services::Service,
    settings::Settings,
    store::StoreError,
    time::utc,
};
use futures_util::FutureExt;
use runtime::process::Command;
use uuid::Uuid;

const IDS: &str = "ID";
const ALL: &str = "all";

/// All of them. They may be used beside the running system.
pub const COMMANDS: [Command; 3] = [
    Command {
        name: "dead-letters list",
        about: "lists the messages between services that were given up",
        arguments: Vec::new,
        run: |settings, _| list(settings).boxed(),
    },
    Command {
        name: "dead-letters redrive",
        about: "puts messages back into their outbox, to be delivered again",
        arguments: which,
        run: |settings, arguments| redrive(settings, arguments).boxed(),
    },
    Command {
        name: "dead-letters drop",
        about: "deletes messages for good",
        arguments: which,
        run: |settings, arguments| drop(settings, arguments).boxed(),
    },
];

fn which() -> Vec<Arg> {
    vec![
        Arg::new(IDS)
            .help("Messages, as the list names them")
            .action(ArgAction::Append)
            .num_args(1..)
            .value_parser(value_parser!(Uuid))
            .required_unless_present(ALL),
        Arg::new(ALL)
            .long(ALL)
            .help("All that are listed")
            .action(ArgAction::SetTrue)
            .conflicts_with(IDS),
    ]
}

/// The outboxes of all services.
async fn outboxes(settings: &Settings) -> Result<Vec<(Service, Arc<dyn OutboxStore>)>, String> {
    let mut outboxes = Vec::new();
    for service in Service::ALL {
        let outbox = match service {
            Service::Events => events::store::open(settings).await?.outbox(),
            Service::Payments => payments::store::open(settings).await?.outbox(),
            Service::Users => users::store::open(settings).await?.outbox(),
            Service::Notifications => notifications::outbox(settings).await?,
        };
        outboxes.push((service, outbox));
    }
    Ok(outboxes)
}

fn text(error: StoreError) -> String {
    error.to_string()
}

async fn list(settings: Settings) -> Result<(), String> {
    let mut count = 0;
    for (service, outbox) in outboxes(&settings).await? {
        for letter in outbox.dead_letters().await.map_err(text)? {
            println!("{}", line(service, &letter));
            count += 1;
        }
    }
    println!("Dead letters: {count}.");
    Ok(())
}

fn line(service: Service, letter: &DeadLetter) -> String {
    let DeadLetter {
        id,
        destination,
        kind,
        subject,
        time,
        attempts,
        why,
    } = letter;
    let time = utc(*time);
    format!(
        "{time}  {id}  {} to {destination}  {kind} of {subject}  after {attempts} tries: {why}",
        service.name()
    )
}

/// The letters that the arguments ask for, in one outbox.
async fn chosen(outbox: &dyn OutboxStore, arguments: &ArgMatches) -> Result<Vec<Uuid>, String> {
    if arguments.get_flag(ALL) {
        let letters = outbox.dead_letters().await.map_err(text)?;
        return Ok(letters.into_iter().map(|letter| letter.id).collect());
    }
    Ok(named(arguments).into_iter().collect())
}

/// The ids that were given, each once.
fn named(arguments: &ArgMatches) -> BTreeSet<Uuid> {
    arguments.get_many(IDS).into_iter().flatten().copied().collect()
}

async fn redrive(settings: Settings, arguments: ArgMatches) -> Result<(), String> {
    let mut count = 0;
    for (_, outbox) in outboxes(&settings).await? {
        let ids = chosen(outbox.as_ref(), &arguments).await?;
        count += outbox.redrive(ids).await.map_err(text)?;
    }
    finish(count, &arguments, "Redriven")
}

async fn drop(settings: Settings, arguments: ArgMatches) -> Result<(), String> {
    let mut count = 0;
    for (_, outbox) in outboxes(&settings).await? {
        let ids = chosen(outbox.as_ref(), &arguments).await?;
        count += outbox.drop_dead_letters(ids).await.map_err(text)?;
    }
    finish(count, &arguments, "Dropped")
}

fn finish(count: usize, arguments: &ArgMatches, done: &str) -> Result<(), String> {
    println!("{done}: {count}.");
    match named(arguments).len().saturating_sub(count) {
        0 => Ok(()),
        missing => Err(format!("no dead letters: {missing} of those named.")),
    }
}
