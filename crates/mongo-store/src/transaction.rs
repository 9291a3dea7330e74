//! Transactions: every operation of one goes through [`Tx`], so that none can miss the session.

use std::time::{Duration, Instant};

use futures_util::{TryStreamExt, future::BoxFuture};
use mongodb::{
    ClientSession, Collection, Database,
    bson::{Document, doc},
    error::Result as DriverResult,
    options::{
        Acknowledgment, ReadConcern, ReturnDocument, TransactionOptions, UpdateModifications, WriteConcern,
    },
};

use super::{Mongo, OPERATION, error};
use common::store::StoreError;

/// For how long a change is tried again when it meets others: several times what it takes until a dead process's
/// transaction is ended ([`super::sessions`]), and less than a request may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Tries after violations of a unique index. The second look sees what was in the way, unless the code that decides
/// is wrong; then this ends it.
const DUPLICATES: u32 = 8;

/// A transaction, or reads and single writes outside of one. Collections are named as in the service's schema.
pub struct Tx {
    db: Database,
    session: Option<ClientSession>,
    again: Again,
}

/// Whether an operation failed in a way that makes the whole transaction worth another try.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    Conflict,
    Duplicate,
}

macro_rules! run {
    ($tx:ident, $action:expr) => {{
        let action = $action;
        let outcome = match $tx.session.as_mut() {
            Some(session) => tokio::time::timeout(OPERATION, action.session(session).into_future()).await,
            None => tokio::time::timeout(OPERATION, action.into_future()).await,
        };
        $tx.note(outcome)
    }};
}

impl Tx {
    /// Outside of any transaction.
    pub fn without_session(db: Database) -> Self {
        Self {
            db,
            session: None,
            again: Again::No,
        }
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.db.collection(name)
    }

