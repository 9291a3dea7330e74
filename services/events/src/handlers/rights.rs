//! Who may do what of running an event: its organizer, and its team.

use std::sync::Arc;

use common::{
    auth::Role,
    extract::{Caller, insufficient_role, organizer_only},
    ids::{EventId, UserId},
    problem::ApiError,
    store::StoreError,
};

use crate::{
    app::App,
    domain::{
        event::Event,
        team::{Barred, Rank, Right},
    },
    handlers::no_such_event,
};

/// The event, of which the caller has a right.
///
/// # Errors
/// 404 when there is no such event, or it is another organizer's; 403 for those who organize nothing, and for those whose role on
/// its team does not give the right.
pub async fn event_for(app: &App, caller: &Caller, id: &str, right: Right) -> Result<Arc<Event>, ApiError> {
    let organizes = caller.role == Role::Organizer;
    let Some(event) = app.store.event(EventId::lenient(id)).await? else {
        // As if it were somebody else's: nobody learns what there is.
        let nobody = Rank::Stranger.require(right, organizes);
        return Err(nobody.map_or_else(barred, |()| no_such_event()));
    };
    rank_of(app, &event, caller.id)
        .await?
        .require(right, organizes)
        .map_err(barred)?;
    Ok(Arc::new(event))
}

/// What a user is to an event that is run.
///
/// # Errors
/// A storage error.
pub async fn rank_of(app: &App, event: &Event, user: UserId) -> Result<Rank, StoreError> {
    let role = match event.organizer == user {
        true => None,
        false => app.store.team_role(event.id, user).await?,
    };
    Ok(Rank::of(user, event, role))
}

/// The error response to who has no right.
pub fn barred(why: Barred) -> ApiError {
    match why {
        Barred::NoSuchEvent => no_such_event(),
        Barred::OrganizerOnly => organizer_only(),
        Barred::Role(role) => insufficient_role(role),
    }
}
