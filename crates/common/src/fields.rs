//! Reading a JSON object field by field, so that one answer names everything that is wrong with it.
//!
//! serde stops at the first mistake; people want all of them. Each field is parsed into its own type from the raw
//! text of its value, which is also what keeps money out of floats. Unknown fields are ignored.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde_json::value::RawValue;

use crate::{
    money::Paise,
    problem::{ApiError, FieldError, not_json},
};

/// A request body that can be read from [`Fields`].
pub trait FromFields: Sized {
    /// Whether no body at all reads as `{}`.
    const EMPTY_BODY_ALLOWED: bool = false;

    /// Reads every field, then builds the value; `None` when a required one is missing or wrong. Read all fields
    /// before the first `?`, so that all mistakes are found.
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;
}

/// For requests whose body carries nothing.
impl FromFields for () {
    const EMPTY_BODY_ALLOWED: bool = true;

    fn from_fields(_: &mut Fields<'_>) -> Option<Self> {
        Some(())
    }
}

/// The fields of one JSON object and the mistakes found so far.
pub struct Fields<'a> {
    values: BTreeMap<String, &'a RawValue>,
    errors: Vec<FieldError>,
}

/// What a parser of one field says: the value, or the rest of the sentence "`field` ...".
pub type Parsed<T> = Result<T, String>;

impl<'a> Fields<'a> {
    /// Reads a whole body.
    ///
    /// # Errors
    /// 400 when it is not JSON; 422 when it is not an object, or when a field is missing or wrong, naming all.
    pub fn read<T: FromFields>(body: &'a [u8]) -> Result<T, ApiError> {
        let values = if body.is_empty() && T::EMPTY_BODY_ALLOWED {
            BTreeMap::new()
        } else {
            let raw: &RawValue = serde_json::from_slice(body).map_err(|_| not_json())?;
            if !raw.get().starts_with('{') {
                return Err(ApiError::invalid_field("body", "must be a JSON object"));
            }
            serde_json::from_str(raw.get()).map_err(|_| not_json())?
        };
        let mut fields = Self {
            values,
            errors: Vec::new(),
        };
        let value = T::from_fields(&mut fields);
        match value {
            Some(value) if fields.errors.is_empty() => Ok(value),
            _ => Err(ApiError::invalid(fields.errors)),
        }
    }

    /// A field that must be there and not null.
    pub fn required<T>(&mut self, name: &str, parse: impl FnOnce(Value<'a>) -> Parsed<T>) -> Option<T> {
        match self.values.get(name) {
            Some(raw) if raw.get() != "null" => self.parsed(name, Value(raw.get()), parse),
            _ => {
                self.error(name, "is required");
                None
            }
        }
    }

    /// A field that may be absent or null.
    pub fn optional<T>(&mut self, name: &str, parse: impl FnOnce(Value<'a>) -> Parsed<T>) -> Option<T> {
        self.nullable(name, parse).flatten()
    }

    /// A field whose absence (`None`) and whose null (`Some(None)`) mean different things, as in a PATCH.
    pub fn nullable<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(Value<'a>) -> Parsed<T>,
    ) -> Option<Option<T>> {
        let raw = *self.values.get(name)?;
        if raw.get() == "null" {
            return Some(None);
        }
        self.parsed(name, Value(raw.get()), parse).map(Some)
    }

    /// A field that may be absent but not null, as in a PATCH of something that must have a value.
    pub fn changed<T>(&mut self, name: &str, parse: impl FnOnce(Value<'a>) -> Parsed<T>) -> Option<T> {
        let raw = *self.values.get(name)?;
        self.parsed(name, Value(raw.get()), parse)
    }

    /// Whether the field is in the body at all, null included.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Notes a mistake that only shows when several fields are looked at together.
    pub fn error(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: field.to_owned(),
            message: message.into(),
        });
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        value: Value<'a>,
        parse: impl FnOnce(Value<'a>) -> Parsed<T>,
    ) -> Option<T> {
        parse(value).map_err(|message| self.error(name, message)).ok()
    }
}

/// The raw JSON text of one value.
#[derive(Clone, Copy)]
pub struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// Any string.
    ///
    /// # Errors
    /// When it is not a JSON string.
    pub fn string(self) -> Parsed<String> {
        serde_json::from_str(self.0).map_err(|_| "must be a string".to_owned())
    }

    /// One line of text, trimmed: not empty, at most `max` characters, no control characters (which would let a
    /// name add lines to a letter or a log).
    ///
    /// # Errors
    /// When it is none.
    pub fn line(self, max: usize) -> Parsed<String> {
        let text = self.string()?;
        bounded(text.trim(), max, |c| !c.is_control())
    }

    /// Text of several lines, trimmed: not empty, at most `max` characters.
    ///
    /// # Errors
    /// When it is none.
    pub fn text(self, max: usize) -> Parsed<String> {
        let text = self.string()?;
        bounded(text.trim(), max, |c| {
            !c.is_control() || matches!(c, '\n' | '\r' | '\t')
        })
    }

    /// A whole number between two bounds, both included. `5.0` is none: JSON numbers keep their form here.
    ///
    /// # Errors
    /// When it is none.
    pub fn integer(self, min: i64, max: i64) -> Parsed<i64> {
        if self.0.starts_with('"') || !self.0.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return Err("must be a whole number".to_owned());
        }
        match self.0.parse::<i64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(n),
            Err(_) if self.0.contains(['.', 'e', 'E']) => Err("must be a whole number".to_owned()),
            _ => Err(format!("must be between {min} and {max}")),
        }
    }

    /// Rupees as a number or a decimal string.
    ///
    /// # Errors
    /// When it is no amount.
    pub fn rupees(self) -> Parsed<Paise> {
        let text = match self.0.chars().next() {
            Some('"') => self.string()?,
            Some(c) if c.is_ascii_digit() || c == '-' => self.0.to_owned(),
            _ => return Err("must be an amount in rupees, as a number or a string".to_owned()),
        };
        Paise::from_rupees(&text).map_err(str::to_owned)
    }

    /// An IANA time zone name.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn zone(self) -> Parsed<Tz> {
        self.string()?
            .parse()
            .map_err(|_| "must be an IANA time zone such as Asia/Kolkata".to_owned())
    }

    /// A JSON object, read into fields of its own by serde.
    ///
    /// # Errors
    /// When it does not have that form.
    pub fn object<T: serde::de::DeserializeOwned>(self) -> Parsed<T> {
        serde_json::from_str(self.0).map_err(|_| "must be an object of strings".to_owned())
    }
}

fn bounded(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> Parsed<String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.chars().count() > max {
        return Err(format!("must be at most {max} characters"));
    }
    if !text.chars().all(allowed) {
        return Err("must not contain control characters".to_owned());
    }
    Ok(text.to_owned())
}
