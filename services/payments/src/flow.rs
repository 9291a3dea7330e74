//! Paying: from the claim of a seat to the captured payment, in steps. The process may crash after any of them.
//!
//! After a crash, the next request for the same registration, a webhook or the reconciler reads the state at Razorpay
//! and goes on from there. No step has its effect twice: the order is found by its receipt and its payments by the
//! order, Razorpay refuses a second capture of a payment, and only the first capture of an order is kept.

mod seat;

use std::time::Duration;

use common::{
    ids::{EventId, OrderId, UserId},
    money::Paise,
    problem::ApiError,
    wire::{ClaimSeat, RefundReason, SeatClaim},
};
use tokio::time::{Instant, sleep};

use self::seat::Claimed;
use crate::{
    app::App,
    domain::{
        detail::ReportedBy,
        method::{Instrument, Method},
        order::Order,
        payment::{OrderIs, Payment, Report, Status},
        refund::parse_reason,
    },
    problems::{
        already_paid, amount_mismatch, nothing_due, payment_failed, payment_in_progress, payment_mismatch,
        payment_pending, provider_problem, released, seat_problem,
    },
    razorpay::{
        RazorpayError,
        types::{NextStep, RefundEntity},
    },
    store::{Applied, Captured, Fence, Opened, RefundState, Statement},
    views,
};

/// How long a response waits until the events service has consumed the capture.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(1);
/// When the reconciler looks at an order again whose payment failed: the money may still come (Razorpay: "late
/// authorisation").
const LATE: Duration = Duration::from_secs(15 * 60);

/// A capture outside a request with an idempotency key.
const UNKEYED: Captured = (None, views::render_answer);

/// What a payer asks to pay, and how.
pub struct PaymentRequest {
    /// The payer.
    pub user: UserId,
    /// The event.
    pub event: EventId,
    /// The amount that the payer expects to be due.
    pub amount: Paise,
    /// The payment method.
    pub method: Method,
    /// The means of payment.
    pub instrument: Instrument,
}

/// The outcome of a payment request.
pub enum Paid {
    /// The money was captured.
    Captured(Statement),
    /// The payer has a step to take, or the bank has not answered yet.
    Waiting {
        /// The order.
        order: Order,
        /// The payment, if one was started.
        payment: Option<Payment>,
        /// The payer's next steps.
        next: Vec<NextStep>,
    },
}

/// Carries out a payment request.
///
/// # Errors
/// The response to the payer: nothing due, wrong amount, declined, ...
pub async fn pay(app: &App, request: PaymentRequest, answer: Captured) -> Result<Paid, ApiError> {
    let question = ClaimSeat {
        event_id: request.event,
        user_id: request.user,
    };
    let seat: SeatClaim = app
        .events
        .post("/internal/registrations/claim", &question)
        .await
        .map_err(seat_problem)?;
    if seat.confirmed {
        return Err(match seat.amount {
            Paise::ZERO => nothing_due(),
            _ => already_paid(seat.payment_id),
        });
    }
    let now = app.clock.now();
    let claimed = Claimed::of(&seat, now);
    let order = Order {
        id: OrderId::new(),
        registration_id: seat.registration_id,
        event_id: request.event,
        event_name: seat.event_name,
        user_id: request.user,
        amount: seat.amount,
        razorpay_id: None,
        paid_by: None,
        created_at: now,
    };
    if request.amount != seat.amount {
        return Err(amount_mismatch(seat.amount, seat.registration_id));
    }
    match app.store.open_order(order, now, now + app.lease).await? {
        Opened::Paid(payment) => Err(already_paid(Some(payment))),
        Opened::Busy => Err(payment_in_progress(seat.registration_id)),
        Opened::Ready { order, fence, fresh } => {
            let result = work(app, &order, fresh, &request, claimed, answer).await;
            let again = match &result {
                Ok(Paid::Captured(_)) => None,
                // Soon: the payer may finish in a moment, or the outcome is unknown.
                Ok(Paid::Waiting { .. }) | Err(Failed::Unclear(_)) => Some(app.lease),
                Err(Failed::Declined(_)) => Some(LATE),
            };
            close(app, order.id, fence, again).await;
            result.map_err(Failed::problem)
        }
    }
}

