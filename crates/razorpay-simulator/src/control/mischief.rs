//! Deliveries of webhooks that are to go wrong.

use std::time::Duration;

use axum::{Json, extract::State};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    app::App,
    failure::Failure,
    http::{Answer, Body},
    webhooks,
};

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

struct Set {
    twice: i64,
    wrong_signature: i64,
    late_ms: i64,
    late_times: i64,
    late_event: Option<String>,
    hold: bool,
    reverse: bool,
    pace: Pace,
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
                give_up: webhooks::GIVE_UP,
            },
        }
    }
}

impl Mischief {
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

    pub(super) fn clear(&self) {
        *self.0.lock() = Set::default();
    }

    pub(super) fn view(&self) -> Value {
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

/// `POST /sim/control/webhooks`: changes what is named and leaves the rest.
pub(super) async fn set(State(app): State<App>, Body(fields): Body) -> Answer {
    let fields = fields.with_numeric_text();
    fields.only(&[
        "twice",
        "wrong_signature",
        "late_ms",
        "late_times",
        "late_event",
        "hold",
        "reverse",
        "first_retry_ms",
        "give_up_ms",
    ])?;
    let number = |name: &str| match fields.integer(name)? {
        Some(number) if number < 0 => Err(Failure::invalid(name, format!("The {name} must be at least 0."))),
        number => Ok(number),
    };
    let (twice, wrong_signature) = (number("twice")?, number("wrong_signature")?);
    let (late_ms, late_times) = (number("late_ms")?, number("late_times")?);
    let (first_retry, give_up) = (number("first_retry_ms")?, number("give_up_ms")?);
    let (hold, reverse) = (fields.flag("hold")?, fields.flag("reverse")?);
    let late_event = fields.text("late_event", 64)?;
    {
        let mut set = app.mischief.0.lock();
        set.twice = twice.unwrap_or(set.twice);
        set.wrong_signature = wrong_signature.unwrap_or(set.wrong_signature);
        if let Some(late_ms) = late_ms {
            // Naming a delay makes one event late, unless it says how many.
            (set.late_ms, set.late_times, set.late_event) = (late_ms, late_times.unwrap_or(1), late_event);
        }
        set.hold = hold.unwrap_or(set.hold);
        set.reverse = reverse.unwrap_or(set.reverse);
        let millis = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        set.pace.first_retry = first_retry.map_or(set.pace.first_retry, millis);
        set.pace.give_up = give_up.map_or(set.pace.give_up, millis);
    }
    app.outgoing.notify_one();
    Ok(Json(app.mischief.view()))
}
