//! `POST /v1/payment_links`

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};

use crate::{
    addresses,
    app::App,
    failure::Failure,
    http::{Answer, Base, Body, Fields},
    ids,
    orders::check_chargeable,
    records::{Link, LinkStatus},
};

/// A link lives at least this long, in seconds.
pub(super) const SHORTEST_LIFE: i64 = 15 * 60;
/// And at most this long: six months.
pub(super) const LONGEST_LIFE: i64 = 183 * 24 * 60 * 60;

/// Makes a link.
pub(crate) async fn create(State(app): State<App>, Base(base): Base, Body(fields): Body) -> Answer {
    let link = app
        .change(move |tx| {
            let link = parse(&fields, tx.now())?;
            link.check_reference(tx.db)?;
            link.insert(tx)?;
            Ok(link)
        })
        .await?;
    Ok(Json(link.view(&base)))
}

fn parse(fields: &Fields, now: i64) -> Result<Link, Failure> {
    let amount = fields.required_amount("amount")?;
    let currency = fields.currency("currency")?.unwrap_or_else(|| "INR".to_owned());
    check_chargeable(amount, &currency, "amount")?;
    let accept_partial = fields.flag("accept_partial")?.unwrap_or(false);
    let first = fields
        .amount("first_min_partial_amount")?
        .filter(|_| accept_partial)
        .unwrap_or(0);
    if first > amount {
        return Err(Failure::invalid(
            "first_min_partial_amount",
            "first_min_partial_amount should be less than or equal to amount",
        ));
    }
    let callback_url = fields.text("callback_url", 2048)?.unwrap_or_default();
    if !callback_url.is_empty() && !addresses::is_web_address(&callback_url) {
        return Err(Failure::invalid(
            "callback_url",
            "The callback url format is invalid.",
        ));
    }
    if !callback_url.is_empty() && fields.text("callback_method", 8)?.as_deref() != Some("get") {
        return Err(Failure::invalid(
            "callback_method",
            "callback_method should be get",
        ));
    }
    let notify = fields.object("notify");
    let notifies = |medium: &str| match &notify {
        Some(notify) => notify.flag(medium),
        None => Ok(None),
    };
    Ok(Link {
        id: ids::new("plink"),
        amount,
        amount_paid: 0,
        currency,
        status: LinkStatus::Created,
        accept_partial,
        first_min_partial_amount: first,
        reference_id: fields.text("reference_id", 40)?,
        description: fields.text("description", 2048)?.unwrap_or_default(),
        customer: customer(fields)?,
        notify_sms: notifies("sms")?.unwrap_or(false),
        notify_email: notifies("email")?.unwrap_or(false),
        reminder_enable: fields.flag("reminder_enable")?.unwrap_or(false),
        notes: fields.notes()?,
        callback_url,
        upi_link: fields.flag("upi_link")?.unwrap_or(false),
        expire_by: expire_by(fields, now)?.unwrap_or(0),
        expired_at: 0,
        cancelled_at: 0,
        created_at: now,
        updated_at: now,
        order_id: None,
        payments: Vec::new(),
    })
}

/// `expire_by`, between 15 minutes and six months ahead.
pub(super) fn expire_by(fields: &Fields, now: i64) -> Result<Option<i64>, Failure> {
    match fields.integer("expire_by")? {
        Some(at) if at < now + SHORTEST_LIFE => Err(Failure::invalid(
            "expire_by",
            "expire_by should be at least 15 minutes after current time",
        )),
        Some(at) if at > now + LONGEST_LIFE => Err(Failure::invalid(
            "expire_by",
            "expire_by should be at most 6 months after current time",
        )),
        at => Ok(at),
    }
}

fn customer(fields: &Fields) -> Result<Value, Failure> {
    let Some(customer) = fields.object("customer") else {
        return Ok(json!({}));
    };
    let mut kept = Map::new();
    for name in ["name", "email"] {
        if let Some(text) = customer.text(name, 255)? {
            kept.insert(name.to_owned(), Value::String(text));
        }
    }
    if let Some(contact) = customer.scalar("contact") {
        kept.insert(
            "contact".to_owned(),
            Value::String(contact.chars().take(20).collect()),
        );
    }
    Ok(Value::Object(kept))
}
