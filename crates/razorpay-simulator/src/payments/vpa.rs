//! `POST /v1/payments/validate/vpa`

use axum::Json;
use serde_json::json;

use super::instrument::is_vpa;
use crate::{
    failure::Failure,
    http::{Answer, Body},
};

/// Says whose a VPA is. Every well-formed one is somebody's here.
pub(crate) async fn validate(Body(fields): Body) -> Answer {
    let vpa = fields.required_text("vpa", 255)?;
    if !is_vpa(&vpa) {
        return Err(Failure::invalid(
            "vpa",
            "Invalid VPA. Please enter a valid Virtual Payment Address",
        ));
    }
    Ok(Json(
        json!({ "vpa": vpa, "success": true, "customer_name": "Test Customer" }),
    ))
}
