//! `POST, GET /api/organiser/events/{id}/team`, `DELETE .../team/{user_id}`

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use common::{
    address::canonical,
    context::note_subject,
    extract::{Caller, KeyedJson, Organizer, PathId, PathIds, insufficient_role, organizer_only},
    fields::{Fields, FromFields, Parsed, Value},
    idempotency::{Answer, Keyed, Outcome},
    ids::{UserId, new_id},
    problem::ApiError,
    schemas::KeyParam,
    time::utc,
    wire::UserCard,
};
use runtime::verified_email::email_not_verified;
use serde::Serialize;
use shared_state::ratelimit::too_many;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{live::Done, no_such_event, rights::event_for};
use crate::{
    app::App,
    domain::team::{Invitation, InviteRefusal, MAX_TEAM, Member, Right, TeamRole},
    store::team::{InviteError, LeaveError, Left},
};

/// Whom to invite.
#[derive(ToSchema)]
pub struct Invite {
    /// Their e-mail address. It need not have an account yet.
    #[schema(max_length = 254, format = Email, example = "ravi@example.org")]
    email: String,
    /// As what.
    #[schema(example = "scanner")]
    role: TeamRole,
}

impl FromFields for Invite {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email", |value| Ok(canonical(&value.string()?)?));
        let role = fields.required("role", role);
        Some(Self {
            email: email?,
            role: role?,
        })
    }
}

fn role(value: Value<'_>) -> Parsed<TeamRole> {
    TeamRole::parse(&value.string()?).ok_or_else(|| "must be manager or scanner".to_owned())
}

/// Whether somebody is on the team.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TeamStatus {
    /// They are.
    Member,
    /// They are invited, and have not accepted.
    Invited,
}

/// Somebody on the team, or invited.
#[derive(Serialize, ToSchema)]
pub struct TeamView {
    /// Whether they are on the team.
    #[schema(example = "invited")]
    status: TeamStatus,
    /// As what.
    #[schema(example = "scanner")]
    role: TeamRole,
    /// A member's account.
    #[schema(value_type = Option<String>, required = true, format = Uuid, example = json!(null))]
    user_id: Option<UserId>,
    /// An invitation's id, by which it is withdrawn.
    #[schema(required = true, format = Uuid, example = "019309a2-0000-7000-8000-000000000071")]
    invitation_id: Option<Uuid>,
    /// The address; null: not known at the moment.
    #[schema(required = true, example = "ravi@example.org")]
    email: Option<String>,
    /// A member's name; null: none is known.
    #[schema(required = true, example = json!(null))]
    name: Option<String>,
    /// When they joined, or were invited, UTC.
    #[schema(format = DateTime, example = "2030-01-08T04:30:00.000Z")]
    since: String,
    /// Until when an invitation can be accepted, UTC.
    #[schema(required = true, format = DateTime, example = "2030-01-15T04:30:00.000Z")]
    expires_at: Option<String>,
}

impl From<&Invitation> for TeamView {
    fn from(invitation: &Invitation) -> Self {
        Self {
            status: TeamStatus::Invited,
            role: invitation.role,
            user_id: None,
            invitation_id: Some(invitation.id),
            email: Some(invitation.email.clone()),
            name: None,
            since: utc(invitation.invited_at),
            expires_at: Some(utc(invitation.expires_at)),
        }
    }
}

impl TeamView {
    fn member(member: &Member, card: Option<&UserCard>) -> Self {
        Self {
            status: TeamStatus::Member,
            role: member.role,
            user_id: Some(member.user),
            invitation_id: None,
            email: card.map(|card| card.email.clone()),
            name: card.and_then(|card| card.name.clone()),
            since: utc(member.since),
            expires_at: None,
        }
    }
}

/// Somebody was invited.
#[derive(Serialize, ToSchema)]
pub struct InvitedAnswer {
    /// What happened.
    #[schema(example = "The invitation will be mailed.")]
    message: &'static str,
    /// The invitation.
    #[serde(flatten)]
    invitation: TeamView,
}

/// The error response to a refused invitation.
pub fn invite_problem(error: InviteError) -> ApiError {
    match error {
        InviteError::NoSuchEvent => no_such_event(),
        InviteError::Refused(InviteRefusal::Cancelled) => {
            ApiError::conflict("event_cancelled", "This event was cancelled.")
        }
        InviteError::Refused(InviteRefusal::Over) => ApiError::conflict("event_over", "This event is over."),
        InviteError::Refused(InviteRefusal::Full) => ApiError::conflict(
            "team_full",
            format!("An event has {MAX_TEAM} members and open invitations at most. Remove one first."),
        ),
        InviteError::Store(error) => error.into(),
    }
}

fn no_such_member() -> ApiError {
    ApiError::not_found(
        "member_not_found",
        "Nobody on this event's team, and no open invitation, has this id.",
    )
}

