//! Razorpay's signatures: lower-case hex HMAC-SHA256, compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Whether `signature` is a valid signature of `message`.
pub fn is_valid(message: &[u8], signature: &str, key: &SecretString) -> bool {
    sign(message, key).is_some_and(|expected| expected.as_bytes().ct_eq(signature.as_bytes()).into())
}

/// The signature of `message`; `None` when the key is invalid.
pub fn sign(message: &[u8], key: &SecretString) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).ok()?;
    mac.update(message);
    let bytes = mac.finalize().into_bytes();
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether Razorpay signed this payment of this order in Checkout. `order` must be the stored id, never the one in the
/// request.
pub fn is_valid_checkout(order: &str, payment: &str, signature: &str, key: &SecretString) -> bool {
    is_valid(format!("{order}|{payment}").as_bytes(), signature, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Razorpay's own SDK tests.
    #[test]
    fn vectors() {
        let body = br#"{"a":1,"b":2,"c":{"d":3}}"#;
        let signature = "2fe04e22977002e6c7cb553adab8b460cb9e2a4970d5953cb27a8472752e3bbc";
        assert!(is_valid(body, signature, &SecretString::from("123456")));
        assert!(!is_valid(body, signature, &SecretString::from("1234567")));
        assert!(!is_valid(b"{}", signature, &SecretString::from("123456")));
        assert!(!is_valid(body, "", &SecretString::from("123456")));
        let signature = "b2335e3b0801106b84a7faff035df56ecffde06918c9ddd1f0fafbb37a51cc89";
        let key = SecretString::from("key_secret");
        assert!(is_valid_checkout(
            "fake_order_id",
            "fake_payment_id",
            signature,
            &key
        ));
        assert!(!is_valid_checkout(
            "other_order_id",
            "fake_payment_id",
            signature,
            &key
        ));
    }
}
