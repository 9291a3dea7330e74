//! The lines for full events.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, UserId, WaitlistId},
    store::StoreError,
    unreadable::left_out,
};
use futures_util::FutureExt;
use mongo_store::{
    DocumentExt, Tx, date, idempotency::keyed as with_key, outbox, set_aside, sift, uuid, uuids,
};
use mongodb::bson::{Document, doc};

use super::{
    MongoStore, events, registrations,
    schema::{EVENTS, WAITLIST},
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

fn entry(found: &Document) -> Result<Entry, StoreError> {
    let status = found.text("status")?;
    let until = found.maybe_time("offer_expires_at")?;
    let state = State::parse(&status, until).ok_or_else(|| {
        StoreError::Corrupt(format!(
            "{status:?} is no status of this release, or lacks its time"
        ))
    })?;
    Ok(Entry {
        id: found.id("_id")?,
        event_id: found.id("event_id")?,
        user_id: found.id("user_id")?,
        place: found.long("place")?,
        state,
        joined_at: found.time("joined_at")?,
    })
}

fn of_entry(entry: &Entry) -> Document {
    doc! {
        "_id": uuid(entry.id),
        "event_id": uuid(entry.event_id),
        "user_id": uuid(entry.user_id),
        "place": entry.place,
        "status": entry.state.name(),
        "open": true,
        "joined_at": date(entry.joined_at),
    }
}

/// The update that moves an entry to this state.
fn moving(state: State) -> Document {
    let (mut set, mut unset) = (doc! {"status": state.name()}, Document::new());
    match state.until() {
        Some(until) => drop(set.insert("offer_expires_at", date(until))),
        None => drop(unset.insert("offer_expires_at", "")),
    }
    if !state.is_open() {
        unset.insert("open", "");
    }
    let mut update = doc! {"$set": set};
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    update
}

/// The open entries of these users, who are in the line of an event.
pub(super) async fn open_of(
    tx: &mut Tx,
    event: EventId,
    users: Vec<UserId>,
) -> Result<HashMap<UserId, Entry>, StoreError> {
    let limit = users.len();
    let theirs = doc! {"event_id": uuid(event), "user_id": {"$in": uuids(users)}, "open": true};
    let found = tx.find(WAITLIST, theirs, doc! {}, limit).await?;
    // One that cannot be read concerns nobody else. It is closed when its turn comes.
    let entries = sift(&found, entry)?.left_out(table::WAITLIST);
    Ok(entries.into_iter().map(|entry| (entry.user_id, entry)).collect())
}

/// The open entry of a user.
pub(super) async fn open_one(tx: &mut Tx, event: EventId, user: UserId) -> Result<Option<Entry>, StoreError> {
    Ok(open_of(tx, event, vec![user]).await?.remove(&user))
}

/// Moves entries; the caller must change the counts of the event by what is returned.
pub(super) async fn move_all(
    tx: &mut Tx,
    moves: &[(Entry, State)],
    event: &Event,
    now: Timestamp,
) -> Result<Delta, StoreError> {
    let (mut delta, mut told) = (Delta::default(), Vec::new());
    for (before, state) in moves {
        tx.update(WAITLIST, doc! {"_id": uuid(before.id)}, moving(*state))
            .await?;
        delta += Delta::of(Some(before.state), *state);
        told.extend(messages::moved_in_line(&before.moved(*state), event, now));
    }
    outbox::push(tx, &told).await?;
    Ok(delta)
}

/// Up to `limit` open entries of an event; unreadable ones are closed, and what they counted is added to `delta`.
async fn open_entries(
    tx: &mut Tx,
    filter: Document,
    sort: Document,
    limit: usize,
    counted: Delta,
    delta: &mut Delta,
) -> Result<Vec<Entry>, StoreError> {
    let found = tx.find(WAITLIST, filter, sort, limit).await?;
    let entries = sift(&found, entry)?;
    for _ in &entries.unreadable {
        *delta += counted;
    }
    set_aside(tx, WAITLIST, table::WAITLIST, entries, |_| moving(State::Closed)).await
}

async fn offers(
    tx: &mut Tx,
    event: &Event,
    ended_by: Option<Timestamp>,
    limit: usize,
    delta: &mut Delta,
) -> Result<Vec<Entry>, StoreError> {
    let mut filter = doc! {"event_id": uuid(event.id), "status": "offered"};
    if let Some(at) = ended_by {
        filter.insert("offer_expires_at", doc! {"$lte": date(at)});
    }
    let counted = Delta {
        seats: -1,
        waiting: 0,
        offered: -1,
    };
    open_entries(tx, filter, doc! {"offer_expires_at": 1}, limit, counted, delta).await
}

async fn first_in_line(
    tx: &mut Tx,
    event: &Event,
    limit: usize,
    delta: &mut Delta,
) -> Result<Vec<Entry>, StoreError> {
    let filter = doc! {"event_id": uuid(event.id), "status": "waiting"};
    let counted = Delta::of(Some(State::Waiting), State::Closed);
    open_entries(tx, filter, doc! {"place": 1}, limit, counted, delta).await
}

/// Ends the offers of an event that have run out. The caller must change the counts of the event by what is returned.
pub(super) async fn expire(
    tx: &mut Tx,
    event: &Event,
    now: Timestamp,
    limit: usize,
) -> Result<Delta, StoreError> {
    let mut delta = Delta::default();
    let run_out = offers(tx, event, Some(now), limit, &mut delta).await?;
    let moves: Vec<_> = run_out
        .into_iter()
        .map(|entry| {
            let state = entry.state.at(now);
            (entry, state)
        })
        .collect();
    delta += move_all(tx, &moves, event, now).await?;
    Ok(delta)
}

async fn ahead(tx: &mut Tx, entry: &Entry) -> Result<Option<u32>, StoreError> {
    if entry.state != State::Waiting {
        return Ok(None);
    }
    let before = doc! {"event_id": uuid(entry.event_id), "status": "waiting", "place": {"$lt": entry.place}};
    let before = tx.count(WAITLIST, before).await?;
    Ok(Some(u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)))
}

