//! `GET, PUT /api/organiser/events/{id}/reminders`

use axum::{Json, extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Caller, KeyedJson, PathId, insufficient_role, organizer_only},
    fields::{Fields, FromFields, Parsed, Value},
    idempotency::{Answer, Keyed},
    leads::{Leads, MAX_HOURS, MAX_LEADS, WRONG},
    problem::ApiError,
    schemas::KeyParam,
};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use utoipa::{
    ToSchema,
    openapi::{
        Type,
        schema::{Array, Object},
    },
};

use super::{change_problem, no_such_event, rights::event_for};
use crate::{
    app::App,
    domain::{
        event::{Event, Patch, PatchError},
        team::{Right, TeamRole},
    },
    store::ChangeError,
};

/// When attendees are reminded.
#[derive(ToSchema)]
pub struct SetReminders {
    /// Hours before the start.
    #[schema(schema_with = hours)]
    #[expect(dead_code, reason = "the document's view of the leads")]
    hours_before: Vec<u16>,
}

/// The request body.
pub struct NewLeads(Leads);

impl FromFields for NewLeads {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        fields.required("hours_before", leads).map(Self)
    }
}

fn leads(value: Value<'_>) -> Parsed<Leads> {
    let hours: Vec<Box<RawValue>> = value.object().map_err(|_| WRONG)?;
    let hours = hours.iter().map(|hours| Value::of(hours).integer(1, MAX_HOURS));
    let hours: Vec<i64> = hours.collect::<Result<_, _>>().map_err(|_| WRONG)?;
    Leads::new(&hours).map_err(str::to_owned)
}

fn hours() -> Array {
    let hours = Object::builder()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MAX_HOURS));
    Array::builder()
        .items(hours)
        .min_items(Some(1))
        .max_items(Some(MAX_LEADS))
        .unique_items(true)
        .examples([json!([24, 3])])
        .build()
}

/// When attendees of an event are reminded of it.
#[derive(Serialize, ToSchema)]
pub struct RemindersView {
    /// Hours before the start, the longest first.
    #[schema(schema_with = hours)]
    hours_before: Vec<u16>,
}

impl From<&Event> for RemindersView {
    fn from(event: &Event) -> Self {
        Self {
            hours_before: event.reminders.hours(),
        }
    }
}

common::problems!(ReadProblems: organizer_only(), insufficient_role(TeamRole::Scanner), no_such_event());
common::problems!(
    Problems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    change_problem(ChangeError::Refused(PatchError::Cancelled)),
);

/// When attendees of one of your events are reminded of it.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/reminders",
    operation_id = "getReminders",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
    ),
    responses(
        (status = 200, description = "The reminders", body = RemindersView),
        ReadProblems,
    ),
    security(("bearer" = []))
)]
pub async fn get_reminders(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<RemindersView>, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Manage).await?;
    Ok(Json(RemindersView::from(&*event)))
}

/// Say when attendees are reminded, those who are registered already included.
#[utoipa::path(
    put,
    path = "/api/organiser/events/{id}/reminders",
    operation_id = "setReminders",
    tag = "organiser",
    request_body(content = SetReminders, example = json!({"hours_before": [72, 24, 1]})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The reminders", body = RemindersView),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn set_reminders(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<NewLeads>,
) -> Result<Response, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Manage).await?;
    let patch = Patch {
        reminders: Some(input.0),
        ..Patch::default()
    };
    let keyed = Keyed { key, answer };
    let changed = app
        .store
        .update_event(event.id, event.organizer, patch, app.clock.now(), keyed)
        .await;
    let changed = changed.map_err(change_problem)?;
    super::log_event("event's reminders set", caller.id, &changed);
    Ok(changed.respond(answer))
}

fn answer(event: &Event) -> Answer {
    Answer::json(StatusCode::OK, &RemindersView::from(event))
}
