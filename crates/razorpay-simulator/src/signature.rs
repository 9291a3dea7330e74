//! Razorpay's signatures: lower-case hex HMAC-SHA256.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Signs the bytes of a webhook's body, or one of the messages below.
pub(crate) fn sign(message: &[u8], key: &SecretString) -> String {
    // HMAC takes keys of any length, so there is always a MAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else {
        return String::new();
    };
    mac.update(message);
    mac.finalize()
        .into_bytes()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The signature of a checkout callback or OTP answer: the order and its payment, by the key secret.
pub(crate) fn of_payment(order: &str, payment: &str, key_secret: &SecretString) -> String {
    sign(format!("{order}|{payment}").as_bytes(), key_secret)
}

/// The signature of a payment link's callback, by the key secret.
pub(crate) fn of_link(
    link: &str,
    reference: &str,
    status: &str,
    payment: &str,
    key_secret: &SecretString,
) -> String {
    sign(
        format!("{link}|{reference}|{status}|{payment}").as_bytes(),
        key_secret,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the official SDKs' own tests.
    #[test]
    fn vectors() {
        assert_eq!(
            sign(br#"{"a":1,"b":2,"c":{"d":3}}"#, &SecretString::from("123456")),
            "2fe04e22977002e6c7cb553adab8b460cb9e2a4970d5953cb27a8472752e3bbc"
        );
        assert_eq!(
            of_payment(
                "fake_order_id",
                "fake_payment_id",
                &SecretString::from("key_secret")
            ),
            "b2335e3b0801106b84a7faff035df56ecffde06918c9ddd1f0fafbb37a51cc89"
        );
        assert_eq!(
            of_link(
                "plink_IH3cNucfVEgV68",
                "TSsd1989",
                "paid",
                "pay_IH3d0ara9bSsjQ",
                &SecretString::from("EnLs21M47BllR3X8PSFtjtbd")
            ),
            "07ae18789e35093e51d0a491eb9922646f3f82773547e5b0f67ee3f2d3bf7d5b"
        );
    }
}
