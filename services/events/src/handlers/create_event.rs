//! `POST /api/organiser/create_event`

use axum::{extract::State, http::StatusCode, response::Response};
use chrono_tz::Tz;
use common::{
    extract::{KeyedJson, Organizer, organizer_only},
    fields::{Fields, FromFields, Parsed, Value},
    idempotency::{Answer, Keyed},
    ids::EventId,
    money::{MINIMUM_CHARGE, Paise},
    problem::ApiError,
    schemas::{Amount, KeyParam, Seats, Time, TimeZone},
    time::EventTime,
    wire::EventFormat,
};
use runtime::verified_email::email_not_verified;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{
        event::{Event, EventDraft, MAX_CAPACITY, ends_after, needs_address, opens_before},
        listing::{Category, Listing, Tags, Visibility},
        stream::address::https,
    },
    handlers::{NO_ADDRESS, listing},
    views::{EventAnswer, OwnEventView},
};

/// The request body.
#[derive(ToSchema)]
pub struct CreateEvent {
    /// The name, one line of at most 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Rust for organisers")]
    pub e_name: String,
    /// The description, at most 10,000 characters.
    #[schema(
        min_length = 1,
        max_length = 10000,
        example = "An evening about building things that last."
    )]
    pub e_details: String,
    /// The start: RFC 3339; without an offset, a wall-clock time in `timezone`.
    #[schema(value_type = Time, example = "2030-01-31T18:30:00")]
    pub event_time: String,
    /// The address, a street or a link, one line of at most 500 characters. Required unless `format` is `online`.
    #[schema(min_length = 1, max_length = 500, example = "12 MG Road, Bengaluru")]
    pub event_add: Option<String>,
    /// Seats, 1 to 1,000,000; null: unlimited.
    #[schema(value_type = Option<Seats>, required = true, example = 100)]
    pub capacity: Option<u32>,
    /// Price in rupees: 0, or 1.00 and more, at most two decimals; a number or a decimal string.
    #[schema(value_type = Amount, example = 500)]
    pub fees: Paise,
    /// IANA zone; default Asia/Kolkata.
    #[schema(value_type = Option<TimeZone>)]
    pub timezone: Option<Tz>,
    /// When registration closes; default: at the start, or never for an event in the past.
    #[schema(value_type = Option<Time>, example = "2030-01-31T12:00:00")]
    pub registration_closes_at: Option<String>,
    /// How people take part: `in_person` (default), `online` or `hybrid`.
    #[schema(example = "in_person")]
    pub format: Option<EventFormat>,
    /// When it ends, after its start.
    #[schema(value_type = Option<Time>, example = "2030-01-31T20:30:00")]
    pub ends_at: Option<String>,
    /// Where to join it, an https address; shown to confirmed attendees and to you only.
    #[schema(value_type = Option<String>, max_length = 2000, format = "https-url", example = "https://meet.example.org/rust")]
    pub join_url: Option<String>,
    /// Whether only you are to see it, until you publish it.
    #[schema(example = false)]
    pub draft: Option<bool>,
    /// When registration opens, before it closes; default: at once.
    #[schema(value_type = Option<Time>, example = "2030-01-01T10:00:00")]
    pub registration_opens_at: Option<String>,
    /// What it is about; default: `other`.
    #[schema(example = "technology")]
    pub category: Option<Category>,
    /// At most 10 tags of 1 to 30 characters. Case, accents and full-width forms make no difference between them.
    #[schema(schema_with = listing::maybe_tags_schema, required = false)]
    pub tags: Option<Tags>,
    /// The address of a picture, https.
    #[schema(value_type = Option<String>, max_length = 2000, format = "https-url", example = "https://img.example.org/rust.jpg")]
    pub image_url: Option<String>,
    /// `public` (default), or `unlisted`: who knows its id sees it, and lists do not have it.
    #[schema(example = "public")]
    pub visibility: Option<Visibility>,
}

impl FromFields for CreateEvent {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let e_name = fields.required("e_name", name);
        let e_details = fields.required("e_details", details);
        let event_time = fields.required("event_time", time);
        let format = fields.optional("format", format);
        let event_add = fields.optional("event_add", address);
        if !fields.has("event_add") && needs_address(format.unwrap_or_default()) {
            fields.error("event_add", NO_ADDRESS);
        }
        let capacity = fields.nullable("capacity", capacity);
        if !fields.has("capacity") {
            fields.error("capacity", "is required (null means unlimited)");
        }
        let fees = fields.required("fees", fees);
        let timezone = fields.optional("timezone", Value::zone);
        let registration_closes_at = fields.optional("registration_closes_at", time);
        let ends_at = fields.optional("ends_at", time);
        let join_url = fields.optional("join_url", https_url);
        let draft = fields.optional("draft", listing::yes_or_no);
        let registration_opens_at = fields.optional("registration_opens_at", time);
        let category = fields.optional("category", listing::category);
        let tags = fields.optional("tags", listing::tags);
        let image_url = fields.optional("image_url", https_url);
        let visibility = fields.optional("visibility", listing::visibility);
        Some(Self {
            e_name: e_name?,
            e_details: e_details?,
            event_time: event_time?,
            event_add,
            capacity: capacity?,
            fees: fees?,
            timezone,
            registration_closes_at,
            format,
            ends_at,
            join_url,
            draft,
            registration_opens_at,
            category,
            tags,
            image_url,
            visibility,
        })
    }
}

