//! Events.

use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    ids::{EventId, UserId},
    store::StoreError,
};
use sqlite_store::{Connection, Param, params};
use sqlite_store::{
    outbox,
    rows::{named, sift, sift_page},
};

use super::rows;
use crate::{
    domain::{
        event::{Closing, Event, Patch, PatchError},
        listing::{Category, Listing, Tags, Visibility},
        publishing::Duplicate,
        search_terms,
    },
    store::{ChangeError, EventPage, Own, Search, messages, table},
};

pub(super) fn insert(db: &Connection, event: &Event) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO events (id, organizer, name, details, starts_at, zone, address, capacity, fee, closes_at,
            closes_by_default, version, schedule_version, created_at, words_version, format, ends_at, join_url,
            reminders, draft, opens_at, category, tags, image_url, unlisted)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
            ?24, ?25)",
    )?
    .execute(params![
        event.id,
        event.organizer,
        event.name,
        event.details,
        event.time.at.timestamp_millis(),
        event.time.zone.name(),
        event.address,
        event.capacity,
        event.fee,
        event.closes.at().map(|at| at.timestamp_millis()),
        matches!(event.closes, Closing::Default(_)),
        event.version,
        event.schedule_version,
        event.created_at.timestamp_millis(),
        search_terms::VERSION,
        event.format.name(),
        event.ends_at.map(|at| at.timestamp_millis()),
        event.join_url,
        event.reminders.to_store(),
        event.draft,
        event.opens_at.map(|at| at.timestamp_millis()),
        event.listing.category.name(),
        rows::of_tags(&event.listing.tags),
        event.listing.image_url,
        event.listing.visibility == Visibility::Unlisted,
    ])?;
    index_event(db, event)
}

fn index_event(db: &Connection, event: &Event) -> Result<(), StoreError> {
    let Listing { category, tags, .. } = &event.listing;
    let texts = [&*event.name, &event.address, &event.details];
    index_words(db, event.id, texts, *category, tags)
}

fn index_words(
    db: &Connection,
    id: EventId,
    texts: [&str; 3],
    category: Category,
    tags: &Tags,
) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM event_words WHERE event_id = ?1")?
        .execute([id])?;
    let mut insert = db.prepare_cached("INSERT INTO event_words (event_id, word) VALUES (?1, ?2)")?;
    for word in search_terms::of_event(texts, category, tags) {
        insert.execute(params![id, word])?;
    }
    Ok(())
}

const TO_INDEX: &str = "FROM events WHERE words_version IS NULL OR words_version < ?1";

pub(super) fn any_to_index(db: &Connection) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(&const_sql(&["SELECT 1 ", TO_INDEX]))?
        .exists([search_terms::VERSION])?)
}

pub(super) fn index(db: &Connection, limit: usize) -> Result<usize, StoreError> {
    let sql = const_sql(&[
        "SELECT id, name, address, details, category, tags ",
        TO_INDEX,
        " LIMIT ?2",
    ]);
    let found = {
        let mut statement = db.prepare_cached(&sql)?;
        sift(
            statement.query(params![search_terms::VERSION, limit as i64])?,
            0,
            |row| {
                let texts: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
                let category = named(row, 4, Category::parse)?;
                Ok::<(EventId, _), sqlite_store::Error>((row.get(0)?, (texts, category, rows::tags(row, 5)?)))
            },
        )?
    };
    let mut done = db.prepare_cached("UPDATE events SET words_version = ?2 WHERE id = ?1")?;
    let count = found.found();
    let readable = found.set_aside(table::EVENTS, |id, _| {
        done.execute(params![id, search_terms::VERSION])?;
        Ok(())
    })?;
    for (id, (texts, category, tags)) in &readable {
        index_words(db, *id, texts.each_ref().map(String::as_str), *category, tags)?;
        done.execute(params![id, search_terms::VERSION])?;
    }
    Ok(count)
}

