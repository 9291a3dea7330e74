//! The gateway as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::process::run("gateway", "The one public door.", |context| async move {
        let settings = context.settings.clone();
        let upstreams = gateway::Upstreams {
            users: context.remote(&settings.users_url)?,
            events: context.remote(&settings.events_url)?,
            notifications: context.remote(&settings.notifications_url)?,
            payments: context.remote(&settings.payments_url)?,
        };
        let pipeline = gateway::build(&context, upstreams)?;
        let address = context.serve(settings.gateway_port, pipeline).await?;
        println!("gateway: http://{address}");
        Ok(())
    })
}
