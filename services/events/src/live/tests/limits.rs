//! Clients that send or read in other ways than they should.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use super::clients::{EventStream, Room};
use crate::live::limits::Timing;

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_a_ping_is_closed() {
    let timing = Timing {
        ping: Duration::from_millis(200),
        pong: Duration::from_millis(300),
        ..Timing::default()
    };
    let room = Room::with(timing, &[]).await;
    let (mut silent, mut alive) = (room.connected().await, room.connected().await);
    let alive = tokio::spawn(async move {
        for _ in 0..5 {
            while alive.next().await != Message::text(r#"{"ev":"ping"}"#) {}
            alive.say(r#"{"op":"pong"}"#).await;
        }
        alive
    });
    assert_eq!(silent.closed().await, 3012);
    let mut alive = alive.await.unwrap();
    alive.subscribe(&room.channel()).await;
}

/// A reader that takes nothing is closed when a megabyte waits for it; others get everything meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_closed_and_holds_up_nobody() {
    let room = Room::open().await;
    let (mut slow, mut quick) = (room.connected().await, room.connected().await);
    slow.subscribe(&room.channel()).await;
    quick.subscribe(&room.channel()).await;
    let large = json!("x".repeat(8_000));
    let mut read = 0;
    // More than the buffers of both kernels and the queue take.
    for number in 1..=2_000_u64 {
        let channel = crate::live::channel::Channel::Event(room.event);
        room.publish_to(channel, &large).await;
        assert_eq!(quick.hear().await["offset"], number);
        read = number;
        if room.live.hub().counts().1 == 1 {
            break;
        }
    }
    assert!(read < 2_000, "it is still there");
    assert_eq!(slow.closed().await, 3008);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_none() {
    let room = Room::open().await;
    let limit = 64 * 1024;
    let padded = |length: usize| format!(r#"{{"id":9,"op":"dance","x":"{}"}}"#, "x".repeat(length - 28));
    let mut client = room.connected().await;
    assert_eq!(padded(limit).len(), limit);
    client.say(padded(limit)).await;
    assert_eq!(client.hear().await["err"]["code"], "bad_request");
    client.say(padded(limit + 1)).await;
    assert_eq!(client.closed().await, 1009);

    let mut client = room.connected().await;
    client.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(client.closed().await, 3501);

    // A text frame of one byte that is no UTF-8, masked with nothing.
    let mut client = room.connected().await;
    let raw = client.socket.get_mut();
    raw.write_all(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await.unwrap();
    assert_eq!(client.closed().await, 1007);

    // A frame of a kind that there is not.
    let mut client = room.connected().await;
    client
        .socket
        .get_mut()
        .write_all(&[0x83, 0x80, 0, 0, 0, 0])
        .await
        .unwrap();
    assert_eq!(client.closed().await, 1002);

    // In pieces, with a ping between them.
    let mut client = room.connected().await;
    let raw = client.socket.get_mut();
    for piece in [
        &[0x01, 0x86, 0, 0, 0, 0, b'{', b'"', b'i', b'd', b'"', b':'][..],
        &[0x89, 0x80, 0, 0, 0, 0],
        &[0x80, 0x8c, 0, 0, 0, 0],
        br#"7,"op":"x"} "#,
    ] {
        raw.write_all(piece).await.unwrap();
        raw.flush().await.unwrap();
    }
    loop {
        if let Message::Text(text) = client.next().await {
            assert!(
                text.contains(r#""id":7"#) && text.contains("bad_request"),
                "{text}"
            );
            break;
        }
    }
    // Nothing of all that was left behind.
    drop(client);
    test_kit::requests::eventually(async || (room.live.connections().count() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_commands_and_channels_have_limits() {
    let room = Room::open().await;
    let mut client = room.connected().await;
    for _ in 0..10 {
        client.refused(json!({"op": "dance"}), "bad_request").await;
    }
    client.say(json!({"id": 99, "op": "dance"}).to_string()).await;
    assert_eq!(client.closed().await, 3509);

    // Too many commands are refused, and are no mistakes.
    let mut client = room.connected().await;
    let mut refused = 0;
    for number in 0..200 {
        let op = if number % 2 == 0 {
            "subscribe"
        } else {
            "unsubscribe"
        };
        let answer = client.ask(json!({"op": op, "ch": room.channel()})).await;
        if answer["err"]["code"] == "rate_limited" {
            assert!(answer["err"]["retry_after_ms"].as_u64().unwrap() <= 50);
            refused += 1;
        }
        if refused == 20 {
            break;
        }
    }
    assert!(refused == 20, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_have_limits_unless_limits_are_off() {
    let (room, open) = (
        Room::open().await,
        Room::with(Timing::default(), &[("RATE_LIMITS", "off")]).await,
    );
    let (token, ..) = room.token(Duration::from_secs(3600));
    let mut signed_in = Vec::new();
    for _ in 0..10 {
        let mut client = room.socket().await;
        client.ok(json!({"op": "connect", "token": token})).await;
        signed_in.push(client);
    }
    let mut one_more = room.socket().await;
    one_more
        .say(json!({"id": 1, "op": "connect", "token": token}).to_string())
        .await;
    assert_eq!(one_more.closed().await, 3504);
    let bearer = format!("authorization: Bearer {token}\r\n");
    assert_eq!(EventStream::open(&room, "?ch=me", &bearer).await.status, 429);
    // One goes, another may come.
    drop(signed_in.pop());
    test_kit::requests::eventually(async || {
        let mut client = room.socket().await;
        client
            .say(json!({"id": 1, "op": "connect", "token": token}).to_string())
            .await;
        let Message::Text(text) = client.next().await else {
            return None;
        };
        text.contains("ok").then_some(())
    })
    .await;

    let mut from_here = Vec::new();
    for _ in 0..150 {
        from_here.push(open.socket().await);
    }
    let mut crowd = Vec::new();
    let mut refused = 0;
    for _ in 0..110 {
        let mut client = room.socket().await;
        client.say(json!({"id": 1, "op": "connect"}).to_string()).await;
        match client.next().await {
            Message::Text(_) => crowd.push(client),
            Message::Close(frame) => {
                assert_eq!(u16::from(frame.unwrap().code), 3504);
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(crowd.len() <= 100 && refused >= 10, "{} {refused}", crowd.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_is_answered() {
    let room = Room::open().await;
    let mut client = room.connected().await;
    client.subscribe(&room.channel()).await;
    client.socket.close(None).await.unwrap();
    // The answer, and then the end: no broken connection.
    while let Some(next) = client.socket.next().await {
        assert!(matches!(next, Ok(Message::Close(_))), "{next:?}");
    }
    test_kit::requests::eventually(async || (room.live.hub().counts().1 == 0).then_some(())).await;
}
