//! Damage to a MongoDB database, and a look at the plans of what is asked of it.

use std::{collections::BTreeMap, sync::Arc};

use mongo_store::{Collection, Mongo, uuid};
use mongodb::{
    bson::{Bson, Document, doc},
    event::{EventHandler, command::CommandEvent},
};
use parking_lot::Mutex;
use secrecy::SecretString;
use test_kit::damage::{Bad, Damager};

/// Damages documents of a database, past its validators.
pub fn damager(mongo: &Mongo) -> Damager {
    let mongo = mongo.clone();
    Box::new(move |damage| {
        let mongo = mongo.clone();
        Box::pin(async move {
            ask(&mongo, doc! {"collMod": damage.table, "validator": {}}).await;
            let (mut tx, these) = (mongo.read(), doc! {damage.key.1: uuid(damage.id)});
            let bad = match damage.to {
                Bad::Text(text) => Bson::from(text),
                Bad::Type => Bson::Double(0.5),
                Bad::Number(number) => Bson::Int64(number),
                Bad::Gone => {
                    assert!(tx.delete(damage.table, these).await.unwrap_or_default() > 0);
                    return;
                }
            };
            let done = tx
                .update_all(damage.table, these, doc! {"$set": {damage.field: bad}})
                .await;
            assert!(
                done.unwrap_or_default() > 0,
                "nothing was damaged in {}",
                damage.table
            );
        })
    })
}

/// The commands sent to one database, one of each form.
#[derive(Clone, Default)]
pub struct Watch(Arc<Mutex<BTreeMap<String, Document>>>);

impl Watch {
    /// Opens the database that `uri` names and listens.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self, uri: &SecretString, service: &str, collections: &[Collection]) -> Mongo {
        let seen = self.0.clone();
        let listen = move |event: CommandEvent| {
            if let CommandEvent::Started(started) = event
                && ["find", "update", "delete", "aggregate", "findAndModify"]
                    .contains(&started.command_name.as_str())
            {
                seen.lock()
                    .entry(form(&Bson::Document(started.command.clone())))
                    .or_insert(started.command);
            }
        };
        Mongo::open_watched(uri, service, collections, Some(EventHandler::callback(listen)))
            .await
            .unwrap_or_else(|error| panic!("MongoDB: {error}"))
    }

    /// Asks the server how it would carry out each command seen. SecantusDB explains only filters that an index covers
    /// in full; where it sees none, the rule by which MongoDB's planner finds candidates decides: the first field of an
    /// index is in the filter, or the sort begins with it, and the filter implies the index's own condition.
    ///
    /// # Panics
    /// When one of them reads a whole collection.
    pub async fn assert_no_scan(&self, mongo: &Mongo) {
        let commands: Vec<Document> = self.0.lock().values().cloned().collect();
        let build = ask(mongo, doc! {"buildInfo": 1}).await;
        let plans_in_full = !build.to_string().to_lowercase().contains("secantus");
        for mut command in commands {
            for of_session in OF_SESSION {
                command.remove(*of_session);
            }
            let plan = ask(
                mongo,
                doc! {"explain": command.clone(), "verbosity": "queryPlanner"},
            )
            .await;
            let scans = plan.to_string().contains("COLLSCAN");
            assert!(
                !scans || (!plans_in_full && has_index(mongo, &command).await),
                "reads a whole collection: {command}\n{plan}"
            );
        }
    }
}

const OF_SESSION: &[&str] = &[
    "lsid",
    "txnNumber",
    "startTransaction",
    "autocommit",
    "$db",
    "$clusterTime",
    "writeConcern",
    "readConcern",
    "$readPreference",
    "maxTimeMS",
];

