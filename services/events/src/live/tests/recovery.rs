//! What was missed is made up for: exactly, or the client is told to begin again.

use std::time::Duration;

use serde_json::{Value, json};

use super::clients::{EventStream, Room};
use crate::live::limits::Timing;

fn offsets(events: &Value) -> Vec<u64> {
    let events = events.as_array().unwrap().iter();
    events.map(|event| event["offset"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_was_missed_in_order() {
    let room = Room::open().await;
    let mut client = room.connected().await;
    let at = client.subscribe(&room.channel()).await;
    assert_eq!((&at["offset"], &at["recovered"]), (&json!(0), &json!(true)));
    room.publish(1).await;
    let push = client.hear().await;
    assert_eq!(
        (&push["ev"], &push["offset"], &push["type"], &push["data"]),
        (&json!("pub"), &json!(1), &json!("test"), &json!(1))
    );
    // The connection breaks.
    drop(client);
    for number in 2..=101 {
        room.publish(number).await;
    }
    let mut again = room.connected().await;
    let since = json!({"epoch": at["epoch"], "offset": 1});
    let missed = again
        .ok(json!({"op": "subscribe", "ch": room.channel(), "recover": since}))
        .await;
    assert_eq!(
        (&missed["recovered"], &missed["offset"]),
        (&json!(true), &json!(101))
    );
    assert_eq!(offsets(&missed["events"]), (2..=101).collect::<Vec<_>>());
    assert_eq!(missed["events"][99]["data"], 101);
    room.publish(102).await;
    assert_eq!(again.hear().await["offset"], 102);

    // The same over the other transport.
    let query = format!(
        "?ch={}&last_event_id={}:1",
        room.channel(),
        at["epoch"].as_str().unwrap()
    );
    let mut stream = EventStream::open(&room, &query, "").await;
    assert_eq!(stream.status, 200);
    let (kind, id, _) = stream.event().await;
    assert_eq!(
        (kind.as_str(), id),
        ("subscribed", format!("{}:1", at["epoch"].as_str().unwrap()))
    );
    for offset in 2..=102 {
        let (kind, id, data) = stream.event().await;
        assert_eq!((kind.as_str(), &data["offset"]), ("test", &json!(offset)));
        assert!(id.ends_with(&format!(":{offset}")), "{id}");
        if offset <= 101 {
            assert_eq!(data, missed["events"][offset - 2]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_missed_is_nothing_given() {
    let room = Room::open().await;
    let mut client = room.connected().await;
    let at = client.subscribe(&room.channel()).await;
    let again =
        json!({"op": "subscribe", "ch": room.channel(), "recover": {"epoch": at["epoch"], "offset": 0}});
    client.refused(again.clone(), "already_subscribed").await;
    client
        .ok(json!({"op": "unsubscribe", "ch": room.channel()}))
        .await;
    let back = client.ok(again).await;
    assert_eq!((&back["recovered"], &back["events"]), (&json!(true), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_any_more_is_said() {
    let room = Room::open().await;
    let mut client = room.connected().await;
    let at = client.subscribe(&room.channel()).await;
    client
        .ok(json!({"op": "unsubscribe", "ch": room.channel()}))
        .await;
    for number in 1..=1_600 {
        room.publish(number).await;
    }
    for (epoch, offset, recovered, count) in [
        (at["epoch"].clone(), 0, false, 0),
        (at["epoch"].clone(), 599, false, 0),
        (at["epoch"].clone(), 1_099, false, 0),
        (at["epoch"].clone(), 1_100, true, 500),
        (at["epoch"].clone(), 1_600, true, 0),
        (at["epoch"].clone(), 1_601, false, 0),
        (json!("another"), 1_600, false, 0),
    ] {
        let since = json!({"epoch": epoch, "offset": offset});
        let joined = client
            .ok(json!({"op": "subscribe", "ch": room.channel(), "recover": since}))
            .await;
        let events = joined["events"].as_array().unwrap().len();
        assert_eq!(
            (&joined["recovered"], events),
            (&json!(recovered), count),
            "{since}"
        );
        assert_eq!(joined["offset"], 1_600);
        let page = client
            .ok(json!({"op": "history", "ch": room.channel(), "since": {"epoch": at["epoch"], "offset": 1_500}, "limit": 10}))
            .await;
        assert_eq!(offsets(&page["events"]), (1_501..=1_510).collect::<Vec<_>>());
        client
            .ok(json!({"op": "unsubscribe", "ch": room.channel()}))
            .await;
    }
    // Over the other transport.
    for id in ["another:7", "", "nonsense", "a:1,b:2"] {
        let headers = format!("last-event-id: {id}\r\n");
        let mut stream = EventStream::open(&room, &format!("?ch={}", room.channel()), &headers).await;
        let (kind, id_now, _) = stream.event().await;
        assert_eq!(kind, if id.is_empty() { "subscribed" } else { "reset" }, "{id}");
        assert_eq!(id_now, format!("{}:1600", at["epoch"].as_str().unwrap()));
    }
}

/// A room that was opened again knows nothing of the first one's positions.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_begins_another_epoch() {
    let (one, other) = (Room::open().await, Room::open().await);
    let mut client = one.connected().await;
    let at = client.subscribe(&one.channel()).await;
    let mut client = other.connected().await;
    let since = json!({"epoch": at["epoch"], "offset": 0});
    let joined = client
        .ok(json!({"op": "subscribe", "ch": other.channel(), "recover": since}))
        .await;
    assert_eq!(joined["recovered"], false);
    assert_ne!(joined["epoch"], at["epoch"]);
}

/// Who joins while something is published gets all of it after the position that it was given, once.
#[tokio::test(flavor = "multi_thread")]
async fn joining_while_something_is_published() {
    const ROUNDS: u64 = 1_000;
    let room = Room::with(Timing::default(), &[("RATE_LIMITS", "off")]).await;
    let mut client = room.connected().await;
    client.subscribe(&room.channel()).await;
    let publishing = async {
        for number in 1..=ROUNDS * 5 {
            room.publish(number).await;
            if number % 5 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    let joining = async {
        let mut joiner = room.connected().await;
        let mut seen: Option<(Value, u64)> = None;
        for _ in 0..ROUNDS {
            let mut command = json!({"op": "subscribe", "ch": room.channel()});
            if let Some((epoch, offset)) = &seen {
                command["recover"] = json!({"epoch": epoch, "offset": offset});
            }
            let joined = joiner.ok(command).await;
            let events = joined["events"].as_array().unwrap();
            let mut at = match &seen {
                Some((_, offset)) if joined["recovered"] == true => {
                    let expected: Vec<u64> = (offset + 1..=joined["offset"].as_u64().unwrap()).collect();
                    assert_eq!(offsets(&joined["events"]), expected);
                    joined["offset"].as_u64().unwrap()
                }
                _ => {
                    assert!(events.is_empty());
                    joined["offset"].as_u64().unwrap()
                }
            };
            // Whatever is pushed before the answer to the next command goes on from there.
            joiner
                .say(json!({"id": 1_000_000, "op": "unsubscribe", "ch": room.channel()}).to_string())
                .await;
            loop {
                let heard = joiner.hear().await;
                if heard["id"] == 1_000_000 {
                    break;
                }
                assert_eq!(heard["offset"], at + 1);
                at += 1;
            }
            seen = Some((joined["epoch"].clone(), at));
        }
    };
    tokio::join!(publishing, joining);
    // And who has been there all the time has got all.
    for number in 1..=ROUNDS * 5 {
        assert_eq!(client.hear().await["offset"], number);
    }
}

/// At the stop everybody is sent away with the code that says to come back.
#[tokio::test(flavor = "multi_thread")]
async fn the_stop_sends_everybody_away() {
    let room = Room::open().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = room.connected().await;
        client.subscribe(&room.channel()).await;
        clients.push(client);
    }
    let mut stream = EventStream::open(&room, &format!("?ch={}", room.channel()), "").await;
    stream.event().await;
    let workers = room.context.workers.clone();
    let down = tokio::spawn(workers.shut_down(Duration::from_secs(9)));
    for client in &mut clients {
        assert_eq!(client.closed().await, 3001);
    }
    assert!(stream.ends().await);
    drop(clients);
    assert!(down.await.unwrap());
}