/// Reconciles an order that the caller has leased: records its payments at Razorpay, and captures authorized ones.
/// Returns whether the order is paid.
///
/// # Errors
/// When Razorpay or the store is not available.
pub async fn reconcile(app: &App, order: &Order) -> Result<bool, ApiError> {
    let Some(razorpay_id) = find_order(app, order).await.map_err(Failed::problem)? else {
        return Ok(false);
    };
    for entity in app
        .razorpay
        .payments_of(&razorpay_id)
        .await
        .map_err(provider_problem)?
    {
        let found = take(app, &entity, ReportedBy::Reconciler, UNKEYED)
            .await
            .map_err(Failed::problem)?;
        if let Some(found) = found
            && found.payment.status == Status::Authorized
        {
            match capture(app, &found, Claimed::NO, UNKEYED).await {
                // It was released: nothing more to do.
                Ok(_) | Err(Failed::Declined(_)) => {}
                Err(failed) => return Err(failed.problem()),
            }
        }
    }
    let order = app.store.order_by_razorpay_id(razorpay_id).await?;
    Ok(order.is_some_and(|order| order.paid_by.is_some()))
}

/// Fetches a payment from Razorpay and records its state.
///
/// # Errors
/// When Razorpay or the store is not available.
pub async fn look_at(app: &App, payment: &Payment) -> Result<(), ApiError> {
    let entity = app.razorpay.payment(&payment.razorpay_id).await;
    let entity = entity.map_err(provider_problem)?;
    take(app, &entity, ReportedBy::Reconciler, UNKEYED)
        .await
        .map(drop)
        .map_err(Failed::problem)
}

/// Ends the lease of an order; `again` is when the reconciler looks at it, if at all.
pub async fn close(app: &App, order: OrderId, fence: Fence, again: Option<Duration>) {
    let at = again.map(|again| app.clock.now() + again);
    if let Err(error) = app.store.close_order(order, fence, at).await {
        // The lease expires by itself.
        tracing::warn!(%order, %error, "an order could not be closed");
    }
}

/// Why a payment request ends early.
pub enum Failed {
    /// The payment was declined. The hold stays, and the payer may try again in another way.
    Declined(Box<ApiError>),
    /// The outcome is unknown.
    Unclear(Box<ApiError>),
}

impl Failed {
    fn problem(self) -> ApiError {
        match self {
            Self::Declined(error) | Self::Unclear(error) => *error,
        }
    }
}

impl From<RazorpayError> for Failed {
    fn from(error: RazorpayError) -> Self {
        Self::Unclear(Box::new(provider_problem(error)))
    }
}

impl From<common::store::StoreError> for Failed {
    fn from(error: common::store::StoreError) -> Self {
        Self::Unclear(Box::new(error.into()))
    }
}

async fn work(
    app: &App,
    order: &Order,
    fresh: bool,
    request: &PaymentRequest,
    claimed: Claimed,
    answer: Captured,
) -> Result<Paid, Failed> {
    let mut order = order.clone();
    let found = if fresh {
        None
    } else {
        find_order(app, &order).await?
    };
    let known = found.is_some();
    let razorpay_id = match found {
        Some(id) => id,
        None => {
            let id = app.razorpay.create_order(&order).await?.id;
            app.store.set_razorpay_order(order.id, id).await?
        }
    };
    order.razorpay_id = Some(razorpay_id.clone());
    let mut open = None;
    if known {
        // An earlier try may have got further than what is stored here.
        for entity in app.razorpay.payments_of(&razorpay_id).await? {
            let Some(found) = take(app, &entity, ReportedBy::Answer, answer.clone()).await? else {
                continue;
            };
            match found.payment.status {
                // A payment that did not pay the order is refunded, and another try may pay it.
                Status::Captured if found.order.paid_by != Some(found.payment.id) => {}
                Status::Captured => return Ok(Paid::Captured(captured(app, found).await?)),
                Status::Authorized => {
                    let found = capture(app, &found, claimed, answer).await?;
                    return Ok(Paid::Captured(captured(app, found).await?));
                }
                Status::Created if found.payment.method == request.method.name() => {
                    // Without the stored steps a new payment is started.
                    if let Some(next) = steps(app, &found.payment).await? {
                        open = Some((found.payment.razorpay_id, next));
                    }
                }
                Status::Created => {}
                Status::Failed | Status::Released | Status::Refunded => {}
            }
        }
    }
    let (payment_id, next) = match open {
        Some(started) => started,
        None => {
            let started = app
                .payer_side
                .start(&order, &razorpay_id, request.method, &request.instrument)
                .await;
            let Some(started) = started.map_err(refused_instrument)? else {
                return Ok(Paid::Waiting {
                    order,
                    payment: None,
                    next: Vec::new(),
                });
            };
            (started.razorpay_payment_id, started.next)
        }
    };
    let patience = app.payer_side.patience();
    let found = outcome(app, &payment_id, patience, answer.clone()).await?;
    match found.payment.status {
        Status::Authorized => {
            let found = capture(app, &found, claimed, answer).await?;
            Ok(Paid::Captured(captured(app, found).await?))
        }
        Status::Captured | Status::Refunded => Ok(Paid::Captured(captured(app, found).await?)),
        Status::Failed | Status::Released => Err(declined(&found)),
        Status::Created => {
            // Steps are strings; serializing them cannot fail.
            let kept = serde_json::to_string(&next).unwrap_or_default();
            app.store.keep_steps(found.payment.id, kept).await?;
            Ok(Paid::Waiting {
                order,
                payment: Some(found.payment),
                next,
            })
        }
    }
}