    fn note<T>(
        &mut self,
        outcome: Result<DriverResult<T>, tokio::time::error::Elapsed>,
    ) -> Result<T, StoreError> {
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failed)) => {
                if error::is_transient(&failed) {
                    self.again = Again::Conflict;
                } else if error::is_duplicate(&failed) {
                    self.again = Again::Duplicate;
                }
                Err(error::store(failed))
            }
            Err(_) => Err(error::late()),
        }
    }

    /// Whether the operation that failed last violated a unique index. Within a transaction nothing can follow;
    /// [`Mongo::write`] begins again.
    pub fn met_duplicate(&self) -> bool {
        self.again == Again::Duplicate
    }

    /// The first document that matches.
    ///
    /// # Errors
    /// A storage error.
    pub async fn find_one(
        &mut self,
        collection: &str,
        filter: Document,
    ) -> Result<Option<Document>, StoreError> {
        let collection = self.collection(collection);
        run!(self, collection.find_one(filter).max_time(OPERATION))
    }

    /// At most `limit` documents that match, in the order of `sort`.
    ///
    /// # Errors
    /// A storage error.
    pub async fn find(
        &mut self,
        collection: &str,
        filter: Document,
        sort: Document,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new()); // to MongoDB 0 means all
        }
        let limit = i64::from(i32::try_from(limit).unwrap_or(i32::MAX));
        let find = self.collection(collection);
        let find = find.find(filter).sort(sort).limit(limit).max_time(OPERATION);
        let outcome = match self.session.as_mut() {
            Some(session) => {
                let all = async {
                    let mut cursor = find.session(&mut *session).await?;
                    cursor.stream(session).try_collect().await
                };
                tokio::time::timeout(OPERATION, all).await
            }
            None => tokio::time::timeout(OPERATION, async { find.await?.try_collect().await }).await,
        };
        self.note(outcome)
    }

    /// Runs an aggregation; it must bound its own results.
    ///
    /// # Errors
    /// A storage error.
    pub async fn aggregate(
        &mut self,
        collection: &str,
        pipeline: Vec<Document>,
    ) -> Result<Vec<Document>, StoreError> {
        let aggregate = self.collection(collection);
        let aggregate = aggregate.aggregate(pipeline).max_time(OPERATION);
        let outcome = match self.session.as_mut() {
            Some(session) => {
                let all = async {
                    let mut cursor = aggregate.session(&mut *session).await?;
                    cursor.stream(session).try_collect().await
                };
                tokio::time::timeout(OPERATION, all).await
            }
            None => tokio::time::timeout(OPERATION, async { aggregate.await?.try_collect().await }).await,
        };
        self.note(outcome)
    }

    /// How many documents match.
    ///
    /// # Errors
    /// A storage error.
    pub async fn count(&mut self, collection: &str, filter: Document) -> Result<u64, StoreError> {
        let collection = self.collection(collection);
        run!(self, collection.count_documents(filter).max_time(OPERATION))
    }

    /// Adds documents; none is fine.
    ///
    /// # Errors
    /// A storage error, a violated unique index included ([`Tx::met_duplicate`]).
    pub async fn insert(&mut self, collection: &str, documents: Vec<Document>) -> Result<(), StoreError> {
        if documents.is_empty() {
            return Ok(());
        }
        let collection = self.collection(collection);
        run!(self, collection.insert_many(documents)).map(drop)
    }

    /// Changes the first document that matches; `true` when there was one.
    ///
    /// # Errors
    /// A storage error.
    pub async fn update(
        &mut self,
        collection: &str,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> Result<bool, StoreError> {
        let collection = self.collection(collection);
        let result = run!(self, collection.update_one(filter, update))?;
        Ok(result.matched_count == 1)
    }

    /// As [`Tx::update`], past the validator: for a document that may break its rules already.
    ///
    /// # Errors
    /// A storage error.
    pub async fn update_unchecked(
        &mut self,
        collection: &str,
        filter: Document,
        update: Document,
    ) -> Result<bool, StoreError> {
        let collection = self.collection(collection);
        let update = collection.update_one(filter, update);
        let result = run!(self, update.bypass_document_validation(true))?;
        Ok(result.matched_count == 1)
    }

    /// Changes all documents that match; gives their number.
    ///
    /// # Errors
    /// A storage error.
    pub async fn update_all(
        &mut self,
        collection: &str,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> Result<u64, StoreError> {
        let collection = self.collection(collection);
        Ok(run!(self, collection.update_many(filter, update))?.matched_count)
    }

    /// Changes the document that matches, or makes it; `true` when it was made.
    ///
    /// # Errors
    /// A storage error.
    pub async fn upsert(
        &mut self,
        collection: &str,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> Result<bool, StoreError> {
        let collection = self.collection(collection);
        let result = run!(self, collection.update_one(filter, update).upsert(true))?;
        Ok(result.upserted_id.is_some())
    }

    /// Changes the first document that matches, in the order of `sort`, and gives it as it is afterwards.
    ///
    /// # Errors
    /// A storage error.
    pub async fn find_and_update(
        &mut self,
        collection: &str,
        filter: Document,
        sort: Document,
        update: impl Into<UpdateModifications>,
    ) -> Result<Option<Document>, StoreError> {
        let collection = self.collection(collection);
        let action = collection.find_one_and_update(filter, update).sort(sort);
        run!(
            self,
            action.return_document(ReturnDocument::After).max_time(OPERATION)
        )
    }

    /// Drops all documents that match; gives their number.
    ///
    /// # Errors
    /// A storage error.
    pub async fn delete(&mut self, collection: &str, filter: Document) -> Result<u64, StoreError> {
        let collection = self.collection(collection);
        Ok(run!(self, collection.delete_many(filter))?.deleted_count)
    }

    /// Drops at most `limit` documents that match, found in the order of `sort`; gives their number.
    ///
    /// # Errors
    /// A storage error.
    pub async fn delete_some(
        &mut self,
        collection: &str,
        filter: Document,
        sort: Document,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let found = self.find(collection, filter.clone(), sort, limit).await?;
        let ids: Vec<_> = found
            .iter()
            .filter_map(|found| found.get("_id").cloned())
            .collect();
        if ids.is_empty() {
            return Ok(0);
        }
        // One that has changed in the meantime may match no longer.
        let these = doc! {"$and": [{"_id": {"$in": ids}}, filter]};
        let dropped = self.delete(collection, these).await?;
        Ok(usize::try_from(dropped).unwrap_or(usize::MAX))
    }
}

/// Runs a change until it is through, its own outcome is an error, or patience ends.
pub(super) async fn run<C, T, E>(
    mongo: &Mongo,
    context: &C,
    change: for<'a> fn(&'a mut Tx, &'a C) -> BoxFuture<'a, Result<T, E>>,
) -> Result<T, E>
where
    C: Send + Sync,
    T: Send,
    E: From<StoreError> + Send,
{
    let started = Instant::now();
    let (mut tries, mut duplicates) = (0u32, 0u32);
    loop {
        let mut tx = begin(mongo).await?;
        let outcome = change(&mut tx, context).await;
        let again = match (&outcome, tx.again) {
            (Ok(_), Again::No) => match commit(&mut tx, started).await {
                Ok(Committed::Yes) => return outcome,
                Ok(Committed::Again) => Again::Conflict,
                Err(error) => return Err(error.into()),
            },
            // A change that went on after a failed operation did not see the error; it is void.
            (_, again) => {
                abort(tx).await;
                again
            }
        };
        tries += 1;
        duplicates += u32::from(again == Again::Duplicate);
        if again == Again::No || duplicates > DUPLICATES {
            return outcome;
        }
        if started.elapsed() > PATIENCE {
            tracing::warn!(tries, "a change met others for too long");
            return Err(StoreError::Overloaded.into());
        }
        tokio::time::sleep(pause(tries)).await;
    }
}

/// Exponential with full jitter, so that transactions that conflicted do not conflict again.
fn pause(tries: u32) -> Duration {
    let ceiling = Duration::from_millis(4 << tries.min(6));
    ceiling.mul_f64(rand::random_range(0.1..1.0))
}

pub(super) async fn begin(mongo: &Mongo) -> Result<Tx, StoreError> {
    let mut session = super::bounded(mongo.client.start_session()).await?;
    mongo.sessions.note(&session).await?;
    let options = TransactionOptions::builder()
        .read_concern(ReadConcern::snapshot())
        .write_concern(WriteConcern::builder().w(Acknowledgment::Majority).build())
        .max_commit_time(OPERATION)
        .build();
    session
        .start_transaction()
        .with_options(options)
        .await
        .map_err(error::store)?;
    Ok(Tx {
        db: mongo.db.clone(),
        session: Some(session),
        again: Again::No,
    })
}

enum Committed {
    Yes,
    Again,
}

/// A commit whose answer was lost is sent again, which the server allows: it returns the outcome.
async fn commit(tx: &mut Tx, started: Instant) -> Result<Committed, StoreError> {
    let Some(session) = tx.session.as_mut() else {
        return Ok(Committed::Yes);
    };
    loop {
        let failed = match tokio::time::timeout(OPERATION, session.commit_transaction().into_future()).await {
            Ok(Ok(())) => return Ok(Committed::Yes),
            Ok(Err(failed)) => failed,
            Err(_) if started.elapsed() < PATIENCE => continue,
            Err(_) => return Err(error::late()),
        };
        if error::is_commit_unknown(&failed) && started.elapsed() < PATIENCE {
            tokio::time::sleep(pause(3)).await;
        } else if error::is_transient(&failed) {
            return Ok(Committed::Again);
        } else {
            return Err(error::store(failed));
        }
    }
}

/// What is not aborted by this the server aborts itself after a minute (transactionLifetimeLimitSeconds).
async fn abort(mut tx: Tx) {
    if let Some(session) = tx.session.as_mut() {
        let _ = tokio::time::timeout(OPERATION, session.abort_transaction().into_future()).await;
    }
}
