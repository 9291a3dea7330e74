//! The events service as a process of its own.

use std::process::ExitCode;

use common::services::Service;
use runtime::peers::Peers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::process::run_with(
        "events",
        "Events, registrations, seats and tickets.",
        &events::commands::COMMANDS,
        |context| async move {
            let peers = Peers::remote(&context.settings)?;
            let pipeline = events::build(&context, &peers).await?;
            let address = context
                .serve(Service::Events.port(&context.settings), pipeline)
                .await?;
            println!("events: http://{address}");
            Ok(())
        },
    )
}
