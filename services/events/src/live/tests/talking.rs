//! What people say on the channels of an event, and who may.

use std::time::Duration;

use common::{
    idempotency::{Answer, Keyed},
    ids::{PostId, UserId},
};
use futures_util::FutureExt;
use serde_json::{Value, json};
use test_kit::requests::eventually;

use super::clients::{Client, EventStream, Room};
use crate::{
    domain::standing::{ChatMode, Restriction, RestrictionKind},
    live::{
        channel::{Channel, Topic},
        hub::Joining,
        queue::{Batch, Outgoing},
    },
    store::posts::Restrict,
};

const HOUR: Duration = Duration::from_secs(3600);

fn unkeyed<T>() -> Keyed<T> {
    Keyed::none(|_| Answer {
        status: 200,
        body: Vec::new(),
    })
}

/// A connected socket of a user.
async fn socket(room: &Room, user: UserId) -> Client {
    let mut client = room.socket().await;
    let (token, ..) = room.token_of(user, HOUR);
    client.ok(json!({"op": "connect", "token": token})).await;
    client
}

fn say(room: &Room, text: &str, key: &str) -> Value {
    json!({"op": "publish", "ch": room.topic(Topic::Chat), "data": {"text": text}, "key": key})
}

fn numbered(mut command: Value) -> String {
    command["id"] = json!(99);
    command.to_string()
}

