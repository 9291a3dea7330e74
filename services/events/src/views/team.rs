//! Teams in exports of accounts.

use common::{
    ids::{EventId, UserId},
    time::utc,
    wire::TeamRole,
};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::{
    event::Event,
    team::{Invitation, Member},
};

/// Where somebody is on a team.
#[derive(Serialize)]
pub struct MembershipView {
    event_id: EventId,
    e_name: String,
    organizer: UserId,
    role: TeamRole,
    since: String,
}

impl From<&(Event, Member)> for MembershipView {
    fn from((event, member): &(Event, Member)) -> Self {
        Self {
            event_id: event.id,
            e_name: event.name.clone(),
            organizer: event.organizer,
            role: member.role,
            since: utc(member.since),
        }
    }
}

/// Whom somebody has invited who has not accepted.
#[derive(Serialize)]
pub struct InvitationView {
    invitation_id: Uuid,
    event_id: EventId,
    email: String,
    role: TeamRole,
    invited_at: String,
    expires_at: String,
}

impl From<&Invitation> for InvitationView {
    fn from(invitation: &Invitation) -> Self {
        Self {
            invitation_id: invitation.id,
            event_id: invitation.event,
            email: invitation.email.clone(),
            role: invitation.role,
            invited_at: utc(invitation.invited_at),
            expires_at: utc(invitation.expires_at),
        }
    }
}
