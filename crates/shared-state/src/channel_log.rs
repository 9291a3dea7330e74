//! Logs of channels in Redis: what was published, numbered without gaps, so that every process that serves readers
//! can give them what they missed.
//!
//! Of each channel a hash `{epoch, top}` and a stream of its last entries live as long as the channel is read, and
//! [`KEPT_FOR`] longer. A channel that is gone begins again under another epoch: that is how readers learn that what they
//! missed cannot be had any more. An entry is appended and published in one script, so that one comes with the other.
//!
//! Keys: `organise:live:{CHANNEL}:meta`, `:log`, `:key:KEY`; channels of Redis: `organise:live:CHANNEL`. Marks (see
//! [`ChannelLog::mark`]): `organise:live:{marks}:due`, `:versions`, `:seq`, `:paced:MARK`.

mod counts;
pub mod people;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::StreamExt;
use redis::{
    Client, Value,
    aio::{PubSub, PubSubSink},
    cmd, from_redis_value,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use uuid::Uuid;

use crate::{
    Away, PREFIX,
    redis::{AGAIN, BEAT, CONNECT, Redis},
};

/// Entries kept per channel.
pub const KEPT: usize = 1_000;
/// Entries read at once.
pub const READ_ENTRIES: usize = 500;
/// Likewise bytes.
pub const READ_BYTES: usize = 512 * 1024;
/// How long a channel that nobody uses is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(600);
/// How long an entry is recognized by its key.
const KEY_FOR: Duration = Duration::from_secs(600);
/// Entries received and not yet taken.
const RECEIVED: usize = 10_000;
/// Channels followed by one command.
const TOGETHER: usize = 500;
/// Requests to follow a channel that wait for the connection.
const REQUESTS: usize = 1_024;

/// KEYS: meta, log, key. ARGV: entry, an epoch, Redis's channel, `1` when only a channel in use is published to, ms to keep
/// the channel, ms to keep the key (0: none), entries to keep, the version. Answers epoch and offset; nothing for a channel that is not in use.
const PUBLISH: &str = "
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch and ARGV[4] == '1' then return false end
if ARGV[6] ~= '0' then
  local version, offset, life = string.match(redis.call('GET', KEYS[3]) or '', '^(%d+) (%d+) (%x+)$')
  if version and life == epoch and tonumber(version) >= tonumber(ARGV[8]) then return {epoch, tonumber(offset)} end
end
if not epoch then
  epoch = ARGV[2]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'top', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
local top = redis.call('HINCRBY', KEYS[1], 'top', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[7], top .. '-0', 'e', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
if ARGV[6] ~= '0' then redis.call('SET', KEYS[3], ARGV[8] .. ' ' .. top .. ' ' .. epoch, 'PX', ARGV[6]) end
redis.call('PUBLISH', ARGV[3], epoch .. ' ' .. top .. ' ' .. ARGV[1])
return {epoch, top}";

/// KEYS: meta, log. ARGV: the offset after which to read, an epoch, ms to keep the channel, entries and bytes to read at most.
/// Answers epoch, top and the entries, the newest first: as many as the bounds let.
const READ: &str = "
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[2]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'top', 0)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local top = tonumber(redis.call('HGET', KEYS[1], 'top'))
local entries, bytes, last = {}, 0, '+'
while #entries < tonumber(ARGV[4]) do
  local found = redis.call('XREVRANGE', KEYS[2], last, '(' .. ARGV[1] .. '-0', 'COUNT', 20)
  if #found == 0 then break end
  for _, entry in ipairs(found) do
    bytes = bytes + #entry[2][2]
    if bytes > tonumber(ARGV[5]) or #entries >= tonumber(ARGV[4]) then return {epoch, top, entries} end
    table.insert(entries, entry)
    last = '(' .. entry[1]
  end
end
return {epoch, top, entries}";

/// KEYS: due, versions, paced, seq. ARGV: mark. A version is never given twice. Times are milliseconds by Redis's clock, so that those of the processes may differ.
const MARK: &str = "
redis.call('HSET', KEYS[2], ARGV[1], redis.call('INCR', KEYS[4]))
local t = redis.call('TIME')
local pause = math.max(redis.call('PTTL', KEYS[3]), 0)
redis.call('ZADD', KEYS[1], 'NX', t[1] * 1000 + math.floor(t[2] / 1000) + pause, ARGV[1])
return pause";

/// KEYS: due, versions. ARGV: for how many ms they are claimed, how many. Answers marks and versions, one after the other.
const CLAIM: &str = "
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
local claimed = {}
for _, mark in ipairs(due) do
  redis.call('ZADD', KEYS[1], now + ARGV[1], mark)
  table.insert(claimed, mark)
  table.insert(claimed, redis.call('HGET', KEYS[2], mark) or '0')
end
return claimed";

/// KEYS: due, versions, paced. ARGV: mark, version, pause (ms).
const SETTLE: &str = "
local t = redis.call('TIME')
redis.call('SET', KEYS[3], 1, 'PX', ARGV[3])
if (redis.call('HGET', KEYS[2], ARGV[1]) or '0') == ARGV[2] then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[1], t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[3], ARGV[1])
end";

