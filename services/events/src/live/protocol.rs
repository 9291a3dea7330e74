//! `evt.v1`: what clients send over a socket, and what they are answered. docs/live.md describes it.

use std::{borrow::Cow, time::Duration};

use axum::extract::ws::Utf8Bytes;
use common::{
    clock::Timestamp,
    ids::{PostId, UserId},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    history::{Missed, Position},
    hub::Joined,
    limits::{CHANNELS, COMMANDS_BURST, COMMANDS_PER_SECOND, MAX_MESSAGE},
};

/// The subprotocol.
pub const SUBPROTOCOL: &str = "evt.v1";

/// A command as it comes: the fields of all of them.
#[derive(Deserialize)]
pub struct Command<'a> {
    /// The client's number for it, by which it knows the answer.
    #[serde(default)]
    id: Option<u32>,
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow, default)]
    ch: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ticket: Option<Cow<'a, str>>,
    #[serde(default)]
    recover: Option<Since>,
    #[serde(default)]
    since: Option<Since>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    mode: Option<Cow<'a, str>>,
}

/// A position as clients send it.
#[derive(Clone, Deserialize)]
pub struct Since {
    epoch: String,
    offset: u64,
}

impl From<Since> for Position {
    fn from(since: Since) -> Self {
        Self {
            epoch: since.epoch.into(),
            offset: since.offset,
        }
    }
}

/// What a client wants.
pub enum Op<'a> {
    /// To say who it is; with neither, it is nobody in particular.
    Connect {
        /// An access token.
        token: Option<Cow<'a, str>>,
        /// A ticket.
        ticket: Option<Cow<'a, str>>,
    },
    /// To get what a channel publishes, with what it missed since a position.
    Subscribe {
        /// The channel.
        ch: Cow<'a, str>,
        /// What it has seen.
        since: Option<Position>,
    },
    /// To get that no longer.
    Unsubscribe {
        /// The channel.
        ch: Cow<'a, str>,
    },
    /// To read what a channel has published since a position, and at most so much.
    History {
        /// The channel.
        ch: Cow<'a, str>,
        /// After this.
        since: Position,
        /// At most.
        limit: u64,
    },
    /// To say something on a channel.
    Publish {
        /// The channel.
        ch: Cow<'a, str>,
        /// What.
        data: &'a RawValue,
        /// The client's name for it: sent again with the same one, it is said once.
        key: Option<Cow<'a, str>>,
    },
    /// To know who is beside the channel's event.
    Presence {
        /// The channel.
        ch: Cow<'a, str>,
        /// Who they are, not only how many.
        listed: bool,
    },
    /// To go on with a new token.
    Refresh {
        /// An access token of the same user.
        token: Cow<'a, str>,
    },
    /// To show that it is alive.
    Pong,
}

impl<'a> Command<'a> {
    /// Reads a command: its number and what it is.
    ///
    /// # Errors
    /// Its number, if it has one, and what is wrong.
    pub fn read(text: &'a str) -> Result<(u32, Op<'a>), (Option<u32>, Refusal)> {
        let wrong = |id, why: &'static str| (id, Refusal::bad_request(why));
        let command: Self = serde_json::from_str(text).map_err(|_| {
            wrong(
                None,
                "This is no command: a JSON object with `op` and its fields.",
            )
        })?;
        let Self { id, op, ch, .. } = command;
        if op == "pong" {
            return Ok((0, Op::Pong));
        }
        let number = id
            .filter(|id| *id != 0)
            .ok_or_else(|| wrong(None, "A command needs an `id` that is not 0."))?;
        let channel = ch.ok_or_else(|| wrong(id, "This needs `ch`."));
        let op = match &*op {
            "connect" => Op::Connect {
                token: command.token,
                ticket: command.ticket,
            },
            "subscribe" => Op::Subscribe {
                ch: channel?,
                since: command.recover.map(Position::from),
            },
            "unsubscribe" => Op::Unsubscribe { ch: channel? },
            "history" => Op::History {
                ch: channel?,
                since: command
                    .since
                    .map(Position::from)
                    .ok_or_else(|| wrong(id, "This needs `since`."))?,
                limit: command.limit.unwrap_or(u64::MAX),
            },
            "publish" => Op::Publish {
                ch: channel?,
                data: command.data.ok_or_else(|| wrong(id, "This needs `data`."))?,
                key: match command.key {
                    Some(key) if !is_key(&key) => {
                        return Err(wrong(id, "A `key` is 1 to 255 printable ASCII characters."));
                    }
                    key => key,
                },
            },
            "presence" => Op::Presence {
                ch: channel?,
                listed: match command.mode.as_deref() {
                    None | Some("count") => false,
                    Some("list") => true,
                    Some(_) => return Err(wrong(id, "`mode` is `count` or `list`.")),
                },
            },
            "refresh" => Op::Refresh {
                token: command.token.ok_or_else(|| wrong(id, "This needs `token`."))?,
            },
            _ => return Err(wrong(id, "There is no such `op`.")),
        };
        Ok((number, op))
    }
}

