//! `PATCH /v1/payment_links/:id`, `POST /v1/payment_links/:id/cancel` and `/notify_by/:medium`

use axum::{Json, extract::State};
use serde_json::json;

use super::create::expire_by;
use crate::{
    app::App,
    failure::Failure,
    http::{Answer, Base, Body, Id, Ids},
    moves,
    records::Link,
};

/// Changes what may be changed of a link that is still open.
pub(crate) async fn update(
    State(app): State<App>,
    Base(base): Base,
    Id(id): Id,
    Body(fields): Body,
) -> Answer {
    fields.only(&[
        "reference_id",
        "expire_by",
        "notes",
        "reminder_enable",
        "accept_partial",
    ])?;
    let link = app
        .change(move |tx| {
            let mut link = Link::find(tx.db, &id)?;
            if !link.status.is_open() {
                return Err(Failure::refused(
                    "update can only be made in created or partially paid state",
                ));
            }
            if let Some(reference) = fields.text("reference_id", 40)? {
                link.reference_id = Some(reference);
                link.check_reference(tx.db)?;
            }
            if let Some(at) = expire_by(&fields, tx.now())? {
                link.expire_by = at;
            }
            if fields.get("notes").is_some() {
                link.notes = fields.notes()?;
            }
            if let Some(reminds) = fields.flag("reminder_enable")? {
                link.reminder_enable = reminds;
            }
            // An order that was opened keeps its own terms.
            if let Some(partial) = fields.flag("accept_partial")?.filter(|_| link.order_id.is_none()) {
                link.accept_partial = partial;
            }
            link.save(tx)?;
            Ok(link)
        })
        .await?;
    Ok(Json(link.view(&base)))
}

/// Takes a link back that nobody has paid.
pub(crate) async fn cancel(State(app): State<App>, Base(base): Base, Id(id): Id) -> Answer {
    let link = app
        .change(move |tx| {
            let mut link = Link::find(tx.db, &id)?;
            moves::link::cancel(tx, &mut link)?;
            Ok(link)
        })
        .await?;
    Ok(Json(link.view(&base)))
}

/// Sends a link to the customer; here it only says that it did.
pub(crate) async fn notify_by(State(app): State<App>, Ids(id, medium): Ids) -> Answer {
    if !matches!(medium.as_str(), "sms" | "email") {
        return Err(Failure::invalid("medium", "The medium must be sms or email."));
    }
    let link = app.db.read(move |db| Link::find(db, &id)).await?;
    let key = if medium == "sms" { "contact" } else { "email" };
    if link.customer.get(key).is_none() {
        return Err(Failure::refused(format!("the customer of the link has no {key}")));
    }
    if !link.status.is_open() {
        return Err(Failure::refused(
            "notification can only be sent in created or partially paid state",
        ));
    }
    Ok(Json(json!({ "success": true })))
}
