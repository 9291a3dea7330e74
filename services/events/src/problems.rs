//! Error responses that several of the service's rooms give.

use common::problem::ApiError;

use crate::{
    domain::{post::PostRefusal, standing::Denied},
    store::posts::PostError,
};

/// 404 for an event that does not exist, or that is not the caller's.
pub fn no_such_event() -> ApiError {
    ApiError::not_found("event_not_found", "There is no such event.")
}

/// The error response to what somebody may not do beside an event.
pub fn denied(why: Denied) -> ApiError {
    match why {
        Denied::NotAttending => ApiError::forbidden(
            "not_attending",
            "This is for the event's organizer and those whose registration is confirmed.",
        ),
        Denied::Banned => ApiError::forbidden("banned", "You were banned from this event's live channels."),
        Denied::Muted => ApiError::forbidden("muted", "You were muted and cannot write at the moment."),
        Denied::ChatClosed => ApiError::conflict("chat_closed", "The chat is closed."),
        Denied::TooSoon(wait) => ApiError::too_many_requests(
            wait.as_secs_f64().ceil() as u64,
            "The chat is in slow mode: please wait before your next message.",
        ),
        Denied::OrganizerOnly => {
            ApiError::forbidden("event_organizer_only", "Only the event's organizer may do this.")
        }
        Denied::NotTheOrganizer => {
            ApiError::conflict("is_organizer", "The event's organizer cannot be muted or banned.")
        }
    }
}

/// The error response to a refused post, change or vote.
pub fn post_problem(error: PostError) -> ApiError {
    match error {
        PostError::NoSuchEvent => no_such_event(),
        PostError::AlreadyVoted => ApiError::conflict("already_voted", "You have voted already."),
        PostError::Refused(why) => post_refused(why),
        PostError::Store(error) => error.into(),
    }
}

/// Likewise.
pub fn post_refused(why: PostRefusal) -> ApiError {
    match why {
        PostRefusal::NoSuchPost => ApiError::not_found("post_not_found", "There is nothing with this id."),
        PostRefusal::Denied(why) => denied(why),
        PostRefusal::NotYours => ApiError::forbidden("not_yours", "This is somebody else's."),
        PostRefusal::NotOpen => ApiError::conflict("poll_not_open", "The poll was not opened yet."),
        PostRefusal::Closed => {
            ApiError::conflict("voting_closed", "This poll or question takes no more votes.")
        }
        PostRefusal::NoSuchOption => ApiError::not_found("option_not_found", "The poll has no such option."),
    }
}
