//! Documents to values and back: UUIDs are 16 bytes of subtype 4, times are dates (ms, UTC), money is a long of paise.
//! What is not there is left out, never null.

use mongodb::bson::{Binary, Bson, DateTime, Document, spec::BinarySubtype};
use uuid::Uuid;

use common::{
    clock::{Timestamp, from_millis},
    store::StoreError,
};

/// An id as it is stored.
pub fn uuid(id: impl Into<Uuid>) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Uuid,
        bytes: id.into().as_bytes().to_vec(),
    })
}

/// Ids as they are stored, for `$in`.
pub fn uuids<T: Into<Uuid>>(ids: impl IntoIterator<Item = T>) -> Vec<Bson> {
    ids.into_iter().map(uuid).collect()
}

/// A time as it is stored.
pub fn date(at: Timestamp) -> Bson {
    Bson::DateTime(DateTime::from_millis(at.timestamp_millis()))
}

/// Reads and writes fields of documents. A field that has not the type asked for, or is missing where it must be, is
/// [`StoreError::Corrupt`].
pub trait DocumentExt {
    /// A field as `read` understands it, if it is there.
    ///
    /// # Errors
    /// When it is something else.
    fn maybe<T>(&self, name: &str, read: impl FnOnce(&Bson) -> Option<T>) -> Result<Option<T>, StoreError>;
    /// Puts a field in, if there is a value.
    fn put(&mut self, name: &str, value: Option<impl Into<Bson>>);

    /// An id.
    ///
    /// # Errors
    /// When it is missing or something else; so for all that follow.
    fn id<T: From<Uuid>>(&self, name: &str) -> Result<T, StoreError> {
        required(name, self.maybe_id(name))
    }
    /// An id, if there is one.
    ///
    /// # Errors
    /// When it is something else.
    fn maybe_id<T: From<Uuid>>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.maybe(name, |value| match value {
            Bson::Binary(binary) => Uuid::from_slice(&binary.bytes).ok().map(T::from),
            _ => None,
        })
    }
    /// Text.
    ///
    /// # Errors
    /// When it is missing or something else.
    fn text(&self, name: &str) -> Result<String, StoreError> {
        required(name, self.maybe_text(name))
    }
    /// Text, if there is any.
    ///
    /// # Errors
    /// When it is something else.
    fn maybe_text(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.maybe(name, |value| value.as_str().map(str::to_owned))
    }
    /// Text that is one of a few names, or a form of ours.
    ///
    /// # Errors
    /// When it is any other: a newer release may have written it, and a default would be a guess.
    fn named<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        let text = self.text(name)?;
        let unknown = || format!("the field {name} is {text:?}, which is nothing that this release writes");
        parse(&text).ok_or_else(|| StoreError::Corrupt(unknown()))
    }
    /// As [`named`](Self::named), if there is any text.
    ///
    /// # Errors
    /// When it is anything else.
    fn maybe_named<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match self.maybe_text(name)? {
            Some(_) => self.named(name, parse).map(Some),
            None => Ok(None),
        }
    }
    /// A whole number.
    ///
    /// # Errors
    /// When it is missing or something else.
    fn long(&self, name: &str) -> Result<i64, StoreError> {
        required(name, self.maybe_long(name))
    }
    /// A whole number, if there is one.
    ///
    /// # Errors
    /// When it is something else.
    fn maybe_long(&self, name: &str) -> Result<Option<i64>, StoreError> {
        self.maybe(name, |value| match value {
            Bson::Int64(number) => Some(*number),
            Bson::Int32(number) => Some(i64::from(*number)),
            _ => None,
        })
    }
    /// Yes or no.
    ///
    /// # Errors
    /// When it is missing or something else.
    fn flag(&self, name: &str) -> Result<bool, StoreError> {
        required(name, self.maybe_flag(name))
    }
    /// Yes or no, if it is there.
    ///
    /// # Errors
    /// When it is something else.
    fn maybe_flag(&self, name: &str) -> Result<Option<bool>, StoreError> {
        self.maybe(name, Bson::as_bool)
    }
    /// A time.
    ///
    /// # Errors
    /// When it is missing or something else.
    fn time(&self, name: &str) -> Result<Timestamp, StoreError> {
        required(name, self.maybe_time(name))
    }
    /// A time, if there is one.
    ///
    /// # Errors
    /// When it is something else.
    fn maybe_time(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        self.maybe(name, |value| match value {
            Bson::DateTime(at) => Some(from_millis(at.timestamp_millis())),
            _ => None,
        })
    }
    /// Bytes.
    ///
    /// # Errors
    /// When they are missing or something else.
    fn bytes(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        required(name, self.maybe_bytes(name))
    }
    /// Bytes, if there are any.
    ///
    /// # Errors
    /// When they are something else.
    fn maybe_bytes(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.maybe(name, |value| match value {
            Bson::Binary(binary) => Some(binary.bytes.clone()),
            _ => None,
        })
    }
}

impl DocumentExt for Document {
    fn maybe<T>(&self, name: &str, read: impl FnOnce(&Bson) -> Option<T>) -> Result<Option<T>, StoreError> {
        match self.get(name) {
            None | Some(Bson::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| {
                StoreError::Corrupt(format!("the field {name} is a {:?}", value.element_type()))
            }),
        }
    }

    fn put(&mut self, name: &str, value: Option<impl Into<Bson>>) {
        if let Some(value) = value {
            self.insert(name, value.into());
        }
    }
}

fn required<T>(name: &str, value: Result<Option<T>, StoreError>) -> Result<T, StoreError> {
    value?.ok_or_else(|| StoreError::Corrupt(format!("the field {name} is missing")))
}
