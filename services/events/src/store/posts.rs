//! The part of the store that keeps what people say beside an event. Every method is one atomic decision.

use std::collections::HashMap;

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PostId, UserId},
    store::StoreError,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::{
    post::{Change, Kind, NewPost, Post, PostRefusal, Stage, Tally, Vote},
    standing::{ChatMode, Denied, Restriction, Standing},
};

/// Why a post was not made, changed or voted for.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// There is no such event.
    #[error("no such event")]
    NoSuchEvent,
    /// It is refused.
    #[error("refused: {0:?}")]
    Refused(PostRefusal),
    /// The user has voted before.
    #[error("voted already")]
    AlreadyVoted,
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PostRefusal> for PostError {
    fn from(why: PostRefusal) -> Self {
        Self::Refused(why)
    }
}

impl From<Denied> for PostError {
    fn from(why: Denied) -> Self {
        Self::Refused(PostRefusal::Denied(why))
    }
}

/// Which post is meant: of this kind, beside this event.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The event.
    pub event: EventId,
    /// The kind.
    pub kind: Kind,
    /// The post.
    pub post: PostId,
}

impl Target {
    /// Whether this is the post that is meant.
    pub fn is(&self, post: &Post) -> bool {
        post.event == self.event && post.kind == self.kind
    }
}

/// What is decided about somebody beside an event.
#[derive(Clone, Copy, Debug)]
pub struct Restrict {
    /// The event.
    pub event: EventId,
    /// Who decides.
    pub organizer: UserId,
    /// Who it is about.
    pub user: UserId,
    /// What they may not; `None`: nothing any more.
    pub restriction: Option<Restriction>,
}

/// What people say beside events.
#[async_trait]
pub trait PostStore: Send + Sync {
    /// What somebody is beside an event; `None`: there is no such event.
    async fn standing(&self, event: EventId, user: UserId) -> Result<Option<Standing>, StoreError>;
    /// Who may write in an event's chat.
    async fn chat_mode(&self, event: EventId) -> Result<ChatMode, StoreError>;
    /// Changes that, and publishes it.
    async fn set_chat_mode(
        &self,
        event: EventId,
        organizer: UserId,
        mode: ChatMode,
        now: Timestamp,
        keyed: Keyed<ChatMode>,
    ) -> Result<Outcome<ChatMode>, PostError>;
    /// Restricts somebody, or lifts that, and publishes it.
    async fn restrict(
        &self,
        restrict: Restrict,
        now: Timestamp,
        keyed: Keyed<Restrict>,
    ) -> Result<Outcome<Restrict>, PostError>;
    /// Makes a post and publishes it.
    async fn add_post(
        &self,
        new: NewPost,
        now: Timestamp,
        keyed: Keyed<Post>,
    ) -> Result<Outcome<Post>, PostError>;
    /// Likewise, unless there is one with its id, deleted or not: then `None`.
    async fn add_post_once(&self, new: NewPost, now: Timestamp) -> Result<Option<Post>, PostError>;
    /// Changes a post and publishes it.
    async fn change_post(
        &self,
        target: Target,
        user: UserId,
        change: Change,
        now: Timestamp,
        keyed: Keyed<Post>,
    ) -> Result<Outcome<Post>, PostError>;
    /// Votes for a question, or an option of a poll: once a user.
    async fn vote(
        &self,
        target: Target,
        user: UserId,
        option: Option<Uuid>,
        now: Timestamp,
        keyed: Keyed<Post>,
    ) -> Result<Outcome<Post>, PostError>;
    /// One post.
    async fn post(&self, id: PostId) -> Result<Option<Post>, StoreError>;
    /// Posts of one kind beside an event that are at one of these stages, the newest first.
    async fn posts(
        &self,
        event: EventId,
        kind: Kind,
        stages: &'static [Stage],
        page: Page,
    ) -> Result<(Vec<Post>, Option<Cursor>), StoreError>;
    /// The votes of these posts; those without any are missing.
    async fn tallies(&self, posts: Vec<PostId>) -> Result<HashMap<PostId, Tally>, StoreError>;
    /// Which of these posts a user has voted for, and for which option.
    async fn votes_of(
        &self,
        user: UserId,
        posts: Vec<PostId>,
    ) -> Result<HashMap<PostId, Option<Uuid>>, StoreError>;
    /// What a user has written, newest first.
    async fn posts_of_user(
        &self,
        user: UserId,
        page: Page,
    ) -> Result<(Vec<Post>, Option<Cursor>), StoreError>;
    /// What a user has voted for, in no particular order.
    async fn votes_by(&self, user: UserId, page: Page) -> Result<(Vec<Vote>, Option<Cursor>), StoreError>;
    /// Deletes up to `limit` posts of a user whose account is deleted, and takes the name from those that others still need;
    /// returns the number.
    async fn forget_author(&self, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
}

/// The id of what there is once for two things: a user's vote for a post, or what was decided about a user beside an event.
/// It is the database's own unique key that lets the second one fail.
pub(super) fn pair(of: impl Into<Uuid>, and: impl Into<Uuid>) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(of.into().as_bytes());
    hash.update(and.into().as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(id).into_uuid()
}
