//! `POST /api/organiser/team/accept`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    context::note_subject,
    extract::{Caller, KeyedJson},
    fields::{Fields, FromFields},
    idempotency::{Answer, Keyed, Outcome},
    ids::EventId,
    problem::ApiError,
    schemas::KeyParam,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::team::{AcceptRefusal, TeamRole},
    store::team::{AcceptError, Joined},
};

/// The longest token, in characters.
const MAX_TOKEN: usize = 100;

/// The token of an invitation.
#[derive(ToSchema)]
pub struct Accept {
    /// As the letter brings it.
    #[schema(
        min_length = 1,
        max_length = 100,
        example = "AZMJogAAcACAAAAAAAAAB2q0bJ0mB0tP2yTn9b8m0Jk"
    )]
    token: String,
}

impl FromFields for Accept {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let token = fields.required("token", |value| value.line(MAX_TOKEN))?;
        Some(Self { token })
    }
}

/// Somebody joined.
#[derive(Serialize, ToSchema)]
pub struct JoinedAnswer {
    /// What happened.
    #[schema(example = "You are on the team.")]
    message: &'static str,
    /// The event.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    event_id: EventId,
    /// Its name.
    #[schema(example = "Rust for organisers")]
    e_name: String,
    /// As what.
    #[schema(example = "scanner")]
    role: TeamRole,
}

/// The error response to a token that lets nobody join.
pub fn accept_problem(error: AcceptError) -> ApiError {
    match error {
        AcceptError::Refused(AcceptRefusal::NoSuchInvitation) => ApiError::forbidden(
            "token_invalid",
            "This invitation is not good: it was used or withdrawn, has run out, or a newer one took its place. Ask for another one.",
        ),
        AcceptError::Refused(AcceptRefusal::AnotherAddress) => ApiError::forbidden(
            "invitation_for_another_address",
            "This invitation was mailed to another address than your account's. Sign in with the account of that address, or ask for an invitation to yours.",
        ),
        AcceptError::Refused(AcceptRefusal::OwnEvent) => {
            ApiError::conflict("own_event", "This event is your own.")
        }
        AcceptError::Store(error) => error.into(),
    }
}

common::problems!(
    Problems:
    accept_problem(AcceptRefusal::NoSuchInvitation.into()),
    accept_problem(AcceptRefusal::AnotherAddress.into()),
    accept_problem(AcceptRefusal::OwnEvent.into()),
);

/// Join the team of an event, by the token of an invitation that was mailed to your account's address.
#[utoipa::path(
    post,
    path = "/api/organiser/team/accept",
    operation_id = "acceptInvitation",
    tag = "organiser",
    request_body(content = Accept, example = json!({"token": "AZMJogAAcACAAAAAAAAAB2q0bJ0mB0tP2yTn9b8m0Jk"})),
    params(KeyParam),
    responses(
        (status = 200, description = "You are on the team", body = JoinedAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn accept(
    State(app): State<App>,
    caller: Caller,
    KeyedJson { input, key }: KeyedJson<Accept>,
) -> Result<Response, ApiError> {
    let invalid = || accept_problem(AcceptRefusal::NoSuchInvitation.into());
    let invitation = app.invitations.of_token(&input.token).ok_or_else(invalid)?;
    let found = app.directory.find([caller.id]).await.map_err(|error| {
        ApiError::unavailable("Accounts cannot be looked up at the moment.").because(error)
    })?;
    // An account that is gone has no address that was invited.
    let email = found
        .get(&caller.id)
        .map(|card| card.email.clone())
        .unwrap_or_default();
    let keyed = Keyed { key, answer: joined };
    let accepted = app
        .store
        .accept(invitation, caller.id, email, app.clock.now(), keyed)
        .await
        .map_err(accept_problem)?;
    if let Outcome::Done(Joined { member, .. }) = &accepted {
        note_subject(invitation);
        let role = member.role.name();
        tracing::info!(invitation_id = %invitation, event_id = %member.event, user_id = %member.user, role, "joined a team");
    }
    Ok(accepted.respond(joined))
}

fn joined(Joined { member, event }: &Joined) -> Answer {
    let body = JoinedAnswer {
        message: "You are on the team.",
        event_id: event.id,
        e_name: event.name.clone(),
        role: member.role,
    };
    Answer::json(StatusCode::OK, &body)
}
