//! `GET /dev/mailbox/{message_id}`: one message; with `?text=1` its plain text, with `?raw=1` its file.

use axum::{
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::{extract::Params, ids::MessageId, problem::ApiError};
use minijinja::{Value, context};

use super::list::shown;
use crate::{
    app::App,
    channels::{
        Content,
        mailbox::{self, NAME},
    },
};

pub async fn message(
    State(app): State<App>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Response, ApiError> {
    let mut wanted = |name| params.get(name, |text| Ok(!matches!(text, "0" | "false")));
    let (raw, plain) = (wanted("raw"), wanted("text"));
    params.finish()?;
    let missing = || ApiError::not_found("message_not_found", "There is no such message in the mailbox.");
    let message = app
        .parts
        .store
        .find(NAME, MessageId::lenient(&id))
        .await?
        .ok_or_else(missing)?;
    if raw.unwrap_or(false) {
        // The path is made of the id as we write it, never of what was sent to us.
        let path = mailbox::file(&app.mailbox, message.id, message.channel);
        let bytes = tokio::fs::read(&path)
            .await
            .map_err(|error| missing().because(error))?;
        return Ok(as_text(bytes));
    }
    // The same message has the same text every time, so it can be rendered again instead of parsing the file.
    let parcel = app.parts.writer.write(&message).map_err(ApiError::internal)?;
    let (subject, text, html) = match parcel.content {
        Content::Email {
            subject, text, html, ..
        } => (subject, text, Value::from(html)),
        Content::Sms { text, .. } => ("Text message".to_owned(), text, Value::from(())),
    };
    if plain.unwrap_or(false) {
        return Ok(as_text(text));
    }
    let values = context! {
        id => message.id.to_string(),
        channel => message.channel.name(),
        kind => message.kind.name(),
        to => message.address.clone(),
        name => parcel.name,
        time => shown(message.created_at),
        subject,
        text,
        html,
    };
    app.pages.show("message.html", values)
}

fn as_text(body: impl IntoResponse) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}
