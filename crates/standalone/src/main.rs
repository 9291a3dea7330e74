//! The whole system in one process: what `cargo run --release` starts.
//!
//! The services are the same as in processes of their own and are called through the same requests, only without
//! sockets between them. Each still listens on its own port. Razorpay's simulator runs beside them unless keys are set.

mod audit;
mod banner;
mod dead_letters;
mod ledger;
#[cfg(feature = "mongodb")]
mod migration;

use std::{process::ExitCode, time::Duration};

use common::services::Service;
#[cfg(not(feature = "mongodb"))]
use common::settings::BUILT_WITHOUT_MONGODB;
use futures_util::FutureExt;
use razorpay_simulator::{OpenError, Simulator};
use runtime::{
    peers::Peers,
    process::{Command, Context},
};

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
    #[cfg(feature = "mongodb")]
    run: |settings, _| migration::run(settings).boxed(),
    #[cfg(not(feature = "mongodb"))]
    run: |_, _| std::future::ready(Err(BUILT_WITHOUT_MONGODB.to_owned())).boxed(),
};

fn main() -> ExitCode {
    let about = "Organise Event: events, registrations, payments and reminders, whole and on one machine.";
    let commands: Vec<Command> = [MIGRATE, ledger::CHECK, audit::AUDIT]
        .into_iter()
        .chain(dead_letters::COMMANDS)
        .chain(payments::commands::WEBHOOKS)
        .chain(notifications::commands::MESSAGES)
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

    let (peers, slots) = Peers::local();
    let pipelines = [
        (Service::Users, users::build(&context, &peers).await?),
        (Service::Events, events::build(&context, &peers).await?),
        (
            Service::Notifications,
            notifications::build(&context, &peers).await?,
        ),
        (
            Service::Payments,
            payments::build(&context, &peers, &razorpay).await?,
        ),
    ];
    let gateway = gateway::build(&context, &peers)?;
    let mut addresses = Addresses {
        gateway: gateway_address,
        services: Vec::new(),
        simulator,
    };
    for (service, pipeline) in pipelines {
        let address = context.serve(service.port(&settings), pipeline.clone()).await?;
        addresses.services.push((service, address));
        slots.put(service, pipeline);
    }
    context.serve_on(gateway_listener, gateway);
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