async fn join(tx: &mut Tx, join: &Join) -> Result<Listed, WaitlistError> {
    let event = events::find(tx, join.event_id).await?;
    let event = event.ok_or(WaitlistError::NoSuchEvent)?;
    let live = registrations::find_live(tx, join.event_id, join.user_id).await?;
    let open = open_one(tx, join.event_id, join.user_id).await?;
    let Joined { entry, offer, hold } = match on_join(&event, live.as_ref(), open.as_ref(), join) {
        Ok(joined) => joined,
        Err(JoinRefusal::Listed(entry)) => {
            let position = ahead(tx, &entry).await?;
            return Err(WaitlistError::Listed(entry, position));
        }
        Err(why) => return Err(WaitlistError::Refused(why)),
    };
    let mut delta = Delta::of(None, entry.state);
    if let Some(offer) = offer {
        let state = offer.state.at(join.now);
        delta += move_all(tx, &[(offer, state)], &event, join.now).await?;
    }
    if let Some(hold) = hold {
        registrations::end_hold(tx, &hold, &event, join.now).await?;
    }
    tx.insert(WAITLIST, vec![of_entry(&entry)]).await?;
    let place = doc! {"$set": {"last_place": entry.place}};
    tx.update(EVENTS, doc! {"_id": uuid(event.id)}, place).await?;
    events::count(tx, &event, delta).await?;
    let position = ahead(tx, &entry).await?;
    Ok(Listed {
        entry,
        event: Arc::new(event),
        position,
    })
}

async fn leave(tx: &mut Tx, event: EventId, user: UserId, now: Timestamp) -> Result<Listed, WaitlistError> {
    let event = events::find(tx, event).await?;
    let event = event.filter(|event| event.is_seen_by(Rank::of(user, event, None)));
    let event = event.ok_or(WaitlistError::NoSuchEvent)?;
    let open = open_one(tx, event.id, user).await?;
    let open = open.filter(|entry| entry.state.at(now).is_open());
    let entry = open.ok_or(WaitlistError::NotListed)?;
    let moved = entry.moved(State::Left);
    let delta = move_all(tx, &[(entry, State::Left)], &event, now).await?;
    events::count(tx, &event, delta).await?;
    Ok(Listed {
        entry: moved,
        event: Arc::new(event),
        position: None,
    })
}

