//! Announcements of organizers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    ids::{AnnouncementId, EventId, RegistrationId, UserId},
    store::StoreError,
    unreadable::{Sifted, set_aside},
    wire::Recipients,
};
use mongo_store::{Collection, DocumentExt, Index, Key, Tx, date, uuid, uuids};
use mongodb::bson::{Document, doc};

use super::{
    events::Newest,
    letters::{self, Queued},
    preferences,
    schema::{ATTENDANCES, MESSAGES},
};
use crate::{
    domain::{
        broadcast::{
            A_DAY, Broadcast, Channels, Counts, DAY, State, TO_ONE_A_DAY, Words, mark, may_announce, reaches,
        },
        message::Kind,
        preferences::chosen,
    },
    store::{
        broadcasts::{AnnounceError, BroadcastStep, DueBroadcast, Progress, Reached, WithdrawError},
        table,
    },
};

const BROADCASTS: &str = "broadcasts";

/// What organizers write to those who take part in their events.
pub(super) const SCHEMA: Collection = Collection {
    name: BROADCASTS,
    fields: &[
        ("event_id", "binData"),
        ("organizer", "binData"),
        ("subject", "string"),
        ("text", "string"),
        ("recipients_are", "string"), // which of those who take part
        ("channels", "string"),
        ("state", "string"),
        ("send_at", "date"),
        ("due_at", "date"), // the next step, later than send_at after a failure
        ("created_at", "date"),
        ("started_at", "date?"),
        ("cursor", "binData?"), // the last user reached
        ("recipients", "long"),
        ("skipped", "long"),
        ("why", "string?"), // of one that was set aside, because it cannot be read
    ],
    check: Some(|| doc! {"state": {"$in": ["scheduled", "sending", "sent", "cancelled"]}}),
    indexes: &[
        Index::on(&[("event_id", 1), ("_id", -1)]),
        Index::on(&[("organizer", 1), ("created_at", -1), ("_id", -1)]),
        Index::on(&[("state", 1), ("due_at", 1)]),
    ],
};

fn read(found: &Document) -> Result<Broadcast, StoreError> {
    let count = |name| {
        let count = found.long(name)?;
        u64::try_from(count).map_err(|_| StoreError::Corrupt(format!("{name} is {count}")))
    };
    Ok(Broadcast {
        id: found.id("_id")?,
        event_id: found.id("event_id")?,
        organizer: found.id("organizer")?,
        words: words(found)?,
        to: found.named("recipients_are", Recipients::parse)?,
        channels: found.named("channels", Channels::from_store)?,
        state: found.named("state", State::parse)?,
        send_at: found.time("send_at")?,
        created_at: found.time("created_at")?,
        recipients: count("recipients")?,
        skipped: count("skipped")?,
    })
}

fn words(found: &Document) -> Result<Words, StoreError> {
    Ok(Words {
        subject: found.text("subject")?,
        text: found.text("text")?,
    })
}

pub(super) async fn create(tx: &mut Tx, broadcast: &Broadcast) -> Result<Broadcast, AnnounceError> {
    let now = broadcast.created_at;
    let recent = doc! {
        "organizer": uuid(broadcast.organizer),
        "created_at": {"$gt": date(now - DAY)},
        "state": {"$ne": "cancelled"},
    };
    let found = tx
        .find(BROADCASTS, recent, doc! {"created_at": -1}, A_DAY)
        .await?;
    let earlier = found.iter().rev().map(|found| found.time("created_at"));
    let earlier = earlier.collect::<Result<Vec<_>, _>>()?;
    may_announce(&earlier, now).map_err(AnnounceError::TooMany)?;
    // Two at the same time both touch the latest one, so that the second is counted after the first.
    if let Some(latest) = found.first() {
        let touched = doc! {"$inc": {"touched": 1_i64}};
        tx.update(BROADCASTS, doc! {"_id": latest.get("_id")}, touched)
            .await?;
    }
    let document = doc! {
        "_id": uuid(broadcast.id),
        "event_id": uuid(broadcast.event_id),
        "organizer": uuid(broadcast.organizer),
        "subject": &broadcast.words.subject,
        "text": &broadcast.words.text,
        "recipients_are": broadcast.to.name(),
        "channels": broadcast.channels.to_store(),
        "state": broadcast.state.name(),
        "send_at": date(broadcast.send_at),
        "due_at": date(broadcast.send_at),
        "created_at": date(now),
        "recipients": 0_i64,
        "skipped": 0_i64,
    };
    tx.insert(BROADCASTS, vec![document]).await?;
    Ok(broadcast.clone())
}

fn this(id: AnnouncementId, event: EventId) -> Document {
    doc! {"_id": uuid(id), "event_id": uuid(event)}
}

