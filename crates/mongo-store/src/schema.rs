//! Collections: their validators and indexes, made at start.

use mongodb::{
    Database, IndexModel,
    bson::{Document, doc},
    error::ErrorKind,
    options::IndexOptions,
};

use super::bounded;
use common::store::StoreError;

/// Where [`super::Mongo::ping`] writes.
pub(super) const ALIVE: &str = "alive";
const NAMESPACE_EXISTS: i32 = 48;

/// A collection of a service.
pub struct Collection {
    /// Its name, the same as that of the SQLite table.
    pub name: &'static str,
    /// Its fields but `_id`, each with its BSON type; a `?` after the type: it may be left out.
    pub fields: &'static [(&'static str, &'static str)],
    /// What must hold beyond the types, as a query.
    pub check: Option<fn() -> Document>,
    /// Indexes beside the one on `_id`.
    pub indexes: &'static [Index],
}

/// An index.
pub struct Index {
    /// Its fields with their direction.
    pub keys: &'static [(&'static str, i32)],
    /// At most one document for each key.
    pub unique: bool,
    /// Only over documents that match; a query must repeat this condition to use it.
    pub only: Option<fn() -> Document>,
}

impl Index {
    /// An index over all documents.
    pub const fn on(keys: &'static [(&'static str, i32)]) -> Self {
        Self {
            keys,
            unique: false,
            only: None,
        }
    }

    /// An index over all documents that allows each key once.
    pub const fn unique(keys: &'static [(&'static str, i32)]) -> Self {
        Self {
            keys,
            unique: true,
            only: None,
        }
    }

    /// The same, over documents that match only.
    pub const fn only(self, filter: fn() -> Document) -> Self {
        Self {
            keys: self.keys,
            unique: self.unique,
            only: Some(filter),
        }
    }

    fn model(&self) -> IndexModel {
        let keys: Document = self
            .keys
            .iter()
            .map(|(field, direction)| ((*field).to_owned(), (*direction).into()))
            .collect();
        let options = IndexOptions::builder()
            .unique(self.unique.then_some(true))
            .partial_filter_expression(self.only.map(|only| only()))
            .build();
        IndexModel::builder().keys(keys).options(options).build()
    }
}

impl Collection {
    fn validator(&self) -> Document {
        let mut properties = Document::new();
        let mut required = vec!["_id"];
        for (field, kind) in self.fields {
            properties.insert(*field, doc! {"bsonType": kind.trim_end_matches('?')});
            if !kind.ends_with('?') {
                required.push(field);
            }
        }
        let types =
            doc! {"$jsonSchema": {"bsonType": "object", "required": required, "properties": properties}};
        match self.check {
            Some(check) => doc! {"$and": [types, check()]},
            None => types,
        }
    }

    /// Makes the collection what it should be. Several processes may do so at once.
    pub async fn ensure(&self, db: &Database) -> Result<(), StoreError> {
        let validator = self.validator();
        match db.create_collection(self.name).validator(validator.clone()).await {
            Ok(()) => {}
            Err(error) if matches!(&*error.kind, ErrorKind::Command(error) if error.code == NAMESPACE_EXISTS) =>
            {
                bounded(db.run_command(doc! {"collMod": self.name, "validator": validator})).await?;
            }
            Err(error) => return Err(super::error::store(error)),
        }
        if !self.indexes.is_empty() {
            let indexes = self.indexes.iter().map(Index::model);
            bounded(db.collection::<Document>(self.name).create_indexes(indexes)).await?;
        }
        Ok(())
    }
}
