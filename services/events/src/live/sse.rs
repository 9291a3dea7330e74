//! `GET /api/live/sse`: the same publications as server-sent events.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use common::{
    extract::{ClientIp, missing_token},
    ids::EventId,
    problem::ApiError,
};
use futures_util::{Stream, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use shared_state::{Away, ratelimit::too_many};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    ChannelError, Live, Reading,
    channel::ChannelRefusal,
    connections::Registered,
    history::{Missed, Position, Publication},
    hub::{Joined, Joining},
    limits::CHANNELS,
    protocol::Notice,
    queue::{Batch, Outgoing},
    say::Refused,
    who::{self, Identity},
};
use crate::{domain::standing::Denied, problems::denied};

/// Between two comments on a quiet stream, which keep proxies from cutting it.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// nginx would collect what is to go out at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const LAST_EVENT_ID: &str = "last-event-id";
/// The longest epoch that is taken for one.
const LONGEST_EPOCH: usize = 16;
/// Clients come back after so long at the least, and at the most twice that, so that they do not all come at once.
const RETRY: Duration = Duration::from_secs(1);

/// What is asked for.
struct Wanted {
    channels: Vec<String>,
    ticket: Option<String>,
    last_event_id: Option<String>,
}

impl Wanted {
    fn of(parts: &Parts) -> Result<Self, ApiError> {
        let Query(fields) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::invalid_field("query", "is not a valid query string"))?;
        let mut wanted = Self {
            channels: Vec::new(),
            ticket: None,
            last_event_id: header_text(&parts.headers, LAST_EVENT_ID),
        };
        for (name, value) in fields {
            match name.as_str() {
                "ch" if wanted.channels.contains(&value) => {}
                "ch" => wanted.channels.push(value),
                "ticket" => wanted.ticket = Some(value),
                // A browser that reconnects sends the header, which is newer.
                "last_event_id" if wanted.last_event_id.is_none() && !value.is_empty() => {
                    wanted.last_event_id = Some(value);
                }
                _ => {}
            }
        }
        match wanted.channels.len() {
            0 => Err(ApiError::invalid_field("ch", "is required: the channels to read")),
            1..=CHANNELS => Ok(wanted),
            _ => Err(ApiError::invalid_field("ch", "must name 128 channels at most")),
        }
    }

    /// What the client has seen of each channel.
    fn seen(&self) -> Vec<Option<Position>> {
        match &self.last_event_id {
            Some(id) => read_cursor(id, self.channels.len())
                .into_iter()
                .map(Some)
                .collect(),
            None => vec![None; self.channels.len()],
        }
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Where a reader is in each of its channels, in their order: `epoch:offset`, separated by commas.
fn cursor(positions: &[Position]) -> String {
    let each = positions
        .iter()
        .map(|Position { epoch, offset }| format!("{epoch}:{offset}"));
    each.collect::<Vec<_>>().join(",")
}

/// Reads a cursor. What is none of so many channels is a position that no channel has, so that the reader is told to begin
/// again.
fn read_cursor(text: &str, channels: usize) -> Vec<Position> {
    let read = |part: &str| {
        let (epoch, offset) = part.split_once(':')?;
        // It is sent back, so it must be what we write.
        let ours = epoch.len() <= LONGEST_EPOCH && epoch.bytes().all(|byte| byte.is_ascii_hexdigit());
        ours.then_some(())?;
        Some(Position {
            epoch: epoch.into(),
            offset: offset.parse().ok()?,
        })
    };
    let positions: Vec<_> = text
        .split(',')
        .map(|part| read(part).unwrap_or_else(nowhere))
        .collect();
    if positions.len() == channels {
        positions
    } else {
        vec![nowhere(); channels]
    }
}

/// A position that no channel has.
fn nowhere() -> Position {
    Position {
        epoch: "0".into(),
        offset: u64::MAX,
    }
}

/// 404: no channel has this name.
pub fn unknown_channel() -> ApiError {
    ApiError::not_found("unknown_channel", "There is no such channel.")
}

/// 429: too many connections.
pub fn crowded() -> ApiError {
    too_many(
        HEARTBEAT,
        "There are too many live connections from this address, or of this user.",
    )
}

/// Answers with a stream of what the channels publish.
///
/// # Errors
/// When there is no such channel, or the client may not read it.
pub async fn open(live: Live, mut parts: Parts) -> Result<Response, ApiError> {
    who::check_origin(&live, &parts.headers)?;
    let wanted = Wanted::of(&parts)?;
    let identity = who::said(&live, &parts.headers, wanted.ticket.as_deref()).await?;
    let Ok(ClientIp(address)) = ClientIp::from_request_parts(&mut parts, live.auth()).await;
    let mut registered = live.connections().enter(address).ok_or_else(crowded)?;
    if let Some(identity) = identity
        && !registered.sign_in(identity)
    {
        return Err(crowded());
    }
    let reader = Reader::join(live, registered, identity, &wanted).await?;
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    let mut response = Sse::new(reader.stream()).keep_alive(heartbeat).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

/// A client's stream.
struct Reader {
    registered: Registered,
    /// What is sent before anything from the queue.
    first: VecDeque<First>,
    positions: Vec<Position>,
    waiting: VecDeque<Outgoing>,
    until: Option<tokio::time::Instant>,
    /// The channels, in their order; `None`: it may be read no longer.
    readings: Vec<Option<Reading>>,
    _running: TaskTrackerToken,
}

/// Something that is sent before anything from the queue.
enum First {
    /// A channel begins, here or anew.
    Begin {
        place: usize,
        name: String,
        position: Position,
        is_reset: bool,
        state: Option<Arc<RawValue>>,
    },
    /// A channel that may be read no longer.
    Gone(String),
    /// A publication that was missed.
    Missed(usize, Arc<Publication>),
}

/// The first event of a channel.
#[derive(Serialize)]
struct Begin<'a> {
    ev: &'static str,
    ch: &'a str,
    epoch: &'a str,
    offset: u64,
    /// What is in force there.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a RawValue>,
}

impl Reader {
    async fn join(
        live: Live,
        registered: Registered,
        identity: Option<Identity>,
        wanted: &Wanted,
    ) -> Result<Self, ApiError> {
        let mut readings = Vec::with_capacity(wanted.channels.len());
        let user = identity.map(|identity| identity.user);
        for name in &wanted.channels {
            let reading = live.begin_reading(name, user, &registered).await;
            readings.push(reading.map_err(refused)?);
        }
        let mut joined = Vec::new();
        for ((place, reading), since) in readings.iter_mut().enumerate().zip(wanted.seen()) {
            let begun = live.in_force_since(reading.channel(), since).await;
            let (since, state) = begun.map_err(Refused::from)?;
            let joining = Joining {
                connection: registered.id(),
                queue: registered.queue(),
                place: place as u32,
                since: since.clone(),
            };
            let mut is_read = false;
            let answer = |one| is_read = reading.unless_revoked(|| joined.push((since, one, state)));
            let joining = live.hub().join(reading.channel(), joining, answer);
            let subscription = joining.await.map_err(away)?;
            if !is_read {
                return Err(denied(Denied::NotAttending));
            }
            reading.reads(subscription);
        }
        let now = live.auth().clock().now();
        let left = identity.map(|identity| (identity.until() - now).to_std().unwrap_or_default());
        let positions = joined
            .iter()
            .map(|(since, one, _)| begins_at(since.as_ref(), one))
            .collect();
        let mut first = VecDeque::new();
        for (place, ((_, one, state), name)) in joined.into_iter().zip(&wanted.channels).enumerate() {
            let (is_reset, missed) = match one.missed {
                Missed::All(missed) => (false, missed),
                Missed::TooMuch => (true, Vec::new()),
            };
            first.push_back(First::Begin {
                place,
                name: name.clone(),
                position: one.position,
                is_reset,
                state,
            });
            first.extend(
                missed
                    .into_iter()
                    .map(|publication| First::Missed(place, publication)),
            );
        }
        Ok(Self {
            registered,
            first,
            positions,
            waiting: VecDeque::new(),
            until: left.map(|left| tokio::time::Instant::now() + left + live.timing().grace),
            readings: readings.into_iter().map(Some).collect(),
            _running: live.connections().running().token(),
        })
    }

    fn first(&mut self, first: First) -> Event {
        let (place, name, position, is_reset, state) = match first {
            First::Missed(place, publication) => return self.event(place, &publication),
            First::Gone(name) => {
                let notice = Notice::revoked(name.into()).text();
                return Event::default().event("unsub").data(notice.as_str());
            }
            First::Begin {
                place,
                name,
                position,
                is_reset,
                state,
            } => (place, name, position, is_reset, state),
        };
        let ev = if is_reset { "reset" } else { "subscribed" };
        let begin = Begin {
            ev,
            ch: &name,
            epoch: &position.epoch,
            offset: position.offset,
            state: state.as_deref(),
        };
        let data = serde_json::to_string(&begin).unwrap_or_default();
        if is_reset && let Some(known) = self.positions.get_mut(place) {
            *known = position;
        }
        Event::default()
            .event(ev)
            .retry(RETRY.mul_f64(rand::random_range(1.0..2.0)))
            .id(cursor(&self.positions))
            .data(data)
    }

    fn event(&mut self, place: usize, publication: &Publication) -> Event {
        if let Some(position) = self.positions.get_mut(place) {
            position.offset = publication.offset;
        }
        Event::default()
            .event(&*publication.kind)
            .id(cursor(&self.positions))
            .data(publication.frame.as_str())
    }

    /// The next event; `None`: the stream ends, and the client comes back.
    async fn next(&mut self) -> Option<Event> {
        loop {
            match self.waiting.pop_front() {
                Some(Outgoing::Publication(place, publication)) => {
                    let place = place as usize;
                    if self.readings.get(place).is_some_and(Option::is_some) {
                        return Some(self.event(place, &publication));
                    }
                }
                // Answers are for sockets.
                Some(Outgoing::Text(_)) => {}
                Some(Outgoing::Revoked(event)) => {
                    if let Some(gone) = self.revoke(event) {
                        return Some(gone);
                    }
                }
                None if self.readings.iter().all(Option::is_none) => return None,
                None => {
                    let queue = Arc::clone(self.registered.queue());
                    let expired = async {
                        match self.until {
                            Some(until) => tokio::time::sleep_until(until).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        batch = queue.next() => match batch {
                            Batch::Send(batch) => self.waiting = batch,
                            Batch::Close(_) => return None,
                        },
                        () = expired => return None,
                    }
                }
            }
        }
    }

    /// Ends the reading of an event's topics, and tells of the first of them; the others are told next.
    fn revoke(&mut self, event: EventId) -> Option<Event> {
        for reading in &mut self.readings {
            if let Some(gone) = reading.take_if(|reading| reading.is_topic_of(event)) {
                self.first.push_back(First::Gone(gone.channel().public_name()));
            }
        }
        let first = self.first.pop_front()?;
        Some(self.first(first))
    }

    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            // A client that takes what waits for it slowly is not to outlast its session by that.
            let expired = reader
                .until
                .is_some_and(|until| until <= tokio::time::Instant::now());
            if expired || reader.registered.queue().closing().is_some() {
                return None;
            }
            let event = match reader.first.pop_front() {
                Some(first) => reader.first(first),
                None => reader.next().await?,
            };
            Some((Ok(event), reader))
        })
    }
}

