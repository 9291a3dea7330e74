//! The services as the other parts call them.

use std::sync::Arc;

use common::{
    http::{Pipeline, Upstream},
    services::Service,
    settings::Settings,
};
use tokio::sync::SetOnce;

/// A way to each service. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    services: [Upstream; Service::ALL.len()],
    /// Where it is not the events service as such.
    live: Option<Upstream>,
}

/// Where the pipelines of one process are put in once they are built.
pub struct Slots([Arc<SetOnce<Pipeline>>; Service::ALL.len()]);

impl Peers {
    /// These ways, in the order of [`Service::ALL`].
    pub fn new(services: [Upstream; Service::ALL.len()]) -> Self {
        Self { services, live: None }
    }

    /// In other processes, where the settings say.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn remote(settings: &Settings) -> Result<Self, String> {
        let [users, events, notifications, payments] =
            Service::ALL.map(|service| Upstream::remote(service.urls(settings)));
        Ok(Self {
            services: [users?, events?, notifications?, payments?],
            live: match settings.has_live_pool() {
                true => Some(Upstream::remote(&settings.live_url)?),
                false => None,
            },
        })
    }

    /// In this process.
    pub fn local() -> (Self, Slots) {
        let both = Service::ALL.map(|_| Upstream::local());
        let slots = both.each_ref().map(|(_, slot)| Arc::clone(slot));
        (Self::new(both.map(|(upstream, _)| upstream)), Slots(slots))
    }

    /// The way to one.
    pub fn of(&self, service: Service) -> &Upstream {
        &self.services[service as usize]
    }

    /// The way to the processes of the events service that serve what lasts as long as a client watches.
    pub fn live(&self) -> &Upstream {
        self.live_pool().unwrap_or_else(|| self.of(Service::Events))
    }

    /// The same, where there are such processes beside the others.
    pub fn live_pool(&self) -> Option<&Upstream> {
        self.live.as_ref()
    }
}

impl Slots {
    /// Puts a service in, for all that wait for it.
    pub fn put(&self, service: Service, pipeline: Pipeline) {
        // Each is put in once, by the program that composes them; a second one would change nothing.
        let _ = self.0[service as usize].set(pipeline);
    }
}
