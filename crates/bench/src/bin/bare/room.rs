//! What the WebSocket library does by itself: whatever is posted is sent to all sockets.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use tokio::sync::broadcast;

/// Messages that a socket may be behind.
const BEHIND: usize = 1024;

type Room = broadcast::Sender<Utf8Bytes>;

/// The same paths as the system's.
pub fn routes() -> Router {
    Router::new()
        .route("/api/live/ws", get(enter))
        .route("/api/live/events/{event}/chat", post(say))
        .with_state(Room::new(BEHIND))
}

async fn enter(State(room): State<Room>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols(["evt.v1"])
        .on_upgrade(async move |socket| follow(socket, room.subscribe()).await)
}

async fn follow(mut socket: WebSocket, mut published: broadcast::Receiver<Utf8Bytes>) {
    loop {
        let message = tokio::select! {
            asked = socket.recv() => match asked {
                Some(Ok(Message::Text(_))) => r#"{"ok":{}}"#.into(),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
            published = published.recv() => match published {
                Ok(text) => text,
                Err(_) => return,
            },
        };
        if socket.send(Message::Text(message)).await.is_err() {
            return;
        }
    }
}

async fn say(State(room): State<Room>, body: String) -> StatusCode {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = since.as_millis();
    // As many bytes as the system's.
    let user = "019309a2-0000-7000-8000-000000000001";
    let text = format!(
        r#"{{"ev":"pub","ch":"event:{user}:chat","offset":1,"type":"chat.message","ts":{at},"data":{{"message_id":"{user}","user":{{"user_id":"{user}","name":"A name","role":"organizer"}},"said":{body}}}}}"#
    );
    let _ = room.send(text.into());
    StatusCode::CREATED
}