pub(super) async fn one(
    tx: &mut Tx,
    id: AnnouncementId,
    event: EventId,
) -> Result<Option<(Broadcast, Counts)>, StoreError> {
    let Some(found) = tx.find_one(BROADCASTS, this(id, event)).await? else {
        return Ok(None);
    };
    let broadcast = read(&found)?;
    let counts = counts(tx, std::slice::from_ref(&broadcast)).await?;
    Ok(Some((
        broadcast,
        counts.get(&mark(id)).copied().unwrap_or_default(),
    )))
}

pub(super) async fn of_event(
    tx: &mut Tx,
    event: EventId,
    page: Page,
) -> Result<Vec<(Broadcast, Counts)>, StoreError> {
    let mut theirs = doc! {"event_id": uuid(event)};
    if let Some(cursor) = page.after {
        theirs.insert("_id", doc! {"$lt": uuid(cursor.id)});
    }
    let found = tx
        .find(BROADCASTS, theirs, doc! {"_id": -1}, page.limit + 1)
        .await?;
    let mut broadcasts = Sifted::default();
    for found in &found {
        broadcasts.add(read(found), || Key::of(found))?;
    }
    let broadcasts = broadcasts.left_out(table::BROADCASTS);
    let counts = counts(tx, &broadcasts).await?;
    Ok(broadcasts
        .into_iter()
        .map(|broadcast| {
            let counted = counts.get(&mark(broadcast.id)).copied();
            (broadcast, counted.unwrap_or_default())
        })
        .collect())
}

pub(super) async fn by_organizer(
    tx: &mut Tx,
    organizer: UserId,
    page: Page,
) -> Result<Vec<Broadcast>, StoreError> {
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
    let found = tx.find(BROADCASTS, theirs, newest_first, page.limit + 1).await?;
    let mut broadcasts = Sifted::default();
    for found in &found {
        broadcasts.add(read(found), || Key::of(found))?;
    }
    Ok(broadcasts.left_out(table::BROADCASTS))
}

/// What became of the letters of announcements, by mark.
async fn counts(tx: &mut Tx, broadcasts: &[Broadcast]) -> Result<HashMap<i64, Counts>, StoreError> {
    let marks: Vec<i64> = broadcasts.iter().map(|broadcast| mark(broadcast.id)).collect();
    let pipeline = vec![
        doc! {"$match": {"kind": Kind::Announcement.name(), "schedule_version": {"$in": marks}}},
        doc! {"$group": {
            "_id": {"mark": "$schedule_version", "status": "$status"},
            "letters": {"$sum": 1_i64},
        }},
    ];
    let mut counts: HashMap<i64, Counts> = HashMap::new();
    for group in tx.aggregate(MESSAGES, pipeline).await? {
        let key = group
            .get_document("_id")
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let letters = u64::try_from(group.long("letters")?).unwrap_or_default();
        let of = counts.entry(key.long("mark")?).or_default();
        of.add(&key.text("status")?, letters);
    }
    Ok(counts)
}

pub(super) async fn withdraw(
    tx: &mut Tx,
    id: AnnouncementId,
    event: EventId,
) -> Result<Broadcast, WithdrawError> {
    let found = tx.find_one(BROADCASTS, this(id, event)).await?;
    let found = read(&found.ok_or(WithdrawError::NoSuch)?)?;
    let scheduled = doc! {"_id": uuid(id), "state": State::Scheduled.name()};
    let withdrawn = doc! {"$set": {"state": State::Cancelled.name()}};
    if !tx.update(BROADCASTS, scheduled, withdrawn).await? {
        return Err(WithdrawError::UnderWay);
    }
    Ok(Broadcast {
        state: State::Cancelled,
        ..found
    })
}

pub(super) async fn due(tx: &mut Tx, now: Timestamp) -> Result<Option<DueBroadcast>, StoreError> {
    loop {
        let due = doc! {
            "state": {"$in": ["scheduled", "sending"]},
            "due_at": {"$lte": date(now)},
            "why": null,
        };
        let found = tx.find(BROADCASTS, due, doc! {"due_at": 1}, 1).await?;
        let Some(found) = found.first() else {
            return Ok(None);
        };
        let due = read(found).and_then(|broadcast| {
            Ok(DueBroadcast {
                broadcast,
                cursor: found.maybe_id("cursor")?,
            })
        });
        match due {
            Err(StoreError::Corrupt(why)) => {
                set_aside(table::BROADCASTS, &Key::of(found), &why);
                let this = doc! {"_id": found.get("_id")};
                tx.update_unchecked(BROADCASTS, this, doc! {"$set": {"why": why}})
                    .await?;
            }
            due => return due.map(Some),
        }
    }
}

