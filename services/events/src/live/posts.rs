//! Posts on the live channels: what is said there, and what is published of it.

use std::sync::Arc;

use common::{
    clock::Timestamp,
    idempotency::Outcome,
    ids::{EventId, PostId},
    money::Rupees,
    store::StoreError,
};
use serde::Serialize;
use serde_json::value::RawValue;
use shared_state::Away;

use super::{
    Live,
    channel::{Channel, Topic},
    counters::Mark,
    history::Position,
    hub::Versioned,
    publication::Entry,
    stage::StageView,
};
use crate::{
    domain::{
        counts,
        post::{Kind, Post, Stage, Tally},
    },
    views::posts::{AnnouncementView, ChatModeView, PollView, PostData},
};

/// The most that is told of what is in force when a channel is subscribed to.
const IN_FORCE: usize = 20;
/// Announcements among which those that are not over are looked for.
const LOOKED_THROUGH: usize = 200;

/// Why something could not be published.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Redis is away.
    #[error(transparent)]
    Away(#[from] Away),
    /// It could not be loaded.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is in force on a channel, while it is at a place.
#[derive(Clone)]
pub struct KnownState {
    at: Position,
    /// When that changes by itself.
    until: Option<Timestamp>,
    state: Arc<RawValue>,
}

impl KnownState {
    /// Bytes of it.
    pub fn len(&self) -> usize {
        self.state.get().len()
    }
}

/// The data of `desk.changed`.
#[derive(Serialize)]
pub struct DeskView {
    registered: u64,
    pending_payment: u64,
    confirmed: u64,
    checked_in: u64,
    revenue: Rupees,
    /// People on the event's channels.
    viewers: u64,
}

/// What a reader of a channel needs to know beside what is published.
#[derive(Serialize)]
#[serde(untagged)]
enum InForce {
    Announcements { announcements: Vec<AnnouncementView> },
    Chat(ChatModeView),
    Polls { polls: Vec<PollView> },
    Desk(DeskView),
    Stage(StageView),
}

impl Live {
    /// Publishes a post as it is. `begins`: even if nobody has read its channel lately.
    ///
    /// # Errors
    /// When Redis is away, or its votes cannot be counted.
    pub async fn publish_post(&self, post: &Post, begins: bool) -> Result<Option<Position>, Fault> {
        let tally = match post.kind {
            Kind::Question | Kind::Poll => self.tally(post.id).await?,
            Kind::Chat | Kind::Announcement => Tally::default(),
        };
        let Some((kind, data)) = PostData::of(post, &tally) else {
            return Ok(None);
        };
        let entry = Entry::new(kind, self.now(), &data);
        let about = Versioned {
            subject: post.id.0,
            version: post.version.unsigned_abs(),
        };
        let channel = Channel::Topic(post.event, Topic::from(post.kind));
        Ok(self.hub().publish(channel, &entry, Some(about), begins).await?)
    }

    /// Publishes a post that was just made or changed, without waiting for its message in the outbox, which makes sure of it.
    pub async fn publish_soon(&self, outcome: &Outcome<Post>) {
        if let Outcome::Done(post) = outcome
            && let Err(why) = self.publish_post(post, false).await
        {
            tracing::debug!(post_id = %post.id, %why, "a post is published later");
        }
    }

    /// Publishes the votes of a post, where they are shown.
    ///
    /// # Errors
    /// When Redis is away, or they cannot be counted.
    pub async fn publish_votes(&self, id: PostId) -> Result<(), Fault> {
        let Some(post) = self.store().post(id).await? else {
            return Ok(());
        };
        let channel = Channel::Topic(post.event, Topic::from(post.kind));
        if self.hub().open(vec![channel]).await?.is_empty() {
            return Ok(());
        }
        let tally = self.tally(id).await?;
        if let Some((kind, data)) = PostData::votes_of(&post, &tally) {
            let entry = Entry::new(kind, self.now(), &data);
            self.hub().publish(channel, &entry, None, false).await?;
        }
        Ok(())
    }

    /// Publishes who may write in an event's chat.
    ///
    /// # Errors
    /// When Redis is away, or it cannot be loaded.
    pub async fn publish_chat_mode(&self, event: EventId) -> Result<(), Fault> {
        let mode = self.store().chat_mode(event).await?;
        let entry = Entry::new("chat.mode", self.now(), &ChatModeView::from(mode));
        let channel = Channel::Topic(event, Topic::Chat);
        self.hub().publish(channel, &entry, None, false).await?;
        Ok(())
    }

    /// Publishes soon how an event stands, after a change that no message tells of.
    pub async fn desk_changed(&self, event: EventId) {
        if let Err(why) = self.counters().mark(Mark::Desk(event)).await {
            tracing::debug!(event_id = %event, %why, "the desk's figures are published with the next change");
        }
    }

    /// How an event stands, for its organizer.
    ///
    /// # Errors
    /// When Redis is away, or it cannot be counted.
    pub async fn desk(&self, event: EventId) -> Result<DeskView, Fault> {
        let counted = self.store().counted(event, self.now()).await?;
        let total = counts::total(&counted.hours);
        let confirmed = (total.confirmed - total.ended).max(0).unsigned_abs();
        Ok(DeskView {
            registered: counted.pending_payment + confirmed,
            pending_payment: counted.pending_payment,
            confirmed,
            checked_in: total.checked_in.max(0).unsigned_abs(),
            revenue: Rupees(total.revenue()),
            viewers: self.people().count(event).await?,
        })
    }

    async fn tally(&self, post: PostId) -> Result<Tally, StoreError> {
        let mut tallies = self.store().tallies(vec![post]).await?;
        Ok(tallies.remove(&post).unwrap_or_default())
    }

    /// From where a client reads a channel that has seen it up to `since`, or nothing of it, and what is in force there: told as it was when
    /// the channel was at a place, with all that came since.
    ///
    /// # Errors
    /// When Redis is away, or it cannot be loaded.
    pub async fn in_force_since(
        &self,
        channel: Channel,
        since: Option<Position>,
    ) -> Result<(Option<Position>, Option<Arc<RawValue>>), Fault> {
        Ok(match self.in_force(channel).await? {
            Some((at, state)) => (since.or(Some(at)), Some(state)),
            None => (since, None),
        })
    }

    /// What is in force on a channel, for those who begin to read it, and a place of the channel at which it was so; `None`: there is no
    /// such thing. It is loaded once for all who come while nothing is published.
    ///
    /// # Errors
    /// When Redis is away, or it cannot be loaded.
    pub async fn in_force(&self, channel: Channel) -> Result<Option<(Position, Arc<RawValue>)>, Fault> {
        let Channel::Topic(event, topic) = channel else {
            return Ok(None);
        };
        let (at, now) = (self.hub().position(channel).await?, self.now());
        if let Some(known) = self.known_states().get(&channel).await
            && known.at == at
            && known.until.is_none_or(|until| now < until)
        {
            return Ok(Some((at, known.state)));
        }
        let mut until = None;
        let state = match topic {
            Topic::Announcements => {
                let posts = self.announcements(event, now).await?;
                until = posts.iter().filter_map(|post| post.expires_at).min();
                InForce::Announcements {
                    announcements: posts.iter().map(AnnouncementView::from).collect(),
                }
            }
            Topic::Polls => InForce::Polls {
                polls: self.open_polls(event).await?,
            },
            Topic::Desk => InForce::Desk(self.desk(event).await?),
            Topic::Stage => InForce::Stage(self.stage(event).await?),
            Topic::Chat => InForce::Chat(ChatModeView::from(self.store().chat_mode(event).await?)),
            Topic::Questions | Topic::Reactions => return Ok(None),
        };
        let state = serde_json::value::to_raw_value(&state)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let state: Arc<RawValue> = state.into();
        let known = KnownState {
            at: at.clone(),
            until,
            state: Arc::clone(&state),
        };
        self.known_states().insert(channel, known).await;
        Ok(Some((at, state)))
    }

    /// The newest announcements of an event that are not over.
    async fn announcements(&self, event: EventId, now: Timestamp) -> Result<Vec<Post>, StoreError> {
        let mut posts = self
            .newest(event, Kind::Announcement, &Stage::PUBLIC, LOOKED_THROUGH)
            .await?;
        posts.retain(|post| post.expires_at.is_none_or(|until| now < until));
        posts.truncate(IN_FORCE);
        Ok(posts)
    }

    async fn open_polls(&self, event: EventId) -> Result<Vec<PollView>, StoreError> {
        let posts = self.newest(event, Kind::Poll, &[Stage::Open], IN_FORCE).await?;
        let tallies = self
            .store()
            .tallies(posts.iter().map(|post| post.id).collect())
            .await?;
        let view = |post: &Post| {
            let tally = tallies.get(&post.id).cloned().unwrap_or_default();
            PollView::new(post, Some(&tally).filter(|_| post.shows_votes()), None)
        };
        Ok(posts.iter().map(view).collect())
    }

    async fn newest(
        &self,
        event: EventId,
        kind: Kind,
        stages: &'static [Stage],
        limit: usize,
    ) -> Result<Vec<Post>, StoreError> {
        let page = common::http::Page { limit, after: None };
        Ok(self.store().posts(event, kind, stages, page).await?.0)
    }
}