fn is_key(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Why a command is not served.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Refusal {
    /// A stable code.
    pub code: &'static str,
    msg: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal with this code.
    pub fn new(code: &'static str, msg: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            msg: msg.into(),
            retry_after_ms: None,
        }
    }

    /// It is not what a client may send.
    pub fn bad_request(msg: impl Into<Cow<'static, str>>) -> Self {
        Self::new("bad_request", msg)
    }

    /// There were too many.
    pub fn rate_limited(wait: Duration) -> Self {
        Self {
            retry_after_ms: Some((wait.as_millis() as u64).max(1)),
            ..Self::new("rate_limited", "Too many commands; please send them more slowly.")
        }
    }

    /// The chat is slow.
    pub fn too_soon(wait: Duration) -> Self {
        Self {
            msg: "The chat is in slow mode: please wait before your next message.".into(),
            ..Self::rate_limited(wait)
        }
    }

    /// What it needs is away.
    pub fn unavailable() -> Self {
        Self::new(
            "unavailable",
            "This cannot be served at the moment. Please try again.",
        )
    }

    /// Whether it is the client's mistake: those are counted.
    pub fn is_mistake(&self) -> bool {
        !matches!(self.code, "rate_limited" | "unavailable")
    }
}

/// The answer to `connect` and `refresh`.
#[derive(Serialize)]
pub struct Connected {
    /// The connection.
    pub client: Uuid,
    /// Who it is; none: nobody in particular.
    pub user: Option<UserId>,
    /// Seconds until the token runs out.
    pub expires_in: Option<i64>,
    /// Seconds between pings.
    ping: u64,
    limits: Limits,
    /// Milliseconds since 1970, UTC.
    server_time: i64,
}

/// What a client has to keep to.
#[derive(Serialize)]
struct Limits {
    message_bytes: usize,
    channels: usize,
    commands_per_second: u32,
    commands_burst: u32,
}

impl Connected {
    /// The answer to a client at `now`.
    pub fn new(
        client: Uuid,
        user: Option<UserId>,
        expires_in: Option<i64>,
        ping: Duration,
        now: Timestamp,
    ) -> Self {
        Self {
            client,
            user,
            expires_in,
            ping: ping.as_secs(),
            limits: Limits {
                message_bytes: MAX_MESSAGE,
                channels: CHANNELS,
                commands_per_second: COMMANDS_PER_SECOND,
                commands_burst: COMMANDS_BURST,
            },
            server_time: now.timestamp_millis(),
        }
    }
}

/// `{"id": .., "ok": ..}`
pub fn answer(id: u32, ok: &impl Serialize) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Answer<'a, T> {
        id: u32,
        ok: &'a T,
    }
    written(&Answer { id, ok })
}

/// `{"id": .., "err": ..}`
pub fn refusal(id: Option<u32>, err: &Refusal) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Answer<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u32>,
        err: &'a Refusal,
    }
    written(&Answer { id, err })
}

/// The answer to `publish`: where it is.
#[derive(Serialize)]
pub struct Published<'a> {
    /// The life of the channel.
    pub epoch: &'a str,
    /// Its place there.
    pub offset: u64,
    /// The id of what was made.
    pub id: PostId,
}

/// The answer to `presence`.
#[derive(Serialize)]
pub struct Present {
    /// How many.
    pub count: u64,
    /// Who: up to a thousand of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<PresentUser>>,
}

/// Somebody who is there.
#[derive(Serialize)]
pub struct PresentUser {
    /// The account.
    pub user_id: UserId,
    /// What they are called.
    pub name: Option<String>,
}

