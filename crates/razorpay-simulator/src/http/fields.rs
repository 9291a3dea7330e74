//! The fields of a request and the checks that all of them share. Absent and `null` are the same.

use serde_json::{Map, Value};

use super::Notes;
use crate::failure::Failure;

/// More than this, in the smallest unit, is no amount: 42.9 million rupees (an unsigned 32-bit integer).
pub(crate) const LARGEST: i64 = 4_294_967_295;

/// The fields of a body, or of an object in it.
pub(crate) struct Fields {
    values: Map<String, Value>,
    /// From a form, where everything is text; so numbers may be written as text.
    textual: bool,
}

impl Fields {
    pub(super) fn json(values: Map<String, Value>) -> Self {
        Self {
            values,
            textual: false,
        }
    }

    pub(super) fn form(values: Map<String, Value>) -> Self {
        Self {
            values,
            textual: true,
        }
    }

    /// Takes numbers written as text from here on: some calls do, even in JSON.
    pub(crate) fn with_numeric_text(mut self) -> Self {
        self.textual = true;
        self
    }

    /// The value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// Sets a field that the path gives.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.values
            .insert(name.to_owned(), Value::String(value.to_owned()));
    }

    /// All of it, to be compared with another request.
    pub(crate) fn as_value(&self) -> Value {
        Value::Object(self.values.clone())
    }

    /// Refuses fields that are not among `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Failure> {
        match self.values.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Failure::extra(name)),
            None => Ok(()),
        }
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) if self.textual => text.trim().parse().ok(),
            Some(_) => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(Failure::invalid(name, format!("The {name} must be an integer."))),
        }
    }

    /// An amount in the smallest unit, not negative and not absurd.
    pub(crate) fn amount(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self.integer(name)? {
            Some(amount) if amount < 0 => Err(Failure::invalid(
                name,
                format!("The {name} must be at least INR 1.00"),
            )),
            Some(amount) if amount > LARGEST => {
                Err(Failure::invalid(name, "Amount exceeds maximum amount allowed."))
            }
            amount => Ok(amount),
        }
    }

    /// An amount that must be there.
    pub(crate) fn required_amount(&self, name: &str) -> Result<i64, Failure> {
        self.amount(name)?.ok_or_else(|| Failure::missing(name))
    }

    /// Text of at most `longest` characters; empty text is none.
    pub(crate) fn text(&self, name: &str, longest: usize) -> Result<Option<String>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() > longest => Err(Failure::invalid(
                name,
                format!("The {name} may not be greater than {longest} characters."),
            )),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(Failure::invalid(name, format!("The {name} must be a string."))),
        }
    }

    /// Text that must be there.
    pub(crate) fn required_text(&self, name: &str, longest: usize) -> Result<String, Failure> {
        self.text(name, longest)?.ok_or_else(|| Failure::missing(name))
    }

    /// Text or a number, as text: card numbers, expiry dates and OTPs come both ways.
    pub(crate) fn scalar(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A yes or no, in any of the ways in which the SDKs write it.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        let flag = match self.get(name) {
            None => return Ok(None),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            Some(Value::String(text)) => match text.as_str() {
                "0" | "false" => Some(false),
                "1" | "true" => Some(true),
                _ => None,
            },
            Some(_) => None,
        };
        match flag {
            Some(flag) => Ok(Some(flag)),
            None => Err(Failure::invalid(
                name,
                format!("The {name} field must be true or false."),
            )),
        }
    }

    /// An object in it. What is no object counts as absent.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        match self.get(name) {
            Some(Value::Object(values)) => Some(Self {
                values: values.clone(),
                textual: self.textual,
            }),
            _ => None,
        }
    }

    /// `notes`; none when absent.
    pub(crate) fn notes(&self) -> Result<Notes, Failure> {
        Notes::parse(self.get("notes"))
    }

    /// `notes`, which must be there: the only thing that updates of orders, payments and refunds take.
    pub(crate) fn only_notes(&self) -> Result<Notes, Failure> {
        self.only(&["notes"])?;
        match self.get("notes") {
            Some(notes) => Notes::parse(Some(notes)),
            None => Err(Failure::missing("notes")),
        }
    }

    /// A currency that exists here, in capitals.
    pub(crate) fn currency(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(currency)) if CURRENCIES.contains(&currency.as_str()) => {
                Ok(Some(currency.clone()))
            }
            Some(Value::String(_)) => Err(Failure::invalid(name, "The currency is not supported.")),
            Some(other) => Err(Failure::invalid(
                name,
                format!("expected string but provided {other}"),
            )),
        }
    }
}

/// The currencies in which most of Razorpay's international business is done, and those without two decimals.
const CURRENCIES: &[&str] = &[
    "INR", "AED", "AUD", "BDT", "BHD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EGP", "EUR", "GBP", "HKD",
    "HUF", "IDR", "ILS", "JPY", "KES", "KRW", "KWD", "LKR", "MXN", "MYR", "NGN", "NOK", "NPR", "NZD", "OMR",
    "PHP", "PLN", "QAR", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "VND", "ZAR",
];
