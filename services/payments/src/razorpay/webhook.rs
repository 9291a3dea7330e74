//! Reading webhooks, once the signature has been verified.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::types::{PaymentEntity, RefundEntity};

/// The events that have an effect here. All others are accepted and ignored.
const CONSUMED: [&str; 8] = [
    "payment.authorized",
    "payment.captured",
    "payment.failed",
    "order.paid",
    "refund.created",
    "refund.processed",
    "refund.failed",
    "refund.speed_changed",
];

/// The content of a webhook.
#[derive(Debug, Default)]
pub struct Webhook {
    /// `payment.captured`, ...
    pub event: String,
    /// The payment, as of the time of the event.
    pub payment: Option<PaymentEntity>,
    /// The refund.
    pub refund: Option<RefundEntity>,
}

/// A signed webhook that this release does not understand.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{why}")]
pub struct Unreadable {
    /// `payment.captured`, ... as far as it can be read.
    pub event: String,
    /// Why it is not understood.
    pub why: String,
}

/// Reads the body of a webhook. Only the needed fields of an entity are required: Razorpay adds fields, leaves others
/// out and has several forms of some.
///
/// # Errors
/// When it is about money and cannot be understood, so that an operator has to look at it.
pub fn read(body: &[u8]) -> Result<Webhook, Unreadable> {
    let unreadable = |event: &str, why: String| Unreadable {
        event: event.chars().take(64).collect(),
        why,
    };
    let envelope: Value = serde_json::from_slice(body).map_err(|error| unreadable("", error.to_string()))?;
    let event = envelope["event"]
        .as_str()
        .ok_or_else(|| unreadable("", "it does not say which event it is".to_owned()))?;
    if !CONSUMED.contains(&event) {
        return Ok(Webhook {
            event: event.to_owned(),
            ..Webhook::default()
        });
    }
    let bad = |why| unreadable(event, why);
    let payment: Option<PaymentEntity> = entity(&envelope, "payment").map_err(bad)?;
    let refund: Option<RefundEntity> = entity(&envelope, "refund").map_err(bad)?;
    let is_about_refund = event.starts_with("refund.");
    if is_about_refund && refund.is_none() || !is_about_refund && payment.is_none() {
        return Err(bad("the entity it is about is missing".to_owned()));
    }
    if let Some(status) = payment.as_ref().and_then(PaymentEntity::strange_status) {
        return Err(bad(format!("payments have no status {status}")));
    }
    Ok(Webhook {
        event: event.to_owned(),
        payment,
        refund,
    })
}

fn entity<T: DeserializeOwned>(envelope: &Value, name: &str) -> Result<Option<T>, String> {
    match &envelope["payload"][name]["entity"] {
        Value::Null => Ok(None),
        entity => serde_json::from_value(entity.clone())
            .map(Some)
            .map_err(|error| format!("{name}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use common::money::Paise;
    use serde_json::json;

    use super::*;
    use crate::domain::detail::ReportedBy;

    fn body(event: &str, payload: &Value) -> Vec<u8> {
        json!({"entity": "event", "event": event, "payload": payload})
            .to_string()
            .into_bytes()
    }

    fn payment(change: &Value) -> Value {
        let mut payment = json!({
            "id": "pay_1", "order_id": "order_1", "amount": 50000, "currency": "INR", "status": "captured",
            "captured": true, "method": "upi",
        });
        for (name, value) in change.as_object().unwrap() {
            payment[name] = value.clone();
        }
        json!({"payment": {"entity": payment}})
    }

    #[test]
    fn forms_that_razorpay_is_known_to_send_are_read() {
        for change in [
            json!({"captured": "1"}),
            json!({"captured": 1}),
            json!({"captured": null, "method": null, "error_reason": null}),
            json!({"amount": 50000.0}),
            json!({"amount": "50000"}),
            json!({"notes": [], "new_field": {"x": 1}}),
        ] {
            let webhook = read(&body("payment.captured", &payment(&change))).unwrap();
            let report = webhook.payment.unwrap().report(ReportedBy::Webhook).unwrap();
            assert_eq!(
                (report.amount, report.status.name()),
                (Paise(50_000), "captured"),
                "{change}"
            );
        }
        // As published for refund.created: no status.
        let refund = json!({"refund": {"entity": {"id": "rfnd_1", "payment_id": "pay_1", "amount": 100}}});
        assert_eq!(
            read(&body("refund.created", &refund))
                .unwrap()
                .refund
                .unwrap()
                .status,
            None
        );
    }

    #[test]
    fn what_is_about_money_and_not_understood_is_not_dropped() {
        for (event, payload) in [
            ("payment.captured", payment(&json!({"amount": "a lot"}))),
            ("payment.captured", payment(&json!({"amount": 100.5}))),
            ("payment.captured", payment(&json!({"amount": -1}))),
            ("payment.captured", payment(&json!({"id": null}))),
            ("payment.captured", payment(&json!({"status": "halfway"}))),
            ("payment.captured", json!(null)),
            ("refund.processed", payment(&json!({}))),
            ("order.paid", json!({"order": {"entity": {"id": "order_1"}}})),
        ] {
            let why = read(&body(event, &payload)).unwrap_err();
            assert_eq!(why.event, event, "{why}");
        }
        assert!(read(b"not json").is_err());
        assert!(read(b"[1]").is_err());
        assert!(read(&[0xff; 9]).is_err());
    }

    #[test]
    fn what_is_about_something_else_is_taken() {
        for event in [
            "payment.downtime.started",
            "payment_link.paid",
            "subscription.charged",
        ] {
            let webhook = read(&body(event, &json!({"payment": {"entity": 7}}))).unwrap();
            assert!(webhook.payment.is_none());
        }
    }
}
