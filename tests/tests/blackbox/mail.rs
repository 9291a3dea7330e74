//! What people are told: confirmations, tickets and reminders, by e-mail and SMS, each once.

use std::time::Duration;

use common::{clock::Clock, time::utc};
use serde_json::json;
use tests::{Options, PATIENCE, Person, System, Topology, eventually, live::LiveSocket, smtp::MailServer};

use crate::everywhere;

everywhere!(
    confirmations_tickets_and_reminders,
    mail_goes_through_smtp,
    moved_and_dropped,
    an_organizer_says_when_attendees_are_reminded,
    an_organizer_writes_to_those_who_take_part
);

/// Waits until exactly these have been sent, as `kind channel`.
async fn sent(person: &Person, expected: &[&str]) {
    let mut expected: Vec<String> = expected.iter().map(|&text| text.to_owned()).collect();
    expected.sort();
    let mut last = Vec::new();
    eventually(&format!("{expected:?} are sent"), PATIENCE, async || {
        let mut sent: Vec<String> = Vec::new();
        for (kind, channel, status) in person.messages().await {
            if status == "sent" {
                sent.push(format!("{kind} {channel}"));
            }
        }
        sent.sort();
        last.clone_from(&sent);
        (sent == expected).then_some(())
    })
    .await;
}

/// The page of the development mailbox that shows a person's letter of a kind.
async fn letter(system: &System, person: &Person, kind: &str) -> String {
    let headers = [("accept", "application/json")];
    let anyone = system.anyone();
    let list = anyone
        .send(reqwest::Method::GET, "/dev/mailbox", None, &headers)
        .await
        .unwrap()
        .expect(200);
    let is_it = |mail: &&serde_json::Value| mail["to"] == person.email.as_str() && mail["kind"] == kind;
    let found = list.as_array().unwrap().iter().find(is_it).unwrap();
    let path = format!("/dev/mailbox/{}", found["id"].as_str().unwrap());
    anyone.get(&path).await.text.replace("&#x2f;", "/")
}

fn starts_in(seconds: u64) -> String {
    utc(Clock::system().now() + Duration::from_secs(seconds))
}

const HOUR: u64 = 3600;

async fn confirmations_tickets_and_reminders(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let person = system
        .person_with("user", &[("phone", "+91 98765 43210"), ("name", "Ravi <b>R</b>")])
        .await;
    let quiet = system.person("user").await;
    // Both reminders lie ahead; the 24 h one falls due in a moment.
    let event = organizer
        .create_event_at(&starts_in(24 * HOUR + 5), json!(null), json!(0))
        .await;
    person.register(&event).await.expect(201);
    quiet.register(&event).await.expect(201);
    sent(
        &person,
        &[
            "ticket email",
            "ticket sms",
            "reminder_24h email",
            "reminder_24h sms",
        ],
    )
    .await;
    sent(&quiet, &["ticket email", "reminder_24h email"]).await;
    // Too late for the first reminder, in time for the second.
    let late = system.person("user").await;
    let event = organizer
        .create_event_at(&starts_in(3 * HOUR + 5), json!(null), json!(0))
        .await;
    late.register(&event).await.expect(201);
    sent(&late, &["ticket email", "reminder_3h email"]).await;
    let ticket = late.get("/api/reg/get_registrevent").await.expect(200)[0]["ticket"]["code"].clone();
    let anyone = system.anyone();
    let list = anyone
        .send(
            reqwest::Method::GET,
            "/dev/mailbox",
            None,
            &[("accept", "application/json")],
        )
        .await;
    let list = list.unwrap().expect(200);
    let mine = list
        .as_array()
        .unwrap()
        .iter()
        .find(|mail| mail["to"] == late.email.as_str() && mail["kind"] == "ticket");
    let path = format!("/dev/mailbox/{}", mine.unwrap()["id"].as_str().unwrap());
    let shown = system.anyone().get(&path).await;
    assert!(shown.text.contains(ticket.as_str().unwrap()), "{}", shown.text);
    let files = std::fs::read_dir(system.data().join("mailbox")).unwrap().count();
    assert!(files >= 8, "e-mail as .eml and SMS as .txt: {files}");
}

