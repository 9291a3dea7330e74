//! Telephone numbers.

use std::fmt;

/// A telephone number in E.164: `+`, then 8 to 15 digits that begin with a country code.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// Reads a number; spaces and hyphens in it are dropped.
    ///
    /// # Errors
    /// The rest of the sentence "`phone` ...".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let number: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let digits = number.strip_prefix('+').unwrap_or_default();
        // No country code begins with 0.
        let well_formed = (8..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if well_formed {
            Ok(Self(number))
        } else {
            Err("must be a number with country code such as +919876543210")
        }
    }

    /// A number that [`Phone::parse`] has accepted before, as a store keeps it.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Numbers are personal and logs are read by many, so `{:?}` does not show it.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        for text in ["+919876543210", "+91 98765-43210", " +91-9876543210 "] {
            assert_eq!(Phone::parse(text).unwrap().as_str(), "+919876543210");
        }
        assert!(Phone::parse("+12345678").is_ok());
        assert!(Phone::parse("+123456789012345").is_ok());
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "+",
            "9876543210",
            "+1234567",
            "+1234567890123456",
            "+0123456789",
            "+91 98765 4321x",
            "++9198765432",
            "+91\n9876543210",
            "+९१९८७६५४३२१०",
        ] {
            assert!(Phone::parse(text).is_err(), "{text:?}");
        }
    }
}
