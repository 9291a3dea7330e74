//! The payments service as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::process::run_with(
        "payments",
        "Orders, payments and refunds through Razorpay.",
        &payments::commands::COMMANDS,
        |context| async move {
            let settings = context.settings.clone();
            let users = context.remote(&settings.users_url)?;
            let events = context.remote(&settings.events_url)?;
            let notifications = context.remote(&settings.notifications_url)?;
            let razorpay = settings.razorpay_url(settings.simulator_port);
            let pipeline = payments::build(&context, users, events, notifications, &razorpay).await?;
            let address = context.serve(settings.payments_port, pipeline).await?;
            println!("payments: http://{address}");
            Ok(())
        },
    )
}
