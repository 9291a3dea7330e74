//! With Redis: keeping the copies of channels what their logs are.
//!
//! A copy is in doubt when an entry may have been missed: after a break of the connection, when a publication finds its
//! channel gone, when a reader has seen more. It stays so until it has been compared.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use shared_state::{
    Away,
    channel_log::{LogPart, Place, Received},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Hub, State, Topic};
use crate::live::{
    channel::Channel,
    closing::Closing,
    history::{History, Position},
    publication::Entry,
};

/// How often copies are compared with their logs, for what the connection to Redis lost without noticing.
const COMPARED_EVERY: Duration = Duration::from_secs(40);
/// How often copies that are in doubt are compared.
const TICK: Duration = Duration::from_millis(500);
/// Copies compared at a time, and for how long.
const AT_ONCE: usize = 250;
const COMPARING: Duration = Duration::from_millis(100);
/// Redis is away when so many of them failed.
const GIVE_UP: u32 = 3;
/// A reader that has seen more than this copy has waits so long for it to catch up, looking so often.
const BEHIND: Duration = Duration::from_secs(2);
const LOOKED_EVERY: Duration = Duration::from_millis(20);

impl Hub {
    /// Passes on what is received from the logs, until `stop`. One task does that and the comparing, so that neither
    /// overtakes the other.
    pub async fn follow_logs(self, mut received: mpsc::Receiver<Received>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                one = received.recv() => match one {
                    Some(Received::Entry { channel, place, entry }) => self.receive(&channel, &place, &entry).await,
                    Some(Received::Gap) => self.doubt_all(),
                    None => return,
                },
                _ = tick.tick() => self.compare_some().await,
            }
        }
    }

    async fn receive(&self, name: &str, place: &Place, entry: &str) {
        let topic = self.0.topics.read().get(name).cloned();
        let Some(topic) = topic else { return };
        // Not yet known: the log is being read, and this entry is in it or will be found to be missing by the next one.
        let Some(state) = topic.state.get() else {
            return self.doubt(name);
        };
        {
            let mut state = state.lock();
            if **state.history.epoch() == *place.epoch {
                if place.offset <= state.history.top() {
                    return;
                }
                if place.offset == state.history.top() + 1 {
                    if let Some(entry) = Entry::decode(entry) {
                        state.publish(entry.publication(topic.channel, place.offset));
                    }
                    return;
                }
            }
        }
        if self.compare(&topic).await.is_err() {
            self.doubt(name);
        }
    }

    fn doubt_all(&self) {
        let names: Vec<_> = self.0.topics.read().keys().cloned().collect();
        self.0.doubtful.lock().extend(names);
    }

    /// Compares copies that are in doubt, or have not been compared for long; for a short time, because meanwhile nothing is
    /// passed on.
    async fn compare_some(&self) {
        let old: Vec<_> = {
            let topics = self.0.topics.read();
            let old = topics
                .values()
                .filter(|topic| topic.compared.lock().elapsed() >= COMPARED_EVERY);
            old.map(|topic| Arc::clone(&topic.name)).take(AT_ONCE).collect()
        };
        let some: Vec<_> = {
            let mut doubtful = self.0.doubtful.lock();
            doubtful.extend(old);
            doubtful.iter().take(AT_ONCE).cloned().collect()
        };
        let (began, mut failed) = (Instant::now(), 0);
        for name in some {
            if failed == GIVE_UP || began.elapsed() > COMPARING {
                return;
            }
            // Before it is compared: who doubts it meanwhile wants it compared again.
            self.0.doubtful.lock().remove(&name);
            let topic = self.0.topics.read().get(&name).cloned();
            let Some(topic) = topic else { continue };
            if self.compare(&topic).await.is_err() {
                // Again at the next tick.
                self.0.doubtful.lock().insert(name);
                failed += 1;
            }
        }
    }

    /// Brings a copy up to date with its log.
    async fn compare(&self, topic: &Arc<Topic>) -> Result<(), Away> {
        let Some(log) = &self.0.log else { return Ok(()) };
        let state = self.state(topic).await?;
        // It costs nothing where it is followed already.
        log.follow(&topic.name).await?;
        let top = state.lock().history.top();
        let part = log.read(&topic.name, top).await?;
        state.lock().catch_up(topic.channel, part);
        *topic.compared.lock() = Instant::now();
        Ok(())
    }

    /// Has a copy compared with its log.
    pub(super) fn doubt(&self, name: &str) {
        if let Some((name, _)) = self.0.topics.read().get_key_value(name) {
            self.0.doubtful.lock().insert(Arc::clone(name));
        }
    }

    /// Waits for a copy that is behind what a reader has seen, at another replica.
    pub(super) async fn catch_up_to(&self, topic: &Topic, state: &Mutex<State>, since: &Position) {
        let is_behind = || {
            let history = &state.lock().history;
            *history.epoch() == since.epoch && history.top() < since.offset
        };
        if self.0.log.is_none() || !is_behind() {
            return;
        }
        self.doubt(&topic.name);
        let began = Instant::now();
        while is_behind() && began.elapsed() < BEHIND {
            tokio::time::sleep(LOOKED_EVERY).await;
        }
    }
}

impl State {
    /// Passes on what the log has beyond this copy. Where that is not all there was, the readers have to ask again.
    pub(super) fn catch_up(&mut self, channel: Channel, part: LogPart) {
        let goes_on = **self.history.epoch() == *part.epoch && part.top >= self.history.top();
        let next = part.entries.first().map_or(part.top + 1, |(offset, _)| *offset);
        // What a release of another form has written cannot be passed on either.
        let readable = part
            .entries
            .iter()
            .all(|(_, entry)| Entry::decode(entry).is_some());
        if goes_on && readable && next <= self.history.top() + 1 {
            for (offset, entry) in part.entries {
                if let Some(entry) = Entry::decode(&entry)
                    && offset == self.history.top() + 1
                {
                    self.publish(entry.publication(channel, offset));
                }
            }
            return;
        }
        self.history = history(channel, part);
        for reader in self.readers.values() {
            reader.queue.close(Closing::InsufficientState);
        }
    }
}

/// The history of what was read of a log, if that is without gaps to its top; else that of a channel of which only the position is
/// known.
pub(super) fn history(channel: Channel, LogPart { epoch, top, entries }: LogPart) -> History {
    let before = entries.first().map_or(top, |(offset, _)| offset - 1);
    let mut history = History::new(epoch.as_str(), before);
    for (offset, entry) in entries {
        if let Some(entry) = Entry::decode(&entry) {
            history.push(Arc::new(entry.publication(channel, offset)));
        }
    }
    if history.top() != top {
        history = History::new(epoch, top);
    }
    history
}