async fn ask(mongo: &Mongo, command: Document) -> Document {
    let asked = mongo.command(command.clone()).await;
    asked.unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// Whether every filter of a command has an index to begin with.
async fn has_index(mongo: &Mongo, command: &Document) -> bool {
    let Some((_, Bson::String(collection))) = command.iter().next() else {
        return false;
    };
    let listed = ask(mongo, doc! {"listIndexes": collection}).await;
    let indexes = listed
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"));
    let indexes: Vec<Document> =
        indexes.map_or_else(|_| Vec::new(), |all| all.iter().filter_map(document).collect());
    let list = |name: &str| {
        command
            .get_array(name)
            .map_or_else(|_| Vec::new(), |all| all.iter().filter_map(document).collect())
    };
    let sort = command.get_document("sort").cloned().unwrap_or_default();
    let mut filters: Vec<Document> = list("updates")
        .iter()
        .chain(&list("deletes"))
        .filter_map(|one| document(one.get("q")?))
        .collect();
    filters.extend(
        list("pipeline")
            .iter()
            .take(1)
            .filter_map(|stage| document(stage.get("$match")?)),
    );
    filters.extend(
        ["filter", "query"]
            .iter()
            .filter_map(|name| document(command.get(name)?)),
    );
    !filters.is_empty()
        && filters.iter().all(|filter| {
            let mut fields = Document::new();
            flatten(filter, &mut fields);
            indexes.iter().any(|index| fits(index, &fields, &sort))
        })
}

fn document(value: &Bson) -> Option<Document> {
    value.as_document().cloned()
}

/// The conditions that must all hold, by field.
fn flatten(filter: &Document, fields: &mut Document) {
    for (name, condition) in filter {
        match (name.as_str(), condition) {
            ("$and", Bson::Array(all)) => all
                .iter()
                .filter_map(document)
                .for_each(|one| flatten(&one, fields)),
            (field, condition) if !field.starts_with('$') => {
                fields.insert(field, condition.clone());
            }
            _ => {}
        }
    }
}

fn fits(index: &Document, fields: &Document, sort: &Document) -> bool {
    let first = index
        .get_document("key")
        .ok()
        .and_then(|key| key.keys().next().cloned());
    let begins = first.is_some_and(|first| fields.contains_key(&first) || sort.keys().next() == Some(&first));
    let implied = |only: &Document| {
        only.iter().all(|(field, condition)| match fields.get(field) {
            // Whatever is compared with something exists.
            Some(_) if *condition == Bson::Document(doc! {"$exists": true}) => true,
            given => given == Some(condition),
        })
    };
    begins
        && index
            .get_document("partialFilterExpression")
            .map_or(true, implied)
}

/// The command without its values: two that differ in ids only are the same to the planner.
fn form(value: &Bson) -> String {
    match value {
        Bson::Document(document) => {
            let fields = document
                .iter()
                .filter(|(name, _)| !["lsid", "txnNumber", "$clusterTime"].contains(&name.as_str()));
            fields
                .map(|(name, value)| format!("{name}{{{}}}", form(value)))
                .collect()
        }
        Bson::Array(values) => values.first().map(form).unwrap_or_default(),
        Bson::String(_) => "s".to_owned(),
        Bson::Null => "n".to_owned(),
        _ => "v".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use mongo_store::Index;

    use super::*;

    const THINGS: Collection = Collection {
        name: "things",
        fields: &[("count", "long"), ("name", "string?")],
        check: None,
        indexes: &[Index::on(&[("name", 1)])],
    };

    #[tokio::test]
    async fn a_scan_is_seen() {
        let uri = test_kit::mongo::fresh_uri();
        let watch = Watch::default();
        let db = watch.open(&uri, "tests", &[THINGS]).await;
        db.read().find_one("things", doc! {"_id": 1}).await.unwrap();
        watch.assert_no_scan(&db).await;
        db.read().find_one("things", doc! {"count": 1}).await.unwrap();
        let seen = std::panic::AssertUnwindSafe(watch.assert_no_scan(&db))
            .catch_unwind()
            .await;
        assert!(seen.is_err(), "nobody noticed");
    }
}
