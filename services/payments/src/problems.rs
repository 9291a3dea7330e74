//! Error responses: those of paying, and those caused by Razorpay and the events service.

use axum::http::StatusCode;
use common::{
    http::CallError,
    ids::{PaymentId, RegistrationId},
    money::{Paise, Rupees},
    problem::ApiError,
    wire::RefundReason,
};

use crate::{
    domain::{order::Order, payment::Payment},
    razorpay::RazorpayError,
    store::RefundState,
    views::RefundView,
};

/// For an error of Razorpay. A wrong key is our misconfiguration, not the payer's fault, so Razorpay's 401 is not
/// passed on.
pub fn provider_problem(error: RazorpayError) -> ApiError {
    match error {
        RazorpayError::Keys => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "payment_provider_misconfigured",
            "Payments are not set up correctly. Please tell the organizer.",
        ),
        RazorpayError::Refused { .. } => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "payment_provider_refused",
            "The payment provider refused the request.",
        ),
        RazorpayError::Unclear(_) => {
            ApiError::unavailable("The payment provider does not answer. Please try again in a moment.")
        }
    }
    .because(error)
}

/// Codes of a 404 or 409 that is not a refusal: there is no such route, or the response is not the events service's.
const NO_REFUSALS: [&str; 3] = ["", "route_not_found", "bad_request"];

/// For an error of the events service: its refusals are passed on to the payer, its failures are not.
pub fn seat_problem(error: CallError) -> ApiError {
    match &error {
        CallError::Problem {
            status,
            code,
            detail,
            body,
            ..
        } if matches!(*status, StatusCode::NOT_FOUND | StatusCode::CONFLICT)
            && !NO_REFUSALS.contains(&code.as_str()) =>
        {
            let problem = ApiError::new(*status, code.clone(), detail.clone());
            // Of what is not open yet, when it will be.
            match body.get("registration_opens_at") {
                Some(opens_at) => problem.with("registration_opens_at", opens_at),
                None => problem,
            }
        }
        CallError::Problem { .. } | CallError::Unavailable { .. } => {
            ApiError::unavailable("The events service does not answer. Please try again in a moment.")
                .because(error)
        }
    }
}

/// 402. The code is Razorpay's reason, where it gives one.
pub fn payment_failed(reason: &str, description: &str) -> ApiError {
    let code = if reason.is_empty() || reason == "NA" {
        "payment_failed"
    } else {
        reason
    };
    let detail = if description.is_empty() {
        "The payment failed."
    } else {
        description
    };
    ApiError::new(StatusCode::PAYMENT_REQUIRED, code.to_owned(), detail.to_owned())
}

/// 403: payments are made by the payer only.
pub fn not_your_payment() -> ApiError {
    ApiError::forbidden("not_your_payment", "You can pay for yourself only.")
}

/// 409.
pub fn nothing_due() -> ApiError {
    ApiError::conflict("nothing_due", "There is nothing to pay.")
}

/// 409, with the payment that paid.
pub fn already_paid(payment: Option<PaymentId>) -> ApiError {
    ApiError::conflict("already_paid", "This registration is paid already.").with("payment_id", payment)
}

/// 409: the payment was authorized and not captured, with the reason.
pub fn released(order: &Order, payment: &Payment) -> ApiError {
    let reason = payment.let_go_because().unwrap_or(RefundReason::NoSeat);
    not_taken(
        reason,
        match reason {
            RefundReason::Duplicate => order.paid_by,
            _ => Some(payment.id),
        },
    )
}

/// The same for a reason; `payment` is the one that paid when it is `Duplicate`.
pub fn not_taken(reason: RefundReason, payment: Option<PaymentId>) -> ApiError {
    let detail = format!("{} The money was not taken; the bank frees it.", reason.text());
    ApiError::conflict(code(reason), detail).with("payment_id", payment)
}

/// 409: the payment was captured and is refunded, with the reason. `payment` is the one that paid when it is
/// `Duplicate`.
pub fn goes_back(state: &RefundState, payment: Option<PaymentId>) -> ApiError {
    let detail = format!(
        "{} {} goes back the way it came.",
        state.reason.text(),
        state.amount
    );
    ApiError::conflict(code(state.reason), detail)
        .with("payment_id", payment)
        .with("refund", RefundView::from(state))
}

/// The code for why a payment was refunded or not captured.
fn code(reason: RefundReason) -> &'static str {
    match reason {
        RefundReason::NoSeat => "no_seat",
        RefundReason::Attendee => "registration_cancelled",
        RefundReason::EventCancelled => "event_cancelled",
        RefundReason::Duplicate => "already_paid",
        RefundReason::WrongAmount => "wrong_amount",
        RefundReason::Organizer => "payment_refunded",
    }
}

/// 409, with the amount due.
pub fn amount_mismatch(due: Paise, registration: RegistrationId) -> ApiError {
    ApiError::conflict("amount_mismatch", "This is not the amount that is due.")
        .with("amount_due", Rupees(due))
        .with("registration_id", registration)
}

/// 409: another request is paying.
pub fn payment_in_progress(registration: RegistrationId) -> ApiError {
    ApiError::conflict(
        "payment_in_progress",
        "A payment for this registration is being made right now.",
    )
    .with("registration_id", registration)
    .retry_after(1)
}

/// 409: the payment is another order's.
pub fn payment_mismatch() -> ApiError {
    ApiError::conflict("payment_mismatch", "This payment does not belong to this order.")
}

/// 409: the payer has not finished.
pub fn payment_pending() -> ApiError {
    ApiError::conflict("payment_pending", "The payment is not finished yet.").retry_after(2)
}

/// 404, with the events service's text.
pub fn event_not_found() -> ApiError {
    ApiError::not_found("event_not_found", "There is no such event.")
}

/// 404.
pub fn order_not_found() -> ApiError {
    ApiError::not_found("order_not_found", "There is no such order.")
}

/// 404.
pub fn payment_not_found() -> ApiError {
    ApiError::not_found("payment_not_found", "There is no such payment.")
}

/// For a signature that is not Razorpay's: 422 to the payer's browser, 400 to the caller of the webhook.
pub fn signature_invalid(status: StatusCode) -> ApiError {
    let detail = "The signature does not belong to what it came with.";
    ApiError::new(status, "signature_invalid", detail)
}

/// 400 for a webhook without an event id.
pub fn event_id_missing() -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "event_id_missing",
        "X-Razorpay-Event-Id is missing.",
    )
}