async fn of_user(
    tx: &mut Tx,
    user: UserId,
    page: Page,
    now: Timestamp,
) -> Result<(Vec<Listed>, Option<Cursor>), StoreError> {
    let mut filter = doc! {"user_id": uuid(user)};
    if let Some(after) = page.after {
        filter.insert("_id", doc! {"$lt": uuid(after.id)});
    }
    let wanted = page.limit + 1;
    let mut asked = wanted;
    let found = loop {
        let found = tx.find(WAITLIST, filter.clone(), doc! {"_id": -1}, asked).await?;
        let found = sift(&found, entry)?;
        match found.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => break found,
        }
    };
    let (entries, next) = page.cut(found.left_out(table::WAITLIST), |entry| Cursor {
        key: 0,
        id: entry.id.0,
    });
    let all = events::all(tx, entries.iter().map(|entry| entry.event_id).collect()).await?;
    let all: HashMap<EventId, Arc<Event>> =
        all.into_iter().map(|event| (event.id, Arc::new(event))).collect();
    let mut listed = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(event) = all.get(&entry.event_id).cloned() else {
            let why = format!("its event {} cannot be read", entry.event_id);
            left_out(table::WAITLIST, &entry.id, &why);
            continue;
        };
        listed.push(as_of(tx, entry, event, now).await?);
    }
    Ok((listed, next))
}

async fn as_of(tx: &mut Tx, entry: Entry, event: Arc<Event>, now: Timestamp) -> Result<Listed, StoreError> {
    let entry = entry.as_of(event.cancelled, now);
    let position = ahead(tx, &entry).await?;
    Ok(Listed {
        entry,
        event,
        position,
    })
}

async fn by_id(tx: &mut Tx, id: WaitlistId, now: Timestamp) -> Result<Option<Listed>, StoreError> {
    let Some(found) = tx.find_one(WAITLIST, doc! {"_id": uuid(id)}).await? else {
        return Ok(None);
    };
    let entry = entry(&found)?;
    let event = events::known(tx, entry.event_id).await?;
    as_of(tx, entry, Arc::new(event), now).await.map(Some)
}

