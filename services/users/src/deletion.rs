//! The end of an account, as far as other services have a part in it.

use common::{
    clock::Timestamp,
    http::CallError,
    ids::UserId,
    outbox::NewMessage,
    problem::ApiError,
    services::Service,
    wire::{AccountDeleted, AskOpenEvents, OpenEvents, kind},
};

use crate::app::App;

/// How many events of a user people can still come to.
///
/// # Errors
/// 503 when the events service does not answer.
pub async fn open_events(app: &App, user: UserId) -> Result<usize, ApiError> {
    let question = AskOpenEvents { user_id: user };
    let answer: Result<OpenEvents, CallError> =
        app.others.events.post("/internal/events/open", &question).await;
    let answer = answer.map_err(|error| {
        ApiError::unavailable("Your events cannot be looked up at the moment. Please try again.")
            .because(error)
    })?;
    Ok(answer.open)
}

/// What has the other services end what the account has there. It is stored with the deletion, so it comes to them whatever
/// happens in between.
pub fn messages(user: UserId, now: Timestamp) -> Vec<NewMessage> {
    let fact = AccountDeleted { user_id: user };
    Service::Users
        .publishes_to()
        .iter()
        .map(|service| NewMessage::new(service.name(), kind::ACCOUNT_DELETED, user, now, &fact))
        .collect()
}
