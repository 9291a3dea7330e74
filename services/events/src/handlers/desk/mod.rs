//! What an organizer and their team do at the desk and the door of an event.

pub mod attendees;
pub mod cancel_for;
pub mod check_in;
pub mod csv;
pub mod stats;

use std::sync::Arc;

use common::{extract::Caller, problem::ApiError};

use crate::{
    app::App,
    domain::{event::Event, team::Right},
    handlers::rights::event_for,
};

/// The event at whose desk the caller may work.
///
/// # Errors
/// As [`event_for`].
pub async fn desk_of(app: &App, caller: &Caller, id: &str) -> Result<Arc<Event>, ApiError> {
    event_for(app, caller, id, Right::Door).await
}
