//! The team of an event: who may do what of running it, who is invited, and what becomes of that.

use chrono::TimeDelta;
pub use common::wire::TeamRole;
use common::{
    clock::Timestamp,
    ids::{EventId, UserId},
};
use uuid::Uuid;

use super::event::Event;

/// Members and open invitations of one event.
pub const MAX_TEAM: usize = 50;
/// How long an invitation is good.
pub const LIFE: TimeDelta = TimeDelta::days(7);
/// After so long an event is over that has no end.
const LASTS: TimeDelta = TimeDelta::days(1);

/// What somebody is to an event that is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rank {
    /// It is theirs.
    Owner,
    /// They are on its team.
    Member(TeamRole),
    /// Neither.
    Stranger,
}

/// What of running an event somebody may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// Work at the door: admit, look people up, see how many have come.
    Door,
    /// Run it: change and publish it, its streams, its attendees, what is written to them, its money.
    Manage,
    /// Decide whether it takes place, and who is on its team.
    Own,
}

/// Why somebody may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barred {
    /// The event is another organizer's, who need not be told that there is one.
    NoSuchEvent,
    /// They organize nothing, and are not on its team.
    OrganizerOnly,
    /// As what they are on its team.
    Role(TeamRole),
}

impl Rank {
    /// What a user is who has this role on the event's team.
    pub fn of(user: UserId, event: &Event, role: Option<TeamRole>) -> Self {
        match role {
            _ if event.organizer == user => Self::Owner,
            Some(role) => Self::Member(role),
            None => Self::Stranger,
        }
    }

    /// Whether they have a right.
    pub fn has(self, right: Right) -> bool {
        match self {
            Self::Owner => true,
            Self::Member(TeamRole::Manager) => right != Right::Own,
            Self::Member(TeamRole::Scanner) => right == Right::Door,
            Self::Stranger => false,
        }
    }

    /// Whether they have a right; `organizes`: they organize events of their own.
    ///
    /// # Errors
    /// Why not.
    pub fn require(self, right: Right, organizes: bool) -> Result<(), Barred> {
        match self {
            _ if self.has(right) => Ok(()),
            Self::Member(role) => Err(Barred::Role(role)),
            _ if organizes => Err(Barred::NoSuchEvent),
            _ => Err(Barred::OrganizerOnly),
        }
    }
}

/// Somebody on the team of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// The event.
    pub event: EventId,
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: TeamRole,
    /// Since when.
    pub since: Timestamp,
}

/// An invitation to the team of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// What its token is derived from.
    pub id: Uuid,
    /// The event.
    pub event: EventId,
    /// Who is invited, by the canonical form of the address.
    pub email: String,
    /// As what.
    pub role: TeamRole,
    /// When.
    pub invited_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

impl Invitation {
    /// A new one.
    pub fn new(id: Uuid, event: EventId, email: String, role: TeamRole, now: Timestamp) -> Self {
        Self {
            id,
            event,
            email,
            role,
            invited_at: now,
            expires_at: now + LIFE,
        }
    }

    /// Whether it can be accepted: while it is fresh and the event is to come or goes on.
    pub fn is_open(&self, event: &Event, now: Timestamp) -> bool {
        now < self.expires_at && takes_team(event, now).is_ok()
    }
}

/// Why nobody is invited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InviteRefusal {
    /// The event was cancelled.
    Cancelled,
    /// It is over.
    Over,
    /// There are [`MAX_TEAM`] already.
    Full,
}

/// Why an invitation is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcceptRefusal {
    /// There is none, any more.
    NoSuchInvitation,
    /// It was sent to another address than the account's.
    AnotherAddress,
    /// The event is their own.
    OwnEvent,
}

/// Whether people can join the team of an event.
fn takes_team(event: &Event, now: Timestamp) -> Result<(), InviteRefusal> {
    let over = event.ends_at.unwrap_or(event.time.at + LASTS);
    match event.cancelled {
        true => Err(InviteRefusal::Cancelled),
        false if over <= now => Err(InviteRefusal::Over),
        false => Ok(()),
    }
}

/// Whether one more can be invited beside `others`: members, and open invitations of other addresses.
///
/// # Errors
/// Why not.
pub fn may_invite(event: &Event, others: usize, now: Timestamp) -> Result<(), InviteRefusal> {
    takes_team(event, now)?;
    match others < MAX_TEAM {
        true => Ok(()),
        false => Err(InviteRefusal::Full),
    }
}

