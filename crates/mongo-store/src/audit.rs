//! The audit trail in the service's own database.

use std::sync::Arc;

use async_trait::async_trait;
use mongodb::bson::{Document, doc};

use super::{Collection, DocumentExt, Index, Mongo, date, sift, uuid};
use common::{
    audit::{AT_ONCE, AuditStore, Entry, Wanted},
    clock::Timestamp,
    ids::UserId,
    store::StoreError,
};
use uuid::Uuid;

/// Part of the schema of every service. Documents are never changed.
pub const SCHEMA: Collection = Collection {
    name: NAME,
    fields: &[
        ("at", "date"),
        ("user_id", "binData?"),
        ("session_id", "binData?"),
        ("api_key_id", "binData?"),
        ("action", "string"),
        ("subject", "string?"),
        ("network", "string"),
        ("status", "long"),
        ("code", "string?"),
        ("request_id", "string"),
        ("times", "long"),
    ],
    check: None,
    indexes: &[
        Index::on(&[("at", 1), ("_id", 1)]),
        Index::on(&[("user_id", 1), ("at", 1), ("_id", 1)]).only(|| doc! {"user_id": {"$exists": true}}),
    ],
};
const NAME: &str = "audit";

/// The audit trail of a service.
pub struct MongoAudit(Mongo);

impl MongoAudit {
    /// As the service takes it.
    pub fn shared(db: Mongo) -> Arc<dyn AuditStore> {
        Arc::new(Self(db))
    }
}

fn document(entry: Entry) -> Document {
    let mut document = doc! {
        "_id": uuid(entry.id),
        "at": date(entry.at),
        "action": entry.action,
        "network": entry.network,
        "status": i64::from(entry.status),
        "request_id": entry.request_id,
        "times": i64::from(entry.times),
    };
    document.put("user_id", entry.user.map(uuid));
    document.put("session_id", entry.session.map(uuid));
    document.put("api_key_id", entry.api_key.map(uuid));
    document.put("subject", entry.subject);
    document.put("code", entry.code);
    document
}

fn entry(found: &Document) -> Result<Entry, StoreError> {
    let number = |name: &str| {
        let wrong = |_| StoreError::Corrupt(format!("an audit entry with an unreadable {name}"));
        found.long(name)?.try_into().map_err(wrong)
    };
    let id = |name: &str| match found.contains_key(name) {
        true => found.id::<Uuid>(name).map(Some),
        false => Ok(None),
    };
    Ok(Entry {
        id: found.id("_id")?,
        at: found.time("at")?,
        user: id("user_id")?.map(UserId),
        session: id("session_id")?,
        api_key: id("api_key_id")?,
        action: found.text("action")?,
        subject: found.maybe_text("subject")?,
        network: found.text("network")?,
        status: u16::try_from(number("status")?)
            .map_err(|_| StoreError::Corrupt("an audit entry with an unreadable status".to_owned()))?,
        code: found.maybe_text("code")?,
        request_id: found.text("request_id")?,
        times: number("times")?,
    })
}

#[async_trait]
impl AuditStore for MongoAudit {
    async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let documents: Vec<Document> = entries.into_iter().map(document).collect();
        let mut tx = self.0.read();
        if tx.insert(NAME, documents.clone()).await.is_ok() {
            return Ok(());
        }
        // Some may have been added before the answer was lost.
        for document in documents {
            let this = doc! {"_id": document.get("_id")};
            tx.upsert(NAME, this, doc! {"$setOnInsert": document}).await?;
        }
        Ok(())
    }

    async fn entries(&self, wanted: Wanted) -> Result<Vec<Entry>, StoreError> {
        let mut filter = doc! {};
        filter.put("user_id", wanted.user.map(uuid));
        let (reach, beyond, order) = match wanted.newest_first {
            true => ("$lte", "$lt", -1),
            false => ("$gte", "$gt", 1),
        };
        let mut times = doc! {};
        times.put("$gte", wanted.since.map(date));
        if let Some((at, id)) = wanted.after {
            let from = if wanted.newest_first {
                at
            } else {
                wanted.since.map_or(at, |since| since.max(at))
            };
            times.insert(reach, date(from));
            let beyond = vec![doc! {"at": {beyond: date(at)}}, doc! {"_id": {beyond: uuid(id)}}];
            filter.insert("$or", beyond);
        }
        if !times.is_empty() {
            filter.insert("at", times);
        }
        let order = doc! {"at": order, "_id": order};
        let found = self.0.read().find(NAME, filter, order, AT_ONCE).await?;
        Ok(sift(&found, entry)?.left_out("audit"))
    }

    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let old = doc! {"at": {"$lt": date(before)}};
        self.0
            .read()
            .delete_some(NAME, old, doc! {"at": 1, "_id": 1}, limit)
            .await
    }
}
