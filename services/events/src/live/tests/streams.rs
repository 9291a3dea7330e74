//! Several channels in one stream of events.

use serde_json::{Value, json};

use super::clients::{EventStream, Room};

#[tokio::test(flavor = "multi_thread")]
async fn several_channels_in_one_stream() {
    let room = Room::open().await;
    let (token, user, _) = room.token(std::time::Duration::from_secs(3600));
    let bearer = format!("authorization: Bearer {token}\r\n");
    let query = format!("?ch={}&ch=me", room.channel());
    let mut stream = EventStream::open(&room, &query, &bearer).await;
    assert_eq!(stream.event().await.2["ch"], json!(room.channel()));
    assert_eq!(stream.event().await.2["ch"], "me");
    room.publish(1).await;
    let me = crate::live::channel::Channel::Me(user);
    room.publish_to(me, &json!(2)).await;
    room.publish(3).await;
    let mut last = String::new();
    for (ch, data) in [(room.channel(), 1), ("me".to_owned(), 2), (room.channel(), 3)] {
        let (_, id, push) = stream.event().await;
        assert_eq!((&push["ch"], &push["data"]), (&json!(ch), &json!(data)));
        last = id;
    }
    drop(stream);
    room.publish_to(me, &json!(4)).await;
    let again = format!("{bearer}last-event-id: {last}\r\n");
    let mut stream = EventStream::open(&room, &query, &again).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (kind, _, push) = stream.event().await;
        seen.push((kind, push["data"].clone()));
    }
    assert_eq!(
        seen,
        [
            ("subscribed".to_owned(), Value::Null),
            ("subscribed".to_owned(), Value::Null),
            ("test".to_owned(), json!(4))
        ]
    );
}

/// Whoever goes away before it is told that one of its channels begins anew is told the next time.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_not_lost() {
    let room = Room::open().await;
    let (token, ..) = room.token(std::time::Duration::from_secs(3600));
    let bearer = format!("authorization: Bearer {token}\r\n");
    let query = format!("?ch={}&ch=me", room.channel());
    let mut stream = EventStream::open(&room, &query, &bearer).await;
    let epoch = stream.event().await.1;
    let epoch = epoch.split(':').next().unwrap().to_owned();
    drop(stream);
    for number in 1..=3 {
        room.publish(number).await;
    }
    // It knows an old `me`, and goes after the first event.
    let mut last = format!("{epoch}:0,abc:7");
    for round in 0..4 {
        let headers = format!("{bearer}last-event-id: {last}\r\n");
        let mut stream = EventStream::open(&room, &query, &headers).await;
        stream.event().await;
        let mut told = false;
        for _ in 0..4 - round {
            let (kind, id, push) = stream.event().await;
            last = id;
            told = kind == "reset" && push["ch"] == "me";
            if round < 3 {
                break;
            }
        }
        assert_eq!(told, round == 3, "{round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_cursor_of_ours_is_not_repeated() {
    let room = Room::open().await;
    for id in ["a%0Ab:1", "a%00b:1", "%F0%9F%8E%89:1", "abcdefabcdefabcdef:1"] {
        let query = format!("?ch={}&last_event_id={id}", room.channel());
        let mut stream = EventStream::open(&room, &query, "").await;
        assert_eq!(
            (stream.status, stream.event().await.0.as_str()),
            (200, "reset"),
            "{id}"
        );
    }
}
