//! Who a connection belongs to, and for how long.

use std::time::Duration;

use common::ids::UserId;
use serde_json::json;

use super::clients::{EventStream, Room};
use crate::live::{channel::Channel, limits::Timing};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_before_connect() {
    let room = Room::with(
        Timing {
            connect: Duration::from_millis(400),
            ..Timing::default()
        },
        &[],
    )
    .await;
    let mut client = room.socket().await;
    client
        .refused(json!({"op": "subscribe", "ch": room.channel()}), "unauthorized")
        .await;
    assert_eq!(client.closed().await, 3502);
    // Who has connected stays.
    let mut client = room.connected().await;
    client.refused(json!({"op": "connect"}), "bad_request").await;
    client
        .refused(json!({"op": "subscribe", "ch": "me"}), "unauthorized")
        .await;
    client.subscribe(&room.channel()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_token_by_header_and_by_ticket_once() {
    let room = Room::open().await;
    let (token, user, _) = room.token(HOUR);

    let mut by_token = room.socket().await;
    let connected = by_token.ok(json!({"op": "connect", "token": token})).await;
    assert_eq!(connected["user"], json!(user));
    assert!((3590..=3600).contains(&connected["expires_in"].as_i64().unwrap()));

    let bearer = format!("Bearer {token}");
    let mut by_header = room.socket_with("", &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(by_header.ok(json!({"op": "connect"})).await["user"], json!(user));

    let ticket = room.ticket(&token).await;
    let mut by_ticket = room.socket().await;
    let connected = by_ticket.ok(json!({"op": "connect", "ticket": ticket})).await;
    assert_eq!(connected["user"], json!(user));
    let mut again = room.socket().await;
    again
        .refused(json!({"op": "connect", "ticket": ticket}), "unauthorized")
        .await;
    // It may still say who it is.
    again.ok(json!({"op": "connect"})).await;

    let query = format!("?ticket={}", room.ticket(&token).await);
    let mut by_query = room.socket_with(&query, &[]).await.unwrap();
    assert_eq!(by_query.ok(json!({"op": "connect"})).await["user"], json!(user));
    assert_eq!(room.socket_with(&query, &[]).await.err(), Some(401));
    assert_eq!(room.socket_with("?ticket=x", &[]).await.err(), Some(401));

    // What is published to the user reaches each of them, and nobody else.
    let (other, ..) = room.token(HOUR);
    let mut stranger = room.socket().await;
    stranger.ok(json!({"op": "connect", "token": other})).await;
    let mut stream = EventStream::open(&room, "?ch=me", &format!("authorization: {bearer}\r\n")).await;
    for client in [
        &mut by_token,
        &mut by_header,
        &mut by_ticket,
        &mut by_query,
        &mut stranger,
    ] {
        client.subscribe("me").await;
    }
    assert_eq!(stream.event().await.0, "subscribed");
    room.publish_to(Channel::Me(user), &json!({"secret": 1})).await;
    for client in [&mut by_token, &mut by_header, &mut by_ticket, &mut by_query] {
        let push = client.hear().await;
        assert_eq!((&push["ch"], &push["data"]["secret"]), (&json!("me"), &json!(1)));
    }
    assert_eq!(stream.event().await.2["data"]["secret"], 1);
    stranger.ok(json!({"op": "unsubscribe", "ch": "me"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_is_refused() {
    let room = Room::open().await;
    for (token, code) in [
        ("", "unauthorized"),
        ("x.y.z", "unauthorized"),
        (&format!("oe_{}", "a".repeat(60)), "forbidden"),
    ] {
        let mut client = room.socket().await;
        client
            .refused(json!({"op": "connect", "token": token}), code)
            .await;
        let bearer = format!("Bearer {token}");
        if !token.is_empty() {
            let refused = room.socket_with("", &[("authorization", &bearer)]).await.err();
            assert_eq!(refused, Some(if code == "forbidden" { 403 } else { 401 }));
        }
    }
    // An hour ago: verification allows for clocks that differ a little.
    let auth = room.context.auth(common::wire::service::USERS);
    let ago = room.context.clock.now() - HOUR;
    let session = common::ids::new_id();
    let expired = auth
        .session_token(UserId::new(), common::auth::Role::User, session, ago)
        .unwrap();
    let mut client = room.socket().await;
    client
        .refused(json!({"op": "connect", "token": expired}), "token_expired")
        .await;
    for channel in [
        "",
        "event:x",
        "me2",
        &Channel::Event(common::ids::EventId::new()).to_string(),
    ] {
        let mut client = room.connected().await;
        client
            .refused(json!({"op": "subscribe", "ch": channel}), "unknown_channel")
            .await;
        let stream = EventStream::open(&room, &format!("?ch={channel}"), "").await;
        assert_eq!(stream.status, 404, "{channel}");
    }
    assert_eq!(EventStream::open(&room, "?ch=me", "").await.status, 401);
    assert_eq!(EventStream::open(&room, "", "").await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_runs_out_unless_it_is_replaced() {
    let timing = Timing {
        expiring: Duration::from_secs(2),
        grace: Duration::from_millis(500),
        ..Timing::default()
    };
    let room = Room::with(timing, &[]).await;
    let (token, user, _) = room.token(Duration::from_secs(3));
    let mut kept = room.socket().await;
    kept.ok(json!({"op": "connect", "token": token})).await;
    let mut lost = room.socket().await;
    lost.ok(json!({"op": "connect", "token": token})).await;
    for client in [&mut kept, &mut lost] {
        let notice = client.hear().await;
        assert_eq!(notice["ev"], "expiring");
        assert!((0..=2).contains(&notice["in"].as_i64().unwrap()), "{notice}");
    }
    let (of_another, ..) = room.token(HOUR);
    kept.refused(json!({"op": "refresh", "token": of_another}), "forbidden")
        .await;
    let (next, ..) = room.token_of(user, HOUR);
    let refreshed = kept.ok(json!({"op": "refresh", "token": next})).await;
    assert!(refreshed["expires_in"].as_i64().unwrap() > 3000);
    assert_eq!(lost.closed().await, 3005);
    kept.subscribe("me").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_closes_the_sockets_of_the_session() {
    let room = Room::open().await;
    let user = UserId::new();
    let (token, _, session) = room.token_of(user, HOUR);
    let (other, ..) = room.token_of(user, HOUR);
    let mut out = room.socket().await;
    out.ok(json!({"op": "connect", "token": token})).await;
    let mut stays = room.socket().await;
    stays.ok(json!({"op": "connect", "token": other})).await;
    let ticket = room.ticket(&token).await;
    let mut stream = EventStream::open(&room, "?ch=me", &format!("authorization: Bearer {token}\r\n")).await;
    stream.event().await;
    room.context.ended.add(session, room.context.clock.now() + HOUR);
    assert_eq!(out.closed().await, 3503);
    assert!(stream.ends().await);
    stays.subscribe("me").await;
    // A ticket that was issued before is not good any more.
    let mut late = room.socket().await;
    late.refused(json!({"op": "connect", "ticket": ticket}), "unauthorized")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_foreign_origins_and_other_protocols_are_refused() {
    let room = Room::with(Timing::default(), &[("CORS_ORIGINS", "https://shop.example.org")]).await;
    for (name, value, status) in [
        ("origin", "https://shop.example.org", None),
        ("origin", "http://localhost:5173", None),
        ("origin", "https://evil.example.org", Some(403)),
        ("origin", "https://shop.example.org.evil.example", Some(403)),
        ("origin", "null", Some(403)),
        ("sec-websocket-protocol", "", Some(400)),
        ("sec-websocket-protocol", "evt.v2", Some(400)),
        ("sec-websocket-protocol", "evt.v2, evt.v1", None),
        ("sec-websocket-version", "7", Some(400)),
    ] {
        let refused = room.socket_with("", &[(name, value)]).await.err();
        assert_eq!(refused, status, "{name}: {value}");
    }
    let own = format!("http://{}", room.address);
    assert!(room.socket_with("", &[("origin", &own)]).await.is_ok());
    let headers = "origin: https://evil.example.org\r\n";
    let stream = EventStream::open(&room, &format!("?ch={}", room.channel()), headers).await;
    assert_eq!(stream.status, 403);
}