fn leave_problem(error: LeaveError) -> ApiError {
    match error {
        LeaveError::NoSuchMember => no_such_member(),
        LeaveError::Store(error) => error.into(),
    }
}

common::problems!(
    InviteProblems:
    organizer_only(),
    insufficient_role(TeamRole::Manager),
    email_not_verified(),
    no_such_event(),
    invite_problem(InviteError::Refused(InviteRefusal::Cancelled)),
    invite_problem(InviteError::Refused(InviteRefusal::Over)),
    invite_problem(InviteError::Refused(InviteRefusal::Full)),
    too_many_letters(Duration::from_secs(3600)),
);

fn too_many_letters(wait: Duration) -> ApiError {
    too_many(wait, "Too many invitations today. Please try again later.")
}

/// Invite somebody to the team of one of your events, by a letter with a link that is good once, for seven days, and for the account of
/// that address. Another invitation of the same address takes its place. At most 100 a day.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/team",
    operation_id = "inviteToTeam",
    tag = "organiser",
    request_body(content = Invite, example = json!({"email": "ravi@example.org", "role": "scanner"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 202, description = "A letter is on its way", body = InvitedAnswer),
        InviteProblems,
    ),
    security(("bearer" = []))
)]
pub async fn invite(
    State(app): State<App>,
    Organizer(caller): Organizer,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<Invite>,
) -> Result<Response, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Own).await?;
    app.verified_email.check(caller.id).await?;
    let taken = app.invitations.take(caller.id, &input.email).await;
    taken.map_err(too_many_letters)?;
    let invitation = Invitation::new(new_id(), event.id, input.email, input.role, app.clock.now());
    let keyed = Keyed { key, answer: invited };
    let made = app
        .store
        .invite(invitation, keyed)
        .await
        .map_err(invite_problem)?;
    if let Outcome::Done(invitation) = &made {
        note_subject(invitation.id);
        let (invitation_id, role) = (invitation.id, invitation.role.name());
        tracing::info!(%invitation_id, event_id = %event.id, user_id = %caller.id, role, "invited to a team");
    }
    Ok(made.respond(invited))
}

fn invited(invitation: &Invitation) -> Answer {
    let body = InvitedAnswer {
        message: "The invitation will be mailed.",
        invitation: TeamView::from(invitation),
    };
    Answer::json(StatusCode::ACCEPTED, &body)
}

common::problems!(ListProblems: organizer_only(), insufficient_role(TeamRole::Scanner), no_such_event());

/// The team of an event: its members, then the invitations that are open.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/team",
    operation_id = "listTeam",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
    ),
    responses(
        (status = 200, description = "The team", body = Vec<TeamView>),
        ListProblems,
    ),
    security(("bearer" = []))
)]
pub async fn list_team(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Vec<TeamView>>, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Manage).await?;
    let team = app.store.team(event, app.clock.now()).await?;
    let cards = app.known(team.members.iter().map(|member| member.user)).await;
    let members = team.members.iter().map(|member| {
        let card = cards.get(&member.user).map(AsRef::as_ref);
        TeamView::member(member, card)
    });
    let invited = team.invitations.iter().map(TeamView::from);
    Ok(Json(members.chain(invited).collect()))
}

common::problems!(
    RemoveProblems:
    organizer_only(),
    insufficient_role(TeamRole::Manager),
    no_such_event(),
    no_such_member(),
);

/// Take somebody off the team, who loses every right at once, or withdraw an invitation by its id. Members may leave by themselves.
#[utoipa::path(
    delete,
    path = "/api/organiser/events/{id}/team/{user_id}",
    operation_id = "removeFromTeam",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("user_id" = String, Path, description = "The member's user id, or the id of an invitation", example = "019309a2-0000-7000-8000-000000000001"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "They are off it", body = Done),
        RemoveProblems,
    ),
    security(("bearer" = []))
)]
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    PathIds([id, who]): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let who = UserId::lenient(&who);
    let right = match who == caller.id {
        true => Right::Door,
        false => Right::Own,
    };
    let event = event_for(&app, &caller, &id, right).await?;
    let keyed = Keyed { key, answer: left };
    let left_team = app
        .store
        .leave(event.id, who.0, app.clock.now(), keyed)
        .await
        .map_err(leave_problem)?;
    if let Outcome::Done(one) = &left_team {
        note_subject(who);
        let (event_id, user_id) = (event.id, caller.id);
        match one {
            Left::Member(member) => {
                tracing::info!(member = %member.user, %event_id, %user_id, role = member.role.name(), "removed from a team");
            }
            Left::Invitation(invitation) => {
                tracing::info!(invitation_id = %invitation.id, %event_id, %user_id, "invitation to a team withdrawn");
            }
        }
    }
    Ok(left_team.respond(left))
}

fn left(one: &Left) -> Answer {
    super::live::message(match one {
        Left::Member(_) => "Removed from the team.",
        Left::Invitation(_) => "Invitation withdrawn.",
    })
}
