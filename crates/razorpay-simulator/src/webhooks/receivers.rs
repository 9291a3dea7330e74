//! Receivers of events: the one of the settings, and those registered by `POST /v1/webhooks`.

use axum::{Json, extract::State};
use rusqlite::{Connection, OptionalExtension, params};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::deliverable;
use crate::{
    app::{App, Tx},
    db,
    failure::Failure,
    http::{Answer, Body, Fields, Id, collection},
    ids,
};

/// The id of the receiver in the settings, whose secret is there too.
pub(crate) const CONFIGURED: &str = "configured";

/// Somebody who is told of events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Receiver {
    pub(super) id: String,
    pub(super) url: String,
    secret: String,
    /// The events it wants; none named: all.
    events: Vec<String>,
    alert_email: Option<String>,
    /// Unix seconds.
    created_at: i64,
    updated_at: i64,
}

impl Receiver {
    /// Whether it wants an event.
    pub(super) fn wants(&self, event: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|wanted| wanted == event)
    }

    /// What its events are signed with.
    pub(super) fn secret(&self, app: &App) -> SecretString {
        if self.id == CONFIGURED {
            app.settings.webhook_secret.clone()
        } else {
            SecretString::from(self.secret.as_str())
        }
    }

    fn view(&self, active: bool, app: &App) -> Value {
        json!({
            "id": self.id, "entity": "webhook", "url": self.url, "active": active,
            "secret_exists": !self.secret(app).expose_secret().is_empty(), "events": self.events,
            "alert_email": self.alert_email, "created_at": self.created_at, "updated_at": self.updated_at,
            "owner_type": "merchant", "owner_id": app.account_id, "service": "api",
        })
    }
}

/// The active receivers.
pub(super) fn active(db: &Connection) -> Result<Vec<Receiver>, Failure> {
    db::documents(db, "SELECT doc FROM receivers WHERE active = 1", [])
}

/// Puts the receiver of the settings in place of the last start's. What waited for that one goes to this one: it is
/// the same service at another address. A start enables it again.
pub(crate) fn configure(db: &Connection, url: Option<&str>) -> Result<(), Failure> {
    let Some(url) = url else {
        return db::execute(db, "UPDATE receivers SET active = 0 WHERE id = ?1", [CONFIGURED]).map(drop);
    };
    let receiver = Receiver {
        id: CONFIGURED.to_owned(),
        url: url.to_owned(),
        secret: String::new(),
        events: Vec::new(),
        alert_email: None,
        created_at: 0,
        updated_at: 0,
    };
    save(db, &receiver, true)
}

fn save(db: &Connection, receiver: &Receiver, active: bool) -> Result<(), Failure> {
    let sql = "INSERT OR REPLACE INTO receivers (id, url, active, doc) VALUES (?1, ?2, ?3, ?4)";
    db::execute(
        db,
        sql,
        params![
            receiver.id,
            receiver.url,
            active,
            serde_json::to_string(receiver)?
        ],
    )
    .map(drop)
}

/// The first receiver that meets a condition on `?1`, and whether it is active.
fn find(db: &Connection, condition: &str, value: &str) -> Result<Option<(Receiver, bool)>, Failure> {
    let sql = format!("SELECT doc, active FROM receivers WHERE {condition}");
    let row = db
        .prepare_cached(&sql)?
        .query_row([value], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
        })
        .optional()?;
    match row {
        Some((doc, active)) => Ok(Some((serde_json::from_str(&doc)?, active))),
        None => Ok(None),
    }
}

/// Registers a receiver. An address that is registered already has its registration updated, so that a program may
/// register itself at every start and still hear of each event once.
pub(crate) async fn create(State(app): State<App>, Body(fields): Body) -> Answer {
    let url = address(&fields)?.ok_or_else(|| Failure::missing("url"))?;
    let shown = app.clone();
    let receiver = app
        .change(move |tx| {
            let known = find(tx.db, "url = ?1 AND id <> 'configured'", &url)?;
            let mut receiver = known.map(|(receiver, _)| receiver).unwrap_or_else(|| Receiver {
                id: ids::bare(),
                url,
                secret: String::new(),
                events: Vec::new(),
                alert_email: None,
                created_at: tx.now(),
                updated_at: tx.now(),
            });
            apply(tx, &mut receiver, &fields, true)
        })
        .await?;
    Ok(Json(receiver.0.view(receiver.1, &shown)))
}

