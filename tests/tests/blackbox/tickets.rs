//! Tickets as everybody else reads them: the page to print, the picture of its code, the entry for a calendar, and the letters that bring
//! them and put them right later.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use reqwest::Method;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use tests::{
    Options, PATIENCE, Person, System, Topology, eventually, secrets,
    smtp::{Mail, MailServer},
    tickets::read,
};

mod one_process {
    #[tokio::test(flavor = "multi_thread")]
    async fn tickets_are_read_by_others() {
        super::tickets_are_read_by_others(tests::Topology::One).await;
    }
}
mod production {
    #[tokio::test(flavor = "multi_thread")]
    async fn tickets_are_read_by_others() {
        super::tickets_are_read_by_others(tests::Topology::Production).await;
    }
}

/// Who comes, in which language, to what, for how much, and the zone in which it begins at half past six.
const SHOWN: [(&str, &str, &str, u32, &str); 6] = [
    (
        "Ravi Kumar",
        "en",
        "Rust evening; \"things, that last\" \\ <b>",
        0,
        "Asia/Kolkata",
    ),
    ("क्षितिज श्रीवास्तव", "hi", "हिन्दी कवि सम्मेलन", 250, "Asia/Kolkata"),
    ("கவிதா ராமன்", "en", "தமிழ் இசை விழா", 0, "Asia/Kolkata"),
    ("ليلى الحسن", "en", "مهرجان الموسيقى", 99, "Asia/Dubai"),
    ("Zoë 🎸", "hi", "🎉🎶 Fête d'été 👩‍👩‍👧", 0, "America/New_York"),
    ("", "", "", 0, "UTC"),
];

fn text(of: &Value) -> &str {
    of.as_str().unwrap_or_default()
}

/// The letters with this in the subject that somebody has got, once there are that many.
async fn letters(server: &MailServer, to: &Person, subject: &str, many: usize) -> Vec<Mail> {
    eventually(
        &format!("{many} letters about {subject:?}"),
        PATIENCE,
        async || {
            let mut mails = server.mails();
            mails.retain(|mail| mail.to == to.email && mail.text.contains(subject));
            (mails.len() == many).then_some(mails)
        },
    )
    .await
}

/// What the newest of so many letters with an entry for a calendar has in it.
async fn letter(server: &MailServer, to: &Person, many: usize) -> Value {
    let mails = letters(server, to, "text/calendar", many).await;
    read(&[("mail.eml", mails[many - 1].text.as_bytes())])["mail.eml"].clone()
}

/// Checks a signed ticket with a published key and nothing else; gives what it says.
fn verified(signed: &str, key: &Value) -> Value {
    assert_eq!((text(&key["kty"]), text(&key["crv"])), ("OKP", "Ed25519"));
    let (payload, signature) = signed.rsplit_once('.').unwrap();
    let public = BASE64.decode(text(&key["x"])).unwrap();
    UnparsedPublicKey::new(&ED25519, public)
        .verify(payload.as_bytes(), &BASE64.decode(signature).unwrap())
        .unwrap();
    let payload = BASE64.decode(payload.strip_prefix("OE1.").unwrap()).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload["kid"], key["kid"]);
    payload
}

/// Registers, and pays what is due; gives the confirmed registration.
async fn comes(person: &Person, event: &str, fees: u32) -> Value {
    person.register(event).await.expect(201);
    if fees > 0 {
        person.pay(event, json!(fees)).await.expect(200);
    }
    person.is_confirmed(event).await;
    let mine = person.get("/api/reg/get_registrevent").await.expect(200);
    let mut mine = mine.as_array().unwrap().iter();
    let mine = mine.find(|one| one["event_id"] == event).unwrap().clone();
    secrets::note(text(&mine["ticket"]["code"]));
    secrets::note(text(&mine["ticket"]["qr"]));
    mine
}

async fn system_with_mail(topology: Topology) -> (System, MailServer) {
    let server = MailServer::start().await;
    let options = Options::default().with("SMTP_URL", server.url());
    (System::start(topology, options).await, server)
}

/// Two names as long as they may be.
fn long(words: &str, most: usize) -> String {
    words.chars().cycle().take(most - 1).chain(['.']).collect()
}

