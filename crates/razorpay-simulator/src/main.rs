//! The simulator as a program. See the library for what it is and what can be set.

use std::{io, process::ExitCode};

use razorpay_simulator::{Program, Simulator};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{filter::Targets, prelude::*};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("razorpay-simulator: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    if std::env::args().len() > 1 {
        return Err("this takes no arguments; docs/simulator.md says where its settings are".to_owned());
    }
    if dotenvy::dotenv().is_err_and(|error| !error.not_found()) {
        return Err(".env has a line that cannot be read".to_owned());
    }
    let program = Program::from_env()?;
    let filter: Targets = program
        .log
        .parse()
        .map_err(|error| format!("LOG is not a log filter: {error}."))?;
    let log = tracing_subscriber::fmt::layer().compact().with_writer(io::stderr);
    tracing_subscriber::registry().with(filter).with(log).init();
    let address = program.address;
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "cannot listen on {address}: the port is in use. Stop the other program or set RAZORPAY_SIMULATOR_PORT."
        ),
        _ => format!("cannot listen on {address}: {error}."),
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("cannot listen on {address}: {error}."))?;
    let key_id = program.settings.key_id.clone();
    let simulator = Simulator::open(program.settings).map_err(|error| error.to_string())?;
    // Listened for before anybody is told that we are up: who then sends a signal gets an orderly end.
    let signal = stop_signal().map_err(|error| format!("cannot listen for signals: {error}."))?;
    println!("Razorpay simulator on http://{address}, key id {key_id}");
    let stop = CancellationToken::new();
    let serving = simulator.serve(listener, stop.clone());
    let stopping = async {
        signal.await;
        tracing::info!("stopping");
        stop.cancel();
    };
    tokio::join!(serving, stopping);
    Ok(())
}

/// Listens for Ctrl-C and SIGTERM from now on; the future waits for one.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
