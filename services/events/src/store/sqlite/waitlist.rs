//! The lines for full events.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, UserId, WaitlistId},
    store::StoreError,
};
use sqlite_store::{
    Connection, Error, Param, Row,
    idempotency::keyed as with_key,
    outbox, params,
    rows::{sift, sift_page},
};

use super::{
    SqliteStore,
    events::{self, const_sql},
    registrations, rows,
};
use crate::{
    domain::{
        event::Event,
        team::Rank,
        waitlist::{
            Delta, Entry, Join, JoinRefusal, Joined, State, is_over, offer, on_join, once_over,
            seats_to_offer,
        },
    },
    store::{
        messages, table,
        waitlist::{Listed, WaitlistError, WaitlistStore},
    },
};

const ENTRY: &str = "w.id, w.event_id, w.user_id, w.place, w.status, w.offer_expires_at, w.joined_at";

fn entry(row: &Row<'_>, at: usize) -> sqlite_store::RowResult<Entry> {
    let status: String = row.get(at + 4)?;
    let until = row.get::<_, Option<i64>>(at + 5)?.map(from_millis);
    let Some(state) = State::parse(&status, until) else {
        let why = format!("{status:?} is no status of this release, or lacks its time");
        return Err(Error::unreadable(at + 4, why));
    };
    Ok(Entry {
        id: row.get(at)?,
        event_id: row.get(at + 1)?,
        user_id: row.get(at + 2)?,
        place: row.get(at + 3)?,
        state,
        joined_at: from_millis(row.get(at + 6)?),
    })
}

/// The open entry of a user.
pub(super) fn open_of(db: &Connection, event: EventId, user: UserId) -> Result<Option<Entry>, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        ENTRY,
        " FROM waitlist AS w WHERE event_id = ?1 AND user_id = ?2 AND status IN ('waiting', 'offered')",
    ]);
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift(statement.query(params![event, user])?, 0, |row| entry(row, 0))?;
    // One that cannot be read is closed when its turn comes.
    Ok(found.left_out(table::WAITLIST).pop())
}

fn set_status(db: &Connection, id: &dyn Param, state: State) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE waitlist SET status = ?2, offer_expires_at = ?3 WHERE id = ?1")?
        .execute(params![
            id,
            state.name(),
            state.until().map(|until| until.timestamp_millis())
        ])?;
    Ok(())
}

/// Changes the counts of an event. Seats that are freed may be taken in the same step: the count never passes through more
/// than there are.
fn count(db: &Connection, event: EventId, delta: Delta) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE events SET seats_taken = seats_taken + ?2, waiting = waiting + ?3, offered = offered + ?4 WHERE id = ?1",
    )?
    .execute(params![event, delta.seats, delta.waiting, delta.offered])?;
    Ok(())
}

/// Moves an entry; its event's counts follow.
pub(super) fn move_to(
    db: &Connection,
    before: &Entry,
    state: State,
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    set_status(db, &before.id, state)?;
    count(db, before.event_id, Delta::of(Some(before.state), state))?;
    for message in messages::moved_in_line(&before.moved(state), event, now) {
        outbox::push(db, &message)?;
    }
    Ok(())
}

/// Up to `limit` open entries of an event in this state; an unreadable one is closed.
fn open_entries(
    db: &Connection,
    event: EventId,
    offered: bool,
    ended_by: Timestamp,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let (condition, counted) = if offered {
        (
            "status = 'offered' AND offer_expires_at <= ?2 ORDER BY offer_expires_at LIMIT ?3",
            Delta {
                seats: -1,
                waiting: 0,
                offered: -1,
            },
        )
    } else {
        (
            "status = 'waiting' AND ?2 = ?2 ORDER BY place LIMIT ?3",
            Delta::of(Some(State::Waiting), State::Closed),
        )
    };
    let sql = const_sql(&[
        "SELECT ",
        ENTRY,
        " FROM waitlist AS w WHERE event_id = ?1 AND ",
        condition,
    ]);
    let found = {
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query(params![event, ended_by.timestamp_millis(), limit as i64])?;
        sift(rows, 0, |row| entry(row, 0))?
    };
    found.set_aside(table::WAITLIST, |id, _| {
        set_status(db, id, State::Closed)?;
        count(db, event, counted)
    })
}

/// Ends the offers of an event that have run out; returns the number.
pub(super) fn expire(
    db: &Connection,
    event: &Event,
    now: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    let run_out = open_entries(db, event.id, true, now, limit)?;
    for entry in &run_out {
        move_to(db, entry, entry.state.at(now), event, now)?;
    }
    Ok(run_out.len())
}

