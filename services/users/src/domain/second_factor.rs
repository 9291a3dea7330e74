//! The second factor: codes by time (TOTP, RFC 6238), and recovery codes for when the device is lost.

use common::{clock::Timestamp, text::nfkc};
use sha2::{Digest, Sha256};
use totp_rs::{Algorithm, Builder, Secret, TotpError};

use super::Email;

/// Recovery codes that one gets.
pub const RECOVERY_CODES: usize = 10;
/// Bytes of a secret, as RFC 4226, 4, recommends.
const SECRET: usize = 20;
/// Bytes of a recovery code: 80 bits, too many to be guessed from their hash.
const RECOVERY: usize = 10;
/// What authenticator apps show beside the code.
const ISSUER: &str = "Organise Event";
/// Seconds for which a code is shown.
const STEP: u64 = 30;
/// Steps before and after the current one whose codes are taken: clocks differ, and people type slowly.
const SKEW: u16 = 1;

/// What the user's device and this system share.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(Vec<u8>);

impl TotpSecret {
    /// A new one, of random bytes.
    pub fn new(random: [u8; SECRET]) -> Self {
        Self(random.to_vec())
    }

    /// One that was stored.
    pub fn stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What is stored.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text to be typed into an app that cannot scan.
    pub fn to_base32(&self) -> String {
        Secret::from(self.0.clone()).to_base32()
    }

    /// What a QR code for apps holds (Google's Key URI format).
    ///
    /// # Errors
    /// When an address cannot be shown there.
    pub fn url(&self, email: &Email) -> Result<String, TotpError> {
        // A colon ends the issuer in a label.
        let account = email.as_str().replace(':', ".");
        self.codes().with_account_name(account).build()?.to_url()
    }

    /// The step whose code this is, if it is one of those that are good at `now`.
    pub fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let now = u64::try_from(now.timestamp()).ok()?;
        let step = self.codes().build().ok()?.check(code, now)?;
        i64::try_from(step).ok()
    }

    fn codes(&self) -> Builder {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_skew(SKEW)
            .with_step_duration(STEP)
            .with_issuer(Some(ISSUER))
            .with_secret(self.0.clone())
    }
}

/// What is stored of a user's second factor, beside the recovery codes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The secret.
    pub secret: TotpSecret,
    /// Whether the user has shown a code of it. Before that it counts for nothing.
    pub confirmed: bool,
}

/// What is stored of a recovery code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveryHash(pub String);

impl RecoveryHash {
    fn of(code: &str) -> Self {
        let hash = Sha256::digest(code.as_bytes());
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// A recovery code as its user gets it, once, and its hash.
pub fn recovery_code(random: [u8; RECOVERY]) -> (String, RecoveryHash) {
    let code = Secret::from(random).to_base32();
    let hash = RecoveryHash::of(&code);
    let groups: Vec<&str> = (0..code.len())
        .step_by(4)
        .filter_map(|at| code.get(at..at + 4))
        .collect();
    (groups.join("-").to_ascii_lowercase(), hash)
}

/// What somebody typed as second factor.
#[derive(Clone, PartialEq, Eq)]
pub enum Shown {
    /// Six digits.
    Code(String),
    /// Anything else may be a recovery code.
    Recovery(RecoveryHash),
}

impl Shown {
    /// Reads it: blanks and hyphens do not count, nor do letters' cases and widths.
    pub fn read(text: &str) -> Self {
        let text: String = nfkc(text)
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .collect();
        if text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::Code(text)
        } else {
            Self::Recovery(RecoveryHash::of(&text.to_ascii_uppercase()))
        }
    }
}

#[cfg(test)]
mod tests {
    use common::clock::from_millis;

    use super::*;

    /// RFC 6238, appendix B, whose codes have eight digits; ours are the last six.
    #[test]
    fn the_standard_s_codes() {
        let secret = TotpSecret::new(*b"12345678901234567890");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let step = seconds / 30;
            let at = |seconds: i64| from_millis(seconds * 1000);
            for near in [-30, 0, 30] {
                assert_eq!(
                    secret.step_of(code, at(seconds + near)),
                    Some(step),
                    "{seconds} {near}"
                );
            }
            assert_eq!(secret.step_of(code, at(seconds + 60)), None, "{seconds}");
            if seconds >= 60 {
                assert_eq!(secret.step_of(code, at(seconds - 60)), None, "{seconds}");
            }
        }
        for none in ["", "28708", "2870820", "28708x", "٢٨٧٠٨٢"] {
            assert_eq!(secret.step_of(none, from_millis(59_000)), None, "{none}");
        }
        assert_eq!(secret.step_of("287082", from_millis(-1)), None);
    }

    #[test]
    fn an_app_gets_all_it_needs() {
        let secret = TotpSecret::new(*b"12345678901234567890");
        assert_eq!(secret.to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let url = secret.url(&Email::parse("asha@münchen.de").unwrap()).unwrap();
        assert_eq!(
            url,
            "otpauth://totp/Organise%20Event:asha%40m%C3%BCnchen.de?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Organise%20Event"
        );
    }

    #[test]
    fn recovery_codes_are_read_as_people_write_them() {
        let (code, hash) = recovery_code([7; 10]);
        assert_eq!(code.len(), 19, "{code}");
        for text in [
            code.clone(),
            code.to_uppercase(),
            code.replace('-', " "),
            format!(" {} ", code.replace('-', "")),
        ] {
            assert!(Shown::read(&text) == Shown::Recovery(hash.clone()), "{text}");
        }
        assert!(Shown::read("123 456") == Shown::Code("123456".to_owned()));
        assert!(
            Shown::read("１２３４５６") == Shown::Code("123456".to_owned()),
            "full width"
        );
        assert!(matches!(Shown::read(""), Shown::Recovery(_)));
        assert_ne!(recovery_code([8; 10]).1, hash);
    }
}
