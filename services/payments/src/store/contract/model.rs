//! Whatever comes in whatever order: the books are those of a small model, which knows nothing but sums.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestCaseResult},
};

use super::*;

/// Payments of the order, and refunds of each.
const PAYMENTS: usize = 3;
const REFUNDS: usize = 3;

/// Something that is told, or decided.
#[derive(Clone, Debug)]
pub enum Step {
    /// Razorpay says where a payment stands.
    Report(usize, Status),
    /// A payment's money is not wanted.
    LetGo(usize),
    /// Razorpay says where a refund of a payment stands, which is of so many parts in five of it.
    Refund(usize, usize, i64, EntryStatus),
}

/// Steps in any order.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    use EntryStatus::*;
    let payment = || 0..PAYMENTS;
    let told = prop::sample::select(vec![
        Status::Created,
        Status::Failed,
        Status::Authorized,
        Status::Captured,
    ]);
    let refund = prop::sample::select(vec![Pending, Processed, Processed, Failed]);
    let parts = prop::sample::select(vec![1, 2, 5]);
    prop::collection::vec(
        prop_oneof![
            4 => (payment(), told).prop_map(|(payment, status)| Step::Report(payment, status)),
            1 => payment().prop_map(Step::LetGo),
            4 => (payment(), 0..REFUNDS, parts, refund)
                .prop_map(|(payment, refund, parts, status)| Step::Refund(payment, refund, parts, status)),
        ],
        1..40,
    )
}

/// What is known of a payment.
#[derive(Clone, Debug, Default)]
struct Known {
    status: Option<Status>,
    pays: bool,
    /// It is to be back in the end: it was a second one, or was back once.
    goes_back: bool,
    refunds: BTreeMap<usize, (i64, EntryStatus)>,
}

impl Known {
    fn sum(&self, wanted: EntryStatus) -> i64 {
        let of = self.refunds.values().filter(|(_, status)| *status == wanted);
        of.map(|(amount, _)| amount).sum()
    }

    fn is_captured(&self) -> bool {
        self.status == Some(Status::Captured)
    }
}

/// Takes the steps with a new order, and compares.
///
/// # Errors
/// The first difference.
pub async fn follows(store: S, steps: Vec<Step>) -> TestCaseResult {
    let (order, _) = open(&store).await;
    // Ids follow each other: what is not of this order comes before.
    let since = PaymentId::new();
    let all = order.amount.0;
    let name = |payment: usize| format!("pay_{payment}_{}", order.id.0.simple());
    let mut known: Vec<Known> = vec![Known::default(); PAYMENTS];
    for (number, step) in steps.into_iter().enumerate() {
        match step.clone() {
            Step::Report(payment, status) => {
                apply(&store, report(&order, &name(payment), status)).await;
                let is_paid = known.iter().any(|known| known.pays);
                let this = &mut known[payment];
                let was = this.is_captured();
                this.status = this.status.max(Some(status));
                if this.is_captured() && !was {
                    this.pays = !is_paid;
                    this.goes_back = is_paid;
                }
            }
            Step::LetGo(payment) => {
                let found = lines(&store, since).await;
                let Some(line) = found.get(&name(payment)) else {
                    continue;
                };
                let refused = RefundReason::NoSeat;
                store.let_go(line.payment.id, refused, now()).await.unwrap();
                let this = &mut known[payment];
                if this.status == Some(Status::Authorized) {
                    this.status = Some(Status::Released);
                }
            }
            Step::Refund(payment, refund, parts, status) => {
                let this = &mut known[payment];
                let (amount, was) = match this.refunds.get(&refund) {
                    Some((amount, was)) => (*amount, Some(*was)),
                    None => (all * parts / 5, None),
                };
                let others = this.sum(EntryStatus::Pending) + this.sum(EntryStatus::Processed);
                // Razorpay gives back no more than there is.
                if was.is_none() && others + amount > all {
                    continue;
                }
                let told = RefundReport {
                    id: format!("rfnd_{refund}_{}", name(payment)),
                    payment: name(payment),
                    refund_id: None,
                    amount: Paise(amount),
                    status,
                    created_at: Some(now()),
                };
                store.note_refunds(vec![told], now()).await.unwrap();
                if this.is_captured() {
                    let status = was.map_or(status, |was| was.max(status));
                    this.refunds.insert(refund, (amount, status));
                    this.goes_back |= this.sum(EntryStatus::Processed) == all;
                }
            }
        }
        let found = lines(&store, since).await;
        for (payment, known) in known.iter().enumerate() {
            let line = found.get(&name(payment));
            agrees(known, line, all)
                .map_err(|why| TestCaseError::fail(format!("after step {number}, {step:?}: {why}")))?;
        }
    }
    // The events service has heard of each capture once.
    let far = now() + TimeDelta::days(300);
    let told = store.outbox().due("events", far, 10_000).await.unwrap();
    for (payment, known) in known.iter().enumerate() {
        let line = lines(&store, since).await.remove(&name(payment));
        let captured = told.iter().filter(|told| {
            let of = line.as_ref().map(|line| line.payment.id.0);
            told.event.kind == kind::PAYMENT_CAPTURED && Some(told.event.subject) == of
        });
        prop_assert_eq!(captured.count(), usize::from(known.pays));
    }
    Ok(())
}

/// The lines since then, by Razorpay's ids.
async fn lines(store: &S, since: PaymentId) -> BTreeMap<String, Line> {
    let page = store.ledger(Some(since), PAYMENTS + 1).await.unwrap();
    page.into_iter()
        .map(|line| (line.payment.razorpay_id.clone(), line))
        .collect()
}

fn agrees(known: &Known, line: Option<&Line>, amount: i64) -> Result<(), String> {
    let Some(status) = known.status else {
        return line.map_or(Ok(()), |line| Err(format!("nobody has told of {line:?}")));
    };
    let line = line.ok_or_else(|| format!("{known:?} is not there"))?;
    let balance = line.balance();
    let (processed, pending) = (known.sum(EntryStatus::Processed), known.sum(EntryStatus::Pending));
    let is_back = known.is_captured() && processed == amount;
    let expected = if is_back { Status::Refunded } else { status };
    let same = line.payment.status == expected
        && (balance.processed.0, balance.pending.0) == (processed, pending)
        && line.pays == known.pays
        && line.owed == (known.goes_back && !is_back);
    same.then_some(())
        .ok_or_else(|| format!("expected {expected:?} of {known:?}, found {line:?}"))
}
