//! `dead-letters list|redrive|drop`: messages between services that were given up.

use std::sync::Arc;

use clap::{Arg, ArgMatches};
use common::{
    outbox::{DeadLetter, OutboxStore},
    services::Service,
    settings::Settings,
    store::StoreError,
    time::utc,
};
use futures_util::FutureExt;
use runtime::{by_ids, process::Command};
use uuid::Uuid;

const MISSING: &str = "no dead letters";

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
    by_ids::arguments("Messages, as the list names them", "All that are listed")
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
    if by_ids::are_all(arguments) {
        let letters = outbox.dead_letters().await.map_err(text)?;
        return Ok(letters.into_iter().map(|letter| letter.id).collect());
    }
    Ok(by_ids::given(arguments).into_iter().collect())
}

async fn redrive(settings: Settings, arguments: ArgMatches) -> Result<(), String> {
    let mut count = 0;
    for (_, outbox) in outboxes(&settings).await? {
        let ids = chosen(outbox.as_ref(), &arguments).await?;
        count += outbox.redrive(ids).await.map_err(text)?;
    }
    by_ids::finish(count, &arguments, "Redriven", MISSING)
}

async fn drop(settings: Settings, arguments: ArgMatches) -> Result<(), String> {
    let mut count = 0;
    for (_, outbox) in outboxes(&settings).await? {
        let ids = chosen(outbox.as_ref(), &arguments).await?;
        count += outbox.drop_dead_letters(ids).await.map_err(text)?;
    }
    by_ids::finish(count, &arguments, "Dropped", MISSING)
}
