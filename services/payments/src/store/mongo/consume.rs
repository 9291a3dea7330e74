//! Consuming Razorpay's webhooks and the events service's messages.

use common::{
    clock::{Timestamp, from_millis},
    outbox::Receipt,
    store::StoreError,
    subscriber::Incoming,
};
use mongo_store::{DocumentExt, Tx, date, inbox};
use mongodb::bson::{Binary, doc, spec::BinarySubtype};

use super::{
    ledger, orders, payments, refunds,
    schema::{ORDERS, PARKED, WEBHOOKS},
};
use crate::{
    domain::{
        fact::{Fact, RefundOf},
        payment::Report,
    },
    store::{NO_ANSWER, Parked, RefundNews},
};

pub(super) async fn webhook(
    tx: &mut Tx,
    event_id: &str,
    report: Option<&Report>,
    refund: Option<&RefundNews>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if tx.find_one(WEBHOOKS, doc! {"_id": event_id}).await?.is_some() {
        return Ok(false);
    }
    tx.insert(WEBHOOKS, vec![doc! {"_id": event_id, "received_at": date(now)}])
        .await?;
    tx.delete(PARKED, doc! {"_id": event_id}).await?;
    if let Some(report) = report {
        let applied = payments::apply(tx, report, now, &NO_ANSWER).await?;
        if let Some(at) = applied.look_at(now) {
            let order = doc! {"razorpay_id": &report.order};
            let look = vec![doc! {"$set": {"reconcile_at": orders::unless_asked(date(at))}}];
            tx.update(ORDERS, order, look).await?;
        }
    }
    match refund {
        Some(RefundNews::Report(report)) => _ = ledger::note(tx, report, now).await?,
        Some(RefundNews::Id(id)) => refunds::look_at(tx, id, now).await?,
        None => {}
    }
    Ok(true)
}

/// Parks a webhook that cannot be understood.
pub(super) async fn park(tx: &mut Tx, parked: &Parked) -> Result<(), StoreError> {
    let Parked {
        id,
        event,
        body,
        why,
        received_at,
    } = parked;
    if tx.find_one(PARKED, doc! {"_id": id}).await?.is_some() {
        return Ok(());
    }
    let bytes = Binary {
        subtype: BinarySubtype::Generic,
        bytes: body.clone(),
    };
    let document =
        doc! {"_id": id, "event": event, "body": bytes, "why": why, "received_at": date(*received_at)};
    tx.insert(PARKED, vec![document]).await
}

pub(super) async fn parked(tx: &mut Tx) -> Result<Vec<Parked>, StoreError> {
    let all = doc! {"received_at": {"$gt": date(from_millis(0))}};
    let found = tx.find(PARKED, all, doc! {"received_at": 1}, 1000).await?;
    found
        .iter()
        .map(|found| {
            Ok(Parked {
                id: found.text("_id")?,
                event: found.text("event")?,
                body: found.get_binary_generic("body").cloned().unwrap_or_default(),
                why: found.text("why")?,
                received_at: found.time("received_at")?,
            })
        })
        .collect()
}

pub(super) async fn message(
    tx: &mut Tx,
    message: &Incoming<Fact>,
    now: Timestamp,
) -> Result<Receipt, StoreError> {
    let id = message.id;
    let Some(asked) = message.fact.sends_back() else {
        return Ok(Receipt::accepted(id));
    };
    let payment = match asked.of {
        RefundOf::Payment(payment) => Some(payment),
        RefundOf::Registration(registration) => orders::by_registration(tx, registration)
            .await?
            .and_then(|order| order.paid_by),
    };
    if inbox::first_time(tx, id, now).await?
        && let Some(payment) = payment
    {
        match payments::by_id(tx, payment).await? {
            Some(payment) => refunds::request(tx, &payment, asked.reason, asked.part, now).await?,
            None => return Ok(Receipt::rejected(id, "there is no such payment")),
        }
    }
    Ok(Receipt::accepted(id))
}
