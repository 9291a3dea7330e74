//! A room on a port, and clients of it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use common::{
    auth::Role,
    clock::Clock,
    extract::Caller,
    http::serve::{self, Limits},
    http::{Page, Pipeline},
    idempotency::{Answer, Keyed},
    ids::{EventId, PostId, RegistrationId, UserId, new_id},
    metrics::Metrics,
    outbox::ReceiptStatus,
    settings::Settings,
    wire::service,
};
use futures_util::{SinkExt, StreamExt};
use runtime::{peers::Peers, process::Context, relay::Subscriber};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};
use uuid::Uuid;

use crate::{
    app::App,
    domain::{
        change::LIVE,
        post::{Kind, NewPost, Results},
        registration::Ticket,
        samples::NOW,
    },
    handlers::{live_events::live_events, live_socket::live_socket},
    live::{
        Live, Publisher,
        channel::{Channel, Topic},
        history::Position,
        limits::Timing,
        publication::Entry,
        who::{self, Identity},
    },
    store::{
        Register, StatusFilter, Store,
        sqlite::{MIGRATIONS, SqliteStore},
    },
};

const SEATS: &str = "seats.changed";
/// How long a client waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A room with one event, served on a port.
pub struct Room {
    pub live: Live,
    pub context: Context,
    pub address: SocketAddr,
    pub event: EventId,
    pub organizer: UserId,
    pub store: Arc<dyn Store>,
    _dir: TempDir,
}

impl Room {
    pub async fn open() -> Self {
        Self::with(Timing::default(), &[]).await
    }

