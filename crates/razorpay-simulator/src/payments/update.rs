//! `PATCH /v1/payments/:id`

use axum::{Json, extract::State};

use crate::{
    app::App,
    http::{Answer, Body, Id},
    records::Payment,
};

/// Replaces a payment's notes.
pub(crate) async fn update(State(app): State<App>, Id(id): Id, Body(fields): Body) -> Answer {
    let notes = fields.only_notes()?;
    let payment = app
        .change(move |tx| {
            let mut payment = Payment::find(tx.db, &id)?;
            payment.notes = notes;
            payment.save(tx)?;
            Ok(payment)
        })
        .await?;
    Ok(Json(payment.view()))
}
