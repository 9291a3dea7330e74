//! The part of the store that keeps the teams of events. Every method is one atomic decision.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, UserId},
    store::StoreError,
};
use uuid::Uuid;

use crate::domain::{
    event::Event,
    team::{AcceptRefusal, Invitation, InviteRefusal, Member, TeamRole},
};

/// A team: who is on it, and who is invited and has not accepted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Team {
    /// In the order in which they came.
    pub members: Vec<Member>,
    /// In the order in which they were made.
    pub invitations: Vec<Invitation>,
}

/// A page of the events on whose team somebody is.
pub type Memberships = (Vec<(Event, Member)>, Option<Cursor>);

/// Who joined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    /// As what.
    pub member: Member,
    /// The event.
    pub event: Event,
}

/// Who is on the team no longer, or not invited any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Left {
    /// A member.
    Member(Member),
    /// An invitation that was open.
    Invitation(Invitation),
}

/// Why nobody is invited.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// There is no such event.
    #[error("no such event")]
    NoSuchEvent,
    /// As the event stands.
    #[error("refused: {0:?}")]
    Refused(InviteRefusal),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nobody joins.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// By the invitation.
    #[error("refused: {0:?}")]
    Refused(AcceptRefusal),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AcceptRefusal> for AcceptError {
    fn from(why: AcceptRefusal) -> Self {
        Self::Refused(why)
    }
}

/// Why nobody leaves.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// There is nobody of this id on the team, and no such invitation.
    #[error("no such member")]
    NoSuchMember,
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Teams.
#[async_trait]
pub trait TeamStore: Send + Sync {
    /// What a user is on the team of an event.
    async fn team_role(&self, event: EventId, user: UserId) -> Result<Option<TeamRole>, StoreError>;
    /// The team of an event, with the invitations that are open now.
    async fn team(&self, event: Arc<Event>, now: Timestamp) -> Result<Team, StoreError>;
    /// Invites somebody, in place of an earlier invitation of the same address, and publishes it.
    async fn invite(
        &self,
        invitation: Invitation,
        keyed: Keyed<Invitation>,
    ) -> Result<Outcome<Invitation>, InviteError>;
    /// Makes a user, whose address in canonical form is `email`, a member: an invitation is good once.
    async fn accept(
        &self,
        invitation: Uuid,
        user: UserId,
        email: String,
        now: Timestamp,
        keyed: Keyed<Joined>,
    ) -> Result<Outcome<Joined>, AcceptError>;
    /// Takes a member, or an invitation, by the user's or its own id.
    async fn leave(
        &self,
        event: EventId,
        who: Uuid,
        now: Timestamp,
        keyed: Keyed<Left>,
    ) -> Result<Outcome<Left>, LeaveError>;
    /// The events on whose team a user is, newest first.
    async fn teams_of(&self, user: UserId, page: Page) -> Result<Memberships, StoreError>;
    /// The invitations to an organizer's events that were not accepted, newest first.
    async fn invitations_by(
        &self,
        organizer: UserId,
        page: Page,
    ) -> Result<(Vec<Invitation>, Option<Cursor>), StoreError>;
    /// Takes up to `limit` rows of a user whose account is deleted: where they are a member, and the teams and invitations of their
    /// own events. Returns the number.
    async fn forget_team(&self, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
}
