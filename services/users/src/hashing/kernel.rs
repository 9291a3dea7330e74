//! Argon2id itself (RFC 9106), in memory that is used again.

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash as Phc, Version,
    password_hash::phc::{Output, ParamsString, Salt},
};
use rand::{TryRng, rngs::SysRng};

use crate::domain::{Password, PasswordHash};

/// The cost that the OWASP Password Storage Cheat Sheet recommends for Argon2id: memory in KiB, passes,
/// lanes.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// 128 bits (RFC 9106, 3.1).
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// A stored hash that asks for more is not ours; it must not take the process down.
const MOST_MEMORY_KIB: u32 = 1 << 20;

/// A hash of today's cost that belongs to no password, to be checked in place of one that does not exist.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3MgYWNjb3VudA$qZ0Jv2mXcE5yT8wRk1uHs7LdPaNfGiVxBo4QeWtYz3M";

/// Why no hash could be computed.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A stored hash is none, or not of a kind we write.
    #[error("a stored password hash is unreadable: {0}")]
    Unreadable(String),
    /// The system gives no random bytes, or the library refuses our own parameters.
    #[error("a password could not be hashed: {0}")]
    Refused(String),
}

/// Hashes and checks passwords on one thread.
pub struct Kernel {
    memory: Vec<Block>,
}

impl Kernel {
    /// Takes no memory yet.
    pub fn new() -> Self {
        Self { memory: Vec::new() }
    }

    /// Hashes a password under a fresh salt.
    ///
    /// # Errors
    /// [`KernelError::Refused`].
    pub fn hash(&mut self, password: &Password) -> Result<PasswordHash, KernelError> {
        let mut salt = [0u8; SALT_BYTES];
        SysRng
            .try_fill_bytes(&mut salt)
            .map_err(|error| KernelError::Refused(error.to_string()))?;
        let params = params().map_err(refused)?;
        let mut output = [0u8; HASH_BYTES];
        self.fill(Version::V0x13, &params, password, &salt, &mut output)
            .map_err(refused)?;
        let phc = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(refused)?,
            salt: Some(Salt::new(&salt).map_err(refused)?),
            hash: Some(Output::new(&output).map_err(refused)?),
        };
        Ok(PasswordHash::new(phc.to_string()))
    }

    /// Whether the password is the one that was hashed, at the cost that the hash was made with.
    ///
    /// # Errors
    /// [`KernelError::Unreadable`].
    pub fn verify(&mut self, password: &Password, hash: &PasswordHash) -> Result<bool, KernelError> {
        let stored = Stored::read(hash)?;
        let mut output = [0u8; Output::MAX_LENGTH];
        let output = &mut output[..stored.hash.len()];
        self.fill(stored.version, &stored.params, password, &stored.salt, output)
            .map_err(unreadable)?;
        // Output compares in constant time.
        Ok(Output::new(output).map_err(unreadable)? == stored.hash)
    }

    /// As much work as [`Kernel::verify`], for an account that does not exist: the time must not reveal that it
    /// does not.
    ///
    /// # Errors
    /// As [`Kernel::verify`].
    pub fn verify_nobody(&mut self, password: &Password) -> Result<(), KernelError> {
        self.verify(password, &PasswordHash::new(NOBODYS.to_owned()))
            .map(drop)
    }

    /// Whether a hash was made at another cost than today's.
    ///
    /// # Errors
    /// [`KernelError::Unreadable`].
    pub fn is_outdated(hash: &PasswordHash) -> Result<bool, KernelError> {
        let stored = Stored::read(hash)?;
        Ok(stored.version != Version::V0x13 || stored.params != params().map_err(refused)?)
    }

    /// Whether there is memory to give back.
    pub fn holds_memory(&self) -> bool {
        !self.memory.is_empty()
    }

    /// Gives the memory back.
    pub fn release_memory(&mut self) {
        self.memory = Vec::new();
    }

    fn fill(
        &mut self,
        version: Version,
        params: &Params,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
    ) -> argon2::Result<()> {
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::new());
        }
        Argon2::new(Algorithm::Argon2id, version, params.clone()).hash_password_into_with_memory(
            password.expose().as_bytes(),
            salt,
            output,
            &mut self.memory[..blocks],
        )
    }
}

fn params() -> argon2::Result<Params> {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES))
}

fn refused(error: impl ToString) -> KernelError {
    KernelError::Refused(error.to_string())
}

fn unreadable(error: impl ToString) -> KernelError {
    KernelError::Unreadable(error.to_string())
}

/// A PHC string, parsed.
struct Stored {
    version: Version,
    params: Params,
    salt: Salt,
    hash: Output,
}

