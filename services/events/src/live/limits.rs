//! Bounds of connections.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use common::ids::UserId;
use shared_state::ratelimit::source;

/// The largest message that a client may send, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Channels that one connection may read.
pub const CHANNELS: usize = 128;
/// Commands of one connection in the long run.
pub const COMMANDS_PER_SECOND: u32 = 20;
/// Commands of one connection at once.
pub const COMMANDS_BURST: u32 = 40;
/// Mistakes of one connection a minute, before it is closed.
const MISTAKES: u32 = 10;
/// Connections of one user in one process.
const OF_USER: u32 = 10;
/// Connections from one address in one process.
const OF_ADDRESS: u32 = 100;
/// How long the other side may take to close too.
pub const CLOSE_TIME: Duration = Duration::from_secs(3);

/// How long what is waited for may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A client may take so long to say who it is.
    pub connect: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// The answer to one may take so long.
    pub pong: Duration,
    /// A client is told so much earlier that its token runs out.
    pub expiring: Duration,
    /// A token that has run out may still be replaced for so long.
    pub grace: Duration,
    /// A client may take nothing of what is sent to it for so long.
    pub stall: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            ping: Duration::from_secs(25),
            pong: Duration::from_secs(10),
            expiring: Duration::from_secs(60),
            grace: Duration::from_secs(25),
            stall: Duration::from_secs(30),
        }
    }
}

/// A bucket of tokens: `burst` at once, `per_second` in the long run.
#[derive(Debug)]
pub struct Bucket {
    burst: f32,
    per_second: f32,
    left: f32,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(burst: u32, per_second: f32, now: Instant) -> Self {
        let burst = burst as f32;
        Self {
            burst,
            per_second,
            left: burst,
            at: now,
        }
    }

    /// That of a connection's commands.
    pub fn of_commands(now: Instant) -> Self {
        Self::new(COMMANDS_BURST, COMMANDS_PER_SECOND as f32, now)
    }

    /// That of a connection's mistakes.
    pub fn of_mistakes(now: Instant) -> Self {
        Self::new(MISTAKES, MISTAKES as f32 / 60.0, now)
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f32();
        self.left = (self.left + passed * self.per_second).min(self.burst);
        self.at = now;
        if self.left < 1.0 {
            return Err(Duration::from_secs_f32((1.0 - self.left) / self.per_second));
        }
        self.left -= 1.0;
        Ok(())
    }
}

/// How many connections there are of each user and from each address.
#[derive(Default)]
pub struct Counts {
    users: HashMap<UserId, u32>,
    addresses: HashMap<String, u32>,
}

impl Counts {
    /// One more from an address; `false`: it has too many.
    pub fn enter(&mut self, address: IpAddr) -> bool {
        more(&mut self.addresses, source(address), OF_ADDRESS)
    }

    /// One less.
    pub fn exit(&mut self, address: IpAddr) {
        less(&mut self.addresses, source(address));
    }

    /// One more of a user; `false`: it has too many.
    pub fn sign_in(&mut self, user: UserId) -> bool {
        more(&mut self.users, user, OF_USER)
    }

    /// One less.
    pub fn sign_out(&mut self, user: UserId) {
        less(&mut self.users, user);
    }
}

fn more<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, of: K, most: u32) -> bool {
    let count = counts.entry(of).or_default();
    if *count >= most {
        return false;
    }
    *count += 1;
    true
}

fn less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, of: K) {
    if let Some(count) = counts.get_mut(&of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_burst_and_then_so_many_a_second() {
        let start = Instant::now();
        let mut bucket = Bucket::of_commands(start);
        for _ in 0..COMMANDS_BURST {
            assert_eq!(bucket.take(start), Ok(()));
        }
        let wait = bucket.take(start).unwrap_err();
        assert!(
            wait > Duration::from_millis(45) && wait < Duration::from_millis(55),
            "{wait:?}"
        );
        assert_eq!(bucket.take(start + Duration::from_millis(60)), Ok(()));
        assert!(bucket.take(start + Duration::from_millis(60)).is_err());
        // A clock that goes back gives nothing.
        assert!(bucket.take(start).is_err());
    }

    #[test]
    fn connections_are_counted() {
        let (mut counts, user) = (Counts::default(), UserId::new());
        for _ in 0..OF_USER {
            assert!(counts.sign_in(user));
        }
        assert!(!counts.sign_in(user));
        counts.sign_out(user);
        assert!(counts.sign_in(user));
        for _ in 0..OF_USER {
            counts.sign_out(user);
        }
        assert!(counts.users.is_empty());
    }
}
