//! Payments as the public API shows them.

use axum::http::StatusCode;
use common::{
    clock::Timestamp,
    idempotency::Answer,
    ids::{EventId, PaymentId, RegistrationId, UserId},
    money::{Paise, Rupees},
    time::utc,
    wire::RefundReason,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        detail::{MethodDetail, ReportedBy},
        payment::Status,
        refund::Entry,
    },
    store::{RefundState, Statement},
};

/// A payment.
#[derive(Serialize, ToSchema)]
pub struct PaymentView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000005")]
    pub payment_id: PaymentId,
    /// The registration it pays for.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000003")]
    pub registration_id: RegistrationId,
    /// The registration's event.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    pub event_id: EventId,
    /// The event's name.
    #[schema(example = "Rust for organisers")]
    pub event_name: String,
    /// The payer.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000006")]
    pub user_id: UserId,
    /// Rupees.
    #[schema(value_type = f64, example = 500)]
    pub amount: Rupees,
    /// The discount on the amount due by an offer; rupees.
    #[schema(value_type = f64, example = 0)]
    pub discount: Rupees,
    /// The surcharge on the amount due by a convenience fee; rupees.
    #[schema(value_type = f64, example = 0)]
    pub surcharge: Rupees,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// The status.
    #[schema(value_type = Status, example = "captured")]
    pub status: &'static str,
    /// `upi`, `card`, `netbanking`, `wallet`, or another method of Razorpay's.
    #[schema(example = "upi")]
    pub payment_method: String,
    /// Razorpay's order id.
    #[schema(required = true, example = "order_DBJOWzybf0sJbb")]
    pub razorpay_order_id: Option<String>,
    /// Razorpay's payment id.
    #[schema(example = "pay_DaaS6LOUAASb7Y")]
    pub razorpay_payment_id: String,
    /// Why it failed or was released, if it was.
    #[schema(required = true)]
    pub failure: Option<FailureView>,
    /// The refund, if the payment or a part of it is or was to be refunded.
    #[schema(required = true)]
    pub refund: Option<RefundView>,
    /// The amount refunded, including refunds made at Razorpay's dashboard; rupees.
    #[schema(value_type = f64, example = 0)]
    pub amount_refunded: Rupees,
    /// When it was created, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    pub created_at: String,
    /// When it was captured, UTC.
    #[schema(required = true, format = DateTime, example = "2026-11-22T13:14:07.000Z")]
    pub captured_at: Option<String>,
    /// When the bank released the uncaptured money (status `released`), UTC.
    #[schema(required = true, format = DateTime, example = json!(null))]
    pub released_at: Option<String>,
}

/// Why a payment failed or was released.
#[derive(Serialize, ToSchema)]
pub struct FailureView {
    /// A machine-readable code.
    #[schema(example = "insufficient_fund")]
    pub code: String,
    /// A text for humans.
    #[schema(example = "The account does not have enough money.")]
    pub description: String,
}

/// The progress of a refund.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// It has been requested at Razorpay, or will be.
    Pending,
    /// The money is on its way to the payer's account.
    Processed,
    /// Razorpay refuses it; it is retried, and an operator has to look at it.
    Refused,
}

/// A refund.
#[derive(Serialize, ToSchema)]
pub struct RefundView {
    /// The progress.
    #[schema(example = "processed")]
    pub status: RefundStatus,
    /// The reason.
    #[schema(value_type = RefundReason, example = "attendee")]
    pub reason: &'static str,
    /// How much is refunded in all: the whole payment, or the part that the organizer chose; rupees.
    #[schema(value_type = f64, example = 500)]
    pub amount: Rupees,
    /// Razorpay's error when it refuses.
    #[schema(required = true, example = json!(null))]
    pub problem: Option<String>,
}

