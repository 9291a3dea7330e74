//! `POST /api/payment/webhook`: what Razorpay reports by itself.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use common::{
    extract::{MAX_BODY, body_bytes},
    problem::{ApiError, Problem, not_json},
};
use serde_json::{Value, json};

use crate::{
    app::App,
    razorpay::{signature, types::WebhookEnvelope},
};

/// Razorpay's webhook. Signed over the raw body; each event id has its effect once.
#[utoipa::path(
    post,
    path = "/api/payment/webhook",
    tag = "payments",
    responses(
        (status = 200, description = "Taken in"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Wrong signature, or no webhook"),
    )
)]
pub async fn webhook(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let raw = body_bytes(body, MAX_BODY).await?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signature = header("x-razorpay-signature").unwrap_or_default();
    // Before anything is parsed: nobody else's bytes are worth a look.
    if !signature::is_valid(&raw, signature, &app.razorpay.keys().webhook_secret) {
        tracing::warn!("a webhook came with a wrong signature");
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "signature_invalid",
            "The signature is not valid.",
        ));
    }
    let event_id = header("x-razorpay-event-id").filter(|id| (1..=128).contains(&id.len()));
    let event_id = event_id.ok_or_else(|| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "event_id_missing",
            "X-Razorpay-Event-Id is missing.",
        )
    })?;
    let envelope: WebhookEnvelope =
        serde_json::from_slice(&raw).map_err(|error| not_json().because(error))?;
    let report = envelope
        .payload
        .payment
        .and_then(|payment| payment.entity.report());
    let refund = envelope.payload.refund.map(|refund| refund.entity.id);
    let first = app
        .store
        .take_webhook(event_id.to_owned(), report, refund, app.clock.now())
        .await?;
    tracing::info!(
        event = envelope.event,
        webhook_id = event_id,
        first,
        "webhook consumed"
    );
    Ok(Json(json!({"status": "ok"})))
}
