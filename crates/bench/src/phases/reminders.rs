//! All attendees of one event are reminded of it: the clock runs from the moment the reminders fall due until the last
//! lies in the mailbox. The look-ups of the recipients are reported beside it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use serde_json::json;

use super::mail::Mailbox;
use crate::{
    failure::Outcome,
    lab::{Account, Lab},
    load::{
        run::{Plan, run as load},
        template::Template,
        work::{Once, Step},
    },
    phases::{CONFIRMED, OK},
    providers::{Call, PER_SECOND, Providers, within},
    report::{Report, Row},
    stats::{Latency, rate, thousands},
};

/// The first reminder comes this long before the start.
const AHEAD: Duration = Duration::from_secs(24 * 3600);
/// From the creation of the event until its reminders fall due: longer than the registrations and their mail take.
const MARGIN: Duration = Duration::from_secs(5);
/// More of it for each attendee.
const MARGIN_EACH: Duration = Duration::from_micros(2500);

/// How long is waited for reminders that come twice.
const QUIET: Duration = Duration::from_secs(2);
/// How long reminders may take by providers.
const PATIENCE: Duration = Duration::from_secs(240);

/// Figures of the look-ups, before and after.
const FIGURES: [&str; 6] = [
    "user_lookup_hits_total",
    "user_lookup_misses_total",
    "user_lookup_load_seconds_count",
    "user_lookup_load_seconds_sum",
    "redis_call_seconds_count",
    "redis_call_seconds_sum",
];

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let users = lab.options.users;
    lab.progress.say(&format!("reminders, signing up {users} people"));
    let accounts = lab.sign_up(users).await?;
    let each = match &lab.providers {
        Some(_) => MARGIN_EACH + Duration::from_secs(1) / PER_SECOND,
        None => MARGIN_EACH,
    };
    if lab.providers.is_some() {
        give_numbers(lab, &accounts, report).await?;
    }
    let due = SystemTime::now() + MARGIN + each * u32::try_from(users).unwrap_or(u32::MAX);
    let event = lab.event_at("Reminders", due + AHEAD).await?;
    let body = Template::post("/api/reg/register_event", &json!({ "event_id": event }))?;
    let mut stories = Vec::with_capacity(users);
    for account in &accounts {
        stories.push(vec![Step {
            request: body.clone().bearer(&account.token)?,
            expected: CONFIRMED,
        }]);
    }
    let plan = Plan {
        title: "reminders, register".into(),
        target: lab.doors.gateway,
        connections: lab.options.connections.min(users),
        time: None,
        stories: users,
    };
    let recording = load(plan, Arc::new(Once(stories)), &lab.progress).await?;
    report.failures("reminders", &recording.failures);
    if let Some(providers) = &lab.providers {
        return by_providers(lab, providers, due, report).await;
    }
    let everyone: BTreeSet<String> = accounts.iter().map(|account| account.email.clone()).collect();
    lab.progress
        .say("reminders, waiting for the mail of the registrations");
    let mut mailbox = Mailbox::new(lab.data.join("mailbox"));
    mailbox.settle(&everyone).await?;
    let confirmed = mailbox.seen.len();
    let before = figures(lab).await?;
    let Ok(left) = due.duration_since(SystemTime::now()) else {
        report.error("reminders: they fell due before the mail of the registrations was out");
        return Ok(());
    };
    lab.progress.say("reminders, waiting for them to fall due");
    tokio::time::sleep(left).await;
    let began = Instant::now();
    let last = mailbox.settle(&everyone).await?;
    let seconds = last.saturating_duration_since(began).as_secs_f64();
    let messages = mailbox.seen.len() - confirmed;
    report.row(Row {
        path: format!("reminders to {} people", thousands(users as u64)),
        result: format!(
            "all {} after {seconds:.1} s, {}",
            thousands(messages as u64),
            rate(messages as f64 / seconds)
        ),
        ..Row::default()
    });
    let after = figures(lab).await?;
    let [hits, misses, loads, load_seconds, calls, call_seconds] =
        std::array::from_fn(|index| after[index] - before[index]);
    report.note(format!(
        "reminders: of the look-ups {hits} were in the cache and {misses} were not; the users service was asked {loads} \
         times, {:.0} ms in all; Redis {calls} times, {:.0} ms in all.",
        load_seconds * 1000.0,
        call_seconds * 1000.0
    ));
    Ok(())
}

/// Gives everybody a telephone number.
async fn give_numbers(lab: &Lab, accounts: &[Account], report: &mut Report) -> Outcome<()> {
    let mut stories = Vec::with_capacity(accounts.len());
    for (number, account) in accounts.iter().enumerate() {
        let phone = json!({ "phone": format!("+9198{number:08}") });
        stories.push(vec![Step {
            request: Template::patch("/api/users/me", &phone)?.bearer(&account.token)?,
            expected: OK,
        }]);
    }
    let plan = Plan {
        title: "reminders, telephone numbers".into(),
        target: lab.doors.gateway,
        connections: lab.options.connections.min(accounts.len()),
        time: None,
        stories: accounts.len(),
    };
    let recording = load(plan, Arc::new(Once(stories)), &lab.progress).await?;
    report.failures("reminders, telephone numbers", &recording.failures);
    Ok(())
}

/// How late reminders are that go out by providers.
async fn by_providers(lab: &Lab, providers: &Providers, due: SystemTime, report: &mut Report) -> Outcome<()> {
    let users = lab.options.users;
    let ways = [
        ("an SMTP server", &providers.mail.taken),
        ("an SMS provider that takes 100 a second", &providers.texts.taken),
    ];
    lab.progress.say("reminders, waiting for them to fall due");
    let mut before = [0; 2];
    while SystemTime::now() < due {
        before = ways.map(|(_, taken)| taken.count());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    lab.progress.say("reminders, by e-mail and SMS");
    let all = ways.map(|(_, taken)| taken.clone());
    let all = within(PATIENCE, || {
        let mut counts = all.iter().zip(before);
        counts.all(|(taken, before)| taken.count() >= before + users)
    });
    if !all.await {
        report.error(format!("reminders: not all within {} s", PATIENCE.as_secs()));
    }
    // For those that come twice.
    tokio::time::sleep(QUIET).await;
    for ((name, taken), before) in ways.into_iter().zip(before) {
        let late = |call: &Call| call.at.duration_since(due).unwrap_or_default();
        let calls = taken.after(before);
        let micros = calls
            .iter()
            .map(|call| late(call).as_micros().try_into().unwrap_or(u32::MAX));
        let lateness = Latency::of(micros);
        let second = |micros: u32| f64::from(micros) / 1_000_000.0;
        report.row(Row {
            path: format!("reminders to {} people by {name}", thousands(users as u64)),
            result: format!(
                "{} after {:.1} s; late by p50 {:.1}, p99 {:.1} s",
                thousands(calls.len() as u64),
                second(lateness.max),
                second(lateness.p50),
                second(lateness.p99)
            ),
            target: "all, once, within 120 s".into(),
            met: Some(calls.len() == users && second(lateness.max) <= 120.0),
            ..Row::default()
        });
    }
    Ok(())
}

async fn figures(lab: &Lab) -> Outcome<[f64; 6]> {
    let mut values = [0.0; 6];
    for (value, name) in values.iter_mut().zip(FIGURES) {
        *value = lab.notifications_figure(name).await?;
    }
    Ok(values)
}
