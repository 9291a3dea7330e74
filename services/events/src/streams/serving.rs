//! What players get: playlists for those who take part, and segments for those who have a playlist.

use axum::http::StatusCode;
use bytes::Bytes;
use common::{
    clock::Timestamp,
    http::Page,
    ids::{EventId, PlaybackId, StreamId, UserId},
    problem::ApiError,
};

use super::{
    Streams,
    hls::{self, Extent},
    mediamtx,
    objects::ObjectKind,
    secrets::GoodFor,
    viewers::{Known, PLAYBACK_LIFE},
};
use crate::{
    domain::{
        standing::{Denied, Part, Standing},
        stream::{Kind, Playback, Receiver, Segment, State, Stream},
    },
    problems::post_problem,
    store::{StatusFilter, streams::PlaybackError},
};

/// Segments loaded at a time.
const AT_ONCE: usize = 5_000;
/// Segments of what is on that are loaded, to choose those of the window from.
const LOADED: u64 = 20;
/// How long a segment of what is on can be asked for beyond its bucket: a player that was paused has to ask for the playlist again.
const LIVE_SEGMENTS: GoodFor = GoodFor(60_000);
/// How long one of a recording can, beyond its length: its playlist is asked for once.
const RECORDED_SEGMENTS_MILLIS: i64 = 3 * 3_600_000;

/// Which playlist.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Playlist {
    /// What is on.
    Live,
    /// All of it so far.
    Dvr,
    /// All of it, afterwards.
    Replay,
}

impl Playlist {
    /// The playlist of a file's name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "live.m3u8" => Some(Self::Live),
            "dvr.m3u8" => Some(Self::Dvr),
            "replay.m3u8" => Some(Self::Replay),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Live => "live.m3u8",
            Self::Dvr => "dvr.m3u8",
            Self::Replay => "replay.m3u8",
        }
    }
}

/// A playback as its player is told of it.
pub struct Begun {
    /// The id.
    pub id: PlaybackId,
    /// What to play.
    pub url: String,
    /// When it ends unless it is seen.
    pub expires_at: Timestamp,
}

/// 404, also for a stream whose event the caller has nothing to do with.
pub fn no_such_stream() -> ApiError {
    ApiError::not_found("stream_not_found", "There is no such stream.")
}

/// 403: it could be watched, and may be no longer.
pub fn access_ended() -> ApiError {
    ApiError::forbidden(
        "access_ended",
        "You may not watch this any more: your registration has ended, or you were banned.",
    )
}

/// 403: a playlist needs a playback that is going on.
pub fn not_playing() -> ApiError {
    ApiError::forbidden(
        "playback_invalid",
        "This needs a playback that is going on: begin one at POST /api/live/streams/{stream_id}/playback.",
    )
}

/// 409 for what is not open at this time.
pub fn not_open_yet() -> ApiError {
    ApiError::conflict("not_open_yet", "It has not begun yet.")
}

/// 409 for what was open.
pub fn closed() -> ApiError {
    ApiError::conflict("closed", "It is over.")
}

/// 409 for one device too many.
pub fn too_many_devices() -> ApiError {
    ApiError::conflict(
        "too_many_devices",
        "You are watching on three devices already. Stop one of them, and try again in a minute.",
    )
}

