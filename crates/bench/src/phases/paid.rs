//! The whole paid story: register for an event with fees, then pay through the simulator.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    failure::{Failure, Outcome},
    lab::{Lab, PLENTY, ask, parsed},
    load::{
        run::{Plan, run as load},
        template::Template,
        work::{Expected, Once, Step},
    },
    phases::OK,
    report::{Report, Row},
    stats::{rate, thousands},
};

/// Connections, each of which is one buyer at a time.
const CONNECTIONS: usize = 32;

/// Rupees.
const FEES: u32 = 499;

/// Stories prepared per measured second: more than will be used.
const STORIES_PER_SECOND: f64 = 4_000.0;

/// Buyers whose registrations are looked at afterwards.
const LOOKED_AT: usize = 20;

/// How long a payment may take to confirm its registration once all queues are empty.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(10);

/// A seat held until it is paid for.
const HELD: &[Expected] = &[(201, "\"pending_payment\"")];

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    lab.progress.say("paid, signing tokens");
    let event = lab.event("Paid", PLENTY, FEES).await?;
    let register = Template::post("/api/reg/register_event", &json!({ "event_id": event }))?;
    let prepared = (lab.options.time.as_secs_f64() * STORIES_PER_SECOND) as usize;
    let mut stories = Vec::with_capacity(prepared);
    let mut first_buyers = Vec::with_capacity(LOOKED_AT);
    for _ in 0..prepared {
        let (user_id, token) = lab.stranger()?;
        let pay = json!({ "event_id": event, "amount": FEES, "user_id": user_id, "payment_method": "upi" });
        let pay = Template::post("/api/payment/process_payment", &pay)?;
        stories.push(vec![
            Step {
                request: register.clone().bearer(&token)?,
                expected: HELD,
            },
            Step {
                request: pay.bearer(&token)?,
                expected: OK,
            },
        ]);
        if first_buyers.len() < LOOKED_AT {
            first_buyers.push(token);
        }
    }
    let plan = Plan {
        title: "paid".into(),
        target: lab.doors.gateway,
        connections: CONNECTIONS,
        time: Some(lab.options.time),
        stories: 0,
    };
    let recording = load(plan, Arc::new(Once(stories)), &lab.progress).await?;
    lab.progress.say("paid, outboxes");
    let (waiting, drained) = lab.drain().await?;
    first_buyers.truncate(recording.samples.len());
    for token in &first_buyers {
        confirmed(lab, token, &event).await?;
    }
    report.row(Row {
        path: "register_event + process_payment".into(),
        result: format!("{} paid; {}", rate(recording.rate(200)), recording.latency(200)),
        ..Row::default()
    });
    report.row(Row {
        path: "... outboxes empty after it".into(),
        result: format!(
            "{:.1} s for {} messages left",
            drained.as_secs_f64(),
            thousands(waiting)
        ),
        ..Row::default()
    });
    report.note(format!(
        "paid: {CONNECTIONS} connections, one event, {} stories; the first {} registrations were found confirmed.",
        thousands(recording.samples.len() as u64),
        first_buyers.len()
    ));
    report.failures("paid", &recording.failures);
    Ok(())
}

/// Waits until a buyer's registration is confirmed.
async fn confirmed(lab: &Lab, token: &str, event: &str) -> Outcome<()> {
    let began = Instant::now();
    loop {
        let request = Template::get("/api/reg/get_registrevent")?.bearer(token)?;
        let answer = ask(lab.doors.gateway, request, 200).await?;
        let list = parsed(&answer)?;
        let found = list
            .as_array()
            .into_iter()
            .flatten()
            .find(|one| one["event_id"] == event);
        let status = found.and_then(|one| one.get("status")).and_then(Value::as_str);
        if status == Some("confirmed") {
            return Ok(());
        }
        if began.elapsed() > CONFIRM_PATIENCE {
            let status = status.unwrap_or("missing");
            return Err(Failure::new(format!(
                "a paid registration is {status}, not confirmed"
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
