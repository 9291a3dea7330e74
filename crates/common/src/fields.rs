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
    text,
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
                return Err(not_an_object());
            }
            // The whole was read as JSON before; only the names of its fields have become text now.
            serde_json::from_str(raw.get())
                .map_err(|_| ApiError::invalid_field("body", "has a field whose name is not valid Unicode"))?
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
    /// A value inside another.
    pub fn of(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }

    /// Any string.
    ///
    /// # Errors
    /// When it is not a JSON string, or one with half of a surrogate pair.
    pub fn string(self) -> Parsed<String> {
        serde_json::from_str(self.0).map_err(|_| {
            // The body was read as JSON before, so only an escape that stands for no character is left.
            let why = if self.0.starts_with('"') {
                "is not valid Unicode"
            } else {
                "must be a string"
            };
            why.to_owned()
        })
    }

    /// One line of text, trimmed: something to see, at most `max` characters, and nothing that would let a name add
    /// lines to a letter or a log, or turn the reading direction of what follows it.
    ///
    /// # Errors
    /// When it is none.
    pub fn line(self, max: usize) -> Parsed<String> {
        let text = self.string()?;
        bounded(&text, max, |c| !text::breaks_a_line(c))
    }

    /// Text of several lines, trimmed: something to see, at most `max` characters.
    ///
    /// # Errors
    /// When it is none.
    pub fn text(self, max: usize) -> Parsed<String> {
        let text = self.string()?;
        bounded(&text, max, |c| {
            matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}') || !text::breaks_a_line(c)
        })
    }

    /// A whole number between two bounds, both included, as a number or a decimal string: `10`, `10.0` and `"10"`.
    ///
    /// # Errors
    /// When it is none.
    pub fn integer(self, min: i64, max: i64) -> Parsed<i64> {
        const FORM: &str = "must be a whole number";
        let text = self.number().ok_or(FORM)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let is = |text: &str, byte: fn(u8) -> bool| !text.is_empty() && text.bytes().all(byte);
        if !is(digits, |b| b.is_ascii_digit()) || !is(fraction, |b| b == b'0') {
            return Err(FORM.to_owned());
        }
        match whole.parse::<i64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(n),
            _ => Err(format!("must be between {min} and {max}")),
        }
    }

    /// Rupees as a number or a decimal string.
    ///
    /// # Errors
    /// When it is no amount.
    pub fn rupees(self) -> Parsed<Paise> {
        let text = self
            .number()
            .ok_or("must be an amount in rupees, as a number or a string")?;
        Paise::from_rupees(&text).map_err(str::to_owned)
    }

    /// The text of a number, or of a string that may hold one: the one rule for every field that takes a number.
    /// The text itself, because money must not pass a float.
    fn number(self) -> Option<String> {
        match self.0.chars().next()? {
            '"' => self.string().ok().map(|text| text.trim().to_owned()),
            c if c.is_ascii_digit() || c == '-' => Some(self.0.to_owned()),
            _ => None,
        }
    }

    /// An IANA time zone name.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn zone(self) -> Parsed<Tz> {
        crate::time::zone(&self.string()?)
            .ok_or_else(|| "must be an IANA time zone such as Asia/Kolkata".to_owned())
    }

    /// A JSON object, read into fields of its own by serde.
    ///
    /// # Errors
    /// When it does not have that form.
    pub fn object<T: serde::de::DeserializeOwned>(self) -> Parsed<T> {
        serde_json::from_str(self.0).map_err(|error| {
            // The body was read as JSON before, so this is no matter of syntax but of an escape in a string.
            let why = if error.is_syntax() {
                "has text that is not valid Unicode"
            } else {
                "must be an object of strings"
            };
            why.to_owned()
        })
    }
}

