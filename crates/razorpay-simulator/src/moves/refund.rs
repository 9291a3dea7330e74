//! The moves of a refund: pending → processed or failed, and processed → failed when the bank sends it back. The
//! payment's `amount_refunded` is the sum of its refunds that have not failed, changed in the same change.

use crate::{
    app::Tx,
    failure::Failure,
    http::Notes,
    ids,
    records::{Order, Payment, PaymentStatus, Refund, RefundStatus, Speed},
    webhooks,
};

/// The amount (paise) that Razorpay's documentation names for a refund that does not work.
const UNLUCKY: i64 = 2468;

/// What a merchant asks for.
pub(crate) struct Wanted {
    pub(crate) amount: i64,
    pub(crate) speed: Speed,
    pub(crate) notes: Notes,
    pub(crate) receipt: Option<String>,
}

/// Refunds a part, or all, of what a payment has left. The caller has checked that it may.
pub(crate) fn make(tx: &Tx<'_>, payment: &mut Payment, wanted: Wanted) -> Result<Refund, Failure> {
    let unlucky = wanted.amount == UNLUCKY;
    let held = tx.app.holds_refunds();
    let fails = unlucky && wanted.speed == Speed::Normal && !held;
    let delay = i64::try_from(tx.app.settings.upi_delay.as_millis()).unwrap_or(1000);
    let mut refund = Refund {
        id: ids::new("rfnd"),
        payment_id: payment.id.clone(),
        amount: wanted.amount,
        currency: payment.currency.clone(),
        notes: wanted.notes,
        receipt: wanted.receipt,
        status: RefundStatus::Pending,
        speed_requested: wanted.speed,
        speed_processed: None,
        bank_reference: None,
        created_at: tx.now(),
        fails_at_ms: fails.then(|| tx.now_ms + delay),
    };
    payment.amount_refunded += refund.amount;
    if payment.refundable() == 0 {
        payment.status = PaymentStatus::Refunded;
    }
    payment.due = None;
    payment.save(tx)?;
    refund.insert(tx)?;
    emit(tx, "refund.created", &refund, payment)?;
    if wanted.speed == Speed::Optimum && unlucky {
        refund.speed_processed = Some(Speed::Normal);
        emit(tx, "refund.speed_changed", &refund, payment)?;
    }
    if !held && !fails {
        settle(tx, &mut refund, payment)?;
    }
    Ok(refund)
}

/// Sends an authorized payment back that will not be captured.
pub(crate) fn send_back(tx: &Tx<'_>, payment: &mut Payment, order: &Order) -> Result<(), Failure> {
    if payment.status != PaymentStatus::Authorized {
        return Err(Failure::refused("Only authorized payments can be sent back"));
    }
    let speed = if order.capture.optimum_refund {
        Speed::Optimum
    } else {
        Speed::Normal
    };
    let wanted = Wanted {
        amount: payment.refundable(),
        speed,
        notes: Notes::default(),
        receipt: None,
    };
    make(tx, payment, wanted).map(drop)
}

/// The bank took a pending refund.
pub(crate) fn process(tx: &Tx<'_>, refund: &mut Refund) -> Result<(), Failure> {
    if refund.status != RefundStatus::Pending {
        return Err(Failure::refused("The refund is not pending"));
    }
    let payment = refund.payment(tx.db)?;
    settle(tx, refund, &payment)
}

fn settle(tx: &Tx<'_>, refund: &mut Refund, payment: &Payment) -> Result<(), Failure> {
    refund.status = RefundStatus::Processed;
    refund.speed_processed = refund.speed_processed.or(Some(match refund.speed_requested {
        Speed::Optimum => Speed::Instant,
        speed => speed,
    }));
    refund.bank_reference = Some(ids::digits(23));
    refund.fails_at_ms = None;
    refund.save(tx)?;
    emit(tx, "refund.processed", refund, payment)
}

/// The bank did not take it, or sent it back: the payment has its amount again.
pub(crate) fn fail(tx: &Tx<'_>, refund: &mut Refund) -> Result<(), Failure> {
    if refund.status == RefundStatus::Failed {
        return Err(Failure::refused("The refund has already failed"));
    }
    let mut payment = refund.payment(tx.db)?;
    refund.status = RefundStatus::Failed;
    refund.fails_at_ms = None;
    refund.save(tx)?;
    payment.amount_refunded -= refund.amount;
    if payment.captured {
        payment.status = PaymentStatus::Captured;
    }
    payment.save(tx)?;
    emit(tx, "refund.failed", refund, &payment)
}

/// What was due by itself happens, if it is still due.
pub(crate) fn expire(tx: &Tx<'_>, refund: &mut Refund) -> Result<(), Failure> {
    match refund.fails_at_ms {
        Some(at) if at <= tx.now_ms => fail(tx, refund),
        _ => Ok(()),
    }
}

fn emit(tx: &Tx<'_>, event: &str, refund: &Refund, payment: &Payment) -> Result<(), Failure> {
    let entities = [("refund", refund.view()), ("payment", payment.view_with_card())];
    webhooks::emit(tx, event, &payment.order_id, &entities)
}