    pub async fn with(timing: Timing, more: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().to_str().unwrap().to_owned();
        let settings = Settings::read(|name| match name {
            "DATA_DIR" => Some(data_dir.clone()),
            _ => more
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned()),
        });
        let context = Context::new(settings.unwrap(), Clock::system()).unwrap();
        let db = sqlite_store::open(&context.settings, service::EVENTS, MIGRATIONS).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::new(db));
        let event = crate::domain::samples::event(0);
        let (id, organizer) = (event.id, event.organizer);
        store.create_event(event, unkeyed()).await.unwrap();
        let peers = Peers::local().0;
        let mut app: App = crate::app(&context, Arc::clone(&store), &peers, Default::default()).unwrap();
        let directory = crate::directory(&context, &app.auth, &peers);
        app.live = Live::with(&context, &app.auth, &store, &directory, &app.tickets, timing);
        let live = app.live.clone();
        live.work(&context.workers);
        let routes = Router::new()
            .route("/api/live/ws", get(live_socket))
            .route("/api/live/sse", get(live_events))
            .with_state(app);
        let pipeline = Pipeline::new(service::EVENTS, routes, Metrics::new(service::EVENTS, Vec::new()));
        let listener = serve::bind("room", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = serve::serve(
            listener,
            pipeline,
            Limits::default(),
            context.workers.stop_token(),
        );
        context.workers.spawn("room", served);
        Self {
            live,
            context,
            address,
            event: id,
            organizer,
            store,
            _dir: dir,
        }
    }

    pub fn channel(&self) -> String {
        Channel::Event(self.event).to_string()
    }

    pub fn topic(&self, topic: Topic) -> String {
        Channel::Topic(self.event, topic).to_string()
    }

    /// Somebody whose registration is confirmed.
    pub async fn attendee(&self) -> UserId {
        let user = UserId::new();
        let command = Register {
            id: RegistrationId::new(),
            event_id: self.event,
            user_id: user,
            ticket: Ticket::issue().unwrap(),
            now: NOW,
            hold: Duration::from_secs(900),
            request_id: None,
        };
        self.store.register(command, unkeyed()).await.unwrap();
        self.relay().await;
        user
    }

    pub async fn cancel_registration(&self, user: UserId) {
        let page = Page {
            limit: 1,
            after: None,
        };
        let found = self.store.registrations(user, StatusFilter::Live, page, NOW);
        let id = found.await.unwrap().0[0].registration.id;
        let cancelled = self.store.cancel_registration(id, user, NOW, unkeyed());
        cancelled.await.unwrap();
    }

    pub async fn cancel_event(&self) {
        let cancelled = self
            .store
            .cancel_event(self.event, self.organizer, NOW, unkeyed());
        cancelled.await.unwrap();
    }

    pub fn post_of(&self, user: UserId, text: &str) -> NewPost {
        NewPost {
            id: PostId::new(),
            event: self.event,
            kind: Kind::Chat,
            user,
            name: None,
            text: text.to_owned(),
            options: Vec::new(),
            results: Results::Live,
            expires_at: None,
        }
    }

    pub async fn announce(&self, text: &str) -> PostId {
        let new = NewPost {
            kind: Kind::Announcement,
            ..self.post_of(self.organizer, text)
        };
        let id = new.id;
        let now = self.context.clock.now();
        self.store.add_post(new, now, unkeyed()).await.unwrap();
        self.relay().await;
        id
    }

    /// Delivers what waits in the outbox, as the relay does.
    pub async fn relay(&self) {
        let (outbox, owner, now) = (self.store.outbox(), new_id(), self.context.clock.now());
        let waiting = outbox.due(LIVE, now, 1_000).await.unwrap();
        let batch: Vec<_> = waiting.iter().map(|message| &message.event).collect();
        let receipts = Publisher(self.live.clone()).deliver(&batch).await.unwrap();
        assert!(
            receipts
                .iter()
                .all(|receipt| receipt.status == ReceiptStatus::Accepted)
        );
        let until = now + chrono::TimeDelta::seconds(30);
        let fence = outbox.lease(LIVE, owner, now, until).await.unwrap().unwrap();
        let all = waiting.iter().map(|waiting| waiting.seq).collect();
        let settled = outbox.settle(LIVE, owner, fence, all, Vec::new());
        assert!(settled.await.unwrap());
        outbox.release(LIVE, owner).await.unwrap();
    }

    /// Publishes a number to the event's channel.
    pub async fn publish(&self, number: u64) -> Option<Position> {
        self.publish_to(Channel::Event(self.event), &json!(number)).await
    }

    pub async fn publish_to(&self, channel: Channel, data: &Value) -> Option<Position> {
        let entry = Entry::new("test", self.context.clock.now(), data);
        self.live
            .hub()
            .publish(channel, &entry, None, false)
            .await
            .unwrap()
    }

    /// A new access token of a new user: the token, the user, the session.
    pub fn token(&self, life: Duration) -> (String, UserId, Uuid) {
        self.token_of(UserId::new(), life)
    }

    pub fn token_of(&self, user: UserId, life: Duration) -> (String, UserId, Uuid) {
        let auth = self.context.auth(service::USERS);
        let session = new_id();
        let until = self.context.clock.now() + life;
        let token = auth.session_token(user, Role::User, session, until).unwrap();
        (token, user, session)
    }

    pub async fn ticket(&self, token: &str) -> String {
        let caller = Caller::of_token(self.live.auth(), token).unwrap();
        who::issue(self.live.shared(), Identity::from(caller))
            .await
            .unwrap()
    }

    pub async fn socket(&self) -> Client {
        self.socket_with("", &[]).await.unwrap()
    }

    /// A socket that was asked for with a query and headers; the status when it was refused.
    pub async fn socket_with(&self, query: &str, headers: &[(&'static str, &str)]) -> Result<Client, u16> {
        let url = format!("ws://{}/api/live/ws{query}", self.address);
        let mut request = url.into_client_request().unwrap();
        let fields = request.headers_mut();
        fields.insert("sec-websocket-protocol", "evt.v1".parse().unwrap());
        for (name, value) in headers {
            fields.remove(*name);
            if !value.is_empty() {
                fields.insert(*name, value.parse().unwrap());
            }
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, answer)) => {
                assert_eq!(answer.headers()["sec-websocket-protocol"], "evt.v1");
                Ok(Client { socket, last: 0 })
            }
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A socket of nobody in particular, connected.
    pub async fn connected(&self) -> Client {
        let mut client = self.socket().await;
        client.ok(json!({"op": "connect"})).await;
        client
    }
}

fn unkeyed<T>() -> Keyed<T> {
    Keyed::none(|_| Answer::json(StatusCode::CREATED, &()))
}

/// One end of a socket.
pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
    last: u32,
}