async fn due(
    tx: &mut Tx,
    after: Option<EventId>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<EventId>, StoreError> {
    let over = [doc! {"cancelled": true}, doc! {"closes_at": {"$lte": date(now)}}];
    let room = [
        doc! {"capacity": {"$exists": false}},
        doc! {"$expr": {"$lt": ["$seats_taken", "$capacity"]}},
    ];
    let lines = [
        doc! {"waiting": {"$gt": 0_i64}, "$or": over.iter().chain(&room).collect::<Vec<_>>()},
        doc! {"offered": {"$gt": 0_i64}, "$or": over.iter().collect::<Vec<_>>()},
    ];
    let mut ids: BTreeSet<EventId> = BTreeSet::new();
    for mut line in lines {
        if let Some(after) = after {
            line.insert("_id", doc! {"$gt": uuid(after)});
        }
        for found in tx.find(EVENTS, line, doc! {"_id": 1}, limit).await? {
            ids.extend(found.id::<EventId>("_id").ok());
        }
    }
    let mut run_out = doc! {"status": "offered", "offer_expires_at": {"$lte": date(now)}};
    if let Some(after) = after {
        run_out.insert("event_id", doc! {"$gt": uuid(after)});
    }
    for found in tx.find(WAITLIST, run_out, doc! {"event_id": 1}, limit).await? {
        ids.extend(found.id::<EventId>("event_id").ok());
    }
    Ok(ids.into_iter().take(limit).collect())
}

async fn advance(
    tx: &mut Tx,
    event: EventId,
    length: Duration,
    now: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    let Some(event) = events::find(tx, event).await? else {
        return Ok(0);
    };
    let mut delta = Delta::default();
    let mut moves: Vec<(Entry, State)> = Vec::new();
    if is_over(&event, now) {
        let mut open = offers(tx, &event, None, limit, &mut delta).await?;
        open.extend(first_in_line(tx, &event, limit, &mut delta).await?);
        moves.extend(open.into_iter().map(|entry| {
            let state = once_over(&entry, now);
            (entry, state)
        }));
    } else {
        let run_out = offers(tx, &event, Some(now), limit, &mut delta).await?;
        let seats = seats_to_offer(&event, run_out.len()).min(limit);
        let next = first_in_line(tx, &event, seats, &mut delta).await?;
        moves.extend(run_out.into_iter().map(|entry| {
            let state = entry.state.at(now);
            (entry, state)
        }));
        moves.extend(next.into_iter().map(|entry| (entry, offer(&event, length, now))));
    }
    delta += move_all(tx, &moves, &event, now).await?;
    if !events::count(tx, &event, delta).await? {
        return Err(StoreError::Corrupt(format!(
            "event {} has not the seats it says",
            event.id
        )));
    }
    Ok(moves.len())
}

async fn forget(tx: &mut Tx, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let theirs = doc! {"user_id": uuid(user)};
    let found = tx.find(WAITLIST, theirs, doc! {"_id": -1}, limit).await?;
    // One that cannot be read goes too; a seat that it may occupy is counted as taken.
    let entries = sift(&found, entry)?.left_out(table::WAITLIST);
    for entry in entries.into_iter().filter(|entry| entry.state.is_open()) {
        let event = events::known(tx, entry.event_id).await?;
        let delta = move_all(tx, &[(entry, State::Left)], &event, now).await?;
        events::count(tx, &event, delta).await?;
    }
    let ids: Vec<_> = found
        .iter()
        .filter_map(|found| found.get("_id").cloned())
        .collect();
    tx.delete(WAITLIST, doc! {"_id": {"$in": ids}}).await?;
    Ok(found.len())
}

#[async_trait]
impl WaitlistStore for MongoStore {
    async fn join_waitlist(
        &self,
        command: Join,
        keyed: Keyed<Listed>,
    ) -> Result<Outcome<Listed>, WaitlistError> {
        self.publishing((command, keyed), |tx, (command, keyed)| {
            with_key(tx, keyed, command.now, async |tx| join(tx, command).await).boxed()
        })
        .await
    }

    async fn leave_waitlist(
        &self,
        event: EventId,
        user: UserId,
        now: Timestamp,
        keyed: Keyed<Listed>,
    ) -> Result<Outcome<Listed>, WaitlistError> {
        self.publishing((event, user, now, keyed), |tx, (event, user, now, keyed)| {
            with_key(tx, keyed, *now, async |tx| leave(tx, *event, *user, *now).await).boxed()
        })
        .await
    }

    async fn waitlist_of(
        &self,
        user: UserId,
        page: Page,
        now: Timestamp,
    ) -> Result<(Vec<Listed>, Option<Cursor>), StoreError> {
        of_user(&mut self.db.read(), user, page, now).await
    }

    async fn waitlist_entry(&self, id: WaitlistId, now: Timestamp) -> Result<Option<Listed>, StoreError> {
        by_id(&mut self.db.read(), id, now).await
    }

    async fn lines_due(
        &self,
        after: Option<EventId>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError> {
        due(&mut self.db.read(), after, now, limit).await
    }

    async fn advance_line(
        &self,
        event: EventId,
        length: Duration,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.publishing((event, length, now, limit), |tx, (event, length, now, limit)| {
            advance(tx, *event, *length, *now, *limit).boxed()
        })
        .await
    }

    async fn forget_waiting(&self, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.publishing((user, now, limit), |tx, (user, now, limit)| {
            forget(tx, *user, *now, *limit).boxed()
        })
        .await
    }
}
