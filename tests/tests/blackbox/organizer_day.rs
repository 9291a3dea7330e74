//! An organizer's day: an event is drafted, published, sold out, given up in part, announced, admitted to, exported, counted and called
//! off.

use common::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Options, PATIENCE, Person, System, Topology, eventually,
    live::LiveSocket,
    smtp::MailServer,
    tickets::{python, read},
};

mod one_process {
    #[tokio::test(flavor = "multi_thread")]
    async fn an_organizers_day() {
        super::an_organizers_day(tests::Topology::One).await;
    }
}
mod production {
    #[tokio::test(flavor = "multi_thread")]
    async fn an_organizers_day() {
        super::an_organizers_day(tests::Topology::Production).await;
    }
}

/// What a spreadsheet would calculate, what would be two cells, and what is neither.
const NAMES: [&str; 4] = [
    r#"=HYPERLINK("http://evil.example.org","Free seats")"#,
    r#"Rao, "Ravi"; R"#,
    "आशा क्षीरसागर",
    "-2+3 O'Brien",
];
const FEES: u32 = 250;

struct Day {
    organizer: Person,
    event: String,
    mail: MailServer,
}

impl Day {
    fn path(&self, rest: &str) -> String {
        format!("/api/organiser/events/{}{rest}", self.event)
    }

    async fn list(&self, query: &str) -> Vec<Value> {
        let list = self
            .organizer
            .get(&self.path(&format!("/registrations{query}")))
            .await;
        list.expect(200).as_array().unwrap().clone()
    }

    async fn stats(&self) -> Value {
        self.organizer
            .get(&self.path("/stats?bucket=hour"))
            .await
            .expect(200)
    }

    /// The cells of the export, as Python's csv reads them.
    async fn export(&self, query: &str) -> Vec<Vec<String>> {
        let path = self.path(&format!("/registrations.csv{query}"));
        let file = self.organizer.file(&path, "text/csv; charset=utf-8").await;
        let script = "import csv, io, json, sys
print(json.dumps(list(csv.reader(io.StringIO(sys.argv[1], newline=''), strict=True))))";
        serde_json::from_slice(&python(script, &String::from_utf8(file).unwrap())).unwrap()
    }

    /// What a letter of which the subject, or any line, has this says.
    async fn letter(&self, to: &Person, has: &str) -> Value {
        eventually(&format!("a letter with {has:?}"), PATIENCE, async || {
            let mails = self.mail.mails();
            let mut mails = mails.iter().filter(|mail| mail.to == to.email);
            mails.find_map(|mail| {
                let read = read(&[("mail.eml", mail.text.as_bytes())])["mail.eml"].clone();
                read.to_string().contains(has).then_some(read)
            })
        })
        .await
    }
}

fn text(of: &Value) -> &str {
    of.as_str().unwrap_or_default()
}

/// Pays for a seat; gives the confirmed registration.
async fn pays(person: &Person, event: &str) -> Value {
    person.pay(event, json!(FEES)).await.expect(200);
    person.is_confirmed(event).await;
    person.get("/api/reg/get_registrevent").await.expect(200)[0].clone()
}

