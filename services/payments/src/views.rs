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
    /// Its id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000005")]
    pub payment_id: PaymentId,
    /// What it pays for.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000003")]
    pub registration_id: RegistrationId,
    /// The registration's event.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    pub event_id: EventId,
    /// The event's name.
    #[schema(example = "Rust for organisers")]
    pub event_name: String,
    /// Who pays.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000006")]
    pub user_id: UserId,
    /// Rupees.
    #[schema(value_type = f64, example = 500)]
    pub amount: Rupees,
    /// What an offer took off what was due; rupees.
    #[schema(value_type = f64, example = 0)]
    pub discount: Rupees,
    /// What a convenience fee added to what was due; rupees.
    #[schema(value_type = f64, example = 0)]
    pub surcharge: Rupees,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// Where it stands.
    #[schema(value_type = Status, example = "captured")]
    pub status: &'static str,
    /// `upi`, `card`, `netbanking`, `wallet`, or another of Razorpay's.
    #[schema(example = "upi")]
    pub payment_method: String,
    /// Razorpay's order.
    #[schema(required = true, example = "order_DBJOWzybf0sJbb")]
    pub razorpay_order_id: Option<String>,
    /// Razorpay's payment.
    #[schema(example = "pay_DaaS6LOUAASb7Y")]
    pub razorpay_payment_id: String,
    /// Why it failed or was released, if it was.
    #[schema(required = true)]
    pub failure: Option<FailureView>,
    /// Its way back, if all of it is on one.
    #[schema(required = true)]
    pub refund: Option<RefundView>,
    /// What of it is back, whoever sent it; rupees.
    #[schema(value_type = f64, example = 0)]
    pub amount_refunded: Rupees,
    /// When it was made, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    pub created_at: String,
    /// When the money was taken, UTC.
    #[schema(required = true, format = DateTime, example = "2026-11-22T13:14:07.000Z")]
    pub captured_at: Option<String>,
    /// When the bank freed money that was not taken (status `released`), UTC.
    #[schema(required = true, format = DateTime, example = json!(null))]
    pub released_at: Option<String>,
}

/// Why a payment failed or was released.
#[derive(Serialize, ToSchema)]
pub struct FailureView {
    /// For programs.
    #[schema(example = "insufficient_fund")]
    pub code: String,
    /// For people.
    #[schema(example = "The account does not have enough money.")]
    pub description: String,
}

/// How far a refund is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Razorpay has it, or will.
    Pending,
    /// The money is on its way to the payer's account.
    Processed,
    /// Razorpay refuses to send it back; it is asked again, and somebody has to look.
    Refused,
}

/// A refund.
#[derive(Serialize, ToSchema)]
pub struct RefundView {
    /// How far it is.
    #[schema(example = "processed")]
    pub status: RefundStatus,
    /// Why.
    #[schema(value_type = RefundReason, example = "attendee")]
    pub reason: &'static str,
    /// What Razorpay says when it refuses.
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
            problem: going.refused.clone(),
        }
    }
}

impl From<&Statement> for PaymentView {
    fn from(statement: &Statement) -> Self {
        let (payment, order) = (&statement.payment, &statement.order);
        // Money that pays its order in full, however much it is.
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

/// A payment that has just been made.
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

/// A payment with all that is known of it.
#[derive(Serialize, ToSchema)]
pub struct PaymentDetailView {
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
    /// Razorpay's share of it, tax included; rupees. Known once it is captured.
    #[schema(value_type = Option<f64>, required = true, example = 11.8)]
    pub fee: Option<Rupees>,
    /// The tax in the fee; rupees.
    #[schema(value_type = Option<f64>, required = true, example = 1.8)]
    pub tax: Option<Rupees>,
    /// With what it was paid.
    pub method_detail: MethodDetail,
    /// What went back of it, oldest first, whoever sent it.
    pub refunds: Vec<RefundEntryView>,
    /// The way it has come.
    pub timeline: Vec<StepView>,
}

/// A payment as the organizer of its event sees it.
#[derive(Serialize, ToSchema)]
pub struct OrganizerPaymentView {
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
    /// Razorpay's share of it, tax included; rupees. Known once it is captured.
    #[schema(value_type = Option<f64>, required = true, example = 11.8)]
    pub fee: Option<Rupees>,
    /// The tax in the fee; rupees.
    #[schema(value_type = Option<f64>, required = true, example = 1.8)]
    pub tax: Option<Rupees>,
    /// What stays: what was captured, less the fee and what is back; rupees.
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
    /// Razorpay's refund.
    #[schema(example = "rfnd_FP8QHiV938haTz")]
    pub razorpay_refund_id: String,
    /// Rupees.
    #[schema(value_type = f64, example = 500)]
    pub amount: Rupees,
    /// `pending`, `processed` or `failed`.
    #[schema(example = "processed")]
    pub status: &'static str,
    /// Whether it was made at Razorpay itself, and not by us.
    #[schema(example = false)]
    pub made_at_razorpay: bool,
    /// When it was made, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:09.000Z")]
    pub created_at: String,
    /// When we heard that the money is on its way, UTC.
    #[schema(required = true, format = DateTime, example = "2026-11-22T13:14:10.000Z")]
    pub processed_at: Option<String>,
    /// When we heard that it failed, UTC.
    #[schema(required = true, format = DateTime, example = json!(null))]
    pub failed_at: Option<String>,
}

/// A step on a payment's way.
#[derive(Serialize, ToSchema)]
pub struct StepView {
    /// When we heard of it, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:07.000Z")]
    pub at: String,
    /// The status then; of refunds `refund_pending`, `refund_processed` and `refund_failed`.
    #[schema(example = "captured")]
    pub status: String,
    /// Who told; `null`: that is not known.
    #[schema(required = true, example = "webhook")]
    pub source: Option<ReportedBy>,
}

impl PaymentDetailView {
    /// Of a payment and its ledger.
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
            // Razorpay tells whole seconds; nothing goes back before it has come.
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
