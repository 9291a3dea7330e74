//! A client of the live room, over a WebSocket: what it has heard, and where it was in each channel.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{PATIENCE, Person, secrets};

/// One socket.
pub struct LiveSocket {
    socket: WebSocketStream<TcpStream>,
    last: u32,
    /// Pushes that came while an answer was waited for.
    early: Vec<Value>,
}

impl LiveSocket {
    /// A socket at `url` (`http://..`), connected as `person`, or as nobody in particular.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect(url: &str, person: Option<&Person>) -> Result<Self, String> {
        let address = url.trim_start_matches("http://");
        let request = format!("ws://{address}/api/live/ws").into_client_request();
        let mut request = request.map_err(|error| error.to_string())?;
        let protocol = "evt.v1".parse().map_err(|_| "no header")?;
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let opening = async {
            let stream = TcpStream::connect(address)
                .await
                .map_err(|error| error.to_string())?;
            client_async(request, stream)
                .await
                .map_err(|error| error.to_string())
        };
        let (socket, _) = timeout(PATIENCE, opening).await.map_err(|_| "no answer")??;
        let mut this = Self {
            socket,
            last: 0,
            early: Vec::new(),
        };
        let mut connect = json!({"op": "connect"});
        if let Some(person) = person {
            let ticket = person.post("/api/live/ticket", json!({})).await.expect(201);
            let ticket = ticket["ticket"].as_str().unwrap_or_default();
            secrets::note(ticket);
            connect["ticket"] = json!(ticket);
        }
        let connected = this.ask(connect).await?;
        match connected.get("ok") {
            Some(_) => Ok(this),
            None => Err(connected.to_string()),
        }
    }

    /// Reads a channel, from a position on; gives the answer, whose events are among the pushes too.
    pub async fn subscribe(&mut self, channel: &str, since: Option<&Value>) -> Value {
        let mut command = json!({"op": "subscribe", "ch": channel});
        if let Some(since) = since {
            command["recover"] = since.clone();
        }
        let answer = self.ask(command).await.expect("the socket is open");
        let joined = answer["ok"].clone();
        assert!(joined.is_object(), "{answer}");
        self.early
            .extend(joined["events"].as_array().into_iter().flatten().cloned());
        joined
    }

    /// Sends a command and gives its answer.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn ask(&mut self, mut command: Value) -> Result<Value, String> {
        self.last += 1;
        command["id"] = json!(self.last);
        let text = Message::text(command.to_string());
        self.socket.send(text).await.map_err(|error| error.to_string())?;
        loop {
            let heard = self.hear().await?;
            if heard["id"] == self.last {
                return Ok(heard);
            }
            self.early.push(heard);
        }
    }

    async fn hear(&mut self) -> Result<Value, String> {
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await;
            match next.map_err(|_| "nothing comes")? {
                Some(Ok(Message::Text(text))) => {
                    let heard: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                    if heard["ev"] != "ping" {
                        return Ok(heard);
                    }
                    let pong = Message::text(r#"{"op":"pong"}"#);
                    self.socket.send(pong).await.map_err(|error| error.to_string())?;
                }
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(0, |frame| frame.code.into()).to_string());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("it ended".to_owned()),
            }
        }
    }

    /// The next push.
    ///
    /// # Errors
    /// The close code, or how else the socket has ended.
    pub async fn push(&mut self) -> Result<Value, String> {
        if self.early.is_empty() {
            self.hear().await
        } else {
            Ok(self.early.remove(0))
        }
    }

    /// The first push for which `wanted` holds. Those before it are let go.
    pub async fn until(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let search = async {
            let mut passed = Vec::new();
            loop {
                let push = self
                    .push()
                    .await
                    .unwrap_or_else(|why| panic!("{what}: {why}; before it {passed:?}"));
                if wanted(&push) {
                    return push;
                }
                passed.push(push);
            }
        };
        let found = timeout(PATIENCE.max(Duration::from_secs(1)), search).await;
        found.unwrap_or_else(|_| panic!("{what}: it never came"))
    }

    /// The code that the server closes with.
    pub async fn closed(&mut self) -> String {
        loop {
            if let Err(why) = self.push().await {
                return why;
            }
        }
    }
}