async fn an_organizers_day(topology: Topology) {
    let mail = MailServer::start().await;
    let system = System::start(topology, Options::default().with("SMTP_URL", mail.url())).await;
    let organizer = system.person_with("organizer", &[("name", "Meera")]).await;

    // She drafts it, corrects it, and publishes it.
    let draft = json!({"e_name": "कवि सम्मेलन", "e_details": "Poems.", "event_time": "2031-07-05T18:30", "ends_at": "2031-07-05T21:00",
        "event_add": "Hall 7", "capacity": 30, "fees": FEES, "draft": true});
    let draft = organizer
        .post("/api/organiser/create_event", draft)
        .await
        .expect(201);
    let event = text(&draft["event_id"]).to_owned();
    let day = Day {
        organizer,
        event,
        mail,
    };
    let (organizer, event) = (&day.organizer, day.event.as_str());
    let small = Some(json!({"capacity": 3}));
    organizer
        .send(Method::PATCH, &day.path(""), small, &[])
        .await
        .unwrap()
        .expect(200);
    organizer.post(&day.path("/publish"), json!({})).await.expect(200);
    let mut desk = LiveSocket::connect(&system.url(), Some(organizer)).await.unwrap();
    desk.subscribe(&format!("event:{event}:desk"), None).await;

    // It sells out, and a line forms.
    let mut guests = Vec::new();
    for name in NAMES {
        guests.push(
            system
                .person_with("user", &[("name", name), ("phone", "+919876543210")])
                .await,
        );
    }
    let late = system.person_with("user", &[("name", "Late")]).await;
    let mut seats = Vec::new();
    for guest in &guests[..3] {
        seats.push(pays(guest, event).await);
    }
    desk.until("it is sold out", |push| {
        push["data"]["confirmed"] == 3 && push["data"]["revenue"] == 3 * FEES
    })
    .await;
    guests[3].register(event).await.problem(409, "event_full");
    for (at, person) in [&guests[3], &late].into_iter().enumerate() {
        let place = person
            .post(&format!("/api/reg/waitlist/{event}"), json!({}))
            .await
            .expect(201);
        assert_eq!(place["position"], at + 1);
    }
    // She writes to those who come, and to those who wait.
    for (to, subject) in [
        ("confirmed", "Doors open at six"),
        ("waitlist", "A seat may come"),
    ] {
        let words = json!({"subject": subject, "text": "See you.", "to": to});
        organizer
            .post(&day.path("/announcements"), words)
            .await
            .expect(202);
    }
    for guest in &guests[..3] {
        day.letter(guest, "Doors open at six").await;
    }
    for person in [&guests[3], &late] {
        day.letter(person, "A seat may come").await;
    }

    // She sees who comes, and finds them by name, address and code.
    assert_eq!(day.list("").await.len(), 3);
    for query in [
        "क्षीरसागर".to_owned(),
        guests[2].email.to_uppercase(),
        text(&seats[2]["ticket"]["code"]).to_lowercase(),
    ] {
        let found = day.list(&format!("?q={}", query.replace('+', "%2B"))).await;
        assert_eq!(found.len(), 1, "{query}");
        assert_eq!(
            found[0]["registration_id"], seats[2]["registration_id"],
            "{query}"
        );
        assert_eq!(
            (&found[0]["name"], &found[0]["email"]),
            (&json!(NAMES[2]), &json!(guests[2].email))
        );
    }
    assert!(day.list("?q=nobody").await.is_empty());

    // One asks for the money back; the seat goes to the first in line.
    let reason = "You asked for another date.";
    let cancel = day.path(&format!(
        "/registrations/{}/cancel",
        text(&seats[2]["registration_id"])
    ));
    let refund = json!({"refund": "full", "reason": reason});
    for _ in 0..2 {
        let ended = organizer
            .post_keyed(&cancel, "once", refund.clone())
            .await
            .expect(200);
        assert_eq!(ended["status"], "cancelled");
    }
    organizer
        .post(&cancel, refund)
        .await
        .problem(409, "registration_ended");
    let letter = day.letter(&guests[2], reason).await;
    assert_eq!(letter["calendar"]["method"], "CANCEL");
    money_is_back(&guests[2]).await;
    eventually("the seat is offered", PATIENCE, async || {
        let places = guests[3].get("/api/reg/waitlist").await.expect(200);
        (places[0]["status"] == "offered").then_some(())
    })
    .await;
    seats.push(pays(&guests[3], event).await);

    door(&system, &day, &mut desk, &seats).await;
    exported(&day, &guests).await;

    // All of it adds up.
    let stats = day.stats().await;
    let expected = json!({"capacity": 3, "registered": 3, "pending_payment": 0, "confirmed": 3, "cancelled": 1, "checked_in": 2,
        "waitlist": 1, "revenue": 3 * FEES, "refunded": FEES});
    adds_up(&stats, &expected);

    // It is called off: everybody hears of it, and all money goes back.
    organizer.post(&day.path("/cancel"), json!({})).await.expect(200);
    for guest in [&guests[0], &guests[1], &guests[3]] {
        money_is_back(guest).await;
        assert_eq!(
            day.letter(guest, "CANCELLED").await["calendar"]["status"],
            "CANCELLED"
        );
    }
    let expected = json!({"registered": 0, "confirmed": 0, "cancelled": 4, "checked_in": 2, "revenue": 0, "refunded": 4 * FEES});
    eventually("nobody is registered", PATIENCE, async || {
        (day.stats().await["cancelled"] == 4).then_some(())
    })
    .await;
    adds_up(&day.stats().await, &expected);
    let again = json!({"code": seats[3]["ticket"]["code"]});
    organizer
        .post(&day.path("/check_in"), again)
        .await
        .problem(409, "ticket_cancelled");
}

async fn money_is_back(person: &Person) {
    eventually("the money is back", PATIENCE, async || {
        let payments = person.get("/api/payment/payments").await.expect(200);
        (payments[0]["status"] == "refunded" && payments[0]["refund"]["status"] == "processed").then_some(())
    })
    .await;
}

/// The numbers are these, and those of the series come to them.
fn adds_up(stats: &Value, expected: &Value) {
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&stats[name], expected, "{name} of {stats}");
    }
    let sum = |name: &str| {
        let series = stats["series"].as_array().unwrap().iter();
        series.map(|bucket| bucket[name].as_i64().unwrap()).sum::<i64>()
    };
    for name in ["cancelled", "checked_in", "revenue"] {
        assert_eq!(sum(name), stats[name].as_i64().unwrap(), "{name} of {stats}");
    }
    assert_eq!(sum("confirmed"), 4, "each that ever was: {stats}");
}

