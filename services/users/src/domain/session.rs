//! Sessions: what a sign-in begins, what a refresh token continues, and when both are over.
//!
//! A session has one live refresh token at a time. Each use replaces it by its successor, which only this system can
//! derive from it, so that the store keeps one hash per session and an earlier token is still known for what it was.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use common::{clock::Timestamp, ids::UserId, text};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A token that was replaced so short a time ago is answered with the same successor: two tabs refresh at once, or the
/// answer was lost.
pub const GRACE: TimeDelta = TimeDelta::seconds(10);
/// Replacements that are followed to know an earlier token; older ones are as unknown as invented ones. At the default
/// lifetimes a session has some 720.
const MAX_STEPS: u32 = 10_000;
/// The longest description of a device that is kept, in characters.
const MAX_USER_AGENT: usize = 200;
const SECRET: usize = 32;

/// A refresh token: the session it belongs to, how many came before it, and 256 bits that nobody can guess.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session.
    pub session: Uuid,
    /// Tokens of the session before this one.
    pub generation: u32,
    secret: [u8; SECRET],
}

/// What is stored of a refresh token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenHash(pub [u8; 32]);

impl RefreshToken {
    /// The first token of a session, of 32 random bytes.
    pub fn first(session: Uuid, secret: [u8; SECRET]) -> Self {
        Self {
            session,
            generation: 0,
            secret,
        }
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 16 + 4 + SECRET] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (session, rest) = bytes.split_at(16);
        let (generation, secret) = rest.split_at(4);
        Some(Self {
            session: Uuid::from_slice(session).ok()?,
            generation: u32::from_be_bytes(generation.try_into().ok()?),
            secret: secret.try_into().ok()?,
        })
    }

    /// The token as clients get it: 70 characters that mean nothing to them.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(16 + 4 + SECRET);
        bytes.extend_from_slice(self.session.as_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What the store keeps. The secret is random, so one round of SHA-256 is enough.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.secret).into())
    }
}

/// Derives each refresh token from the one before it. While the secret that signs tokens is replaced, tokens may have been
/// derived under either of two keys. Cheap to clone.
#[derive(Clone)]
pub struct Successors {
    current: Hmac<Sha256>,
    other: Option<Hmac<Sha256>>,
}

impl Successors {
    /// The keys are this system's own and derived from the secrets that sign tokens.
    pub fn new(current: [u8; 32], other: Option<[u8; 32]>) -> Self {
        let mac = |key: [u8; 32]| {
            // HMAC itself pads a key to its block with zeros.
            let mut block = [0; 64];
            block[..key.len()].copy_from_slice(&key);
            <Hmac<Sha256> as KeyInit>::new(&block.into())
        };
        Self {
            current: mac(current),
            other: other.map(mac),
        }
    }

    /// The token that replaces this one from now on.
    fn next(&self, token: &RefreshToken) -> RefreshToken {
        after(self.current.clone(), token)
    }

    /// The token that replaced this one `steps` ago, by every key that may have been in force all the time.
    fn later(&self, token: &RefreshToken, steps: u32) -> impl Iterator<Item = RefreshToken> {
        let keys = std::iter::once(&self.current).chain(&self.other);
        keys.map(move |key| (0..steps).fold(token.clone(), |token, _| after(key.clone(), &token)))
    }
}

fn after(mut mac: Hmac<Sha256>, token: &RefreshToken) -> RefreshToken {
    mac.update(token.session.as_bytes());
    mac.update(&token.secret);
    RefreshToken {
        session: token.session,
        generation: token.generation.saturating_add(1),
        secret: mac.finalize().into_bytes().into(),
    }
}

/// How long sign-ins last.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// An access token.
    pub access: TimeDelta,
    /// A session that is not refreshed.
    pub idle: TimeDelta,
    /// Any session.
    pub absolute: TimeDelta,
}

/// From where a session was begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// What the client calls itself, shortened.
    pub user_agent: Option<String>,
    /// The network of its address: enough to recognise one's own, too little to find a person.
    pub address: String,
}

impl Device {
    /// The device of a request.
    pub fn of(address: IpAddr, user_agent: Option<&str>) -> Self {
        let visible = |agent: &str| {
            let agent: String = agent
                .chars()
                .filter(|c| !c.is_control())
                .take(MAX_USER_AGENT)
                .collect();
            text::trimmed(&agent).to_owned()
        };
        Self {
            user_agent: user_agent.map(visible).filter(|agent| !agent.is_empty()),
            address: common::audit::network(address),
        }
    }
}

/// A session that has not been ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Its id, which its access tokens carry.
    pub id: Uuid,
    /// The account.
    pub user: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// When tokens were last given out for it.
    pub last_used_at: Timestamp,
    /// After this it ends in any case.
    pub ends_at: Timestamp,
    /// After this its refresh token is void.
    pub refresh_until: Timestamp,
    /// When the last of its access tokens runs out.
    pub access_until: Timestamp,
    /// The generation of its live refresh token.
    pub generation: u32,
    /// The hash of that token.
    pub token: TokenHash,
    /// From where it was begun.
    pub device: Device,
}

