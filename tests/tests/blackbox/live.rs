//! Live updates as a client gets them: everything that happens reaches whom it concerns, through crashes and outages.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually, live::LiveSocket};

fn of_event(event: &str) -> String {
    format!("event:{event}")
}

/// The position after a push or an answer to `subscribe`.
fn since(epoch: &Value, push: &Value) -> Value {
    json!({"epoch": epoch, "offset": push["offset"]})
}

async fn the_story(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let (organizer, asha) = (system.person("organizer").await, system.person("user").await);
    let event = organizer.create_event(json!(3), json!(0)).await;
    let url = system.url();

    // Anyone watches the seats, over either transport.
    let mut stream = system
        .anyone()
        .stream(&format!("/api/live/sse?ch={}", of_event(&event)))
        .await;
    assert_eq!(stream.next().await.0, "subscribed");
    let mut watcher = LiveSocket::connect(&url, None).await.unwrap();
    watcher.subscribe(&of_event(&event), None).await;
    // She watches what is hers.
    let mut hers = LiveSocket::connect(&url, Some(&asha)).await.unwrap();
    hers.subscribe("me", None).await;

    let made = asha.register(&event).await.expect(201);
    let seats = watcher
        .until("seats", |push| push["type"] == "seats.changed")
        .await;
    assert_eq!(
        seats["data"],
        json!({"capacity": 3, "seats_left": 2, "registered": 1})
    );
    let (kind, push) = stream.next().await;
    assert_eq!((kind.as_str(), &push["data"]), ("seats.changed", &seats["data"]));
    let changed = hers
        .until("registration", |push| push["type"] == "registration.changed")
        .await;
    assert_eq!(
        changed["data"]["registration"]["registration_id"],
        made["registration_id"]
    );
    assert_eq!(changed["data"]["registration"]["status"], "confirmed");
    assert_eq!(changed["data"]["registration"]["ticket"], made["ticket"]);

    // The event changes.
    let path = format!("/api/organiser/events/{event}");
    let patch = Some(json!({"e_name": "A better name ❤", "capacity": 5}));
    let patched = organizer
        .send(reqwest::Method::PATCH, &path, patch, &[])
        .await
        .unwrap();
    patched.expect(200);
    let changed = watcher
        .until("the new name", |push| push["type"] == "event.changed")
        .await;
    assert_eq!(changed["data"]["event"]["e_name"], "A better name ❤");
    watcher
        .until("the new seats", |push| push["data"]["seats_left"] == 4)
        .await;

    // It is cancelled, and with it her registration.
    organizer
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .expect(200);
    let cancelled = watcher
        .until("the end", |push| push["type"] == "event.cancelled")
        .await;
    assert_eq!(cancelled["data"]["event"]["status"], "cancelled");
    let hers_now = hers
        .until("her end", |push| push["type"] == "registration.changed")
        .await;
    assert_eq!(hers_now["data"]["registration"]["status"], "cancelled");
    watcher
        .until("no seats taken", |push| push["data"]["registered"] == 0)
        .await;
}

