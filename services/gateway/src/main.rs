//! The gateway as a process of its own.

use std::process::ExitCode;

use runtime::peers::Peers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::process::run("gateway", "The one public door.", |context| async move {
        let peers = Peers::remote(&context.settings)?;
        let pipeline = gateway::build(&context, &peers)?;
        let address = context.serve(context.settings.gateway_port, pipeline).await?;
        println!("gateway: http://{address}");
        Ok(())
    })
}
