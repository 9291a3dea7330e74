//! One socket, from its upgrade to its end.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use common::{
    extract::refused,
    fields::{Fields, FromFields},
    idempotency::Key,
    ids::UserId,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, error::CapacityError};
use uuid::Uuid;

use super::{
    ChannelError, Live, Reading,
    channel::{Channel, ChannelRefusal, Topic},
    closing::Closing,
    connections::Registered,
    history::Position,
    hub::{Joined, Joining},
    limits::{Bucket, CHANNELS, CLOSE_TIME, Timing},
    protocol::{self, Command, Connected, Notice, Op, Published, Refusal},
    queue::{Batch, Outgoing, Queue},
    say::{MAX_TEXT, Saying, denied_refusal, emoji},
    who::{self, Identity},
};
use crate::domain::{post::Kind, standing::Denied};

/// A socket and what the server knows of its client.
pub struct Connection {
    live: Live,
    timing: Timing,
    socket: WebSocket,
    registered: Registered,
    queue: Arc<Queue>,
    client: Uuid,
    state: State,
    channels: HashMap<Box<str>, Reading>,
    commands: Bucket,
    mistakes: Bucket,
    /// When the next ping goes out.
    ping_at: Instant,
    /// Until when something has to come, after a ping.
    pong_until: Option<Instant>,
}

/// How far a client is.
enum State {
    /// It has to say who it is until then. It may have said so when it asked for the upgrade.
    New {
        until: Instant,
        upgraded_as: Option<Identity>,
    },
    /// It is nobody in particular.
    Anonymous,
    /// It is signed in.
    SignedIn { identity: Identity, warned: bool },
}

impl Connection {
    /// A connection that has just been upgraded, by who said so then.
    pub fn new(live: Live, socket: WebSocket, registered: Registered, upgraded_as: Option<Identity>) -> Self {
        let (now, queue) = (Instant::now(), Arc::clone(registered.queue()));
        let timing = live.timing();
        Self {
            live,
            timing,
            socket,
            registered,
            queue,
            client: common::ids::new_id(),
            state: State::New {
                until: now + timing.connect,
                upgraded_as,
            },
            channels: HashMap::new(),
            commands: Bucket::of_commands(now.into_std()),
            mistakes: Bucket::of_mistakes(now.into_std()),
            // Spread, so that those that came together are not pinged together for ever.
            ping_at: now + timing.ping.mul_f32(rand::random_range(0.5..1.0)),
            pong_until: None,
        }
    }

    /// Serves the client until either side ends it.
    pub async fn run(mut self) {
        let closing = self.serve().await;
        self.channels.clear();
        if let Some(closing) = closing {
            let (code, reason, user_id) = (closing.code(), closing.reason(), self.user());
            tracing::debug!(connection = %self.client, ?user_id, code, reason, "a socket is closed");
            close(self.socket, closing).await;
        }
    }

