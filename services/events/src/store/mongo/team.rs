//! The teams of events.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, UserId},
    store::StoreError,
};
use futures_util::FutureExt;
use mongo_store::{DocumentExt, Mongo, Tx, date, idempotency::keyed as with_key, outbox, uuid, uuids};
use mongodb::bson::{Document, doc};
use uuid::Uuid;

use super::{
    MongoStore, documents, events,
    schema::{EVENTS, INVITATIONS, TEAM},
};
use crate::{
    domain::{
        change,
        event::Event,
        team::{AcceptRefusal, Invitation, MAX_TEAM, Member, TeamRole, may_invite, on_accept},
    },
    store::{
        messages,
        posts::pair,
        team::{AcceptError, InviteError, Joined, LeaveError, Left, Memberships, Team, TeamStore},
    },
};

/// Rows of one event that are read: invitations that have run out are among them until they are deleted.
const AT_MOST: usize = 20 * MAX_TEAM;

fn member(found: &Document) -> Result<Member, StoreError> {
    Ok(Member {
        event: found.id("event_id")?,
        user: found.id("user_id")?,
        role: found.named("role", TeamRole::parse)?,
        since: found.time("since")?,
    })
}

fn invitation(found: &Document) -> Result<Invitation, StoreError> {
    Ok(Invitation {
        id: found.id("_id")?,
        event: found.id("event_id")?,
        email: found.text("email")?,
        role: found.named("role", TeamRole::parse)?,
        invited_at: found.time("invited_at")?,
        expires_at: found.time("expires_at")?,
    })
}

fn of_member(member: &Member) -> Document {
    doc! {"_id": uuid(pair(member.event, member.user))}
}

/// What a user is on the team of an event.
pub(super) async fn role(tx: &mut Tx, event: EventId, user: UserId) -> Result<Option<TeamRole>, StoreError> {
    let found = tx.find_one(TEAM, doc! {"_id": uuid(pair(event, user))}).await?;
    found
        .map(|found| found.named("role", TeamRole::parse))
        .transpose()
}

async fn members(tx: &mut Tx, event: EventId) -> Result<Vec<Member>, StoreError> {
    let sort = doc! {"since": 1, "_id": 1};
    let found = tx
        .find(TEAM, doc! {"event_id": uuid(event)}, sort, AT_MOST)
        .await?;
    found.iter().map(member).collect()
}

async fn invitations(tx: &mut Tx, event: &Event, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
    let filter = doc! {"event_id": uuid(event.id)};
    let found = tx.find(INVITATIONS, filter, doc! {}, AT_MOST).await?;
    let found: Result<Vec<_>, _> = found.iter().map(invitation).collect();
    let mut found = found?;
    found.retain(|invitation| invitation.is_open(event, now));
    found.sort_by_key(|invitation| invitation.id);
    Ok(found)
}

async fn invite(tx: &mut Tx, new: &Invitation) -> Result<Invitation, InviteError> {
    let now = new.invited_at;
    // Two at once change the event, and so does who cancels it: one of them is tried again, and counts the other's.
    let more = doc! {"$inc": {"invited": 1_i64}};
    tx.update(EVENTS, doc! {"_id": uuid(new.event)}, more).await?;
    let event = events::find(tx, new.event)
        .await?
        .ok_or(InviteError::NoSuchEvent)?;
    let open = invitations(tx, &event, now).await?;
    let others =
        open.iter().filter(|one| one.email != new.email).count() + members(tx, event.id).await?.len();
    may_invite(&event, others, now).map_err(InviteError::Refused)?;
    tx.delete(
        INVITATIONS,
        doc! {"event_id": uuid(new.event), "email": &new.email},
    )
    .await?;
    let invitation = doc! {
        "_id": uuid(new.id),
        "event_id": uuid(new.event),
        "owner": uuid(event.organizer),
        "email": &new.email,
        "role": new.role.name(),
        "invited_at": date(new.invited_at),
        "expires_at": date(new.expires_at),
    };
    tx.insert(INVITATIONS, vec![invitation]).await?;
    outbox::push(tx, &[messages::invited(new, &event)]).await?;
    Ok(new.clone())
}

