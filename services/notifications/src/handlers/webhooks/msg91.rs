//! `POST /api/notifications/webhooks/msg91`

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use common::{
    extract::body_bytes,
    problem::ApiError,
    routes::MAX_BODY,
    settings::{Msg91, SmsProvider},
};
use secrecy::ExposeSecret;
use serde_json::Value;
use subtle::ConstantTimeEq;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::{not_from_the_provider, not_in_use, note};
use crate::{app::App, channels::sms::msg91::NAME, domain::delivery::Outcome, store::News};

/// A report, as far as it is read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's view of what is read")]
pub struct Msg91Report {
    /// MSG91's name for the message.
    #[schema(rename = "requestId", example = "346a6b6c6d6e130")]
    request_id: String,
    /// What became of it: 1 delivered; 2, 9, 16, 17 and 25 not.
    #[schema(example = "1")]
    status: String,
    /// The same in a word.
    #[schema(example = "DELIVERED")]
    desc: Option<String>,
}

fn not_understood() -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "report_not_understood",
        "The report is neither JSON nor a form with JSON in `data`.",
    )
}

common::problems!(Problems: not_from_the_provider(), not_in_use(), not_understood());

/// MSG91's report on text messages, in any version of its webhooks that names the request.
#[utoipa::path(
    post,
    path = "/api/notifications/webhooks/msg91",
    operation_id = "reportByMsg91",
    tag = "notifications",
    params(
        ("key" = Option<String>, Query, description = "MSG91_WEBHOOK_SECRET, if it is not in the header"),
        ("authkey" = Option<String>, Header, description = "MSG91_WEBHOOK_SECRET, if it is not in the query"),
    ),
    request_body(content = Msg91Report, example = json!({
        "requestId": "346a6b6c6d6e130", "status": "1", "desc": "DELIVERED",
    })),
    responses(
        (status = 204, description = "Noted, now or before"),
        Problems,
    )
)]
pub async fn msg91(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let SmsProvider::Msg91(account) = &app.sms.provider else {
        return Err(not_in_use());
    };
    if !is_theirs(account, uri.query().unwrap_or_default(), &headers) {
        tracing::warn!("a report came without MSG91's secret");
        return Err(not_from_the_provider());
    }
    let raw = body_bytes(body, MAX_BODY).await?;
    for report in read(&raw).ok_or_else(not_understood)? {
        note(&app, report).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn is_theirs(account: &Msg91, query: &str, headers: &HeaderMap) -> bool {
    let Some(secret) = &account.webhook_secret else {
        return false;
    };
    let in_query = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "key");
    let in_header = headers.get("authkey").and_then(|value| value.to_str().ok());
    let given = in_header
        .map(str::to_owned)
        .or(in_query.map(|(_, key)| key.into_owned()));
    let given = given.unwrap_or_default();
    given.as_bytes().ct_eq(secret.expose_secret().as_bytes()).into()
}

/// Version 2 is a form whose `data` is a JSON list of requests with a `report` of each number; later ones are an object, or a
/// list of them.
fn read(raw: &[u8]) -> Option<Vec<News>> {
    let json = serde_json::from_slice(raw).ok().or_else(|| {
        let data = form_urlencoded::parse(raw).find(|(name, _)| name == "data");
        serde_json::from_str(&data?.1).ok()
    })?;
    let requests = match json {
        Value::Array(requests) => requests,
        object @ Value::Object(_) => vec![object],
        _ => return None,
    };
    let mut all = Vec::new();
    for request in &requests {
        let provider_id = text(request, &["requestId"]);
        let reports = match request.get("report") {
            Some(Value::Array(reports)) => reports.iter().collect(),
            _ => vec![request],
        };
        for report in reports {
            if let (Some(provider_id), Some(outcome)) = (provider_id.clone(), outcome(report)) {
                all.push(News {
                    provider: NAME,
                    id: None,
                    provider_id,
                    outcome,
                });
            }
        }
    }
    Some(all)
}

/// `None`: it is on its way.
fn outcome(report: &Value) -> Option<Outcome> {
    let status = text(report, &["status"])?.to_lowercase();
    let why = text(report, &["failureReason", "failedReason", "desc", "description"]);
    match status.as_str() {
        "1" | "delivered" => Some(Outcome::Delivered),
        "2" | "9" | "16" | "17" | "25" | "failed" | "rejected" | "blocked" | "ndnc" => {
            let why = crate::channels::mime::one_line(&why.unwrap_or_default());
            let why: String = why.chars().take(200).collect();
            Some(Outcome::Failed(
                format!("MSG91 reports {status} {why}").trim_end().to_owned(),
            ))
        }
        _ => None,
    }
}

/// The first of some fields that has something in it, text or number.
fn text(object: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match object.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(raw: &str) -> Option<Vec<(String, Outcome)>> {
        let news = read(raw.as_bytes())?;
        Some(
            news.into_iter()
                .map(|news| (news.provider_id, news.outcome))
                .collect(),
        )
    }

    /// The examples of MSG91's documentation.
    #[test]
    fn every_version_is_read() {
        let delivered = Some(vec![("346130".to_owned(), Outcome::Delivered)]);
        let v2 = r#"[{"senderId":"uXXXXm","requestId":"346130","report":[{"date":"2024-05-22 10:06:20","number":"919500000000","status":"1","desc":"DELIVERED","failedReason":""}],"userId":"27"}]"#;
        let form: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("data", v2)
            .finish();
        assert_eq!(read_text(&form), delivered);
        let v3 =
            r#"{"number":"919500000000","requestId":"346130","credit":"1","status":"1","desc":"DELIVERED"}"#;
        assert_eq!(read_text(v3), delivered);
        let new = r#"{"requestId":"346130","status":"Failed","failureReason":"Absent\nsubscriber"}"#;
        let failed = Outcome::Failed("MSG91 reports failed Absent subscriber".to_owned());
        assert_eq!(read_text(new), Some(vec![("346130".to_owned(), failed)]));
        assert_eq!(
            read_text(r#"{"requestId":"346130","status":"3"}"#),
            Some(Vec::new())
        );
        for nonsense in ["", "nonsense", "7", "null", "data=nonsense"] {
            assert_eq!(read_text(nonsense), None, "{nonsense}");
        }
    }
}
