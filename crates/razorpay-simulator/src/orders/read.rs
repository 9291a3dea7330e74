//! `GET /v1/orders`, `/v1/orders/:id` and `/v1/orders/:id/payments`

use axum::{Json, extract::State};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    app::App,
    db,
    failure::Failure,
    http::{Answer, Id, Query, collection},
    records::{Order, Payment},
};

/// One order.
pub(crate) async fn fetch(State(app): State<App>, Id(id): Id) -> Answer {
    let order = app.db.read(move |db| Order::find(db, &id)).await?;
    Ok(Json(order.view()))
}

/// Orders, newest first; by receipt, by whether a payment was authorized, with their payments.
pub(crate) async fn list(State(app): State<App>, query: Query) -> Answer {
    let page = query.page()?;
    let receipt = query.get("receipt").map(str::to_owned);
    let authorized = match query.get("authorized") {
        None => None,
        Some("0") => Some(false),
        Some("1") => Some(true),
        Some(_) => return Err(Failure::invalid("authorized", "The authorized must be 0 or 1.")),
    };
    let with_cards = query.expands("payments.card");
    let with_payments = with_cards || query.expands("payments");
    let items = app
        .db
        .read(move |db| {
            let sql =
                "SELECT doc FROM orders WHERE created_at BETWEEN ?1 AND ?2 AND (?3 IS NULL OR receipt = ?3)
                AND (?4 IS NULL OR ?4 = EXISTS (SELECT 1 FROM payments WHERE order_id = orders.id
                    AND status IN ('authorized', 'captured', 'refunded')))
                ORDER BY seq DESC LIMIT ?5 OFFSET ?6";
            // The plain look-up, which follows a create whose answer was lost, must not read the whole table.
            let by_receipt = "SELECT doc FROM orders WHERE receipt = ?3 AND created_at BETWEEN ?1 AND ?2
                AND (?4 IS NULL OR ?4 = EXISTS (SELECT 1 FROM payments WHERE order_id = orders.id
                    AND status IN ('authorized', 'captured', 'refunded')))
                ORDER BY seq DESC LIMIT ?5 OFFSET ?6";
            let sql = if receipt.is_some() { by_receipt } else { sql };
            let by = params![page.from, page.to, receipt, authorized, page.count, page.skip];
            db::documents::<Order>(db, sql, by)?
                .iter()
                .map(|order| {
                    let mut view = order.view();
                    if with_payments {
                        view["payments"] = payments_of(db, &order.id, with_cards)?;
                    }
                    Ok(view)
                })
                .collect::<Result<Vec<_>, Failure>>()
        })
        .await?;
    Ok(Json(collection(items)))
}

/// The payments of an order, oldest first.
pub(crate) async fn payments(State(app): State<App>, Id(id): Id, query: Query) -> Answer {
    let with_cards = query.expands("card");
    let payments = app
        .db
        .read(move |db| {
            Order::find(db, &id)?;
            payments_of(db, &id, with_cards)
        })
        .await?;
    Ok(Json(payments))
}

fn payments_of(db: &Connection, order: &str, with_cards: bool) -> Result<Value, Failure> {
    let payments: Vec<Payment> = db::documents(
        db,
        "SELECT doc FROM payments WHERE order_id = ?1 ORDER BY seq",
        [order],
    )?;
    let items: Vec<Value> = payments
        .iter()
        .map(|payment| {
            let mut view = payment.view();
            if let (true, Some(card)) = (with_cards, payment.card()) {
                view["card"] = card.view();
            }
            view
        })
        .collect();
    Ok(json!(collection(items)))
}
