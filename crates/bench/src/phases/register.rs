//! `POST /api/reg/register_event`: distinct users for fewer seats than users, on one event or on many.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    failure::Outcome,
    lab::{Lab, PLENTY, ask, parsed},
    load::{
        run::{Plan, Recording, run as load},
        template::Template,
        work::{Again, Expected, Once, Step},
    },
    machine::cpu_time,
    phases::CONFIRMED,
    report::{Report, Row},
    stats::{percent, rate, thousands},
};

/// One event, or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All want the same event.
    Hot,
    /// They want [`SPREAD_EVENTS`] events, in turn.
    Spread,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Spread => "spread",
        }
    }

    fn events(self) -> usize {
        match self {
            Self::Hot => 1,
            Self::Spread => SPREAD_EVENTS,
        }
    }
}

/// Events that the registrations are spread over.
const SPREAD_EVENTS: usize = 20;

/// Most requests, which bounds the generator's memory (about 1 KB each).
const MOST: usize = 60_000;

/// Least requests, so that percentiles mean something.
const LEAST: usize = 1_200;

/// Requests in six, of which five find a seat.
const SHARES: usize = 6;

/// Least confirmed per second.
const TARGET_RATE: f64 = 10_000.0;

/// Highest p99, microseconds.
const TARGET_P99: u32 = 50_000;

/// Seat or no seat, nothing else.
const SEAT_OR_FULL: &[Expected] = &[CONFIRMED[0], (409, "\"event_full\"")];

/// Measures it.
pub async fn run(lab: &Lab, kind: Kind, report: &mut Report) -> Outcome<()> {
    let requests = size(lab, kind, report).await?;
    let capacity = requests / kind.events() * (SHARES - 1) / SHARES;
    let mut events = Vec::with_capacity(kind.events());
    for number in 0..kind.events() {
        events.push(
            lab.event(&format!("{} {number}", kind.name()), capacity as u32, 0)
                .await?,
        );
    }
    let crowd = crowd(lab, &events, requests, SEAT_OR_FULL)?;

    let compared = crowd[..crowd.len().min(1_000)].to_vec();
    let before = bare(lab, kind, compared.clone(), report).await?;
    let processor = cpu_time(lab.system.pid()).unwrap_or_default();
    let plan = Plan {
        title: format!("register, {}", kind.name()),
        target: lab.doors.gateway,
        connections: lab.options.connections,
        time: None,
        stories: requests,
    };
    let recording = load(plan, Arc::new(Once(crowd)), &lab.progress).await?;
    let processor = cpu_time(lab.system.pid())
        .unwrap_or_default()
        .saturating_sub(processor);
    lab.progress.say("register, outbox");
    let (waiting, drained) = lab.drain().await?;
    let after = bare(lab, kind, compared, report).await?;

    check(lab, kind, &recording, &events, requests, capacity, report).await?;
    let (confirmed, latency) = (recording.rate(201), recording.latency(201));
    let compared = f64::midpoint(before, after);
    let path = match kind {
        Kind::Hot => "one hot event".to_owned(),
        Kind::Spread => format!("spread over {SPREAD_EVENTS} events"),
    };
    report.row(Row {
        path: format!("POST /api/reg/register_event, {path}"),
        result: format!("{} confirmed; {latency}", rate(confirmed)),
        bare: rate(compared),
        ratio: percent(confirmed / compared.max(1.0)),
        target: ">= 10,000/s, p99 < 50 ms".into(),
        met: Some(confirmed >= TARGET_RATE && latency.p99 < TARGET_P99),
    });
    report.row(Row {
        path: format!("... outbox empty after it, {}", kind.name()),
        result: format!(
            "{:.1} s for {} messages left",
            drained.as_secs_f64(),
            thousands(waiting)
        ),
        ..Row::default()
    });
    report.note(format!(
        "{}: {} requests for {} seats; {:.0} us of processor per request, the messages sent meanwhile included.",
        kind.name(),
        thousands(requests as u64),
        thousands((capacity * kind.events()) as u64),
        processor.as_secs_f64() * 1e6 / requests as f64,
    ));
    report.failures(kind.name(), &recording.failures);
    Ok(())
}

