//! Razorpay's identifiers, and the reference numbers that banks make up.

use rand::{RngExt, distr::Alphanumeric};

use crate::failure::Failure;

/// Characters after the underscore.
const LENGTH: usize = 14;

/// A new id: the prefix, `_`, and 14 letters and digits.
pub(crate) fn new(prefix: &str) -> String {
    format!("{prefix}_{}", bare())
}

/// 14 letters and digits: the ids of webhooks and events have no prefix.
pub(crate) fn bare() -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(LENGTH)
        .map(char::from)
        .collect()
}

/// A reference number of `length` digits that does not start with zero.
pub(crate) fn digits(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length)
        .map(|place| char::from(rng.random_range(if place == 0 { b'1'..=b'9' } else { b'0'..=b'9' })))
        .collect()
}

/// Whether `id` has the form that [`new`] makes with `prefix`.
pub(crate) fn well_formed(prefix: &str, id: &str) -> bool {
    id.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .is_some_and(|rest| rest.len() == LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Refuses an id of the wrong form.
pub(crate) fn check(prefix: &str, id: &str) -> Result<(), Failure> {
    if well_formed(prefix, id) {
        Ok(())
    } else {
        Err(Failure::malformed_id(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_razorpays_form() {
        let id = new("pay");
        assert!(well_formed("pay", &id), "{id}");
        assert!(!well_formed("order", &id));
        assert!(!well_formed("pay", "pay_short"));
        assert!(!well_formed("pay", "pay_with spaces12"));
        assert_eq!(digits(12).len(), 12);
    }
}
