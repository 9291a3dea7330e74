//! Sending what is due. Deliveries of one subject to one receiver form a lane: they go out one after the other, in the
//! order of the events, and lanes go side by side. One that is refused is tried again later and holds nobody up, so
//! the order is what a receiver may hope for and not what it may count on.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use reqwest::header::CONTENT_TYPE;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{KEPT, PATIENCE};
use crate::{app::App, db, failure::Failure};

/// Lanes at once.
const LANES: usize = 32;
/// Deliveries looked at in one go.
const BATCH: i64 = 512;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How often events that are no longer kept are looked for.
const TIDYING: Duration = Duration::from_secs(60 * 60);

/// A receiver and a subject.
type Lane = (String, String);

/// Sends webhooks until `stop`, then lets those under way end.
pub(crate) async fn run(app: &App, stop: &CancellationToken) {
    let (tasks, places) = (TaskTracker::new(), Arc::new(Semaphore::new(LANES)));
    let busy: Arc<Mutex<HashSet<Lane>>> = Arc::default();
    let mut tidied: Option<tokio::time::Instant> = None;
    while !stop.is_cancelled() {
        if tidied.is_none_or(|at| at.elapsed() >= TIDYING) {
            tidied = Some(tokio::time::Instant::now());
            tidy(app).await;
        }
        let pause = match due(app).await {
            Ok((lanes, pause)) => {
                for (lane, events) in lanes {
                    let Ok(place) = places.clone().try_acquire_owned() else {
                        break;
                    };
                    if !busy.lock().insert(lane.clone()) {
                        continue;
                    }
                    let (app, busy, stop) = (app.clone(), busy.clone(), stop.clone());
                    tasks.spawn(async move {
                        for event in events {
                            if stop.is_cancelled() {
                                break;
                            }
                            if let Err(failure) = send(&app, event, &lane.0).await {
                                tracing::error!(?failure, event, "a delivery could not be noted");
                                tokio::time::sleep(Duration::from_secs(1)).await;
                            }
                        }
                        busy.lock().remove(&lane);
                        drop(place);
                        // More of this lane may have come meanwhile, and another may have found no place.
                        app.outgoing.notify_one();
                    });
                }
                pause
            }
            Err(_) => Duration::from_secs(1),
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.outgoing.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    tasks.close();
    if tokio::time::timeout(PATIENCE, tasks.wait()).await.is_err() {
        tracing::warn!("some webhooks were still under way; they will be sent again");
    }
}

/// The lanes that have something due, and how long until something else will be.
async fn due(app: &App) -> Result<(BTreeMap<Lane, Vec<i64>>, Duration), Failure> {
    let idle = Duration::from_secs(60);
    if app.mischief.holds() {
        return Ok((BTreeMap::new(), idle));
    }
    let (reverse, now) = (app.mischief.reverses(), app.clock.now_ms());
    app.db
        .read(move |db| {
            let mut lanes: BTreeMap<Lane, Vec<i64>> = BTreeMap::new();
            let mut statement = db.prepare_cached(
                "SELECT event, receiver, subject FROM deliveries
                WHERE due_at <= ?1 AND receiver IN (SELECT id FROM receivers WHERE active = 1)
                ORDER BY event LIMIT ?2",
            )?;
            let mut rows = statement.query(params![now, BATCH])?;
            while let Some(row) = rows.next()? {
                lanes
                    .entry((row.get(1)?, row.get(2)?))
                    .or_default()
                    .push(row.get(0)?);
            }
            if reverse {
                lanes.values_mut().for_each(|events| events.reverse());
            }
            let next: Option<i64> =
                db::value(db, "SELECT MIN(due_at) FROM deliveries WHERE due_at > ?1", [now])?.flatten();
            let pause = next
                .map_or(idle, |at| Duration::from_millis((at - now).unsigned_abs()))
                .min(idle);
            Ok((lanes, pause))
        })
        .await
}

struct Letter {
    url: String,
    event_id: String,
    happened_at: i64,
    body: Vec<u8>,
    signature: String,
    attempts: i64,
}

fn letter(db: &Connection, event: i64, receiver: &str) -> Result<Option<Letter>, Failure> {
    let sql = "SELECT r.url, e.id, e.created_at, e.body, d.signature, d.attempts
        FROM deliveries d JOIN events e ON e.seq = d.event JOIN receivers r ON r.id = d.receiver
        WHERE d.event = ?1 AND d.receiver = ?2 AND d.due_at IS NOT NULL AND r.active = 1";
    let mut statement = db.prepare_cached(sql)?;
    let letter = statement.query_row(params![event, receiver], |row| {
        Ok(Letter {
            url: row.get(0)?,
            event_id: row.get(1)?,
            happened_at: row.get(2)?,
            body: row.get(3)?,
            signature: row.get(4)?,
            attempts: row.get(5)?,
        })
    });
    Ok(letter.optional()?)
}

/// Posts an event, and notes what came of it.
async fn send(app: &App, event: i64, receiver: &str) -> Result<(), Failure> {
    let receiver = receiver.to_owned();
    let of = receiver.clone();
    let Some(letter) = app.db.read(move |db| letter(db, event, &of)).await? else {
        return Ok(()); // taken back since it was looked for
    };
    let mut heard = post(app, &letter).await;
    if app.mischief.twice() {
        heard &= post(app, &letter).await;
    }
    let (now, pace) = (app.clock.now_ms(), app.mischief.pace());
    app.change(move |tx| {
        if heard {
            let sql = "UPDATE deliveries SET due_at = NULL, outcome = 'delivered', attempts = attempts + 1
                WHERE event = ?1 AND receiver = ?2";
            return db::execute(tx.db, sql, params![event, receiver]).map(drop);
        }
        let exponent = u32::try_from(letter.attempts.clamp(0, 30)).unwrap_or(30);
        let pause = pace.first_retry.saturating_mul(1 << exponent).min(LONGEST_PAUSE);
        let due_at = now + millis(pause);
        if due_at <= letter.happened_at + millis(pace.give_up) {
            let sql = "UPDATE deliveries SET due_at = ?3, attempts = attempts + 1 WHERE event = ?1 AND receiver = ?2";
            return db::execute(tx.db, sql, params![event, receiver, due_at]).map(drop);
        }
        tracing::warn!(receiver, "a webhook receiver did not take an event for 24 hours and is disabled");
        db::execute(tx.db, "UPDATE receivers SET active = 0 WHERE id = ?1", [&receiver])?;
        let sql = "UPDATE deliveries SET due_at = NULL, outcome = 'given up' WHERE receiver = ?1 AND due_at IS NOT NULL";
        db::execute(tx.db, sql, [&receiver]).map(drop)
    })
    .await
}

/// Posts once; gives whether the receiver answered 2xx in time.
async fn post(app: &App, letter: &Letter) -> bool {
    let mut signature = letter.signature.clone();
    if app.mischief.forges() {
        // Another lower-case hex string of the same length.
        signature = signature
            .chars()
            .map(|digit| if digit == '0' { '1' } else { '0' })
            .collect();
    }
    let request = app
        .http
        .post(&letter.url)
        .header(CONTENT_TYPE, "application/json")
        .header("x-razorpay-signature", signature)
        .header("x-razorpay-event-id", &letter.event_id)
        .body(letter.body.clone());
    match request.send().await {
        Ok(response) if response.status().is_success() => true,
        Ok(response) => {
            let status = response.status().as_u16();
            tracing::debug!(event = letter.event_id, status, "a webhook was refused");
            false
        }
        Err(error) => {
            tracing::debug!(event = letter.event_id, %error, "a webhook could not be delivered");
            false
        }
    }
}

/// Forgets events that are no longer kept and wait for nobody.
async fn tidy(app: &App) {
    let before = app.clock.now_ms() - millis(KEPT);
    let sql = "DELETE FROM events WHERE created_at < ?1
        AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = events.seq AND due_at IS NOT NULL)";
    // What cannot be forgotten now is forgotten next time; the store has logged why.
    let _ = app.change(move |tx| db::execute(tx.db, sql, [before])).await;
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
