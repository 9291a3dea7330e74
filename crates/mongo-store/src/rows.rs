//! Documents as far as they can be read.

use std::fmt;

use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use common::{
    store::StoreError,
    unreadable::{self, Sifted},
};

use crate::Tx;

/// A document's `_id` as it is stored, whatever it is.
pub struct Key(Bson);

impl Key {
    /// The key of a document.
    pub fn of(document: &Document) -> Self {
        Self(document.get("_id").cloned().unwrap_or(Bson::Null))
    }
}

impl From<Key> for Bson {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Bson::Binary(binary) => match Uuid::from_slice(&binary.bytes) {
                Ok(id) => id.fmt(f),
                Err(_) => binary.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            },
            Bson::String(text) => text.fmt(f),
            other => other.fmt(f),
        }
    }
}

/// Reads documents.
pub fn sift<T>(
    documents: &[Document],
    mut read: impl FnMut(&Document) -> Result<T, StoreError>,
) -> Result<Sifted<T, Key>, StoreError> {
    let mut sifted = Sifted::default();
    for document in documents {
        sifted.add(read(document), || Key::of(document))?;
    }
    Ok(sifted)
}

/// The readable documents of a queue; `taken_out` is the update that takes one of the others out of it, for this reason. It
/// is made past the validator, which the document may not satisfy.
///
/// # Errors
/// A storage error.
pub async fn set_aside<T>(
    tx: &mut Tx,
    collection: &str,
    table: &'static str,
    sifted: Sifted<T, Key>,
    taken_out: impl Fn(&str) -> Document,
) -> Result<Vec<T>, StoreError> {
    for (key, why) in sifted.unreadable {
        unreadable::set_aside(table, &key, &why);
        let this = doc! {"_id": Bson::from(key)};
        tx.update_unchecked(collection, this, taken_out(&why)).await?;
    }
    Ok(sifted.rows)
}
