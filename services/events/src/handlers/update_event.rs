//! `PATCH /api/organiser/events/{id}`

use axum::{extract::State, http::StatusCode, response::Response};
use chrono_tz::Tz;
use common::{
    extract::{Caller, KeyedJson, PathId, insufficient_role, organizer_only},
    fields::{Fields, FromFields, Value},
    idempotency::{Answer, Keyed},
    money::Paise,
    problem::ApiError,
    schemas::{Amount, KeyParam, Seats, Time, TimeZone},
    wire::EventFormat,
};
use utoipa::ToSchema;

use super::{change_problem, create_event as parse, listing, no_such_event, rights::event_for};
use crate::{
    app::App,
    domain::{
        event::{Event, Patch, PatchError},
        listing::{Category, ListingPatch, Tags, Visibility},
        team::{Right, TeamRole},
    },
    store::ChangeError,
    views::{EventAnswer, OwnEventView},
};

/// The request body. Fields that are left out stay as they are.
#[derive(ToSchema)]
#[schema(min_properties = 1)]
pub struct UpdateEvent {
    /// New name.
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 200,
        example = "Rust for organisers"
    )]
    pub e_name: Option<String>,
    /// New details.
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 10000,
        example = "An evening about building things that last."
    )]
    pub e_details: Option<String>,
    /// New start; without an offset, a wall-clock time in the event's zone.
    #[schema(value_type = Time, required = false, example = "2030-02-07T18:30:00")]
    pub event_time: Option<String>,
    /// New address.
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 500,
        example = "https://meet.example.org/rust-2"
    )]
    pub event_add: Option<String>,
    /// New capacity, not below the seats taken; null: unlimited.
    #[schema(value_type = Option<Seats>, example = 150)]
    pub capacity: Option<Option<u32>>,
    /// New price in rupees, for new registrations only.
    #[schema(value_type = Amount, required = false, example = 750)]
    pub fees: Option<Paise>,
    /// New zone; without a new start, the wall-clock time stays.
    #[schema(value_type = TimeZone, required = false)]
    pub timezone: Option<Tz>,
    /// New closing of registration; null: back to the default.
    #[schema(value_type = Option<Time>, example = "2030-02-07T12:00:00")]
    pub registration_closes_at: Option<Option<String>>,
    /// New format.
    #[schema(nullable = false, example = "hybrid")]
    pub format: Option<EventFormat>,
    /// New end; null: none. Without one the end moves with the start.
    #[schema(value_type = Option<Time>, example = "2030-02-07T20:30:00")]
    pub ends_at: Option<Option<String>>,
    /// New place to join; null: none.
    #[schema(value_type = Option<String>, max_length = 2000, format = "https-url", example = "https://meet.example.org/rust-2")]
    pub join_url: Option<Option<String>>,
    /// New opening of registration; null: at once. Without one it moves with the start until it has come. Once somebody is
    /// registered it is not in the future.
    #[schema(value_type = Option<Time>, example = "2030-01-08T10:00:00")]
    pub registration_opens_at: Option<Option<String>>,
    /// New category.
    #[schema(nullable = false, example = "technology")]
    pub category: Option<Category>,
    /// New tags, in place of all; `[]`: none.
    #[schema(schema_with = listing::tags_schema, required = false)]
    pub tags: Option<Tags>,
    /// New picture; null: none.
    #[schema(value_type = Option<String>, max_length = 2000, format = "https-url", example = "https://img.example.org/rust.jpg")]
    pub image_url: Option<Option<String>>,
    /// Whether lists have it.
    #[schema(nullable = false, example = "unlisted")]
    pub visibility: Option<Visibility>,
}

impl FromFields for UpdateEvent {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        const ALL: [&str; 16] = [
            "e_name",
            "e_details",
            "event_time",
            "event_add",
            "capacity",
            "fees",
            "timezone",
            "registration_closes_at",
            "format",
            "ends_at",
            "join_url",
            "registration_opens_at",
            "category",
            "tags",
            "image_url",
            "visibility",
        ];
        if !ALL.iter().any(|name| fields.has(name)) {
            fields.error("body", format!("must change at least one of {}", ALL.join(", ")));
        }
        if fields.has("draft") {
            fields.error(
                "draft",
                "is not changed here: a draft is published by a call of its own, once",
            );
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
            format: fields.changed("format", parse::format),
            ends_at: fields.nullable("ends_at", parse::time),
            join_url: fields.nullable("join_url", parse::https_url),
            registration_opens_at: fields.nullable("registration_opens_at", parse::time),
            category: fields.changed("category", listing::category),
            tags: fields.changed("tags", listing::tags),
            image_url: fields.nullable("image_url", parse::https_url),
            visibility: fields.changed("visibility", listing::visibility),
        })
    }
}

common::problems!(
    Problems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    change_problem(ChangeError::Refused(PatchError::Cancelled)),
    change_problem(ChangeError::Refused(PatchError::CapacityBelowRegistrations(120))),
    change_problem(ChangeError::Refused(PatchError::RegistrationBegan)),
);

/// Change one of your events. Attendees are notified of a new time, place, link or name; reminders follow the start.
#[utoipa::path(
    patch,
    path = "/api/organiser/events/{id}",
    operation_id = "updateEvent",
    tag = "organiser",
    request_body(content = UpdateEvent, example = json!({"capacity": 150, "event_add": "https://meet.example.org/rust-2"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The event", body = EventAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn update_event(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<UpdateEvent>,
) -> Result<Response, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Manage).await?;
    let patch = Patch {
        name: input.e_name,
        details: input.e_details,
        time: input.event_time,
        zone: input.timezone,
        address: input.event_add,
        capacity: input.capacity,
        fee: input.fees,
        closes_at: input.registration_closes_at,
        format: input.format,
        ends_at: input.ends_at,
        join_url: input.join_url,
        reminders: None,
        opens_at: input.registration_opens_at,
        listing: ListingPatch {
            category: input.category,
            tags: input.tags,
            image_url: input.image_url,
            visibility: input.visibility,
        },
    };
    let keyed = Keyed { key, answer };
    let changed = app
        .store
        .update_event(event.id, event.organizer, patch, app.clock.now(), keyed)
        .await;
    let changed = changed.map_err(change_problem)?;
    super::log_event("event changed", caller.id, &changed);
    Ok(changed.respond(answer))
}

fn answer(event: &Event) -> Answer {
    let body = EventAnswer {
        message: "Event updated successfully.",
        event: OwnEventView::from(event),
    };
    Answer::json(StatusCode::OK, &body)
}