async fn mail_goes_through_smtp(topology: Topology) {
    let server = MailServer::start().await;
    let options = Options::default()
        .with("SMTP_URL", server.url())
        .with("MAIL_FROM", "Events <events@example.org>");
    let system = System::start(topology, options).await;
    let event = system
        .person("organizer")
        .await
        .create_event(json!(null), json!(0))
        .await;
    let person = system.person("user").await;
    person.register(&event).await.expect(201);
    sent(&person, &["ticket email"]).await;
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    for mail in mails {
        assert_eq!(mail.to, person.email);
        assert!(
            mail.header("From").contains("events@example.org"),
            "{}",
            mail.text
        );
        assert!(mail.header("Subject").contains("Rust evening"), "{}", mail.text);
        assert!(!mail.header("Message-ID").is_empty() && !mail.header("Date").is_empty());
    }
}

async fn moved_and_dropped(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer
        .create_event_at(&starts_in(40 * HOUR), json!(null), json!(0))
        .await;
    let (stays, goes) = (system.person("user").await, system.person("user").await);
    stays.register(&event).await.expect(201);
    let registered = goes.register(&event).await.expect(201);
    sent(&goes, &["ticket email"]).await;
    let path = format!(
        "/api/reg/registrations/{}",
        registered["registration_id"].as_str().unwrap()
    );
    goes.send(reqwest::Method::DELETE, &path, None, &[])
        .await
        .unwrap()
        .expect(200);
    sent(&goes, &["ticket email", "registration_cancelled email"]).await;
    // The start moves so near that the reminder falls due in a moment: it moves with it, for those who are still in.
    let patch = json!({"event_time": starts_in(24 * HOUR + 5)});
    let path = format!("/api/organiser/events/{event}");
    organizer
        .send(reqwest::Method::PATCH, &path, Some(patch), &[])
        .await
        .unwrap()
        .expect(200);
    let expected = ["ticket email", "event_updated email", "reminder_24h email"];
    sent(&stays, &expected).await;
    sent(&goes, &["ticket email", "registration_cancelled email"]).await;
}

async fn an_organizer_says_when_attendees_are_reminded(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let person = system.person("user").await;
    let event = organizer
        .create_event_at(&starts_in(72 * HOUR + 15), json!(null), json!(0))
        .await;
    person.register(&event).await.expect(201);
    sent(&person, &["ticket email"]).await;

    let path = format!("/api/organiser/events/{event}/reminders");
    let set = async |who: &Person, hours: serde_json::Value| {
        let body = json!({"hours_before": hours});
        who.send(reqwest::Method::PUT, &path, Some(body), &[])
            .await
            .unwrap()
    };
    let shown = organizer.get(&path).await.expect(200);
    assert_eq!(shown, json!({"hours_before": [24, 3]}));
    let other = system.person("organizer").await;
    other.get(&path).await.problem(404, "event_not_found");
    set(&other, json!([1])).await.problem(404, "event_not_found");
    set(&person, json!([1])).await.problem(403, "organizer_only");
    for wrong in [
        json!([]),
        json!([0]),
        json!([721]),
        json!([3, 3]),
        json!([1.5]),
        json!([1, 2, 3, 4, 5, 6]),
        json!(24),
        json!(null),
    ] {
        let problem = set(&organizer, wrong).await.problem(422, "");
        assert_eq!(problem["errors"][0]["field"], "hours_before", "{problem}");
    }
    // Who is registered already is reminded of it three days before, and is told of nothing else.
    let answer = set(&organizer, json!([1, 72])).await.expect(200);
    assert_eq!(answer, json!({"hours_before": [72, 1]}));
    assert_eq!(organizer.get(&path).await.expect(200), answer);
    sent(&person, &["ticket email", "reminder_72h email"]).await;
    let mail = letter(&system, &person, "reminder_72h").await;
    assert!(mail.contains("starts in 3 days"), "{mail}");
    // What was sent is not sent again with other reminders, which come in their turn.
    set(&organizer, json!([72, 2])).await.expect(200);
    let patch = json!({"event_time": starts_in(2 * HOUR + 10)});
    let event_path = format!("/api/organiser/events/{event}");
    organizer
        .send(reqwest::Method::PATCH, &event_path, Some(patch), &[])
        .await
        .unwrap()
        .expect(200);
    let expected = [
        "ticket email",
        "reminder_72h email",
        "event_updated email",
        "reminder_2h email",
    ];
    sent(&person, &expected).await;
    organizer
        .post(&format!("{event_path}/cancel"), json!({}))
        .await
        .expect(200);
    set(&organizer, json!([1])).await.problem(409, "event_cancelled");
}

