//! The users service in a process of its own.

use std::process::ExitCode;

use common::services::Service;
use runtime::peers::Peers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "Accounts, sign-up, login and user look-ups.";

fn main() -> ExitCode {
    runtime::process::run_with("users", ABOUT, &users::commands::COMMANDS, |context| async move {
        let peers = Peers::remote(&context.settings)?;
        let pipeline = users::build(&context, &peers).await?;
        let address = context
            .serve(Service::Users.port(&context.settings), pipeline)
            .await?;
        println!("users listens on http://{address}");
        Ok(())
    })
}
