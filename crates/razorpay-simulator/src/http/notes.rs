//! `notes`: what merchants write on orders, payments, refunds and links.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// Razorpay's bounds.
const PAIRS: usize = 15;
const CHARACTERS: usize = 256;

/// At most 15 pairs of a name and a value of at most 256 characters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Notes(Map<String, Value>);

impl Notes {
    /// Reads the `notes` of a request. An empty array is how PHP writes none.
    pub(super) fn parse(notes: Option<&Value>) -> Result<Self, Failure> {
        let wrong = |text: &str| Err(Failure::invalid("notes", text));
        let notes = match notes {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Array(array)) if array.is_empty() => return Ok(Self::default()),
            Some(Value::String(text)) if text.is_empty() => return Ok(Self::default()),
            Some(Value::Object(notes)) => notes,
            Some(_) => return wrong("The notes must be an object."),
        };
        if notes.len() > PAIRS {
            return wrong("Number of fields in notes should be less than or equal to 15");
        }
        for (name, value) in notes {
            let length = match value {
                Value::String(text) => text.chars().count(),
                Value::Object(_) | Value::Array(_) => {
                    return wrong("The values of notes must not be objects or arrays.");
                }
                _ => 0,
            };
            if length > CHARACTERS || name.chars().count() > CHARACTERS {
                return wrong("The keys and values of notes may not be greater than 256 characters.");
            }
        }
        Ok(Self(notes.clone()))
    }

    /// As orders, payments and refunds show them: none is `[]`.
    pub(crate) fn view(&self) -> Value {
        if self.0.is_empty() {
            json!([])
        } else {
            Value::Object(self.0.clone())
        }
    }

    /// As payment links show them: none is `null`.
    pub(crate) fn view_or_null(&self) -> Value {
        if self.0.is_empty() {
            Value::Null
        } else {
            Value::Object(self.0.clone())
        }
    }
}
