//! `POST` and `DELETE /api/reg/waitlist/{event_id}`, `GET /api/reg/waitlist`

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use common::{
    clock::from_millis,
    context,
    extract::{Caller, KeyedJson, Params, PathId},
    http::{Page, page},
    idempotency::{Answer, Keyed, Outcome},
    ids::{EventId, UserId, WaitlistId},
    problem::ApiError,
    schemas::{KeyParam, PageParams},
    time::utc,
};

use super::{no_such_event, register_problem};
use crate::{
    app::App,
    domain::waitlist::{self, Entry, Join, JoinRefusal},
    store::{
        RegisterError,
        waitlist::{Listed, WaitlistError},
    },
    views::waitlist::{WaitlistAnswer, WaitlistView},
};

/// The error response to somebody who cannot join or leave a line.
fn problem(error: WaitlistError) -> ApiError {
    match error {
        WaitlistError::NoSuchEvent => no_such_event(),
        WaitlistError::Listed(entry, position) => {
            ApiError::conflict("already_waiting", "You are on this event's waitlist already.")
                // `status` itself is the HTTP status of every problem document (RFC 9457).
                .with("waitlist_status", entry.state.name())
                .with("position", position)
                .with("offer_expires_at", entry.state.until().map(utc))
        }
        WaitlistError::NotListed => {
            ApiError::not_found("not_waiting", "You are not on this event's waitlist.")
        }
        WaitlistError::Refused(why) => match why {
            JoinRefusal::Cannot(why) => register_problem(why.into()),
            JoinRefusal::SeatsAvailable => ApiError::conflict(
                "seats_available",
                "There are free seats: register instead of waiting.",
            ),
            JoinRefusal::Listed(entry) => problem(WaitlistError::Listed(entry, None)),
        },
        WaitlistError::Store(error) => error.into(),
    }
}

/// The existing entry in the example of a 409 in the OpenAPI document.
fn example() -> Entry {
    Entry {
        id: WaitlistId::lenient("019309a2-0000-7000-8000-000000000012"),
        event_id: EventId::lenient("019309a2-0000-7000-8000-000000000002"),
        user_id: UserId::lenient("019309a2-0000-7000-8000-000000000006"),
        place: 1,
        state: waitlist::State::Waiting,
        joined_at: from_millis(1_795_353_246_000),
    }
}

common::problems!(
    JoinProblems:
    no_such_event(),
    register_problem(RegisterError::NotPublished),
    register_problem(RegisterError::EventCancelled),
    register_problem(RegisterError::NotOpen { opens_at: chrono::DateTime::UNIX_EPOCH, wait: Default::default() }),
    register_problem(RegisterError::Closed),
    problem(WaitlistError::Refused(JoinRefusal::SeatsAvailable)),
    register_problem(RegisterError::Already(super::register_event::example())),
    problem(WaitlistError::Listed(example(), Some(1))),
);
common::problems!(
    LeaveProblems:
    no_such_event(),
    problem(WaitlistError::NotListed),
);

/// Join the waitlist of a full event. A freed seat is offered to the first in line and held for them.
#[utoipa::path(
    post,
    path = "/api/reg/waitlist/{event_id}",
    operation_id = "joinWaitlist",
    tag = "registrations",
    params(
        ("event_id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 201, description = "The place in the line", body = WaitlistAnswer),
        JoinProblems,
    ),
    security(("bearer" = []))
)]
pub async fn join_waitlist(
    State(app): State<App>,
    caller: Caller,
    PathId(event_id): PathId,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let join = Join {
        id: WaitlistId::new(),
        event_id: EventId::lenient(&event_id),
        user_id: caller.id,
        now: app.clock.now(),
    };
    let keyed = Keyed { key, answer: joined };
    let outcome = app.store.join_waitlist(join, keyed).await.map_err(problem)?;
    log("waitlist joined", &outcome);
    Ok(outcome.respond(joined))
}

/// Leave the waitlist of an event. A seat that is offered to you goes to the next in line.
#[utoipa::path(
    delete,
    path = "/api/reg/waitlist/{event_id}",
    operation_id = "leaveWaitlist",
    tag = "registrations",
    params(
        ("event_id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The place that was given up", body = WaitlistAnswer),
        LeaveProblems,
    ),
    security(("bearer" = []))
)]
pub async fn leave_waitlist(
    State(app): State<App>,
    caller: Caller,
    PathId(event_id): PathId,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let keyed = Keyed { key, answer: left };
    let event = EventId::lenient(&event_id);
    let left_line = app
        .store
        .leave_waitlist(event, caller.id, app.clock.now(), keyed)
        .await;
    let outcome = left_line.map_err(problem)?;
    log("waitlist left", &outcome);
    Ok(outcome.respond(left))
}

/// List your places on waitlists, newest first, ended ones too.
#[utoipa::path(
    get,
    path = "/api/reg/waitlist",
    operation_id = "listWaitlist",
    tag = "registrations",
    params(PageParams),
    responses((status = 200, description = "The places; the next page is in Link", body = Vec<WaitlistView>)),
    security(("bearer" = []))
)]
pub async fn list_waitlist(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    params.finish()?;
    let (found, next) = app.store.waitlist_of(caller.id, page, app.clock.now()).await?;
    Ok(page::respond(
        found.iter().map(WaitlistView::from).collect(),
        next,
        &uri,
    ))
}

fn joined(listed: &Listed) -> Answer {
    let body = WaitlistAnswer {
        message: "You are on the waitlist.",
        entry: WaitlistView::from(listed),
    };
    Answer::json(StatusCode::CREATED, &body)
}

fn left(listed: &Listed) -> Answer {
    let body = WaitlistAnswer {
        message: "You have left the waitlist.",
        entry: WaitlistView::from(listed),
    };
    Answer::json(StatusCode::OK, &body)
}

fn log(what: &'static str, outcome: &Outcome<Listed>) {
    if let Outcome::Done(Listed { entry, .. }) = outcome {
        context::note_subject(entry.id);
        tracing::info!(waitlist_id = %entry.id, event_id = %entry.event_id, user_id = %entry.user_id, "{what}");
    }
}