/// Why a channel cannot be read.
fn refused(why: ChannelError) -> ApiError {
    match why {
        ChannelError::Refused(ChannelRefusal::Unknown) => unknown_channel(),
        ChannelError::Refused(ChannelRefusal::SignedInOnly) => missing_token(),
        ChannelError::Denied(why) => denied(why),
        ChannelError::Away(why) => away(why),
        ChannelError::Store(error) => error.into(),
    }
}

fn away(why: Away) -> ApiError {
    ApiError::unavailable("Live updates are not available at the moment. Please try again.").because(why)
}

/// What a reader has seen when its stream begins: what it said, where it gets all since then; nothing, until it has been told
/// to begin again.
fn begins_at(since: Option<&Position>, joined: &Joined) -> Position {
    match (since, &joined.missed) {
        (Some(since), Missed::All(_)) => since.clone(),
        (None, Missed::All(_)) => joined.position.clone(),
        (_, Missed::TooMuch) => nowhere(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let positions = [("c3", 7), ("0a", 0)].map(|(epoch, offset)| Position {
            epoch: epoch.into(),
            offset,
        });
        assert_eq!(cursor(&positions), "c3:7,0a:0");
        assert_eq!(read_cursor("c3:7,0a:0", 2), positions);
        for text in [
            "",
            "c3",
            "c3:7",
            "c3:7,0a:0,1",
            "c3:-1,0a:x",
            ",",
            "c3:7,٣",
            "c3:7,0a\n:1",
        ] {
            let nowhere = read_cursor(text, 2);
            assert_eq!(nowhere.len(), 2);
            assert_eq!(nowhere[1], super::nowhere(), "{text}");
        }
    }
}
