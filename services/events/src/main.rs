//! The events service as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::process::run(
        "events",
        "Events, registrations, seats and tickets.",
        |context| async move {
            let settings = context.settings.clone();
            let users = context.remote(&settings.users_url)?;
            let notifications = context.remote(&settings.notifications_url)?;
            let payments = context.remote(&settings.payments_url)?;
            let pipeline = events::build(&context, users, notifications, payments).await?;
            let address = context.serve(settings.events_port, pipeline).await?;
            println!("events: http://{address}");
            Ok(())
        },
    )
}