impl Client {
    pub async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// The next thing that is said, pings answered and left out; likewise the seats that registrations of the test take.
    pub async fn hear(&mut self) -> Value {
        loop {
            match self.next().await {
                Message::Text(text) => {
                    let heard: Value = serde_json::from_str(&text).unwrap();
                    if heard["ev"] == "ping" {
                        self.say(r#"{"op":"pong"}"#).await;
                    } else if heard["type"] != SEATS {
                        return heard;
                    }
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn next(&mut self) -> Message {
        let next = timeout(PATIENCE, self.socket.next())
            .await
            .expect("something comes");
        next.expect("the socket is open").unwrap()
    }

    /// Sends a command and gives its answer; what is published meanwhile must not be.
    pub async fn ask(&mut self, mut command: Value) -> Value {
        self.last += 1;
        command["id"] = json!(self.last);
        self.say(command.to_string()).await;
        let heard = self.hear().await;
        assert_eq!(heard["id"], self.last, "{heard}");
        heard
    }

    pub async fn ok(&mut self, command: Value) -> Value {
        let answer = self.ask(command).await;
        assert!(answer["ok"].is_object(), "{answer}");
        answer["ok"].clone()
    }

    pub async fn refused(&mut self, command: Value, code: &str) -> Value {
        let answer = self.ask(command).await;
        assert_eq!(answer["err"]["code"], code, "{answer}");
        answer["err"].clone()
    }

    pub async fn subscribe(&mut self, channel: &str) -> Value {
        self.ok(json!({"op": "subscribe", "ch": channel})).await
    }

    /// The code that the server closes with; what comes before is left out.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("it closes") {
                Some(Ok(Message::Close(frame))) => return frame.map_or(0, |frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => panic!("{error}"),
                None => panic!("it ended without a close"),
            }
        }
    }
}

/// A stream of events, as text.
pub struct EventStream {
    stream: TcpStream,
    text: String,
    pub status: u16,
}

impl EventStream {
    pub async fn open(room: &Room, query: &str, headers: &str) -> Self {
        use tokio::io::AsyncWriteExt;
        let mut stream = TcpStream::connect(room.address).await.unwrap();
        let request = format!("GET /api/live/sse{query} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut this = Self {
            stream,
            text: String::new(),
            status: 0,
        };
        let head = this.until("\r\n\r\n").await;
        this.status = head[9..12].parse().unwrap();
        this
    }

    async fn until(&mut self, end: &str) -> String {
        use tokio::io::AsyncReadExt;
        loop {
            if let Some((before, rest)) = self.text.split_once(end) {
                let (before, rest) = (before.to_owned(), rest.to_owned());
                self.text = rest;
                return before;
            }
            let mut buffer = vec![0; 16 * 1024];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer))
                .await
                .expect("something comes");
            let read = read.unwrap();
            assert!(read > 0, "the stream ended: {}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    /// The next event: its type, id and data; the seats that registrations of the test take are left out.
    pub async fn event(&mut self) -> (String, String, Value) {
        loop {
            let block = self.until("\n\n").await;
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name));
                line.map(|line| line.trim().to_owned())
            };
            if let (Some(kind), Some(id), Some(data)) = (field("event:"), field("id:"), field("data:"))
                && kind != SEATS
            {
                return (kind, id, serde_json::from_str(&data).unwrap());
            }
        }
    }

    /// The data of the next event, which is of this type and has no id.
    pub async fn notice(&mut self, kind: &str) -> Value {
        let block = self.until("\n\n").await;
        let lines: Vec<&str> = block.lines().collect();
        // The stream is chunked: the size of a piece stands before it.
        let at = lines.iter().position(|line| *line == format!("event: {kind}"));
        let data = lines[at.expect(&block) + 1].strip_prefix("data:").unwrap();
        serde_json::from_str(data).unwrap()
    }

    /// Whether the server ends the stream.
    pub async fn ends(&mut self) -> bool {
        use tokio::io::AsyncReadExt;
        let mut rest = Vec::new();
        timeout(PATIENCE, self.stream.read_to_end(&mut rest))
            .await
            .is_ok()
    }
}
