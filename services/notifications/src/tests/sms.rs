//! Text messages, against a server that behaves as the documents of the providers say.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use common::{
    clock::from_millis,
    ids::MessageId,
    settings::{Settings, SmsProvider},
    subscriber::Subscriber,
};
use parking_lot::Mutex;
use ring::hmac;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::kit::{Lab, NOW, confirmation, confirmed, event, eventually};
use crate::{
    channels::{
        Content, MailError, Mailer, Parcel,
        sms::{msg91::Msg91, twilio::Twilio},
    },
    domain::message::{Channel, Status},
    workers::sender::{Round, Sender},
};

const ACCOUNT: &str = "AC00000000000000000000000000000000";
const TOKEN: &str = "a-token-that-nobody-knows";

/// What the server does with a call.
#[derive(Clone)]
enum Mood {
    Answer(u16, Value),
    /// Takes it, and its answer is lost.
    Silent,
}

/// A call as it came.
#[derive(Clone, Debug)]
struct Call {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
}

impl Call {
    fn field(&self, name: &str) -> String {
        let fields = form_urlencoded::parse(self.body.as_bytes());
        let found = fields.into_owned().find(|(known, _)| known == name);
        found.map(|(_, value)| value).unwrap_or_default()
    }
}

/// A provider's server.
#[derive(Clone, Default)]
struct Server {
    moods: Arc<Mutex<Vec<Mood>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Server {
    /// Starts it; gives its address.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(any(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn next(&self, mood: Mood) {
        self.moods.lock().push(mood);
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }
}

