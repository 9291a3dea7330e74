//! The teams of events.

use axum::http::StatusCode;
use common::{idempotency::Key, wire::TeamInvited};

use super::*;
use crate::{
    domain::{
        standing::Part,
        team::{AcceptRefusal, Invitation, InviteRefusal, LIFE, MAX_TEAM, Member, Rank, TeamRole},
    },
    store::team::{AcceptError, InviteError, Joined, LeaveError, Left},
};

fn for_address(event: &Event, email: &str, role: TeamRole) -> Invitation {
    Invitation::new(common::ids::new_id(), event.id, email.to_owned(), role, now())
}

async fn invite(store: &S, event: &Event, email: &str, role: TeamRole) -> Invitation {
    let invitation = for_address(event, email, role);
    store.invite(invitation, plain()).await.map(done).unwrap()
}

async fn accept(
    store: &S,
    invitation: &Invitation,
    user: UserId,
    email: &str,
) -> Result<Joined, AcceptError> {
    let accepted = store
        .accept(invitation.id, user, email.to_owned(), now(), plain())
        .await;
    accepted.map(done)
}

async fn member(store: &S, event: &Event, role: TeamRole) -> UserId {
    let user = UserId::new();
    let email = format!("{user}@example.org");
    let invitation = invite(store, event, &email, role).await;
    accept(store, &invitation, user, &email).await.unwrap();
    user
}

async fn leave(store: &S, event: EventId, who: impl Into<uuid::Uuid>) -> Result<Left, LeaveError> {
    let left = store.leave(event, who.into(), now(), plain()).await;
    left.map(done)
}

async fn role(store: &S, event: &Event, user: UserId) -> Option<TeamRole> {
    store.team_role(event.id, user).await.unwrap()
}

async fn sizes(store: &S, event: &Event, at: Timestamp) -> (usize, usize) {
    let team = store.team(Arc::new(event.clone()), at).await.unwrap();
    (team.members.len(), team.invitations.len())
}

