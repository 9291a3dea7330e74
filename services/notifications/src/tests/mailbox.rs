//! The mailbox and its pages.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use common::{ids::MessageId, wire::EndReason};
use sha2::{Digest, Sha256};

use super::kit::{Lab, confirmation, confirmed, end, event};

#[tokio::test]
async fn a_confirmation_and_a_ticket_lie_in_the_mailbox() {
    let lab = Lab::new();
    let service = lab.service();
    let user = lab
        .users
        .add(Some("Asha Rao"), "asha@example.com", Some("+911234567890"));
    let fact = confirmed(user, &event(TimeDelta::hours(48)));
    service.accepts(&[confirmation(&fact)]).await;
    let list = service.mailbox(2).await;
    for item in &list {
        let (id, channel) = (item["id"].as_str().unwrap(), item["channel"].as_str().unwrap());
        let extension = if channel == "email" { "eml" } else { "txt" };
        let file = std::fs::read_to_string(lab.dir.path().join(format!("mailbox/{id}.{extension}"))).unwrap();
        let raw = service.get(&format!("/dev/mailbox/{id}?raw=1")).await;
        assert_eq!((raw.status, &raw.text), (StatusCode::OK, &file));
        assert_eq!(raw.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(item["created_at"], "2030-03-17T17:46:40.000Z");
        if channel == "email" {
            assert!(
                file.contains(&format!("Message-ID: <{id}@organise-event>\r\n")),
                "{file}"
            );
            assert!(file.contains("To: \"Asha Rao\" <asha@example.com>\r\n"), "{file}");
            assert!(
                file.contains("Date: Sun, 17 Mar 2030 17:46:40 +0000\r\n"),
                "{file}"
            );
        }
        assert!(file.contains("7KQM-2XRT-9FHB"), "{file}");
        let text = service.get(&format!("/dev/mailbox/{id}?text=1")).await;
        assert_eq!(text.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert!(
            text.text.contains("7KQM-2XRT-9FHB") && !text.text.contains('<'),
            "{}",
            text.text
        );
    }
    let found = |kind: &str, channel: &str| {
        let item = list
            .iter()
            .find(|item| item["kind"] == kind && item["channel"] == channel)
            .unwrap();
        (item["to"].as_str().unwrap(), item["subject"].as_str().unwrap())
    };
    assert_eq!(
        found("ticket", "email"),
        ("asha@example.com", "Your ticket: Rust evening")
    );
    assert_eq!(found("ticket", "sms").0, "+911234567890");
}

#[tokio::test]
async fn pages_show_the_list_and_a_message() {
    let lab = Lab::new();
    let service = lab.service();
    assert!(service.get("/dev/mailbox").await.text.contains("Nothing yet"));
    let evil = "<script>alert(1)</script>";
    let user = lab.users.add(None, "asha@example.com", None);
    let facts = common::wire::EventFacts {
        name: evil.into(),
        address: evil.into(),
        ..event(TimeDelta::hours(48))
    };
    service.accepts(&[confirmation(&confirmed(user, &facts))]).await;
    let list = service.mailbox(1).await;

    let page = service.get("/dev/mailbox").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.headers[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(
        page.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'; script-src 'sha256-")
    );
    assert!(
        page.text.contains("asha@example.com")
            && page.text.contains("&lt;script&gt;")
            && !page.text.contains(evil)
    );
    for item in &list {
        let path = format!("/dev/mailbox/{}", item["id"].as_str().unwrap());
        assert!(page.text.contains(&format!("href=\"{path}\"")));
        let shown = service.get(&path).await;
        assert_eq!(shown.status, StatusCode::OK);
        assert!(
            // One script, our own; the frame lets nothing run.
            shown
                .text
                .contains("<iframe sandbox=\"allow-same-origin allow-popups")
                && shown.text.matches("<script").count() == 1
                && !shown.text.contains("allow-scripts"),
            "{}",
            shown.text
        );
        // Twice escaped: once for the message, once for the attribute that holds it.
        assert!(shown.text.contains("&amp;lt;script&amp;gt;"), "{}", shown.text);
    }
}

#[tokio::test]
async fn the_list_comes_in_pages_and_by_address_and_as_json() {
    let lab = Lab::new();
    let service = lab.service();
    let facts = event(TimeDelta::hours(48));
    for name in ["asha", "ravi", "mina"] {
        let user = lab.users.add(None, &format!("{name}@example.com"), None);
        service.accepts(&[confirmation(&confirmed(user, &facts))]).await;
    }
    let all = service.mailbox(3).await;
    let request = Request::get("/dev/mailbox?limit=2").header(header::ACCEPT, "application/json");
    let first = service.call(request.body(Body::empty()).unwrap()).await;
    let link = first.headers[header::LINK].to_str().unwrap().to_owned();
    assert_eq!(first.json().as_array().unwrap(), &all[..2]);
    let next = link
        .strip_prefix('<')
        .unwrap()
        .split('>')
        .next()
        .unwrap()
        .replace("/dev/mailbox?", "/dev/mailbox.json?");
    assert_eq!(service.get(&next).await.json().as_array().unwrap(), &all[2..]);

    let answer = service.get("/dev/mailbox?limit=2").await;
    let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    let page = &answer.text;
    assert!(page.contains("Older messages") && page.contains("id=\"live\"") && !page.contains("http-equiv"));
    // The one script that may run is the one that is there.
    let script = page
        .split("<script>")
        .nth(1)
        .unwrap()
        .split("</script>")
        .next()
        .unwrap();
    let hash = STANDARD.encode(Sha256::digest(script));
    assert!(policy.contains(&format!("script-src 'sha256-{hash}'")), "{hash}");
    let cursor = next.split("cursor=").nth(1).unwrap();
    assert!(
        !service
            .get(&format!("/dev/mailbox?limit=2&cursor={cursor}"))
            .await
            .text
            .contains("id=\"live\"")
    );

    let tagged = lab.users.add(None, "ravi+test@example.com", None);
    service.accepts(&[confirmation(&confirmed(tagged, &facts))]).await;
    service.mailbox(4).await;
    for to in [
        "ravi+test@example.com",
        "ravi%2Btest@example.com",
        "Ravi+Test@Example.COM",
        "+ravi+test@example.com+",
    ] {
        let to = service.get(&format!("/dev/mailbox.json?to={to}")).await.json();
        assert_eq!(to.as_array().unwrap().len(), 1);
        assert_eq!(to[0]["to"], "ravi+test@example.com");
    }
    let abroad = lab.users.add(None, "zoe@münchen.de", Some("+491234567"));
    service.accepts(&[confirmation(&confirmed(abroad, &facts))]).await;
    service.mailbox(6).await;
    for (to, kept) in [
        ("zoe@m%C3%BCnchen.de", "zoe@münchen.de"),
        ("Zoe@xn--mnchen-3ya.de", "zoe@münchen.de"),
        ("zoe@mu%CC%88nchen.de", "zoe@münchen.de"),
        ("+491234567", "+491234567"),
        ("%2B491234567", "+491234567"),
    ] {
        let found = service.get(&format!("/dev/mailbox.json?to={to}")).await.json();
        assert_eq!(found.as_array().unwrap().len(), 1, "{to}");
        assert_eq!(found[0]["to"], kept);
    }
    let ravi = service.get("/dev/mailbox.json?to=ravi@example.com").await.json();
    assert!(
        ravi.as_array()
            .unwrap()
            .iter()
            .all(|item| item["to"] == "ravi@example.com")
    );
    assert_eq!(ravi.as_array().unwrap().len(), 1);
    // As people write it into a URL.
    let user = lab.users.add(None, "ravi+test@münchen.de", Some("+919876543210"));
    service.accepts(&[confirmation(&confirmed(user, &facts))]).await;
    service.mailbox(8).await;
    for (to, count) in [
        ("ravi+test@münchen.de", 1),
        ("Ravi%2BTest@xn--mnchen-3ya.DE", 1),
        ("RAVI%20TEST%40M%C3%9CNCHEN.DE", 1),
        ("+919876543210", 1),
        ("%2B91+98765-43210", 1),
        ("", 8),
        ("+", 8),
        ("ravi@münchen.de", 0),
    ] {
        let path = format!("/dev/mailbox.json?to={}", to.replace('ü', "%C3%BC"));
        let found = service.get(&path).await.json();
        assert_eq!(found.as_array().unwrap().len(), count, "{to}");
    }
    assert_eq!(
        service.get("/dev/mailbox?limit=x").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn messages_are_found_by_person_and_kind() {
    let lab = Lab::new();
    let service = lab.service();
    for (name, email, phone) in [
        ("Asha Rao", "asha@example.com", Some("+919876543210")),
        ("रवि", "ravi@example.com", None),
    ] {
        let user = lab.users.add(Some(name), email, phone);
        let fact = confirmed(user, &event(TimeDelta::hours(48)));
        service
            .accepts(&[confirmation(&fact), end(&fact, EndReason::Attendee)])
            .await;
    }
    service.mailbox(6).await;
    for (query, count) in [
        ("to=RAO", 4),
        ("to=%E0%A4%B0%E0%A4%B5%E0%A4%BF", 2),
        ("to=ravi", 2),
        ("to=example.com", 4),
        ("to=asha@example.com", 2),
        ("to=%2B919876543210", 2),
        ("to=nobody", 0),
        ("kind=ticket", 3),
        ("kind=registration_cancelled", 3),
        ("kind=", 6),
        ("kind=reminder", 0),
        ("kind=reminder_24h", 0),
        ("to=rao&kind=ticket", 2),
        ("to=asha@example.com&kind=ticket", 1),
    ] {
        let found = service.get(&format!("/dev/mailbox.json?{query}")).await.json();
        assert_eq!(found.as_array().unwrap().len(), count, "{query}");
    }
    let unknown = service.get("/dev/mailbox.json?kind=telegram").await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    // What is searched comes in pages too.
    let page = service.get("/dev/mailbox?kind=ticket&limit=2").await.text;
    assert!(page.contains("<option selected>ticket</option>"), "{page}");
    let older = page.split("href=\"/dev/mailbox?cursor=").nth(1).unwrap();
    let older = older.split('"').next().unwrap().replace("&amp;", "&");
    let rest = service
        .get(&format!("/dev/mailbox.json?limit=2&cursor={older}"))
        .await
        .json();
    assert_eq!(
        (rest.as_array().unwrap().len(), &rest[0]["kind"]),
        (1, &"ticket".into())
    );
}

#[tokio::test]
async fn a_message_is_shown_in_the_way_it_goes() {
    let lab = Lab::new();
    let service = lab.service();
    let user = lab
        .users
        .add(Some("Asha"), "asha@example.com", Some("+919876543210"));
    let fact = confirmed(user, &event(TimeDelta::hours(48)));
    service.accepts(&[confirmation(&fact)]).await;
    let list = service.mailbox(2).await;
    let of = |channel: &str| {
        let item = list.iter().find(|item| item["channel"] == channel).unwrap();
        format!("/dev/mailbox/{}", item["id"].as_str().unwrap())
    };
    let sms = service.get(&of("sms")).await.text;
    assert!(
        sms.contains("class=\"bubble\"")
            && sms.contains("characters in one part, GSM-7")
            && !sms.contains("<iframe"),
        "{sms}"
    );
    let email = of("email");
    let page = service.get(&email).await.text;
    assert!(
        page.contains("class=\"forms\"")
            && page.contains("&quot;Organise Event&quot; &lt;no-reply@localhost&gt;"),
        "{page}"
    );
    for (part, kind, starts) in [
        (1, "text/plain", "Hello Asha,"),
        (2, "text/html", "<!doctype html>"),
    ] {
        assert!(
            page.contains(&format!("?part={part}")) && page.contains(&kind.replace('/', "&#x2f;")),
            "{page}"
        );
        let got = service.get(&format!("{email}?part={part}")).await;
        assert_eq!(got.headers[header::CONTENT_TYPE], "application/octet-stream");
        assert_eq!(
            got.headers[header::CONTENT_DISPOSITION],
            "attachment; filename*=UTF-8''part"
        );
        assert!(got.text.starts_with(starts), "{}", got.text);
    }
    // The entry for the calendar; the page to print is the events service's, which has no such registration here.
    let entry = service.get(&format!("{email}?part=3")).await;
    assert!(entry.text.starts_with("BEGIN:VCALENDAR"), "{}", entry.text);
    for odd in ["0", "4", "99999999999"] {
        let got = service.get(&format!("{email}?part={odd}")).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{odd}");
    }
    let got = service.get(&format!("{email}?part=x")).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    // With the folder emptied it is still shown, as it is written now.
    std::fs::remove_dir_all(lab.dir.path().join("mailbox")).unwrap();
    let page = service.get(&email).await;
    assert!(
        page.status == StatusCode::OK && page.text.contains("<iframe"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let lab = Lab::new();
    let service = lab.service();
    std::fs::write(lab.dir.path().join("secret.eml"), "secret").unwrap();
    let unknown = MessageId::new().to_string();
    for id in [
        unknown.as_str(),
        "x",
        "..%2Fsecret",
        "..%2F..%2Fetc%2Fpasswd",
        "%00",
        "secret.eml",
    ] {
        for suffix in ["", "?raw=1", "?part=1"] {
            let answer = service.get(&format!("/dev/mailbox/{id}{suffix}")).await;
            assert_eq!(
                (answer.status, &answer.json()["code"]),
                (StatusCode::NOT_FOUND, &"message_not_found".into())
            );
        }
    }
}

#[tokio::test]
async fn the_pages_exist_on_a_developers_machine_only() {
    let lab = Lab::new();
    let production = [
        ("APP_ENV", "production"),
        ("SMTP_URL", "smtp://127.0.0.1:9"),
        ("PUBLIC_URL", "https://example.org"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("TICKET_KEY", "0123456789abcdef0123456789abcdef"),
        ("RAZORPAY_KEY_ID", "rzp_test_x"),
        ("RAZORPAY_KEY_SECRET", "x"),
        ("RAZORPAY_WEBHOOK_SECRET", "x"),
    ];
    for settings in [&production[..], &[("BIND_ADDR", "0.0.0.0")]] {
        let service = lab.service_with(settings);
        for path in [
            "/dev/mailbox",
            "/dev/mailbox.json",
            "/dev/mailbox/019309a2-0000-7000-8000-000000000001",
        ] {
            let answer = service.get(path).await;
            assert_eq!(
                (answer.status, &answer.json()["code"]),
                (StatusCode::NOT_FOUND, &"route_not_found".into())
            );
        }
    }
}

#[tokio::test]
async fn production_writes_no_text_messages() {
    let lab = Lab::new();
    let service = lab.service_with(&[
        ("APP_ENV", "production"),
        ("SMTP_URL", "smtp://127.0.0.1:9"),
        ("PUBLIC_URL", "https://example.org"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("TICKET_KEY", "0123456789abcdef0123456789abcdef"),
        ("RAZORPAY_KEY_ID", "rzp_test_x"),
        ("RAZORPAY_KEY_SECRET", "x"),
        ("RAZORPAY_WEBHOOK_SECRET", "x"),
    ]);
    let user = lab.users.add(None, "asha@example.com", Some("+911234567890"));
    service
        .accepts(&[confirmation(&confirmed(user, &event(TimeDelta::hours(48))))])
        .await;
    let list = service.get_as(user, "/api/notifications").await.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .all(|item| item["channel"] == "email")
    );
}
