//! All that is held of a user, from all services, as one document.

use common::{
    clock::Timestamp,
    http::{CallError, Cursor, InternalClient, Page},
    ids::UserId,
    problem::ApiError,
    wire::{ExportPage, ExportQuestion},
};
use runtime::export::{ACTIVITY, PATH, activity};
use serde_json::{Map, Value};

use crate::{
    app::App,
    domain::{Session, StoredKey},
};

/// Of each part so many at most, the newest, because the document is put together in memory.
const MOST: usize = 10_000;
/// Where reading begins, and how many rows are read together.
const FIRST: Page = Page {
    limit: 100,
    after: None,
};

/// The parts that the other services hold, by the names under which the document has them.
///
/// # Errors
/// 503 when one of them does not answer: half a document would look like a whole one.
pub async fn of_others(app: &App, user: UserId) -> Result<Map<String, Value>, ApiError> {
    let others = &app.others;
    let mut parts = Map::new();
    for (name, service) in [
        ("events", &others.events),
        ("registrations", &others.events),
        ("waitlist", &others.events),
        ("posts", &others.events),
        ("votes", &others.events),
        ("playbacks", &others.events),
        ("teams", &others.events),
        ("invitations", &others.events),
        ("payments", &others.payments),
        ("notifications", &others.notifications),
        ("announcements", &others.notifications),
        ("templates", &others.notifications),
    ] {
        parts.insert(name.to_owned(), Value::Array(section(service, user, name).await?));
    }
    let mut done = own_activity(app, user).await?;
    for service in [&others.events, &others.payments, &others.notifications] {
        done.extend(section(service, user, ACTIVITY).await?);
    }
    // By time, as text: RFC 3339 in UTC.
    done.sort_by(|one, other| one["at"].as_str().cmp(&other["at"].as_str()));
    parts.insert(ACTIVITY.to_owned(), Value::Array(done));
    Ok(parts)
}

async fn section(service: &InternalClient, user: UserId, name: &str) -> Result<Vec<Value>, ApiError> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let question = ExportQuestion {
            user_id: user,
            section: name.to_owned(),
            after,
        };
        let page: Result<ExportPage, CallError> = service.post(PATH, &question).await;
        let page = page.map_err(|error| {
            ApiError::unavailable("Not all of your data can be read at the moment. Please try again.")
                .because(error)
        })?;
        items.extend(page.items);
        if items.len() >= MOST {
            return Ok(items);
        }
        match page.next {
            None => return Ok(items),
            next => after = next,
        }
    }
}

async fn own_activity(app: &App, user: UserId) -> Result<Vec<Value>, ApiError> {
    let trail = app.store.audit();
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let question = ExportQuestion {
            user_id: user,
            section: ACTIVITY.to_owned(),
            after,
        };
        let page = activity(&*trail, &question).await?;
        items.extend(page.items);
        if items.len() >= MOST {
            return Ok(items);
        }
        match page.next {
            None => return Ok(items),
            next => after = next,
        }
    }
}

/// All sessions of a user.
///
/// # Errors
/// A storage error.
pub async fn sessions(app: &App, user: UserId, now: Timestamp) -> Result<Vec<Session>, ApiError> {
    let (mut all, mut page) = (Vec::new(), FIRST);
    loop {
        let (found, next) = page.cut(app.store.sessions(user, page, now).await?, |session| Cursor {
            key: session.created_at.timestamp_millis(),
            id: session.id,
        });
        all.extend(found);
        match next {
            None => return Ok(all),
            next => page.after = next,
        }
    }
}

/// All API keys of a user.
///
/// # Errors
/// A storage error.
pub async fn api_keys(app: &App, user: UserId) -> Result<Vec<StoredKey>, ApiError> {
    let (mut all, mut page) = (Vec::new(), FIRST);
    loop {
        let (found, next) = page.cut(app.store.api_keys(user, page).await?, |key| Cursor {
            key: key.created_at.timestamp_millis(),
            id: key.id,
        });
        all.extend(found);
        match next {
            None => return Ok(all),
            next => page.after = next,
        }
    }
}