fn bounded(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> Parsed<String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    let text = text::trimmed(text);
    if !text::is_visible(text) {
        return Err("must have something to see in it".to_owned());
    }
    if text.chars().count() > max {
        return Err(format!("must be at most {max} characters"));
    }
    if !text.chars().all(allowed) {
        return Err(
            "must not contain control characters, or marks that turn the reading direction".to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// 422 for a body that is JSON, and no object.
pub(crate) fn not_an_object() -> ApiError {
    ApiError::invalid_field("body", "must be a JSON object")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Both;

    impl FromFields for Both {
        fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
            fields.optional("name", |value| value.line(200));
            fields.optional("pay", Value::object::<BTreeMap<String, String>>);
            Some(Self)
        }
    }

    #[test]
    fn a_line_can_be_seen_and_reads_as_it_is_stored() {
        for (text, line) in [
            (r#""  Asha Rao\n""#, "Asha Rao"),
            (r#""\ufeffAsha\u200b""#, "Asha"),
            (
                r#""\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645""#,
                "می\u{200c}خواهم",
            ),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83d\udc69\u200d\ud83d\udcbb\u3164""#, "👩\u{200d}💻"),
            (r#""\u0915\u094d\u200d\u0937""#, "\u{915}\u{94d}\u{200d}\u{937}"),
        ] {
            assert_eq!(Value(text).line(200).as_deref(), Ok(line), "{text}");
        }
        for (text, why) in [
            (r#""""#, "must not be empty"),
            (r#"" \u00a0\n""#, "must not be empty"),
            (r#"" \u200b""#, "must have something to see in it"),
            (r#""\u00ad""#, "must have something to see in it"),
            (r#""\ufe0f\u0301""#, "must have something to see in it"),
            (r#""\u3164""#, "must have something to see in it"),
            (r#""\u2800""#, "must have something to see in it"),
            (r#""\ud83d""#, "is not valid Unicode"),
            (r#""\ude00x""#, "is not valid Unicode"),
            ("7", "must be a string"),
        ] {
            assert_eq!(Value(text).line(200), Err(why.to_owned()), "{text}");
            assert_eq!(Value(text).text(200), Err(why.to_owned()), "{text}");
        }
        for text in [
            r#""a\u202eb""#,
            r#""a\u2066b""#,
            r#""a\u2028b""#,
            r#""a\nb""#,
            r#""a\u0000b""#,
        ] {
            assert!(Value(text).line(200).is_err(), "{text}");
        }
        assert!(Value(r#""a\u2028b\nc""#).text(200).is_ok());
        assert!(Value(r#""a\u202eb""#).text(200).is_err());
    }

    #[test]
    fn half_a_character_is_named() {
        for (body, said) in [
            (r#"{"name": "\ud83d"}"#, "name is not valid Unicode."),
            (r#"{"name": "Asha \udc69\ud83d"}"#, "name is not valid Unicode."),
            (
                r#"{"pay": {"vpa": "\ud83d"}}"#,
                "pay has text that is not valid Unicode.",
            ),
            (r#"{"pay": {"vpa": 1}}"#, "pay must be an object of strings."),
            (
                r#"{"\ud83d": 1}"#,
                "body has a field whose name is not valid Unicode.",
            ),
        ] {
            let error = Fields::read::<Both>(body.as_bytes()).err().unwrap();
            assert_eq!(error.to_string(), said, "{body}");
        }
        // Fields that are not read are ignored.
        assert!(Fields::read::<Both>(br#"{"other": "\ud83d"}"#).is_ok());
    }

    #[test]
    fn one_rule_for_numbers() {
        for text in ["10", "10.0", "10.00", "\"10\"", "\" 10.0 \""] {
            assert_eq!(Value(text).integer(1, 100), Ok(10), "{text}");
            assert_eq!(Value(text).rupees(), Ok(Paise(1000)), "{text}");
        }
        for text in [
            "10.5",
            "1e1",
            "\"1e1\"",
            "\"\"",
            "\"ten\"",
            "true",
            "[]",
            "\"10.\"",
            "\"+10\"",
            "\"१०\"",
            "{}",
        ] {
            assert_eq!(
                Value(text).integer(1, 100),
                Err("must be a whole number".to_owned()),
                "{text}"
            );
        }
        for text in ["0", "-3", "-3.0", "101", "99999999999999999999"] {
            assert_eq!(
                Value(text).integer(1, 100),
                Err("must be between 1 and 100".to_owned()),
                "{text}"
            );
        }
    }
}
