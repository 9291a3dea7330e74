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
    domain::{
        address::sought,
        message::{Kind, Message},
    },
    templates::samples,
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
    let (messages, next, filter) = find(&app, params).await?;
    let items = messages
        .iter()
        .map(|message| row(&app, message))
        .collect::<Result<Vec<_>, _>>()?;
    let values = context! {
        wide => true,
        items => items,
        next => next.map(Cursor::encode),
        person => filter.person.unwrap_or_default(),
        kind => filter.kind.unwrap_or_default(),
        kinds => samples::KINDS.map(Kind::template),
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

/// Which messages are wanted.
#[derive(Default)]
struct Filter {
    /// As it was asked for: an address or number, or a part of a name or address.
    person: Option<String>,
    /// The name of a kind, or of a template, which stands for all reminders.
    kind: Option<String>,
}

impl Filter {
    /// The address or number that is meant, in the form in which it is kept.
    fn address(&self) -> Option<String> {
        let person = self.person.as_deref()?;
        let is_part = !person.contains('@') && person.chars().any(char::is_alphabetic);
        (!is_part)
            .then(|| sought(person))
            .filter(|address| !address.is_empty())
    }

    /// The part of a name or address that is meant.
    fn part(&self) -> Option<String> {
        let person = self.person.as_deref().filter(|_| self.address().is_none())?;
        Some(person.trim().to_lowercase()).filter(|part| !part.is_empty())
    }

    fn has(&self, message: &Message, part: Option<&str>) -> bool {
        let of_kind = self
            .kind
            .as_deref()
            .is_none_or(|kind| message.kind.name() == kind || message.kind.template() == kind);
        let name = message.name.as_deref().unwrap_or_default();
        let of_person = |part: &str| {
            [name, &message.address]
                .iter()
                .any(|text| text.to_lowercase().contains(part))
        };
        of_kind && part.is_none_or(of_person)
    }
}

/// Messages looked at for one page when most of them are not wanted. Beyond it the next page goes on.
const LOOKED_AT: usize = 5_000;
/// Of them so many at once.
const AT_ONCE: usize = 200;

/// A page of messages, perhaps only those `?to=` somebody and of a `?kind=`.
async fn find(app: &App, mut params: Params) -> Result<(Vec<Message>, Option<Cursor>, Filter), ApiError> {
    let page = Page::read(&mut params);
    let filter = Filter {
        person: params.get("to", |text| Ok(text.to_owned())),
        kind: params.get("kind", kind).flatten(),
    };
    params.finish()?;
    let (address, part) = (filter.address(), filter.part());
    let store = &app.parts.store;
    if filter.kind.is_none() && part.is_none() {
        let messages = store.taken_by(NAME, address, page).await?;
        let (messages, next) = page.cut(messages, cursor);
        return Ok((messages, next, filter));
    }
    // A few thousand messages of a developer's own are looked through faster than an index for each question is kept.
    let (mut found, mut after) = (Vec::new(), page.after);
    let mut left = LOOKED_AT;
    while left > 0 && found.len() <= page.limit {
        let batch = Page {
            limit: AT_ONCE,
            after,
        };
        let (messages, next) = batch.cut(store.taken_by(NAME, address.clone(), batch).await?, cursor);
        found.extend(
            messages
                .into_iter()
                .filter(|message| filter.has(message, part.as_deref())),
        );
        after = next;
        left = if next.is_some() { left - AT_ONCE } else { 0 };
    }
    let (messages, next) = page.cut(found, cursor);
    Ok((messages, next.or(after), filter))
}

fn cursor(message: &Message) -> Cursor {
    Cursor {
        key: 0,
        id: message.id.0,
    }
}

/// A kind that there is; nothing stands for all.
fn kind(name: &str) -> Result<Option<String>, String> {
    let known = || samples::KINDS.iter().any(|kind| kind.template() == name) || Kind::parse(name).is_some();
    match name.trim() {
        "" => Ok(None),
        name if known() => Ok(Some(name.to_owned())),
        _ => Err("must be a kind of message".to_owned()),
    }
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