fn ahead(db: &Connection, entry: &Entry) -> Result<Option<u32>, StoreError> {
    if entry.state != State::Waiting {
        return Ok(None);
    }
    let before = db
        .prepare_cached(
            "SELECT COUNT(*) FROM waitlist WHERE event_id = ?1 AND status = 'waiting' AND place < ?2",
        )?
        .one(params![entry.event_id, entry.place], |row| row.get::<_, u32>(0))?;
    Ok(Some(before + 1))
}

fn join(db: &Connection, join: &Join) -> Result<Listed, WaitlistError> {
    let event = events::find(db, join.event_id)?.ok_or(WaitlistError::NoSuchEvent)?;
    let live = registrations::find_live(db, join.event_id, join.user_id)?;
    let open = open_of(db, join.event_id, join.user_id)?;
    let Joined { entry, offer, hold } = match on_join(&event, live.as_ref(), open.as_ref(), join) {
        Ok(joined) => joined,
        Err(JoinRefusal::Listed(entry)) => {
            let position = ahead(db, &entry)?;
            return Err(WaitlistError::Listed(entry, position));
        }
        Err(why) => return Err(WaitlistError::Refused(why)),
    };
    if let Some(offer) = offer {
        move_to(db, &offer, offer.state.at(join.now), &event, join.now)?;
    }
    if let Some(hold) = hold {
        registrations::end_hold(db, &hold, &event, join.now)?;
    }
    insert(db, &entry)?;
    let position = ahead(db, &entry)?;
    Ok(Listed {
        entry,
        event: Arc::new(event),
        position,
    })
}

fn insert(db: &Connection, entry: &Entry) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO waitlist (id, event_id, user_id, place, status, joined_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        entry.id,
        entry.event_id,
        entry.user_id,
        entry.place,
        entry.state.name(),
        entry.joined_at.timestamp_millis()
    ])?;
    count(db, entry.event_id, Delta::of(None, entry.state))?;
    db.prepare_cached("UPDATE events SET last_place = ?2 WHERE id = ?1")?
        .execute(params![entry.event_id, entry.place])?;
    Ok(())
}

fn leave(db: &Connection, event: EventId, user: UserId, now: Timestamp) -> Result<Listed, WaitlistError> {
    let event = events::find(db, event)?.filter(|event| event.is_seen_by(Rank::of(user, event, None)));
    let event = event.ok_or(WaitlistError::NoSuchEvent)?;
    let open = open_of(db, event.id, user)?.filter(|entry| entry.state.at(now).is_open());
    let entry = open.ok_or(WaitlistError::NotListed)?;
    move_to(db, &entry, State::Left, &event, now)?;
    Ok(Listed {
        entry: entry.moved(State::Left),
        event: Arc::new(event),
        position: None,
    })
}

/// Reads an event and an entry.
fn listed(row: &Row<'_>, now: Timestamp) -> sqlite_store::RowResult<Listed> {
    let event = rows::event(row)?;
    let entry = entry(row, rows::EVENT_COLUMNS)?.as_of(event.cancelled, now);
    Ok(Listed {
        entry,
        event: Arc::new(event),
        position: None,
    })
}

const WITH_EVENT: &str = " FROM waitlist AS w JOIN events AS e ON e.id = w.event_id WHERE ";

fn of_user(
    db: &Connection,
    user: UserId,
    page: Page,
    now: Timestamp,
) -> Result<(Vec<Listed>, Option<Cursor>), StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        rows::EVENT,
        ", ",
        ENTRY,
        WITH_EVENT,
        "w.user_id = ?1 AND (?2 IS NULL OR w.id < ?2) ORDER BY w.id DESC LIMIT ?3",
    ]);
    let after = page.after.map(|cursor| cursor.id);
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift_page(page.limit + 1, |asked| {
        let rows = statement.query(params![user, after, asked])?;
        sift(rows, rows::EVENT_COLUMNS, |row| listed(row, now))
    })?;
    let (mut found, next) = page.cut(found.left_out(table::WAITLIST), |listed| Cursor {
        key: 0,
        id: listed.entry.id.0,
    });
    for listed in &mut found {
        listed.position = ahead(db, &listed.entry)?;
    }
    Ok((found, next))
}

