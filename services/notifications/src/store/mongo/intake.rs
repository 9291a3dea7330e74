//! Messages from other services, consumed with their effect.

use std::collections::HashSet;

use common::{
    clock::Timestamp,
    ids::{RegistrationId, UserId},
    store::StoreError,
    wire::EventFacts,
};
use mongo_store::{DocumentExt, Tx, date, inbox, uuid, uuids};
use mongodb::bson::{Document, doc};

use super::{
    events::Newest,
    letters::{self, Queued},
    reminders,
    schema::{ATTENDANCES, FORGOTTEN, MESSAGES, PREFERENCES, SCHEDULES},
    wordings::WORDINGS,
};
use crate::{
    domain::message::{Kind, Letter},
    store::{Change, Intake, WITHDRAWN_AT_END},
};

/// Consumes messages in order. What only adds is collected and written together at the end, which makes a transaction
/// of many hardly longer than one of few.
pub(super) async fn take(tx: &mut Tx, batch: &[Intake], now: Timestamp) -> Result<(), StoreError> {
    let new = inbox::first_times(tx, batch.iter().map(|intake| intake.id), now).await?;
    let mut writing = Writing::begin(tx, batch, now).await?;
    let mut seen = HashSet::new();
    for intake in batch {
        if new.contains(&intake.id) && seen.insert(intake.id) {
            writing.apply(tx, &intake.change).await?;
        }
    }
    writing.flush(tx).await
}

struct Writing<'a> {
    now: Timestamp,
    newest: Newest,
    /// Registrations of this batch that are known.
    heard_of: HashSet<RegistrationId>,
    attendances: Vec<Document>,
    schedules: Vec<Document>,
    letters: Vec<Queued<'a>>,
}

impl<'a> Writing<'a> {
    async fn begin(tx: &mut Tx, batch: &[Intake], now: Timestamp) -> Result<Self, StoreError> {
        let confirmed: Vec<RegistrationId> = batch
            .iter()
            .filter_map(|intake| match &intake.change {
                Change::Confirmed { registration_id, .. } => Some(*registration_id),
                _ => None,
            })
            .collect();
        let limit = confirmed.len();
        let found = tx
            .find(
                ATTENDANCES,
                doc! {"_id": {"$in": uuids(confirmed)}},
                doc! {},
                limit,
            )
            .await?;
        Ok(Self {
            now,
            newest: Newest::default(),
            heard_of: found
                .iter()
                .map(|found| found.id("_id"))
                .collect::<Result<_, _>>()?,
            attendances: Vec::new(),
            schedules: Vec::new(),
            letters: Vec::new(),
        })
    }

    async fn apply(&mut self, tx: &mut Tx, change: &'a Change) -> Result<(), StoreError> {
        match change {
            Change::Confirmed {
                registration_id,
                user_id,
                facts,
                paid,
                letters,
            } => {
                if *paid {
                    let kinds = [Kind::PaymentFailed, Kind::HoldExpired];
                    self.withdraw(tx, *registration_id, &kinds).await?;
                }
                self.confirmed(tx, *registration_id, *user_id, facts, letters)
                    .await
            }
            Change::Unpaid {
                registration_id,
                facts,
                letters,
            } => self.unpaid(tx, *registration_id, facts.as_ref(), letters).await,
            Change::Ended {
                registration_id,
                user_id,
                facts,
                letters,
            } => self.ended(tx, *registration_id, *user_id, facts, letters).await,
            Change::EventChanged(facts) => self.newest.learn(tx, facts, self.now).await.map(drop),
            Change::Told { letters } => {
                self.letters.extend(letters.iter().map(|letter| (letter, None)));
                Ok(())
            }
            Change::ToldOf { facts, letters } => {
                let version = self.newest.learn(tx, facts, self.now).await?.version;
                self.letters
                    .extend(letters.iter().map(|letter| (letter, Some(version))));
                Ok(())
            }
            Change::Forget { user_id } => {
                let at = doc! {"$setOnInsert": {"at": date(self.now)}};
                tx.upsert(FORGOTTEN, doc! {"_id": uuid(*user_id)}, at).await?;
                tx.delete(MESSAGES, doc! {"user_id": uuid(*user_id)}).await?;
                tx.delete(PREFERENCES, doc! {"_id": uuid(*user_id)}).await?;
                tx.delete(WORDINGS, doc! {"organizer": uuid(*user_id)}).await?;
                Ok(())
            }
            Change::Nothing => Ok(()),
        }
    }

