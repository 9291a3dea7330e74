//! Events.

use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    ids::{EventId, UserId},
    store::StoreError,
    unreadable::set_aside,
};
use mongo_store::{DocumentExt, Key, Tx, date, outbox, sift, uuid, uuids};
use mongodb::bson::{Bson, Document, doc};

use super::{documents, schema::EVENTS};
use crate::{
    domain::{
        event::{Event, Patch, PatchError},
        listing::{Category, Tags},
        publishing::Duplicate,
        search_terms,
        waitlist::Delta,
    },
    store::{ChangeError, EventPage, Own, Search, messages, table},
};

pub(super) async fn insert(tx: &mut Tx, event: &Event) -> Result<(), StoreError> {
    let (mut document, _) = documents::event_fields(event);
    document.insert("_id", uuid(event.id));
    document.insert("seats_taken", i64::from(event.seats_taken));
    document.insert("counted", true);
    tx.insert(EVENTS, vec![document]).await
}

pub(super) async fn find(tx: &mut Tx, id: EventId) -> Result<Option<Event>, StoreError> {
    let found = tx.find_one(EVENTS, doc! {"_id": uuid(id)}).await?;
    found.as_ref().map(documents::event).transpose()
}

/// The event of a registration, which must exist in the same database.
pub(super) async fn known(tx: &mut Tx, id: EventId) -> Result<Event, StoreError> {
    find(tx, id)
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("event {id} is missing")))
}

/// The readable ones of these events, in no particular order.
pub(super) async fn all(tx: &mut Tx, ids: Vec<EventId>) -> Result<Vec<Event>, StoreError> {
    let limit = ids.len();
    let found = tx
        .find(EVENTS, doc! {"_id": {"$in": uuids(ids)}}, doc! {}, limit)
        .await?;
    Ok(sift(&found, documents::event)?.left_out(table::EVENTS))
}

async fn page_of(
    tx: &mut Tx,
    filter: Document,
    sort: Document,
    page: Page,
    place: fn(&Event) -> Cursor,
) -> Result<EventPage, StoreError> {
    let wanted = page.limit + 1;
    let mut asked = wanted;
    let found = loop {
        let found = tx.find(EVENTS, filter.clone(), sort.clone(), asked).await?;
        let found = sift(&found, documents::event)?;
        match found.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => break found,
        }
    };
    let (events, next) = page.cut(found.left_out(table::EVENTS), place);
    Ok(EventPage { events, next })
}

pub(super) async fn of_organizer(
    tx: &mut Tx,
    organizer: UserId,
    which: Own,
    page: Page,
) -> Result<EventPage, StoreError> {
    let mut filter = doc! {"organizer": uuid(organizer)};
    if which == Own::Kept {
        filter.insert("$nor", [doc! {"draft": true, "cancelled": true}].to_vec());
    }
    if let Some(after) = page.after {
        filter.insert("_id", doc! {"$lt": uuid(after.id)});
    }
    page_of(tx, filter, doc! {"_id": -1}, page, |event| Cursor {
        key: 0,
        id: event.id.0,
    })
    .await
}

pub(super) async fn search(tx: &mut Tx, search: &Search, page: Page) -> Result<EventPage, StoreError> {
    let mut all: Vec<Document> = Vec::new();
    for word in &search.words {
        // All words with this prefix sort between it and it followed by the last code point.
        all.push(doc! {"words": {"$elemMatch": {"$gte": word, "$lt": format!("{word}\u{10FFFF}")}}});
    }
    if let Some(from) = search.from {
        all.push(doc! {"starts_at": {"$gte": date(from)}});
    }
    if let Some(to) = search.to {
        all.push(doc! {"starts_at": {"$lt": date(to)}});
    }
    match search.free {
        Some(true) => all.push(doc! {"fee": 0_i64}),
        Some(false) => all.push(doc! {"fee": {"$gt": 0_i64}}),
        None => {}
    }
    match search.category {
        // Events of earlier releases have none.
        Some(Category::Other) => all.push(doc! {"category": {"$in": [Category::Other.name(), null]}}),
        Some(category) => all.push(doc! {"category": category.name()}),
        None => {}
    }
    if let Some(tag) = &search.tag {
        all.push(doc! {"words": search_terms::whole(tag)});
    }
    if let Some(Cursor { key, id }) = page.after {
        let beyond = if search.soonest_first { "$gt" } else { "$lt" };
        let at = Bson::DateTime(mongodb::bson::DateTime::from_millis(key));
        all.push(
            doc! {"$or": [{"starts_at": {beyond: at.clone()}}, {"starts_at": at, "_id": {beyond: uuid(id)}}]},
        );
    }
    let mut filter = doc! {"cancelled": false, "draft": {"$ne": true}, "unlisted": {"$ne": true}};
    if !all.is_empty() {
        filter.insert("$and", all);
    }
    let direction = if search.soonest_first { 1 } else { -1 };
    let sort = doc! {"starts_at": direction, "_id": direction};
    page_of(tx, filter, sort, page, |event| Cursor {
        key: event.time.at.timestamp_millis(),
        id: event.id.0,
    })
    .await
}

