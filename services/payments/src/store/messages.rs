//! The messages that are published, the same from every adapter.

use common::{
    clock::Timestamp,
    ids::{PaymentId, UserId},
    outbox::NewMessage,
    wire::{PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentReversed, RefundReason, kind, service},
};
use serde::{Deserialize, Serialize};

use crate::domain::{
    order::Order,
    payment::{Payment, Status},
    refund::{Balance, Entry},
};

/// What [`changed`] reports.
#[derive(Serialize, Deserialize)]
pub(crate) struct PaymentChanged {
    pub payment_id: PaymentId,
    /// The payer.
    pub user_id: UserId,
}

/// A payment or its refund has moved: to be published live.
pub(super) fn changed(payment_id: PaymentId, user_id: UserId, now: Timestamp) -> NewMessage {
    let told = PaymentChanged { payment_id, user_id };
    NewMessage::new(service::LIVE, kind::PAYMENT_CHANGED, payment_id, now, &told)
}

/// An order was paid.
pub(super) fn captured(order: &Order, payment: &Payment, now: Timestamp) -> NewMessage {
    let told = PaymentCaptured {
        payment_id: payment.id,
        order_id: order.id,
        registration_id: order.registration_id,
        event_id: order.event_id,
        user_id: order.user_id,
        amount: payment.amount,
        settles: Some(order.amount),
    };
    NewMessage::new(service::EVENTS, kind::PAYMENT_CAPTURED, payment.id, now, &told)
}

/// A payment has just failed or was released, and its order is not paid. `None` otherwise.
pub(super) fn failed(
    before: Option<&Payment>,
    payment: &Payment,
    order: &Order,
    now: Timestamp,
) -> Option<NewMessage> {
    let in_vain = matches!(payment.status, Status::Failed | Status::Released);
    let just_now = in_vain && before.is_none_or(|before| before.status != payment.status);
    if !just_now || order.paid_by.is_some() {
        return None;
    }
    let decline = payment.decline.clone().unwrap_or_default();
    let told = PaymentFailed {
        payment_id: payment.id,
        registration_id: order.registration_id,
        event_id: order.event_id,
        event_name: order.event_name.clone(),
        user_id: order.user_id,
        amount: payment.amount,
        reason: decline.reason,
        description: decline.description,
        released: payment.let_go_because(),
        failed_at: now,
    };
    Some(NewMessage::new(
        service::NOTIFICATIONS,
        kind::PAYMENT_FAILED,
        order.registration_id,
        now,
        &told,
    ))
}

/// A payment was refunded in full, and not by this service.
pub(super) fn reversed(order: &Order, payment: &Payment, now: Timestamp) -> NewMessage {
    let told = PaymentReversed {
        payment_id: payment.id,
        registration_id: order.registration_id,
    };
    NewMessage::new(service::EVENTS, kind::PAYMENT_REVERSED, payment.id, now, &told)
}

/// A refund is on its way to the payer.
pub(super) fn refunded(
    order: &Order,
    entry: &Entry,
    reason: RefundReason,
    balance: &Balance,
    now: Timestamp,
) -> NewMessage {
    let told = PaymentRefunded {
        payment_id: entry.payment_id,
        registration_id: order.registration_id,
        event_id: order.event_id,
        event_name: order.event_name.clone(),
        user_id: order.user_id,
        amount: entry.amount,
        reason,
        number: balance.told.saturating_sub(1),
    };
    NewMessage::new(
        service::NOTIFICATIONS,
        kind::PAYMENT_REFUNDED,
        entry.payment_id,
        now,
        &told,
    )
}