/// 403 for somebody whose registration is not confirmed.
pub fn not_confirmed() -> ApiError {
    ApiError::forbidden("not_attending", "Your registration is not confirmed yet.")
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ApiError {
    ApiError::unavailable("The recording cannot be read right now.").because(error)
}

impl Streams {
    /// Somebody's part beside an event that they may watch.
    ///
    /// # Errors
    /// 403 for those who could watch once, 404 for strangers.
    async fn viewer(&self, event: EventId, user: UserId) -> Result<Standing, ApiError> {
        let standing = self.0.live.standing(event, user).await.map_err(post_problem)?;
        match standing.may_read(self.now()) {
            Ok(()) => Ok(standing),
            Err(Denied::NotAttending) => Err(self.why_not(event, user).await?),
            Err(_) => Err(access_ended()),
        }
    }

    async fn why_not(&self, event: EventId, user: UserId) -> Result<ApiError, ApiError> {
        let page = Page {
            limit: 100,
            after: None,
        };
        let found = self
            .store()
            .registrations(user, StatusFilter::All, page, self.now())
            .await?;
        let mut theirs = found.0.iter().filter(|one| one.event.id == event).peekable();
        if theirs.peek().is_none() {
            return Ok(no_such_stream());
        }
        let ended = theirs.all(|one| one.registration.may_have_a_successor() || one.event.cancelled);
        Ok(if ended { access_ended() } else { not_confirmed() })
    }

    /// Begins a playback for somebody who may watch.
    ///
    /// # Errors
    /// Why not.
    pub async fn begin(&self, stream: &Stream, user: UserId) -> Result<Begun, ApiError> {
        let standing = self.viewer(stream.event, user).await?;
        let now = self.now();
        // The worker that moves it may be a little late.
        let mut stream = stream.clone();
        stream.look(now);
        let stream = &stream;
        match (stream.kind, stream.state) {
            (_, State::Ended | State::Deleted) => return Err(closed()),
            (Kind::Hls | Kind::Embed | Kind::Meeting, State::Scheduled | State::Ready) => {
                return Err(not_open_yet());
            }
            _ => {}
        }
        let new = Playback {
            id: PlaybackId::new(),
            stream: stream.id,
            event: stream.event,
            user,
            started_at: now,
            seen_at: now,
            watched_millis: 0,
        };
        // Nothing has begun where there is nothing to play.
        let url = self.url_of(new.id, stream).await?;
        let organizer = standing.part == Part::Organizer;
        let begun = self.store().begin_playback(new, organizer, now).await;
        let begun = begun.map_err(|error| match error {
            PlaybackError::TooManyDevices => too_many_devices(),
            PlaybackError::Store(error) => error.into(),
        })?;
        self.0.viewers.begun(&begun);
        Ok(self.begun(begun.id, url))
    }

    fn begun(&self, id: PlaybackId, url: String) -> Begun {
        Begun {
            id,
            url,
            expires_at: self.now() + PLAYBACK_LIFE,
        }
    }

    /// What a playback plays.
    async fn url_of(&self, id: PlaybackId, stream: &Stream) -> Result<String, ApiError> {
        if let Some(url) = &stream.url {
            return Ok(url.clone());
        }
        let token = self.0.secrets.playback(id);
        if stream.receiver == Receiver::Own {
            return Ok(format!(
                "{}/api/live/hls/{}/master.m3u8?s={token}",
                self.0.public_url, stream.id
            ));
        }
        let mediamtx = self.0.mediamtx.as_ref().ok_or_else(mediamtx::not_served)?;
        if stream.state != State::Replay {
            return Ok(mediamtx.live_url(stream.id, &token));
        }
        let found = mediamtx.recording_url(stream, &token).await;
        found.map_err(mediamtx::away)?.ok_or_else(nothing_yet)
    }

    /// A player says that it still plays.
    ///
    /// # Errors
    /// 404 for a playback of somebody else, 403 when they may watch no longer.
    pub async fn heartbeat(&self, id: PlaybackId, user: UserId) -> Result<(Begun, Stream), ApiError> {
        let gone = || ApiError::not_found("playback_not_found", "There is no such playback.");
        let known = self.known_playback(id).await?;
        let known = known.filter(|known| known.user == user).ok_or_else(gone)?;
        if let Err(error) = self.viewer(known.event, user).await {
            return Err(match error.status() {
                StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => access_ended(),
                _ => error,
            });
        }
        if !known.is_good(self.now()) {
            return Err(not_playing());
        }
        let stream = self
            .store()
            .stream(known.stream)
            .await?
            .ok_or_else(no_such_stream)?;
        if stream.state == State::Ended {
            return Err(closed());
        }
        self.0.viewers.seen(id, known, self.now());
        let url = self.url_of(id, &stream).await?;
        Ok((self.begun(id, url), stream))
    }

    /// The playback that a token shows, if its user may watch this stream. It has been seen.
    pub(super) async fn playing(&self, stream: StreamId, token: &str) -> Result<Known, ApiError> {
        let (id, known) = self.shown(stream, token).await?;
        self.0.viewers.seen(id, known, self.now());
        Ok(known)
    }

    /// Whether a token shows a playback whose user may watch this stream.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(super) async fn is_playing(&self, stream: StreamId, token: &str) -> Result<bool, ApiError> {
        match self.shown(stream, token).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == StatusCode::FORBIDDEN => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn shown(&self, stream: StreamId, token: &str) -> Result<(PlaybackId, Known), ApiError> {
        let id = self.0.secrets.playback_of(token).ok_or_else(not_playing)?;
        let now = self.now();
        let known = self.known_playback(id).await?;
        let known = known.filter(|known| known.stream == stream && known.is_good(now));
        let known = known.ok_or_else(not_playing)?;
        let rights = self
            .0
            .rights
            .try_get_with((known.event, known.user), async {
                let standing = self.store().standing(known.event, known.user).await?;
                Ok::<_, common::store::StoreError>(match standing {
                    Some(standing) => standing.may_read(now),
                    None => Err(Denied::NotAttending),
                })
            })
            .await;
        match rights {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(access_ended()),
            Err(error) => {
                return Err(ApiError::unavailable("Your rights cannot be checked right now.").because(error));
            }
        }
        Ok((id, known))
    }

    /// The playlist that a playback begins with.
    ///
    /// # Errors
    /// 403 without a playback, 404 before there is anything to play.
    pub async fn master(&self, id: StreamId, token: &str) -> Result<String, ApiError> {
        self.playing(id, token).await?;
        let stream = self.store().stream(id).await?.ok_or_else(no_such_stream)?;
        let which = match stream.state {
            State::Replay => Playlist::Replay,
            _ => Playlist::Live,
        };
        // The token is ours: letters that need no escaping.
        Ok(hls::master(&stream.feed, &format!("{}?s={token}", which.name())))
    }

    /// A playlist of segments.
    ///
    /// # Errors
    /// 403 without a playback, 404 before there is anything to play.
    pub async fn media(&self, id: StreamId, which: Playlist, token: &str) -> Result<Bytes, ApiError> {
        self.playing(id, token).await?;
        let built = self
            .0
            .playlists
            .try_get_with((id, which), self.build(id, which))
            .await
            .map_err(|error| {
                ApiError::unavailable("The stream cannot be loaded right now.").because(error)
            })?;
        built.ok_or_else(nothing_yet)
    }

    async fn build(&self, id: StreamId, which: Playlist) -> Result<Option<Bytes>, common::store::StoreError> {
        let Some(stream) = self.store().stream(id).await? else {
            return Ok(None);
        };
        let over = matches!(stream.state, State::Ended | State::Replay);
        let from = match which {
            Playlist::Live => stream.feed.next.saturating_sub(LOADED),
            Playlist::Dvr | Playlist::Replay => 0,
        };
        let mut segments = Vec::new();
        loop {
            let next = segments.last().map_or(from, |last: &Segment| last.number + 1);
            let some = self.store().segments(id, next, AT_ONCE).await?;
            let whole = some.len() < AT_ONCE;
            // What has come since is of the next playlist: what is written has to fit together.
            segments.extend(some.into_iter().filter(|one| one.number < stream.feed.next));
            if whole {
                break;
            }
        }
        if segments.is_empty() || (which == Playlist::Replay && !over) {
            return Ok(None);
        }
        if which == Playlist::Live {
            hls::cut_to_window(&stream.feed, &mut segments);
        }
        let extent = match which {
            Playlist::Live => Extent::Window,
            // Its beginning goes while it is on.
            Playlist::Dvr if !stream.record => Extent::Window,
            Playlist::Dvr => Extent::Event,
            Playlist::Replay => Extent::Whole,
        };
        let good_for = match over {
            false => LIVE_SEGMENTS,
            true => {
                let micros: u64 = segments.iter().map(|segment| segment.micros).sum();
                GoodFor(RECORDED_SEGMENTS_MILLIS + i64::try_from(micros / 1_000).unwrap_or(0))
            }
        };
        let query = self.0.secrets.segments(id, self.now(), good_for);
        Ok(Some(
            hls::media(&stream.feed, &segments, extent, over, &query).into(),
        ))
    }

    /// Has the playlists of a stream written anew.
    pub async fn forget_playlists(&self, id: StreamId) {
        for which in [Playlist::Live, Playlist::Dvr, Playlist::Replay] {
            self.0.playlists.invalidate(&(id, which)).await;
        }
    }

    /// How long a playlist may be kept by a player, in seconds. What is on has a new segment every other second.
    pub fn playlist_kept(which: Playlist) -> u32 {
        match which {
            Playlist::Live | Playlist::Dvr => 1,
            Playlist::Replay => 60,
        }
    }

    /// A segment, with its media type.
    ///
    /// # Errors
    /// 403 without a token that is good, 404 for one that there is not.
    pub async fn segment(
        &self,
        id: StreamId,
        name: &str,
        end: i64,
        proof: &str,
    ) -> Result<(&'static str, Bytes), ApiError> {
        if !self.0.secrets.lets_in(id, end, proof, self.now()) {
            return Err(segment_refused());
        }
        let none = || ApiError::not_found("segment_not_found", "There is no such segment.");
        let media_type = ObjectKind::media_type(name).ok_or_else(none)?;
        let found = self.0.objects.get(id, name).await.map_err(unavailable)?;
        Ok((media_type, found.ok_or_else(none)?))
    }
}

/// 404 for a stream of which nothing was received.
pub fn nothing_yet() -> ApiError {
    ApiError::not_found("nothing_to_play", "There is nothing to play yet.")
}

/// 403 for a segment that is asked for without what its playlist gives.
pub fn segment_refused() -> ApiError {
    ApiError::forbidden(
        "segment_token_invalid",
        "Segments are asked for as their playlist says, for as long as it says.",
    )
}
