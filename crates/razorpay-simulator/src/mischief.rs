//! Deliveries of webhooks that are to go wrong: the controls ask for it, and the webhooks look here.

use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

/// Events are told for this long; after that the receiver is disabled.
const GIVE_UP: Duration = Duration::from_secs(24 * 60 * 60);

/// The schedule of redeliveries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The pause before the first; it doubles from there.
    pub(crate) first_retry: Duration,
    /// How long after the event there are any.
    pub(crate) give_up: Duration,
}

/// What is set.
#[derive(Default)]
pub(crate) struct Mischief(Mutex<Set>);

/// The disturbances, and how many deliveries or events each still has to meet.
pub(crate) struct Set {
    pub(crate) twice: i64,
    pub(crate) wrong_signature: i64,
    pub(crate) late_ms: i64,
    pub(crate) late_times: i64,
    pub(crate) late_event: Option<String>,
    pub(crate) hold: bool,
    pub(crate) reverse: bool,
    pub(crate) pace: Pace,
}

impl Default for Set {
    fn default() -> Self {
        Self {
            twice: 0,
            wrong_signature: 0,
            late_ms: 0,
            late_times: 0,
            late_event: None,
            hold: false,
            reverse: false,
            pace: Pace {
                first_retry: Duration::from_secs(1),
                give_up: GIVE_UP,
            },
        }
    }
}

impl Mischief {
    /// Sets something else, all of it at once.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Set)) {
        change(&mut self.0.lock());
    }

    /// Whether to send this delivery twice.
    pub(crate) fn twice(&self) -> bool {
        used(&mut self.0.lock().twice)
    }

    /// Whether to send this delivery with a false signature.
    pub(crate) fn forges(&self) -> bool {
        used(&mut self.0.lock().wrong_signature)
    }

    /// Milliseconds that this event is to wait.
    pub(crate) fn lateness(&self, event: &str) -> i64 {
        let mut set = self.0.lock();
        let meant = set.late_event.as_deref().is_none_or(|wanted| wanted == event);
        if meant && used(&mut set.late_times) {
            set.late_ms
        } else {
            0
        }
    }

    /// Whether nothing is to be sent.
    pub(crate) fn holds(&self) -> bool {
        self.0.lock().hold
    }

    /// Whether newer events go first.
    pub(crate) fn reverses(&self) -> bool {
        self.0.lock().reverse
    }

    pub(crate) fn pace(&self) -> Pace {
        self.0.lock().pace
    }

    /// Forgets it all.
    pub(crate) fn clear(&self) {
        *self.0.lock() = Set::default();
    }

    /// As the controls show it.
    pub(crate) fn view(&self) -> Value {
        let set = self.0.lock();
        json!({
            "twice": set.twice, "wrong_signature": set.wrong_signature, "late_ms": set.late_ms,
            "late_times": set.late_times, "late_event": set.late_event, "hold": set.hold, "reverse": set.reverse,
            "first_retry_ms": set.pace.first_retry.as_millis(), "give_up_ms": set.pace.give_up.as_millis(),
        })
    }
}

fn used(times: &mut i64) -> bool {
    let any = *times > 0;
    *times -= i64::from(any);
    any
}