/// What a use of a refresh token changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// See [`Session::last_used_at`].
    pub last_used_at: Timestamp,
    /// See [`Session::refresh_until`].
    pub refresh_until: Timestamp,
    /// See [`Session::access_until`].
    pub access_until: Timestamp,
    /// The hash of the successor.
    pub token: TokenHash,
}

/// What a presented refresh token is worth.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenVerdict {
    /// It is the live one: it is replaced by this.
    Rotate(RefreshToken, Rotation),
    /// It was replaced a moment ago by this, which nothing has used yet.
    Repeat(RefreshToken),
    /// It was replaced before: somebody else has it, and the session ends.
    Reused,
    /// It is none of this session's, or the session is over.
    Invalid,
}

impl Session {
    /// A session that begins now, with its first refresh token.
    pub fn begin(
        user: UserId,
        device: Device,
        first: &RefreshToken,
        now: Timestamp,
        life: &Lifetimes,
    ) -> Self {
        let ends_at = now + life.absolute;
        Self {
            id: first.session,
            user,
            created_at: now,
            last_used_at: now,
            ends_at,
            refresh_until: ends_at.min(now + life.idle),
            access_until: ends_at.min(now + life.access),
            generation: first.generation,
            token: first.hash(),
            device,
        }
    }

    /// Judges a refresh token that claims to be this session's (RFC 9700, 4.14.2).
    pub fn judge(
        &self,
        token: &RefreshToken,
        successors: &Successors,
        now: Timestamp,
        life: &Lifetimes,
    ) -> TokenVerdict {
        let steps = match self.generation.checked_sub(token.generation) {
            Some(steps) if steps <= MAX_STEPS && token.session == self.id => steps,
            _ => return TokenVerdict::Invalid,
        };
        let Some(live) = successors
            .later(token, steps)
            .find(|live| live.hash() == self.token)
        else {
            return TokenVerdict::Invalid;
        };
        if now > self.refresh_until {
            return TokenVerdict::Invalid;
        }
        match steps {
            0 => {
                let next = successors.next(&live);
                let rotation = Rotation {
                    last_used_at: now,
                    refresh_until: self.ends_at.min(now + life.idle),
                    access_until: self.access_until.max(self.ends_at.min(now + life.access)),
                    token: next.hash(),
                };
                TokenVerdict::Rotate(next, rotation)
            }
            // A clock that was put back must not make the grace as long as the jump.
            1 if (now - self.last_used_at).abs() <= GRACE => TokenVerdict::Repeat(live),
            _ => TokenVerdict::Reused,
        }
    }

    /// The session after a rotation.
    pub fn rotated(mut self, rotation: Rotation) -> Self {
        self.generation += 1;
        self.last_used_at = rotation.last_used_at;
        self.refresh_until = rotation.refresh_until;
        self.access_until = rotation.access_until;
        self.token = rotation.token;
        self
    }
}

#[cfg(test)]
mod tests {
    use common::{clock::from_millis, ids::new_id};
    use proptest::prelude::*;

    use super::*;

    const LIFE: Lifetimes = Lifetimes {
        access: TimeDelta::hours(1),
        idle: TimeDelta::days(7),
        absolute: TimeDelta::days(30),
    };

    fn begun() -> (Session, RefreshToken, Successors) {
        let id = new_id();
        let first = RefreshToken::first(id, [7; 32]);
        let device = Device::of([192, 0, 2, 77].into(), None);
        let session = Session::begin(UserId::new(), device, &first, from_millis(0), &LIFE);
        (session, first, Successors::new([1; 32], None))
    }

    fn at(seconds: i64) -> Timestamp {
        from_millis(seconds * 1000)
    }

