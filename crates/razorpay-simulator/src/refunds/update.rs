//! `PATCH /v1/refunds/:id`

use axum::{Json, extract::State};

use crate::{
    app::App,
    http::{Answer, Body, Id},
    records::Refund,
};

/// Replaces a refund's notes.
pub(crate) async fn update(State(app): State<App>, Id(id): Id, Body(fields): Body) -> Answer {
    let notes = fields.only_notes()?;
    let refund = app
        .change(move |tx| {
            let mut refund = Refund::find(tx.db, &id)?;
            refund.notes = notes;
            refund.save(tx)?;
            Ok(refund)
        })
        .await?;
    Ok(Json(refund.view()))
}
