//! For tests of adapters: a fresh database, and the proof that no query reads a whole collection.

use std::{collections::BTreeMap, sync::Arc};

use mongodb::{
    bson::{Bson, Document, doc},
    event::{EventHandler, command::CommandEvent},
};
use parking_lot::Mutex;
use secrecy::SecretString;

use super::{Collection, Mongo};
use crate::ids::new_id;

/// Names the server that tests use; `./test` sets it.
pub const VARIABLE: &str = "ORGANISE_MONGODB_URI";

/// A URI with a database name of its own.
///
/// # Panics
/// When no server is named.
pub fn fresh_uri() -> SecretString {
    let uri = std::env::var(VARIABLE)
        .unwrap_or_else(|_| panic!("{VARIABLE} names no MongoDB: run ./test, which starts one"));
    let (address, query) = uri.split_once('?').unwrap_or((&uri, ""));
    let hosts = address.trim_end_matches('/');
    SecretString::from(format!("{hosts}/t{}?{query}", new_id().simple()))
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
                && ["find", "update", "delete", "aggregate", "findAndModify"].contains(&started.command_name.as_str())
            {
                seen.lock().entry(form(&Bson::Document(started.command.clone()))).or_insert(started.command);
            }
        };
        Mongo::open_watched(uri, service, collections, Some(EventHandler::callback(listen)))
            .await
            .unwrap_or_else(|error| panic!("MongoDB: {error}"))
    }

    /// Asks the server how it would carry out each command seen.
    ///
    /// # Panics
    /// When one of them reads a whole collection.
    pub async fn assert_no_scan(&self, mongo: &Mongo) {
        let commands: Vec<Document> = self.0.lock().values().cloned().collect();
        for mut command in commands {
            for of_session in ["lsid", "txnNumber", "startTransaction", "autocommit", "$db", "$clusterTime", "writeConcern",
                "readConcern", "$readPreference", "maxTimeMS"] {
                command.remove(of_session);
            }
            let plan = mongo
                .command(doc! {"explain": command.clone(), "verbosity": "queryPlanner"})
                .await
                .unwrap_or_else(|error| panic!("explain {command}: {error}"));
            assert!(!plan.to_string().contains("COLLSCAN"), "reads a whole collection: {command}\n{plan}");
        }
    }
}

/// The command without its values: two that differ in ids only are the same to the planner.
fn form(value: &Bson) -> String {
    match value {
        Bson::Document(document) => {
            let fields = document.iter().filter(|(name, _)| !["lsid", "txnNumber", "$clusterTime"].contains(&name.as_str()));
            fields.map(|(name, value)| format!("{name}{{{}}}", form(value))).collect()
        }
        Bson::Array(values) => values.first().map(form).unwrap_or_default(),
        Bson::String(_) => "s".to_owned(),
        Bson::Null => "n".to_owned(),
        _ => "v".to_owned(),
    }
}