/// How many requests fill half the measured time, found by a short run that also warms everything up.
async fn size(lab: &Lab, kind: Kind, report: &mut Report) -> Outcome<usize> {
    let event = lab.event("Trial", PLENTY, 0).await?;
    let trial = crowd(lab, &[event], MOST / 2, CONFIRMED)?;
    let time = (lab.options.time / 10).min(Duration::from_secs(1));
    let plan = Plan {
        title: format!("register, {}, trial", kind.name()),
        target: lab.doors.gateway,
        connections: lab.options.connections,
        time: Some(time),
        stories: 0,
    };
    let recording = load(plan, Arc::new(Once(trial)), &lab.progress).await?;
    report.failures(&format!("{}, trial", kind.name()), &recording.failures);
    lab.progress.say("register, outbox of the trial");
    lab.drain().await?;
    let wanted = (recording.rate(201) * lab.options.time.as_secs_f64() / 2.0) as usize;
    // Every event gets the same number of requests, and every number of requests has whole sixths.
    let step = kind.events() * SHARES;
    Ok(wanted.clamp(LEAST, MOST) / step * step)
}

/// One registration by a new user each, over the events in turn.
pub fn crowd(
    lab: &Lab,
    events: &[String],
    requests: usize,
    expected: &'static [Expected],
) -> Outcome<Vec<Vec<Step>>> {
    lab.progress.say("register, signing tokens");
    let bodies: Vec<Template> = events
        .iter()
        .map(|event| Template::post("/api/reg/register_event", &json!({ "event_id": event })))
        .collect::<Outcome<_>>()?;
    let one = |body: &Template| {
        Ok(vec![Step {
            request: body.clone().bearer(&lab.stranger()?.1)?,
            expected,
        }])
    };
    bodies.iter().cycle().take(requests).map(one).collect()
}

/// The bare program's rate at the same requests.
async fn bare(lab: &Lab, kind: Kind, crowd: Vec<Vec<Step>>, report: &mut Report) -> Outcome<f64> {
    let plan = Plan {
        title: format!("register, {}, bare", kind.name()),
        target: lab.bare,
        connections: lab.options.connections,
        time: Some(lab.options.time / 10),
        stories: 0,
    };
    let recording = load(plan, Arc::new(Again(crowd)), &lab.progress).await?;
    report.failures(&format!("{}, bare", kind.name()), &recording.failures);
    Ok(recording.rate(201))
}

/// Every seat sold once and none twice: by the answers, by each event's figures, and by one late request.
async fn check(
    lab: &Lab,
    kind: Kind,
    recording: &Recording,
    events: &[String],
    requests: usize,
    capacity: usize,
    report: &mut Report,
) -> Outcome<()> {
    let (sold, seats) = (recording.with(201).count(), capacity * events.len());
    if sold > seats {
        report.error(format!(
            "{}: OVERSOLD, {sold} confirmed for {seats} seats",
            kind.name()
        ));
    }
    if sold < seats {
        report.error(format!(
            "{}: only {sold} confirmed for {seats} seats",
            kind.name()
        ));
    }
    let turned_away = recording.with(409).count();
    if sold + turned_away != requests {
        report.error(format!(
            "{}: {} of {requests} answered",
            kind.name(),
            sold + turned_away
        ));
    }
    let mut wrong = BTreeMap::new();
    for event in events {
        let answer = ask(
            lab.doors.gateway,
            Template::get(&format!("/api/events/{event}"))?,
            200,
        )
        .await?;
        let left = parsed(&answer)?.get(SEATS_LEFT).and_then(Value::as_i64);
        if left != Some(0) {
            *wrong
                .entry(left.map_or_else(|| "missing".to_owned(), |left| left.to_string()))
                .or_insert(0) += 1;
        }
        let late = Template::post("/api/reg/register_event", &json!({ "event_id": event }))?;
        ask(lab.doors.gateway, late.bearer(&lab.stranger()?.1)?, 409).await?;
    }
    for (left, count) in wrong {
        report.error(format!(
            "{}: {SEATS_LEFT} is {left} for {count} full events",
            kind.name()
        ));
    }
    Ok(())
}

/// The field of an event that says how many seats are free.
const SEATS_LEFT: &str = "seats_left";