    /// Until the client has gone, or gives why it is to go.
    async fn serve(&mut self) -> Option<Closing> {
        loop {
            let due = self.due();
            let step = tokio::select! {
                biased;
                batch = self.queue.next() => match batch {
                    Batch::Send(batch) => self.send(batch).await,
                    Batch::Close(closing) => ControlFlow::Break(Some(closing)),
                },
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.receive(message).await,
                    Some(Err(error)) => ControlFlow::Break(fault(error)),
                    None => ControlFlow::Break(None),
                },
                () = sleep_until(due) => self.on_time(),
            };
            if let ControlFlow::Break(closing) = step {
                return closing;
            }
        }
    }

    async fn send(&mut self, batch: impl IntoIterator<Item = Outgoing>) -> ControlFlow<Option<Closing>> {
        let (socket, channels, stall) = (&mut self.socket, &mut self.channels, self.timing.stall);
        let sending = async {
            for outgoing in batch {
                match outgoing {
                    Outgoing::Publication(_, publication) => {
                        socket.feed(Message::Text(publication.frame.clone())).await?;
                    }
                    Outgoing::Text(text) => socket.feed(Message::Text(text)).await?,
                    Outgoing::Revoked(event) => {
                        for (name, _) in channels.extract_if(|_, reading| reading.is_topic_of(event)) {
                            let notice = Notice::revoked(name).text();
                            socket.feed(Message::Text(notice)).await?;
                        }
                    }
                }
            }
            socket.flush().await
        };
        tokio::select! {
            sent = timeout(stall, sending) => match sent {
                Ok(Ok(())) => ControlFlow::Continue(()),
                Ok(Err(_)) => ControlFlow::Break(None),
                Err(_) => ControlFlow::Break(Some(Closing::Slow)),
            },
            closing = self.queue.closed() => ControlFlow::Break(Some(closing)),
        }
    }

    async fn receive(&mut self, message: Message) -> ControlFlow<Option<Closing>> {
        self.pong_until = None;
        match message {
            Message::Text(text) => self.command(&text).await,
            Message::Binary(_) => ControlFlow::Break(Some(Closing::BadRequest)),
            // The library answers them.
            Message::Ping(_) | Message::Pong(_) => ControlFlow::Continue(()),
            Message::Close(_) => {
                // This too, when the socket is read on: it ends after that.
                let rest = async { while let Some(Ok(_)) = self.socket.next().await {} };
                let _ = timeout(CLOSE_TIME, rest).await;
                ControlFlow::Break(None)
            }
        }
    }

    async fn command(&mut self, text: &str) -> ControlFlow<Option<Closing>> {
        let (id, op) = match Command::read(text) {
            Ok((_, Op::Pong)) => return ControlFlow::Continue(()),
            Ok(command) => command,
            Err((id, refusal)) => return self.refuse(id, &refusal),
        };
        if self.live.has_limits()
            && let Err(wait) = self.commands.take(Instant::now().into_std())
        {
            return self.refuse(Some(id), &Refusal::rate_limited(wait));
        }
        let served = match op {
            Op::Connect { token, ticket } => {
                let connected = self.connect(id, token.as_deref(), ticket.as_deref()).await;
                match connected {
                    Ok(ControlFlow::Break(closing)) => return ControlFlow::Break(Some(closing)),
                    Ok(ControlFlow::Continue(())) => Ok(()),
                    Err(refusal) => Err(refusal),
                }
            }
            _ if matches!(self.state, State::New { .. }) => {
                Err(Refusal::new("unauthorized", "The first command is `connect`."))
            }
            Op::Subscribe { ch, since } => self.subscribe(id, &ch, since).await,
            Op::Unsubscribe { ch } => self.unsubscribe(id, &ch),
            Op::Publish { ch, data, key } => self.publish(id, &ch, data, key.as_deref()).await,
            Op::Presence { ch, listed } => self.presence(id, &ch, listed).await,
            Op::History { ch, since, limit } => self.history(id, &ch, &since, limit),
            Op::Refresh { token } => self.refresh(id, &token),
            Op::Pong => Ok(()),
        };
        match served {
            Ok(()) => ControlFlow::Continue(()),
            Err(refusal) => self.refuse(Some(id), &refusal),
        }
    }

    fn refuse(&mut self, id: Option<u32>, refusal: &Refusal) -> ControlFlow<Option<Closing>> {
        if refusal.is_mistake() && self.mistakes.take(Instant::now().into_std()).is_err() {
            return ControlFlow::Break(Some(Closing::TooManyErrors));
        }
        self.say(protocol::refusal(id, refusal));
        ControlFlow::Continue(())
    }

    fn say(&self, text: axum::extract::ws::Utf8Bytes) {
        self.queue.push(Outgoing::Text(text));
    }

    fn user(&self) -> Option<UserId> {
        match &self.state {
            State::SignedIn { identity, .. } => Some(identity.user),
            State::New { .. } | State::Anonymous => None,
        }
    }

    async fn connect(
        &mut self,
        id: u32,
        token: Option<&str>,
        ticket: Option<&str>,
    ) -> Result<ControlFlow<Closing>, Refusal> {
        let State::New { upgraded_as, .. } = &self.state else {
            return Err(Refusal::bad_request("This connection is connected already."));
        };
        let said = match (token, ticket) {
            (Some(token), _) => {
                Some(Identity::of_token(self.live.auth(), token).map_err(|error| who::refusal(&error))?)
            }
            (None, Some(ticket)) => {
                let redeemed = self.live.redeem(ticket).await;
                Some(redeemed.map_err(|error| who::refusal(&error))?)
            }
            (None, None) => *upgraded_as,
        };
        // Signed out since the upgrade.
        if said.is_some_and(|identity| self.live.auth().has_ended(identity.session)) {
            return Err(who::refusal(&refused(common::auth::TokenError::Ended)));
        }
        self.state = match said {
            None => State::Anonymous,
            Some(identity) => {
                if !self.registered.sign_in(identity) {
                    return Ok(ControlFlow::Break(Closing::TooManyConnections));
                }
                State::SignedIn {
                    identity,
                    warned: false,
                }
            }
        };
        if let Some(user_id) = self.user() {
            tracing::debug!(connection = %self.client, %user_id, "a socket is connected");
        }
        self.say_connected(id);
        Ok(ControlFlow::Continue(()))
    }

    fn refresh(&mut self, id: u32, token: &str) -> Result<(), Refusal> {
        let State::SignedIn { identity, .. } = &self.state else {
            return Err(Refusal::bad_request(
                "Only a connection of a signed-in user has a token.",
            ));
        };
        let new = Identity::of_token(self.live.auth(), token).map_err(|error| who::refusal(&error))?;
        if new.user != identity.user {
            return Err(Refusal::new("forbidden", "The token is that of another user."));
        }
        self.registered.refresh(new);
        // One that runs out as soon is no reason to ask for another at once.
        let left = new.until() - self.live.auth().clock().now();
        self.state = State::SignedIn {
            identity: new,
            warned: left.num_milliseconds() <= self.timing.expiring.as_millis() as i64,
        };
        self.say_connected(id);
        Ok(())
    }

    fn say_connected(&self, id: u32) {
        let now = self.live.auth().clock().now();
        let (user, until) = match &self.state {
            State::SignedIn { identity, .. } => (Some(identity.user), Some(identity.until())),
            State::New { .. } | State::Anonymous => (None, None),
        };
        let expires_in = until.map(|until| (until - now).num_seconds());
        self.say(protocol::answer(
            id,
            &Connected::new(self.client, user, expires_in, self.timing.ping, now),
        ));
    }

    async fn subscribe(&mut self, id: u32, name: &str, since: Option<Position>) -> Result<(), Refusal> {
        if self.channels.contains_key(name) {
            return Err(Refusal::new(
                "already_subscribed",
                "This channel is subscribed to already.",
            ));
        }
        if self.channels.len() >= CHANNELS {
            return Err(Refusal::new(
                "limit_exceeded",
                "A connection reads 128 channels at most.",
            ));
        }
        let user = self.user();
        let reading = self.live.begin_reading(name, user, &self.registered).await;
        let mut reading = reading.map_err(channel_refused)?;
        let (since, state) = self.live.in_force_since(reading.channel(), since).await?;
        let queue = &self.queue;
        let joining = Joining {
            connection: self.registered.id(),
            queue,
            place: 0,
            since,
        };
        // In the queue before anything that is published later.
        let mut is_read = false;
        let answer = |joined: Joined| {
            let answer = protocol::joined(id, &joined, u64::MAX, state.as_deref());
            is_read = reading.unless_revoked(|| queue.push(Outgoing::Text(answer)));
        };
        let joined = self.live.hub().join(reading.channel(), joining, answer).await;
        let subscription = joined.map_err(|_| Refusal::unavailable())?;
        if !is_read {
            return Err(denied_refusal(Denied::NotAttending));
        }
        reading.reads(subscription);
        self.channels.insert(name.into(), reading);
        Ok(())
    }

    /// Says something: a chat message, a question or a reaction.
    async fn publish(
        &mut self,
        id: u32,
        name: &str,
        data: &RawValue,
        key: Option<&str>,
    ) -> Result<(), Refusal> {
        let channel = Channel::read(name, self.user()).map_err(|why| channel_refused(why.into()))?;
        let (Channel::Topic(event, topic), Some(user)) = (channel, self.user()) else {
            return Err(Refusal::new("forbidden", "Nothing can be published here."));
        };
        let kind = match topic {
            Topic::Chat => Kind::Chat,
            Topic::Questions => Kind::Question,
            Topic::Reactions => {
                let Reaction { emoji } = fields(data)?;
                self.live.react(event, user, &emoji).await?;
                self.say(protocol::answer(id, &serde_json::json!({})));
                return Ok(());
            }
            Topic::Announcements | Topic::Polls | Topic::Stage | Topic::Desk => {
                return Err(Refusal::new("forbidden", "Nothing can be published here."));
            }
        };
        let Said { text } = fields(data)?;
        let key = key.map(|key| Key {
            caller: user,
            route: format!("publish {channel}"),
            key: key.to_owned(),
            fingerprint: Key::fingerprint(data.get().as_bytes()),
        });
        let saying = Saying {
            event,
            kind,
            user,
            text,
        };
        let (post, Position { epoch, offset }) = self.live.say_now(saying, key).await?;
        let published = Published {
            epoch: &epoch,
            offset,
            id: post,
        };
        self.say(protocol::answer(id, &published));
        Ok(())
    }

    /// Who is beside the event of a channel that is subscribed to: how many, for those who take part; who, for the organizer.
    async fn presence(&mut self, id: u32, name: &str, listed: bool) -> Result<(), Refusal> {
        let reading = self.channels.get(name).ok_or_else(not_subscribed)?;
        let (Some(event), Some(user)) = (reading.channel().event(), self.user()) else {
            return Err(Refusal::new(
                "forbidden",
                "Who is here is for those who take part.",
            ));
        };
        let present = self.live.present(event, user, listed).await?;
        self.say(protocol::answer(id, &present));
        Ok(())
    }

    fn unsubscribe(&mut self, id: u32, name: &str) -> Result<(), Refusal> {
        drop(self.channels.remove(name).ok_or_else(not_subscribed)?);
        self.say(protocol::answer(id, &serde_json::json!({})));
        Ok(())
    }

    fn history(&self, id: u32, name: &str, since: &Position, limit: u64) -> Result<(), Refusal> {
        let reading = self.channels.get(name).ok_or_else(not_subscribed)?;
        let joined = reading.missed(since).ok_or_else(not_subscribed)?;
        self.say(protocol::joined(id, &joined, limit, None));
        Ok(())
    }

    /// When something is to be done next without the client.
    fn due(&self) -> Instant {
        let first = self.pong_until.unwrap_or(self.ping_at);
        match &self.state {
            State::New { until, .. } => first.min(*until),
            State::Anonymous => first,
            State::SignedIn { identity, warned } => {
                let until = if *warned {
                    self.instant(identity, self.timing.grace.as_millis() as i64)
                } else {
                    self.instant(identity, -(self.timing.expiring.as_millis() as i64))
                };
                first.min(until)
            }
        }
    }

    /// The moment so many milliseconds after the token runs out. Asked anew each time, because the clock may be put right.
    fn instant(&self, identity: &Identity, after: i64) -> Instant {
        let left = (identity.until() - self.live.auth().clock().now()).num_milliseconds() + after;
        Instant::now() + Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    fn on_time(&mut self) -> ControlFlow<Option<Closing>> {
        let now = Instant::now();
        if self.pong_until.is_some_and(|until| until <= now) {
            return ControlFlow::Break(Some(Closing::NoPong));
        }
        let mut seconds = None;
        match &mut self.state {
            State::New { until, .. } if *until <= now => return ControlFlow::Break(Some(Closing::Stale)),
            State::SignedIn { identity, warned } => {
                let left = identity.until() - self.live.auth().clock().now();
                if *warned && left.num_milliseconds() <= -(self.timing.grace.as_millis() as i64) {
                    return ControlFlow::Break(Some(Closing::Expired));
                }
                if !*warned && left.num_milliseconds() <= self.timing.expiring.as_millis() as i64 {
                    *warned = true;
                    seconds = Some(left.num_seconds().max(0));
                }
            }
            State::New { .. } | State::Anonymous => {}
        }
        if let Some(seconds) = seconds {
            self.say(Notice::Expiring { seconds }.text());
        }
        if self.ping_at <= now {
            self.say(Notice::Ping.text());
            self.ping_at = now + self.timing.ping;
            self.pong_until = Some(now + self.timing.pong);
        }
        ControlFlow::Continue(())
    }
}

