//! A payment, and the one state machine for all reports of it.
//!
//! Reports come from the answer to a call, the payer's browser, webhooks and the reconciler; late, twice and in any
//! order. The status only moves forward, so the final status does not depend on the order.

use common::{
    clock::Timestamp,
    ids::{OrderId, PaymentId},
    money::Paise,
    wire::RefundReason,
};

use super::{
    detail::{Detail, ReportedBy, Step},
    order::Order,
    refund::parse_reason,
};

/// The status of a payment, in the order in which it moves. A failed payment may still be authorized (`Failed` to
/// `Authorized` is legal at Razorpay, up to days later). `Refunded` is set only by the ledger of refunds, which resets
/// it when a refund fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, utoipa::ToSchema)]
#[schema(as = PaymentStatus, rename_all = "lowercase")]
pub enum Status {
    /// The payer has not finished.
    Created,
    /// It has failed so far.
    Failed,
    /// The bank has authorized the money.
    Authorized,
    /// Not captured: refused by this service, or not captured in time. The bank releases the money.
    Released,
    /// The money was captured.
    Captured,
    /// Refunded in full.
    Refunded,
}

impl Status {
    /// The name, the same as Razorpay's, except `released`, for which Razorpay has `refunded` and not `captured`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Failed => "failed",
            Self::Authorized => "authorized",
            Self::Released => "released",
            Self::Captured => "captured",
            Self::Refunded => "refunded",
        }
    }

    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::Failed,
        Self::Authorized,
        Self::Released,
        Self::Captured,
        Self::Refunded,
    ];

    /// Parses the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == text)
    }

    /// The status after a report.
    pub fn after(self, reported: Self) -> Self {
        self.max(reported)
    }
}

/// Why a payment failed, in Razorpay's words, or why it was released.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decline {
    /// A slug such as `insufficient_fund`.
    pub reason: String,
    /// A text for the payer.
    pub description: String,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The id.
    pub id: PaymentId,
    /// The order it pays.
    pub order_id: OrderId,
    /// Razorpay's id.
    pub razorpay_id: String,
    /// The payment method, by Razorpay's name.
    pub method: String,
    /// The amount.
    pub amount: Paise,
    /// The status.
    pub status: Status,
    /// Why it failed or was released, if it was. When this service released it, the reason is the name of a
    /// [`RefundReason`].
    pub decline: Option<Decline>,
    /// When it was first reported.
    pub created_at: Timestamp,
    /// When the capture was reported.
    pub captured_at: Option<Timestamp>,
    /// When it was reported that the bank has released the money.
    pub released_at: Option<Timestamp>,
    /// Razorpay's other details, and the timeline.
    pub detail: Detail,
}

impl Payment {
    /// The released payment, when the money is not to be captured because it would have to be refunded. `None`: it is
    /// not waiting for a capture.
    pub fn let_go(&self, reason: RefundReason, now: Timestamp) -> Option<Self> {
        if self.status != Status::Authorized {
            return None;
        }
        let mut released = Self {
            status: Status::Released,
            decline: Some(Decline {
                reason: reason.name().to_owned(),
                description: reason.text().to_owned(),
            }),
            ..self.clone()
        };
        released.arrived(ReportedBy::Ourselves, now);
        Some(released)
    }

    fn arrived(&mut self, source: ReportedBy, now: Timestamp) {
        self.detail.timeline.push(Step {
            at: now,
            status: self.status.name().to_owned(),
            source,
        });
    }

    /// Why this service released it, if it did.
    pub fn let_go_because(&self) -> Option<RefundReason> {
        let decline = self.decline.as_ref().filter(|_| self.status == Status::Released);
        decline.and_then(|decline| parse_reason(&decline.reason))
    }

