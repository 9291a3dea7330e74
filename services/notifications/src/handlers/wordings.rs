//! `GET /api/organiser/events/{id}/templates`, and `PUT, DELETE .../{kind}`: the words that an event has of its own.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use common::{
    context::note_subject,
    extract::{KeyedJson, Organizer, PathId, PathIds, organizer_only},
    fields::{Fields, FromFields},
    idempotency::{Answer, Keyed, Outcome},
    ids::{EventId, WordingId},
    problem::{ApiError, FieldError},
    schemas::KeyParam,
    time::utc,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    own_event::{no_such_event, own},
    templates::no_such_template,
};
use crate::{
    app::App,
    domain::wording::{self, Fault, OwnWords, Wording},
    templates::samples,
};

/// The request body.
#[derive(ToSchema)]
#[schema(as = SetWording)]
pub struct SetWords {
    /// The subject, one line, which is the heading too. Variables: `{{ event_name }}`.
    #[schema(min_length = 1, max_length = 200, example = "You are in: {{ event_name }}")]
    subject: String,
    /// The opening; an empty line begins a paragraph. When, where, the ticket's code, what becomes of money and the links follow
    /// as in every letter.
    #[schema(
        min_length = 1,
        max_length = 5000,
        example = "We look forward to meeting you.\n\nBring a laptop: we build things."
    )]
    text: String,
    /// The text message; null: the standard one. That of a ticket must hold `{{ ticket_code }}`. Where the provider takes
    /// registered texts only (MSG91, in India), the registered text is sent instead.
    #[schema(
        min_length = 1,
        max_length = 300,
        required = false,
        example = "{{ event_name }}: your ticket is {{ ticket_code }}"
    )]
    sms: Option<String>,
}

impl FromFields for SetWords {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let subject = fields.required("subject", |value| value.line(wording::SUBJECT));
        let text = fields.required("text", |value| value.text(wording::TEXT));
        let sms = fields.optional("sms", |value| value.line(wording::SMS));
        Some(Self {
            subject: subject?,
            text: text?,
            sms,
        })
    }
}

/// What an event says in letters of a kind.
#[derive(Serialize, ToSchema)]
pub struct WordingView {
    /// The kind; all reminders have one template.
    #[schema(example = "ticket")]
    kind: &'static str,
    /// What its words may hold.
    #[schema(example = json!(["event_name", "name", "ticket_code"]))]
    variables: Vec<&'static str>,
    /// The event's own subject; null: the standard one.
    #[schema(required = true, example = "You are in: {{ event_name }}")]
    subject: Option<String>,
    /// Its own opening; null: the standard one.
    #[schema(required = true, example = "We look forward to meeting you.")]
    text: Option<String>,
    /// Its own text message; null: the standard one.
    #[schema(
        required = true,
        example = "{{ event_name }}: your ticket is {{ ticket_code }}"
    )]
    sms: Option<String>,
    /// Since when the words are its own; null: they are the standard ones.
    #[schema(required = true, format = DateTime, example = "2030-01-30T12:00:00.000Z")]
    changed_at: Option<String>,
}

impl WordingView {
    /// The standard words of a kind.
    fn standard(kind: &'static str) -> Self {
        Self {
            kind,
            variables: wording::variables(kind).into_iter().flatten().collect(),
            subject: None,
            text: None,
            sms: None,
            changed_at: None,
        }
    }
}

impl From<&Wording> for WordingView {
    fn from(wording: &Wording) -> Self {
        let OwnWords { subject, text, sms } = wording.words.clone();
        Self {
            subject: Some(subject),
            text: Some(text),
            sms,
            changed_at: Some(utc(wording.created_at)),
            ..Self::standard(wording.kind)
        }
    }
}

/// Words that an account has written, in its export.
#[derive(Serialize)]
pub struct ExportedWording {
    event_id: String,
    #[serde(flatten)]
    wording: WordingView,
}

impl From<&Wording> for ExportedWording {
    fn from(wording: &Wording) -> Self {
        Self {
            event_id: wording.event_id.to_string(),
            wording: wording.into(),
        }
    }
}

/// Words that were just set.
#[derive(Serialize, ToSchema)]
pub struct WordingAnswer {
    /// What happened.
    #[schema(example = "Letters say so from now on.")]
    message: &'static str,
    /// The words.
    #[serde(flatten)]
    wording: WordingView,
}

/// What came of going back to the standard words.
#[derive(Serialize, ToSchema)]
pub struct StandardWords {
    /// What happened.
    #[schema(example = "Letters have the standard words again.")]
    message: &'static str,
}

fn words_are_fixed() -> ApiError {
    ApiError::conflict(
        "template_fixed",
        "The words of this kind are the same for all events.",
    )
}

/// The kind of a path, which an event may have words of its own for.
fn kind_of(name: &str) -> Result<&'static str, ApiError> {
    let fixed = || samples::KINDS.iter().any(|kind| kind.template() == name);
    match wording::kind_of(name) {
        Some(kind) => Ok(kind),
        None if fixed() => Err(words_are_fixed()),
        None => Err(no_such_template()),
    }
}

