//! The notifications service as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "Organise Event, notifications service: confirmations, tickets and reminders.";

fn main() -> ExitCode {
    // Several cryptography libraries could serve TLS; whoever starts first decides for all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime::process::run("notifications", ABOUT, |context| async move {
        let users = context.remote(&context.settings.users_url)?;
        let pipeline = notifications::build(&context, users).await?;
        let address = context
            .serve(context.settings.notifications_port, pipeline)
            .await?;
        println!("notifications listens on http://{address}");
        Ok(())
    })
}