/// The answer to `subscribe` and `history`: where the channel is, what was missed, and what is in force on it.
pub fn joined(id: u32, joined: &Joined, limit: u64, state: Option<&RawValue>) -> Utf8Bytes {
    use std::fmt::Write;
    let Position { epoch, offset } = &joined.position;
    let (recovered, missed) = match &joined.missed {
        Missed::All(missed) => (true, &missed[..]),
        Missed::TooMuch => (false, &[][..]),
    };
    let missed = &missed[..missed.len().min(usize::try_from(limit).unwrap_or(usize::MAX))];
    let length: usize = missed.iter().map(|one| one.frame.len() + 1).sum();
    let mut text = String::with_capacity(length + 120);
    // Epochs are hexadecimal digits. Writing to a String cannot fail.
    let _ = write!(
        text,
        r#"{{"id":{id},"ok":{{"epoch":"{epoch}","offset":{offset},"recovered":{recovered},"events":["#
    );
    for (place, one) in missed.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&one.frame);
    }
    text.push(']');
    if let Some(state) = state {
        text.push_str(r#","state":"#);
        text.push_str(state.get());
    }
    text.push_str("}}");
    text.into()
}

/// A push that is no publication.
#[derive(Serialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
pub enum Notice {
    /// The client is to show that it is alive.
    Ping,
    /// The token runs out.
    Expiring {
        /// In so many seconds.
        #[serde(rename = "in")]
        seconds: i64,
    },
    /// A channel can be read no longer.
    Unsub {
        /// Which.
        ch: Box<str>,
        /// Why.
        code: &'static str,
    },
}

impl Notice {
    /// The registration has ended, or the user was banned.
    pub fn revoked(ch: Box<str>) -> Self {
        Self::Unsub { ch, code: "revoked" }
    }

    /// As it is sent.
    pub fn text(&self) -> Utf8Bytes {
        written(self)
    }
}

fn written(value: &impl Serialize) -> Utf8Bytes {
    // Our own structs; writing them to memory cannot fail.
    serde_json::to_string(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_command_is_refused() {
        for (text, id) in [
            ("", None),
            ("null", None),
            ("[]", None),
            (r#""connect""#, None),
            (r#"{"op":"subscribe"}"#, None),
            (r#"{"id":0,"op":"connect"}"#, None),
            (r#"{"id":-1,"op":"connect"}"#, None),
            (r#"{"id":4294967296,"op":"connect"}"#, None),
            (r#"{"id":1,"op":"dance"}"#, Some(1)),
            (r#"{"id":1,"op":"subscribe"}"#, Some(1)),
            (r#"{"id":1,"op":"history","ch":"me"}"#, Some(1)),
            (r#"{"id":1,"op":"refresh"}"#, Some(1)),
            (r#"{"id":1,"op":"publish","ch":"me"}"#, Some(1)),
            (r#"{"id":1,"op":"publish","ch":"me","data":{},"key":""}"#, Some(1)),
            (
                r#"{"id":1,"op":"publish","ch":"me","data":{},"key":"é"}"#,
                Some(1),
            ),
            (r#"{"id":1,"op":"presence","ch":"me","mode":"all"}"#, Some(1)),
            (r#"{"id":1,"op":"subscribe","ch":7}"#, None),
            (
                r#"{"id":1,"op":"subscribe","ch":"me","recover":{"epoch":"k3"}}"#,
                None,
            ),
            (
                r#"{"id":1,"op":"subscribe","ch":"me","recover":{"epoch":"k3","offset":-1}}"#,
                None,
            ),
            (&"[".repeat(60_000), None),
            (
                &format!(r#"{{"id":1,"op":"connect","x":{}"#, "[".repeat(60_000)),
                None,
            ),
        ] {
            let Err((named, refusal)) = Command::read(text) else {
                panic!("{text}")
            };
            assert_eq!((named, refusal.code), (id, "bad_request"), "{text}");
        }
    }

    #[test]
    fn commands_are_read() {
        let read = Command::read(
            r#"{"op":"subscribe","id":2,"ch":"\u006de","recover":{"epoch":"k3","offset":1207},"other":[1]}"#,
        );
        let Ok((
            2,
            Op::Subscribe {
                ch,
                since: Some(since),
            },
        )) = read
        else {
            panic!("a subscription")
        };
        assert_eq!((&*ch, &*since.epoch, since.offset), ("me", "k3", 1207));
        assert!(matches!(Command::read(r#"{"op":"pong"}"#), Ok((0, Op::Pong))));
    }
}
