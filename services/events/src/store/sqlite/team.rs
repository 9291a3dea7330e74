//! The teams of events.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, UserId},
    store::StoreError,
};
use sqlite_store::{Connection, Row, RowResult, idempotency::keyed as with_key, outbox, params, rows::named};
use uuid::Uuid;

use super::{SqliteStore, events, events::const_sql, rows};
use crate::{
    domain::{
        change,
        event::Event,
        team::{AcceptRefusal, Invitation, Member, TeamRole, may_invite, on_accept},
    },
    store::{
        messages,
        posts::pair,
        team::{AcceptError, InviteError, Joined, LeaveError, Left, Memberships, Team, TeamStore},
    },
};

/// The columns that [`member`] reads.
const MEMBER: &str = "t.event_id, t.user_id, t.role, t.since";
/// The columns that [`invitation`] reads.
const INVITATION: &str = "id, event_id, email, role, invited_at, expires_at";

fn member(row: &Row<'_>, at: usize) -> RowResult<Member> {
    Ok(Member {
        event: row.get(at)?,
        user: row.get(at + 1)?,
        role: named(row, at + 2, TeamRole::parse)?,
        since: from_millis(row.get(at + 3)?),
    })
}

fn invitation(row: &Row<'_>) -> RowResult<Invitation> {
    Ok(Invitation {
        id: row.get(0)?,
        event: row.get(1)?,
        email: row.get(2)?,
        role: named(row, 3, TeamRole::parse)?,
        invited_at: from_millis(row.get(4)?),
        expires_at: from_millis(row.get(5)?),
    })
}

/// What a user is on the team of an event.
pub(super) fn role(db: &Connection, event: EventId, user: UserId) -> Result<Option<TeamRole>, StoreError> {
    Ok(db
        .prepare_cached("SELECT role FROM team WHERE id = ?1")?
        .find([pair(event, user)], |row| named(row, 0, TeamRole::parse))?)
}

fn members(db: &Connection, event: EventId) -> Result<Vec<Member>, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        MEMBER,
        " FROM team AS t WHERE t.event_id = ?1 ORDER BY t.since, t.id",
    ]);
    Ok(db.prepare_cached(&sql)?.all([event], |row| member(row, 0))?)
}

fn invitations(db: &Connection, event: &Event, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        INVITATION,
        " FROM invitations WHERE event_id = ?1 ORDER BY id",
    ]);
    let mut found = db.prepare_cached(&sql)?.all([event.id], invitation)?;
    found.retain(|invitation| invitation.is_open(event, now));
    Ok(found)
}

fn invite(db: &Connection, new: Invitation) -> Result<Invitation, InviteError> {
    let now = new.invited_at;
    let event = events::find(db, new.event)?.ok_or(InviteError::NoSuchEvent)?;
    let open = invitations(db, &event, now)?;
    let others = open.iter().filter(|one| one.email != new.email).count() + members(db, event.id)?.len();
    may_invite(&event, others, now).map_err(InviteError::Refused)?;
    write(db, &new, &event)?;
    outbox::push(db, &messages::invited(&new, &event))?;
    Ok(new)
}

fn write(db: &Connection, new: &Invitation, event: &Event) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM invitations WHERE event_id = ?1 AND email = ?2")?
        .execute(params![new.event, new.email])?;
    db.prepare_cached(
        "INSERT INTO invitations (id, event_id, owner, email, role, invited_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        new.id,
        new.event,
        event.organizer,
        new.email,
        new.role.name(),
        new.invited_at.timestamp_millis(),
        new.expires_at.timestamp_millis(),
    ])?;
    Ok(())
}

fn accept(
    db: &Connection,
    id: Uuid,
    user: UserId,
    email: &str,
    now: Timestamp,
) -> Result<Joined, AcceptError> {
    let invitation = find_invitation(db, id)?.ok_or(AcceptRefusal::NoSuchInvitation)?;
    let event = events::known(db, invitation.event)?;
    let member = on_accept(&invitation, &event, user, email, now)?;
    drop_invitation(db, id)?;
    let member = join(db, member, &event, now)?;
    Ok(Joined { member, event })
}

fn find_invitation(db: &Connection, id: Uuid) -> Result<Option<Invitation>, StoreError> {
    let sql = const_sql(&["SELECT ", INVITATION, " FROM invitations WHERE id = ?1"]);
    Ok(db.prepare_cached(&sql)?.find([id], invitation)?)
}

/// Writes a member. Who was one already has been one since then.
fn join(db: &Connection, joins: Member, event: &Event, now: Timestamp) -> Result<Member, StoreError> {
    let id = pair(joins.event, joins.user);
    let before = db
        .prepare_cached("SELECT since FROM team WHERE id = ?1")?
        .find([id], |row| row.get::<_, i64>(0))?;
    let since = before.map_or(joins.since, from_millis);
    db.prepare_cached(
        "INSERT INTO team (id, event_id, owner, user_id, role, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET role = excluded.role",
    )?
    .execute(params![
        id,
        joins.event,
        event.organizer,
        joins.user,
        joins.role.name(),
        since.timestamp_millis(),
    ])?;
    outbox::push(db, &change::of_access(joins.event, joins.user, now))?;
    Ok(Member { since, ..joins })
}

