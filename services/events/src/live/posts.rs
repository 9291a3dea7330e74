//! Posts on the live channels: what is said there, and what is published of it.

use std::sync::Arc;

use common::{
    clock::Timestamp,
    idempotency::Outcome,
    ids::{EventId, PostId},
    store::StoreError,
};
use serde::Serialize;
use serde_json::value::RawValue;
use shared_state::Away;

use super::{
    Live,
    channel::{Channel, Topic},
    history::Position,
    hub::About,
    publication::Entry,
};
use crate::{
    domain::post::{Kind, Post, Stage, Tally},
    views::posts::{AnnouncementView, ChatModeView, PollView, PostData},
};

/// The most that is told of what is in force when a channel is subscribed to.
const IN_FORCE: usize = 50;

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

/// What a reader of a channel needs to know beside what is published.
#[derive(Serialize)]
#[serde(untagged)]
enum InForce {
    Announcements { announcements: Vec<AnnouncementView> },
    Chat(ChatModeView),
    Polls { polls: Vec<PollView> },
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
        let about = About {
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
        let tally = self.tally(id).await?;
        if let Some((kind, data)) = PostData::votes_of(&post, &tally) {
            let channel = Channel::Topic(post.event, Topic::from(post.kind));
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

    async fn tally(&self, post: PostId) -> Result<Tally, StoreError> {
        let mut tallies = self.store().tallies(vec![post]).await?;
        Ok(tallies.remove(&post).unwrap_or_default())
    }

    /// What is in force on a channel, for those who begin to read it, and a place of the channel at which it was so; `None`: there is no
    /// such thing. It is loaded once for all who come while nothing is published.
    ///
    /// # Errors
    /// When Redis is away, or it cannot be loaded.
    pub async fn known_at(&self, channel: Channel) -> Result<Option<(Position, Arc<RawValue>)>, Fault> {
        let Channel::Topic(event, topic @ (Topic::Announcements | Topic::Chat | Topic::Polls)) = channel
        else {
            return Ok(None);
        };
        let at = self.hub().position(channel).await?;
        let key = (channel, Arc::clone(&at.epoch), at.offset);
        if let Some(known) = self.known_states().get(&key).await {
            return Ok(Some((at, known)));
        }
        let state = match topic {
            Topic::Announcements => InForce::Announcements {
                announcements: self.announcements(event, self.now()).await?,
            },
            Topic::Polls => InForce::Polls {
                polls: self.open_polls(event).await?,
            },
            _ => InForce::Chat(ChatModeView::from(self.store().chat_mode(event).await?)),
        };
        let written = serde_json::value::to_raw_value(&state)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let written: Arc<RawValue> = written.into();
        self.known_states().insert(key, Arc::clone(&written)).await;
        Ok(Some((at, written)))
    }

    /// The announcements of an event that are not over.
    ///
    /// # Errors
    /// A storage error.
    async fn announcements(
        &self,
        event: EventId,
        now: Timestamp,
    ) -> Result<Vec<AnnouncementView>, StoreError> {
        let posts = self.newest(event, Kind::Announcement, &Stage::PUBLIC).await?;
        let holds = |post: &&Post| post.expires_at.is_none_or(|until| now < until);
        Ok(posts.iter().filter(holds).map(AnnouncementView::from).collect())
    }

    async fn open_polls(&self, event: EventId) -> Result<Vec<PollView>, StoreError> {
        let posts = self.newest(event, Kind::Poll, &[Stage::Open]).await?;
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
    ) -> Result<Vec<Post>, StoreError> {
        let page = common::http::Page {
            limit: IN_FORCE,
            after: None,
        };
        Ok(self.store().posts(event, kind, stages, page).await?.0)
    }
}
