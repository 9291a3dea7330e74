//! The words that events have of their own.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use common::{
    clock::from_millis,
    http::{Cursor, Page},
    ids::{EventId, UserId, WordingId},
    store::StoreError,
    unreadable::Sifted,
};
use mongo_store::{Collection, DocumentExt, Index, Key, Tx, date, uuid, uuids};
use mongodb::bson::{Document, doc};

use super::schema::FORGOTTEN;
use crate::{
    domain::{
        message::{Details, Letter},
        wording::{OwnWords, Wording, kind_of, kinds, may_differ},
    },
    store::table,
};

pub(super) const WORDINGS: &str = "wordings";

/// Words that a letter was written with stay when others take their place.
pub(super) const SCHEMA: Collection = Collection {
    name: WORDINGS,
    fields: &[
        ("event_id", "binData"),
        ("kind", "string"), // the name of a template
        ("organizer", "binData"),
        ("subject", "string"),
        ("text", "string"),
        ("sms", "string?"),
        ("created_at", "date"),
        ("current", "bool"), // whether they are in force
        ("used", "bool"),    // whether a letter was written with them
    ],
    check: None,
    indexes: &[
        Index::unique(&[("event_id", 1), ("kind", 1)]).only(|| doc! {"current": true}),
        Index::on(&[("organizer", 1), ("created_at", -1), ("_id", -1)]),
    ],
};

fn read(found: &Document) -> Result<Wording, StoreError> {
    Ok(Wording {
        id: found.id("_id")?,
        event_id: found.id("event_id")?,
        kind: found.named("kind", kind_of)?,
        organizer: found.id("organizer")?,
        words: words(found)?,
        created_at: found.time("created_at")?,
    })
}

fn words(found: &Document) -> Result<OwnWords, StoreError> {
    Ok(OwnWords {
        subject: found.text("subject")?,
        text: found.text("text")?,
        sms: found.maybe_text("sms")?,
    })
}

fn readable(found: &[Document]) -> Result<Vec<Wording>, StoreError> {
    let mut wordings = Sifted::default();
    for found in found {
        wordings.add(read(found), || Key::of(found))?;
    }
    Ok(wordings.left_out(table::WORDINGS))
}

pub(super) async fn of_event(tx: &mut Tx, event: EventId) -> Result<Vec<Wording>, StoreError> {
    let theirs = doc! {"event_id": uuid(event), "current": true};
    let found = tx
        .find(WORDINGS, theirs, doc! {"kind": 1}, kinds().count())
        .await?;
    readable(&found)
}

pub(super) async fn by_organizer(
    tx: &mut Tx,
    organizer: UserId,
    page: Page,
) -> Result<Vec<Wording>, StoreError> {
    let mut theirs = doc! {"organizer": uuid(organizer)};
    if let Some(Cursor { key, id }) = page.after {
        let at = date(from_millis(key));
        theirs.insert(
            "$or",
            vec![
                doc! {"created_at": {"$lt": at.clone()}},
                doc! {"created_at": at, "_id": {"$lt": uuid(id)}},
            ],
        );
    }
    let newest_first = doc! {"created_at": -1, "_id": -1};
    let found = tx.find(WORDINGS, theirs, newest_first, page.limit + 1).await?;
    readable(&found)
}

/// Two at the same time meet at the words that both replace, or at the unique index; the one that comes second looks again.
pub(super) async fn set(tx: &mut Tx, wording: &Wording) -> Result<Wording, StoreError> {
    end(tx, wording.event_id, wording.kind).await?;
    let organizer = doc! {"_id": uuid(wording.organizer)};
    if tx.find_one(FORGOTTEN, organizer).await?.is_some() {
        return Ok(wording.clone());
    }
    let mut document = doc! {
        "_id": uuid(wording.id),
        "event_id": uuid(wording.event_id),
        "kind": wording.kind,
        "organizer": uuid(wording.organizer),
        "subject": &wording.words.subject,
        "text": &wording.words.text,
        "created_at": date(wording.created_at),
        "current": true,
        "used": false,
    };
    document.put("sms", wording.words.sms.as_deref());
    tx.insert(WORDINGS, vec![document]).await?;
    Ok(wording.clone())
}

/// From now on the standard words are in force.
pub(super) async fn end(tx: &mut Tx, event: EventId, kind: &str) -> Result<(), StoreError> {
    let current = doc! {"event_id": uuid(event), "kind": kind, "current": true};
    let mut unused = current.clone();
    unused.insert("used", false);
    tx.delete(WORDINGS, unused).await?;
    tx.update_all(WORDINGS, current, doc! {"$set": {"current": false}})
        .await
        .map(drop)
}

/// The words in force for letters.
#[derive(Default)]
pub(super) struct InForce(HashMap<(EventId, &'static str), WordingId>);

impl InForce {
    /// Those for these letters, noted as used: who replaces them meanwhile begins again, and keeps them.
    pub(super) async fn of(tx: &mut Tx, letters: impl Iterator<Item = &Letter>) -> Result<Self, StoreError> {
        let differing = letters.filter(|letter| may_differ(letter.kind));
        let events: HashSet<EventId> = differing.filter_map(|letter| letter.event_id).collect();
        if events.is_empty() {
            return Ok(Self::default());
        }
        let most = events.len().saturating_mul(kinds().count());
        let theirs = doc! {"event_id": {"$in": uuids(events)}, "current": true};
        let found = tx.find(WORDINGS, theirs, doc! {}, most).await?;
        let (mut in_force, mut new) = (HashMap::new(), Vec::new());
        for found in &found {
            // What cannot be read is in force nowhere: the standard words are better than no letter.
            let Ok(wording) = read(found) else { continue };
            in_force.insert((wording.event_id, wording.kind), wording.id);
            if !found.flag("used").unwrap_or_default() {
                new.push(wording.id);
            }
        }
        if !new.is_empty() {
            let these = doc! {"_id": {"$in": uuids(new)}};
            tx.update_all(WORDINGS, these, doc! {"$set": {"used": true}})
                .await?;
        }
        Ok(Self(in_force))
    }

    /// What a letter holds, with the words that are in force for it.
    pub(super) fn worded<'a>(&self, letter: &'a Letter) -> Cow<'a, Details> {
        let kind = letter.kind.template();
        let event = letter.event_id.filter(|_| may_differ(letter.kind));
        match event.and_then(|event| self.0.get(&(event, kind))) {
            Some(id) => Cow::Owned(Details {
                wording: Some(*id),
                ..letter.details.clone()
            }),
            None => Cow::Borrowed(&letter.details),
        }
    }
}

/// What words say, each looked up once.
#[derive(Default)]
pub(super) struct Own(HashMap<WordingId, Option<Arc<OwnWords>>>);

impl Own {
    /// These words; `None`: they are gone.
    pub(super) async fn of(
        &mut self,
        tx: &mut Tx,
        id: WordingId,
    ) -> Result<Option<Arc<OwnWords>>, StoreError> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let found = tx.find_one(WORDINGS, doc! {"_id": uuid(id)}).await?;
        // The standard words are better than no letter.
        let found = found.and_then(|found| words(&found).ok()).map(Arc::new);
        self.0.insert(id, found.clone());
        Ok(found)
    }
}
