//! The moves of a payment: created → authorized → captured → refunded, created → failed, failed → authorized (the bank
//! came round late), and authorized → refunded when nobody captures it. Each writes the payment, what follows from it
//! for the order, and the events, in one change; nothing else in the simulator alters a payment's status.

use super::{link, refund};
use crate::{
    app::Tx,
    decline::Decline,
    failure::Failure,
    records::{Coming, Due, Order, OrderStatus, Payment, PaymentStatus},
    webhooks,
};

/// The customer's step is done: what the instrument stands for happens.
pub(crate) fn complete(tx: &Tx<'_>, payment: &mut Payment) -> Result<(), Failure> {
    match payment.will_decline.clone() {
        Some(reason) => fail(tx, payment, &reason),
        None => authorize(tx, payment),
    }
}

/// The bank holds the money. Then the order decides: captured, left for the merchant, or sent back when the order
/// has been paid otherwise.
pub(crate) fn authorize(tx: &Tx<'_>, payment: &mut Payment) -> Result<(), Failure> {
    if !matches!(payment.status, PaymentStatus::Created | PaymentStatus::Failed) {
        return Err(processed());
    }
    payment.status = PaymentStatus::Authorized;
    payment.error = None;
    payment.bank_reference = Some(payment.instrument.new_bank_reference());
    payment.due = None;
    webhooks::emit(
        tx,
        "payment.authorized",
        &payment.order_id,
        &[("payment", payment.view_with_card())],
    )?;
    let mut order = Order::find(tx.db, &payment.order_id)?;
    let age_minutes = (tx.now() - payment.created_at) / 60;
    let window_ends = (payment.created_at + order.capture.manual_minutes * 60) * 1000;
    if order.status == OrderStatus::Paid || window_ends <= tx.now_ms {
        return refund::send_back(tx, payment, &order);
    }
    if order
        .capture
        .automatic_minutes
        .is_some_and(|minutes| age_minutes <= minutes)
    {
        return capture(tx, payment, &mut order);
    }
    payment.due = Some(Due {
        at_ms: window_ends,
        what: Coming::Release,
    });
    payment.save(tx)
}

/// The bank declined, or the customer gave up.
pub(crate) fn fail(tx: &Tx<'_>, payment: &mut Payment, reason: &str) -> Result<(), Failure> {
    if payment.status != PaymentStatus::Created {
        return Err(processed());
    }
    payment.status = PaymentStatus::Failed;
    payment.error = Some(Decline::of(reason).reason.to_owned());
    payment.due = None;
    webhooks::emit(
        tx,
        "payment.failed",
        &payment.order_id,
        &[("payment", payment.view_with_card())],
    )?;
    payment.save(tx)
}

/// The money becomes the merchant's.
pub(crate) fn capture(tx: &Tx<'_>, payment: &mut Payment, order: &mut Order) -> Result<(), Failure> {
    match payment.status {
        PaymentStatus::Authorized => {}
        PaymentStatus::Captured => return Err(Failure::refused("This payment has already been captured")),
        _ if payment.captured => return Err(Failure::refused("This payment has already been captured")),
        _ => {
            return Err(Failure::refused(
                "Only payments which have been authorized and not yet captured can be captured",
            ));
        }
    }
    let settles = payment.settles.unwrap_or(payment.amount);
    if settles > order.amount_due() {
        return Err(Failure::refused(
            "The order of this payment has been paid by another payment.",
        ));
    }
    payment.status = PaymentStatus::Captured;
    payment.captured = true;
    payment.due = None;
    // 2 %, and 18 % tax on that, each rounded down.
    let charge = payment.amount / 50;
    let tax = charge * 18 / 100;
    (payment.fee, payment.tax) = (Some(charge + tax), Some(tax));
    payment.save(tx)?;
    order.amount_paid += settles;
    if order.amount_due() == 0 {
        order.status = OrderStatus::Paid;
    }
    order.save(tx)?;
    let shown = payment.view_with_card();
    webhooks::emit(tx, "payment.captured", &order.id, &[("payment", shown.clone())])?;
    if order.status == OrderStatus::Paid {
        webhooks::emit(
            tx,
            "order.paid",
            &order.id,
            &[("payment", shown), ("order", order.view())],
        )?;
    }
    match &order.link {
        Some(link) => link::paid(tx, link, payment, order),
        None => Ok(()),
    }
}

/// What was due by itself happens, if it is still due.
pub(crate) fn expire(tx: &Tx<'_>, payment: &mut Payment) -> Result<(), Failure> {
    match payment
        .due
        .filter(|due| due.at_ms <= tx.now_ms)
        .map(|due| due.what)
    {
        None => Ok(()),
        Some(Coming::Outcome) => complete(tx, payment),
        Some(Coming::Abandonment) => fail(tx, payment, "payment_timed_out"),
        Some(Coming::Release) => {
            let order = Order::find(tx.db, &payment.order_id)?;
            refund::send_back(tx, payment, &order)
        }
    }
}

fn processed() -> Failure {
    Failure::refused("The payment has already been processed")
}