fn by_id(db: &Connection, id: WaitlistId, now: Timestamp) -> Result<Option<Listed>, StoreError> {
    let sql = const_sql(&["SELECT ", rows::EVENT, ", ", ENTRY, WITH_EVENT, "w.id = ?1"]);
    let found = db.prepare_cached(&sql)?.find([id], |row| listed(row, now))?;
    let Some(mut listed) = found else {
        return Ok(None);
    };
    listed.position = ahead(db, &listed.entry)?;
    Ok(Some(listed))
}

fn due(
    db: &Connection,
    after: Option<EventId>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<EventId>, StoreError> {
    // The first condition is that of the index.
    let mut statement = db.prepare_cached(
        "SELECT id FROM events WHERE (waiting > 0 OR offered > 0) AND (?1 IS NULL OR id > ?1)
            AND (cancelled = 1 OR closes_at <= ?2 OR (waiting > 0 AND (capacity IS NULL OR seats_taken < capacity)))
         UNION
         SELECT event_id FROM waitlist WHERE status = 'offered' AND offer_expires_at <= ?2 AND (?1 IS NULL OR event_id > ?1)
         ORDER BY 1 LIMIT ?3",
    )?;
    Ok(
        statement.all(params![after, now.timestamp_millis(), limit as i64], |row| {
            row.get(0)
        })?,
    )
}

fn advance(
    db: &Connection,
    event: EventId,
    length: Duration,
    now: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    let Some(event) = events::find(db, event)? else {
        return Ok(0);
    };
    if is_over(&event, now) {
        let mut open = open_entries(db, event.id, true, Timestamp::MAX_UTC, limit)?;
        open.extend(open_entries(db, event.id, false, now, limit)?);
        for entry in &open {
            move_to(db, entry, once_over(entry, now), &event, now)?;
        }
        return Ok(open.len());
    }
    let freed = expire(db, &event, now, limit)?;
    let seats = seats_to_offer(&event, freed).min(limit);
    let next = open_entries(db, event.id, false, now, seats)?;
    for entry in &next {
        move_to(db, entry, offer(&event, length, now), &event, now)?;
    }
    Ok(freed + next.len())
}

fn forget(db: &Connection, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        ENTRY,
        " FROM waitlist AS w WHERE user_id = ?1 LIMIT ?2",
    ]);
    let entries = {
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query(params![user, limit as i64])?;
        sift(rows, 0, |row| entry(row, 0))?
    };
    let count = entries.found();
    // One that cannot be read goes too; a seat that it may occupy is counted as taken.
    let drop_one = |id: &dyn Param| {
        db.prepare_cached("DELETE FROM waitlist WHERE id = ?1")?
            .execute([id])?;
        Ok::<_, StoreError>(())
    };
    for entry in entries.set_aside(table::WAITLIST, |id, _| drop_one(id))? {
        if entry.state.is_open() {
            let event = events::known(db, entry.event_id)?;
            move_to(db, &entry, State::Left, &event, now)?;
        }
        drop_one(&entry.id)?;
    }
    Ok(count)
}

#[async_trait]
impl WaitlistStore for SqliteStore {
    async fn join_waitlist(
        &self,
        command: Join,
        keyed: Keyed<Listed>,
    ) -> Result<Outcome<Listed>, WaitlistError> {
        let now = command.now;
        self.publishing(move |db| with_key(db, &keyed, now, |db| join(db, &command)))
            .await
    }

    async fn leave_waitlist(
        &self,
        event: EventId,
        user: UserId,
        now: Timestamp,
        keyed: Keyed<Listed>,
    ) -> Result<Outcome<Listed>, WaitlistError> {
        self.publishing(move |db| with_key(db, &keyed, now, |db| leave(db, event, user, now)))
            .await
    }

    async fn waitlist_of(
        &self,
        user: UserId,
        page: Page,
        now: Timestamp,
    ) -> Result<(Vec<Listed>, Option<Cursor>), StoreError> {
        self.db.read(move |db| of_user(db, user, page, now)).await
    }

    async fn waitlist_entry(&self, id: WaitlistId, now: Timestamp) -> Result<Option<Listed>, StoreError> {
        self.db.read(move |db| by_id(db, id, now)).await
    }

    async fn lines_due(
        &self,
        after: Option<EventId>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError> {
        self.db.read(move |db| due(db, after, now, limit)).await
    }

    async fn advance_line(
        &self,
        event: EventId,
        length: Duration,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.publishing(move |db| advance(db, event, length, now, limit))
            .await
    }

    async fn forget_waiting(&self, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.publishing(move |db| forget(db, user, now, limit)).await
    }
}
