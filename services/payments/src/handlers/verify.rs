//! `POST /api/payment/verify`: what Razorpay Checkout gives the payer's browser at its end.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    extract::{Caller, Unsafe},
    fields::{Fields, FromFields, Value},
    http::context,
    problem::{ApiError, Problem},
};
use utoipa::ToSchema;

use super::process_payment::answer;
use crate::{app::App, flow, razorpay::signature, views::PaymentAnswer};

/// Checkout's result.
#[derive(ToSchema)]
pub struct Verify {
    /// Razorpay's order.
    #[schema(example = "order_DBJOWzybf0sJbb")]
    pub razorpay_order_id: String,
    /// Razorpay's payment.
    #[schema(example = "pay_DaaS6LOUAASb7Y")]
    pub razorpay_payment_id: String,
    /// Proves that Razorpay says so.
    pub razorpay_signature: String,
}

impl FromFields for Verify {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let id = |value: Value<'_>| value.line(64);
        let order = fields.required("razorpay_order_id", id);
        let payment = fields.required("razorpay_payment_id", id);
        let signature = fields.required("razorpay_signature", |value| value.line(128));
        Some(Self {
            razorpay_order_id: order?,
            razorpay_payment_id: payment?,
            razorpay_signature: signature?,
        })
    }
}

/// Finish a payment made in Razorpay Checkout.
///
/// The signature only proves where the ids come from; the payment itself is fetched from Razorpay, compared and
/// captured.
#[utoipa::path(
    post,
    path = "/api/payment/verify",
    tag = "payments",
    request_body = Verify,
    responses(
        (status = 200, description = "Captured", body = PaymentAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 402, body = Problem, content_type = "application/problem+json", description = "The payment failed"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such order of yours"),
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "`payment_pending`: the payer has not finished; `already_paid`: by another payment; `payment_mismatch`: of another order"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Missing fields, or `signature_invalid`"),
    ),
    security(("bearer" = []))
)]
pub async fn verify(
    State(app): State<App>,
    caller: Caller,
    Unsafe { input, key: _ }: Unsafe<Verify>,
) -> Result<Response, ApiError> {
    let order = app
        .store
        .order_by_razorpay_id(input.razorpay_order_id)
        .await?
        .filter(|order| order.user_id == caller.id)
        .ok_or_else(|| ApiError::not_found("order_not_found", "There is no such order."))?;
    let secret = &app.razorpay.keys().key_secret;
    let stored = order.razorpay_id.as_deref().unwrap_or_default();
    if !signature::is_valid_checkout(
        stored,
        &input.razorpay_payment_id,
        &input.razorpay_signature,
        secret,
    ) {
        tracing::warn!(order = %order.id, user = %caller.id, "a checkout came with a wrong signature");
        return Err(ApiError::new(
            axum::http::StatusCode::UNPROCESSABLE_ENTITY,
            "signature_invalid",
            "The signature does not belong to this order and payment.",
        ));
    }
    let task = context::spawn(async move { flow::settle(&app, &order, &input.razorpay_payment_id).await });
    let statement = task.await.map_err(ApiError::internal)??;
    Ok(answer(&statement).into_response())
}