/// Where an entry stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The life of the channel that its offset counts in.
    pub epoch: String,
    /// Its number, from 1.
    pub offset: u64,
}

/// What a channel's log holds.
#[derive(Debug)]
pub struct LogPart {
    /// The channel's epoch.
    pub epoch: String,
    /// The offset of its last entry; 0: there is none yet.
    pub top: u64,
    /// The entries that were asked for, as far as they are kept, in order.
    pub entries: Vec<(u64, String)>,
}

/// What is received of the channels that are followed.
#[derive(Debug)]
pub enum Received {
    /// An entry.
    Entry {
        /// The channel.
        channel: String,
        /// Its place.
        place: Place,
        /// The entry.
        entry: String,
    },
    /// Entries of any channel may have been missed.
    Gap,
}

enum Request {
    Follow(String, oneshot::Sender<Result<(), Away>>),
    Unfollow(String),
}

/// The logs. Cheap to clone; the connection that follows channels ends with the last clone.
#[derive(Clone)]
pub struct ChannelLog {
    redis: Arc<Redis>,
    process: Uuid,
    requests: mpsc::Sender<Request>,
    _listener: Arc<Listener>,
}

struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ChannelLog {
    pub(crate) fn new(redis: Arc<Redis>, process: Uuid) -> (Self, mpsc::Receiver<Received>) {
        let (requests, asked) = mpsc::channel(REQUESTS);
        let (sender, received) = mpsc::channel(RECEIVED);
        let listener = Handle::current().spawn(listen(redis.clients().to_vec(), asked, sender));
        let log = Self {
            redis,
            process,
            requests,
            _listener: Arc::new(Listener(listener.abort_handle())),
        };
        (log, received)
    }

    /// Appends an entry and publishes it, unless one about the same, of this version or a later one, was published before: then that
    /// one's place is given. `open_only`: nothing happens, and `None` is given, unless somebody has used the channel lately.
    ///
    /// # Errors
    /// When Redis is away; the entry may have been appended all the same.
    pub async fn publish(
        &self,
        channel: &str,
        entry: &str,
        about: Option<(&str, u64)>,
        open_only: bool,
    ) -> Result<Option<Place>, Away> {
        let mut script = cmd("EVAL");
        script.arg(PUBLISH).arg(3);
        script.arg(name(channel, "meta")).arg(name(channel, "log"));
        let (key, version) = about.unwrap_or_default();
        script.arg(name(channel, &format!("key:{key}")));
        script.arg(entry).arg(new_epoch()).arg(of_redis(channel));
        script.arg(u8::from(open_only)).arg(KEPT_FOR.as_millis() as u64);
        script.arg(about.map_or(0, |_| KEY_FOR.as_millis() as u64));
        script.arg(KEPT).arg(version);
        let place: Option<(String, u64)> = self.redis.ask(&script).await?;
        Ok(place.map(|(epoch, offset)| Place { epoch, offset }))
    }

    /// Reads a channel's last entries after an offset, [`READ_ENTRIES`] and [`READ_BYTES`] at most, and keeps the channel in use. A
    /// channel that is not there begins.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn read(&self, channel: &str, after: u64) -> Result<LogPart, Away> {
        let mut script = cmd("EVAL");
        script.arg(READ).arg(2);
        script.arg(name(channel, "meta")).arg(name(channel, "log"));
        script
            .arg(after)
            .arg(new_epoch())
            .arg(KEPT_FOR.as_millis() as u64);
        script.arg(READ_ENTRIES).arg(READ_BYTES);
        let (epoch, top, entries): (String, u64, Vec<Value>) = self.redis.ask(&script).await?;
        let entries = entries.into_iter().rev().filter_map(|entry| {
            let (id, fields): (String, Vec<String>) = from_redis_value(entry).ok()?;
            let (offset, _) = id.split_once('-')?;
            Some((offset.parse().ok()?, fields.into_iter().nth(1)?))
        });
        Ok(LogPart {
            epoch,
            top,
            entries: entries.collect(),
        })
    }

    /// Which of the channels somebody has used lately.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn are_open(&self, channels: &[String]) -> Result<Vec<bool>, Away> {
        let asked = channels.iter().map(|channel| {
            let mut exists = cmd("EXISTS");
            exists.arg(name(channel, "meta"));
            exists
        });
        self.redis.ask_all(&asked.collect::<Vec<_>>()).await
    }

    /// Receives a channel's entries from now on.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn follow(&self, channel: &str) -> Result<(), Away> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Follow(channel.to_owned(), reply);
        let asked = async {
            self.requests.send(request).await.map_err(|_| Away)?;
            answer.await.unwrap_or(Err(Away))
        };
        timeout(CONNECT, asked).await.unwrap_or(Err(Away))
    }

    /// Receives a channel's entries no longer.
    pub async fn unfollow(&self, channel: &str) {
        // Without a listener nothing is received anyway.
        let _ = self.requests.send(Request::Unfollow(channel.to_owned())).await;
    }

    /// Marks something as to be looked at: at once, or when its pause is over. Gives how long that is.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn mark(&self, mark: &str) -> Result<Duration, Away> {
        let mut script = cmd("EVAL");
        script
            .arg(MARK)
            .arg(4)
            .arg(of_marks("due"))
            .arg(of_marks("versions"));
        script.arg(of_marks(&format!("paced:{mark}")));
        script.arg(of_marks("seq")).arg(mark);
        let pause: u64 = self.redis.ask(&script).await?;
        Ok(Duration::from_millis(pause))
    }

    /// Claims marks that are due, with the versions to [settle](Self::settle) them with. One that is not settled in `time`
    /// is due again.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn claim(&self, most: usize, time: Duration) -> Result<Vec<(String, String)>, Away> {
        let mut script = cmd("EVAL");
        script
            .arg(CLAIM)
            .arg(2)
            .arg(of_marks("due"))
            .arg(of_marks("versions"));
        script.arg(time.as_millis() as u64).arg(most);
        let claimed: Vec<String> = self.redis.ask(&script).await?;
        let pairs = claimed.chunks_exact(2);
        Ok(pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect())
    }

    /// Notes that a mark has been looked at, for the first time in a while to come: marked again, it is due after `pause`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn settle(&self, mark: &str, version: &str, pause: Duration) -> Result<(), Away> {
        let mut script = cmd("EVAL");
        script
            .arg(SETTLE)
            .arg(3)
            .arg(of_marks("due"))
            .arg(of_marks("versions"));
        script
            .arg(of_marks(&format!("paced:{mark}")))
            .arg(mark)
            .arg(version);
        script.arg(pause.as_millis() as u64);
        self.redis.ask(&script).await
    }
}

