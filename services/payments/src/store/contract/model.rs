//! Reports in any order lead to the same books as those of a small model, which only keeps sums.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestCaseResult},
};

use super::*;

/// The number of payments of the order, and of refunds of each.
const PAYMENTS: usize = 3;
const REFUNDS: usize = 3;

/// A report or a decision.
#[derive(Clone, Debug)]
pub enum Step {
    /// Razorpay reports the status of a payment.
    Report(usize, Status),
    /// A payment is released by this service.
    LetGo(usize),
    /// Razorpay reports the status of a refund of a payment, by numbers; the amount is in fifths of the payment.
    Refund(usize, usize, i64, EntryStatus),
    /// So many fifths of a payment are to be refunded.
    Owe(usize, i64),
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
            1 => (payment(), prop::sample::select(vec![0, 2, 5])).prop_map(|(payment, parts)| Step::Owe(payment, parts)),
        ],
        1..40,
    )
}

/// The model of a payment.
#[derive(Clone, Debug, Default)]
struct Known {
    status: Option<Status>,
    pays: bool,
    /// How much is to be refunded: all of a second payment, and of one of which the bank has returned the refund, or
    /// what was asked for.
    goes_back: Option<i64>,
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

/// Takes the steps with a new order, and compares the store with the model after each.
///
/// # Errors
/// The first difference.
pub async fn follows(store: S, steps: Vec<Step>) -> TestCaseResult {
    let (order, _) = open(&store).await;
    // Ids are ascending: payments of other orders come before this id.
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
                    this.goes_back = is_paid.then_some(all);
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
                // Razorpay refunds no more than was captured.
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
                    let was_back = this.sum(EntryStatus::Processed) == all;
                    let status = was.map_or(status, |was| was.max(status));
                    this.refunds.insert(refund, (amount, status));
                    if was_back && this.sum(EntryStatus::Processed) < all {
                        this.goes_back.get_or_insert(all);
                    }
                }
            }
            Step::Owe(payment, parts) => {
                let this = &mut known[payment];
                let found = lines(&store, since).await;
                let Some(line) = found.get(&name(payment)).filter(|_| this.is_captured()) else {
                    continue;
                };
                let ended = RegistrationEnded {
                    registration_id: order.registration_id,
                    user_id: order.user_id,
                    event: facts(&order),
                    was_confirmed: true,
                    paid: None,
                    payment_id: Some(line.payment.id),
                    reason: EndReason::Organizer,
                    refund: Some(Paise(all * parts / 5)),
                    words: None,
                };
                let ended = incoming(Fact::Ended(ended));
                store.consume(vec![ended], now()).await.unwrap();
                // Of several requests the largest counts.
                this.goes_back = this.goes_back.max(Some(all * parts / 5));
            }
        }
        let found = lines(&store, since).await;
        for (payment, known) in known.iter().enumerate() {
            let line = found.get(&name(payment));
            agrees(known, line, all)
                .map_err(|why| TestCaseError::fail(format!("after step {number}, {step:?}: {why}")))?;
        }
    }
    // Each capture that paid the order is published to the events service once.
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

/// The lines after `since`, by Razorpay's ids.
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
        && line.owed == known.goes_back.is_some_and(|owed| processed < owed);
    same.then_some(())
        .ok_or_else(|| format!("expected {expected:?} of {known:?}, found {line:?}"))
}
