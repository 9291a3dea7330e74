//! What of a user's account is the events service's: what is open, and what ends when the account is deleted.

use std::time::Duration;

use axum::http::StatusCode;
use common::{
    clock::Timestamp,
    context,
    http::Page,
    idempotency::{Answer, Keyed},
    ids::UserId,
    store::StoreError,
};

use crate::{
    app::App,
    domain::event::Event,
    store::{CancelError, ChangeError, Own, StatusFilter},
};

/// After this time an account is closed once more: what was admitted before it was deleted is over then. A body may take 12 s to
/// arrive and a handler 30 s, and a process that nobody tells of ended sessions asks within seconds.
const AGAIN: Duration = Duration::from_secs(60);
/// Rows that are looked at together.
const AT_ONCE: usize = 100;

/// The events of an organizer that people can still come to, and drafts.
///
/// # Errors
/// A storage error.
pub async fn open_events(app: &App, organizer: UserId, now: Timestamp) -> Result<Vec<Event>, StoreError> {
    let (mut open, mut page) = (Vec::new(), first());
    loop {
        let found = app.store.organizer_events(organizer, Own::Kept, page).await?;
        let is_open = |event: &Event| event.is_to_come(now) || (event.draft && !event.cancelled);
        open.extend(found.events.into_iter().filter(is_open));
        match found.next {
            None => return Ok(open),
            next => page.after = next,
        }
    }
}

/// [`close`], and once more after a while.
///
/// # Errors
/// A storage error of the first time.
pub async fn close_for_good(app: &App, user: UserId) -> Result<(), StoreError> {
    close(app, user).await?;
    let app = app.clone();
    context::spawn(async move {
        tokio::time::sleep(AGAIN).await;
        if let Err(error) = close(&app, user).await {
            tracing::warn!(user_id = %user, %error, "a deleted account could not be looked at again");
        }
    });
    Ok(())
}

/// Ends what a deleted account has: its registrations for events to come, with refunds, its places on waitlists, events that it made in the moment
/// before, and what it has said beside events, with its name. Each is a commit of its own, and done a second time it changes nothing, so that a message that comes again
/// goes on where the first one was interrupted.
///
/// # Errors
/// A storage error.
pub async fn close(app: &App, user: UserId) -> Result<(), StoreError> {
    let now = app.clock.now();
    for event in open_events(app, user, now).await? {
        match app.store.cancel_event(event.id, user, now, unkeyed()).await {
            Ok(_) => {
                tracing::info!(event_id = %event.id, user_id = %user, "event cancelled with its organizer's account")
            }
            Err(ChangeError::Store(error)) => return Err(error),
            // Cancelled already.
            Err(_) => {}
        }
    }
    let mut page = first();
    loop {
        let (found, next) = app
            .store
            .registrations(user, StatusFilter::Live, page, now)
            .await?;
        for registered in found {
            let id = registered.registration.id;
            match app.store.cancel_registration(id, user, now, unkeyed()).await {
                Ok(_) => {
                    tracing::info!(registration_id = %id, user_id = %user, "registration ended with its account")
                }
                Err(CancelError::Store(error)) => return Err(error),
                // It has ended meanwhile, or its event has begun: then it is a record of the past.
                Err(_) => {}
            }
        }
        match next {
            None => break,
            next => page.after = next,
        }
    }
    while app.store.forget_waiting(user, now, AT_ONCE).await? == AT_ONCE {}
    app.store.drop_calendar(user).await?;
    while app.store.forget_author(user, now, AT_ONCE).await? == AT_ONCE {}
    while app.store.forget_viewer(user, AT_ONCE).await? == AT_ONCE {}
    Ok(())
}

fn first() -> Page {
    Page {
        limit: AT_ONCE,
        after: None,
    }
}

/// Nobody asks again under a key.
fn unkeyed<T>() -> Keyed<T> {
    Keyed {
        key: None,
        answer: |_| Answer::json(StatusCode::OK, &()),
    }
}
