//! Presence: each process has a heartbeat that names its people; those of one that was killed expire.
//!
//! Keys: `organise:live:{CHANNEL}:people`, the processes and when they expire, and `:people:PROCESS`, the people of one.

use std::time::Duration;

use redis::cmd;

use super::{ChannelLog, name};
use crate::Away;

/// For so long the people of a process are there after its last heartbeat.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(60);
/// So many are named at most.
pub const NAMED: usize = 1_000;

/// KEYS: processes, people of this one. ARGV: process, ms until it expires, `1` when those are all, how many have come, those who have
/// come, those who have gone.
const HEARTBEAT: &str = "
if ARGV[3] == '1' then redis.call('DEL', KEYS[2]) end
local come = tonumber(ARGV[4])
for at = 5, #ARGV do
  redis.call(at - 4 <= come and 'SADD' or 'SREM', KEYS[2], ARGV[at])
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('SCARD', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end";

/// KEYS: processes. ARGV: how many to name. Answers the number of people and some of them. The keys of the processes' people have the hash tag of
/// KEYS\[1\], so they are on the same node of a cluster.
const COUNT: &str = "
local t = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', t[1] * 1000 + math.floor(t[2] / 1000))
local keys = redis.call('ZRANGE', KEYS[1], 0, -1)
if #keys == 0 then return {0, {}} end
for at, process in ipairs(keys) do keys[at] = KEYS[1] .. ':' .. process end
if ARGV[1] == '0' and #keys == 1 then return {redis.call('SCARD', keys[1]), {}} end
local people = redis.call('SUNION', unpack(keys))
local some = {}
for at = 1, math.min(#people, tonumber(ARGV[1])) do some[at] = people[at] end
return {#people, some}";

/// Who has come to a process, and who has gone.
#[derive(Debug, Default)]
pub struct Present<'a> {
    /// Those that are there now.
    pub come: &'a [String],
    /// Those that are not any more.
    pub gone: &'a [String],
    /// Whether those that have come are all.
    pub are_all: bool,
}

impl ChannelLog {
    /// Names this process's people. They expire after [`EXPIRES_AFTER`], unless there is another heartbeat.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn heartbeat(&self, channel: &str, people: Present<'_>) -> Result<(), Away> {
        let mut script = cmd("EVAL");
        let process = self.process.simple().to_string();
        script.arg(HEARTBEAT).arg(2);
        script
            .arg(name(channel, "people"))
            .arg(name(channel, &format!("people:{process}")));
        script.arg(process).arg(EXPIRES_AFTER.as_millis() as u64);
        script.arg(u8::from(people.are_all)).arg(people.come.len());
        script.arg(people.come).arg(people.gone);
        self.redis.ask(&script).await
    }

    /// How many people there are, each once wherever they are, and so many of them.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn people(&self, channel: &str, named: usize) -> Result<(u64, Vec<String>), Away> {
        let mut script = cmd("EVAL");
        script.arg(COUNT).arg(1).arg(name(channel, "people")).arg(named);
        self.redis.ask(&script).await
    }
}