/// A hold, its payment, and one that runs out.
async fn paid(topology: Topology) {
    let system = System::start(topology, Options::default().with("HOLD_SECONDS", "15")).await;
    let (organizer, asha, ben) = (
        system.person("organizer").await,
        system.person("user").await,
        system.person("user").await,
    );
    let event = organizer.create_event(json!(2), json!(500)).await;
    let mut hers = LiveSocket::connect(&system.url(), Some(&asha)).await.unwrap();
    hers.subscribe("me", None).await;
    let mut his = LiveSocket::connect(&system.url(), Some(&ben)).await.unwrap();
    his.subscribe("me", None).await;
    let mut desk = LiveSocket::connect(&system.url(), Some(&organizer))
        .await
        .unwrap();
    desk.subscribe(&format!("event:{event}:desk"), None).await;
    for person in [&asha, &ben] {
        person.register(&event).await.expect(201);
    }
    let status = |wanted: &'static str| move |push: &Value| push["data"]["registration"]["status"] == wanted;
    his.until("his hold", status("pending_payment")).await;
    hers.until("her hold", status("pending_payment")).await;
    asha.pay(&event, json!(500)).await.expect(200);
    // Her seat, her payment and the letter with the ticket, in whatever order.
    let (mut seat, mut payment, mut letter) = (None, None, None);
    hers.until("all that is hers", |push| {
        let data = &push["data"];
        match push["type"].as_str() {
            Some("registration.changed") if data["registration"]["status"] == "confirmed" => {
                seat = Some(data["registration"].clone());
            }
            Some("payment.changed") if data["payment"]["status"] == "captured" => {
                payment = Some(data["payment"].clone());
            }
            Some("notification.sent") if data["notification"]["kind"] == "ticket" => {
                letter = Some(data["notification"].clone());
            }
            _ => {}
        }
        seat.is_some() && payment.is_some() && letter.is_some()
    })
    .await;
    assert_eq!(seat.unwrap()["amount_paid"], 500);
    let payments = asha.get("/api/payment/payments").await;
    assert_eq!(payments.expect(200)[0], payment.unwrap());
    let letter = letter.unwrap();
    let letters = asha.get("/api/notifications").await.expect(200);
    let listed = letters.as_array().unwrap().iter();
    assert_eq!(
        listed
            .filter(|one| one["message_id"] == letter["message_id"])
            .collect::<Vec<_>>(),
        [&letter]
    );
    let taken = desk
        .until("the money", |push| {
            push["type"] == "desk.changed" && push["data"]["revenue"] == 500
        })
        .await;
    assert_eq!(
        (&taken["data"]["confirmed"], &taken["data"]["pending_payment"]),
        (&json!(1), &json!(1))
    );
    his.until("the end of his hold", status("expired")).await;
    desk.until("his seat is free", |push| push["data"]["pending_payment"] == 0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_in_one_process() {
    the_story(Topology::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_in_five_processes() {
    the_story(Topology::Five).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_with_replicas() {
    the_story(Topology::Replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_in_one_process() {
    paid(Topology::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_with_replicas() {
    paid(Topology::Replicas).await;
}

/// The seats as the public API shows them.
async fn seats(person: &Person, event: &str) -> Value {
    let event = person.get(&format!("/api/events/{event}")).await.expect(200);
    json!({"capacity": event["capacity"], "seats_left": event["seats_left"], "registered": event["registered"]})
}

/// Killed at any moment: a client that comes back, and loads again what it is told to, knows what the store holds.
async fn killed(topology: Topology, part: &str) {
    let mut system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(100), json!(0)).await;
    let channel = of_event(&event);
    let mut known = Value::Null;
    let mut position: Option<Value> = None;
    for round in 0..4 {
        let mut socket = eventually("a socket", PATIENCE, async || {
            LiveSocket::connect(&system.url(), None).await.ok()
        })
        .await;
        let joined = socket.subscribe(&channel, position.as_ref()).await;
        if joined["recovered"] == false || position.is_none() {
            known = seats(&organizer, &event).await;
        }
        let mut at = joined["offset"].clone();
        for event in joined["events"].as_array().unwrap() {
            if event["type"] == "seats.changed" {
                known = event["data"].clone();
            }
        }
        // Registrations go on while it dies.
        let crowd: Vec<_> = (0..6)
            .map(|_| system.stranger(common::auth::Role::User))
            .collect();
        let wanted = event.clone();
        let registering = tokio::spawn(async move {
            for person in crowd {
                let body = json!({"event_id": wanted});
                let _ = person
                    .send(reqwest::Method::POST, "/api/reg/register_event", Some(body), &[])
                    .await;
            }
        });
        tokio::time::sleep(Duration::from_millis(40 * round)).await;
        system.kill(part);
        while let Ok(Ok(push)) = tokio::time::timeout(Duration::from_millis(300), socket.push()).await {
            if push["offset"].is_u64() && push["offset"].as_u64() > at.as_u64() {
                at = push["offset"].clone();
            }
            if push["type"] == "seats.changed" {
                known = push["data"].clone();
            }
        }
        registering.await.unwrap();
        position = Some(since(&joined["epoch"], &json!({"offset": at})));
        system.start_again().await;
    }
    // At last it comes to rest.
    let mut socket = LiveSocket::connect(&system.url(), None).await.unwrap();
    let joined = socket.subscribe(&channel, position.as_ref()).await;
    if joined["recovered"] == false {
        known = seats(&organizer, &event).await;
    }
    let truth = seats(&organizer, &event).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while known != truth {
        let push = tokio::time::timeout_at(deadline, socket.push()).await;
        let push = push.unwrap_or_else(|_| panic!("{known} is not {truth}")).unwrap();
        if push["type"] == "seats.changed" {
            known = push["data"].clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_one_process() {
    killed(Topology::One, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_replicas() {
    killed(Topology::Replicas, "events-2").await;
}

/// What one replica publishes, readers of the other get, in order; without Redis nothing is lost, only late.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_channels_and_outlive_redis() {
    let mut system = System::start(Topology::Replicas, Options::default()).await;
    let (organizer, asha) = (system.person("organizer").await, system.person("user").await);
    let event = organizer.create_event(json!(50), json!(0)).await;
    let channel = of_event(&event);
    let mut readers = Vec::new();
    for port in ["EVENTS_PORT", "EVENTS_PORT-2"] {
        let mut reader = LiveSocket::connect(&system.service_url(port), None)
            .await
            .unwrap();
        reader.subscribe(&channel, None).await;
        readers.push(reader);
    }
    let path = format!("/api/organiser/events/{event}");
    for number in 0..10 {
        let patch = Some(json!({"e_name": format!("Name {number}")}));
        let patched = organizer.send(reqwest::Method::PATCH, &path, patch, &[]).await;
        patched.unwrap().expect(200);
    }
    // What is published is what the store holds by then, so a name may be passed over, but never the last one.
    let mut heard = Vec::new();
    for reader in &mut readers {
        let mut pushes = Vec::new();
        loop {
            let push = reader.push().await.unwrap();
            let last = push["data"]["event"]["e_name"] == "Name 9";
            pushes.push(push);
            if last {
                break;
            }
        }
        let offsets: Vec<u64> = pushes
            .iter()
            .map(|push| push["offset"].as_u64().unwrap())
            .collect();
        assert_eq!(offsets, (1..=offsets.len() as u64).collect::<Vec<_>>());
        heard.push(pushes);
    }
    let shorter = heard[0].len().min(heard[1].len());
    assert_eq!(heard[0][..shorter], heard[1][..shorter]);

    // Redis goes: channels that nobody reads cannot be joined, tickets cannot be had, and what happens is published when it is back.
    system.redis().kill();
    let mut late = LiveSocket::connect(&system.url(), None).await.unwrap();
    let other = organizer.create_event(json!(5), json!(0)).await;
    eventually("it is unavailable", PATIENCE, async || {
        let answer = late
            .ask(json!({"op": "subscribe", "ch": of_event(&other)}))
            .await
            .ok()?;
        (answer["err"]["code"] == "unavailable").then_some(())
    })
    .await;
    asha.register(&event).await.expect(201);
    asha.post("/api/live/ticket", json!({}))
        .await
        .problem(503, "unavailable");
    system.redis().start_again();
    // A Redis that has lost everything is another life of the channel: readers are sent away to load it again.
    for reader in &mut readers {
        let mut codes = Vec::new();
        let seen = eventually("the news, or to be sent away", PATIENCE, async || {
            match reader.push().await {
                Ok(push) => (push["data"]["registered"] == 1).then(|| "the news".to_owned()),
                Err(why) => {
                    codes.push(why.clone());
                    Some(why)
                }
            }
        })
        .await;
        assert!(seen == "the news" || seen == "3010", "{seen}");
    }
    let mut again = LiveSocket::connect(&system.url(), None).await.unwrap();
    eventually("it can be joined again", PATIENCE, async || {
        let answer = again.ask(json!({"op": "subscribe", "ch": channel})).await.ok()?;
        answer.get("ok").map(drop)
    })
    .await;
    assert_eq!(seats(&organizer, &event).await["registered"], 1);
}

/// At the stop everybody is told to come back, through the gateway too, and the processes end in time.
#[tokio::test(flavor = "multi_thread")]
async fn the_stop_sends_clients_away() {
    for topology in [Topology::One, Topology::Five] {
        let mut system = System::start(topology, Options::default()).await;
        let organizer = system.person("organizer").await;
        let event = organizer.create_event(json!(3), json!(0)).await;
        let mut sockets = Vec::new();
        for _ in 0..5 {
            let mut socket = LiveSocket::connect(&system.url(), None).await.unwrap();
            socket.subscribe(&of_event(&event), None).await;
            sockets.push(socket);
        }
        let closing = tokio::spawn(async move {
            for mut socket in sockets {
                assert_eq!(socket.closed().await, "3001");
            }
        });
        let ended = tokio::task::block_in_place(|| system.terminate());
        assert!(ended.iter().all(std::process::ExitStatus::success), "{ended:?}");
        closing.await.unwrap();
    }
}

/// With `LIVE_URL` those who watch have processes of their own, and hear what happens in the others.
#[tokio::test(flavor = "multi_thread")]
async fn watchers_have_a_pool_of_their_own() {
    let mut system = System::start(Topology::Replicas, Options::default()).await;
    let pool = system.service_url("EVENTS_PORT-2");
    let others = system.service_url("EVENTS_PORT");
    system.set("EVENTS_URL", Some(&others));
    system.set("LIVE_URL", Some(&pool));
    system.kill_all();
    system.start_again().await;
    let (organizer, asha) = (system.person("organizer").await, system.person("user").await);
    let event = organizer.create_event(json!(9), json!(0)).await;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let mut socket = LiveSocket::connect(&system.url(), None).await.unwrap();
        socket.subscribe(&of_event(&event), None).await;
        sockets.push(socket);
    }
    let stream = format!("/api/live/sse?ch={}", of_event(&event));
    let mut stream = system.anyone().stream(&stream).await;
    stream.next().await;
    let connections = async |url: &str| {
        let metrics = system.anyone().at(url).get("/metrics").await.text;
        let line = metrics.lines().find(|line| line.starts_with("live_connections"));
        let count = line.unwrap().rsplit(' ').next();
        count.unwrap().to_owned()
    };
    assert_eq!(connections(&pool).await, "5");
    assert_eq!(connections(&others).await, "0");
    let health = system.anyone().get("/health").await.expect(200);
    assert_eq!(health["checks"]["live"], "up");
    asha.register(&event).await.expect(201);
    for socket in &mut sockets {
        socket
            .until("the seats", |push| push["data"]["seats_left"] == 8)
            .await;
    }
    assert_eq!(stream.next().await.1["data"]["seats_left"], 8);
}
