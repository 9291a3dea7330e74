//! Request bodies: JSON, a form, or nothing at all. The SDKs send empty bodies under a form's content type, and
//! `{}` and `[]` where there is nothing to say, so the content decides before the content type does.

use axum::{
    extract::{FromRequest, Request},
    http::header,
};
use serde_json::{Map, Value};

use super::{Fields, form};
use crate::failure::Failure;

/// Bytes that a body may have. The largest real one, a payment link with full notes, has about 8 kB.
const LIMIT: usize = 256 * 1024;

/// The fields of a request's body.
pub(crate) struct Body(pub(crate) Fields);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
        let bytes = axum::body::to_bytes(request.into_body(), LIMIT)
            .await
            .map_err(|error| {
                // Too long, or the sender went away; the second hears nothing anyway.
                tracing::debug!(%error, "a request body could not be read");
                Failure::too_large()
            })?;
        parse(&bytes, is_json).map(Self)
    }
}

fn parse(bytes: &[u8], is_json: bool) -> Result<Fields, Failure> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Ok(Fields::json(Map::new()));
    }
    if !is_json && !text.starts_with(b"{") && !text.starts_with(b"[") {
        return Ok(Fields::form(form::object(text)));
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(Fields::json(object)),
        // PHP's empty array.
        Ok(Value::Array(array)) if array.is_empty() => Ok(Fields::json(Map::new())),
        Ok(Value::Null) => Ok(Fields::json(Map::new())),
        _ => Err(
            Failure::refused("The request body is not a valid JSON object.").because(
                "business",
                "payment_initiation",
                "input_validation_failed",
            ),
        ),
    }
}
