//! What lies between axum and the handlers: the pipeline (credentials, slashes, faults), lenient bodies and
//! queries, and the fields in them. Every rejection is the envelope of [`crate::failure`].

mod auth;
mod body;
mod extract;
mod fields;
mod form;
mod notes;
mod pipeline;
mod query;

pub(crate) use body::Body;
pub(crate) use extract::{Base, Id, Ids};
pub(crate) use fields::Fields;
pub(crate) use notes::Notes;
pub(crate) use pipeline::Pipeline;
pub(crate) use query::{Page, Query};

use axum::Json;
use serde_json::{Value, json};

use crate::failure::Failure;

/// What a handler gives: 200 with a JSON document, or the envelope.
pub(crate) type Answer = Result<Json<Value>, Failure>;

/// Razorpay's list.
pub(crate) fn collection(items: Vec<Value>) -> Value {
    json!({ "entity": "collection", "count": items.len(), "items": items })
}
