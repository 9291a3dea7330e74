//! The users service in a process of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "Accounts, sign-up, login and user look-ups.";

fn main() -> ExitCode {
    runtime::process::run("users", ABOUT, |context| async move {
        let pipeline = users::build(&context).await?;
        let address = context.serve(context.settings.users_port, pipeline).await?;
        println!("users listens on http://{address}");
        Ok(())
    })
}
