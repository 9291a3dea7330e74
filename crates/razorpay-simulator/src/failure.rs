//! Razorpay's error envelope, and the failures that more than one call gives. Every answer that is not a success is
//! a [`Failure`]; one that is returned from a change of the store also undoes that change.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::decline::Decline;

/// For errors that have no business context.
const NA: &str = "NA";

/// An error answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure(Box<Envelope>);

#[derive(Clone, Debug, PartialEq)]
struct Envelope {
    status: StatusCode,
    code: &'static str,
    description: String,
    source: &'static str,
    step: &'static str,
    reason: &'static str,
    field: Option<String>,
    /// The payment and the order that `metadata` names.
    about: Option<(String, String)>,
    /// What may be called next, beside the error; only OTP failures have it.
    next: Option<&'static [&'static str]>,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self(Box::new(Envelope {
            status,
            code,
            description: description.into(),
            source: NA,
            step: NA,
            reason: NA,
            field: None,
            about: None,
            next: None,
        }))
    }

    /// What went wrong, for people.
    pub(crate) fn description(&self) -> &str {
        &self.0.description
    }

    /// The request does not fit the state of things.
    pub(crate) fn refused(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST_ERROR", description)
    }

    /// A field is missing or wrong.
    pub(crate) fn invalid(field: &str, description: impl Into<String>) -> Self {
        Self::refused(description)
            .because("business", "payment_initiation", "input_validation_failed")
            .at(field)
    }

    /// A field is missing.
    pub(crate) fn missing(field: &str) -> Self {
        Self::invalid(field, format!("The {field} field is required."))
    }

    /// A field that this call does not take.
    pub(crate) fn extra(field: &str) -> Self {
        Self::refused(format!("{field} is/are not required and should not be sent"))
            .because("business", "payment_initiation", "extra_field_sent")
            .at(field)
    }

    pub(crate) fn unknown_id() -> Self {
        Self::refused("The id provided does not exist").because(
            "business",
            "payment_initiation",
            "input_validation_failed",
        )
    }

    pub(crate) fn malformed_id(id: &str) -> Self {
        // An id from the path may be anything; a whole page of it helps nobody.
        let id: String = id.chars().take(64).collect();
        Self::refused(format!("{id} is not a valid id")).because(
            "business",
            "payment_initiation",
            "input_validation_failed",
        )
    }

    /// No such route, another method, or a feature that is not enabled. Razorpay does not tell them apart.
    pub(crate) fn no_route() -> Self {
        Self::refused("The requested URL was not found on the server.")
    }

    /// Wrong credentials.
    pub(crate) fn unauthenticated(description: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "BAD_REQUEST_ERROR", description)
    }

    /// Another request with the same idempotency key is being worked on.
    pub(crate) fn in_flight() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "BAD_REQUEST_ERROR",
            "Another request with the same idempotency key is still in progress. Try again later.",
        )
    }

    pub(crate) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "BAD_REQUEST_ERROR",
            "The request body is too large.",
        )
    }

    /// Trouble of our own. The cause is logged where it is met and never told.
    pub(crate) fn internal() -> Self {
        Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What Razorpay answers with a status, for the controls that make it up.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::GATEWAY_TIMEOUT | StatusCode::BAD_GATEWAY => Self::new(
                status,
                "GATEWAY_ERROR",
                "Payment processing failed due to error at bank/wallet gateway",
            ),
            StatusCode::TOO_MANY_REQUESTS => Self::new(
                status,
                "BAD_REQUEST_ERROR",
                "Too many requests. Try again after some time.",
            ),
            StatusCode::CONFLICT => Self::in_flight(),
            StatusCode::UNAUTHORIZED => Self::unauthenticated("Authentication failed"),
            _ if status.is_client_error() => Self::new(status, "BAD_REQUEST_ERROR", "invalid request sent"),
            _ => Self::new(
                status,
                "SERVER_ERROR",
                "The server encountered an error. The incident has been reported to admins.",
            ),
        }
    }

    /// The customer's payment was declined.
    pub(crate) fn declined(decline: &Decline, payment: &str, order: &str) -> Self {
        let mut failure = Self::new(StatusCode::BAD_REQUEST, decline.code, decline.description).because(
            decline.source,
            decline.step,
            decline.reason,
        );
        failure.0.about = Some((payment.to_owned(), order.to_owned()));
        failure
    }

    /// Says where and why it went wrong.
    pub(crate) fn because(mut self, source: &'static str, step: &'static str, reason: &'static str) -> Self {
        (self.0.source, self.0.step, self.0.reason) = (source, step, reason);
        self
    }

    /// Names the field at fault.
    pub(crate) fn at(mut self, field: &str) -> Self {
        self.0.field = Some(field.to_owned());
        self
    }

    /// Replaces the text.
    pub(crate) fn saying(mut self, description: &str) -> Self {
        description.clone_into(&mut self.0.description);
        self
    }

    /// Says which calls may follow.
    pub(crate) fn then(mut self, next: &'static [&'static str]) -> Self {
        self.0.next = Some(next);
        self
    }

    fn body(&self) -> Value {
        let Envelope {
            code,
            description,
            source,
            step,
            reason,
            field,
            about,
            next,
            ..
        } = &*self.0;
        let metadata = match about {
            Some((payment, order)) => json!({ "payment_id": payment, "order_id": order }),
            None => json!({}),
        };
        let mut error = json!({
            "code": code, "description": description, "source": source, "step": step, "reason": reason,
            "metadata": metadata,
        });
        if let Some(field) = field {
            error["field"] = json!(field);
        }
        let mut body = json!({ "error": error });
        if let Some(next) = next {
            body["next"] = json!(next);
        }
        body
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, Json(self.body())).into_response();
        if self.0.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Basic realm=\"Razorpay\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(%error, "the simulator's store failed");
        Self::internal()
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "a stored document cannot be read or written");
        Self::internal()
    }
}
