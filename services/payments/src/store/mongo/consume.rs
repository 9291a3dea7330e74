//! What others tell: Razorpay's webhooks, and the events service's messages.

use common::{
    clock::{Timestamp, from_millis},
    ids::PaymentId,
    outbox::Receipt,
    store::StoreError,
    subscriber::Incoming,
    wire::RegistrationEnded,
};
use mongo_store::{DocumentExt, Tx, date, inbox};
use mongodb::bson::{Binary, doc, spec::BinarySubtype};

use super::{
    ledger, orders, payments, refunds,
    schema::{ORDERS, PARKED, WEBHOOKS},
};
use crate::{
    domain::{
        fact::Fact,
        payment::{Report, Status},
    },
    store::{ASKED, Applied, Parked, RefundNews, Statement, messages},
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
        // No answer hangs on a webhook, so there is none to keep.
        let empty_answer = |_: &Statement| common::idempotency::Answer {
            status: 200,
            body: Vec::new(),
        };
        // Money waits to be captured, to be let go, or to be looked at: the reconciler does that, unless the payer's own
        // request is about to.
        let look_at = match payments::apply(tx, report, now, &(None, empty_answer)).await? {
            Applied::Known { payment, .. } => (payment.status == Status::Authorized).then_some(now),
            Applied::Ask => Some(ASKED),
            Applied::Unknown => None,
        };
        if let Some(at) = look_at {
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

/// Keeps a webhook that cannot be understood.
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
    let (payment, reason) = match &message.fact {
        Fact::Refused(refused) => (Some(refused.payment_id), refused.reason),
        Fact::Ended(ended) => match messages::end_reason(ended.reason) {
            Some(reason) => (paid_by(tx, ended).await?, reason),
            None => return Ok(Receipt::accepted(id)),
        },
    };
    if inbox::first_time(tx, id, now).await?
        && let Some(payment) = payment
    {
        match payments::by_id(tx, payment).await? {
            Some(payment) => refunds::request(tx, &payment, reason, now).await?,
            None => return Ok(Receipt::rejected(id, "there is no such payment")),
        }
    }
    Ok(Receipt::accepted(id))
}

/// What was captured for a registration that ends, as its service says, or else for its order: then the events service has
/// not heard of it yet, and will refuse it for the same reason.
async fn paid_by(tx: &mut Tx, ended: &RegistrationEnded) -> Result<Option<PaymentId>, StoreError> {
    if let Some(payment) = ended.payment_id {
        return Ok(Some(payment));
    }
    let order = orders::by_registration(tx, ended.registration_id).await?;
    Ok(order.and_then(|order| order.paid_by))
}
