//! The payments service as a process of its own.

use std::process::ExitCode;

use common::services::Service;
use runtime::peers::Peers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::process::run_with(
        "payments",
        "Orders, payments and refunds through Razorpay.",
        &payments::commands::all(),
        |context| async move {
            let settings = context.settings.clone();
            let peers = Peers::remote(&settings)?;
            let razorpay = settings.razorpay_url(settings.simulator_port);
            let pipeline = payments::build(&context, &peers, &razorpay).await?;
            let address = context.serve(Service::Payments.port(&settings), pipeline).await?;
            println!("payments: http://{address}");
            Ok(())
        },
    )
}
