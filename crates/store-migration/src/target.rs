//! The databases that a migration ([`crate`]) copies into.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt;
use mongodb::{
    Client, Database,
    bson::{Bson, Document, doc},
};
use secrecy::SecretString;

use common::{clock::Timestamp, store::StoreError};
use mongo_store::{
    Collection, ENGINE_COLLECTIONS, HEARTBEAT, OPERATION, PROCESSES as RUNNING, Tx, bounded, connect, date,
    driver_error, late,
    mark::{self, Mark},
    require_replica_set,
};

/// Documents deleted at once.
const AT_ONCE: usize = 1_000;
/// Looks at one batch.
const TRIES: u32 = 10;
/// Processes that may ever have run on a database that is empty.
const PROCESSES: usize = 1_000;

/// The server, with no database chosen.
pub struct Server {
    client: Client,
    name: String,
}

impl Server {
    /// Connects.
    ///
    /// # Errors
    /// When the URI is not right, no server answers, or it is no replica set.
    pub async fn connect(uri: &SecretString) -> Result<Self, StoreError> {
        let (client, name) = connect(uri, "move", None).await?;
        require_replica_set(&client.database(&name)).await?;
        Ok(Self { client, name })
    }

    /// The database of a service.
    pub fn target(&self, service: &str) -> Target {
        Target(self.client.database(&format!("{}_{service}", self.name)))
    }
}

/// The database of a service.
pub struct Target(Database);

impl Target {
    fn tx(&self) -> Tx {
        Tx::without_session(self.0.clone())
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The migration's mark, if there is one.
    ///
    /// # Errors
    /// A storage error; so for all that follow.
    pub async fn mark(&self) -> Result<Option<Mark>, StoreError> {
        mark::find(&mut self.tx()).await
    }

    /// A collection with data in it, if there is one.
    ///
    /// # Errors
    /// A storage error.
    pub async fn anything(&self) -> Result<Option<String>, StoreError> {
        for name in bounded(self.0.list_collection_names()).await? {
            let no_data = ENGINE_COLLECTIONS.contains(&name.as_str()) || name.starts_with("system.");
            if !no_data && self.is_begun(&name).await? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Whether a collection has a document.
    ///
    /// # Errors
    /// A storage error.
    pub async fn is_begun(&self, collection: &str) -> Result<bool, StoreError> {
        Ok(self.tx().find_one(collection, doc! {}).await?.is_some())
    }

    /// Whether a process runs on it: one that sends another heartbeat while it is looked at.
    ///
    /// # Errors
    /// A storage error.
    pub async fn is_used(&self) -> Result<bool, StoreError> {
        let seen = async || -> Result<HashMap<String, Option<Bson>>, StoreError> {
            let found = self.tx().find(RUNNING, doc! {}, doc! {}, PROCESSES).await?;
            let processes = found.iter().map(|process| {
                let id = process.get("_id").map(ToString::to_string).unwrap_or_default();
                (id, process.get("seen_at").cloned())
            });
            Ok(processes.collect())
        };
        let before = seen().await?;
        if before.is_empty() {
            return Ok(false);
        }
        tokio::time::sleep(HEARTBEAT * 3).await;
        let after = seen().await?;
        // A process that is gone was dead, and was removed by a live one.
        Ok(after != before)
    }

    /// Sets the mark on a database that has none. Of two processes that do so at once one fails.
    ///
    /// # Errors
    /// A storage error.
    pub async fn begin(&self, mark: &Mark) -> Result<(), StoreError> {
        mark::SCHEMA.ensure(&self.0).await?;
        let mut document = mark::fields(mark);
        document.extend(mark::this());
        self.tx().insert(mark::NAME, vec![document]).await
    }

    /// Sets the mark anew.
    ///
    /// # Errors
    /// A storage error.
    pub async fn renew(&self, mark: &Mark) -> Result<(), StoreError> {
        self.change_mark(doc! {"$set": mark::fields(mark)}).await
    }

    /// Notes that all is there.
    ///
    /// # Errors
    /// A storage error.
    pub async fn done(&self, at: Timestamp) -> Result<(), StoreError> {
        self.change_mark(doc! {"$set": {"done_at": date(at)}}).await
    }

    /// Notes that what is there is not right, so that the next run begins anew.
    ///
    /// # Errors
    /// A storage error.
    pub async fn spoil(&self) -> Result<(), StoreError> {
        self.change_mark(doc! {"$set": {"content": "not what was copied"}})
            .await
    }

    async fn change_mark(&self, update: Document) -> Result<(), StoreError> {
        if self.tx().update(mark::NAME, mark::this(), update).await? {
            return Ok(());
        }
        Err(StoreError::Corrupt(format!(
            "the mark in {} is gone",
            self.name()
        )))
    }

    /// Takes the mark away.
    ///
    /// # Errors
    /// A storage error.
    pub async fn forget(&self) -> Result<(), StoreError> {
        self.tx().delete(mark::NAME, mark::this()).await.map(drop)
    }

    /// Deletes what was copied, some at a time, so that no operation takes long. Collections are not dropped: on
    /// SecantusDB, on which this is tested, documents were seen to be there again when one was dropped and made anew.
    ///
    /// # Errors
    /// A storage error.
    pub async fn empty(&self, collections: &[Collection]) -> Result<(), StoreError> {
        let mut tx = self.tx();
        for Collection { name, .. } in collections {
            while tx.delete_some(name, doc! {}, doc! {"_id": 1}, AT_ONCE).await? > 0 {}
        }
        Ok(())
    }

    /// Makes the collections with their validators and indexes.
    ///
    /// # Errors
    /// A storage error.
    pub async fn ensure(&self, collections: &[Collection]) -> Result<(), StoreError> {
        for collection in collections {
            collection.ensure(&self.0).await?;
        }
        Ok(())
    }

    /// Adds documents; with `looks`, those that are not there yet.
    ///
    /// # Errors
    /// A storage error.
    pub async fn add(
        &self,
        collection: &str,
        mut documents: Vec<Document>,
        looks: bool,
    ) -> Result<(), StoreError> {
        // A document that a killed run had sent may arrive between the look and the insert; the next look sees it.
        for _ in 0..TRIES {
            let mut tx = self.tx();
            if looks && !documents.is_empty() {
                let ids: Vec<Bson> = documents
                    .iter()
                    .filter_map(|document| document.get("_id").cloned())
                    .collect();
                let these = doc! {"_id": {"$in": ids}};
                let found = tx.find(collection, these, doc! {}, documents.len()).await?;
                let key = |document: &Document| document.get("_id").map(ToString::to_string);
                let known: HashSet<Option<String>> = found.iter().map(key).collect();
                documents.retain(|document| !known.contains(&key(document)));
            }
            match tx.insert(collection, documents.clone()).await {
                Err(_) if looks && tx.met_duplicate() => {}
                ended => return ended,
            }
        }
        Err(StoreError::Unavailable("somebody else writes there".to_owned()))
    }

    /// Goes through all documents of a collection.
    ///
    /// # Errors
    /// What `each` returns, or a storage error.
    pub async fn each(
        &self,
        collection: &str,
        mut each: impl FnMut(Document) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut all = bounded(self.0.collection::<Document>(collection).find(doc! {})).await?;
        loop {
            let next = tokio::time::timeout(OPERATION, all.try_next()).await;
            match next.map_err(|_| late())?.map_err(driver_error)? {
                Some(document) => each(document)?,
                None => return Ok(()),
            }
        }
    }
}
