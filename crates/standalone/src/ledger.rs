//! `ledger check`: whether payments, events and Razorpay agree about every rupee.

use std::collections::{HashMap, HashSet};

use common::{
    clock::Clock, ids::PaymentId, money::Paise, outbox::OutboxStore, settings::Settings, store::StoreError,
    wire::service,
};
use futures_util::FutureExt;
use payments::{
    domain::{
        detail::ReportedBy,
        ledger::{AtRazorpay, PaidRegistration, differences},
        payment::Status,
    },
    razorpay::Razorpay,
};
use runtime::process::{Command, razorpay_keys};
use uuid::Uuid;

/// Checks the ledger instead of starting the system, beside which it may run.
pub const CHECK: Command = Command {
    name: "ledger check",
    about: "compares payments, registrations and refunds with each other and with Razorpay, and names each difference",
    arguments: Vec::new,
    run: |settings, _| check(settings).boxed(),
};

/// Rows at once.
const PAGE: usize = 500;
/// Pages of Razorpay's payments: a million payments.
const MOST_PAGES: usize = 10_000;
/// Messages on their way that are left out of the comparison.
const MESSAGES: usize = 100_000;

fn text(error: StoreError) -> String {
    error.to_string()
}

async fn check(settings: Settings) -> Result<(), String> {
    let (events, payments) = (
        events::store::open(&settings).await?,
        payments::store::open(&settings).await?,
    );
    let razorpay = Razorpay::new(
        &settings.razorpay_url(settings.simulator_port),
        razorpay_keys(&settings)?,
    )?;
    // One after the other, Razorpay last. What changes meanwhile has a message on its way, as a rule; what a webhook
    // changes has none, and may be named although it agrees a moment later.
    let mut on_their_way = subjects(payments.outbox().as_ref(), service::EVENTS).await?;
    let mut lines = Vec::new();
    loop {
        let after = lines
            .last()
            .map(|line: &payments::domain::ledger::Line| line.payment.id);
        let page = payments.ledger(after, PAGE).await.map_err(text)?;
        if page.is_empty() {
            break;
        }
        lines.extend(page);
    }
    let mut bought: HashMap<PaymentId, PaidRegistration> = HashMap::new();
    let mut last = None;
    loop {
        let page = events.paid_registrations(last, PAGE).await.map_err(text)?;
        let Some((id, ..)) = page.last() else { break };
        last = Some(*id);
        bought.extend(page.into_iter().map(|(registration, payment, confirmed)| {
            let one = PaidRegistration {
                registration,
                payment,
                confirmed,
            };
            (payment, one)
        }));
    }
    on_their_way.extend(subjects(events.outbox().as_ref(), service::PAYMENTS).await?);
    on_their_way.extend(subjects(payments.outbox().as_ref(), service::EVENTS).await?);
    let there = at_razorpay(&razorpay).await?;

    let mut found = Vec::new();
    let (mut captured, mut back, mut pending, mut owed, mut waiting) = (0, 0, 0, 0, 0);
    let mut known: HashSet<&str> = HashSet::new();
    for line in &lines {
        let balance = line.balance();
        captured += balance.amount.0;
        back += balance.processed.0;
        pending += balance.pending.0;
        owed += line.outstanding().0;
        known.insert(&line.payment.razorpay_id);
        let (id, razorpay_id) = (line.payment.id, &line.payment.razorpay_id);
        let of = bought.get(&id);
        let moving =
            on_their_way.contains(&id.0) || of.is_some_and(|of| on_their_way.contains(&of.registration.0));
        if moving {
            waiting += 1;
            continue;
        }
        let differs = differences(line, of, there.get(razorpay_id).map(|(_, there)| there));
        found.extend(
            differs
                .into_iter()
                .map(|what| format!("payment {id} ({razorpay_id}): {what}")),
        );
    }
    let ours: HashSet<PaymentId> = lines.iter().map(|line| line.payment.id).collect();
    for one in bought
        .values()
        .filter(|one| one.confirmed && !ours.contains(&one.payment))
    {
        let (registration, payment) = (one.registration, one.payment);
        found.push(format!(
            "registration {registration}: payment {payment}, which confirmed it, is not known"
        ));
    }
    for (id, (order, there)) in &there {
        if there.captured
            && !known.contains(id.as_str())
            && is_ours(payments.as_ref(), order.as_deref()).await?
        {
            found.push(format!(
                "{id}: captured at Razorpay for an order of ours, and not known"
            ));
        }
    }
    let paid = bought.values().filter(|one| one.confirmed).count();
    println!(
        "{} payments: captured {}, back {}, on the way back {}, owed {}.",
        lines.len(),
        Paise(captured),
        Paise(back),
        Paise(pending),
        Paise(owed)
    );
    println!(
        "{paid} registrations are paid and confirmed. {waiting} payments have a message on their way and were left out."
    );
    println!("{} payments at Razorpay.", there.len());
    for one in &found {
        println!("{one}");
    }
    match found.len() {
        0 => {
            println!("No differences.");
            Ok(())
        }
        number => Err(format!("{number} differences.")),
    }
}

/// What messages to a service are about.
async fn subjects(outbox: &dyn OutboxStore, destination: &str) -> Result<HashSet<Uuid>, String> {
    let far = Clock::system().now() + std::time::Duration::from_secs(365 * 24 * 3600);
    let due = outbox.due(destination, far, MESSAGES).await.map_err(text)?;
    Ok(due.into_iter().map(|waiting| waiting.event.subject).collect())
}

async fn is_ours(payments: &dyn payments::store::Store, order: Option<&str>) -> Result<bool, String> {
    match order {
        Some(order) => Ok(payments
            .order_by_razorpay_id(order.to_owned())
            .await
            .map_err(text)?
            .is_some()),
        None => Ok(false),
    }
}

/// Razorpay's payments by their ids, with their orders.
async fn at_razorpay(razorpay: &Razorpay) -> Result<HashMap<String, (Option<String>, AtRazorpay)>, String> {
    let mut all = HashMap::new();
    for page in 0..MOST_PAGES {
        let found = razorpay
            .payments_page(page)
            .await
            .map_err(|error| error.to_string())?;
        if found.is_empty() {
            break;
        }
        for entity in found {
            let there = AtRazorpay {
                captured: entity
                    .report(ReportedBy::Reconciler)
                    .is_some_and(|report| report.status >= Status::Captured),
                amount: entity.amount,
                refunded: entity.amount_refunded.unwrap_or(Paise::ZERO),
            };
            all.insert(entity.id, (entity.order_id, there));
        }
    }
    Ok(all)
}
