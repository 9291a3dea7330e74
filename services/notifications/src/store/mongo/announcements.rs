//! Changes of events on their way to attendees.

use std::{collections::HashMap, sync::Arc};

use common::{
    clock::Timestamp,
    ids::{EventId, RegistrationId},
    store::StoreError,
    unreadable::{Sifted, left_out, set_aside},
    wire::EventFacts,
};
use mongo_store::{DocumentExt, Key, Tx, uuid};
use mongodb::bson::{Document, doc};

use super::{
    events::at_version,
    letters::{self, Queued},
    reminders,
    schema::{ANNOUNCEMENTS, ATTENDANCES},
};
use crate::store::{Announcement, Attendee, Step, table};

pub(super) async fn next(tx: &mut Tx, limit: usize) -> Result<Option<Announcement>, StoreError> {
    loop {
        let found = tx
            .find(ANNOUNCEMENTS, doc! {"why": null}, doc! {"created_at": 1}, 1)
            .await?;
        let Some(found) = found.first() else {
            return Ok(None);
        };
        match read(tx, found, limit).await {
            // It is left alone until its event changes again.
            Err(StoreError::Corrupt(why)) => {
                set_aside(table::ANNOUNCEMENTS, &Key::of(found), &why);
                let this = doc! {"_id": found.get("_id")};
                tx.update_unchecked(ANNOUNCEMENTS, this, doc! {"$set": {"why": why}})
                    .await?;
            }
            step => return step.map(Some),
        }
    }
}

async fn read(tx: &mut Tx, found: &Document, limit: usize) -> Result<Announcement, StoreError> {
    let event: EventId = found.id("_id")?;
    let cursor: Option<RegistrationId> = found.maybe_id("cursor")?;
    let mut versions = HashMap::new();
    let facts = known(tx, &mut versions, event, found.long("version")?).await?;
    let mut rest = doc! {"event_id": uuid(event), "live": true};
    if let Some(cursor) = cursor {
        rest.insert("_id", doc! {"$gt": uuid(cursor)});
    }
    let found = tx.find(ATTENDANCES, rest, doc! {"_id": 1}, limit).await?;
    let mut attendees = Sifted::default();
    for found in &found {
        let attendee = attendee(tx, &mut versions, event, found).await;
        attendees.add(attendee, || Key::of(found))?;
    }
    Ok(Announcement {
        facts,
        cursor,
        attendees: attendees.left_out(table::ATTENDANCES),
    })
}

async fn attendee(
    tx: &mut Tx,
    versions: &mut HashMap<i64, Arc<EventFacts>>,
    event: EventId,
    found: &Document,
) -> Result<Attendee, StoreError> {
    let told = match known(tx, versions, event, found.long("told_version")?).await {
        Ok(told) => Some(told),
        Err(StoreError::Corrupt(why)) => {
            left_out(table::ATTENDANCES, &Key::of(found), &why);
            None
        }
        Err(error) => return Err(error),
    };
    Ok(Attendee {
        registration_id: found.id("_id")?,
        user_id: found.id("user_id")?,
        known: told,
    })
}

async fn known(
    tx: &mut Tx,
    versions: &mut HashMap<i64, Arc<EventFacts>>,
    event: EventId,
    version: i64,
) -> Result<Arc<EventFacts>, StoreError> {
    if let Some(known) = versions.get(&version) {
        return Ok(known.clone());
    }
    let found = at_version(tx, event, version)
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("version {version} of event {event} is missing")))?;
    Ok(versions.entry(version).or_insert(Arc::new(found)).clone())
}

/// Where the announcement of a step stood.
fn standing(step: &Step) -> Document {
    let mut standing = doc! {"_id": uuid(step.facts.event_id), "version": step.facts.version};
    match step.cursor {
        Some(cursor) => standing.insert("cursor", uuid(cursor)),
        None => standing.insert("cursor", doc! {"$exists": false}),
    };
    standing
}

pub(super) async fn step(tx: &mut Tx, step: &Step, now: Timestamp) -> Result<bool, StoreError> {
    let facts = &step.facts;
    let Some((last, _)) = step.reached.last() else {
        return Ok(tx.delete(ANNOUNCEMENTS, standing(step)).await? == 1);
    };
    if !tx
        .update(
            ANNOUNCEMENTS,
            standing(step),
            doc! {"$set": {"cursor": uuid(*last)}},
        )
        .await?
    {
        return Ok(false);
    }
    let mut queued: Vec<Queued<'_>> = Vec::new();
    for (registration, letters) in &step.reached {
        let untold = doc! {"_id": uuid(*registration), "live": true, "told_version": {"$lt": facts.version}};
        if tx
            .update(
                ATTENDANCES,
                untold,
                doc! {"$set": {"told_version": facts.version}},
            )
            .await?
        {
            reminders::follow(tx, *registration, facts, now).await?;
            queued.extend(letters.iter().map(|letter| (letter, Some(facts.version))));
        }
    }
    letters::queue(tx, &queued, now).await?;
    Ok(true)
}