/// 422 with the names of what letters of the kind do not know.
fn refused(faults: impl IntoIterator<Item = (&'static str, Fault)>) -> ApiError {
    let (mut errors, mut unknown) = (Vec::new(), Vec::new());
    for (field, fault) in faults {
        errors.push(FieldError {
            field: field.to_owned(),
            message: fault.to_string(),
        });
        if let Fault::Unknown(names) = fault {
            unknown.extend(names);
        }
    }
    unknown.sort();
    unknown.dedup();
    let refused = ApiError::invalid(errors);
    if unknown.is_empty() {
        refused
    } else {
        refused.with("unknown_variables", unknown)
    }
}

common::problems!(ListProblems: organizer_only(), no_such_event());

/// List the kinds of messages that one of your events may have its own words for, with those it has.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/templates",
    operation_id = "listWordings",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
    ),
    responses(
        (status = 200, description = "The kinds", body = Vec<WordingView>),
        ListProblems,
    ),
    security(("bearer" = []))
)]
pub async fn list(
    State(app): State<App>,
    Organizer(caller): Organizer,
    PathId(id): PathId,
) -> Result<Json<Vec<WordingView>>, ApiError> {
    let event_id = EventId::lenient(&id);
    own(&app, event_id, caller.id).await?;
    let found = app.parts.store.wordings(event_id).await?;
    let view = |kind| {
        let own = found.iter().find(|wording| wording.kind == kind);
        own.map_or_else(|| WordingView::standard(kind), WordingView::from)
    };
    Ok(Json(wording::kinds().map(view).collect()))
}

common::problems!(
    SetProblems:
    organizer_only(),
    no_such_event(),
    no_such_template(),
    words_are_fixed(),
    // With `unknown_variables`, which other faults do not bring.
    ApiError::invalid_field("text", "has unknown variables: tiket_code"),
);

/// Say what letters of a kind say for one of your events, those that are written from now on.
#[utoipa::path(
    put,
    path = "/api/organiser/events/{id}/templates/{kind}",
    operation_id = "setWording",
    tag = "organiser",
    request_body(content = SetWords, example = json!({
        "subject": "You are in: {{ event_name }}",
        "text": "We look forward to meeting you, {{ name }}.\n\nBring a laptop: we build things.",
        "sms": "{{ event_name }}: your ticket is {{ ticket_code }}",
    })),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("kind" = String, Path, description = "A kind of the list", example = "ticket"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "Letters say so from now on", body = WordingAnswer),
        SetProblems,
    ),
    security(("bearer" = []))
)]
pub async fn set(
    State(app): State<App>,
    Organizer(caller): Organizer,
    PathIds([event, kind]): PathIds,
    KeyedJson { input, key }: KeyedJson<SetWords>,
) -> Result<Response, ApiError> {
    let event_id = EventId::lenient(&event);
    own(&app, event_id, caller.id).await?;
    let kind = kind_of(&kind)?;
    let SetWords { subject, text, sms } = input;
    let words = OwnWords { subject, text, sms };
    let faults = wording::check(kind, &words);
    if !faults.is_empty() {
        return Err(refused(faults));
    }
    let wording = Wording {
        id: WordingId::new(),
        event_id,
        kind,
        organizer: caller.id,
        words,
        created_at: app.parts.clock.now(),
    };
    let keyed = Keyed {
        key,
        answer: were_set,
    };
    let done = app.parts.store.set_wording(wording, keyed).await?;
    if let Outcome::Done(wording) = &done {
        note_subject(event_id);
        let wording_id = wording.id;
        tracing::info!(%event_id, kind, %wording_id, user_id = %caller.id, "an event has its own words");
    }
    Ok(done.respond(were_set))
}

fn were_set(wording: &Wording) -> Answer {
    let body = WordingAnswer {
        message: "Letters say so from now on.",
        wording: wording.into(),
    };
    Answer::json(StatusCode::OK, &body)
}

common::problems!(
    DropProblems:
    organizer_only(),
    no_such_event(),
    no_such_template(),
    words_are_fixed(),
);

/// Go back to the standard words of a kind. Fine where the event has no others.
#[utoipa::path(
    delete,
    path = "/api/organiser/events/{id}/templates/{kind}",
    operation_id = "dropWording",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("kind" = String, Path, description = "A kind of the list", example = "ticket"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "Letters have the standard words again", body = StandardWords),
        DropProblems,
    ),
    security(("bearer" = []))
)]
pub async fn drop(
    State(app): State<App>,
    Organizer(caller): Organizer,
    PathIds([event, kind]): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let event_id = EventId::lenient(&event);
    own(&app, event_id, caller.id).await?;
    let kind = kind_of(&kind)?;
    let keyed = Keyed {
        key,
        answer: were_dropped,
    };
    let now = app.parts.clock.now();
    let done = app.parts.store.drop_wording(event_id, kind, now, keyed).await?;
    if let Outcome::Done(()) = &done {
        note_subject(event_id);
        tracing::info!(%event_id, kind, user_id = %caller.id, "an event has the standard words");
    }
    Ok(done.respond(were_dropped))
}

fn were_dropped(_: &()) -> Answer {
    let body = StandardWords {
        message: "Letters have the standard words again.",
    };
    Answer::json(StatusCode::OK, &body)
}