pub(super) fn find(db: &Connection, id: EventId) -> Result<Option<Event>, StoreError> {
    let sql = const_sql(&["SELECT ", rows::EVENT, " FROM events AS e WHERE id = ?1"]);
    Ok(db.prepare_cached(&sql)?.find([id], rows::event)?)
}

pub(super) fn of_organizer(
    db: &Connection,
    organizer: UserId,
    which: Own,
    page: Page,
) -> Result<EventPage, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        rows::EVENT,
        " FROM events AS e WHERE organizer = ?1 AND (?2 IS NULL OR id < ?2)",
        match which {
            Own::Kept => " AND NOT (draft AND cancelled)",
            Own::All => "",
        },
        " ORDER BY id DESC LIMIT ?3",
    ]);
    let after = page.after.map(|cursor| cursor.id);
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift_page(page.limit + 1, |asked| {
        sift(statement.query(params![organizer, after, asked])?, 0, rows::event)
    })?;
    let (events, next) = page.cut(found.left_out(table::EVENTS), |event| Cursor {
        key: 0,
        id: event.id.0,
    });
    Ok(EventPage { events, next })
}

pub(super) fn search(db: &Connection, search: &Search, page: Page) -> Result<EventPage, StoreError> {
    let mut sql = const_sql(&[
        "SELECT ",
        rows::EVENT,
        " FROM events AS e WHERE cancelled = 0 AND draft = 0 AND unlisted = 0",
    ]);
    let mut values: Vec<Box<dyn Param>> = Vec::new();
    let mut and = |condition: &str, given: Vec<Box<dyn Param>>| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.extend(given);
    };
    for word in &search.words {
        // All words with this prefix sort between it and it followed by the last code point.
        and(
            "EXISTS (SELECT 1 FROM event_words AS w WHERE w.event_id = e.id AND w.word >= ? AND w.word < ?)",
            vec![Box::new(word.clone()), Box::new(format!("{word}\u{10FFFF}"))],
        );
    }
    let millis = |at: Timestamp| -> Vec<Box<dyn Param>> { vec![Box::new(at.timestamp_millis())] };
    if let Some(from) = search.from {
        and("starts_at >= ?", millis(from));
    }
    if let Some(to) = search.to {
        and("starts_at < ?", millis(to));
    }
    match search.free {
        Some(true) => and("fee = 0", Vec::new()),
        Some(false) => and("fee > 0", Vec::new()),
        None => {}
    }
    if let Some(category) = search.category {
        and("category = ?", vec![Box::new(category.name())]);
    }
    if let Some(tag) = &search.tag {
        and(
            "EXISTS (SELECT 1 FROM event_words AS w WHERE w.event_id = e.id AND w.word = ?)",
            vec![Box::new(search_terms::whole(tag))],
        );
    }
    if let Some(Cursor { key, id }) = page.after {
        let condition = if search.soonest_first {
            "(starts_at, id) > (?, ?)"
        } else {
            "(starts_at, id) < (?, ?)"
        };
        and(condition, vec![Box::new(key), Box::new(id)]);
    }
    let direction = if search.soonest_first { "ASC" } else { "DESC" };
    sql.push_str(&format!(
        " ORDER BY starts_at {direction}, id {direction} LIMIT ?"
    ));
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift_page(page.limit + 1, |asked| {
        let values = values.iter().map(AsRef::as_ref).chain([&asked as &dyn Param]);
        let values: Vec<&dyn Param> = values.collect();
        sift(statement.query(values.as_slice())?, 0, rows::event)
    })?;
    let place = |event: &Event| Cursor {
        key: event.time.at.timestamp_millis(),
        id: event.id.0,
    };
    let (events, next) = page.cut(found.left_out(table::EVENTS), place);
    Ok(EventPage { events, next })
}

fn owned(db: &Connection, id: EventId, organizer: UserId) -> Result<Event, ChangeError> {
    find(db, id)?
        .filter(|event| event.organizer == organizer)
        .ok_or(ChangeError::NoSuchEvent)
}

