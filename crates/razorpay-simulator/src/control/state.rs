//! The simulator as a whole: what is set, its clock, and starting over.

use std::sync::atomic::Ordering;

use axum::{Json, extract::State};
use serde_json::json;

use crate::{
    app::App,
    db,
    failure::Failure,
    http::{Answer, Body},
    webhooks,
};

/// The clock can be moved by this much in all: a hundred years.
const FARTHEST_MS: i64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// `GET /sim/control`
pub(super) async fn show(State(app): State<App>) -> Answer {
    let waiting: Option<i64> = app
        .db
        .read(|db| db::value(db, "SELECT COUNT(*) FROM deliveries WHERE due_at IS NOT NULL", []))
        .await?;
    Ok(Json(json!({
        "account_id": app.account_id, "clock_ahead_ms": app.clock.ahead_ms(), "hold_refunds": app.holds_refunds(),
        "faults": app.faults.view(), "webhooks": app.mischief.view(), "deliveries_waiting": waiting,
    })))
}

/// `POST /sim/control/clock`. Kept over restarts, so that time never runs backwards.
pub(super) async fn advance_clock(State(app): State<App>, Body(fields): Body) -> Answer {
    let seconds = fields
        .with_numeric_text()
        .integer("advance_seconds")?
        .ok_or_else(|| Failure::missing("advance_seconds"))?;
    let ahead = app
        .change(move |tx| {
            let ahead = seconds
                .checked_mul(1000)
                .and_then(|ms| ms.checked_add(tx.app.clock.ahead_ms()));
            let Some(ahead) = ahead.filter(|ahead| seconds >= 0 && *ahead <= FARTHEST_MS) else {
                return Err(Failure::invalid(
                    "advance_seconds",
                    "Time can only move on, and by 100 years at most.",
                ));
            };
            let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES ('clock_ahead_ms', ?1)";
            db::execute(tx.db, sql, [ahead.to_string()])?;
            // Changes are made one at a time, so no other one has come between.
            tx.app.clock.set_ahead_ms(ahead);
            tx.wake_due();
            tx.wake_outgoing();
            Ok(ahead)
        })
        .await?;
    Ok(Json(json!({ "clock_ahead_ms": ahead })))
}

/// `POST /sim/control/reset`
pub(super) async fn reset(State(app): State<App>) -> Answer {
    app.change(|tx| {
        for table in [
            "deliveries",
            "events",
            "idempotency",
            "refunds",
            "payments",
            "links",
            "orders",
        ] {
            db::execute(tx.db, &format!("DELETE FROM {table}"), [])?;
        }
        db::execute(
            tx.db,
            "DELETE FROM receivers WHERE id <> ?1",
            [webhooks::CONFIGURED],
        )?;
        db::execute(
            tx.db,
            "UPDATE receivers SET active = ?1",
            [tx.app.settings.webhook_url.is_some()],
        )?;
        db::execute(tx.db, "DELETE FROM meta WHERE name = 'clock_ahead_ms'", [])?;
        tx.app.clock.set_ahead_ms(0);
        Ok(())
    })
    .await?;
    app.faults.clear();
    app.mischief.clear();
    app.hold_refunds.store(false, Ordering::Relaxed);
    app.due.notify_one();
    app.outgoing.notify_one();
    Ok(Json(json!({ "reset": true })))
}
