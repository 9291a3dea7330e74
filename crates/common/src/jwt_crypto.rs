//! The cryptography of tokens, by ring, which TLS uses already: HMAC with SHA-256 (HS256) for our own, and for those of an
//! OpenID provider the verification of RSA with SHA-256 (RS256). The providers that come with jsonwebtoken bring more
//! algorithms, and another implementation of each.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
};
use ring::{
    hmac,
    signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents},
};
use signature::{Error, Signer, Verifier};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key: &EncodingKey| {
        Ok(Box::new(Hs256::of(*algorithm, key.family(), key.as_bytes())?))
    },
    verifier_factory: |algorithm, key: &DecodingKey| {
        if let (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) = (algorithm, key.kind()) {
            return Ok(Box::new(Rs256(RsaPublicKeyComponents {
                n: n.clone(),
                e: e.clone(),
            })));
        }
        let secret = key.try_get_as_bytes()?;
        Ok(Box::new(Hs256::of(*algorithm, key.family(), secret)?))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes it the process's, if there is none yet. To be called before the first token is made or checked.
pub fn install() {
    // The first provider stays; a second call changes nothing.
    let _ = PROVIDER.install_default();
}

struct Hs256(hmac::Key);

impl Hs256 {
    fn of(algorithm: Algorithm, family: AlgorithmFamily, secret: &[u8]) -> Result<Self> {
        match (algorithm, family) {
            (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret))),
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        }
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    /// Compares in constant time.
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

/// A public key of at least 2,048 bits.
struct Rs256(RsaPublicKeyComponents<Vec<u8>>);

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.0
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jsonwebtoken::{Header, Validation};

    use super::*;

    /// RFC 7515, appendix A.1.
    const KEY: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    const TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn the_standard_s_token_is_valid_and_no_other() {
        install();
        let key = DecodingKey::from_secret(&URL_SAFE_NO_PAD.decode(KEY).unwrap());
        let mut rules = Validation::new(Algorithm::HS256);
        rules.validate_exp = false;
        let read = |token: &str, key| jsonwebtoken::decode::<serde_json::Value>(token, key, &rules);
        assert_eq!(read(TOKEN, &key).unwrap().claims["iss"], "joe");
        assert!(read(&TOKEN.replace(".dBjf", ".dBjg"), &key).is_err());
        assert!(read(TOKEN, &DecodingKey::from_secret(b"another secret of some length")).is_err());
        for algorithm in [Algorithm::HS384, Algorithm::RS256, Algorithm::ES256] {
            let key = EncodingKey::from_secret(b"a secret of some length or other");
            assert!(jsonwebtoken::encode(&Header::new(algorithm), &1, &key).is_err());
        }
    }
}