async fn owned(tx: &mut Tx, id: EventId, organizer: UserId) -> Result<Event, ChangeError> {
    let found = find(tx, id).await?;
    found
        .filter(|event| event.organizer == organizer)
        .ok_or(ChangeError::NoSuchEvent)
}

pub(super) async fn update(
    tx: &mut Tx,
    id: EventId,
    organizer: UserId,
    patch: &Patch,
    now: Timestamp,
) -> Result<Event, ChangeError> {
    let before = owned(tx, id, organizer).await?;
    let event = before.patched(patch, now).map_err(ChangeError::Refused)?;
    let (set, unset) = documents::event_fields(&event);
    let mut update = doc! {"$set": set};
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    tx.update(EVENTS, doc! {"_id": uuid(id)}, update).await?;
    outbox::push(
        tx,
        &messages::changed(&event, before.differs_for_others(&event), now),
    )
    .await?;
    Ok(event)
}

pub(super) async fn cancel(
    tx: &mut Tx,
    id: EventId,
    organizer: UserId,
    now: Timestamp,
) -> Result<Event, ChangeError> {
    let mut event = owned(tx, id, organizer).await?;
    if event.cancelled {
        return Err(ChangeError::Refused(PatchError::Cancelled));
    }
    event.cancelled = true;
    event.version += 1;
    let update = doc! {"$set": {"cancelled": true, "version": event.version, "ending": true}};
    tx.update(EVENTS, doc! {"_id": uuid(id)}, update).await?;
    outbox::push(tx, &messages::changed(&event, true, now)).await?;
    Ok(event)
}

pub(super) async fn publish(
    tx: &mut Tx,
    id: EventId,
    organizer: UserId,
    now: Timestamp,
) -> Result<Event, ChangeError> {
    let draft = owned(tx, id, organizer).await?;
    let event = draft.published().map_err(ChangeError::Refused)?;
    let update = doc! {"$set": {"draft": false, "version": event.version}};
    tx.update(EVENTS, doc! {"_id": uuid(id)}, update).await?;
    outbox::push(tx, &messages::changed(&event, false, now)).await?;
    Ok(event)
}

pub(super) async fn duplicate(
    tx: &mut Tx,
    id: EventId,
    organizer: UserId,
    copy: &Duplicate,
    now: Timestamp,
) -> Result<Event, ChangeError> {
    let event = owned(tx, id, organizer).await?;
    let event = event.duplicated(copy, now).map_err(ChangeError::Refused)?;
    insert(tx, &event).await?;
    Ok(event)
}

/// Events indexed by an earlier release.
pub(super) async fn to_index(tx: &mut Tx, limit: usize) -> Result<Vec<Document>, StoreError> {
    let unmarked = tx
        .find(EVENTS, doc! {"words_version": null}, doc! {}, limit)
        .await?;
    if !unmarked.is_empty() {
        return Ok(unmarked);
    }
    let earlier = doc! {"words_version": {"$lt": search_terms::VERSION}};
    tx.find(EVENTS, earlier, doc! {}, limit).await
}

/// Indexes an event again, unless it has changed since it was read.
pub(super) async fn index(tx: &mut Tx, event: &Document) -> Result<(), StoreError> {
    let unchanged = doc! {"_id": event.get("_id"), "version": event.get("version")};
    let text = |name| event.text(name);
    let read = || {
        let texts = [text("name")?, text("address")?, text("details")?];
        Ok((texts, documents::category(event)?, documents::tags(event)?))
    };
    let (texts, category, tags) = read().unwrap_or_else(|why: StoreError| {
        set_aside(table::EVENTS, &Key::of(event), &why.to_string());
        (Default::default(), Category::default(), Tags::default())
    });
    let words = documents::words(texts.each_ref().map(String::as_str), category, &tags);
    let set = doc! {"$set": words};
    tx.update_unchecked(EVENTS, unchanged, set).await.map(drop)
}

/// An event whose registrations are being ended.
pub(super) async fn ending(tx: &mut Tx) -> Result<Option<Document>, StoreError> {
    tx.find_one(EVENTS, doc! {"ending": true}).await
}

/// Takes `seats` if so many are free; a negative number frees seats.
pub(super) async fn take_seats(tx: &mut Tx, event: &Event, seats: i64) -> Result<bool, StoreError> {
    let delta = Delta {
        seats,
        ..Delta::default()
    };
    count(tx, event, delta).await
}

/// Changes the counts of an event; `false`, and nothing is changed, when not so many seats are free.
pub(super) async fn count(tx: &mut Tx, event: &Event, delta: Delta) -> Result<bool, StoreError> {
    if delta == Delta::default() {
        return Ok(true);
    }
    let mut room = doc! {"_id": uuid(event.id)};
    if let (Some(capacity), true) = (event.capacity, delta.seats > 0) {
        room.insert("seats_taken", doc! {"$lte": i64::from(capacity) - delta.seats});
    }
    let mut added = doc! {"seats_taken": delta.seats};
    if delta.waiting != 0 {
        added.insert("waiting", delta.waiting);
    }
    if delta.offered != 0 {
        added.insert("offered", delta.offered);
    }
    tx.update(EVENTS, room, doc! {"$inc": added}).await
}
