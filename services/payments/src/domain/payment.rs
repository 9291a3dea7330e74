//! A payment, and the one state machine that every report of it goes through.
//!
//! Reports come from the answer to a call, the payer's browser, webhooks and the reconciler; late, twice and in any
//! order. Status only moves forward, so whatever the order, the end is the same.

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

/// Where a payment stands, in the order in which it moves. Money that was thought lost may still come (`Failed` to
/// `Authorized` is legal at Razorpay, up to days later). Only the ledger of refunds says `Refunded`, and takes it back when
/// a refund fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, utoipa::ToSchema)]
#[schema(as = PaymentStatus, rename_all = "lowercase")]
pub enum Status {
    /// The payer has not finished.
    Created,
    /// It did not work out, so far.
    Failed,
    /// The money is set aside.
    Authorized,
    /// It is not taken: we let it go, or did not capture it in time. The bank frees it.
    Released,
    /// The money is ours.
    Captured,
    /// The money went back, all of it.
    Refunded,
}

impl Status {
    /// Razorpay's name for it, which is ours too; of `released` it says `refunded` and not `captured`.
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

    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::Failed,
        Self::Authorized,
        Self::Released,
        Self::Captured,
        Self::Refunded,
    ];

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == text)
    }

    /// The status after a report.
    pub fn after(self, reported: Self) -> Self {
        self.max(reported)
    }
}

/// Why a payment failed, in Razorpay's words, or why it was let go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decline {
    /// A slug such as `insufficient_fund`.
    pub reason: String,
    /// For the payer.
    pub description: String,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Our id.
    pub id: PaymentId,
    /// What it pays.
    pub order_id: OrderId,
    /// Razorpay's id.
    pub razorpay_id: String,
    /// How it is paid, in Razorpay's words.
    pub method: String,
    /// How much.
    pub amount: Paise,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or was released, if it was. When we let it go, the reason is that of a [`RefundReason`].
    pub decline: Option<Decline>,
    /// When we first heard of it.
    pub created_at: Timestamp,
    /// When we heard that the money is ours.
    pub captured_at: Option<Timestamp>,
    /// When we heard that the bank has freed money that was not captured.
    pub released_at: Option<Timestamp>,
    /// What else Razorpay has told of it, and the way it has come.
    pub detail: Detail,
}

impl Payment {
    /// The payment when its money is not to be captured, for it would have to go back. `None`: it does not wait to be.
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

    /// Why it was let go, if it was.
    pub fn let_go_because(&self) -> Option<RefundReason> {
        let decline = self.decline.as_ref().filter(|_| self.status == Status::Released);
        decline.and_then(|decline| parse_reason(&decline.reason))
    }

    /// The payment after a report, and what follows for its order. `before`: the payment as it was known, if it was.
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
            return (payment, OnReport::Nothing); // it is late
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
        // What counts is what was captured, not what was said of it before.
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

/// What a report of a payment means for its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReport {
    /// No money has come in just now.
    Nothing,
    /// The money pays the order.
    Pays,
    /// The order was paid before: it goes back.
    Duplicate,
    /// It is not what was due: it goes back, and the order stays open.
    Short,
    /// It is not the order's amount: what Razorpay says of the order has to be looked at first. Nothing is noted.
    Ask,
}

impl OnReport {
    /// Why the money goes back, if it does.
    pub fn sends_back(self) -> Option<RefundReason> {
        match self {
            Self::Duplicate => Some(RefundReason::Duplicate),
            Self::Short => Some(RefundReason::WrongAmount),
            Self::Pays | Self::Nothing | Self::Ask => None,
        }
    }
}

/// What Razorpay says of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderIs {
    /// What is still due of it.
    pub due: Paise,
    /// Whether other payments of it were captured.
    pub others: bool,
}

/// Whether captured money settles its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settles {
    /// All of it.
    Whole,
    /// Not all of it.
    Short,
    /// Razorpay has to be asked.
    Unknown,
}

/// Whether a captured amount settles an order of `due`. Razorpay decides: an offer may have made it less, a convenience
/// fee more, and its order is paid all the same.
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

/// What somebody says of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Razorpay's order id.
    pub order: String,
    /// Razorpay's payment id.
    pub payment: String,
    /// Where it stands.
    pub status: Status,
    /// How it is paid.
    pub method: String,
    /// How much.
    pub amount: Paise,
    /// Why it failed, if it did.
    pub decline: Option<Decline>,
    /// What Razorpay says of its order, where somebody has looked.
    pub order_is: Option<OrderIs>,
    /// What else is told.
    pub detail: Detail,
    /// Who says so.
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