async fn restrict(room: &Room, user: UserId, kind: Option<RestrictionKind>) {
    let restrict = Restrict {
        event: room.event,
        organizer: room.organizer,
        user,
        restriction: kind.map(|kind| Restriction { kind, until: None }),
    };
    room.store
        .restrict(restrict, room.context.clock.now(), unkeyed())
        .await
        .unwrap();
    room.relay().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_acknowledged_and_comes_once() {
    let room = Room::open().await;
    let (asha, ben) = (room.attendee().await, room.attendee().await);
    let mut reader = socket(&room, ben).await;
    let joined = reader.subscribe(&room.topic(Topic::Chat)).await;
    assert_eq!(joined["state"], json!({"mode": "open", "slow_seconds": 0}));
    let mut client = socket(&room, asha).await;
    let first = client.ok(say(&room, "नमस्ते <b>", "k1")).await;
    assert_eq!((&first["epoch"], &first["offset"]), (&joined["epoch"], &json!(1)));
    let again = client.ok(say(&room, "नमस्ते <b>", "k1")).await;
    assert_eq!(again, first);
    client.refused(say(&room, "else", "k1"), "bad_request").await;
    let second = client.ok(say(&room, "two", "k2")).await;
    assert_eq!(second["offset"], 2);
    // The messages in the outbox tell of what is known already.
    room.relay().await;
    let third = client.ok(say(&room, "three", "k3")).await;
    assert_eq!(third["offset"], 3);
    for (offset, text) in [(1, "नमस्ते <b>"), (2, "two"), (3, "three")] {
        let heard = reader.hear().await;
        assert_eq!(
            (&heard["type"], &heard["offset"], &heard["data"]["text"]),
            (&json!("chat.message"), &json!(offset), &json!(text))
        );
        assert_eq!(heard["data"]["user"]["user_id"], json!(asha));
        assert_eq!(heard["data"]["user"]["role"], "attendee");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_publishes_what_was_not() {
    let room = Room::open().await;
    let asha = room.attendee().await;
    let mut reader = socket(&room, room.organizer).await;
    reader.subscribe(&room.topic(Topic::Chat)).await;
    let new = room.post_of(asha, "committed, and the process was killed");
    let now = room.context.clock.now();
    room.store.add_post(new, now, unkeyed()).await.unwrap();
    room.relay().await;
    let heard = reader.hear().await;
    assert_eq!(heard["data"]["text"], "committed, and the process was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_take_part_read_and_write() {
    let room = Room::open().await;
    let stranger = UserId::new();
    let mut client = socket(&room, stranger).await;
    let chat = room.topic(Topic::Chat);
    client
        .refused(json!({"op": "subscribe", "ch": chat}), "forbidden")
        .await;
    client.refused(say(&room, "hello", "k"), "forbidden").await;
    let unknown = format!("event:{}:chat", common::ids::new_id());
    client
        .refused(json!({"op": "subscribe", "ch": unknown}), "unknown_channel")
        .await;
    let mut nobody = room.connected().await;
    nobody
        .refused(json!({"op": "subscribe", "ch": chat}), "unauthorized")
        .await;
    nobody.refused(say(&room, "hello", "k"), "unauthorized").await;
    let mut client = socket(&room, room.attendee().await).await;
    for (ch, data, code) in [
        ("me".to_owned(), json!({"text": "hello"}), "forbidden"),
        (room.channel(), json!({"text": "hello"}), "forbidden"),
        (room.topic(Topic::Polls), json!({"text": "hello"}), "forbidden"),
        (chat.clone(), json!({"text": " \u{200b}"}), "bad_request"),
        (chat.clone(), json!({"text": "x".repeat(2_001)}), "bad_request"),
        (chat.clone(), json!({"text": "a\u{202e}b"}), "bad_request"),
        (chat.clone(), json!({}), "bad_request"),
        (chat.clone(), json!("hello"), "bad_request"),
        (
            room.topic(Topic::Reactions),
            json!({"emoji": "<b>"}),
            "bad_request",
        ),
    ] {
        let command = json!({"op": "publish", "ch": ch, "data": data});
        client.refused(command, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_banned_is_sent_away_and_may_come_back() {
    let room = Room::open().await;
    let (asha, ben) = (room.attendee().await, room.attendee().await);
    let (chat, questions) = (room.topic(Topic::Chat), room.topic(Topic::Questions));
    let mut client = socket(&room, asha).await;
    let mut tab = socket(&room, asha).await;
    let mut other = socket(&room, ben).await;
    for (client, topics) in [
        (&mut client, &[chat.clone(), questions.clone()][..]),
        (&mut tab, std::slice::from_ref(&chat)),
        (&mut other, std::slice::from_ref(&chat)),
    ] {
        for topic in topics {
            client.subscribe(topic).await;
        }
    }
    restrict(&room, asha, Some(RestrictionKind::Mute)).await;
    client.refused(say(&room, "muted", "k1"), "forbidden").await;
    restrict(&room, asha, Some(RestrictionKind::Ban)).await;
    let mut gone = vec![client.hear().await, client.hear().await];
    gone.sort_by_key(|notice| notice["ch"].to_string());
    let revoked = |ch: &str| json!({"ev": "unsub", "ch": ch, "code": "revoked"});
    assert_eq!(gone, [revoked(&chat), revoked(&questions)]);
    assert_eq!(tab.hear().await, revoked(&chat));
    let subscribe = || json!({"op": "subscribe", "ch": chat});
    client.refused(subscribe(), "forbidden").await;
    // What anyone may read can still be read; for the others all goes on.
    client.subscribe(&room.channel()).await;
    other.say(numbered(say(&room, "still here", "k2"))).await;
    assert_eq!(other.hear().await["data"]["text"], "still here");
    restrict(&room, asha, None).await;
    client.ok(subscribe()).await;
    client.say(numbered(say(&room, "back", "k3"))).await;
    assert_eq!(client.hear().await["data"]["text"], "back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_ends_ends_the_reading() {
    let room = Room::open().await;
    let (asha, ben) = (room.attendee().await, room.attendee().await);
    let chat = room.topic(Topic::Chat);
    let (token, ..) = room.token_of(asha, HOUR);
    let bearer = format!("authorization: Bearer {token}\r\n");
    let query = format!("?ch={chat}&ch={}", room.channel());
    let mut stream = EventStream::open(&room, &query, &bearer).await;
    let (_, _, first) = stream.event().await;
    assert_eq!(first["state"]["mode"], "open");
    stream.event().await;
    let mut client = socket(&room, asha).await;
    client.subscribe(&chat).await;
    let mut other = socket(&room, ben).await;
    other.subscribe(&chat).await;
    room.cancel_registration(asha).await;
    room.relay().await;
    let revoked = json!({"ev": "unsub", "ch": chat, "code": "revoked"});
    assert_eq!(client.hear().await, revoked);
    assert_eq!(stream.notice("unsub").await, revoked);
    client
        .refused(json!({"op": "subscribe", "ch": chat}), "forbidden")
        .await;
    // The stream goes on with what is left.
    room.publish(7).await;
    assert_eq!(stream.event().await.2["data"], 7);
    // With the event all go but its organizer.
    let mut organizer = socket(&room, room.organizer).await;
    organizer.subscribe(&chat).await;
    room.cancel_event().await;
    room.relay().await;
    assert_eq!(other.hear().await, revoked);
    // It hears itself too, before the answer.
    organizer
        .say(numbered(say(&room, "It was a pleasure.", "k1")))
        .await;
    assert_eq!(organizer.hear().await["type"], "chat.message");
    assert_eq!(organizer.hear().await["ok"]["offset"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_counted_by_person() {
    let room = Room::open().await;
    let (asha, ben) = (room.attendee().await, room.attendee().await);
    let channel = room.channel();
    let mut client = socket(&room, asha).await;
    let mut tab = socket(&room, asha).await;
    let mut other = socket(&room, ben).await;
    let mut nobody = room.connected().await;
    for client in [&mut client, &mut tab, &mut other, &mut nobody] {
        client.subscribe(&channel).await;
    }
    client.subscribe(&room.topic(Topic::Chat)).await;
    let count = || json!({"op": "presence", "ch": channel});
    assert_eq!(client.ok(count()).await, json!({"count": 2}));
    nobody.refused(count(), "forbidden").await;
    let list = || json!({"op": "presence", "ch": channel, "mode": "list"});
    client.refused(list(), "forbidden").await;
    drop((tab, other));
    let mut organizer = socket(&room, room.organizer).await;
    organizer.refused(count(), "not_subscribed").await;
    organizer.subscribe(&channel).await;
    eventually(async || (organizer.ok(count()).await["count"] == 2).then_some(())).await;
    let listed = organizer.ok(list()).await;
    let mut users: Vec<_> = listed["users"].as_array().unwrap().iter().collect();
    users.sort_by_key(|user| user["user_id"].to_string());
    let mut expected = [asha, room.organizer].map(|user| json!({"user_id": user, "name": null}));
    expected.sort_by_key(|user| user["user_id"].to_string());
    assert_eq!(users, expected.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_are_merged_and_have_no_place() {
    let room = Room::open().await;
    let (asha, ben) = (room.attendee().await, room.attendee().await);
    let topic = room.topic(Topic::Reactions);
    let mut reader = socket(&room, ben).await;
    reader.subscribe(&topic).await;
    let mut client = socket(&room, asha).await;
    for emoji in ["👏", "👏", "🎉"] {
        let command = json!({"op": "publish", "ch": topic, "data": {"emoji": emoji}});
        client.ok(command).await;
    }
    let mut counts = serde_json::Map::new();
    while counts.values().filter_map(Value::as_u64).sum::<u64>() < 3 {
        let heard = reader.hear().await;
        assert_eq!(
            (&heard["type"], &heard["offset"]),
            (&json!("reactions"), &Value::Null)
        );
        for (emoji, count) in heard["data"].as_object().unwrap() {
            let before = counts.get(emoji).and_then(Value::as_u64).unwrap_or(0);
            counts.insert(emoji.clone(), json!(before + count.as_u64().unwrap()));
        }
    }
    assert_eq!(Value::Object(counts), json!({"👏": 2, "🎉": 1}));
    // What was missed is of no use.
    drop(reader);
    let mut reader = socket(&room, ben).await;
    let recover = json!({"epoch": "0", "offset": 0});
    let again = reader
        .ok(json!({"op": "subscribe", "ch": topic, "recover": recover}))
        .await;
    assert_eq!(
        (&again["recovered"], &again["events"]),
        (&json!(true), &json!([]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_rates_and_a_slow_chat_pauses() {
    let room = Room::open().await;
    let asha = room.attendee().await;
    let mut client = socket(&room, asha).await;
    let mut refused = None;
    for number in 0..12 {
        let answer = client.ask(say(&room, "again", &format!("k{number}"))).await;
        if answer["err"].is_object() {
            refused = Some(answer["err"].clone());
            break;
        }
    }
    let refused = refused.expect("ten at once");
    assert_eq!(refused["code"], "rate_limited");
    let wait = refused["retry_after_ms"].as_u64().unwrap();
    assert!(wait <= 1_000, "{wait}");
    let ben = room.attendee().await;
    let now = room.context.clock.now();
    let set = room
        .store
        .set_chat_mode(room.event, room.organizer, ChatMode::Slow(60), now, unkeyed());
    set.await.unwrap();
    let mut client = socket(&room, ben).await;
    client.ok(say(&room, "one", "s1")).await;
    let refused = client.refused(say(&room, "two", "s2"), "rate_limited").await;
    assert!(refused["retry_after_ms"].as_u64().unwrap() > 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_are_told_what_is_in_force() {
    let room = Room::open().await;
    let asha = room.attendee().await;
    let topic = room.topic(Topic::Announcements);
    let mut client = socket(&room, asha).await;
    let joined = client.subscribe(&topic).await;
    assert_eq!(joined["state"], json!({"announcements": []}));
    let said = room.announce("We begin at seven.").await;
    let heard = client.hear().await;
    assert_eq!(
        (&heard["type"], &heard["data"]["announcement_id"]),
        (&json!("announcement.created"), &json!(said))
    );
    let mut late = socket(&room, asha).await;
    let joined = late.subscribe(&topic).await;
    assert_eq!(joined["events"], json!([]));
    let state = &joined["state"]["announcements"];
    assert_eq!(
        (
            &state[0]["announcement_id"],
            &state[0]["text"],
            state.as_array().map(Vec::len)
        ),
        (&json!(said), &json!("We begin at seven."), Some(1))
    );
    let nothing = room.live.in_force(Channel::Event(room.event)).await.unwrap();
    assert!(nothing.is_none());
    assert_ne!(said, PostId::lenient(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_is_the_organizers() {
    let room = Room::open().await;
    let asha = room.attendee().await;
    let desk = room.topic(Topic::Desk);
    let mut hers = socket(&room, asha).await;
    let subscribe = json!({"op": "subscribe", "ch": desk});
    hers.refused(subscribe, "forbidden").await;
    let mut organizer = socket(&room, room.organizer).await;
    let joined = organizer.subscribe(&desk).await;
    let standing = |confirmed: u64| {
        json!({"registered": confirmed, "pending_payment": 0, "confirmed": confirmed, "checked_in": 0, "revenue": 0,
               "viewers": 1})
    };
    assert_eq!(joined["state"], standing(1));
    room.attendee().await;
    loop {
        let heard = organizer.hear().await;
        assert_eq!(heard["type"], "desk.changed");
        // That of her registration may come first.
        if heard["data"] == standing(2) {
            break;
        }
        assert_eq!(heard["data"], standing(1));
    }
    organizer
        .refused(
            json!({"op": "publish", "ch": desk, "data": {"text": "x"}}),
            "forbidden",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_reads_the_desk_alone_until_they_are_removed() {
    use crate::domain::team::{Invitation, TeamRole};
    let room = Room::open().await;
    // The room's event began long ago.
    let event = room.store.event(room.event).await.unwrap().unwrap();
    let (ravi, now) = (UserId::new(), event.time.at);
    let email = "ravi@example.org".to_owned();
    let invitation = Invitation::new(
        common::ids::new_id(),
        room.event,
        email.clone(),
        TeamRole::Scanner,
        now,
    );
    let id = invitation.id;
    room.store.invite(invitation, unkeyed()).await.unwrap();
    room.store.accept(id, ravi, email, now, unkeyed()).await.unwrap();
    room.relay().await;
    let desk = room.topic(Topic::Desk);
    let mut his = socket(&room, ravi).await;
    let chat = json!({"op": "subscribe", "ch": room.topic(Topic::Chat)});
    his.refused(chat, "forbidden").await;
    assert_eq!(his.subscribe(&desk).await["state"]["confirmed"], 0);
    room.store
        .leave(room.event, ravi.0, now, unkeyed())
        .await
        .unwrap();
    room.relay().await;
    let heard = his.hear().await;
    assert_eq!((&heard["ev"], &heard["ch"]), (&json!("unsub"), &json!(desk)));
    his.refused(json!({"op": "subscribe", "ch": desk}), "forbidden")
        .await;
}

/// However slowly a client takes what waits for it: what is published after it was sent away is not for it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_passed_on_after_a_ban() {
    let room = Room::open().await;
    let (asha, chat) = (room.attendee().await, room.topic(Topic::Chat));
    let channel = Channel::Topic(room.event, Topic::Chat);
    let connections = room.live.connections();
    let registered = connections.enter([127, 0, 0, 1].into()).unwrap();
    let mut reading = room
        .live
        .begin_reading(&chat, Some(asha), &registered)
        .await
        .unwrap();
    let joining = Joining {
        connection: registered.id(),
        queue: registered.queue(),
        place: 0,
        since: None,
    };
    reading.reads(room.live.hub().join(channel, joining, |_| {}).await.unwrap());
    assert!(room.publish_to(channel, &json!(1)).await.is_some());
    restrict(&room, asha, Some(RestrictionKind::Ban)).await;
    let mut taken = Vec::new();
    // Nobody takes them to the client; this is what would be taken.
    while !taken.iter().any(|one| matches!(one, Outgoing::Revoked(_))) {
        let Batch::Send(batch) = registered.queue().next().await else {
            panic!("it is open")
        };
        taken.extend(batch);
    }
    assert_eq!(taken.len(), 2, "{taken:?}");
    assert!(!reading.unless_revoked(|| panic!("it was revoked")));
    assert!(room.publish_to(channel, &json!(2)).await.is_some());
    assert!(registered.queue().next().now_or_never().is_none());
}
