//! `POST /api/payment/webhook`: Razorpay's webhooks.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use common::{extract::body_bytes, problem::ApiError, routes::MAX_BODY};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::detail::ReportedBy,
    problems::{event_id_missing, signature_invalid},
    razorpay::{signature, webhook},
    store::{Parked, RefundNews},
};

/// The body of a webhook, as far as it is read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's view of what is read")]
pub struct Webhook {
    /// Always `event`.
    #[schema(example = "event")]
    entity: String,
    /// The kind of event.
    #[schema(example = "payment.captured")]
    event: String,
    /// The entities, by name: `payment`, `refund`.
    payload: Map<String, Value>,
}

/// The webhook was recorded, now or before.
#[derive(Serialize, ToSchema)]
pub struct WebhookReceived {
    #[schema(example = "ok")]
    status: &'static str,
}

common::problems!(Problems: signature_invalid(StatusCode::BAD_REQUEST), event_id_missing());

/// Razorpay's webhook. Signed over the raw body; each event id takes effect once.
///
/// Every signed webhook is accepted: Razorpay disables a webhook that fails for a day. One that is not understood is
/// stored, counted (`webhooks_parked`) and can be replayed.
#[utoipa::path(
    post,
    path = "/api/payment/webhook",
    operation_id = "receiveWebhook",
    tag = "payments",
    params(
        ("X-Razorpay-Signature" = String, Header, description = "HMAC-SHA256 of the body with the webhook's secret, in hex"),
        ("X-Razorpay-Event-Id" = String, Header, description = "Of several deliveries of one event, one has an effect"),
    ),
    request_body(content = Webhook, example = json!({
        "entity": "event", "event": "payment.captured", "payload": {"payment": {"entity": {
            "id": "pay_DaaS6LOUAASb7Y", "order_id": "order_DBJOWzybf0sJbb", "amount": 50000, "currency": "INR",
            "status": "captured", "method": "upi",
        }}},
    })),
    responses(
        (status = 200, description = "Taken, now or before", body = WebhookReceived),
        Problems,
    )
)]
pub async fn webhook(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<WebhookReceived>, ApiError> {
    let raw = body_bytes(body, MAX_BODY).await?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signature = header("x-razorpay-signature").unwrap_or_default();
    // Checked before anything is parsed: bodies that Razorpay did not sign are not read.
    if !signature::is_valid(&raw, signature, &app.razorpay.keys().webhook_secret) {
        tracing::warn!("a webhook came with a wrong signature");
        return Err(signature_invalid(StatusCode::BAD_REQUEST));
    }
    let event_id = header("x-razorpay-event-id").filter(|id| (1..=128).contains(&id.len()));
    let event_id = event_id.ok_or_else(event_id_missing)?;
    let now = app.clock.now();
    match webhook::read(&raw) {
        Ok(webhook) => {
            let report = webhook
                .payment
                .and_then(|payment| payment.report(ReportedBy::Webhook));
            let refund = webhook.refund.map(|refund| match refund.report() {
                Some(report) => RefundNews::Report(report),
                None => RefundNews::Id(refund.id),
            });
            let first = app
                .store
                .take_webhook(event_id.to_owned(), report, refund, now)
                .await?;
            tracing::info!(
                event = webhook.event,
                webhook_id = event_id,
                first,
                "webhook consumed"
            );
        }
        Err(unreadable) => {
            let (event, why) = (unreadable.event, unreadable.why);
            tracing::error!(
                event,
                webhook_id = event_id,
                why,
                "webhook parked: it is signed and cannot be understood"
            );
            let parked = Parked {
                id: event_id.to_owned(),
                event,
                body: raw.to_vec(),
                why,
                received_at: now,
            };
            app.store.park_webhook(parked).await?;
        }
    }
    Ok(Json(WebhookReceived { status: "ok" }))
}
