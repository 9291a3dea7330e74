//! What people say beside an event, live: it reaches all who take part, once, and nobody else, through crashes and outages.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually, live::LiveSocket};

fn topic(event: &str, topic: &str) -> String {
    format!("event:{event}:{topic}")
}

fn path(event: &str, rest: &str) -> String {
    format!("/api/live/events/{event}/{rest}")
}

fn is(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |push| push["type"] == kind
}

fn say(event: &str, text: &str, key: &str) -> Value {
    json!({"op": "publish", "ch": topic(event, "chat"), "data": {"text": text}, "key": key})
}

async fn call(who: &Person, method: Method, path: &str, body: Value) -> Value {
    let answer = who.send(method, path, Some(body), &[]).await.unwrap();
    answer.expect(200)
}

/// The address of one events process, or of all of them.
fn door(system: &System, topology: Topology, number: usize) -> String {
    match (topology, number) {
        (Topology::Replicas, 0) => system.service_url("EVENTS_PORT"),
        (Topology::Replicas, _) => system.service_url("EVENTS_PORT-2"),
        _ => system.url(),
    }
}

async fn the_story(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let organizer = system.person_with("organizer", &[("name", "Ola")]).await;
    let asha = system.person_with("user", &[("name", "Asha Rao")]).await;
    let ben = system.person("user").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    for person in [&asha, &ben] {
        person.register(&event).await.expect(201);
    }
    // They read through different processes, where there are several.
    let topics = ["announcements", "chat", "questions", "polls", "reactions"];
    let mut sockets = Vec::new();
    for (number, person) in [&asha, &ben].into_iter().enumerate() {
        let url = door(&system, topology, number);
        let mut socket = LiveSocket::connect(&url, Some(person)).await.unwrap();
        for name in topics {
            socket.subscribe(&topic(&event, name), None).await;
        }
        sockets.push(socket);
    }
    let [hers, his] = &mut sockets[..] else {
        unreachable!()
    };

    // A message over a socket, and one over REST.
    let said = hers.ask(say(&event, "Hello 👋", "k1")).await.unwrap();
    let heard = his.until("her message", is("chat.message")).await;
    assert_eq!(
        (&heard["offset"], &heard["data"]["message_id"]),
        (&said["ok"]["offset"], &said["ok"]["id"])
    );
    assert_eq!(
        heard["data"]["user"],
        json!({"user_id": asha.id, "name": "Asha Rao", "role": "attendee"})
    );
    ben.post(&path(&event, "chat"), json!({"text": "Hi Asha"}))
        .await
        .expect(201);
    hers.until("his message", |push| push["data"]["text"] == "Hi Asha")
        .await;
    let message = path(&event, &format!("chat/{}", said["ok"]["id"].as_str().unwrap()));
    call(&organizer, Method::DELETE, &message, json!({})).await;
    let gone = his.until("it goes", is("chat.deleted")).await;
    assert_eq!(gone["data"], json!({"message_id": said["ok"]["id"]}));
    let mode = json!({"mode": "slow", "slow_seconds": 60});
    call(&organizer, Method::PUT, &path(&event, "chat/mode"), mode.clone()).await;
    assert_eq!(his.until("the mode", is("chat.mode")).await["data"], mode);

    // A question, its votes, its answer.
    let ask =
        json!({"op": "publish", "ch": topic(&event, "questions"), "data": {"text": "Will it be recorded?"}});
    let asked = hers.ask(ask).await.unwrap();
    let question = asked["ok"]["id"].as_str().unwrap().to_owned();
    his.until("the question", is("question.asked")).await;
    for person in [&asha, &ben] {
        let vote = path(&event, &format!("questions/{question}/vote"));
        person.post(&vote, json!({})).await.expect(200);
    }
    for socket in [&mut *hers, &mut *his] {
        let votes = socket
            .until("both votes", |push| {
                push["type"] == "question.votes" && push["data"]["votes"] == 2
            })
            .await;
        assert_eq!(votes["data"]["question_id"], json!(question));
    }
    let answered = json!({"state": "answered"});
    call(
        &organizer,
        Method::PATCH,
        &path(&event, &format!("questions/{question}")),
        answered,
    )
    .await;
    his.until("the answer", is("question.answered")).await;

    // A poll.
    let poll = json!({"question": "Where next?", "options": ["Pune", "Online"]});
    let poll = organizer.post(&path(&event, "polls"), poll).await.expect(201);
    let of_poll = |rest: &str| {
        path(
            &event,
            &format!("polls/{}/{rest}", poll["poll_id"].as_str().unwrap()),
        )
    };
    organizer.post(&of_poll("open"), json!({})).await.expect(200);
    let opened = hers.until("the poll", is("poll.opened")).await;
    let option = opened["data"]["options"][1]["option_id"].clone();
    asha.post(&of_poll("vote"), json!({"option": option}))
        .await
        .expect(200);
    asha.post(&of_poll("vote"), json!({"option": option}))
        .await
        .problem(409, "already_voted");
    let votes = his.until("her vote", is("poll.votes")).await;
    assert_eq!(
        (&votes["data"]["votes"], &votes["data"]["options"][1]["votes"]),
        (&json!(1), &json!(1))
    );
    organizer.post(&of_poll("close"), json!({})).await.expect(200);
    let closed = his.until("the result", is("poll.closed")).await;
    assert_eq!(closed["data"]["results"][1]["votes"], 1);

    // An announcement, applause, and how many are there.
    let text = json!({"text": "We begin."});
    organizer
        .post(&path(&event, "announcements"), text)
        .await
        .expect(201);
    for socket in [&mut *hers, &mut *his] {
        let heard = socket.until("the announcement", is("announcement.created")).await;
        assert_eq!(heard["data"]["text"], "We begin.");
    }
    ben.post(&path(&event, "reactions"), json!({"emoji": "👏"}))
        .await
        .expect(200);
    assert_eq!(
        hers.until("applause", is("reactions")).await["data"],
        json!({"👏": 1})
    );
    eventually("two are there", PATIENCE, async || {
        let present = asha.get(&path(&event, "presence")).await.expect(200);
        (present == json!({"count": 2})).then_some(())
    })
    .await;

    // He is banned, and she cancels.
    organizer
        .post(&path(&event, &format!("bans/{}", ben.id)), json!({"kind": "ban"}))
        .await
        .expect(200);
    let revoked = |push: &Value| push["ev"] == "unsub" && push["code"] == "revoked";
    let mut left = BTreeSet::new();
    while left.len() < topics.len() {
        let notice = his.until("he is sent away", revoked).await;
        left.insert(notice["ch"].to_string());
    }
    let again = json!({"op": "subscribe", "ch": topic(&event, "chat")});
    assert_eq!(his.ask(again).await.unwrap()["err"]["code"], "forbidden");
    let registered = asha.get("/api/reg/get_registrevent").await.expect(200);
    let hers_is = format!(
        "/api/reg/registrations/{}",
        registered[0]["registration_id"].as_str().unwrap()
    );
    call(&asha, Method::DELETE, &hers_is, json!({})).await;
    hers.until("she is sent away", revoked).await;
    asha.get(&path(&event, "chat"))
        .await
        .problem(403, "not_attending");
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

/// The path of the next page.
fn next_page(answer: &tests::Answer) -> Option<String> {
    let link = answer.headers.get("link")?.to_str().unwrap();
    let path = link.split(['<', '>']).nth(1).unwrap();
    Some(path[path.find("/api/").unwrap()..].to_owned())
}

/// Killed at any moment while people write: what was acknowledged is there, what is sent again comes once.
async fn killed(topology: Topology, part: &str) {
    let mut system = System::start(topology, Options::default().with("RATE_LIMITS", "off")).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    let (mut acknowledged, mut last) = (Vec::new(), 0);
    let url = door(&system, topology, 0);
    for round in 0..3 {
        let mut socket = eventually("a socket", PATIENCE, async || {
            LiveSocket::connect(&url, Some(&organizer)).await.ok()
        })
        .await;
        let count = Arc::new(AtomicUsize::new(0));
        let writing = {
            let (event, count) = (event.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let mut written = Vec::new();
                for number in last.. {
                    let text = format!("message {number}");
                    match socket.ask(say(&event, &text, &text)).await {
                        Ok(answer) if answer["ok"].is_object() => {
                            written.push(number);
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => return (written, number),
                    }
                }
                unreachable!("it is killed")
            })
        };
        // In the middle of it, each time somewhere else.
        eventually("some are acknowledged", PATIENCE, async || {
            (count.load(Ordering::Relaxed) > 10 * (round + 1)).then_some(())
        })
        .await;
        system.kill(part);
        let (written, failed) = writing.await.unwrap();
        acknowledged.extend(written);
        last = failed;
        system.start_again().await;
    }
    // The last one is sent again, as a client does that was not answered.
    let mut socket = LiveSocket::connect(&system.url(), Some(&organizer))
        .await
        .unwrap();
    let joined = socket.subscribe(&topic(&event, "chat"), None).await;
    let text = format!("message {last}");
    let again = eventually("it is taken", PATIENCE, async || {
        let answer = socket.ask(say(&event, &text, &text)).await.unwrap();
        answer.get("ok").cloned()
    })
    .await;
    assert_eq!(again["epoch"], joined["epoch"]);
    acknowledged.push(last);
    let (mut texts, mut next) = (Vec::new(), Some(path(&event, "chat?limit=100")));
    while let Some(page) = next {
        let answer = organizer.get(&page).await;
        let messages = answer.expect(200);
        let messages = messages.as_array().unwrap();
        texts.extend(
            messages
                .iter()
                .map(|message| message["text"].as_str().unwrap().to_owned()),
        );
        next = next_page(&answer);
    }
    let expected: BTreeSet<_> = acknowledged
        .iter()
        .map(|number| format!("message {number}"))
        .collect();
    let stored: BTreeSet<_> = texts.iter().cloned().collect();
    assert_eq!(stored.len(), texts.len(), "each once");
    assert!(expected.is_subset(&stored), "{expected:?} {stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_one_process() {
    killed(Topology::One, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_replicas() {
    killed(Topology::Replicas, "events").await;
}

/// Without Redis nothing is acknowledged that is not published; reading goes on; afterwards it is said once.
#[tokio::test(flavor = "multi_thread")]
async fn redis_is_away_for_a_while() {
    let mut system = System::start(Topology::Replicas, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    let mut socket = LiveSocket::connect(&system.service_url("EVENTS_PORT"), Some(&organizer))
        .await
        .unwrap();
    let first = socket.ask(say(&event, "before", "k0")).await.unwrap();
    assert!(first["ok"].is_object(), "{first}");
    system.redis().kill();
    let refused = socket.ask(say(&event, "meanwhile", "k1")).await.unwrap();
    assert_eq!(refused["err"]["code"], "unavailable", "{refused}");
    let chat = organizer.get(&path(&event, "chat")).await.expect(200);
    assert_eq!(chat.as_array().map(Vec::len), Some(1));
    // Over REST it is kept, and published when Redis is back.
    organizer
        .post(&path(&event, "chat"), json!({"text": "over REST"}))
        .await
        .expect(201);
    system.redis().start_again();
    let said = eventually("it is taken", PATIENCE, async || {
        let answer = socket.ask(say(&event, "meanwhile", "k1")).await.ok()?;
        answer.get("ok").cloned()
    })
    .await;
    let again = socket.ask(say(&event, "meanwhile", "k1")).await.unwrap();
    assert_eq!(again["ok"], said);
    let chat = organizer.get(&path(&event, "chat")).await.expect(200);
    let texts: Vec<_> = chat.as_array().unwrap().iter().map(|one| &one["text"]).collect();
    assert_eq!(texts, ["meanwhile", "over REST", "before"]);
}

/// The people of a process that was killed are forgotten within a minute; those elsewhere stay.
#[tokio::test(flavor = "multi_thread")]
async fn people_of_a_killed_replica_vanish() {
    let mut system = System::start(Topology::Replicas, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    let channel = format!("event:{event}");
    let mut sockets = Vec::new();
    let asha = system.person("user").await;
    asha.register(&event).await.expect(201);
    // She is at both, in two tabs.
    for (port, person) in [
        ("EVENTS_PORT", &asha),
        ("EVENTS_PORT-2", &asha),
        ("EVENTS_PORT-2", &organizer),
        ("EVENTS_PORT-2", &system.person("user").await),
    ] {
        let mut socket = LiveSocket::connect(&system.service_url(port), Some(person))
            .await
            .unwrap();
        socket.subscribe(&channel, None).await;
        sockets.push(socket);
    }
    let [first, ..] = &mut sockets[..] else {
        unreachable!()
    };
    let mut count = async || {
        let command = json!({"op": "presence", "ch": channel, "mode": "count"});
        first.ask(command).await.unwrap()["ok"]["count"].clone()
    };
    eventually("three are there", PATIENCE, async || {
        (count().await == 3).then_some(())
    })
    .await;
    system.kill("events-2");
    let minute = Duration::from_secs(60) + PATIENCE;
    eventually("she is left", minute, async || (count().await == 1).then_some(())).await;
}
