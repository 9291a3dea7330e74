//! Waiting for a message to be delivered, and for what came of it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use common::{outbox::OutboxStore, workers::WakeSignal};
use shared_state::{
    Shared,
    bus::{Heard, Topic},
};

/// Connects requests that wait for a message to be delivered with the relay, which may be in another process. Cheap to
/// clone.
#[derive(Clone, Default)]
pub struct Deliveries {
    settled: Arc<Notify>,
    /// The bus to the other processes and its topic; `None`: there are none.
    others: Option<(Shared, Topic)>,
    /// Which effects are reported to waiting requests.
    notable: Option<fn(&str) -> bool>,
    /// The last notable ones, with the places of their messages.
    effects: Arc<Mutex<VecDeque<(i64, String)>>>,
}

/// On the bus: a request waits.
const WAITING: &str = "waiting";
/// On the bus: messages have been delivered.
const SETTLED: &str = "settled";
/// On the bus, with a place and an effect: what came of a message that is about to be settled.
const EFFECT: &str = "effect";
/// Effects kept. A request waits for a second at most.
const EFFECTS: usize = 1_000;

impl Deliveries {
    /// Among all processes of a service, which share `topic`. [`Deliveries::wait`] gives effects that are `notable`.
    pub fn new(shared: &Shared, topic: Topic, notable: fn(&str) -> bool) -> Self {
        Self {
            others: (!shared.is_in_process()).then(|| (shared.clone(), topic)),
            notable: Some(notable),
            ..Self::default()
        }
    }

    /// Waits until a message has been delivered, at most for `patience`: so that the response already shows its
    /// effect. The message is safe either way. Returns the effect if it is notable and known here.
    pub async fn wait(&self, store: &dyn OutboxStore, seq: i64, patience: Duration) -> Option<String> {
        let wait = async {
            self.publish(WAITING).await;
            loop {
                let settled = self.settled.notified();
                tokio::pin!(settled);
                settled.as_mut().enable();
                match store.is_pending(seq).await {
                    Ok(true) => settled.await,
                    _ => return,
                }
            }
        };
        let _ = tokio::time::timeout(patience, wait).await;
        let effects = self.effects.lock();
        effects
            .iter()
            .find(|(of, _)| *of == seq)
            .map(|(_, effect)| effect.clone())
    }

    /// What came of messages, before they are settled: so that it is known when the wait ends.
    pub(super) async fn came_to(&self, effects: Vec<(i64, String)>) {
        let Some(notable) = self.notable else {
            return;
        };
        for (seq, effect) in effects.into_iter().filter(|(_, effect)| notable(effect)) {
            self.publish(&format!("{EFFECT} {seq} {effect}")).await;
            self.keep(seq, effect);
        }
    }

    fn keep(&self, seq: i64, effect: String) {
        let mut effects = self.effects.lock();
        if effects.len() >= EFFECTS {
            effects.pop_front();
        }
        effects.push_back((seq, effect));
    }

    pub(super) async fn settled(&self) {
        self.settled.notify_waiters();
        self.publish(SETTLED).await;
    }

    async fn publish(&self, what: &str) {
        if let Some((shared, topic)) = &self.others {
            shared.publish(topic, what).await;
        }
    }

    /// Passes on what the other processes publish, until `stop`: wakes the relays when a request waits there.
    pub async fn hear(self, relays: WakeSignal, stop: CancellationToken) {
        let Some((shared, topic)) = &self.others else {
            return stop.cancelled().await;
        };
        let mut bus = shared.subscribe(topic);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                heard = bus.next() => match heard {
                    Heard::Message(what) if &*what == WAITING => relays.wake(),
                    Heard::Message(what) => match effect(&what) {
                        Some((seq, effect)) => self.keep(seq, effect.to_owned()),
                        None => self.settled.notify_waiters(),
                    },
                    Heard::Gap => self.settled.notify_waiters(),
                },
            }
        }
    }
}

fn effect(what: &str) -> Option<(i64, &str)> {
    let (seq, effect) = what.strip_prefix(EFFECT)?.trim_start().split_once(' ')?;
    Some((seq.parse().ok()?, effect))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_came_of_a_message_is_known_in_the_other_process_too() {
        let bus = Shared::in_process();
        // As two processes have them: each receives what the other publishes.
        let process = || Deliveries {
            others: Some((bus.clone(), Topic::named("deliveries"))),
            notable: Some(|effect| effect != "confirmed"),
            ..Deliveries::default()
        };
        let (relay, waiting) = (process(), process());
        let stop = CancellationToken::new();
        let hears = tokio::spawn(waiting.clone().hear(WakeSignal::default(), stop.clone()));
        let settled = waiting.settled.clone();
        // It may not be subscribed yet: published until it is received.
        loop {
            let heard = settled.notified();
            relay
                .came_to(vec![(7, "confirmed".to_owned()), (8, "no_seat".to_owned())])
                .await;
            relay.settled().await;
            if tokio::time::timeout(Duration::from_millis(10), heard)
                .await
                .is_ok()
            {
                break;
            }
        }
        for one in [&relay, &waiting] {
            let known = one.effects.lock();
            assert!(known.iter().all(|one| *one == (8, "no_seat".to_owned())) && !known.is_empty());
        }
        stop.cancel();
        hears.await.unwrap();
        // The oldest are evicted.
        for seq in 0..2_000 {
            relay.keep(seq, "no_seat".to_owned());
        }
        assert_eq!(relay.effects.lock().len(), EFFECTS);
    }
}