impl From<&RefundState> for RefundView {
    fn from(going: &RefundState) -> Self {
        Self {
            status: match (going.done, &going.refused) {
                (true, _) => RefundStatus::Processed,
                (false, None) => RefundStatus::Pending,
                (false, Some(_)) => RefundStatus::Refused,
            },
            reason: going.reason.name(),
            amount: going.amount.into(),
            problem: going.refused.clone(),
        }
    }
}

impl From<&Statement> for PaymentView {
    fn from(statement: &Statement) -> Self {
        let (payment, order) = (&statement.payment, &statement.order);
        // A payment that pays its order settles it in full, whatever its amount.
        let pays = order.paid_by == Some(payment.id);
        let beside_the_due = pays.then(|| order.amount.0 - payment.amount.0);
        Self {
            payment_id: payment.id,
            registration_id: order.registration_id,
            event_id: order.event_id,
            event_name: order.event_name.clone(),
            user_id: order.user_id,
            amount: payment.amount.into(),
            discount: beside_the_due
                .map_or(Paise::ZERO, |paise| Paise(paise.max(0)))
                .into(),
            surcharge: beside_the_due
                .map_or(Paise::ZERO, |paise| Paise((-paise).max(0)))
                .into(),
            currency: "INR",
            status: payment.status.name(),
            payment_method: payment.method.clone(),
            razorpay_order_id: order.razorpay_id.clone(),
            razorpay_payment_id: payment.razorpay_id.clone(),
            failure: payment.decline.as_ref().map(|decline| FailureView {
                code: decline.reason.clone(),
                description: decline.description.clone(),
            }),
            refund: statement.refund.as_ref().map(RefundView::from),
            amount_refunded: statement.refunded.into(),
            created_at: utc(payment.created_at),
            captured_at: payment.captured_at.map(utc),
            released_at: payment.released_at.map(utc),
        }
    }
}

/// A payment that was just captured.
#[derive(Serialize, ToSchema)]
pub struct PaymentAnswer {
    /// What happened.
    #[schema(example = "Payment processed successfully.")]
    pub message: &'static str,
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
}

/// The answer to a captured payment.
pub fn render_answer(statement: &Statement) -> Answer {
    Answer::json(
        StatusCode::OK,
        &PaymentAnswer {
            message: "Payment processed successfully.",
            payment: PaymentView::from(statement),
        },
    )
}

/// A payment in detail.
#[derive(Serialize, ToSchema)]
pub struct PaymentDetailView {
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
    /// Razorpay's fee, including tax; rupees. Known once the payment is captured.
    #[schema(value_type = Option<f64>, required = true, example = 11.8)]
    pub fee: Option<Rupees>,
    /// The tax in the fee; rupees.
    #[schema(value_type = Option<f64>, required = true, example = 1.8)]
    pub tax: Option<Rupees>,
    /// The means of payment.
    pub method_detail: MethodDetail,
    /// All refunds of it, including those made at Razorpay's dashboard, oldest first.
    pub refunds: Vec<RefundEntryView>,
    /// The history of the payment and its refunds, oldest first.
    pub timeline: Vec<StepView>,
}

/// A payment as the organizer of its event sees it.
#[derive(Serialize, ToSchema)]
pub struct OrganizerPaymentView {
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
    /// Razorpay's fee, including tax; rupees. Known once the payment is captured.
    #[schema(value_type = Option<f64>, required = true, example = 11.8)]
    pub fee: Option<Rupees>,
    /// The tax in the fee; rupees.
    #[schema(value_type = Option<f64>, required = true, example = 1.8)]
    pub tax: Option<Rupees>,
    /// The net amount: the captured amount less the fee and the amount refunded; rupees.
    #[schema(value_type = f64, example = 488.2)]
    pub net: Rupees,
}

impl From<&Statement> for OrganizerPaymentView {
    fn from(statement: &Statement) -> Self {
        let payment = &statement.payment;
        let (fee, tax) = (payment.detail.fee, payment.detail.tax);
        let captured = match payment.status >= Status::Captured {
            true => payment.amount.0,
            false => 0,
        };
        Self {
            payment: PaymentView::from(statement),
            fee: fee.map(Rupees),
            tax: tax.map(Rupees),
            net: Rupees(Paise(
                captured - fee.map_or(0, |fee| fee.0) - statement.refunded.0,
            )),
        }
    }
}