/// The payer's next steps in a waiting payment.
async fn steps(app: &App, payment: &Payment) -> Result<Option<Vec<NextStep>>, Failed> {
    let kept = app.store.steps(payment.id).await?;
    Ok(kept.and_then(|kept| serde_json::from_str(&kept).ok()))
}

/// The order's id at Razorpay, if it is known there.
async fn find_order(app: &App, order: &Order) -> Result<Option<String>, Failed> {
    if let Some(id) = &order.razorpay_id {
        return Ok(Some(id.clone()));
    }
    let Some(found) = app.razorpay.order_by_receipt(order).await? else {
        return Ok(None);
    };
    Ok(Some(app.store.set_razorpay_order(order.id, found.id).await?))
}

/// Polls Razorpay until the payment's outcome is known, for at most `patience`.
async fn outcome(app: &App, payment: &str, patience: Duration, answer: Captured) -> Result<Taken, Failed> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(5);
    loop {
        let entity = app.razorpay.payment(payment).await?;
        let waiting = entity
            .report(ReportedBy::Answer)
            .is_some_and(|report| report.status == Status::Created);
        if !waiting || Instant::now() + pause > deadline {
            let taken = take(app, &entity, ReportedBy::Answer, answer).await?;
            return taken.ok_or_else(|| unclear("the payment is none of ours"));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}

/// Captures the money, once its seat is secured. A refusal may mean that it was captured already, so the payment's
/// state at Razorpay counts.
async fn capture(app: &App, found: &Taken, claimed: Claimed, answer: Captured) -> Result<Taken, Failed> {
    let payment = &found.payment;
    let extended = seat::secure(app, &found.order, payment, claimed).await?;
    let entity = match app.razorpay.capture(&payment.razorpay_id, payment.amount).await {
        Ok(entity) => entity,
        Err(error) => {
            tracing::info!(payment = %payment.razorpay_id, %error, "a capture was refused; looking at the payment");
            app.razorpay.payment(&payment.razorpay_id).await?
        }
    };
    match take(app, &entity, ReportedBy::Answer, answer).await? {
        Some(taken) if taken.payment.status >= Status::Captured => Ok(taken),
        _ => {
            if let Some(hold) = &extended {
                seat::release(app, hold).await;
            }
            Err(unclear("the payment is not captured"))
        }
    }
}

/// A recorded payment, after a report.
struct Taken {
    order: Order,
    payment: Payment,
    /// Why the events service refused it, as far as that is known yet.
    refused: Option<RefundReason>,
}

async fn take(
    app: &App,
    entity: &crate::razorpay::types::PaymentEntity,
    source: ReportedBy,
    answer: Captured,
) -> Result<Option<Taken>, Failed> {
    let Some(mut report) = entity.report(source) else {
        return Ok(None);
    };
    let mut applied = app
        .store
        .apply(report.clone(), app.clock.now(), answer.clone())
        .await?;
    if applied == Applied::Ask {
        report.order_is = Some(order_is(app, &report).await?);
        applied = app.store.apply(report, app.clock.now(), answer).await?;
    }
    match applied {
        Applied::Unknown => Ok(None),
        Applied::Ask => Err(unclear("Razorpay's order was looked at and is asked for again")),
        Applied::Known {
            order,
            payment,
            message,
        } => {
            log_payment(&order, &payment);
            if entity.amount_refunded.is_some_and(|back| back > Paise::ZERO) {
                // Part of it was refunded before the payment was recorded here.
                let known = app.razorpay.refunds_of(&entity.id).await?;
                let reports = known.iter().filter_map(RefundEntity::report).collect();
                app.store.note_refunds(reports, app.clock.now()).await?;
            }
            let outbox = app.store.outbox();
            let effect = match message {
                Some(seq) => app.deliveries.wait(outbox.as_ref(), seq, DELIVERY_PATIENCE).await,
                None => None,
            };
            Ok(Some(Taken {
                order: *order,
                payment: *payment,
                refused: effect.as_deref().and_then(parse_reason),
            }))
        }
    }
}

/// The state at Razorpay of the order of a payment whose amount is not the order's.
async fn order_is(app: &App, report: &Report) -> Result<OrderIs, Failed> {
    let order = app.razorpay.order(&report.order).await?;
    let payments = app.razorpay.payments_of(&report.order).await?;
    let others = payments
        .iter()
        .filter(|payment| payment.id != report.payment)
        .filter_map(|payment| payment.report(ReportedBy::Answer))
        .any(|other| other.status >= Status::Captured);
    let due = order
        .amount_due
        .ok_or_else(|| unclear("Razorpay does not say what is due of the order"))?;
    let (razorpay_id, amount_paise, due_paise) = (&report.payment, report.amount.0, due.0);
    tracing::info!(
        razorpay_id,
        amount_paise,
        due_paise,
        others,
        "captured amount is not the order's"
    );
    Ok(OrderIs { due, others })
}

/// Logs the state of a payment. A repeated report is logged again.
fn log_payment(order: &Order, payment: &Payment) {
    let (payment_id, order_id, registration_id) = (payment.id, order.id, order.registration_id);
    let (event_id, user_id, razorpay_id) = (order.event_id, order.user_id, &payment.razorpay_id);
    let (method, amount_paise, status) = (&payment.method, payment.amount.0, payment.status.name());
    let reason = payment.decline.as_ref().map(|decline| decline.reason.as_str());
    tracing::info!(
        %payment_id, %order_id, %registration_id, %event_id, %user_id, razorpay_id, method, amount_paise, reason,
        "payment {status}"
    );
}

/// The statement of a payment that is or was captured. A payment that the events service has refused is shown with its
/// refund, even if the message about that has not been consumed yet.
async fn captured(app: &App, taken: Taken) -> Result<Statement, Failed> {
    let current = app.store.statement(taken.payment.id, taken.order.user_id).await?;
    let mut statement = current.ok_or_else(|| unclear("the payment is not there"))?;
    if let Some(reason) = taken.refused {
        statement.refund.get_or_insert(RefundState {
            reason,
            amount: statement.payment.amount,
            done: false,
            refused: None,
        });
    }
    Ok(statement)
}

/// A refusal to start a payment is caused by the payer's input: a card number, an address.
fn refused_instrument(error: RazorpayError) -> Failed {
    match error {
        RazorpayError::Refused {
            reason, description, ..
        } => Failed::Declined(Box::new(payment_failed(&reason, &description))),
        error => error.into(),
    }
}

/// The response to the payer of a failed or released payment.
fn declined(found: &Taken) -> Failed {
    let (order, payment) = (&found.order, &found.payment);
    if payment.let_go_because().is_some() {
        return Failed::Declined(Box::new(released(order, payment)));
    }
    let decline = payment.decline.clone().unwrap_or_default();
    let problem = payment_failed(&decline.reason, &decline.description).with("payment_id", payment.id);
    Failed::Declined(Box::new(problem))
}

fn unclear(why: &str) -> Failed {
    Failed::Unclear(Box::new(
        ApiError::unavailable(
            "The payment could not be followed to its end. Please look at your payments in a moment.",
        )
        .because(why.to_owned()),
    ))
}

/// Finishes a payment that the payer reports as done: fetches it, captures it and returns its statement.
///
/// # Errors
/// When it is not paid, or that cannot be determined.
pub async fn settle(app: &App, order: &Order, payment: &str) -> Result<Statement, ApiError> {
    let entity = app.razorpay.payment(payment).await.map_err(provider_problem)?;
    if entity.order_id != order.razorpay_id {
        return Err(payment_mismatch());
    }
    let taken = take(app, &entity, ReportedBy::Checkout, UNKEYED)
        .await
        .map_err(Failed::problem)?;
    let Some(mut found) = taken else {
        return Err(unclear("the payment is none of ours").problem());
    };
    match found.payment.status {
        Status::Created => return Err(payment_pending()),
        Status::Failed | Status::Released => return Err(declined(&found).problem()),
        Status::Authorized => {
            found = capture(app, &found, Claimed::NO, UNKEYED)
                .await
                .map_err(Failed::problem)?;
        }
        Status::Captured | Status::Refunded => {}
    }
    captured(app, found).await.map_err(Failed::problem)
}
