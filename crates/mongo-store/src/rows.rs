//! Documents as far as they can be read.

use std::fmt;

use mongodb::bson::{Bson, Document};
use uuid::Uuid;

use common::{store::StoreError, unreadable::Sifted};

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
