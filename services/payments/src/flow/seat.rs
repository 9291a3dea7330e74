//! The seat of a payment: secured before the capture, so that no money is captured only to be refunded.

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    wire::{ExtendedHold, RefundReason, SeatClaim, SecureSeat, SecuredSeat},
};
use tokio::time::{Duration, Instant};

use super::Failed;
use crate::{
    app::App,
    domain::{order::Order, payment::Payment},
    problems::{released, seat_problem},
};

/// A hold with at least this left leaves enough time for a capture.
const TIME_ENOUGH: TimeDelta = TimeDelta::seconds(60);
/// How long the answer to a claim counts as current.
const NEWS: Duration = Duration::from_secs(2);

/// Until when a capture need not secure the seat, because it was claimed a moment ago.
#[derive(Clone, Copy)]
pub(super) struct Claimed(Option<Instant>);

impl Claimed {
    /// The seat has to be secured.
    pub(super) const NO: Self = Self(None);

    /// From the answer to a claim.
    pub(super) fn of(seat: &SeatClaim, now: Timestamp) -> Self {
        let long = seat.held_until.is_some_and(|until| until - now >= TIME_ENOUGH);
        Self(long.then(|| Instant::now() + NEWS))
    }

    fn is_news(self) -> bool {
        self.0.is_some_and(|until| Instant::now() < until)
    }
}

/// Secures the seat of an authorized payment. Without a seat the payment is released.
///
/// # Errors
/// Why it was released, or that the events service did not answer.
pub(super) async fn secure(
    app: &App,
    order: &Order,
    payment: &Payment,
    claimed: Claimed,
) -> Result<Option<ExtendedHold>, Failed> {
    let refused = if order.paid_by.is_some() {
        // The events service may not have consumed the other capture yet.
        RefundReason::Duplicate
    } else if claimed.is_news() {
        return Ok(None);
    } else {
        let question = SecureSeat {
            registration_id: order.registration_id,
            payment_id: payment.id,
            // An offer or a fee may have changed the payment's amount; whether it settles the order is decided after
            // the capture.
            amount: order.amount,
        };
        let answer = app.events.post("/internal/registrations/secure", &question);
        let secured: SecuredSeat = answer
            .await
            .map_err(|error| Failed::Unclear(Box::new(seat_problem(error))))?;
        match secured.refused {
            None => return Ok(secured.extended),
            Some(reason) => reason,
        }
    };
    let now = app.clock.now();
    let Some(payment) = app.store.let_go(payment.id, refused, now).await? else {
        return Err(super::unclear("the payment is not there"));
    };
    super::log_payment(order, &payment);
    Err(Failed::Declined(Box::new(released(order, &payment))))
}

/// Resets the hold to its earlier end, because the money was not captured.
pub(super) async fn release(app: &App, hold: &ExtendedHold) {
    let released: Result<(), _> = app.events.post("/internal/registrations/release", hold).await;
    if let Err(error) = released {
        // It expires by itself, a minute later.
        tracing::warn!(registration_id = %hold.registration_id, %error, "an extended hold was not released");
    }
}