/// A name for a channel's life that no other has.
pub fn new_epoch() -> String {
    format!("{:08x}", rand::random::<u32>())
}

fn name(channel: &str, of: &str) -> String {
    format!("{PREFIX}live:{{{channel}}}:{of}")
}

fn of_marks(of: &str) -> String {
    format!("{PREFIX}live:{{marks}}:{of}")
}

fn of_redis(channel: &str) -> String {
    format!("{PREFIX}live:{channel}")
}

/// Follows channels over a connection of its own, which is made again whenever it breaks.
async fn listen(
    clients: Vec<Client>,
    mut requests: mpsc::Receiver<Request>,
    received: mpsc::Sender<Received>,
) {
    let mut followed = HashSet::new();
    for client in clients.iter().cycle() {
        if let Ok(subscription) = subscribe(client, &followed).await {
            if received.send(Received::Gap).await.is_err() {
                return;
            }
            hear(subscription, &mut followed, &mut requests, &received).await;
        }
        let pause = sleep(AGAIN.mul_f64(rand::random_range(0.5..1.5)));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                request = requests.recv() => match request {
                    Some(Request::Follow(_, reply)) => drop(reply.send(Err(Away))),
                    Some(Request::Unfollow(channel)) => drop(followed.remove(&channel)),
                    None => return,
                },
            }
        }
    }
}

