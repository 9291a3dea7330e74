//! Refunds: the money owed to payers, and the ledger of the money refunded.
//!
//! A [`Refund`] is this service's duty to refund a captured payment; there is at most one per payment. An [`Entry`] is
//! a refund that exists at Razorpay, requested by this service or at Razorpay's dashboard. The amount left to refund is
//! the captured amount less the entries that have not failed.

use common::{
    clock::Timestamp,
    ids::{PaymentId, RefundId},
    money::Paise,
    wire::RefundReason,
};

use super::payment::Status;

/// The duty to refund a captured payment, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The id; also in the notes of its entries at Razorpay.
    pub id: RefundId,
    /// The payment to be refunded.
    pub payment_id: PaymentId,
    /// The payment's id at Razorpay.
    pub razorpay_payment_id: String,
    /// How much is to be back in all, by whomever; at most the captured amount. Zero: the money is kept on purpose.
    pub amount: Paise,
    /// The reason.
    pub reason: RefundReason,
    /// Attempts so far, for the back-off.
    pub attempts: u32,
}

/// How much of a captured payment is to be refunded. `part`: how much of it; `None`: all.
pub fn owed(captured: Paise, part: Option<Paise>) -> Paise {
    part.map_or(captured, |part| part.clamp(Paise::ZERO, captured))
}

/// The effect of a request to refund a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRequest {
    /// None: so much is owed already.
    Same,
    /// There is a duty now.
    New {
        /// Whether it is fulfilled: so much is back, or nothing is owed.
        done: bool,
    },
    /// The duty is for more now.
    Raised {
        /// Whether it is fulfilled: so much is back.
        done: bool,
    },
}

/// Decides on a request to refund a payment. The largest one counts, in whatever order they come. `duty`: what is owed
/// already; `amount`: [`owed`] by the request; `processed`: what is back.
pub fn on_request(duty: Option<Paise>, amount: Paise, processed: Paise) -> OnRequest {
    let done = processed >= amount;
    match duty {
        None => OnRequest::New { done },
        Some(duty) if duty < amount => OnRequest::Raised { done },
        Some(_) => OnRequest::Same,
    }
}

/// The status of a refund at Razorpay, in the order in which it moves: banks may return the money even after it was
/// processed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EntryStatus {
    /// Razorpay has accepted it.
    Pending,
    /// The money is on its way to the payer's account.
    Processed,
    /// The money did not arrive; Razorpay has credited it to us again.
    Failed,
}

impl EntryStatus {
    /// The name, the same as Razorpay's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }

    /// Parses the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Processed, Self::Failed]
            .into_iter()
            .find(|status| status.name() == text)
    }

    /// Parses Razorpay's status. `created`, or none, is pending.
    pub fn of_razorpay(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::Pending)
    }
}

/// A refund at Razorpay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Razorpay's id.
    pub id: String,
    /// The refunded payment.
    pub payment_id: PaymentId,
    /// The [`Refund`] that it was made for; `None`: it was made at Razorpay's dashboard.
    pub refund_id: Option<RefundId>,
    /// The amount.
    pub amount: Paise,
    /// The status.
    pub status: EntryStatus,
    /// When it was created at Razorpay.
    pub created_at: Timestamp,
    /// When it was reported as processed.
    pub processed_at: Option<Timestamp>,
    /// When it was reported as failed.
    pub failed_at: Option<Timestamp>,
}

/// A report of a refund at Razorpay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundReport {
    /// Razorpay's id.
    pub id: String,
    /// The payment's id at Razorpay.
    pub payment: String,
    /// The [`Refund`] that it was made for, by its notes.
    pub refund_id: Option<RefundId>,
    /// The amount.
    pub amount: Paise,
    /// The status.
    pub status: EntryStatus,
    /// When it was created at Razorpay, if that is given.
    pub created_at: Option<Timestamp>,
}

impl RefundReport {
    /// The report, with the [`Refund`] that it names only if that is the payment's one.
    #[must_use]
    pub fn for_duty(&self, duty: Option<&Refund>) -> Self {
        let ours = duty.filter(|duty| self.refund_id == Some(duty.id));
        Self {
            refund_id: ours.map(|duty| duty.id),
            ..self.clone()
        }
    }
}

impl Entry {
    /// The reason in the payer's notification: that of the [`Refund`], or `Organizer` when it was made at Razorpay's
    /// dashboard.
    pub fn reason(&self, duty: Option<&Refund>) -> RefundReason {
        match (self.refund_id, duty) {
            (Some(_), Some(duty)) => duty.reason,
            _ => RefundReason::Organizer,
        }
    }

    /// The entry after a report. `before`: the entry before the report, if there was one.
    pub fn reported(
        before: Option<&Self>,
        payment: PaymentId,
        report: &RefundReport,
        now: Timestamp,
    ) -> Self {
        let mut entry = before.cloned().unwrap_or_else(|| Self {
            id: report.id.clone(),
            payment_id: payment,
            refund_id: report.refund_id,
            amount: report.amount,
            status: EntryStatus::Pending,
            created_at: report.created_at.unwrap_or(now),
            processed_at: None,
            failed_at: None,
        });
        entry.status = entry.status.max(report.status);
        match entry.status {
            EntryStatus::Pending => {}
            EntryStatus::Processed => _ = entry.processed_at.get_or_insert(now),
            EntryStatus::Failed => _ = entry.failed_at.get_or_insert(now),
        }
        entry
    }
}

