//! What an organizer and their team do at the desk and the door of an event.

pub mod attendees;
pub mod cancel_for;
pub mod check_in;
pub mod csv;
pub mod stats;

use std::sync::Arc;

use common::{
    auth::Role,
    extract::{Caller, organizer_only},
    ids::EventId,
    problem::ApiError,
};

use crate::{app::App, domain::event::Event, handlers::no_such_event};

/// The event at whose desk the caller may work.
///
/// # Errors
/// 404 when there is no such event, or it is another organizer's; 403 for those who organize nothing.
pub async fn desk_of(app: &App, caller: &Caller, id: &str) -> Result<Arc<Event>, ApiError> {
    let event = app.store.event(EventId::lenient(id)).await?;
    match event {
        Some(event) if event.organizer == caller.id => Ok(Arc::new(event)),
        _ if caller.role == Role::User => Err(organizer_only()),
        _ => Err(no_such_event()),
    }
}
