//! The product in a runtime of its own, which can be killed.

use std::sync::Arc;

use common::{
    clock::Clock,
    http::{Pipeline, Upstream},
    settings::Settings,
};
use runtime::process::Context;
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
    let (users, users_slot) = Upstream::local();
    let (events, events_slot) = Upstream::local();
    let (notifications, notifications_slot) = Upstream::local();
    let (payments, payments_slot) = Upstream::local();
    let wired = |leg, name, behind: &Upstream| {
        let (upstream, slot) = Upstream::local();
        let _ = slot.set(wire.before(leg, name, behind.clone()));
        upstream
    };
    let to_events = wired(Leg::Events, "wire to events", &events);
    let to_payments = wired(Leg::Payments, "wire to payments", &payments);
    let to_notifications = wired(Leg::Notifications, "wire to notifications", &notifications);
    let pipelines = [
        (users_slot, users::build(context).await?),
        (
            events_slot,
            events::build(context, users.clone(), to_notifications.clone(), to_payments).await?,
        ),
        (
            notifications_slot,
            notifications::build(context, users.clone()).await?,
        ),
        (
            payments_slot,
            payments::build(context, users.clone(), to_events, to_notifications, razorpay).await?,
        ),
    ];
    let upstreams = gateway::Upstreams {
        users,
        events,
        notifications,
        payments,
    };
    let gateway = gateway::build(context, upstreams)?;
    for (slot, pipeline) in pipelines {
        let _ = slot.set(pipeline);
    }
    Ok(gateway)
}