fn drop_invitation(db: &Connection, id: Uuid) -> Result<usize, StoreError> {
    Ok(db
        .prepare_cached("DELETE FROM invitations WHERE id = ?1")?
        .execute([id])?)
}

fn drop_member(db: &Connection, member: &Member, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM team WHERE id = ?1")?
        .execute([pair(member.event, member.user)])?;
    outbox::push(db, &change::of_access(member.event, member.user, now))?;
    Ok(())
}

fn leave(db: &Connection, event: EventId, who: Uuid, now: Timestamp) -> Result<Left, LeaveError> {
    let found = members(db, event)?
        .into_iter()
        .find(|member| member.user.0 == who);
    if let Some(member) = found {
        drop_member(db, &member, now)?;
        return Ok(Left::Member(member));
    }
    let found = find_invitation(db, who)?.filter(|invitation| invitation.event == event);
    let invitation = found.ok_or(LeaveError::NoSuchMember)?;
    drop_invitation(db, invitation.id)?;
    Ok(Left::Invitation(invitation))
}

fn teams_of(db: &Connection, user: UserId, page: Page) -> Result<Memberships, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        rows::EVENT,
        ", ",
        MEMBER,
        " FROM team AS t JOIN events AS e ON e.id = t.event_id
         WHERE t.user_id = ?1 AND (?2 IS NULL OR t.event_id < ?2) ORDER BY t.event_id DESC LIMIT ?3",
    ]);
    let after = page.after.map(|cursor| cursor.id);
    let found = db
        .prepare_cached(&sql)?
        .all(params![user, after, page.limit as i64 + 1], |row| {
            Ok((rows::event(row)?, member(row, rows::EVENT_COLUMNS)?))
        })?;
    Ok(page.cut(found, |(event, _)| Cursor {
        key: 0,
        id: event.id.0,
    }))
}

fn invitations_by(
    db: &Connection,
    organizer: UserId,
    page: Page,
) -> Result<(Vec<Invitation>, Option<Cursor>), StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        INVITATION,
        " FROM invitations WHERE owner = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3",
    ]);
    let after = page.after.map(|cursor| cursor.id);
    let found = db
        .prepare_cached(&sql)?
        .all(params![organizer, after, page.limit as i64 + 1], invitation)?;
    Ok(page.cut(found, |invitation| Cursor {
        key: 0,
        id: invitation.id,
    }))
}

fn forget(db: &Connection, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let gone = db
        .prepare_cached(
            "DELETE FROM invitations WHERE id IN (SELECT id FROM invitations WHERE owner = ?1 LIMIT ?2)",
        )?
        .execute(params![user, limit as i64])?;
    let sql = const_sql(&[
        "SELECT ",
        MEMBER,
        " FROM team AS t WHERE t.user_id = ?1 OR t.owner = ?1 LIMIT ?2",
    ]);
    let left = limit.saturating_sub(gone) as i64;
    let members = db
        .prepare_cached(&sql)?
        .all(params![user, left], |row| member(row, 0))?;
    for member in &members {
        drop_member(db, member, now)?;
    }
    Ok(gone + members.len())
}

/// Deletes invitations that nobody can accept any more.
pub(super) fn purge(db: &Connection, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    Ok(db
        .prepare_cached(
            "DELETE FROM invitations WHERE id IN (SELECT id FROM invitations WHERE expires_at <= ?1 LIMIT ?2)",
        )?
        .execute(params![now.timestamp_millis(), limit as i64])?)
}

#[async_trait]
impl TeamStore for SqliteStore {
    async fn team_role(&self, event: EventId, user: UserId) -> Result<Option<TeamRole>, StoreError> {
        self.db.read(move |db| role(db, event, user)).await
    }

    async fn team(&self, event: Arc<Event>, now: Timestamp) -> Result<Team, StoreError> {
        self.db
            .read(move |db| {
                Ok(Team {
                    members: members(db, event.id)?,
                    invitations: invitations(db, &event, now)?,
                })
            })
            .await
    }

    async fn invite(
        &self,
        invitation: Invitation,
        keyed: Keyed<Invitation>,
    ) -> Result<Outcome<Invitation>, InviteError> {
        let now = invitation.invited_at;
        self.publishing(move |db| with_key(db, &keyed, now, |db| invite(db, invitation)))
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
        self.publishing(move |db| with_key(db, &keyed, now, |db| accept(db, invitation, user, &email, now)))
            .await
    }

    async fn leave(
        &self,
        event: EventId,
        who: Uuid,
        now: Timestamp,
        keyed: Keyed<Left>,
    ) -> Result<Outcome<Left>, LeaveError> {
        self.publishing(move |db| with_key(db, &keyed, now, |db| leave(db, event, who, now)))
            .await
    }

    async fn teams_of(&self, user: UserId, page: Page) -> Result<Memberships, StoreError> {
        self.db.read(move |db| teams_of(db, user, page)).await
    }

    async fn invitations_by(
        &self,
        organizer: UserId,
        page: Page,
    ) -> Result<(Vec<Invitation>, Option<Cursor>), StoreError> {
        self.db.read(move |db| invitations_by(db, organizer, page)).await
    }

    async fn forget_team(&self, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.publishing(move |db| forget(db, user, now, limit)).await
    }
}
