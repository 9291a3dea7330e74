//! `POST /api/notifications/webhooks/twilio`

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use common::{
    extract::body_bytes, ids::MessageId, problem::ApiError, routes::MAX_BODY, settings::SmsProvider,
};
use url::form_urlencoded;
use utoipa::ToSchema;

use super::{not_from_the_provider, not_in_use, note};
use crate::{
    app::App,
    channels::sms::twilio::{NAME, REPORTS, is_signed},
    domain::delivery::Outcome,
    store::News,
};

/// The form of a report, as far as it is read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's view of what is read")]
pub struct TwilioReport {
    /// Twilio's name for the message.
    #[schema(rename = "MessageSid", example = "SM0123456789abcdef0123456789abcdef")]
    message_sid: String,
    /// What became of it.
    #[schema(rename = "MessageStatus", example = "delivered")]
    message_status: String,
    /// Why it failed.
    #[schema(rename = "ErrorCode", example = "30003")]
    error_code: Option<String>,
}

common::problems!(Problems: not_from_the_provider(), not_in_use());

/// Twilio's report on a text message. Signed with the account's token.
#[utoipa::path(
    post,
    path = "/api/notifications/webhooks/twilio",
    operation_id = "reportByTwilio",
    tag = "notifications",
    params(
        ("message_id" = Option<String>, Query, description = "The message, as we told Twilio", example = "019309a2-0000-7000-8000-000000000001"),
        ("X-Twilio-Signature" = Option<String>, Header, description = "HMAC-SHA1 of address and form, in base64"),
    ),
    request_body(content = TwilioReport, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 204, description = "Noted, now or before"),
        Problems,
    )
)]
pub async fn twilio(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let SmsProvider::Twilio(account) = &app.sms.provider else {
        return Err(not_in_use());
    };
    let raw = body_bytes(body, MAX_BODY).await?;
    let fields: Vec<(String, String)> = form_urlencoded::parse(&raw).into_owned().collect();
    let query = uri.query().unwrap_or_default();
    // As Twilio was told it; what a proxy made of it on the way is not signed.
    let address = match query {
        "" => format!("{}{REPORTS}", app.sms.public_url),
        query => format!("{}{REPORTS}?{query}", app.sms.public_url),
    };
    let signature = headers
        .get("x-twilio-signature")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !is_signed(account, &address, &fields, signature) {
        tracing::warn!("a report came that Twilio has not signed");
        return Err(not_from_the_provider());
    }
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let outcome = match field("MessageStatus") {
        "delivered" | "read" => Outcome::Delivered,
        "undelivered" | "failed" => Outcome::Failed(format!("Twilio reports error {}", field("ErrorCode"))),
        // On its way.
        _ => return Ok(StatusCode::NO_CONTENT),
    };
    let id = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "message_id");
    let news = News {
        provider: NAME,
        id: id.and_then(|(_, id)| id.parse().ok()).map(MessageId),
        provider_id: field("MessageSid").to_owned(),
        outcome,
    };
    note(&app, news).await?;
    Ok(StatusCode::NO_CONTENT)
}