/// The balance of money that is to be refunded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What it is the balance of: the captured amount, or the amount of a [`Refund`].
    pub amount: Paise,
    /// The amount refunded.
    pub processed: Paise,
    /// The amount of pending refunds.
    pub pending: Paise,
    /// The number of failed refunds.
    pub failures: usize,
    /// The number of refunds that were processed, including those that failed afterwards: the payer was notified of
    /// each.
    pub told: i64,
}

impl Balance {
    /// The balance of this amount, of a payment with these entries.
    pub fn of(amount: Paise, entries: &[Entry]) -> Self {
        let sum = |status| {
            let of = entries.iter().filter(|entry| entry.status == status);
            Paise(of.map(|entry| entry.amount.0).sum())
        };
        Self {
            amount,
            processed: sum(EntryStatus::Processed),
            pending: sum(EntryStatus::Pending),
            failures: entries
                .iter()
                .filter(|entry| entry.status == EntryStatus::Failed)
                .count(),
            told: entries
                .iter()
                .map(|entry| i64::from(entry.processed_at.is_some()))
                .sum(),
        }
    }

    /// The balance of another amount of the same payment.
    #[must_use]
    pub fn towards(self, amount: Paise) -> Self {
        Self { amount, ..self }
    }

    /// The amount that is refunded or pending.
    pub fn gone(&self) -> Paise {
        Paise(self.processed.0 + self.pending.0)
    }

    /// The amount that is neither refunded nor pending.
    pub fn left(&self) -> Paise {
        Paise((self.amount.0 - self.gone().0).max(0))
    }

    /// Whether all is refunded.
    pub fn is_back(&self) -> bool {
        self.processed >= self.amount
    }
}

/// The next step of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// None: the amount is refunded.
    Done,
    /// None now: the rest is pending.
    Wait,
    /// Request a refund at Razorpay.
    Ask {
        /// The amount.
        amount: Paise,
        /// Razorpay's `X-Refund-Idempotency`: at least 10 characters of `[A-Za-z0-9_-]`. It is the same as long as no
        /// change is known, so that a lost answer leads to no second refund, and another one after a failure, which
        /// Razorpay would only repeat, and for another amount. What is gone already is in it, because a duty that was
        /// raised may have the same amount left as before.
        key: String,
    },
}

/// Decides on the next step of a refund, once all refunds that Razorpay has of its payment, `entries`, are in the
/// ledger.
pub fn next_step(refund: &Refund, entries: &[Entry]) -> Step {
    let balance = Balance::of(refund.amount, entries);
    match balance.left() {
        _ if balance.is_back() => Step::Done,
        Paise::ZERO => Step::Wait,
        amount => Step::Ask {
            amount,
            key: format!(
                "{}-{}-{}-{}",
                refund.id,
                balance.failures,
                balance.gone().0,
                amount.0
            ),
        },
    }
}

/// The effects of a change in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnEntry {
    /// The new status of the payment.
    pub status: Status,
    /// Whether the payer is notified that this money is on its way.
    pub notify: bool,
    /// Whether the registration ends, because the payment was refunded in full and not by this service.
    pub reverse: bool,
    /// The effect on the duty to refund the payment.
    pub duty: Duty,
}

/// The effect on the duty to refund a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// No change.
    Same,
    /// It is fulfilled.
    Fulfilled,
    /// There is one, although there was none (all is owed then) or it counted as fulfilled: the bank has returned
    /// refunded money.
    Open,
}

/// Decides on the effects of a change of an entry from the status `was`. `payment`: the payment's status before;
/// `owed`: the amount of the duty, if there is one; `pays`: whether the payment paid its order; `balance`: that of the
/// captured amount.
pub fn on_entry(
    payment: Status,
    owed: Option<Paise>,
    pays: bool,
    was: Option<EntryStatus>,
    entry: &Entry,
    balance: &Balance,
) -> OnEntry {
    let was_back = payment == Status::Refunded;
    let is_back = balance.is_back();
    let now = |status| entry.status == status && was != Some(status);
    OnEntry {
        status: if is_back {
            Status::Refunded
        } else {
            Status::Captured
        },
        notify: now(EntryStatus::Processed),
        reverse: is_back && !was_back && owed.is_none() && pays,
        duty: if balance.towards(owed.unwrap_or(balance.amount)).is_back() {
            Duty::Fulfilled
        } else if now(EntryStatus::Failed) && (owed.is_some() || was_back) {
            Duty::Open
        } else {
            Duty::Same
        },
    }
}

/// Parses the name.
pub fn parse_reason(text: &str) -> Option<RefundReason> {
    [
        RefundReason::NoSeat,
        RefundReason::Attendee,
        RefundReason::EventCancelled,
        RefundReason::Duplicate,
        RefundReason::WrongAmount,
        RefundReason::Organizer,
    ]
    .into_iter()
    .find(|reason| reason.name() == text)
}

#[cfg(test)]
mod tests;