async fn subscribe(client: &Client, followed: &HashSet<String>) -> Result<PubSub, Away> {
    let connecting = timeout(CONNECT, client.get_async_pubsub()).await;
    let mut subscription = connecting.map_err(|_| Away)?.map_err(|_| Away)?;
    let names: Vec<String> = followed.iter().map(|channel| of_redis(channel)).collect();
    for names in names.chunks(TOGETHER) {
        let subscribed = timeout(CONNECT, subscription.subscribe(names)).await;
        subscribed.map_err(|_| Away)?.map_err(|_| Away)?;
    }
    Ok(subscription)
}

/// Until the connection breaks.
async fn hear(
    subscription: PubSub,
    followed: &mut HashSet<String>,
    requests: &mut mpsc::Receiver<Request>,
    received: &mpsc::Sender<Received>,
) {
    let (mut sink, mut messages) = subscription.split();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return };
                let Ok(text) = message.get_payload::<String>() else { continue };
                let Some(entry) = entry(message.get_channel_name(), &text) else { continue };
                if received.send(entry).await.is_err() {
                    return;
                }
            }
            request = requests.recv() => {
                let Some(request) = request else { return };
                // Those that came together go together.
                let mut more = vec![request];
                while more.len() < TOGETHER && let Ok(request) = requests.try_recv() {
                    more.push(request);
                }
                if !serve(&mut sink, followed, more).await {
                    return;
                }
            }
            _ = beat.tick() => match timeout(CONNECT, sink.ping::<Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

/// Follows and unfollows channels; `false`: the connection is broken.
async fn serve(sink: &mut PubSubSink, followed: &mut HashSet<String>, requests: Vec<Request>) -> bool {
    let (mut wanted, mut unwanted, mut replies) = (HashSet::new(), HashSet::new(), Vec::new());
    for request in requests {
        match request {
            Request::Follow(channel, reply) => {
                if unwanted.remove(&channel) || !followed.contains(&channel) {
                    wanted.insert(channel);
                }
                replies.push(reply);
            }
            Request::Unfollow(channel) => {
                wanted.remove(&channel);
                unwanted.insert(channel);
            }
        }
    }
    let names = |channels: &HashSet<String>| channels.iter().map(|one| of_redis(one)).collect::<Vec<_>>();
    let alive = (unwanted.is_empty()
        || matches!(
            timeout(CONNECT, sink.unsubscribe(names(&unwanted))).await,
            Ok(Ok(()))
        ))
        && (wanted.is_empty()
            || matches!(timeout(CONNECT, sink.subscribe(names(&wanted))).await, Ok(Ok(()))));
    followed.retain(|channel| !unwanted.contains(channel));
    if alive {
        followed.extend(wanted);
    }
    for reply in replies {
        // Whoever asked may have gone; the channel is then unfollowed by those who look after it.
        let _ = reply.send(if alive { Ok(()) } else { Err(Away) });
    }
    alive
}

/// The entry of a message that [`PUBLISH`] has published.
fn entry(channel: &str, text: &str) -> Option<Received> {
    let channel = channel.strip_prefix(PREFIX)?.strip_prefix("live:")?;
    let (epoch, rest) = text.split_once(' ')?;
    let (offset, entry) = rest.split_once(' ')?;
    Some(Received::Entry {
        channel: channel.to_owned(),
        place: Place {
            epoch: epoch.to_owned(),
            offset: offset.parse().ok()?,
        },
        entry: entry.to_owned(),
    })
}
