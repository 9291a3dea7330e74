//! The public and the operational routes.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use chrono::TimeDelta;
use common::{ids::UserId, outbox};

use super::kit::{Lab, confirmation, confirmed, event, eventually};

#[tokio::test]
async fn messages_are_taken_from_services_only() {
    let lab = Lab::new();
    let service = lab.service();
    let user_token = service.get_as(UserId::new(), outbox::PATH).await;
    assert_eq!(user_token.status, StatusCode::METHOD_NOT_ALLOWED);
    for token in [None, Some("Bearer x".to_owned())] {
        let mut request = Request::post(outbox::PATH);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let answer = service.call(request.body(Body::from("[]")).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json()["code"], "invalid_token");
    }
}

#[tokio::test]
async fn a_user_sees_their_own_messages_in_pages() {
    let lab = Lab::new();
    let service = lab.service();
    let user = lab
        .users
        .add(Some("Asha"), "asha@example.com", Some("+911234567890"));
    let other = lab.users.add(None, "ravi@example.com", None);
    let facts = event(TimeDelta::hours(48));
    let batch = [
        confirmation(&confirmed(user, &facts)),
        confirmation(&confirmed(other, &facts)),
    ];
    service.accepts(&batch).await;
    service.mailbox(3).await;

    let first = service.get_as(user, "/api/notifications?limit=1").await;
    assert_eq!(first.status, StatusCode::OK);
    let items = first.json();
    assert_eq!(items.as_array().unwrap().len(), 1);
    for item in items.as_array().unwrap() {
        assert_eq!(item["event_id"], facts.event_id.to_string());
        assert_eq!(
            (&item["status"], &item["created_at"]),
            (&"sent".into(), &"2030-03-17T17:46:40.000Z".into())
        );
        assert_eq!(item["sent_at"], "2030-03-17T17:46:40.000Z");
        assert!(item["message_id"].is_string() && item["kind"].is_string() && item["channel"].is_string());
    }
    let link = first.headers[header::LINK].to_str().unwrap();
    let next = link.strip_prefix('<').unwrap().split('>').next().unwrap();
    let second = service.get_as(user, next).await;
    assert_eq!(second.json().as_array().unwrap().len(), 1);
    assert!(!second.headers.contains_key(header::LINK));

    assert_eq!(
        service
            .get_as(other, "/api/notifications")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        service.get_as(UserId::new(), "/api/notifications").await.text,
        "[]"
    );
}