/// Who is let in. Two scanners have keys that admit and list, and nothing else.
async fn door(system: &System, day: &Day, desk: &mut LiveSocket, seats: &[Value]) {
    let (organizer, path) = (&day.organizer, day.path("/check_in"));
    let mut scanners = Vec::new();
    for gate in ["North", "South"] {
        let body = json!({"name": gate, "scopes": ["check_in"]});
        let key = organizer.post("/api/users/api_keys", body).await.expect(201);
        scanners.push((gate, organizer.with_token(text(&key["api_key"]))));
    }
    scanners[0]
        .1
        .get(&day.path("/stats"))
        .await
        .problem(403, "scope_missing");

    // The same ticket at two doors at once, printed and typed.
    let ticket = &seats[0]["ticket"];
    let scan = |at: usize, code: &Value| {
        let (gate, scanner) = scanners[at].clone();
        let body = json!({"code": code, "nonce": format!("{gate}:1"), "gate": gate});
        let path = path.clone();
        async move { scanner.post(&path, body).await }
    };
    let (north, south) = tokio::join!(scan(0, &ticket["qr"]), scan(1, &ticket["code"]));
    let (first, at, refused) = if north.status == 200 {
        (north, 0, south)
    } else {
        (south, 1, north)
    };
    let admitted = first.expect(200);
    assert_eq!(
        (&admitted["result"], &admitted["name"]),
        (&json!("admitted"), &json!(NAMES[0]))
    );
    let refused = refused.problem(409, "already_checked_in");
    assert_eq!(refused["gate"], scanners[at].0);
    assert_eq!(refused["checked_in_at"], admitted["checked_in_at"]);
    // Sent again, a scan has the answer it had.
    assert_eq!(scan(at, &ticket["code"]).await.expect(200), admitted);
    desk.until("one is in", |push| push["data"]["checked_in"] == 1)
        .await;

    // What is not let in is told why.
    let other = organizer.create_event(json!(null), json!(0)).await;
    let stranger = system.stranger(Role::User);
    let elsewhere = stranger.register(&other).await.expect(201)["ticket"].clone();
    for code in [&elsewhere["qr"], &elsewhere["code"]] {
        scan(0, code).await.problem(409, "wrong_event");
    }
    for code in ["qr", "code"] {
        scan(0, &seats[2]["ticket"][code])
            .await
            .problem(409, "ticket_cancelled");
    }
    let forged = text(&ticket["qr"]).replace("OE1.e", "OE1.f");
    for code in [forged.as_str(), "0000-0000-0000-0000", "मेला"] {
        scan(0, &json!(code)).await.problem(422, "ticket_invalid");
    }

    // Undone, it admits again; another one comes too.
    let undo = day.path(&format!("/check_ins/{}", text(&ticket["ticket_id"])));
    organizer
        .send(Method::DELETE, &undo, None, &[])
        .await
        .unwrap()
        .expect(200);
    desk.until("it is undone", |push| push["data"]["checked_in"] == 0)
        .await;
    for code in [&ticket["code"], &seats[1]["ticket"]["qr"]] {
        let body = json!({"code": code, "gate": "North"});
        scanners[0].1.post(&path, body).await.expect(200);
    }
    desk.until("two are in", |push| push["data"]["checked_in"] == 2)
        .await;
    assert_eq!(day.list("?checked_in=true").await.len(), 2);
    assert_eq!(day.list("?checked_in=false&status=confirmed").await.len(), 1);
}

/// The list as a file.
async fn exported(day: &Day, guests: &[Person]) {
    let cells = day.export("").await;
    assert_eq!(cells.len(), 5);
    assert!(cells.iter().all(|line| line.len() == cells[0].len()));
    let column = |name: &str| cells[0].iter().position(|heading| heading == name).unwrap();
    for (guest, name) in guests.iter().zip(NAMES) {
        let line = cells
            .iter()
            .find(|line| line[column("email")] == guest.email)
            .unwrap();
        let is_formula = name.starts_with(['=', '-']);
        let written = if is_formula {
            format!("'{name}")
        } else {
            name.to_owned()
        };
        assert_eq!(line[column("name")], written);
        assert_eq!(
            (
                line[column("phone")].as_str(),
                line[column("amount_paid")].as_str()
            ),
            ("'+919876543210", "250")
        );
    }
    let marked = day.export("?bom=true").await;
    assert_eq!(marked[0][0], format!("\u{feff}{}", cells[0][0]));
    assert_eq!(marked[1..], cells[1..]);
    assert_eq!(day.export("?status=cancelled").await.len(), 2);
    assert_eq!(day.export("?checked_in=true").await.len(), 3);
    // A name is one line, so no cell has two.
    let body = json!({"email": "x@example.org", "password": "a good one", "role": "user", "name": "A\n=1+1"});
    let refused = day
        .organizer
        .post("/api/users/register", body)
        .await
        .problem(422, "validation_failed");
    assert_eq!(refused["errors"][0]["field"], "name");
}
