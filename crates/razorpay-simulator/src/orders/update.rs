//! `PATCH /v1/orders/:id`

use axum::{Json, extract::State};

use crate::{
    app::App,
    http::{Answer, Body, Id},
    records::Order,
};

/// Replaces an order's notes; nothing else of it can be changed.
pub(crate) async fn update(State(app): State<App>, Id(id): Id, Body(fields): Body) -> Answer {
    let notes = fields.only_notes()?;
    let order = app
        .change(move |tx| {
            let mut order = Order::find(tx.db, &id)?;
            order.notes = notes;
            order.save(tx)?;
            Ok(order)
        })
        .await?;
    Ok(Json(order.view()))
}
