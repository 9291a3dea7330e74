//! Money: integer paise inside, rupees at the public edge, and never a float between.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Razorpay takes no order below one rupee ("Order amount less than minimum amount allowed").
pub const MINIMUM_CHARGE: Paise = Paise(100);
/// The most one registration may cost: ten million rupees, so that capacity x fees cannot overflow.
pub const MAXIMUM: Paise = Paise(1_000_000_000);

/// An amount in paise (1/100 rupee). On the internal wire and in stores this is an integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Paise(pub i64);

impl Paise {
    /// Nothing to pay.
    pub const ZERO: Self = Self(0);

    /// Reads rupees from the text of a JSON number or a decimal string: digits, at most two decimals, no
    /// exponent and no sign. The text itself is read, so `499.99` is 49,999 paise exactly.
    ///
    /// # Errors
    /// A sentence for the person who sent it.
    pub fn from_rupees(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be an amount in rupees with at most two decimals, such as 500 or 499.99";
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if text.starts_with('-') && digits(&whole[1..]) && digits(fraction) {
            return Err("must not be negative");
        }
        // A trailing point ("5.") is no number; more than two decimals are fine as long as they are zeros,
        // because that is how some clients print money ("500.000").
        if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
            return Err(FORM);
        }
        let (cents, rest) = fraction.split_at(fraction.len().min(2));
        if rest.bytes().any(|b| b != b'0') {
            return Err("must have at most two decimals");
        }
        let cents: i64 = format!("{cents:0<2}").parse().map_err(|_| FORM)?;
        whole
            .parse::<i64>()
            .ok()
            .and_then(|rupees| rupees.checked_mul(100)?.checked_add(cents))
            .filter(|paise| *paise <= MAXIMUM.0)
            .map(Self)
            .ok_or("must be at most 10000000 rupees")
    }

    /// The amount as people write it: `500` or `499.50`.
    pub fn rupees(self) -> String {
        if self.0 % 100 == 0 {
            (self.0 / 100).to_string()
        } else {
            format!(
                "{}{}.{:02}",
                if self.0 < 0 { "-" } else { "" },
                (self.0 / 100).abs(),
                (self.0 % 100).abs()
            )
        }
    }
}

/// As letters say it, with India's groups of digits: `₹1,200`, `₹499.50`, `₹1,00,000`.
impl fmt::Display for Paise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (rupees, paise) = (self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100);
        write!(f, "{sign}₹{}", grouped(rupees))?;
        if paise == 0 {
            return Ok(());
        }
        write!(f, ".{paise:02}")
    }
}

/// The last three digits are a group, those before them go in twos: thousands, lakhs, crores.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 2);
    for (index, digit) in digits.char_indices() {
        let left = digits.len() - index;
        if index > 0 && (left == 3 || (left > 3 && left % 2 == 1)) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// An amount as the public API shows it: a JSON number in rupees (`500`, `499.50`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rupees(pub Paise);

impl From<Paise> for Rupees {
    fn from(paise: Paise) -> Self {
        Self(paise)
    }
}

impl Serialize for Rupees {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.0 % 100 == 0 {
            return serializer.serialize_i64(self.0.0 / 100);
        }
        // The digits go out as they are; a float would have to be trusted to print them back.
        RawValue::from_string(self.0.rupees())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rupees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Paise::from_rupees(raw.get().trim_matches('"'))
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_refuses() {
        for (text, paise) in [
            ("500", 50_000),
            ("499.99", 49_999),
            ("0", 0),
            ("8.35", 835),
            ("1.5", 150),
            ("500.000", 50_000),
        ] {
            assert_eq!(Paise::from_rupees(text), Ok(Paise(paise)), "{text}");
        }
        for text in [
            "",
            "-1",
            "1e3",
            "1.234",
            "1.",
            ".5",
            "NaN",
            "1,000",
            " 5",
            "99999999999999999999",
            "5-3",
            "--1",
        ] {
            assert!(Paise::from_rupees(text).is_err(), "{text}");
        }
    }

    #[test]
    fn in_words() {
        for (paise, text) in [
            (0, "₹0"),
            (100, "₹1"),
            (49_950, "₹499.50"),
            (49_905, "₹499.05"),
            (50_000, "₹500"),
            (99_999, "₹999.99"),
            (100_000, "₹1,000"),
            (120_000, "₹1,200"),
            (1_234_567, "₹12,345.67"),
            (10_000_000, "₹1,00,000"),
            (1_000_000_000, "₹1,00,00,000"),
            (123_456_789_000, "₹1,23,45,67,890"),
            (-49_950, "-₹499.50"),
        ] {
            assert_eq!(Paise(paise).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn letters_lose_nothing(paise in 0..=MAXIMUM.0) {
            let shown = Paise(paise).to_string();
            let plain = shown.trim_start_matches('₹').replace(',', "");
            prop_assert_eq!(Paise::from_rupees(&plain), Ok(Paise(paise)));
        }

        #[test]
        fn what_is_shown_reads_back(paise in 0..=MAXIMUM.0) {
            let shown = serde_json::to_string(&Rupees(Paise(paise))).unwrap();
            prop_assert_eq!(serde_json::from_str::<Rupees>(&shown).unwrap(), Rupees(Paise(paise)));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Paise::from_rupees(&text);
        }
    }
}