async fn take(State(server): State<Server>, RawQuery(query): RawQuery, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    server.calls.lock().push(Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: query.unwrap_or_default(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let mood = {
        let mut moods = server.moods.lock();
        (!moods.is_empty()).then(|| moods.remove(0))
    };
    match mood.unwrap_or(Mood::Answer(500, json!({}))) {
        Mood::Answer(status, body) => {
            (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
        }
        Mood::Silent => std::future::pending().await,
    }
}

fn parcel(text: &str) -> Parcel {
    Parcel {
        id: MessageId::new(),
        created_at: from_millis(NOW),
        address: "+919876543210".into(),
        name: None,
        host: None,
        attachments: Vec::new(),
        content: Content::Sms {
            text: text.to_owned(),
            template: "ticket",
            variables: vec!["Rust evening".into(), "न".repeat(50), "7KQM-2XRT-9FHB".into()],
        },
    }
}

fn provider(base_url: &str) -> Settings {
    Settings::read(|name| match name {
        "SMS_PROVIDER" => Some("twilio".into()),
        "TWILIO_ACCOUNT_SID" => Some(ACCOUNT.into()),
        "TWILIO_AUTH_TOKEN" => Some(TOKEN.into()),
        "TWILIO_FROM" => Some("+15005550006".into()),
        "TWILIO_BASE_URL" => Some(base_url.to_owned()),
        _ => None,
    })
    .unwrap()
}

fn twilio(base_url: &str) -> Twilio {
    let SmsProvider::Twilio(account) = provider(base_url).sms else {
        panic!("no Twilio")
    };
    Twilio::new(account, "https://events.example.org".into(), 1000).unwrap()
}

fn msg91(base_url: &str) -> Msg91 {
    let settings = Settings::read(|name| match name {
        "SMS_PROVIDER" => Some("msg91".into()),
        "MSG91_AUTH_KEY" => Some("the-key".into()),
        "MSG91_SENDER_ID" => Some("ORGEVT".into()),
        "MSG91_TEMPLATES" => Some("ticket:65a1".into()),
        "MSG91_BASE_URL" => Some(base_url.to_owned()),
        _ => None,
    })
    .unwrap();
    let SmsProvider::Msg91(account) = settings.sms else {
        panic!("no MSG91")
    };
    Msg91::new(account, 1000).unwrap()
}

#[tokio::test]
async fn twilio_is_called_as_documented() {
    let server = Server::default();
    let twilio = twilio(&server.start().await);
    server.next(Mood::Answer(
        201,
        json!({"sid": "SM1", "status": "queued", "num_segments": "1"}),
    ));
    let parcel = parcel("आप आ रहे हैं & 100%");
    assert_eq!(twilio.send(parcel.clone(), 1).await.unwrap(), "SM1");
    let call = server.calls().remove(0);
    assert_eq!(call.method, "POST");
    assert_eq!(call.path, format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json"));
    let key = BASE64_STANDARD.encode(format!("{ACCOUNT}:{TOKEN}"));
    assert_eq!(call.headers[header::AUTHORIZATION], format!("Basic {key}"));
    assert_eq!(call.field("To"), "+919876543210");
    assert_eq!(call.field("From"), "+15005550006");
    assert_eq!(call.field("Body"), "आप आ रहे हैं & 100%");
    let reports = format!(
        "https://events.example.org/api/notifications/webhooks/twilio?message_id={}",
        parcel.id
    );
    assert_eq!(call.field("StatusCallback"), reports);
}

#[tokio::test]
async fn twilio_s_refusals_are_told_apart() {
    let server = Server::default();
    let twilio = twilio(&server.start().await);
    let error = |code: u32| json!({"code": code, "message": "no", "status": 400});
    for (status, body, is_right) in [
        (
            400,
            error(21_211),
            (|error| matches!(error, MailError::Permanent(_))) as fn(&MailError) -> bool,
        ),
        (400, error(21_610), |error| {
            matches!(error, MailError::Permanent(_))
        }),
        (400, error(21_606), |error| {
            matches!(error, MailError::Unreachable(_))
        }),
        (401, error(20_003), |error| {
            matches!(error, MailError::Unreachable(_))
        }),
        (429, error(20_429), |error| {
            matches!(error, MailError::Unreachable(_))
        }),
        (500, json!({}), |error| matches!(error, MailError::Temporary(_))),
        (503, Value::Null, |error| matches!(error, MailError::Temporary(_))),
        (201, json!({"no": "sid"}), |error| {
            matches!(error, MailError::Temporary(_))
        }),
    ] {
        server.next(Mood::Answer(status, body.clone()));
        let error = twilio.send(parcel("x"), 1).await.unwrap_err();
        assert!(is_right(&error), "{status} {body}: {error}");
        assert!(!error.to_string().contains(TOKEN));
    }
    let nobody = self::twilio("http://127.0.0.1:9");
    let error = nobody.send(parcel("x"), 1).await.unwrap_err();
    assert!(matches!(error, MailError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn a_lost_answer_of_twilio_s_sends_nothing_twice() {
    let server = Server::default();
    let twilio = twilio(&server.start().await);
    server.next(Mood::Silent);
    let parcel = parcel("Your ticket");
    let lost = tokio::time::timeout(Duration::from_millis(300), twilio.send(parcel.clone(), 1)).await;
    assert!(lost.is_err(), "no answer");
    let at = (from_millis(NOW) + TimeDelta::seconds(2)).to_rfc2822();
    let message = |sid: &str, body: &str, status: &str, at: &str| json!({"sid": sid, "body": body, "status": status, "date_created": at});
    let long_ago = (from_millis(NOW) - TimeDelta::days(3)).to_rfc2822();
    server.next(Mood::Answer(
        200,
        json!({"messages": [
            message("SM1", "Another", "sent", &at),
            message("SM2", "Your ticket", "failed", &at),
            message("SM3", "Your ticket", "delivered", &long_ago),
            message("SM4", "Your ticket", "sent", &at),
        ]}),
    ));
    assert_eq!(twilio.send(parcel.clone(), 2).await.unwrap(), "SM4");
    let calls = server.calls();
    assert_eq!(calls.len(), 2, "it was not sent again");
    assert_eq!(
        (
            calls[1].method.as_str(),
            calls[1].query.contains("To=%2B919876543210")
        ),
        ("GET", true)
    );
    // One that Twilio knows nothing of goes out.
    server.next(Mood::Answer(200, json!({"messages": []})));
    server.next(Mood::Answer(201, json!({"sid": "SM5"})));
    assert_eq!(twilio.send(parcel, 3).await.unwrap(), "SM5");
}

#[tokio::test]
async fn msg91_is_called_as_documented() {
    let server = Server::default();
    let msg91 = msg91(&server.start().await);
    server.next(Mood::Answer(200, json!({"type": "success", "message": "346130"})));
    assert_eq!(msg91.send(parcel("unused"), 1).await.unwrap(), "346130");
    let call = server.calls().remove(0);
    assert_eq!(
        (call.path.as_str(), &call.headers["authkey"]),
        ("/api/v5/flow", &"the-key".parse().unwrap())
    );
    let body: Value = serde_json::from_str(&call.body).unwrap();
    let cut = format!("{}...", "न".repeat(37));
    assert_eq!(
        body,
        json!({"template_id": "65a1", "sender": "ORGEVT", "short_url": "0", "recipients": [
            {"mobiles": "919876543210", "VAR1": "Rust evening", "VAR2": cut, "VAR3": "7KQM-2XRT-9FHB"},
        ]})
    );
    for (status, body, permanent) in [
        (200, json!({"type": "error", "message": "Invalid template"}), true),
        (
            400,
            json!({"type": "error", "message": "Invalid mobile number"}),
            true,
        ),
        (
            200,
            json!({"type": "error", "message": "Authentication failure"}),
            false,
        ),
        (401, json!({"type": "error", "message": "Unauthorized"}), false),
        (429, Value::Null, false),
        (502, Value::Null, false),
        (200, json!(["?"]), false),
    ] {
        server.next(Mood::Answer(status, body.clone()));
        let error = msg91.send(parcel("x"), 1).await.unwrap_err();
        assert_eq!(
            matches!(error, MailError::Permanent(_)),
            permanent,
            "{status} {body}: {error}"
        );
    }
    let mut unregistered = parcel("x");
    if let Content::Sms { template, .. } = &mut unregistered.content {
        *template = "reminder";
    }
    assert!(matches!(
        msg91.send(unregistered, 1).await,
        Err(MailError::Permanent(_))
    ));
}

/// A slow or dead provider of the one channel is no matter of the other.
#[tokio::test]
async fn one_channel_does_not_wait_for_the_other() {
    let lab = Lab::new();
    let server = Server::default();
    let parts = lab.parts();
    server.next(Mood::Silent);
    let user = lab.users.add(None, "asha@example.com", Some("+919876543210"));
    parts
        .receive(vec![confirmation(&confirmed(user, &event(TimeDelta::hours(-1))))])
        .await;
    let sms: Arc<dyn Mailer> = Arc::new(twilio(&server.start().await));
    let stop = CancellationToken::new();
    let lease = Duration::from_secs(20);
    let texts = Sender::new(parts.clone(), Channel::Sms, sms, lease);
    let stuck = tokio::spawn(async move { texts.round(&CancellationToken::new()).await });
    eventually(async || (!server.calls().is_empty()).then_some(())).await;
    let (recorder, mut received) = super::recorder::Recorder::new();
    let mails = Sender::new(parts.clone(), Channel::Email, recorder, lease);
    assert_eq!(mails.round(&stop).await.unwrap(), Round::Worked);
    assert!(received.try_recv().is_ok());
    assert!(!stuck.is_finished());
    stuck.abort();
}

fn signature(address: &str, form: &str) -> String {
    let mut fields: Vec<(String, String)> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    fields.sort();
    let joined: String = fields.into_iter().map(|(name, value)| name + &value).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, format!("{address}{joined}").as_bytes()))
}

/// From the registration to Twilio, and its report back to the attendee's list.
#[tokio::test]
async fn a_text_message_is_known_to_have_arrived() {
    let lab = Lab::new();
    let server = Server::default();
    let base = server.start().await;
    let service = lab.service_with(&[
        ("SMS_PROVIDER", "twilio"),
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_FROM", "+15005550006"),
        ("TWILIO_BASE_URL", &base),
        ("PUBLIC_URL", "https://events.example.org"),
    ]);
    for sid in ["SM1", "SM2"] {
        server.next(Mood::Answer(201, json!({"sid": sid})));
    }
    let user = lab.users.add(None, "asha@example.com", Some("+919876543210"));
    let facts = event(TimeDelta::hours(-1));
    service.accepts(&[confirmation(&confirmed(user, &facts))]).await;
    let texts = async || {
        let list = service.get_as(user, "/api/notifications").await.json();
        let list = list.as_array().unwrap().clone();
        list.into_iter()
            .filter(|entry| entry["channel"] == "sms")
            .collect::<Vec<_>>()
    };
    let is = async |status: Status| {
        eventually(async || (texts().await.first()?["status"] == status.name()).then_some(())).await;
    };
    is(Status::Sent).await;
    let call = server.calls().remove(0);
    assert!(call.field("Body").contains("7KQM-2XRT-9FHB"), "{}", call.body);
    let address = call.field("StatusCallback");
    let path = address.strip_prefix("https://events.example.org").unwrap();
    let report = async |form: &str, signature: &str| {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("x-twilio-signature", signature)
            .body(Body::from(form.to_owned()))
            .unwrap();
        service.call(request).await.status
    };
    let form = |status: &str| format!("MessageSid=SM1&MessageStatus={status}&To=%2B919876543210");
    for forged in ["", "nonsense", &signature(&address, &form("delivered"))] {
        assert_eq!(report(&form("failed"), forged).await, StatusCode::FORBIDDEN);
    }
    let signed = async |status: &str| report(&form(status), &signature(&address, &form(status))).await;
    assert_eq!(signed("sent").await, StatusCode::NO_CONTENT);
    assert_eq!(texts().await[0]["status"], "sent");
    for _ in 0..2 {
        assert_eq!(signed("delivered").await, StatusCode::NO_CONTENT);
    }
    assert_eq!(texts().await[0]["status"], "delivered");
    assert!(texts().await[0]["delivered_at"].is_string());
    assert_eq!(signed("failed").await, StatusCode::NO_CONTENT);
    assert_eq!(texts().await[0]["status"], "delivered", "reports out of order");
    // There is no such provider here.
    let request = Request::post("/api/notifications/webhooks/msg91?key=x")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(service.call(request).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn msg91_reports_with_its_secret() {
    const SECRET: &str = "sixteen-or-more-characters";
    let lab = Lab::new();
    let server = Server::default();
    let base = server.start().await;
    let service = lab.service_with(&[
        ("SMS_PROVIDER", "msg91"),
        ("MSG91_AUTH_KEY", "the-key"),
        ("MSG91_SENDER_ID", "ORGEVT"),
        ("MSG91_TEMPLATES", "ticket:65a1"),
        ("MSG91_BASE_URL", &base),
        ("MSG91_WEBHOOK_SECRET", SECRET),
    ]);
    server.next(Mood::Answer(200, json!({"type": "success", "message": "346130"})));
    let user = lab.users.add(None, "asha@example.com", Some("+919876543210"));
    let facts = event(TimeDelta::hours(-1));
    let registered = confirmed(user, &facts);
    service.accepts(&[confirmation(&registered)]).await;
    let texts = async || {
        let list = service.get_as(user, "/api/notifications").await.json();
        let list = list.as_array().unwrap().clone();
        list.into_iter()
            .filter(|entry| entry["channel"] == "sms")
            .collect::<Vec<_>>()
    };
    eventually(async || (texts().await.first()?["status"] == "sent").then_some(())).await;
    let report = async |query: &str, key: Option<&str>, body: &str| {
        let mut request = Request::post(format!("/api/notifications/webhooks/msg91{query}"));
        if let Some(key) = key {
            request = request.header("authkey", key);
        }
        service
            .call(request.body(Body::from(body.to_owned())).unwrap())
            .await
            .status
    };
    let failed = r#"{"requestId":"346130","status":"2","desc":"FAILED"}"#;
    assert_eq!(report("", None, failed).await, StatusCode::FORBIDDEN);
    assert_eq!(report("?key=wrong", None, failed).await, StatusCode::FORBIDDEN);
    assert_eq!(
        report("", Some(SECRET), "nonsense").await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(texts().await[0]["status"], "sent");
    assert_eq!(
        report(&format!("?key={SECRET}"), None, failed).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(texts().await[0]["status"], "failed");
    assert_eq!(texts().await[0]["error"], "MSG91 reports 2 FAILED");
    // What has no registered text goes by e-mail only.
    service
        .accepts(&[super::kit::end(&registered, common::wire::EndReason::Attendee)])
        .await;
    eventually(async || {
        let list = service.get_as(user, "/api/notifications").await.json();
        let all = list.as_array().unwrap().clone();
        all.iter()
            .any(|entry| entry["kind"] == "registration_cancelled")
            .then_some(())
    })
    .await;
    assert_eq!(texts().await.len(), 1);
}
