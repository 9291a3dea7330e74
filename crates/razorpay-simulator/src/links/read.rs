//! `GET /v1/payment_links` and `/v1/payment_links/:id`

use axum::{Json, extract::State};
use rusqlite::params;
use serde_json::{Value, json};

use crate::{
    app::App,
    db,
    http::{Answer, Base, Id, Query},
    records::Link,
};

/// One link.
pub(crate) async fn fetch(State(app): State<App>, Base(base): Base, Id(id): Id) -> Answer {
    let link = app.db.read(move |db| Link::find(db, &id)).await?;
    Ok(Json(link.view(&base)))
}

/// Links, newest first, by reference or by a payment of theirs. Not a collection: `{"payment_links": [...]}`.
pub(crate) async fn list(State(app): State<App>, Base(base): Base, query: Query) -> Answer {
    let page = query.page()?;
    let reference = query.get("reference_id").map(str::to_owned);
    let payment = query.get("payment_id").map(str::to_owned);
    let sql = "SELECT doc FROM links WHERE created_at BETWEEN ?1 AND ?2 AND (?3 IS NULL OR reference_id = ?3)
        AND (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(links.doc, '$.payments') AS part
            WHERE json_extract(part.value, '$.payment_id') = ?4))
        ORDER BY seq DESC LIMIT ?5 OFFSET ?6";
    let links: Vec<Link> = app
        .db
        .read(move |db| {
            db::documents(
                db,
                sql,
                params![page.from, page.to, reference, payment, page.count, page.skip],
            )
        })
        .await?;
    let views: Vec<Value> = links.iter().map(|link| link.view(&base)).collect();
    Ok(Json(json!({ "payment_links": views })))
}
