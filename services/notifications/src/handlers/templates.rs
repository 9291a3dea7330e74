//! `GET /api/notifications/templates` and `/{kind}/preview`: what messages say, with made-up values.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::{
    extract::{Organizer, Params, organizer_only},
    ids::EventId,
    problem::ApiError,
    schemas::choice,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema, openapi::Object};

use super::own_event::{no_such_event, own};
use crate::{
    app::App,
    channels::Content,
    domain::{
        language::Language,
        message::{Channel, Kind},
    },
    templates::samples::{KINDS, is_texted, sample},
};

/// A message is shown and nothing else: nothing in it may run, load or lead anywhere.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox",
);

/// 404 for a kind that there is not.
pub fn no_such_template() -> ApiError {
    ApiError::not_found("template_not_found", "There is no such kind of message.")
}

const LOCALES: &str = "must be en or hi";

common::problems!(ListProblems: organizer_only());
common::problems!(
    PreviewProblems: organizer_only(),
    no_such_template(),
    no_such_event(),
    ApiError::invalid_field("locale", LOCALES),
);

/// What messages of a kind are made of.
#[derive(Serialize, ToSchema)]
pub struct MessageTemplate {
    /// The kind; all reminders have one template.
    #[schema(example = "ticket")]
    kind: &'static str,
    /// The ways they go.
    #[schema(value_type = Vec<Channel>, example = json!(["email", "sms"]))]
    channels: Vec<&'static str>,
    /// The languages they are written in. Accounts with another `locale` get English.
    #[schema(example = json!(["en", "hi"]))]
    locales: Vec<&'static str>,
    /// What they can say.
    #[schema(example = json!(["event.place", "event.when", "event_name", "name", "ticket_code"]))]
    variables: Vec<String>,
}

/// How a message is shown.
#[derive(Clone, Copy, Default)]
enum Format {
    /// The e-mail, set nicely.
    #[default]
    Html,
    /// The e-mail's subject and its text.
    Text,
    /// The text message.
    Sms,
}

/// List the kinds of messages that are sent
#[utoipa::path(
    get,
    path = "/api/notifications/templates",
    operation_id = "listTemplates",
    tag = "notifications",
    responses(
        (status = 200, description = "The kinds, with what each can say", body = Vec<MessageTemplate>),
        ListProblems,
    ),
    security(("bearer" = []))
)]
pub async fn list(State(app): State<App>, _: Organizer) -> Result<Json<Vec<MessageTemplate>>, ApiError> {
    let describe = |kind: Kind| {
        let variables = app.parts.writer.variables(kind).map_err(ApiError::internal)?;
        let channels = [Channel::Email, Channel::Sms].into_iter();
        Ok(MessageTemplate {
            kind: kind.template(),
            channels: channels
                .filter(|channel| *channel == Channel::Email || is_texted(kind))
                .map(Channel::name)
                .collect(),
            locales: Language::ALL.map(Language::tag).to_vec(),
            variables: variables.into_iter().collect(),
        })
    };
    KINDS
        .into_iter()
        .map(describe)
        .collect::<Result<_, _>>()
        .map(Json)
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of what is read")]
struct PreviewParams {
    /// The language: `en` (the default) or `hi`.
    #[param(schema_with = locale, required = false, example = "hi")]
    locale: Option<String>,
    /// The e-mail as `html` (the default) or as `text`, whose first line is its subject, or the text message, `sms`.
    #[param(schema_with = format, required = false, example = "text")]
    format: Option<String>,
    /// One of your events: the message has its own words, where it has any of the kind.
    #[param(example = "019309a2-0000-7000-8000-000000000002")]
    event_id: Option<String>,
}

fn locale() -> Object {
    choice(&Language::ALL.map(Language::tag))
}

fn format() -> Object {
    choice(&["html", "text", "sms"])
}

/// Show a message as it will be sent, with made-up values
#[utoipa::path(
    get,
    path = "/api/notifications/templates/{kind}/preview",
    operation_id = "previewTemplate",
    tag = "notifications",
    params(
        ("kind" = String, Path, description = "A kind of the list", example = "ticket"),
        PreviewParams,
    ),
    responses(
        (status = 200, description = "The message", content(
            (String = "text/html"),
            (String = "text/plain"),
        )),
        PreviewProblems,
    ),
    security(("bearer" = []))
)]
pub async fn preview(
    State(app): State<App>,
    Organizer(caller): Organizer,
    Path(kind): Path<String>,
    mut params: Params,
) -> Result<Response, ApiError> {
    let of_name = |known: &Kind| known.template() == kind;
    let kind = KINDS.into_iter().find(of_name).ok_or_else(no_such_template)?;
    let language = params.get("locale", |text| {
        let mut languages = Language::ALL.into_iter();
        let language = languages.find(|language| language.tag() == text);
        language.ok_or_else(|| LOCALES.to_owned())
    });
    let format = params.get("format", |text| match text {
        "html" => Ok(Format::Html),
        "text" => Ok(Format::Text),
        "sms" if is_texted(kind) => Ok(Format::Sms),
        "sms" => Err("must be html or text: this kind is sent by e-mail only".to_owned()),
        _ => Err("must be html, text or sms".to_owned()),
    });
    let event_id = params.get("event_id", |text| Ok(EventId::lenient(text)));
    params.finish()?;
    let format = format.unwrap_or_default();
    let channel = match format {
        Format::Html | Format::Text => Channel::Email,
        Format::Sms => Channel::Sms,
    };
    let mut message = sample(kind, channel, language.unwrap_or(Language::English));
    if let Some(event_id) = event_id {
        own(&app, event_id, caller.id).await?;
        let wordings = app.parts.store.wordings(event_id).await?.into_iter();
        let mut wordings = wordings.filter(|wording| wording.kind == kind.template());
        message.details.own = wordings.next().map(|wording| Arc::new(wording.words));
    }
    let parcel = app.parts.writer.write(&message).map_err(ApiError::internal)?;
    let (kind, body) = match (parcel.content, format) {
        (Content::Email { html, .. }, Format::Html) => ("text/html; charset=utf-8", html),
        (Content::Email { subject, text, .. }, _) => {
            ("text/plain; charset=utf-8", format!("{subject}\n\n{text}"))
        }
        (Content::Sms { text, .. }, _) => ("text/plain; charset=utf-8", text),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    Ok((headers, body).into_response())
}