#[tokio::test]
async fn the_list_needs_a_token_and_right_parameters() {
    let service = Lab::new().service();
    assert_eq!(
        service.get("/api/notifications").await.status,
        StatusCode::UNAUTHORIZED
    );
    let wrong = service
        .get_as(UserId::new(), "/api/notifications?limit=0&cursor=x")
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.json()["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn it_says_how_it_is() {
    let lab = Lab::new();
    let service = lab.service();
    let user = lab.users.add(None, "asha@example.com", None);
    service
        .accepts(&[confirmation(&confirmed(user, &event(TimeDelta::hours(48))))])
        .await;
    assert_eq!(service.get("/health/ready").await.json()["checks"]["store"], "up");
    assert_eq!(service.get("/health/live").await.status, StatusCode::OK);
    eventually(async || {
        let metrics = service.get("/metrics").await.text;
        let has = |line: &str| metrics.lines().any(|l| l == line);
        (has("messages_queued{service=\"notifications\"} 0")
            && has("messages_failed{service=\"notifications\"} 0")
            && has("reminders_pending{service=\"notifications\"} 2"))
        .then_some(())
    })
    .await;
}

#[tokio::test]
async fn its_document_describes_the_public_call() {
    let document = Lab::new().service().get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let call = &document["paths"]["/api/notifications"]["get"];
    assert_eq!(call["tags"][0], "notifications");
    assert!(call["security"][0]["bearer"].is_array());
    assert_eq!(document["paths"].as_object().unwrap().len(), 13);
}

#[tokio::test]
async fn a_wrong_sender_stops_the_start() {
    let lab = Lab::new();
    for (setting, value) in [
        ("MAIL_FROM", "nobody"),
        ("SMTP_URL", "smtp://me:hunter2@host?tls=maybe"),
    ] {
        let context = lab.context(&[(setting, value)]);
        let (peers, _slots) = runtime::peers::Peers::local();
        let error = crate::build(&context, &peers).await.err().unwrap();
        assert!(
            error.starts_with(setting) && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_inbox_shows_what_was_written_and_marks_it_read() {
    let lab = Lab::new();
    let service = lab.service();
    let (user, other) = (
        lab.users.add(None, "asha@example.com", Some("+919876543210")),
        lab.users.add(None, "ben@example.com", None),
    );
    let facts = event(TimeDelta::hours(48));
    service.accepts(&[confirmation(&confirmed(user, &facts))]).await;
    let unread = async || {
        let list = service
            .get_as(user, "/api/notifications?unread=true")
            .await
            .json();
        list.as_array().unwrap().clone()
    };
    let list = unread().await;
    let of = |channel: &str| {
        list.iter()
            .find(|entry| entry["channel"] == channel)
            .unwrap()
            .clone()
    };
    let (mail, text) = (of("email"), of("sms"));
    assert_eq!(mail["subject"], "Your ticket: Rust evening");
    for said in [&mail["text"], &text["text"]] {
        assert!(said.as_str().unwrap().contains("7KQM-2XRT-9FHB"), "{said}");
    }
    assert!(text["subject"].is_null() && mail["read_at"].is_null());
    let mark = async |user, path: &str| service.post_as(user, &format!("/api/notifications/{path}")).await;
    let id = mail["message_id"].as_str().unwrap();
    for (user, id) in [(other, id), (user, "nonsense"), (user, "\u{0907}")] {
        let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
        let answer = mark(user, &format!("{id}/read")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text);
    }
    for marked in [1, 0] {
        assert_eq!(mark(user, &format!("{id}/read")).await.json()["marked"], marked);
    }
    assert_eq!(unread().await.len(), 1);
    assert_eq!(mark(user, "read_all").await.json()["marked"], 1);
    assert!(unread().await.is_empty());
    let all = service
        .get_as(user, "/api/notifications?unread=false")
        .await
        .json();
    assert!(all[0]["read_at"].is_string(), "{all}");
    let wrong = service.get_as(user, "/api/notifications?unread=perhaps").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn people_choose_what_they_are_told() {
    let lab = Lab::new();
    let service = lab.service_with(&[("PUBLIC_URL", "https://events.example.org")]);
    let user = lab.users.add(None, "asha@example.com", Some("+919876543210"));
    const PATH: &str = "/api/notifications/preferences";
    let put = async |body: serde_json::Value| service.put_as(user, PATH, &body).await;
    let chosen = service.get_as(user, PATH).await.json();
    assert_eq!(
        chosen["reminder"],
        serde_json::json!({"email": true, "sms": true})
    );
    assert!(chosen["quiet_hours"].is_null());
    for (wrong, field) in [
        (serde_json::json!({"ticket": {"email": false}}), "ticket"),
        (
            serde_json::json!({"payment_refunded": {"email": false, "sms": true}}),
            "payment_refunded",
        ),
        (serde_json::json!({"reminder": {"email": "no"}}), "reminder"),
        (serde_json::json!({"reminder": null}), "reminder"),
        (serde_json::json!({"reminder": false}), "reminder"),
        (
            serde_json::json!({"quiet_hours": {"from": "22:00"}}),
            "quiet_hours",
        ),
        (
            serde_json::json!({"quiet_hours": {"from": "22:00", "to": "22:00"}}),
            "quiet_hours",
        ),
        (
            serde_json::json!({"quiet_hours": {"from": "24:00", "to": "07:00"}}),
            "quiet_hours",
        ),
        (
            serde_json::json!({"quiet_hours": {"from": "२२:००", "to": "07:00"}}),
            "quiet_hours",
        ),
    ] {
        let answer = put(wrong).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    let answer = put(serde_json::json!({
        "ticket": {"sms": false}, "nonsense": {"email": false}, "quiet_hours": {"from": "22:00", "to": "07:00"},
    }));
    let answer = answer.await.json();
    assert_eq!(answer["ticket"], serde_json::json!({"email": true, "sms": false}));
    assert_eq!(
        answer["quiet_hours"],
        serde_json::json!({"from": "22:00", "to": "07:00"})
    );
    assert!(answer.get("nonsense").is_none());
    let facts = event(TimeDelta::hours(48));
    service.accepts(&[confirmation(&confirmed(user, &facts))]).await;
    let list = service.get_as(user, "/api/notifications").await.json();
    assert_eq!(
        (list.as_array().unwrap().len(), &list[0]["channel"]),
        (1, &serde_json::json!("email"))
    );

    // The link in an e-mail, without signing in.
    let unsubscribing =
        crate::domain::unsubscribe::Unsubscribing::new(&service.context.auth("notifications"));
    let link = format!(
        "/api/notifications/unsubscribe?t={}",
        unsubscribing.token(user, "reminder")
    );
    let page = service.get(&link).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text.contains("No more reminders by e-mail?") && page.text.contains("<form"),
        "{}",
        page.text
    );
    assert!(page.headers.contains_key(header::CONTENT_SECURITY_POLICY));
    assert_eq!(
        service.get_as(user, PATH).await.json()["reminder"]["email"],
        true,
        "it was only opened"
    );
    let post = async |link: &str| {
        let request = Request::post(link)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from("List-Unsubscribe=One-Click"))
            .unwrap();
        service.call(request).await
    };
    for _ in 0..2 {
        let done = post(&link).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text);
        assert!(done.text.contains("No more reminders by e-mail."));
    }
    assert_eq!(
        service.get_as(user, PATH).await.json()["reminder"],
        serde_json::json!({"email": false, "sms": true})
    );
    for wrong in [
        "/api/notifications/unsubscribe",
        "/api/notifications/unsubscribe?t=x",
        &link[..link.len() - 1],
    ] {
        assert_eq!(post(wrong).await.status, StatusCode::NOT_FOUND, "{wrong}");
        assert_eq!(service.get(wrong).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
}