/// Says why, and waits a little for the client to take it: closed at once, the network would throw away what is on its way.
pub async fn close(mut socket: WebSocket, closing: Closing) {
    let frame = CloseFrame {
        code: closing.code(),
        reason: closing.reason().into(),
    };
    let goodbye = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = timeout(CLOSE_TIME, goodbye).await;
}

fn channel_refused(why: ChannelError) -> Refusal {
    match why {
        ChannelError::Refused(ChannelRefusal::Unknown) => {
            Refusal::new("unknown_channel", "There is no such channel.")
        }
        ChannelError::Refused(ChannelRefusal::SignedInOnly) => {
            Refusal::new("unauthorized", "This channel needs a signed-in user.")
        }
        ChannelError::Denied(why) => denied_refusal(why),
        ChannelError::Away(_) => Refusal::unavailable(),
        ChannelError::Store(error) => {
            tracing::warn!(%error, "a channel could not be looked up");
            Refusal::unavailable()
        }
    }
}

/// What a client says on a channel.
struct Said {
    text: String,
}

impl FromFields for Said {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let text = fields.required("text", |value| value.text(MAX_TEXT));
        Some(Self { text: text? })
    }
}

/// How it reacts.
struct Reaction {
    emoji: String,
}

impl FromFields for Reaction {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let emoji = fields.required("emoji", emoji);
        Some(Self { emoji: emoji? })
    }
}

/// The fields of `data`.
fn fields<T: FromFields>(data: &RawValue) -> Result<T, Refusal> {
    Fields::read(data.get().as_bytes()).map_err(|error| Refusal::bad_request(error.to_string()))
}

fn not_subscribed() -> Refusal {
    Refusal::new("not_subscribed", "This channel is not subscribed to.")
}

/// Why a connection is closed on which something came that is no message.
fn fault(error: axum::Error) -> Option<Closing> {
    let error = error.into_inner().downcast::<tungstenite::Error>().ok()?;
    match *error {
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. }) => Some(Closing::TooLarge),
        tungstenite::Error::Utf8(_) => Some(Closing::NotText),
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Protocol(_) => Some(Closing::Protocol),
        _ => None,
    }
}
