//! Changes of events on their way to those who attend.

use std::{collections::HashMap, sync::Arc};

use common::{
    clock::Timestamp,
    ids::{EventId, RegistrationId},
    mongo::{Fields, Tx},
    store::StoreError,
    wire::EventFacts,
};
use mongodb::bson::{Document, doc};

use super::{
    events::at_version,
    letters::{self, Letter},
    reminders,
    schema::{ANNOUNCEMENTS, ATTENDANCES},
};
use crate::store::{Announcement, Attendee, Step};

pub(super) async fn next(tx: &mut Tx, limit: usize) -> Result<Option<Announcement>, StoreError> {
    let found = tx.find(ANNOUNCEMENTS, doc! {}, doc! {"created_at": 1}, 1).await?;
    let Some(found) = found.first() else {
        return Ok(None);
    };
    let event: EventId = found.id("_id")?;
    let cursor: Option<RegistrationId> = found.maybe_id("cursor")?;
    let mut versions = HashMap::new();
    let facts = known(tx, &mut versions, event, found.long("version")?).await?;
    let mut rest = doc! {"event_id": event, "live": true};
    if let Some(cursor) = cursor {
        rest.insert("_id", doc! {"$gt": cursor});
    }
    let found = tx.find(ATTENDANCES, rest, doc! {"_id": 1}, limit).await?;
    let mut attendees = Vec::with_capacity(found.len());
    for attendee in &found {
        attendees.push(Attendee {
            registration_id: attendee.id("_id")?,
            user_id: attendee.id("user_id")?,
            known: known(tx, &mut versions, event, attendee.long("told_version")?).await?,
        });
    }
    Ok(Some(Announcement {
        facts,
        cursor,
        attendees,
    }))
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
    let mut standing = doc! {"_id": step.facts.event_id, "version": step.facts.version};
    match step.cursor {
        Some(cursor) => standing.insert("cursor", cursor),
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
        .update(ANNOUNCEMENTS, standing(step), doc! {"$set": {"cursor": last}})
        .await?
    {
        return Ok(false);
    }
    let mut queued: Vec<Letter<'_>> = Vec::new();
    for (registration, letters) in &step.reached {
        let untold = doc! {"_id": registration, "live": true, "told_version": {"$lt": facts.version}};
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
