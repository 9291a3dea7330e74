//! `GET /v1/payments`, `/v1/payments/:id` and `/v1/payments/:id/card`

use axum::{Json, extract::State};
use rusqlite::params;

use crate::{
    app::App,
    db,
    failure::Failure,
    http::{Answer, Id, Query, collection},
    records::Payment,
};

/// One payment; its card when asked for by `expand[]=card`.
pub(crate) async fn fetch(State(app): State<App>, Id(id): Id, query: Query) -> Answer {
    let payment = app.db.read(move |db| Payment::find(db, &id)).await?;
    Ok(Json(if query.expands("card") {
        payment.view_with_card()
    } else {
        payment.view()
    }))
}

/// Payments, newest first.
pub(crate) async fn list(State(app): State<App>, query: Query) -> Answer {
    let page = query.page()?;
    let with_cards = query.expands("card");
    let sql =
        "SELECT doc FROM payments WHERE created_at BETWEEN ?1 AND ?2 ORDER BY seq DESC LIMIT ?3 OFFSET ?4";
    let by = move |db: &rusqlite::Connection| {
        db::documents::<Payment>(db, sql, params![page.from, page.to, page.count, page.skip])
    };
    let payments = app.db.read(by).await?;
    let view = |payment: &Payment| {
        if with_cards {
            payment.view_with_card()
        } else {
            payment.view()
        }
    };
    Ok(Json(collection(payments.iter().map(view).collect())))
}

/// The card of a payment.
pub(crate) async fn card_of(State(app): State<App>, Id(id): Id) -> Answer {
    let payment = app.db.read(move |db| Payment::find(db, &id)).await?;
    match payment.card() {
        Some(card) => Ok(Json(card.view())),
        None => Err(Failure::refused("The payment was not made with a card.")),
    }
}