pub(super) async fn step(tx: &mut Tx, step: &BroadcastStep, now: Timestamp) -> Result<bool, StoreError> {
    let mut standing = doc! {"_id": uuid(step.id), "state": {"$in": ["scheduled", "sending"]}};
    match step.cursor {
        Some(cursor) => standing.insert("cursor", uuid(cursor)),
        None => standing.insert("cursor", doc! {"$exists": false}),
    };
    let Progress::Reached { facts, people } = &step.progress else {
        let set = match step.progress {
            Progress::Delayed(until) => doc! {"due_at": date(until)},
            Progress::Stopped => doc! {"state": State::Cancelled.name()},
            Progress::Over | Progress::Reached { .. } => doc! {"state": State::Sent.name()},
        };
        return tx.update(BROADCASTS, standing, doc! {"$set": set}).await;
    };
    let Some(last) = people.last() else {
        return Ok(false);
    };
    let facts = Newest::default().learn(tx, facts, now).await?;
    let out = left_out(tx, step.id, facts.event_id, people, now).await?;
    let reached: Vec<&Reached> = people
        .iter()
        .filter(|person| !out.contains(&person.user_id))
        .collect();
    let mut set = doc! {"state": State::Sending.name(), "cursor": uuid(last.user_id)};
    if step.cursor.is_none() {
        set.insert("started_at", date(now));
    }
    let counted = doc! {
        "recipients": reached.len() as i64,
        "skipped": (people.len() - reached.len()) as i64,
    };
    if !tx
        .update(BROADCASTS, standing, doc! {"$set": set, "$inc": counted})
        .await?
    {
        return Ok(false);
    }
    let queued: Vec<Queued<'_>> = reached
        .into_iter()
        .flat_map(|person| &person.letters)
        .map(|letter| (letter, Some(facts.version)))
        .collect();
    letters::queue(tx, &queued, now).await?;
    Ok(true)
}

/// Of these people, those who are not to be written to: they no longer take part, there is no way to write to them that
/// they want, or they have got too many announcements of the event within a day.
async fn left_out(
    tx: &mut Tx,
    id: AnnouncementId,
    event: EventId,
    people: &[Reached],
    now: Timestamp,
) -> Result<HashSet<UserId>, StoreError> {
    let registrations = uuids(people.iter().map(|person| person.registration_id));
    let ended = doc! {"_id": {"$in": registrations}, "live": false};
    let ended = tx.find(ATTENDANCES, ended, doc! {}, people.len()).await?;
    let ended: HashSet<RegistrationId> = ended
        .iter()
        .map(|found| found.id("_id"))
        .collect::<Result<_, _>>()?;
    let mut out: HashSet<UserId> = people
        .iter()
        .filter(|person| ended.contains(&person.registration_id))
        .map(|person| person.user_id)
        .collect();
    let users = people.iter().map(|person| person.user_id).collect();
    let choices = preferences::of_all(tx, &users).await?;
    let unwanted = people.iter().filter(|person| {
        let choice = choices.get(&person.user_id);
        let mut letters = person.letters.iter();
        letters.all(|letter| chosen(letter, choice, now).is_none())
    });
    out.extend(unwanted.map(|person| person.user_id));
    let since = date(now - DAY);
    let others =
        doc! {"event_id": uuid(event), "_id": {"$ne": uuid(id)}, "started_at": {"$gt": since.clone()}};
    // Only then can somebody have got too many.
    if tx.count(BROADCASTS, others).await? < TO_ONE_A_DAY as u64 {
        return Ok(out);
    }
    let pipeline = vec![
        doc! {"$match": {
            "user_id": {"$in": uuids(people.iter().map(|person| person.user_id))},
            "created_at": {"$gt": since},
            "event_id": uuid(event),
            "kind": Kind::Announcement.name(),
        }},
        doc! {"$group": {"_id": "$user_id", "marks": {"$addToSet": "$schedule_version"}}},
    ];
    for group in tx.aggregate(MESSAGES, pipeline).await? {
        let got = group.get_array("marks").map_or(0, Vec::len);
        if !reaches(got) {
            out.insert(group.id("_id")?);
        }
    }
    Ok(out)
}

/// What announcements say, each looked up once.
#[derive(Default)]
pub(super) struct Said(HashMap<AnnouncementId, Option<Arc<Words>>>);

impl Said {
    /// The words of an announcement, if it is there.
    pub(super) async fn of(
        &mut self,
        tx: &mut Tx,
        id: AnnouncementId,
    ) -> Result<Option<Arc<Words>>, StoreError> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let found = tx.find_one(BROADCASTS, doc! {"_id": uuid(id)}).await?;
        let found = found.as_ref().map(words).transpose()?.map(Arc::new);
        self.0.insert(id, found.clone());
        Ok(found)
    }
}
