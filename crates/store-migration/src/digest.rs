//! Counts and checksums.

use std::{collections::BTreeMap, fmt};

use mongodb::bson::Document;
use sha2::{Digest as _, Sha256};

use common::store::StoreError;

/// How many documents, and the sum of their SHA-256: a sum, because the two sides give them in different orders.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Digest {
    count: u64,
    sum: [u64; 4],
}

impl Digest {
    /// Adds a document. The order of its fields does not matter, their types do.
    ///
    /// # Errors
    /// When it cannot be written as BSON.
    pub fn add(&mut self, document: &Document) -> Result<(), StoreError> {
        let sorted: BTreeMap<_, _> = document.iter().collect();
        let sorted: Document = sorted
            .into_iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let bytes = sorted
            .to_vec()
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let hash = Sha256::digest(bytes);
        for (sum, part) in self.sum.iter_mut().zip(hash.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*part));
        }
        self.count += 1;
        Ok(())
    }

    /// How many documents.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// The checksum in hex.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sum.iter().try_for_each(|part| write!(f, "{part:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    fn of(documents: &[Document]) -> Digest {
        let mut digest = Digest::default();
        documents
            .iter()
            .for_each(|document| digest.add(document).unwrap());
        digest
    }

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let (one, two) = (doc! {"_id": 1, "a": "x"}, doc! {"_id": 2});
        let both = of(&[one.clone(), two.clone()]);
        assert_eq!(both, of(&[two.clone(), doc! {"a": "x", "_id": 1}]));
        assert_ne!(both, of(&[one.clone(), doc! {"_id": 3}]));
        assert_ne!(
            both,
            of(&[doc! {"_id": 1_i64, "a": "x"}, two.clone()]),
            "another type"
        );
        assert_ne!(both.to_string(), of(std::slice::from_ref(&one)).to_string());
        assert_ne!(of(&[one.clone(), one.clone(), two]), both, "twice is not once");
        assert_eq!(both.count(), 2);
    }
}