/// A refund at Razorpay.
#[derive(Serialize, ToSchema)]
pub struct RefundEntryView {
    /// Razorpay's refund id.
    #[schema(example = "rfnd_FP8QHiV938haTz")]
    pub razorpay_refund_id: String,
    /// Rupees.
    #[schema(value_type = f64, example = 500)]
    pub amount: Rupees,
    /// `pending`, `processed` or `failed`.
    #[schema(example = "processed")]
    pub status: &'static str,
    /// Whether it was made at Razorpay's dashboard, and not by this service.
    #[schema(example = false)]
    pub made_at_razorpay: bool,
    /// When it was created, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:09.000Z")]
    pub created_at: String,
    /// When it was reported as processed, UTC.
    #[schema(required = true, format = DateTime, example = "2026-11-22T13:14:10.000Z")]
    pub processed_at: Option<String>,
    /// When it was reported as failed, UTC.
    #[schema(required = true, format = DateTime, example = json!(null))]
    pub failed_at: Option<String>,
}

/// A step of a payment's timeline.
#[derive(Serialize, ToSchema)]
pub struct StepView {
    /// When it was recorded, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:07.000Z")]
    pub at: String,
    /// The status then; for refunds `refund_pending`, `refund_processed` or `refund_failed`.
    #[schema(example = "captured")]
    pub status: String,
    /// The source of the report; null: unknown.
    #[schema(required = true, example = "webhook")]
    pub source: Option<ReportedBy>,
}

impl PaymentDetailView {
    /// The view of a payment and its ledger.
    pub fn new(statement: &Statement, entries: &[Entry]) -> Self {
        let payment = &statement.payment;
        let detail = &payment.detail;
        let mut steps: Vec<(Timestamp, String, Option<ReportedBy>)> = detail
            .timeline
            .iter()
            .map(|step| (step.at, step.status.clone(), Some(step.source)))
            .collect();
        if steps.is_empty() {
            let known = [
                (Some(payment.created_at), "created"),
                (payment.captured_at, "captured"),
            ];
            steps.extend(
                known
                    .iter()
                    .filter_map(|(at, status)| Some(((*at)?, (*status).to_owned(), None))),
            );
        }
        for entry in entries {
            // Razorpay's times are in whole seconds; a refund is never shown before its capture.
            let made = entry
                .created_at
                .max(payment.captured_at.unwrap_or(entry.created_at));
            let times = [
                (Some(made), "refund_pending"),
                (entry.processed_at, "refund_processed"),
                (entry.failed_at, "refund_failed"),
            ];
            steps.extend(
                times
                    .iter()
                    .filter_map(|(at, status)| Some(((*at)?, (*status).to_owned(), None))),
            );
        }
        steps.sort_by_key(|(at, ..)| *at);
        Self {
            payment: PaymentView::from(statement),
            fee: detail.fee.map(Rupees),
            tax: detail.tax.map(Rupees),
            method_detail: detail.method.clone(),
            refunds: entries.iter().map(RefundEntryView::from).collect(),
            timeline: steps
                .into_iter()
                .map(|(at, status, source)| StepView {
                    at: utc(at),
                    status,
                    source,
                })
                .collect(),
        }
    }
}

impl From<&Entry> for RefundEntryView {
    fn from(entry: &Entry) -> Self {
        Self {
            razorpay_refund_id: entry.id.clone(),
            amount: entry.amount.into(),
            status: entry.status.name(),
            made_at_razorpay: entry.refund_id.is_none(),
            created_at: utc(entry.created_at),
            processed_at: entry.processed_at.map(utc),
            failed_at: entry.failed_at.map(utc),
        }
    }
}