pub(super) fn update(
    db: &Connection,
    id: EventId,
    organizer: UserId,
    patch: &Patch,
    now: Timestamp,
) -> Result<Event, ChangeError> {
    let before = owned(db, id, organizer)?;
    let event = before.patched(patch, now).map_err(ChangeError::Refused)?;
    db.prepare_cached(
        "UPDATE events SET name = ?2, details = ?3, starts_at = ?4, zone = ?5, address = ?6, capacity = ?7, fee = ?8,
            closes_at = ?9, closes_by_default = ?10, version = ?11, schedule_version = ?12, words_version = ?13,
            format = ?14, ends_at = ?15, join_url = ?16, reminders = ?17, opens_at = ?18, category = ?19, tags = ?20,
            image_url = ?21, unlisted = ?22
         WHERE id = ?1",
    )
    .map_err(StoreError::from)?
    .execute(params![
        event.id,
        event.name,
        event.details,
        event.time.at.timestamp_millis(),
        event.time.zone.name(),
        event.address,
        event.capacity,
        event.fee,
        event.closes.at().map(|at| at.timestamp_millis()),
        matches!(event.closes, Closing::Default(_)),
        event.version,
        event.schedule_version,
        search_terms::VERSION,
        event.format.name(),
        event.ends_at.map(|at| at.timestamp_millis()),
        event.join_url,
        event.reminders.to_store(),
        event.opens_at.map(|at| at.timestamp_millis()),
        event.listing.category.name(),
        rows::of_tags(&event.listing.tags),
        event.listing.image_url,
        event.listing.visibility == Visibility::Unlisted,
    ])
    .map_err(StoreError::from)?;
    index_event(db, &event)?;
    for message in messages::changed(&event, before.differs_for_others(&event), now) {
        outbox::push(db, &message)?;
    }
    Ok(event)
}

pub(super) fn cancel(
    db: &Connection,
    id: EventId,
    organizer: UserId,
    now: Timestamp,
) -> Result<Event, ChangeError> {
    let mut event = owned(db, id, organizer)?;
    if event.cancelled {
        return Err(ChangeError::Refused(PatchError::Cancelled));
    }
    event.cancelled = true;
    event.version += 1;
    db.prepare_cached("UPDATE events SET cancelled = 1, version = ?2, ending = 1 WHERE id = ?1")
        .and_then(|mut update| update.execute(params![event.id, event.version]))
        .map_err(StoreError::from)?;
    for message in messages::changed(&event, true, now) {
        outbox::push(db, &message)?;
    }
    Ok(event)
}

pub(super) fn publish(
    db: &Connection,
    id: EventId,
    organizer: UserId,
    now: Timestamp,
) -> Result<Event, ChangeError> {
    let event = owned(db, id, organizer)?
        .published()
        .map_err(ChangeError::Refused)?;
    db.prepare_cached("UPDATE events SET draft = 0, version = ?2 WHERE id = ?1")
        .and_then(|mut update| update.execute(params![event.id, event.version]))
        .map_err(StoreError::from)?;
    for message in messages::changed(&event, false, now) {
        outbox::push(db, &message)?;
    }
    Ok(event)
}

pub(super) fn duplicate(
    db: &Connection,
    id: EventId,
    organizer: UserId,
    copy: &Duplicate,
    now: Timestamp,
) -> Result<Event, ChangeError> {
    let event = owned(db, id, organizer)?
        .duplicated(copy, now)
        .map_err(ChangeError::Refused)?;
    insert(db, &event)?;
    Ok(event)
}

pub(super) fn any_ending(db: &Connection) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM events WHERE ending = 1")?
        .exists(params![])?)
}

/// The event of a registration, which must exist in the same file.
pub(super) fn known(db: &Connection, id: EventId) -> Result<Event, StoreError> {
    find(db, id)?.ok_or_else(|| StoreError::Corrupt(format!("event {id} is missing")))
}

pub(super) fn const_sql(parts: &[&str]) -> String {
    parts.concat()
}
