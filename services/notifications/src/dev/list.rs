//! `GET /dev/mailbox` and `/dev/mailbox.json`: what lies in the mailbox, newest first.

use axum::{
    extract::State,
    http::{HeaderMap, Uri, header},
    response::Response,
};
use common::{
    clock::Timestamp,
    extract::Params,
    http::{Cursor, Page, page},
    problem::ApiError,
    time::utc,
};
use minijinja::{Value, context};
use serde::Serialize;

use crate::{
    app::App,
    channels::mailbox::NAME,
    domain::{address::sought, message::Message},
};

#[derive(Serialize)]
struct Item {
    id: String,
    channel: &'static str,
    to: String,
    /// Of a text message: its text.
    subject: String,
    kind: &'static str,
    created_at: String,
}

/// As a page, or as JSON for clients that prefer that.
pub async fn list(
    State(app): State<App>,
    params: Params,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let json = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    if json {
        return list_json(State(app), params, uri).await;
    }
    let (messages, next, address) = find(&app, params).await?;
    let items = messages
        .iter()
        .map(|message| row(&app, message))
        .collect::<Result<Vec<_>, _>>()?;
    let values = context! {
        items => items,
        next => next.map(Cursor::encode),
        address => address.unwrap_or_default(),
        first => uri.query().is_none_or(|query| !query.contains("cursor=")),
    };
    app.pages.show("list.html", values)
}

/// As JSON.
pub async fn list_json(State(app): State<App>, params: Params, uri: Uri) -> Result<Response, ApiError> {
    let (messages, next, _) = find(&app, params).await?;
    let items = messages
        .iter()
        .map(|message| item(&app, message))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(page::respond(items, next, &uri))
}

/// A page of messages, perhaps only those `?to=` an address.
async fn find(
    app: &App,
    mut params: Params,
) -> Result<(Vec<Message>, Option<Cursor>, Option<String>), ApiError> {
    let page = Page::read(&mut params);
    let address = params.get("to", |text| Ok(sought(text)));
    let address = address.filter(|address| !address.is_empty());
    params.finish()?;
    let messages = app.parts.store.taken_by(NAME, address.clone(), page).await?;
    let (messages, next) = page.cut(messages, |message| Cursor {
        key: 0,
        id: message.id.0,
    });
    Ok((messages, next, address))
}

fn item(app: &App, message: &Message) -> Result<Item, ApiError> {
    Ok(Item {
        id: message.id.to_string(),
        channel: message.channel.name(),
        to: message.address.clone(),
        subject: app.parts.writer.title(message).map_err(ApiError::internal)?,
        kind: message.kind.name(),
        created_at: utc(message.created_at),
    })
}

fn row(app: &App, message: &Message) -> Result<Value, ApiError> {
    let Item {
        id,
        channel,
        to,
        subject,
        kind,
        ..
    } = item(app, message)?;
    Ok(context! { id, channel, to, subject, kind, time => shown(message.created_at) })
}

/// A time as the pages show it: `2024-11-22 13:14:06 UTC`.
pub fn shown(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