/// One registration.
pub(crate) async fn fetch(State(app): State<App>, Id(id): Id) -> Answer {
    let found = app.db.read(move |db| find(db, "id = ?1", &id)).await?;
    let (receiver, active) = found.ok_or_else(Failure::unknown_id)?;
    Ok(Json(receiver.view(active, &app)))
}

/// All registrations.
pub(crate) async fn list(State(app): State<App>) -> Answer {
    let shown = app.clone();
    let items = app
        .db
        .read(move |db| {
            let ids: Vec<String> = db
                .prepare("SELECT id FROM receivers ORDER BY id")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut items = Vec::new();
            for id in ids {
                if let Some((receiver, active)) = find(db, "id = ?1", &id)? {
                    items.push(receiver.view(active, &shown));
                }
            }
            Ok(items)
        })
        .await?;
    Ok(Json(collection(items)))
}

/// Changes a registration; also enables a disabled one again.
pub(crate) async fn update(State(app): State<App>, Id(id): Id, Body(fields): Body) -> Answer {
    let url = address(&fields)?;
    let shown = app.clone();
    let receiver = app
        .change(move |tx| {
            let (mut receiver, active) = find(tx.db, "id = ?1", &id)?.ok_or_else(Failure::unknown_id)?;
            if let Some(url) = url {
                receiver.url = url;
            }
            let active = fields.flag("active")?.unwrap_or(active);
            apply(tx, &mut receiver, &fields, active)
        })
        .await?;
    Ok(Json(receiver.0.view(receiver.1, &shown)))
}

/// Ends a registration. What was waiting for it is not sent.
pub(crate) async fn remove(State(app): State<App>, Id(id): Id) -> Answer {
    app.change(move |tx| {
        if db::execute(tx.db, "DELETE FROM receivers WHERE id = ?1", [&id])? == 0 {
            return Err(Failure::unknown_id());
        }
        let sql = "UPDATE deliveries SET due_at = NULL, outcome = 'removed' WHERE receiver = ?1 AND due_at IS NOT NULL";
        db::execute(tx.db, sql, [&id]).map(drop)
    })
    .await?;
    Ok(Json(json!([])))
}

fn apply(
    tx: &Tx<'_>,
    receiver: &mut Receiver,
    fields: &Fields,
    active: bool,
) -> Result<(Receiver, bool), Failure> {
    if let Some(secret) = fields.text("secret", 255)? {
        receiver.secret = secret;
    }
    if let Some(email) = fields.text("alert_email", 255)? {
        receiver.alert_email = Some(email);
    }
    if let Some(events) = wanted_events(fields.get("events"))? {
        receiver.events = events;
    }
    receiver.updated_at = tx.now();
    save(tx.db, receiver, active)?;
    tx.wake_outgoing();
    Ok((receiver.clone(), active))
}

fn address(fields: &Fields) -> Result<Option<String>, Failure> {
    match fields.text("url", 2048)? {
        Some(url) if !deliverable(&url) => Err(Failure::invalid("url", "The url format is invalid.")),
        url => Ok(url),
    }
}

/// A list of names, or an object of names and switches.
fn wanted_events(events: Option<&Value>) -> Result<Option<Vec<String>>, Failure> {
    let wrong = || Failure::invalid("events", "The events must be a list of event names.");
    let names: Vec<String> = match events {
        None => return Ok(None),
        Some(Value::Array(names)) => {
            let names: Option<_> = names
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect();
            names.ok_or_else(wrong)?
        }
        Some(Value::Object(switches)) => switches
            .iter()
            .filter(|(_, on)| {
                !matches!(on, Value::Null | Value::Bool(false)) && **on != json!(0) && **on != json!("0")
            })
            .map(|(name, on)| match on {
                // `events[]=...` in a form.
                Value::String(event) if name.bytes().all(|byte| byte.is_ascii_digit()) => event.clone(),
                _ => name.clone(),
            })
            .collect(),
        Some(_) => return Err(wrong()),
    };
    Ok(Some(names))
}
