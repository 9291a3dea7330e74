//! The notifications service as a process of its own.

use std::process::ExitCode;

use common::services::Service;
use runtime::peers::Peers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "Organise Event, notifications service: confirmations, tickets and reminders.";

fn main() -> ExitCode {
    // Several cryptography libraries could serve TLS; the first one to be installed serves all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime::process::run_with(
        "notifications",
        ABOUT,
        &notifications::commands::COMMANDS,
        |context| async move {
            let peers = Peers::remote(&context.settings)?;
            let pipeline = notifications::build(&context, &peers).await?;
            let port = Service::Notifications.port(&context.settings);
            let address = context.serve(port, pipeline).await?;
            println!("notifications listens on http://{address}");
            Ok(())
        },
    )
}