async fn find_invitation(tx: &mut Tx, id: Uuid) -> Result<Option<Invitation>, StoreError> {
    let found = tx.find_one(INVITATIONS, doc! {"_id": uuid(id)}).await?;
    found.as_ref().map(invitation).transpose()
}

async fn accept(
    tx: &mut Tx,
    id: Uuid,
    user: UserId,
    email: &str,
    now: Timestamp,
) -> Result<Joined, AcceptError> {
    let invitation = find_invitation(tx, id)
        .await?
        .ok_or(AcceptRefusal::NoSuchInvitation)?;
    let event = events::known(tx, invitation.event).await?;
    let member = on_accept(&invitation, &event, user, email, now)?;
    tx.delete(INVITATIONS, doc! {"_id": uuid(id)}).await?;
    let member = join(tx, member, &event, now).await?;
    Ok(Joined { member, event })
}

/// Writes a member. Who was one already has been one since then.
async fn join(tx: &mut Tx, joins: Member, event: &Event, now: Timestamp) -> Result<Member, StoreError> {
    let update = doc! {
        "$set": {"role": joins.role.name()},
        "$setOnInsert": {
            "event_id": uuid(joins.event),
            "owner": uuid(event.organizer),
            "user_id": uuid(joins.user),
            "since": date(joins.since),
        },
    };
    tx.upsert(TEAM, of_member(&joins), update).await?;
    outbox::push(tx, &[change::of_access(joins.event, joins.user, now)]).await?;
    let found = tx.find_one(TEAM, of_member(&joins)).await?;
    found.as_ref().map_or(Ok(joins), member)
}

async fn drop_member(tx: &mut Tx, member: &Member, now: Timestamp) -> Result<(), StoreError> {
    tx.delete(TEAM, of_member(member)).await?;
    outbox::push(tx, &[change::of_access(member.event, member.user, now)]).await?;
    Ok(())
}

async fn leave(tx: &mut Tx, event: EventId, who: Uuid, now: Timestamp) -> Result<Left, LeaveError> {
    let found = tx.find_one(TEAM, doc! {"_id": uuid(pair(event, who))}).await?;
    if let Some(found) = found {
        let member = member(&found)?;
        drop_member(tx, &member, now).await?;
        return Ok(Left::Member(member));
    }
    let found = find_invitation(tx, who).await?;
    let invitation = found
        .filter(|invitation| invitation.event == event)
        .ok_or(LeaveError::NoSuchMember)?;
    tx.delete(INVITATIONS, doc! {"_id": uuid(who)}).await?;
    Ok(Left::Invitation(invitation))
}

async fn teams_of(tx: &mut Tx, user: UserId, page: Page) -> Result<Memberships, StoreError> {
    let mut filter = doc! {"user_id": uuid(user)};
    if let Some(after) = page.after {
        filter.insert("event_id", doc! {"$lt": uuid(after.id)});
    }
    let found = tx
        .find(TEAM, filter, doc! {"event_id": -1}, page.limit + 1)
        .await?;
    let found = found.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    let (members, next) = page.cut(found, |member| Cursor {
        key: 0,
        id: member.event.0,
    });
    let ids = uuids(members.iter().map(|member| member.event));
    let events = tx
        .find(EVENTS, doc! {"_id": {"$in": ids}}, doc! {}, members.len())
        .await?;
    let events = events
        .iter()
        .map(documents::event)
        .collect::<Result<Vec<_>, _>>()?;
    let with_event = |member: Member| {
        let event = events.iter().find(|event| event.id == member.event)?;
        Some((event.clone(), member))
    };
    Ok((members.into_iter().filter_map(with_event).collect(), next))
}