impl Stored {
    fn read(hash: &PasswordHash) -> Result<Self, KernelError> {
        let phc = Phc::new(hash.as_str()).map_err(unreadable)?;
        let params = Params::try_from(&phc).map_err(unreadable)?;
        let (Some(version), Some(salt), Some(hash)) = (phc.version, phc.salt, phc.hash) else {
            return Err(unreadable("it is not complete"));
        };
        if phc.algorithm != Algorithm::Argon2id.ident() || params.m_cost() > MOST_MEMORY_KIB {
            return Err(unreadable("it is not of a kind that is written here"));
        }
        Ok(Self {
            version: Version::try_from(version).map_err(unreadable)?,
            params,
            salt,
            hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    fn password(text: &str) -> Password {
        Password::claimed(text.to_owned())
    }

    /// Made through the library's own API, at another cost.
    fn cheap(text: &str) -> PasswordHash {
        let argon2 = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(64, 1, 1, None).unwrap(),
        );
        PasswordHash::new(argon2.hash_password(text.as_bytes()).unwrap().to_string())
    }

    #[test]
    fn hashes_and_checks() {
        let mut kernel = Kernel::new();
        let hash = kernel.hash(&password("correct horse")).unwrap();
        assert!(
            hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            hash.as_str()
        );
        assert!(kernel.verify(&password("correct horse"), &hash).unwrap());
        assert!(!kernel.verify(&password("correct horse "), &hash).unwrap());
        assert!(!Kernel::is_outdated(&hash).unwrap());
        assert_ne!(
            kernel.hash(&password("correct horse")).unwrap(),
            hash,
            "every hash has its own salt"
        );
    }

    #[test]
    fn agrees_with_the_library() {
        let mut kernel = Kernel::new();
        let hash = kernel.hash(&password("correct horse")).unwrap();
        argon2::PasswordVerifier::verify_password(&Argon2::default(), b"correct horse", hash.as_str())
            .unwrap();
        let theirs = PasswordHash::new(
            Argon2::default()
                .hash_password(b"correct horse")
                .unwrap()
                .to_string(),
        );
        assert!(kernel.verify(&password("correct horse"), &theirs).unwrap());
    }

    #[test]
    fn other_costs_are_read_and_noticed() {
        let mut kernel = Kernel::new();
        let hash = cheap("correct horse");
        assert!(kernel.verify(&password("correct horse"), &hash).unwrap());
        assert!(!kernel.verify(&password("wrong"), &hash).unwrap());
        assert!(Kernel::is_outdated(&hash).unwrap());
    }

    #[test]
    fn nobodys_hash_costs_what_others_cost() {
        let nobodys = PasswordHash::new(NOBODYS.to_owned());
        assert!(!Kernel::is_outdated(&nobodys).unwrap());
        let (nobodys, real) = (
            Stored::read(&nobodys).unwrap(),
            Kernel::new().hash(&password("x")).unwrap(),
        );
        let real = Stored::read(&real).unwrap();
        assert_eq!(
            (nobodys.salt.len(), nobodys.hash.len()),
            (real.salt.len(), real.hash.len())
        );
        assert!(Kernel::new().verify_nobody(&password("x")).is_ok());
    }

    #[test]
    fn what_is_no_hash_of_ours_is_said_to_be_none() {
        let mut kernel = Kernel::new();
        for text in [
            "",
            "plain",
            "$2b$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz01234",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$argon2id$v=19$m=4294967295,t=2,p=1$bm9ib2R5J3MgYWNjb3VudA$qZ0Jv2mXcE5yT8wRk1uHs7LdPaNfGiVxBo4QeWtYz3M",
            "$argon2i$v=19$m=64,t=2,p=1$bm9ib2R5J3MgYWNjb3VudA$qZ0Jv2mXcE5yT8wRk1uHs7LdPaNfGiVxBo4QeWtYz3M",
        ] {
            let hash = PasswordHash::new(text.to_owned());
            assert!(
                matches!(
                    kernel.verify(&password("x"), &hash),
                    Err(KernelError::Unreadable(_))
                ),
                "{text}"
            );
        }
        assert!(!kernel.holds_memory());
    }

    #[test]
    fn memory_is_given_back() {
        let mut kernel = Kernel::new();
        assert!(!kernel.holds_memory());
        kernel.verify(&password("x"), &cheap("x")).unwrap();
        assert!(kernel.holds_memory());
        kernel.release_memory();
        assert!(!kernel.holds_memory());
        assert!(kernel.verify(&password("x"), &cheap("x")).unwrap());
    }
}