async fn tickets_are_read_by_others(topology: Topology) {
    let (system, server) = system_with_mail(topology).await;
    let organizer = system
        .person_with("organizer", &[("name", "Meera; \"M\", प्रकाश")])
        .await;
    let keys = system.anyone().get("/api/events/ticket_key").await.expect(200);
    assert_eq!(
        (&keys["keys"][0]["x"], keys["keys"].as_array().unwrap().len()),
        (&keys["x"], 1)
    );
    for (at, (name, locale, event_name, fees, zone)) in SHOWN.into_iter().enumerate() {
        let is_long = name.is_empty();
        let name = if is_long {
            long("Wolfeschlegelstein ", 100)
        } else {
            name.to_owned()
        };
        let event_name = if is_long {
            long("Ein Abend über Dinge ", 200)
        } else {
            event_name.to_owned()
        };
        let person = system
            .person_with(
                "user",
                &[("name", &name), ("locale", if is_long { "en" } else { locale })],
            )
            .await;
        let body = json!({"e_name": event_name, "e_details": "x", "event_time": "2031-07-05T18:30", "ends_at": "2031-07-05T21:00",
            "timezone": zone, "event_add": "Hall 7, दिल्ली; \\ 12, MG Road", "capacity": 5, "fees": fees});
        let event = organizer
            .post("/api/organiser/create_event", body)
            .await
            .expect(201);
        let event_id = text(&event["event_id"]);
        let registered = comes(&person, event_id, fees).await;
        let (code, signed) = (
            text(&registered["ticket"]["code"]),
            text(&registered["ticket"]["qr"]),
        );

        // The signature says which ticket of which event, to whoever has the key.
        let said = verified(signed, &keys["keys"][0]);
        assert_eq!(
            (&said["event_id"], &said["ticket_id"]),
            (&event["event_id"], &registered["ticket"]["ticket_id"])
        );

        // All the files of the ticket.
        let own = format!(
            "/api/reg/registrations/{}/ticket",
            text(&registered["registration_id"])
        );
        let pdf = person.file(&format!("{own}.pdf"), "application/pdf").await;
        let by_code = format!("/api/reg/tickets/{}.pdf", code.to_lowercase());
        let by_code = system.anyone().file(&by_code, "application/pdf").await;
        let png = person.file(&format!("{own}.png"), "image/png").await;
        let svg = person.file(&format!("{own}.svg"), "image/svg+xml").await;
        assert!(svg.starts_with(b"<") && !String::from_utf8(svg).unwrap().contains("<script"));
        let ics = person
            .file(&format!("{own}.ics"), "text/calendar; charset=utf-8")
            .await;
        for extension in ["pdf", "png", "svg", "ics"] {
            organizer
                .get(&format!("{own}.{extension}"))
                .await
                .problem(404, "registration_not_found");
        }
        let files = read(&[
            ("own.pdf", &pdf),
            ("code.pdf", &by_code),
            ("own.png", &png),
            ("own.ics", &ics),
        ]);
        for (file, page) in [("own.pdf", &files["own.pdf"]), ("code.pdf", &files["code.pdf"])] {
            assert_eq!(page["qr"], json!([signed]), "{file} of {at}");
            assert_eq!(
                (&page["pages"], &page["size"]),
                (&json!(1), &json!([595.0, 842.0]))
            );
            assert_eq!(page["grey"], true, "{file} of {at}");
            let ink = page["ink"].as_f64().unwrap();
            assert!((0.01..0.2).contains(&ink), "{ink}");
            // In groups, for people to read.
            assert!(text(&page["text"]).contains(&code.replace('-', " ")), "{page}");
            assert_eq!(page["fonts_embedded"], true);
            // Whose letters the built-in fonts have is on it in full, unless there is no room.
            let words: Vec<&str> = text(&page["text"]).split_whitespace().collect();
            if at < 2 {
                for printed in [event_name.as_str(), &name, "दिल्ली", zone] {
                    assert!(words.join(" ").contains(printed), "{printed} on {page}");
                }
            }
            assert_eq!(words.contains(&"टिकट"), locale == "hi", "{page}");
        }
        assert_eq!(files["own.png"]["qr"], json!([signed]));
        let shown = &files["own.ics"];
        assert_eq!(shown["method"], "PUBLISH");

        // The letter brings the same ticket, and an entry to put into the calendar, in the event's zone.
        let mail = letter(&server, &person, 1).await;
        assert_eq!(
            (&mail["pdf"]["qr"], &mail["png"]["qr"]),
            (&json!([signed]), &json!([signed]))
        );
        assert_eq!(mail["pdf"]["name"], format!("ticket-{code}.pdf"));
        // A subject is short enough to be read.
        let begin: String = event_name.chars().take(50).collect();
        assert!(text(&mail["subject"]).contains(&begin), "{mail}");
        let entry = &mail["calendar"];
        assert_eq!(
            (&entry["method"], &entry["status"]),
            (&json!("REQUEST"), &json!("CONFIRMED"))
        );
        assert_eq!(entry["attendee"]["address"], format!("mailto:{}", person.email));
        assert!(entry["organizer"]["address"].is_string());
        for one in [entry, shown] {
            assert_eq!(
                one["uid"],
                format!("{}@organise-event", text(&registered["registration_id"]))
            );
            assert_eq!(
                (&one["summary"], &one["location"]),
                (&json!(event_name), &event["event_add"])
            );
            in_zone(one, zone, "2031-07-05T18:30:00", "2031-07-05T21:00:00", &event);
        }

        // It moves over the end of summer time; later letters change the entry, and take it out.
        let path = format!("/api/organiser/events/{event_id}");
        let patch = json!({"event_time": "2031-12-05T19:00", "ends_at": "2031-12-05T22:00"});
        let moved = organizer
            .send(Method::PATCH, &path, Some(patch), &[])
            .await
            .unwrap()
            .expect(200);
        let changed = letter(&server, &person, 2).await;
        assert!(changed["pdf"].is_null());
        let entry_before = entry.clone();
        let entry = &changed["calendar"];
        assert_eq!(
            (&entry["method"], &entry["uid"]),
            (&json!("REQUEST"), &entry_before["uid"])
        );
        assert!(entry["sequence"].as_i64() > entry_before["sequence"].as_i64());
        in_zone(entry, zone, "2031-12-05T19:00:00", "2031-12-05T22:00:00", &moved);
        if at % 2 == 0 {
            let path = format!("/api/reg/registrations/{}", text(&registered["registration_id"]));
            person
                .send(Method::DELETE, &path, None, &[])
                .await
                .unwrap()
                .expect(200);
        } else {
            organizer
                .post(&format!("{path}/cancel"), json!({}))
                .await
                .expect(200);
        }
        let over = &letter(&server, &person, 3).await["calendar"];
        assert_eq!(
            (&over["method"], &over["status"]),
            (&json!("CANCEL"), &json!("CANCELLED"))
        );
        assert_eq!(over["uid"], entry["uid"]);
        assert!(over["sequence"].as_i64() > entry["sequence"].as_i64(), "{over}");
        person.get(&format!("{own}.pdf")).await.problem(409, "no_ticket");
        system
            .anyone()
            .get(&format!("/api/reg/tickets/{code}.pdf"))
            .await
            .problem(404, "ticket_not_found");
    }
}