    #[test]
    fn a_token_reads_as_it_was_written_and_nothing_else_reads() {
        let (_, first, successors) = begun();
        let token = successors.next(&first);
        let text = token.encode();
        assert_eq!(text.len(), 70);
        assert!(RefreshToken::parse(&text).is_some_and(|read| read == token));
        for text in [
            "",
            "x",
            &text[1..],
            &format!("{text}A"),
            "आशा",
            &text.replace(char::is_alphanumeric, "="),
        ] {
            assert!(RefreshToken::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn tokens_of_others_and_invented_ones_are_invalid_and_end_nothing() {
        let (session, first, successors) = begun();
        let judge = |token: &RefreshToken| session.judge(token, &successors, at(1), &LIFE);
        let guess = RefreshToken::first(session.id, [8; 32]);
        let other = RefreshToken::first(new_id(), first.secret);
        let later = RefreshToken {
            generation: 1,
            ..first.clone()
        };
        for token in [guess, other, later] {
            assert!(judge(&token) == TokenVerdict::Invalid);
        }
        let foreign = Successors::new([2; 32], None);
        let TokenVerdict::Rotate(_, rotation) = judge(&first) else {
            panic!()
        };
        let session = session.clone().rotated(rotation);
        assert!(session.judge(&foreign.next(&first), &successors, at(2), &LIFE) == TokenVerdict::Invalid);
        assert!(
            session.judge(&first, &foreign, at(2), &LIFE) == TokenVerdict::Invalid,
            "another key's"
        );
    }

    #[test]
    fn a_session_ends_idle_and_in_any_case() {
        let (session, first, successors) = begun();
        let week = LIFE.idle.num_seconds();
        assert!(session.judge(&first, &successors, at(week + 1), &LIFE) == TokenVerdict::Invalid);
        let (mut session, mut token, mut now) = (session, first, 0);
        while now < LIFE.absolute.num_seconds() {
            let TokenVerdict::Rotate(next, rotation) = session.judge(&token, &successors, at(now), &LIFE)
            else {
                panic!("{now}")
            };
            assert!(rotation.refresh_until <= session.ends_at);
            (session, token) = (session.rotated(rotation), next);
            now += week - 1;
        }
        let end = LIFE.absolute.num_seconds() + 1;
        assert!(session.judge(&token, &successors, at(end), &LIFE) == TokenVerdict::Invalid);
    }

    #[test]
    fn two_keys_live_at_once() {
        let (session, first, old) = begun();
        let both = Successors::new([2; 32], Some([1; 32]));
        let TokenVerdict::Rotate(second, rotation) = session.judge(&first, &old, at(0), &LIFE) else {
            panic!()
        };
        let session = session.rotated(rotation);
        // The other tab comes after the secret was exchanged, or before it at another process.
        let back = Successors::new([1; 32], Some([2; 32]));
        for keys in [&both, &back] {
            assert!(session.judge(&first, keys, at(10), &LIFE) == TokenVerdict::Repeat(second.clone()));
            assert!(session.judge(&first, keys, at(11), &LIFE) == TokenVerdict::Reused);
        }
        let TokenVerdict::Rotate(third, rotation) = session.judge(&second, &both, at(20), &LIFE) else {
            panic!()
        };
        let session = session.rotated(rotation);
        assert!(session.judge(&second, &both, at(21), &LIFE) == TokenVerdict::Repeat(third));
        assert!(
            session.judge(&first, &both, at(21), &LIFE) == TokenVerdict::Invalid,
            "a chain under both keys"
        );
    }

    #[test]
    fn the_grace_is_no_longer_under_a_clock_that_was_put_back() {
        let (session, first, successors) = begun();
        let TokenVerdict::Rotate(_, rotation) = session.judge(&first, &successors, at(3600), &LIFE) else {
            panic!()
        };
        let session = session.rotated(rotation);
        assert!(matches!(
            session.judge(&first, &successors, at(3590), &LIFE),
            TokenVerdict::Repeat(_)
        ));
        assert!(session.judge(&first, &successors, at(0), &LIFE) == TokenVerdict::Reused);
    }

    #[test]
    fn no_access_token_outlasts_its_session() {
        let (mut session, first, successors) = begun();
        (session.refresh_until, session.last_used_at) = (session.ends_at, session.ends_at);
        let late = LIFE.absolute.num_seconds() - 60;
        let TokenVerdict::Rotate(_, rotation) = session.judge(&first, &successors, at(late), &LIFE) else {
            panic!()
        };
        assert_eq!(rotation.access_until, session.ends_at);
    }

    #[test]
    fn a_device_is_known_by_its_network() {
        for (address, shown) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2::5", "2001:db8:1::/48"),
        ] {
            assert_eq!(Device::of(address.parse().unwrap(), None).address, shown);
        }
        let agent = |text| Device::of([192, 0, 2, 1].into(), Some(text)).user_agent;
        assert_eq!(
            agent(" Firefox\u{7}\u{1b}[31m 140 "),
            Some("Firefox[31m 140".to_owned())
        );
        assert_eq!(agent(" \t"), None);
        assert_eq!(agent(&"é".repeat(1000)).unwrap().chars().count(), MAX_USER_AGENT);
    }

    proptest! {
        /// A client that uses its newest token stays signed in; whatever older one is used, beyond the grace or after its
        /// successor was used, ends the session, and is never taken for the live one.
        #[test]
        fn only_the_newest_token_continues(uses in 1_u32..40, back in 1_u32..40, pause in 0_i64..30) {
            let (mut session, first, successors) = begun();
            let mut tokens = vec![first];
            for number in 0..uses {
                let newest = tokens.last().unwrap().clone();
                let TokenVerdict::Rotate(next, rotation) = session.judge(&newest, &successors, at(i64::from(number) * 60), &LIFE)
                else { panic!() };
                session = session.rotated(rotation);
                tokens.push(next);
            }
            let back = back.min(uses);
            let old = &tokens[(uses - back) as usize];
            let now = at(i64::from(uses - 1) * 60 + pause);
            let verdict = session.judge(old, &successors, now, &LIFE);
            let repeated = back == 1 && pause <= 10;
            let right = match verdict {
                TokenVerdict::Repeat(next) => repeated && Some(&next) == tokens.last(),
                TokenVerdict::Reused => !repeated,
                _ => false,
            };
            prop_assert!(right);
        }
    }
}
