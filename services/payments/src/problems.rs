//! Other parties' failures as our callers see them.

use axum::http::StatusCode;
use common::{http::CallError, problem::ApiError};

use crate::razorpay::RazorpayError;

/// Razorpay's. A wrong key is our fault, never the payer's, so its 401 must not become theirs.
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

/// The events service's: its refusals are the payer's business, its troubles are not.
pub fn seat_problem(error: CallError) -> ApiError {
    match &error {
        CallError::Problem {
            status, code, detail, ..
        } if *status == StatusCode::NOT_FOUND || *status == StatusCode::CONFLICT => {
            ApiError::new(*status, code.clone(), detail.clone())
        }
        CallError::Problem { .. } | CallError::Unavailable { .. } => {
            ApiError::unavailable("The events service does not answer. Please try again in a moment.")
                .because(error)
        }
    }
}