/// The entry begins and ends at these wall-clock times in the zone, and they are the moments that the event says.
fn in_zone(entry: &Value, zone: &str, starts: &str, ends: &str, event: &Value) {
    for (moment, local, at) in [
        (&entry["starts"], starts, &event["event_time"]),
        (&entry["ends"], ends, &event["ends_at"]),
    ] {
        assert_eq!((text(&moment["local"]), text(&moment["zone"])), (local, zone));
        let at = chrono::DateTime::parse_from_rfc3339(text(at)).unwrap();
        assert_eq!(moment["at"].as_f64().unwrap() as i64, at.timestamp_millis());
    }
    let zones = if zone == "UTC" { json!([]) } else { json!([zone]) };
    assert_eq!(entry["zones"], zones);
}

/// The events service is killed at growing distances from the registration: in any case one letter comes, with its ticket.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_brings_its_ticket_after_a_kill() {
    let (mut system, server) = system_with_mail(Topology::Five).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    for distance in [0, 2, 5, 10, 20, 40, 80] {
        let person = system.person("user").await;
        let registered = person.register(&event).await.expect(201);
        tokio::time::sleep(Duration::from_millis(distance)).await;
        system.kill("events");
        system.start_again().await;
        let signed = registered["ticket"]["qr"].clone();
        assert_eq!(
            letter(&server, &person, 1).await["pdf"]["qr"],
            json!([signed]),
            "{distance} ms"
        );
    }
    assert!(server.counts().values().all(|count| *count == 1));
}

/// What is printed outlasts the key that signed it, as long as that is given as the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_keeps_the_tickets_that_are_printed() {
    let mut system = System::start(Topology::One, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    let (asha, ravi) = (system.person("user").await, system.person("user").await);
    let (hers, his) = (comes(&asha, &event, 0).await, comes(&ravi, &event, 0).await);
    let before = system.anyone().get("/api/events/ticket_key").await.expect(200);
    let path = format!("/api/organiser/events/{event}/check_in");
    let check_in = async |code: &Value| organizer.post(&path, json!({"code": code})).await;

    let old = system.settings()["TICKET_KEY"].clone();
    system.terminate();
    system.set(
        "TICKET_KEY",
        Some("another secret for tickets, long enough to sign with"),
    );
    system.set("TICKET_KEY_OLD", Some(&old));
    system.start_again().await;
    let after = system.anyone().get("/api/events/ticket_key").await.expect(200);
    assert_eq!(after["keys"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&after["keys"][0]["x"], &after["keys"][1]),
        (&after["x"], &before["keys"][0])
    );
    verified(text(&hers["ticket"]["qr"]), &after["keys"][1]);
    assert_eq!(
        check_in(&hers["ticket"]["qr"]).await.expect(200)["result"],
        "admitted"
    );
    // Shown anew, it is signed with the new key.
    let again = ravi.get("/api/reg/get_registrevent").await.expect(200)[0]["ticket"].clone();
    assert_eq!(again["code"], his["ticket"]["code"]);
    verified(text(&again["qr"]), &after["keys"][0]);

    system.terminate();
    system.set("TICKET_KEY_OLD", None);
    system.start_again().await;
    let alone = system.anyone().get("/api/events/ticket_key").await.expect(200);
    assert_eq!(alone["keys"], json!([after["keys"][0]]));
    check_in(&his["ticket"]["qr"])
        .await
        .problem(422, "ticket_invalid");
    assert_eq!(
        check_in(&his["ticket"]["code"]).await.expect(200)["result"],
        "admitted"
    );
    check_in(&again["qr"]).await.problem(409, "already_checked_in");
}