async fn an_organizer_writes_to_those_who_take_part(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer
        .create_event_at(&starts_in(48 * HOUR), json!(null), json!(500))
        .await;
    let paid = system.person_with("user", &[("phone", "+91 98765 43210")]).await;
    let (holds, gone) = (system.person("user").await, system.person("user").await);
    for person in [&paid, &holds, &gone] {
        person.register(&event).await.expect(201);
    }
    for person in [&paid, &gone] {
        person.pay(&event, json!(500)).await.expect(200);
        person.is_confirmed(&event).await;
    }
    sent(&paid, &["ticket email", "ticket sms"]).await;
    sent(&gone, &["ticket email"]).await;
    gone.send(
        reqwest::Method::DELETE,
        "/api/users/me",
        Some(json!({"password": "a good one"})),
        &[],
    )
    .await
    .unwrap()
    .expect(200);

    let path = format!("/api/organiser/events/{event}/announcements");
    let words = json!({"subject": "Doors open at six", "text": "Come early.\n\n<b>See you!</b>"});
    let with = |name: &str, value: serde_json::Value| {
        let mut body = words.clone();
        body[name] = value;
        body
    };
    let both = with("channels", json!(["email", "sms"]));
    // The same request again has no second effect.
    let key = [("idempotency-key", "doors")];
    let announce = async || {
        organizer
            .send(reqwest::Method::POST, &path, Some(both.clone()), &key)
            .await
            .unwrap()
            .expect(202)
    };
    let mut live = LiveSocket::connect(&system.url(), Some(&paid)).await.unwrap();
    let channel = format!("event:{event}:announcements");
    live.subscribe(&channel, None).await;
    let made = announce().await;
    assert_eq!(announce().await, made);
    let id = made["announcement_id"].as_str().unwrap();
    let push = live
        .until("it is published live", |push| {
            push["type"] == "announcement.created"
        })
        .await;
    assert_eq!(
        (&push["data"]["announcement_id"], &push["data"]["text"]),
        (
            &json!(id),
            &json!("Doors open at six\n\nCome early.\n\n<b>See you!</b>")
        )
    );
    let shown = eventually("the announcement is sent", PATIENCE, async || {
        let shown = organizer.get(&format!("{path}/{id}")).await.expect(200);
        (shown["status"] == "sent").then_some(shown)
    })
    .await;
    assert_eq!(
        (&shown["recipients"], &shown["sent"], &shown["queued"]),
        (&json!(1), &json!(2), &json!(0)),
        "{shown}"
    );
    let expected = [
        "ticket email",
        "ticket sms",
        "announcement email",
        "announcement sms",
    ];
    sent(&paid, &expected).await;
    let mail = letter(&system, &paid, "announcement").await;
    assert!(
        mail.contains("Doors open at six") && !mail.contains("<b>See"),
        "{mail}"
    );
    // The organizer takes it down where it is live; the letters are out.
    let live_announcements = format!("/api/live/events/{event}/announcements");
    let shown = paid.get(&live_announcements).await.expect(200);
    assert_eq!(
        (shown.as_array().unwrap().len(), &shown[0]["announcement_id"]),
        (1, &json!(id))
    );
    let path_of_it = format!("{live_announcements}/{id}");
    organizer
        .send(reqwest::Method::DELETE, &path_of_it, None, &[])
        .await
        .unwrap()
        .expect(200);
    live.until("it is taken down", |push| push["type"] == "announcement.deleted")
        .await;
    // Those who are yet to pay, by e-mail; and one that is withdrawn in time.
    organizer
        .post(&path, with("to", json!("pending")))
        .await
        .expect(202);
    sent(&holds, &["announcement email"]).await;
    let planned = organizer
        .post(&path, with("send_at", json!(starts_in(HOUR))))
        .await
        .expect(202);
    let planned = format!("{path}/{}", planned["announcement_id"].as_str().unwrap());
    let withdraw = async |who: &Person| {
        who.send(reqwest::Method::DELETE, &planned, None, &[])
            .await
            .unwrap()
    };
    let other = system.person("organizer").await;
    withdraw(&other).await.problem(404, "event_not_found");
    other
        .post(&path, words.clone())
        .await
        .problem(404, "event_not_found");
    assert_eq!(withdraw(&organizer).await.expect(200)["status"], "cancelled");
    withdraw(&organizer).await.problem(409, "announcement_under_way");
    let list = organizer.get(&path).await.expect(200);
    let statuses: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["status"])
        .collect();
    assert_eq!(statuses, ["cancelled", "sent", "sent"], "{list}");
    organizer
        .post(&path, with("to", json!("strangers")))
        .await
        .problem(422, "");
    let cancel = format!("/api/organiser/events/{event}/cancel");
    organizer.post(&cancel, json!({})).await.expect(200);
    organizer
        .post(&path, words.clone())
        .await
        .problem(409, "event_cancelled");
    sent(&holds, &["announcement email", "event_cancelled email"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_to_an_online_event_is_for_those_who_are_in() {
    const LINK: &str = "https://meet.example.org/rust?pwd=4711";
    let system = System::start(Topology::One, Options::default()).await;
    let organizer = system.person("organizer").await;
    let mut event = json!({
        "e_name": "Rust evening", "e_details": "From wherever you are.", "event_time": starts_in(48 * HOUR),
        "format": "online", "join_url": LINK, "capacity": null, "fees": 500,
    });
    let created = organizer
        .post("/api/organiser/create_event", event.clone())
        .await
        .expect(201);
    assert_eq!(
        (&created["join_url"], &created["event_add"]),
        (&json!(LINK), &json!(""))
    );
    let id = created["event_id"].as_str().unwrap();
    // Whoever is not in sees that it is online, and nothing more.
    let shown = system.anyone().get(&format!("/api/events/{id}")).await;
    assert_eq!(
        (shown.json()["format"].as_str(), shown.text.contains("meet.")),
        (Some("online"), false)
    );
    let person = system.person("user").await;
    let held = person.register(id).await;
    assert!(
        !held.expect(201)["message"].is_null() && !held.text.contains("meet."),
        "{}",
        held.text
    );
    assert!(
        !person
            .get("/api/reg/get_registrevent")
            .await
            .text
            .contains("meet.")
    );
    person.pay(id, json!(500)).await.expect(200);
    person.is_confirmed(id).await;
    let mine = person.get("/api/reg/get_registrevent").await.expect(200);
    assert_eq!(mine[0]["join_url"], LINK);
    let timetable = person
        .get(&format!("/api/live/events/{id}/streams"))
        .await
        .expect(200);
    assert_eq!(timetable["join_url"], LINK);
    sent(&person, &["ticket email"]).await;
    let mail = letter(&system, &person, "ticket").await;
    assert!(mail.contains(LINK), "{mail}");

    // It is on the watch page from now on, and has an end.
    let path = format!("/api/organiser/events/{id}");
    let patch = async |body: serde_json::Value| {
        organizer
            .send(reqwest::Method::PATCH, &path, Some(body), &[])
            .await
            .unwrap()
    };
    let ends_at = starts_in(50 * HOUR);
    let changed = patch(json!({"join_url": null, "ends_at": ends_at}))
        .await
        .expect(200);
    assert!(
        changed["join_url"].is_null() && changed["ends_at"].is_string(),
        "{changed}"
    );
    sent(&person, &["ticket email", "event_updated email"]).await;
    let mail = letter(&system, &person, "event_updated").await;
    let watch = format!("/watch/{id}");
    assert!(mail.contains(&watch) && mail.contains(LINK), "{mail}");
    patch(json!({"format": "in_person"})).await.problem(422, "");
    patch(json!({"ends_at": starts_in(47 * HOUR)}))
        .await
        .problem(422, "");
    for (field, wrong) in [
        ("join_url", json!("http://meet.example.org/")),
        ("join_url", json!("https://user:password@meet.example.org/")),
        ("join_url", json!("javascript:alert(1)")),
        ("join_url", json!("https://मिल.example/\nx")),
        ("join_url", json!(7)),
        ("format", json!("virtual")),
        ("ends_at", json!("1999-01-01T00:00:00")),
        ("event_add", json!("")),
    ] {
        let mut event = event.clone();
        event[field] = wrong;
        let problem = organizer
            .post("/api/organiser/create_event", event)
            .await
            .problem(422, "");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    event["format"] = json!("hybrid");
    let problem = organizer
        .post("/api/organiser/create_event", event)
        .await
        .problem(422, "");
    assert_eq!(problem["errors"][0]["field"], "event_add", "{problem}");
}
