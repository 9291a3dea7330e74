//! What organizers see of messages before they are sent.

use std::collections::BTreeSet;

use axum::http::{StatusCode, header};
use common::{auth::Role, ids::UserId};
use serde_json::json;

use super::kit::{Answer, Lab, Service};
use crate::{
    domain::{
        language::Language,
        message::{Channel, Kind},
    },
    templates::samples::{KINDS, is_texted},
};

const PATH: &str = "/api/notifications/templates";

impl Service {
    async fn preview(&self, rest: &str) -> Answer {
        self.get_in_role(UserId::new(), Role::Organizer, &format!("{PATH}{rest}"))
            .await
    }
}

#[tokio::test]
async fn every_kind_is_listed_with_what_it_can_say() {
    let lab = Lab::new();
    let service = lab.service();
    let answer = service.preview("").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let list = answer.json();
    let list = list.as_array().unwrap();
    let listed: BTreeSet<&str> = list.iter().map(|item| item["kind"].as_str().unwrap()).collect();
    let all: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.template()).collect();
    assert_eq!((listed, list.len()), (all, KINDS.len()));
    for item in list {
        assert_eq!(item["locales"], json!(["en", "hi"]));
        let variables: Vec<&str> = item["variables"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert!(variables.contains(&"name"), "{item}");
        // An invitation is about an event, and brings a token.
        let brings_both = item["kind"] == "team_invitation";
        let (event, token) = (
            variables.contains(&"event_name"),
            variables.contains(&"token.code"),
        );
        assert_eq!(event && token, brings_both, "{item}");
        assert!(event || token, "{item}");
    }
    assert_eq!(list[0]["channels"], json!(["email", "sms"]));
    assert_eq!(
        list[0]["variables"],
        json!([
            "amount",
            "event.ends",
            "event.join",
            "event.place",
            "event.short",
            "event.when",
            "event.yours",
            "event_link",
            "event_name",
            "name",
            "paid",
            "payment_id",
            "payment_link",
            "registration_id",
            "ticket_code",
            "ticket_id"
        ])
    );
    let mailed = list.iter().find(|item| item["kind"] == "verify_email").unwrap();
    assert_eq!(mailed["channels"], json!(["email"]));
}

#[tokio::test]
async fn every_kind_is_shown_in_every_language_and_form() {
    let lab = Lab::new();
    let service = lab.service();
    for kind in KINDS {
        for language in Language::ALL {
            let (name, tag) = (kind.template(), language.tag());
            let html = service.preview(&format!("/{name}/preview?locale={tag}")).await;
            assert_eq!(html.status, StatusCode::OK, "{}", html.text);
            assert_eq!(html.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
            let policy = html.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(
                policy.contains("default-src 'none'") && policy.ends_with("sandbox"),
                "{policy}"
            );
            assert!(
                html.text.contains(&format!("<html lang=\"{tag}\">")),
                "{}",
                html.text
            );
            let text = service
                .preview(&format!("/{name}/preview?format=text&locale={tag}"))
                .await;
            assert_eq!(text.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
            assert!(text.text.ends_with("Organise Event\n"), "{}", text.text);
            let sms = service
                .preview(&format!("/{name}/preview?format=sms&locale={tag}"))
                .await;
            let status = if is_texted(kind) {
                StatusCode::OK
            } else {
                StatusCode::UNPROCESSABLE_ENTITY
            };
            assert_eq!(sms.status, status, "{}", sms.text);
        }
    }
    let ticket = service.preview("/ticket/preview?format=text").await;
    assert!(
        ticket
            .text
            .starts_with("Your ticket: Rust for organisers\n\nHello Asha Rao,")
            && ticket.text.contains("Thursday, 31 January 2030, 18:30 IST"),
        "{}",
        ticket.text
    );
    assert_eq!(Channel::ALL.len(), 2, "and forms for each");
}

#[tokio::test]
async fn what_cannot_be_shown_is_refused() {
    let lab = Lab::new();
    let service = lab.service();
    for unknown in [
        "/nothing/preview",
        "/layout/preview",
        "/reminder_24h/preview",
        "/%2e%2e/preview",
    ] {
        let answer = service.preview(unknown).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{unknown}");
    }
    for (query, field) in [
        ("locale=de", "locale"),
        ("locale=hi-IN", "locale"),
        ("format=pdf", "format"),
        ("form=html", "form"),
    ] {
        let answer = service.preview(&format!("/ticket/preview?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    for path in ["", "/ticket/preview"] {
        let path = format!("{PATH}{path}");
        let user = service.get_as(UserId::new(), &path).await;
        assert_eq!(user.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(user.json()["code"], "organizer_only");
        assert_eq!(
            service.get(&path).await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
}