    /// The payment after a report, and the effect on its order. `before`: the payment before the report, if there was
    /// one.
    pub fn reported(
        before: Option<&Self>,
        order: &Order,
        report: &Report,
        now: Timestamp,
    ) -> (Self, OnReport) {
        let mut payment = before.cloned().unwrap_or_else(|| Self {
            id: PaymentId::new(),
            order_id: order.id,
            razorpay_id: report.payment.clone(),
            method: report.method.clone(),
            amount: report.amount,
            status: Status::Created,
            decline: None,
            created_at: now,
            captured_at: None,
            released_at: None,
            detail: Detail::default(),
        });
        payment.detail.learn(&report.detail);
        let was = before.map(|before| before.status);
        payment.status = payment.status.after(report.status);
        if was != Some(payment.status) {
            payment.arrived(report.source, now);
        }
        if payment.status != report.status {
            return (payment, OnReport::Nothing); // the report is late
        }
        if was != Some(Status::Released) || report.status != Status::Released {
            payment.decline.clone_from(&report.decline);
        }
        if report.status == Status::Released {
            payment.released_at.get_or_insert(now);
        }
        if report.status < Status::Captured {
            payment.amount = report.amount;
            return (payment, OnReport::Nothing);
        }
        if was.is_some_and(|was| was >= Status::Captured) {
            return (payment, OnReport::Nothing);
        }
        // The captured amount counts, not the amount of earlier reports.
        payment.amount = report.amount;
        payment.captured_at = Some(now);
        let settles = settles(order.amount, report.amount, report.order_is.as_ref());
        let follows = match (order.paid_by, settles) {
            (Some(_), _) => OnReport::Duplicate,
            (None, Settles::Whole) => OnReport::Pays,
            (None, Settles::Short) => OnReport::Short,
            (None, Settles::Unknown) => OnReport::Ask,
        };
        (payment, follows)
    }
}

/// The effect of a report on its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReport {
    /// No effect: this report did not capture anything.
    Nothing,
    /// The money pays the order.
    Pays,
    /// The order was paid before: the payment is refunded.
    Duplicate,
    /// At Razorpay this payment alone does not settle the order: it is refunded, and the order stays open.
    Short,
    /// The amount is not the order's: Razorpay's order has to be fetched first. Nothing is stored.
    Ask,
}

impl OnReport {
    /// Why the payment is refunded, if it is.
    pub fn sends_back(self) -> Option<RefundReason> {
        match self {
            Self::Duplicate => Some(RefundReason::Duplicate),
            Self::Short => Some(RefundReason::WrongAmount),
            Self::Pays | Self::Nothing | Self::Ask => None,
        }
    }
}

/// The state of an order at Razorpay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderIs {
    /// The amount still due.
    pub due: Paise,
    /// Whether other payments of the order were captured.
    pub others: bool,
}

/// Whether captured money settles its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settles {
    /// In full.
    Whole,
    /// Not in full.
    Short,
    /// The order has to be fetched from Razorpay.
    Unknown,
}

/// Whether a captured amount settles an order of `due`. Razorpay decides: an offer may have lowered the amount and a
/// convenience fee raised it, and the order is paid all the same.
pub fn settles(due: Paise, captured: Paise, order_is: Option<&OrderIs>) -> Settles {
    match order_is {
        _ if captured == due => Settles::Whole,
        None => Settles::Unknown,
        Some(OrderIs {
            due: Paise::ZERO,
            others: false,
        }) => Settles::Whole,
        Some(_) => Settles::Short,
    }
}

/// A report of a payment at Razorpay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Razorpay's order id.
    pub order: String,
    /// Razorpay's payment id.
    pub payment: String,
    /// The status.
    pub status: Status,
    /// The payment method.
    pub method: String,
    /// The amount.
    pub amount: Paise,
    /// Why it failed or was released, if it was.
    pub decline: Option<Decline>,
    /// The state of its order at Razorpay, if it was fetched.
    pub order_is: Option<OrderIs>,
    /// Razorpay's other details.
    pub detail: Detail,
    /// The source.
    pub source: ReportedBy,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status() -> impl Strategy<Value = Status> {
        prop::sample::select(Status::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn reports_in_any_order_end_the_same(mut reports in prop::collection::vec(status(), 0..8)) {
            let end = |reports: &[Status]| reports.iter().fold(Status::Created, |now, next| now.after(*next));
            let straight = end(&reports);
            reports.reverse();
            prop_assert_eq!(end(&reports), straight);
            reports.sort();
            reports.extend_from_within(..);
            prop_assert_eq!(end(&reports), straight);
        }
    }
}