fn refused(accepted: Result<Joined, AcceptError>) -> AcceptRefusal {
    match accepted {
        Err(AcceptError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub async fn an_invitation_makes_one_member(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let (ravi, other) = (UserId::new(), UserId::new());
    let invitation = invite(&store, &event, "ravi@example.org", TeamRole::Scanner).await;
    let waiting = store.outbox().due("notifications", now(), 100).await.unwrap();
    let told: TeamInvited = waiting.last().unwrap().event.data().unwrap();
    assert_eq!(
        (told.invitation_id, &*told.email, told.role, told.invited_by),
        (
            invitation.id,
            "ravi@example.org",
            TeamRole::Scanner,
            event.organizer
        )
    );
    assert_eq!(sizes(&store, &event, now()).await, (0, 1));
    let another = accept(&store, &invitation, other, "other@example.org").await;
    assert_eq!(refused(another), AcceptRefusal::AnotherAddress);
    let own = accept(&store, &invitation, event.organizer, "ravi@example.org").await;
    assert_eq!(refused(own), AcceptRefusal::OwnEvent);
    assert_eq!(role(&store, &event, ravi).await, None);
    let joined = accept(&store, &invitation, ravi, "ravi@example.org")
        .await
        .unwrap();
    let expected = Member {
        event: event.id,
        user: ravi,
        role: TeamRole::Scanner,
        since: now(),
    };
    assert_eq!((joined.member, joined.event), (expected, event.clone()));
    assert_eq!(role(&store, &event, ravi).await, Some(TeamRole::Scanner));
    assert_eq!(sizes(&store, &event, now()).await, (1, 0));
    // It is good once.
    let again = accept(&store, &invitation, ravi, "ravi@example.org").await;
    assert_eq!(refused(again), AcceptRefusal::NoSuchInvitation);
    assert!(
        kinds_for(&store, "live")
            .await
            .contains(&"access.changed".to_owned())
    );
    // A second one changes the role, and not since when.
    let second = invite(&store, &event, "ravi@example.org", TeamRole::Manager).await;
    let accepted = store
        .accept(
            second.id,
            ravi,
            second.email.clone(),
            now() + TimeDelta::hours(1),
            plain(),
        )
        .await;
    let changed = accepted.map(done).unwrap().member;
    assert_eq!((changed.role, changed.since), (TeamRole::Manager, now()));
    assert_eq!(role(&store, &event, ravi).await, Some(TeamRole::Manager));
    assert_eq!(sizes(&store, &event, now()).await, (1, 0));
}

pub async fn a_newer_invitation_takes_the_place_of_the_older(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let first = invite(&store, &event, "ravi@example.org", TeamRole::Manager).await;
    let second = invite(&store, &event, "ravi@example.org", TeamRole::Scanner).await;
    let team = store.team(Arc::new(event.clone()), now()).await.unwrap();
    assert_eq!(team.invitations, std::slice::from_ref(&second));
    let ravi = UserId::new();
    let old = accept(&store, &first, ravi, "ravi@example.org").await;
    assert_eq!(refused(old), AcceptRefusal::NoSuchInvitation);
    accept(&store, &second, ravi, "ravi@example.org").await.unwrap();
    // A key makes one letter.
    let key = || Keyed {
        key: Some(Key {
            caller: event.organizer,
            route: "team".to_owned(),
            key: "k".to_owned(),
            fingerprint: [7; 32],
        }),
        answer: |invitation: &Invitation| Answer::json(StatusCode::ACCEPTED, &invitation.email),
    };
    let one = for_address(&event, "asha@example.org", TeamRole::Scanner);
    let made = store.invite(one.clone(), key()).await.map(done).unwrap();
    let again = for_address(&event, "asha@example.org", TeamRole::Scanner);
    let replayed = store.invite(again, key()).await.unwrap();
    assert!(matches!(replayed, Outcome::Refused(_)));
    let team = store.team(Arc::new(event.clone()), now()).await.unwrap();
    assert_eq!(team.invitations, [made]);
}

pub async fn a_team_has_so_many(store: S) {
    let event = created(&store, draft(None, 0)).await;
    member(&store, &event, TeamRole::Scanner).await;
    let refused = async |email: &str, at| {
        let mut one = for_address(&event, email, TeamRole::Scanner);
        one.invited_at = at;
        match store.invite(one, plain()).await {
            Err(InviteError::Refused(why)) => Some(why),
            Ok(_) => None,
            other => panic!("{other:?}"),
        }
    };
    for number in 2..MAX_TEAM {
        let email = format!("{number}@example.org");
        assert_eq!(refused(&email, now()).await, None);
    }
    // Of two at once for the last place one is refused.
    let both = tokio::join!(refused("a@example.org", now()), refused("b@example.org", now()));
    assert!(
        matches!(
            both,
            (None, Some(InviteRefusal::Full)) | (Some(InviteRefusal::Full), None)
        ),
        "{both:?}"
    );
    assert_eq!(sizes(&store, &event, now()).await, (1, MAX_TEAM - 1));
    // In its own place an address is invited again.
    assert_eq!(refused("2@example.org", now()).await, None);
    let over = event.ends_at.unwrap();
    assert_eq!(refused("2@example.org", over).await, Some(InviteRefusal::Over));
    cancel(&store, &event).await;
    assert_eq!(
        refused("2@example.org", now()).await,
        Some(InviteRefusal::Cancelled)
    );
    let unknown = Invitation {
        event: EventId::new(),
        ..for_address(&event, "a@example.org", TeamRole::Scanner)
    };
    let unknown = store.invite(unknown, plain()).await;
    assert!(matches!(unknown, Err(InviteError::NoSuchEvent)));
}

async fn cancel(store: &S, event: &Event) {
    let cancelled = store
        .cancel_event(event.id, event.organizer, now(), plain())
        .await;
    cancelled.unwrap();
}

pub async fn who_is_removed_is_nobody(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let other = created(&store, draft(None, 0)).await;
    let ravi = member(&store, &event, TeamRole::Manager).await;
    let open = invite(&store, &event, "asha@example.org", TeamRole::Scanner).await;
    for (event, who) in [
        (other.id, ravi.0),
        (other.id, open.id),
        (event.id, event.organizer.0),
    ] {
        let left = leave(&store, event, who).await;
        assert!(matches!(left, Err(LeaveError::NoSuchMember)), "{left:?}");
    }
    let before = kinds_for(&store, "live").await.len();
    let left = leave(&store, event.id, ravi).await.unwrap();
    assert!(matches!(left, Left::Member(member) if member.user == ravi));
    assert_eq!(kinds_for(&store, "live").await.len(), before + 1);
    assert_eq!(role(&store, &event, ravi).await, None);
    let again = leave(&store, event.id, ravi).await;
    assert!(matches!(again, Err(LeaveError::NoSuchMember)));
    let withdrawn = leave(&store, event.id, open.id).await.unwrap();
    assert_eq!(withdrawn, Left::Invitation(open.clone()));
    let late = accept(&store, &open, UserId::new(), "asha@example.org").await;
    assert_eq!(refused(late), AcceptRefusal::NoSuchInvitation);
    // Invitations die with the event.
    let open = invite(&store, &event, "asha@example.org", TeamRole::Scanner).await;
    cancel(&store, &event).await;
    let late = accept(&store, &open, UserId::new(), "asha@example.org").await;
    assert_eq!(refused(late), AcceptRefusal::NoSuchInvitation);
    let event = store.event(event.id).await.unwrap().unwrap();
    assert_eq!(sizes(&store, &event, now()).await, (0, 0));
}

pub async fn a_member_sees_a_draft_and_takes_part(store: S) {
    let hidden = EventDraft {
        draft: true,
        ..draft(None, 0)
    };
    let event = created(&store, hidden).await;
    for (asked, part) in [
        (TeamRole::Manager, Part::Organizer),
        (TeamRole::Scanner, Part::Stranger),
    ] {
        let user = member(&store, &event, asked).await;
        let standing = store.standing(event.id, user).await.unwrap().unwrap();
        assert_eq!((standing.part, standing.rank), (part, Rank::Member(asked)));
        leave(&store, event.id, user).await.unwrap();
        assert_eq!(store.standing(event.id, user).await.unwrap(), None);
    }
}

pub async fn teams_are_listed_and_forgotten(store: S) {
    let (first, second) = (
        created(&store, draft(None, 0)).await,
        created(&store, draft(None, 0)).await,
    );
    let ravi = UserId::new();
    for event in [&first, &second] {
        let invitation = invite(&store, event, "ravi@example.org", TeamRole::Scanner).await;
        accept(&store, &invitation, ravi, "ravi@example.org")
            .await
            .unwrap();
    }
    let open = invite(&store, &first, "asha@example.org", TeamRole::Manager).await;
    let (page, next) = store.teams_of(ravi, super::first(1)).await.unwrap();
    assert_eq!(page[0].0, second);
    let page = Page {
        after: next,
        ..super::first(1)
    };
    let (page, next) = store.teams_of(ravi, page).await.unwrap();
    assert_eq!((&page[0].0, page[0].1.role), (&first, TeamRole::Scanner));
    assert_eq!(next, None);
    let by = store
        .invitations_by(first.organizer, super::first(10))
        .await
        .unwrap();
    assert_eq!(by, (vec![open], None));
    // Whose account goes is on no team, and has none.
    let forget = async |user| {
        let mut gone = 0;
        loop {
            match store.forget_team(user, now(), 2).await.unwrap() {
                0 => return gone,
                some => gone += some,
            }
        }
    };
    let other = member(&store, &second, TeamRole::Manager).await;
    assert_eq!(forget(ravi).await, 2);
    assert_eq!(
        store.teams_of(ravi, super::first(10)).await.unwrap(),
        (Vec::new(), None)
    );
    assert_eq!(forget(first.organizer).await, 1);
    assert_eq!(sizes(&store, &first, now()).await, (0, 0));
    assert_eq!(forget(second.organizer).await, 1);
    assert_eq!(role(&store, &second, other).await, None);
}

pub async fn invitations_that_ran_out_are_dropped(store: S) {
    let far = EventDraft {
        time: EventTime {
            at: now() + TimeDelta::days(30),
            zone: Tz::Asia__Kolkata,
        },
        ends_at: None,
        ..draft(None, 0)
    };
    let event = created(&store, far).await;
    let open = invite(&store, &event, "asha@example.org", TeamRole::Scanner).await;
    let at = now() + LIFE;
    assert_eq!(sizes(&store, &event, at).await, (0, 0));
    let accepted = store
        .accept(open.id, UserId::new(), open.email.clone(), at, plain())
        .await;
    assert_eq!(refused(accepted.map(done)), AcceptRefusal::NoSuchInvitation);
    store.tidy(at).await.unwrap();
    let left = leave(&store, event.id, open.id).await;
    assert!(matches!(left, Err(LeaveError::NoSuchMember)));
}