/// Parses an event's name.
pub fn name(value: Value<'_>) -> Parsed<String> {
    value.line(200)
}

/// Parses an event's details.
pub fn details(value: Value<'_>) -> Parsed<String> {
    value.text(10_000)
}

/// Parses an event's address.
pub fn address(value: Value<'_>) -> Parsed<String> {
    value.line(500)
}

/// Parses how people take part.
pub fn format(value: Value<'_>) -> Parsed<EventFormat> {
    let name = value.string()?;
    EventFormat::parse(&name).ok_or_else(|| listing::one_of(&EventFormat::ALL.map(EventFormat::name)))
}

/// Parses the address to join at, or of a picture.
pub fn https_url(value: Value<'_>) -> Parsed<String> {
    https(&value.line(2_000)?).map(String::from)
}

/// Checks the text of a time. Its validity does not depend on the zone, which is known only later.
pub fn time(value: Value<'_>) -> Parsed<String> {
    let text = value.string()?;
    EventTime::parse(&text, Tz::UTC)?;
    Ok(text)
}

/// Parses a number of seats.
pub fn capacity(value: Value<'_>) -> Parsed<u32> {
    let seats = value.integer(1, i64::from(MAX_CAPACITY)).map_err(|_| {
        format!("must be a whole number from 1 to {MAX_CAPACITY}, or null for unlimited; 0 is not allowed")
    })?;
    u32::try_from(seats).map_err(|error| error.to_string())
}

/// Parses a price: 0, or at least the payment provider's minimum.
pub fn fees(value: Value<'_>) -> Parsed<Paise> {
    let amount = value.rupees()?;
    if amount > Paise::ZERO && amount < MINIMUM_CHARGE {
        return Err("must be 0 or at least 1.00 rupees".to_owned());
    }
    Ok(amount)
}

common::problems!(Problems: organizer_only(), email_not_verified());

/// Create an event, or a draft of one.
#[utoipa::path(
    post,
    path = "/api/organiser/create_event",
    operation_id = "createEvent",
    tag = "organiser",
    request_body(content = CreateEvent, example = json!({
        "e_name": "Rust for organisers", "e_details": "An evening about building things that last.",
        "event_time": "2030-01-31T18:30:00", "event_add": "https://meet.example.org/rust", "capacity": 100, "fees": 500,
    })),
    params(KeyParam),
    responses(
        (status = 201, description = "The event", body = EventAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn create_event(
    State(app): State<App>,
    Organizer(caller): Organizer,
    KeyedJson { input, key }: KeyedJson<CreateEvent>,
) -> Result<Response, ApiError> {
    app.verified_email.check(caller.id).await?;
    let zone = input.timezone.unwrap_or(app.default_timezone);
    let parse =
        |field, text: &str| EventTime::parse(text, zone).map_err(|why| ApiError::invalid_field(field, why));
    let draft = EventDraft {
        name: input.e_name,
        details: input.e_details,
        time: parse("event_time", &input.event_time)?,
        address: input.event_add.unwrap_or_default(),
        capacity: input.capacity,
        fee: input.fees,
        closes_at: match &input.registration_closes_at {
            Some(text) => Some(parse("registration_closes_at", text)?.at),
            None => None,
        },
        format: input.format.unwrap_or_default(),
        ends_at: match &input.ends_at {
            Some(text) => Some(parse("ends_at", text)?.at),
            None => None,
        },
        join_url: input.join_url,
        draft: input.draft.unwrap_or_default(),
        opens_at: match &input.registration_opens_at {
            Some(text) => Some(parse("registration_opens_at", text)?.at),
            None => None,
        },
        listing: Listing {
            category: input.category.unwrap_or_default(),
            tags: input.tags.unwrap_or_default(),
            image_url: input.image_url,
            visibility: input.visibility.unwrap_or_default(),
        },
    };
    if let Some(end) = draft.ends_at {
        ends_after(draft.time.at, end).map_err(|why| ApiError::invalid_field("ends_at", why))?;
    }
    let now = app.clock.now();
    opens_before(draft.opens_at, draft.closes(now))
        .map_err(|why| ApiError::invalid_field("registration_opens_at", why))?;
    let event = draft.into_event(EventId::new(), caller.id, now);
    let created = app.store.create_event(event, Keyed { key, answer }).await?;
    super::log_event("event created", caller.id, &created);
    Ok(created.respond(answer))
}

fn answer(event: &Event) -> Answer {
    let body = EventAnswer {
        message: "Event created successfully.",
        event: OwnEventView::from(event),
    };
    Answer::json(StatusCode::CREATED, &body)
}
