//! `PATCH /api/organiser/events/{id}`

use axum::{extract::State, http::StatusCode, response::Response};
use chrono_tz::Tz;
use common::{
    extract::{Organizer, PathId, Unsafe},
    fields::{Fields, FromFields, Value},
    idempotency::{Answer, Keyed},
    ids::EventId,
    money::Paise,
    problem::{ApiError, Problem},
};
use utoipa::ToSchema;

use super::{change_problem, create_event as parse};
use crate::{
    app::App,
    domain::event::{Event, Patch},
    views::{EventAnswer, EventView},
};

/// What to change; what is left out stays as it is.
#[derive(ToSchema)]
pub struct UpdateEvent {
    /// New name.
    pub e_name: Option<String>,
    /// New details.
    pub e_details: Option<String>,
    /// New start; without an offset it is a wall-clock time in the event's zone.
    pub event_time: Option<String>,
    /// New place.
    pub event_add: Option<String>,
    /// New capacity, not below the seats taken; null: unlimited.
    #[schema(value_type = Option<u32>)]
    pub capacity: Option<Option<u32>>,
    /// New price in rupees, for registrations made from now on.
    #[schema(value_type = Option<f64>)]
    pub fees: Option<Paise>,
    /// New zone; without a new start, the wall-clock time stays.
    #[schema(value_type = Option<String>)]
    pub timezone: Option<Tz>,
    /// New end of registration; null: back to the default.
    #[schema(value_type = Option<String>)]
    pub registration_closes_at: Option<Option<String>>,
}

impl FromFields for UpdateEvent {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        const ALL: [&str; 8] = [
            "e_name",
            "e_details",
            "event_time",
            "event_add",
            "capacity",
            "fees",
            "timezone",
            "registration_closes_at",
        ];
        if !ALL.iter().any(|name| fields.has(name)) {
            fields.error("body", format!("must change at least one of {}", ALL.join(", ")));
        }
        Some(Self {
            e_name: fields.changed("e_name", parse::name),
            e_details: fields.changed("e_details", parse::details),
            event_time: fields.changed("event_time", parse::time),
            event_add: fields.changed("event_add", parse::address),
            capacity: fields.nullable("capacity", parse::capacity),
            fees: fields.changed("fees", parse::fees),
            timezone: fields.changed("timezone", Value::zone),
            registration_closes_at: fields.nullable("registration_closes_at", parse::time),
        })
    }
}

/// Change an event of yours. Attendees hear of a new time, place or name, and reminders move with the start.
#[utoipa::path(
    patch,
    path = "/api/organiser/events/{id}",
    tag = "organiser",
    request_body = UpdateEvent,
    params(
        ("id" = String, Path, description = "The event's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the request again"),
    ),
    responses(
        (status = 200, description = "The event", body = EventAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Not an organizer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such event of yours"),
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "`capacity_below_registrations` or `event_cancelled`"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Wrong fields"),
    ),
    security(("bearer" = []))
)]
pub async fn update_event(
    State(app): State<App>,
    Organizer(caller): Organizer,
    PathId(id): PathId,
    Unsafe { input, key }: Unsafe<UpdateEvent>,
) -> Result<Response, ApiError> {
    let patch = Patch {
        name: input.e_name,
        details: input.e_details,
        time: input.event_time,
        zone: input.timezone,
        address: input.event_add,
        capacity: input.capacity,
        fee: input.fees,
        closes_at: input.registration_closes_at,
    };
    let keyed = Keyed { key, answer };
    let changed = app
        .store
        .update_event(EventId::lenient(&id), caller.id, patch, app.clock.now(), keyed)
        .await;
    let changed = changed.map_err(change_problem)?;
    super::log_event("event changed", &changed);
    Ok(changed.respond(answer))
}

fn answer(event: &Event) -> Answer {
    let body = EventAnswer {
        message: "Event updated successfully.",
        event: EventView::from(event),
    };
    Answer::json(StatusCode::OK, &body)
}