/// What becomes of an invitation that the user of an account accepts, whose address in canonical form is `email`. Who is on the team
/// already has its role from now on. The address need not be verified: the token was mailed there.
///
/// # Errors
/// Why nothing does.
pub fn on_accept(
    invitation: &Invitation,
    event: &Event,
    user: UserId,
    email: &str,
    now: Timestamp,
) -> Result<Member, AcceptRefusal> {
    if !invitation.is_open(event, now) {
        return Err(AcceptRefusal::NoSuchInvitation);
    }
    if invitation.email != email {
        return Err(AcceptRefusal::AnotherAddress);
    }
    if event.organizer == user {
        return Err(AcceptRefusal::OwnEvent);
    }
    Ok(Member {
        event: event.id,
        user,
        role: invitation.role,
        since: now,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::samples::{NOW, event};

    const RIGHTS: [Right; 3] = [Right::Door, Right::Manage, Right::Own];

    #[test]
    fn each_rank_has_its_rights() {
        for (rank, rights) in [
            (Rank::Owner, [true, true, true]),
            (Rank::Member(TeamRole::Manager), [true, true, false]),
            (Rank::Member(TeamRole::Scanner), [true, false, false]),
            (Rank::Stranger, [false, false, false]),
        ] {
            assert_eq!(RIGHTS.map(|right| rank.has(right)), rights, "{rank:?}");
            for right in RIGHTS {
                for organizes in [true, false] {
                    let required = rank.require(right, organizes);
                    assert_eq!(required.is_ok(), rank.has(right));
                    match (rank, required) {
                        (_, Ok(())) => {}
                        (Rank::Member(role), Err(why)) => assert_eq!(why, Barred::Role(role)),
                        (_, Err(why)) if organizes => assert_eq!(why, Barred::NoSuchEvent),
                        (_, Err(why)) => assert_eq!(why, Barred::OrganizerOnly),
                    }
                }
            }
        }
    }

    #[test]
    fn whose_event_it_is_owns_it_whatever_a_team_says() {
        let event = event(0);
        for role in [None, Some(TeamRole::Manager), Some(TeamRole::Scanner)] {
            assert_eq!(Rank::of(event.organizer, &event, role), Rank::Owner);
            let other = Rank::of(UserId::new(), &event, role);
            assert_eq!(other, role.map_or(Rank::Stranger, Rank::Member));
        }
    }

    fn invitation(event: &Event, email: &str) -> Invitation {
        Invitation::new(Uuid::nil(), event.id, email.to_owned(), TeamRole::Scanner, NOW)
    }

    #[test]
    fn an_invitation_is_for_who_reads_its_address() {
        let event = event(0);
        let (invitation, user) = (invitation(&event, "a@b.org"), UserId::new());
        let accept = |user, email, now| on_accept(&invitation, &event, user, email, now);
        let member = Member {
            event: event.id,
            user,
            role: TeamRole::Scanner,
            since: NOW,
        };
        assert_eq!(accept(user, "a@b.org", NOW), Ok(member));
        assert_eq!(accept(user, "x@b.org", NOW), Err(AcceptRefusal::AnotherAddress));
        let own = accept(event.organizer, "a@b.org", NOW);
        assert_eq!(own, Err(AcceptRefusal::OwnEvent));
        let late = accept(user, "a@b.org", invitation.expires_at);
        assert_eq!(late, Err(AcceptRefusal::NoSuchInvitation));
    }

    proptest! {
        #[test]
        fn an_invitation_dies_with_its_week_and_its_event(
            starts in 0_i64..400, lasts in proptest::option::of(1_i64..100), cancelled: bool, at in 0_i64..400,
        ) {
            let mut event = event(0);
            event.time.at = NOW + TimeDelta::hours(starts);
            event.ends_at = lasts.map(|hours| event.time.at + TimeDelta::hours(hours));
            event.cancelled = cancelled;
            let (invitation, now) = (invitation(&event, "a@b.org"), NOW + TimeDelta::hours(at));
            let over = at >= starts + lasts.unwrap_or(24);
            let accepted = on_accept(&invitation, &event, UserId::new(), "a@b.org", now);
            prop_assert_eq!(accepted.is_ok(), at < 7 * 24 && !over && !cancelled);
            let invited = may_invite(&event, 0, now);
            prop_assert_eq!(invited.is_ok(), !over && !cancelled);
            let full = may_invite(&event, MAX_TEAM, now);
            prop_assert_eq!(full.is_ok(), false);
            prop_assert!(invited.is_err() || full == Err(InviteRefusal::Full));
        }
    }
}
