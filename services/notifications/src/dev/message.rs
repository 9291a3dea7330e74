//! `GET /dev/mailbox/{message_id}`: one message, or with `?raw=1` its file.

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
        Words,
        mailbox::{self, NAME},
    },
};

pub async fn message(
    State(app): State<App>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Response, ApiError> {
    let raw = params.get("raw", |text| Ok(!matches!(text, "0" | "false")));
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
        return Ok((headers, bytes).into_response());
    }
    // The same message says the same every time, so it can be written anew instead of taking the file apart.
    let parcel = app.parts.writer.write(&message).map_err(ApiError::internal)?;
    let (subject, text, html) = match parcel.words {
        Words::Email { subject, text, html } => (subject, text, Value::from(html)),
        Words::Sms { text } => ("Text message".to_owned(), text, Value::from(())),
    };
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
