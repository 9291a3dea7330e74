//! The public endpoints, one per file.

pub mod browse;
pub mod calendar;
pub mod cancel_event;
pub mod cancel_registration;
pub mod create_event;
pub mod desk;
pub mod duplicate_event;
pub mod join_team;
pub mod listing;
pub mod live;
pub mod live_events;
pub mod live_socket;
pub mod live_ticket;
pub mod my_registrations;
pub mod organiser_events;
pub mod publish_event;
pub mod register_event;
pub mod reminders;
pub mod rights;
pub mod streams;
pub mod team;
pub mod ticket_files;
pub mod ticket_key;
pub mod update_event;
pub mod waitlist;

use common::context;
use common::{idempotency::Outcome, ids::UserId, problem::ApiError, time::utc};

pub use crate::problems::no_such_event;
use crate::{
    domain::{
        event::{Event, PatchError},
        registration::State,
    },
    store::{CancelError, ChangeError, RegisterError, Registered},
};

/// 404 for a registration that does not exist, or that is not the caller's.
pub fn no_such_registration() -> ApiError {
    ApiError::not_found("registration_not_found", "There is no such registration.")
}

/// The error response to a refused registration.
pub fn register_problem(error: RegisterError) -> ApiError {
    match error {
        RegisterError::NoSuchEvent => no_such_event(),
        RegisterError::NotPublished => ApiError::conflict(
            "event_not_published",
            "This event is a draft: publish it before anybody registers.",
        ),
        RegisterError::NotOpen { opens_at, wait } => {
            let opens_at = utc(opens_at);
            ApiError::conflict(
                "registration_not_open",
                format!("Registration for this event opens at {opens_at}."),
            )
            .with("registration_opens_at", opens_at)
            .retry_after(wait.as_secs_f64().ceil() as u64)
        }
        RegisterError::EventCancelled => ApiError::conflict("event_cancelled", "This event was cancelled."),
        RegisterError::Closed => {
            ApiError::conflict("registration_closed", "Registration for this event is closed.")
        }
        RegisterError::Full => ApiError::conflict("event_full", "Every seat of this event is taken."),
        RegisterError::Already(registration) => {
            ApiError::conflict("already_registered", "You are registered for this event already.")
                .with("registration_id", registration.id)
                // `status` itself is the HTTP status of every problem document (RFC 9457).
                .with("registration_status", registration.state.name())
                .with("amount_due", common::money::Rupees(registration.amount_due()))
        }
        RegisterError::NothingDue => {
            ApiError::conflict("nothing_due", "This event is free: there is nothing to pay.")
        }
        RegisterError::Store(error) => error.into(),
    }
}

/// Why an event has to have an address.
pub const NO_ADDRESS: &str = "is required unless the event is online";

/// The error response to a refused change of an event.
pub fn change_problem(error: ChangeError) -> ApiError {
    match error {
        ChangeError::NoSuchEvent => no_such_event(),
        ChangeError::Refused(PatchError::Cancelled) => ApiError::conflict(
            "event_cancelled",
            "This event was cancelled and cannot be changed.",
        ),
        ChangeError::Refused(PatchError::Published) => {
            ApiError::conflict("event_published", "This event is published already.")
        }
        ChangeError::Refused(PatchError::RegistrationBegan) => ApiError::conflict(
            "registration_began",
            "Somebody is registered: registration cannot be yet to open. To stop it, let it close.",
        ),
        ChangeError::Refused(PatchError::CapacityBelowRegistrations(taken)) => ApiError::conflict(
            "capacity_below_registrations",
            format!("{taken} seats are taken; the capacity cannot be less."),
        )
        .with("seats_taken", taken),
        ChangeError::Refused(PatchError::NoAddress) => ApiError::invalid_field("event_add", NO_ADDRESS),
        ChangeError::Refused(PatchError::Time(field, why)) => ApiError::invalid_field(field, why),
        ChangeError::Store(error) => error.into(),
    }
}

/// The error response to a refused cancellation.
pub fn cancel_problem(error: CancelError) -> ApiError {
    match error {
        CancelError::NoSuchRegistration => no_such_registration(),
        CancelError::Ended(state) => {
            let detail = match state {
                State::Expired { .. } => "This registration has expired.",
                _ => "This registration is cancelled already.",
            };
            ApiError::conflict("registration_ended", detail).with("registration_status", state.name())
        }
        CancelError::EventStarted => ApiError::conflict("event_started", "The event has started."),
        CancelError::RefundExceedsPayment(paid) => ApiError::conflict(
            "refund_exceeds_payment",
            format!("{paid} was paid; no more can go back."),
        )
        .with("amount_paid", common::money::Rupees(paid)),
        CancelError::Store(error) => error.into(),
    }
}

/// Logs that somebody created or changed an event. Replays under an idempotency key change nothing and are not logged.
pub fn log_event(what: &'static str, user_id: UserId, outcome: &Outcome<Event>) {
    if let Outcome::Done(event) = outcome {
        context::note_subject(event.id);
        let (event_id, version) = (event.id, event.version);
        tracing::info!(%event_id, %user_id, version, "{what}");
    }
}

/// Logs that a registration was created or has ended.
pub fn log_registration(what: &'static str, outcome: &Outcome<Registered>) {
    if let Outcome::Done(Registered { registration, .. }) = outcome {
        context::note_subject(registration.id);
        tracing::info!(
            registration_id = %registration.id,
            event_id = %registration.event_id,
            user_id = %registration.user_id,
            status = registration.state.name(),
            "{what}"
        );
    }
}