    async fn confirmed(
        &mut self,
        tx: &mut Tx,
        registration: RegistrationId,
        user: UserId,
        facts: &EventFacts,
        letters: &'a [Letter],
    ) -> Result<(), StoreError> {
        let facts = self.newest.learn(tx, facts, self.now).await?;
        if !self.heard_of.insert(registration) {
            return Ok(());
        }
        self.attendances.push(doc! {
            "_id": uuid(registration),
            "user_id": uuid(user),
            "event_id": uuid(facts.event_id),
            "told_version": facts.version,
            "live": true,
        });
        self.schedules
            .extend(reminders::planned(registration, &facts, self.now));
        self.letters
            .extend(letters.iter().map(|letter| (letter, Some(facts.version))));
        Ok(())
    }

    async fn unpaid(
        &mut self,
        tx: &mut Tx,
        registration: RegistrationId,
        facts: Option<&EventFacts>,
        letters: &'a [Letter],
    ) -> Result<(), StoreError> {
        let version = match facts {
            Some(facts) => Some(self.newest.learn(tx, facts, self.now).await?.version),
            None => None,
        };
        // What is known of it may be among what is still to be written.
        self.flush(tx).await?;
        let attends = tx.find_one(ATTENDANCES, doc! {"_id": uuid(registration)}).await?;
        let expired = doc! {"occurrence": uuid(registration), "kind": Kind::HoldExpired.name()};
        if attends.is_some() || tx.find_one(MESSAGES, expired).await?.is_some() {
            return Ok(());
        }
        if letters.iter().any(|letter| letter.kind == Kind::HoldExpired) {
            letters::withdraw(tx, registration, &[Kind::PaymentFailed], i64::MAX).await?;
        }
        self.letters
            .extend(letters.iter().map(|letter| (letter, version)));
        Ok(())
    }

    async fn withdraw(
        &mut self,
        tx: &mut Tx,
        registration: RegistrationId,
        kinds: &[Kind],
    ) -> Result<(), StoreError> {
        let about = |(letter, _): &Queued<'_>| letter.occurrence == registration.0;
        if self.letters.iter().any(about) {
            self.flush(tx).await?;
        }
        letters::withdraw(tx, registration, kinds, i64::MAX).await
    }

    async fn ended(
        &mut self,
        tx: &mut Tx,
        registration: RegistrationId,
        user: UserId,
        facts: &EventFacts,
        letters: &'a [Letter],
    ) -> Result<(), StoreError> {
        // What it ends may be among what is still to be written.
        self.flush(tx).await?;
        let facts = self.newest.learn(tx, facts, self.now).await?;
        let end = doc! {
            "$set": {"live": false},
            "$setOnInsert": {"user_id": uuid(user), "event_id": uuid(facts.event_id), "told_version": facts.version},
        };
        tx.upsert(ATTENDANCES, doc! {"_id": uuid(registration)}, end)
            .await?;
        self.heard_of.insert(registration);
        reminders::drop_all(tx, registration).await?;
        letters::withdraw(tx, registration, &WITHDRAWN_AT_END, i64::MAX).await?;
        self.letters
            .extend(letters.iter().map(|letter| (letter, Some(facts.version))));
        Ok(())
    }

    async fn flush(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.insert(ATTENDANCES, std::mem::take(&mut self.attendances))
            .await?;
        tx.insert(SCHEDULES, std::mem::take(&mut self.schedules)).await?;
        letters::queue(tx, &std::mem::take(&mut self.letters), self.now).await
    }
}
