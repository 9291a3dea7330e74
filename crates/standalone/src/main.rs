//! The whole system in one process: what `cargo run --release` starts.
//!
//! The services are the same as in processes of their own and are called through the same requests, only without
//! sockets between them. Each still listens on its own port. Razorpay's simulator runs beside them unless keys are set.

mod banner;
mod dead_letters;
mod ledger;
mod migration;

use std::{process::ExitCode, time::Duration};

use common::http::Upstream;
use futures_util::FutureExt;
use razorpay_simulator::{OpenError, Simulator};
use runtime::process::{Command, Context};

use crate::banner::Addresses;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a simulated bank thinks: long enough to be a step of its own, short enough not to be noticed.
const BANK: Duration = Duration::from_millis(1);

/// Migrates from SQLite to MongoDB instead of starting the system.
const MIGRATE: Command = Command {
    name: "migrate-to-mongodb",
    about: "copies what DATA_DIR holds in SQLite into the databases of MONGODB_URI",
    arguments: Vec::new,
    run: |settings, _| migration::run(settings).boxed(),
};

fn main() -> ExitCode {
    let about = "Organise Event: events, registrations, payments and reminders, whole and on one machine.";
    let commands: Vec<Command> = [MIGRATE, ledger::CHECK]
        .into_iter()
        .chain(dead_letters::COMMANDS)
        .chain(payments::commands::COMMANDS)
        .collect();
    runtime::process::run_with("organise-event", about, &commands, start)
}

async fn start(context: Context) -> Result<(), String> {
    let settings = context.settings.clone();
    let (gateway_listener, gateway_address) = context.bind("gateway", settings.gateway_port).await?;
    let simulator = if settings.razorpay.base_url.is_none() {
        Some(start_simulator(&context, gateway_address.port()).await?)
    } else {
        None
    };
    let razorpay = settings.razorpay_url(simulator.map_or(settings.simulator_port, |address| address.port()));

    let (users, users_slot) = Upstream::local();
    let (events, events_slot) = Upstream::local();
    let (notifications, notifications_slot) = Upstream::local();
    let (payments, payments_slot) = Upstream::local();
    let users_front = users::build(&context).await?;
    let events_front =
        events::build(&context, users.clone(), notifications.clone(), payments.clone()).await?;
    let notifications_front = notifications::build(&context, users.clone()).await?;
    let payments_front = payments::build(
        &context,
        users.clone(),
        events.clone(),
        notifications.clone(),
        &razorpay,
    )
    .await?;
    let upstreams = gateway::Upstreams {
        users,
        events,
        notifications,
        payments,
    };
    let gateway_front = gateway::build(&context, upstreams)?;

    let addresses = Addresses {
        gateway: gateway_address,
        users: context.serve(settings.users_port, users_front.clone()).await?,
        events: context.serve(settings.events_port, events_front.clone()).await?,
        notifications: context
            .serve(settings.notifications_port, notifications_front.clone())
            .await?,
        payments: context
            .serve(settings.payments_port, payments_front.clone())
            .await?,
        simulator,
    };
    let slots = [
        (users_slot, users_front),
        (events_slot, events_front),
        (notifications_slot, notifications_front),
        (payments_slot, payments_front),
    ];
    for (slot, pipeline) in slots {
        // Each slot is new and set here only.
        let _ = slot.set(pipeline);
    }
    context.serve_on(gateway_listener, gateway_front);
    print!("{}", banner::banner(&settings, &addresses));
    Ok(())
}

async fn start_simulator(context: &Context, gateway_port: u16) -> Result<std::net::SocketAddr, String> {
    let settings = &context.settings;
    let (listener, address) = context
        .bind("razorpay-simulator", settings.simulator_port)
        .await?;
    let keys = context.razorpay_keys();
    let simulator = razorpay_simulator::Settings {
        key_id: keys.key_id.clone(),
        key_secret: keys.key_secret.clone(),
        webhook_secret: keys.webhook_secret.clone(),
        webhook_url: Some(format!("http://127.0.0.1:{gateway_port}/api/payment/webhook")),
        data_dir: Some(settings.data_dir.clone()),
        auto_complete: settings.simulator_auto_complete.then_some(BANK),
        upi_delay: BANK,
        controls: settings.simulator_controls,
    };
    let had_state = context.data("razorpay-simulator.db").is_file();
    let (workers, stop) = (&context.workers, context.workers.stop_token());
    let name = "razorpay-simulator";
    match Simulator::open(simulator.clone()) {
        Ok(opened) => workers.spawn(name, async move { opened.serve(listener, stop).await }),
        // The rest of the system reads what it has on a disk that is full; without the simulator it does no less.
        Err(error @ OpenError::Database { .. }) if had_state => {
            workers.spawn(name, Simulator::serve_later(simulator, error, listener, stop))
        }
        Err(error) => return Err(format!("the Razorpay simulator: {error}")),
    }
    Ok(address)
}
