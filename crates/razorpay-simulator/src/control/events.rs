//! Events that happened, and sending them again.

use axum::{Json, extract::State};
use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};

use crate::{
    app::App,
    db,
    failure::Failure,
    http::{Answer, Id, Query, collection},
};

/// `GET /sim/control/events`
pub(super) async fn list(State(app): State<App>, query: Query) -> Answer {
    let page = query.page()?;
    let items = app
        .db
        .read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT e.id, e.name, e.body, (SELECT json_group_array(json_object('receiver', receiver, 'attempts',
                    attempts, 'due_at_ms', due_at, 'outcome', outcome)) FROM deliveries WHERE event = e.seq)
                FROM events e ORDER BY e.seq DESC LIMIT ?1 OFFSET ?2",
            )?;
            let mut rows = statement.query(params![page.count, page.skip])?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                let (id, name): (String, String) = (row.get(0)?, row.get(1)?);
                let body: Value = serde_json::from_slice(&row.get::<_, Vec<u8>>(2)?)?;
                let deliveries: Value = serde_json::from_str(&row.get::<_, String>(3)?)?;
                items.push(json!({ "id": id, "event": name, "body": body, "deliveries": deliveries }));
            }
            Ok(items)
        })
        .await?;
    Ok(Json(collection(items)))
}

/// `POST /sim/control/events/:id/redeliver`
pub(super) async fn redeliver(State(app): State<App>, Id(id): Id) -> Answer {
    let count = app
        .change(move |tx| {
            let sql = "SELECT seq FROM events WHERE id = ?1";
            let event: Option<i64> = tx
                .db
                .prepare_cached(sql)?
                .query_row([&id], |row| row.get(0))
                .optional()?;
            let event = event.ok_or_else(Failure::unknown_id)?;
            tx.wake_outgoing();
            let sql = "UPDATE deliveries SET due_at = ?2, outcome = NULL WHERE event = ?1";
            db::execute(tx.db, sql, params![event, tx.now_ms])
        })
        .await?;
    Ok(Json(json!({ "deliveries": count })))
}
