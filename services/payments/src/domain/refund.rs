//! Refunds: what we owe a payer, and the ledger of what has gone back.
//!
//! A [`Refund`] is our duty to send a captured payment back; there is at most one per payment. An [`Entry`] is a refund
//! that exists at Razorpay, whoever asked for it: we, or somebody at its dashboard. What is left to send back is what was
//! captured less the entries that have not failed.

use common::{
    clock::Timestamp,
    ids::{PaymentId, RefundId},
    money::Paise,
    wire::RefundReason,
};

use super::payment::Status;

/// A captured payment that is to go back, all that is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Its id; also in the notes of its entries at Razorpay.
    pub id: RefundId,
    /// Which payment goes back.
    pub payment_id: PaymentId,
    /// The payment's id at Razorpay.
    pub razorpay_payment_id: String,
    /// What was captured.
    pub amount: Paise,
    /// Why.
    pub reason: RefundReason,
    /// Tries so far, for the back-off.
    pub attempts: u32,
}

/// Where a refund stands at Razorpay, in the order in which it moves: banks send money back even after it was processed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EntryStatus {
    /// Razorpay has it.
    Pending,
    /// The money is on its way to the payer's account.
    Processed,
    /// It did not arrive; the money is ours again.
    Failed,
}

impl EntryStatus {
    /// Razorpay's name for it, which is ours too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Processed, Self::Failed]
            .into_iter()
            .find(|status| status.name() == text)
    }

    /// Reads what Razorpay says. It also says `created`, and leaves it out: pending.
    pub fn of_razorpay(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::Pending)
    }
}

/// A refund at Razorpay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Razorpay's id.
    pub id: String,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// Ours that it was made for; `None`: somebody made it at Razorpay.
    pub refund_id: Option<RefundId>,
    /// How much.
    pub amount: Paise,
    /// Where it stands.
    pub status: EntryStatus,
    /// When it was made at Razorpay.
    pub created_at: Timestamp,
    /// When we heard that it was processed.
    pub processed_at: Option<Timestamp>,
    /// When we heard that it failed.
    pub failed_at: Option<Timestamp>,
}

/// What somebody says of a refund at Razorpay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundReport {
    /// Razorpay's id.
    pub id: String,
    /// The payment's id at Razorpay.
    pub payment: String,
    /// Ours that it was made for, by its notes.
    pub refund_id: Option<RefundId>,
    /// How much.
    pub amount: Paise,
    /// Where it stands.
    pub status: EntryStatus,
    /// When it was made at Razorpay, where that is told.
    pub created_at: Option<Timestamp>,
}

impl RefundReport {
    /// The report, with our refund that it names only where that is the one there is.
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
    /// Why it was made, as its payer is notified: for our refund's reason, or by somebody at Razorpay.
    pub fn reason(&self, duty: Option<&Refund>) -> RefundReason {
        match (self.refund_id, duty) {
            (Some(_), Some(duty)) => duty.reason,
            _ => RefundReason::Organizer,
        }
    }

    /// The entry after a report. `before`: as it was known, if it was.
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

/// What has become of captured money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What was captured.
    pub captured: Paise,
    /// What is back.
    pub processed: Paise,
    /// What is on its way back.
    pub pending: Paise,
    /// Refunds that failed.
    pub failures: usize,
    /// Refunds that were processed, also those that failed afterwards: the payer was told of each.
    pub told: i64,
}

impl Balance {
    /// Of a payment with these entries.
    pub fn of(captured: Paise, entries: &[Entry]) -> Self {
        let sum = |status| {
            let of = entries.iter().filter(|entry| entry.status == status);
            Paise(of.map(|entry| entry.amount.0).sum())
        };
        Self {
            captured,
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

    /// What neither is back nor on its way.
    pub fn left(&self) -> Paise {
        Paise((self.captured.0 - self.processed.0 - self.pending.0).max(0))
    }

    /// Whether all is back.
    pub fn is_back(&self) -> bool {
        self.processed >= self.captured
    }
}

/// What is to be done for a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: all is back.
    Done,
    /// Nothing now: all that is not back is on its way.
    Wait,
    /// Razorpay is to be asked for this.
    Ask {
        /// How much.
        amount: Paise,
        /// Razorpay's `X-Refund-Idempotency`: at least 10 characters of `[A-Za-z0-9_-]`. The same as long as nothing is
        /// known to have changed, so that a lost answer leads to no second refund; another after a failure, which
        /// Razorpay would only repeat, and for another amount.
        key: String,
    },
}

/// Decides on the next step of a refund, after a look at everything that Razorpay has of its payment.
pub fn next_step(refund: &Refund, balance: &Balance) -> Step {
    match balance.left() {
        _ if balance.is_back() => Step::Done,
        Paise::ZERO => Step::Wait,
        amount => Step::Ask {
            amount,
            key: format!("{}-{}-{}", refund.id, balance.failures, amount.0),
        },
    }
}

/// What follows from a change in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnEntry {
    /// Where the payment stands now.
    pub status: Status,
    /// The payer is told that this money is on its way.
    pub notify: bool,
    /// What was paid for ends, because all is back and not by our doing.
    pub reverse: bool,
    /// Our duty to send it back ends, or exists (again).
    pub duty: Duty,
}

/// What becomes of our duty to send a payment back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It stays as it is.
    Same,
    /// It is fulfilled.
    Fulfilled,
    /// There is one, although there was none or it was thought to be fulfilled: money that had gone back came again.
    Open,
}

/// Decides what follows when an entry has changed from `was` to what it is. `payment` is where it stood before; `owed`:
/// whether there is a duty; `pays`: whether the payment paid its order.
pub fn on_entry(
    payment: Status,
    owed: bool,
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
        reverse: is_back && !was_back && !owed && pays,
        duty: if is_back {
            Duty::Fulfilled
        } else if now(EntryStatus::Failed) && (owed || was_back) {
            Duty::Open
        } else {
            Duty::Same
        },
    }
}

/// Reads the name.
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
