//! The product in a runtime of its own, which can be killed.

use std::sync::Arc;

use common::{
    clock::Clock,
    http::{Pipeline, Upstream},
    services::Service,
    settings::Settings,
};
use runtime::{peers::Peers, process::Context};
use tokio::runtime::{Handle, Runtime};

use crate::{fault::Leg, wire::Wire};

/// A running product. Dropped, it ends in the middle of whatever it does.
pub struct Product {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    gateway: Upstream,
}

impl Product {
    /// Starts one on the data of `settings`, as after a crash.
    pub async fn start(settings: Settings, clock: Clock, razorpay: String, wire: Arc<Wire>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let composed = runtime.spawn(async move {
            let context = Context::new(settings, clock)?;
            compose(&context, &razorpay, &wire).await
        });
        let (gateway, slot) = Upstream::local();
        let _ = slot.set(composed.await.unwrap().unwrap());
        Self {
            runtime: Some(runtime),
            gateway,
        }
    }

    /// Where to call it, and its gateway.
    pub fn up(&self) -> Option<(Handle, Upstream)> {
        let runtime = self.runtime.as_ref()?;
        Some((runtime.handle().clone(), self.gateway.clone()))
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The whole system as `organise-event` composes it, with the wire between its parts and no sockets.
async fn compose(context: &Context, razorpay: &str, wire: &Arc<Wire>) -> Result<Pipeline, String> {
    let (peers, slots) = Peers::local();
    let wired = |leg, name, behind: Service| {
        let (upstream, slot) = Upstream::local();
        let _ = slot.set(wire.before(leg, name, peers.of(behind).clone()));
        upstream
    };
    let through_wire = Peers::new([
        peers.of(Service::Users).clone(),
        wired(Leg::Events, "wire to events", Service::Events),
        wired(
            Leg::Notifications,
            "wire to notifications",
            Service::Notifications,
        ),
        wired(Leg::Payments, "wire to payments", Service::Payments),
    ]);
    let pipelines = [
        (Service::Users, users::build(context, &through_wire).await?),
        (Service::Events, events::build(context, &through_wire).await?),
        (
            Service::Notifications,
            notifications::build(context, &through_wire).await?,
        ),
        (
            Service::Payments,
            payments::build(context, &through_wire, razorpay).await?,
        ),
    ];
    let gateway = gateway::build(context, &peers)?;
    for (service, pipeline) in pipelines {
        slots.put(service, pipeline);
    }
    Ok(gateway)
}
