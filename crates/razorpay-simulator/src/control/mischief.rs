//! Having deliveries of webhooks go wrong.

use std::time::Duration;

use axum::{Json, extract::State};

use crate::{
    app::App,
    failure::Failure,
    http::{Answer, Body},
};

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
    app.mischief.change(|set| {
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
    });
    app.outgoing.notify_one();
    Ok(Json(app.mischief.view()))
}
