//! `POST /api/payment/verify`: the result that Razorpay Checkout gives to the payer's browser.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use common::{
    context,
    extract::{Caller, KeyedJson},
    fields::{Fields, FromFields, Value},
    ids::PaymentId,
    money::Paise,
    problem::ApiError,
    wire::RefundReason,
};
use utoipa::ToSchema;

use super::process_payment::fate;
use crate::{
    app::App,
    flow,
    problems::{
        already_paid, goes_back, not_taken, order_not_found, payment_failed, payment_mismatch,
        payment_pending, provider_problem, signature_invalid,
    },
    razorpay::{RazorpayError, signature},
    store::RefundState,
    views::PaymentAnswer,
};

/// The request body: Checkout's result.
#[derive(ToSchema)]
pub struct Verify {
    /// Razorpay's order id.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[!-~]+$",
        example = "order_DBJOWzybf0sJbb"
    )]
    pub razorpay_order_id: String,
    /// Razorpay's payment id.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[!-~]+$",
        example = "pay_DaaS6LOUAASb7Y"
    )]
    pub razorpay_payment_id: String,
    /// Razorpay's signature over both ids.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "93d5c1ba0a5d5f0e2d3ce4bf6bd1dba8a9c8d9e2c0a54e0b8e5b0d9d0a6f5b1c"
    )]
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

common::problems!(
    Problems:
    payment_failed("insufficient_fund", "The account does not have enough money.")
        .with("payment_id", "019309a2-0000-7000-8000-000000000005"),
    order_not_found(),
    payment_pending(),
    payment_mismatch(),
    already_paid(Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    goes_back(&RefundState { reason: RefundReason::NoSeat, amount: Paise(50_000), done: false, refused: None }, Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    not_taken(RefundReason::Attendee, Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    not_taken(RefundReason::WrongAmount, Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    goes_back(&RefundState { reason: RefundReason::Organizer, amount: Paise(50_000), done: true, refused: None }, Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    not_taken(RefundReason::EventCancelled, Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    signature_invalid(StatusCode::UNPROCESSABLE_ENTITY),
    provider_problem(RazorpayError::Keys),
);

/// Finish a payment made in Razorpay Checkout.
///
/// The signature only proves where the ids come from; the payment itself is fetched from Razorpay, compared and
/// captured.
#[utoipa::path(
    post,
    path = "/api/payment/verify",
    operation_id = "verifyPayment",
    tag = "payments",
    request_body(content = Verify, example = json!({
        "razorpay_order_id": "order_DBJOWzybf0sJbb", "razorpay_payment_id": "pay_DaaS6LOUAASb7Y",
        "razorpay_signature": "93d5c1ba0a5d5f0e2d3ce4bf6bd1dba8a9c8d9e2c0a54e0b8e5b0d9d0a6f5b1c",
    })),
    responses(
        (status = 200, description = "Captured", body = PaymentAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn verify(
    State(app): State<App>,
    caller: Caller,
    KeyedJson { input, key: _ }: KeyedJson<Verify>,
) -> Result<Response, ApiError> {
    let order = app
        .store
        .order_by_razorpay_id(input.razorpay_order_id)
        .await?
        .filter(|order| order.user_id == caller.id)
        .ok_or_else(order_not_found)?;
    let secret = &app.razorpay.keys().key_secret;
    let stored = order.razorpay_id.as_deref().unwrap_or_default();
    if !signature::is_valid_checkout(
        stored,
        &input.razorpay_payment_id,
        &input.razorpay_signature,
        secret,
    ) {
        tracing::warn!(order = %order.id, user = %caller.id, "a checkout came with a wrong signature");
        return Err(signature_invalid(StatusCode::UNPROCESSABLE_ENTITY));
    }
    let task = context::spawn(async move { flow::settle(&app, &order, &input.razorpay_payment_id).await });
    let statement = task.await.map_err(ApiError::internal)??;
    Ok(fate(&statement)?.into_response())
}
