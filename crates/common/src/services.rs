//! The registry of services: all that is different between them where they are started, called and sent messages.

use crate::{settings::Settings, wire::service};

/// A service. The gateway is none: it stores nothing and no service calls it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Service {
    /// Accounts and sessions.
    Users,
    /// Events, registrations and tickets.
    Events,
    /// E-mail and SMS.
    Notifications,
    /// Payments and refunds.
    Payments,
}

impl Service {
    /// All of them, in the order of their ports. `service as usize` is the place.
    pub const ALL: [Self; 4] = [Self::Users, Self::Events, Self::Notifications, Self::Payments];

    /// Its name: in service tokens, message destinations, file and database names, and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => service::USERS,
            Self::Events => service::EVENTS,
            Self::Notifications => service::NOTIFICATIONS,
            Self::Payments => service::PAYMENTS,
        }
    }

    /// What it is for, in a few words for operators.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Users => "accounts",
            Self::Events => "events, registrations, tickets",
            Self::Notifications => "e-mail and SMS",
            Self::Payments => "payments and refunds",
        }
    }

    /// The base URLs of its processes, separated by commas, as the settings name them.
    pub fn urls(self, settings: &Settings) -> &str {
        match self {
            Self::Users => &settings.users_url,
            Self::Events => &settings.events_url,
            Self::Notifications => &settings.notifications_url,
            Self::Payments => &settings.payments_url,
        }
    }

    /// The port it listens on.
    pub fn port(self, settings: &Settings) -> u16 {
        match self {
            Self::Users => settings.users_port,
            Self::Events => settings.events_port,
            Self::Notifications => settings.notifications_port,
            Self::Payments => settings.payments_port,
        }
    }

    /// The services that its outbox has messages for: a relay works for each.
    pub const fn publishes_to(self) -> &'static [Self] {
        match self {
            Self::Users => &[Self::Notifications, Self::Events],
            Self::Notifications => &[],
            Self::Events => &[Self::Notifications, Self::Payments],
            Self::Payments => &[Self::Events, Self::Notifications],
        }
    }

    /// Its outbox, as logs and figures name it.
    pub const fn outbox(self) -> &'static str {
        match self {
            Self::Users => "users.outbox",
            Self::Events => "events.outbox",
            Self::Notifications => "notifications.outbox",
            Self::Payments => "payments.outbox",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_list() {
        for (place, service) in Service::ALL.into_iter().enumerate() {
            assert_eq!(service as usize, place);
            assert!(!service.publishes_to().contains(&service));
            assert_eq!(service.outbox(), format!("{}.outbox", service.name()));
        }
    }
}