async fn invitations_by(
    tx: &mut Tx,
    organizer: UserId,
    page: Page,
) -> Result<(Vec<Invitation>, Option<Cursor>), StoreError> {
    let mut filter = doc! {"owner": uuid(organizer)};
    if let Some(after) = page.after {
        filter.insert("_id", doc! {"$lt": uuid(after.id)});
    }
    let found = tx
        .find(INVITATIONS, filter, doc! {"_id": -1}, page.limit + 1)
        .await?;
    let found = found.iter().map(invitation).collect::<Result<Vec<_>, _>>()?;
    Ok(page.cut(found, |invitation| Cursor {
        key: 0,
        id: invitation.id,
    }))
}

async fn forget(tx: &mut Tx, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let owned = doc! {"owner": uuid(user)};
    let gone = tx
        .delete_some(INVITATIONS, owned.clone(), doc! {"_id": -1}, limit)
        .await?;
    let mut left = limit.saturating_sub(gone);
    let mut found = tx.find(TEAM, owned, doc! {"_id": -1}, left).await?;
    left -= found.len();
    let theirs = doc! {"user_id": uuid(user)};
    found.extend(tx.find(TEAM, theirs, doc! {"event_id": -1}, left).await?);
    for found in &found {
        drop_member(tx, &member(found)?, now).await?;
    }
    Ok(gone + found.len())
}

/// Deletes invitations that nobody can accept any more.
pub(super) async fn purge(db: &Mongo, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    db.write((now, limit), |tx, (now, limit)| {
        let over = doc! {"expires_at": {"$lte": date(*now)}};
        tx.delete_some(INVITATIONS, over, doc! {"expires_at": 1}, *limit)
            .boxed()
    })
    .await
}

#[async_trait]
impl TeamStore for MongoStore {
    async fn team_role(&self, event: EventId, user: UserId) -> Result<Option<TeamRole>, StoreError> {
        role(&mut self.db.read(), event, user).await
    }

    async fn team(&self, event: Arc<Event>, now: Timestamp) -> Result<Team, StoreError> {
        let mut tx = self.db.read();
        Ok(Team {
            members: members(&mut tx, event.id).await?,
            invitations: invitations(&mut tx, &event, now).await?,
        })
    }

    async fn invite(
        &self,
        invitation: Invitation,
        keyed: Keyed<Invitation>,
    ) -> Result<Outcome<Invitation>, InviteError> {
        self.publishing((invitation, keyed), |tx, (invitation, keyed)| {
            with_key(tx, keyed, invitation.invited_at, async |tx| {
                invite(tx, invitation).await
            })
            .boxed()
        })
        .await
    }

    async fn accept(
        &self,
        invitation: Uuid,
        user: UserId,
        email: String,
        now: Timestamp,
        keyed: Keyed<Joined>,
    ) -> Result<Outcome<Joined>, AcceptError> {
        self.publishing(
            (invitation, user, email, now, keyed),
            |tx, (invitation, user, email, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| {
                    accept(tx, *invitation, *user, email, *now).await
                })
                .boxed()
            },
        )
        .await
    }

    async fn leave(
        &self,
        event: EventId,
        who: Uuid,
        now: Timestamp,
        keyed: Keyed<Left>,
    ) -> Result<Outcome<Left>, LeaveError> {
        self.publishing((event, who, now, keyed), |tx, (event, who, now, keyed)| {
            with_key(tx, keyed, *now, async |tx| leave(tx, *event, *who, *now).await).boxed()
        })
        .await
    }

    async fn teams_of(&self, user: UserId, page: Page) -> Result<Memberships, StoreError> {
        teams_of(&mut self.db.read(), user, page).await
    }

    async fn invitations_by(
        &self,
        organizer: UserId,
        page: Page,
    ) -> Result<(Vec<Invitation>, Option<Cursor>), StoreError> {
        invitations_by(&mut self.db.read(), organizer, page).await
    }

    async fn forget_team(&self, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.publishing((user, now, limit), |tx, (user, now, limit)| {
            forget(tx, *user, *now, *limit).boxed()
        })
        .await
    }
}
