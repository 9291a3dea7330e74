//! Properties of refunds, of all the money and of a part.

use std::collections::HashSet;

use common::clock::from_millis;
use proptest::prelude::*;

use super::*;

const CAPTURED: i64 = 500;

fn entry(number: usize, ours: Option<RefundId>, amount: i64, status: EntryStatus) -> Entry {
    Entry {
        id: format!("rfnd_{number}"),
        payment_id: PaymentId::lenient(""),
        refund_id: ours,
        amount: Paise(amount),
        status,
        created_at: from_millis(0),
        processed_at: None,
        failed_at: None,
    }
}

/// What happens to a payment that is owed.
#[derive(Clone, Debug)]
enum Event {
    /// The worker takes the next step.
    Work,
    /// Razorpay moves one of the refunds on.
    Move(usize, EntryStatus),
    /// Somebody refunds so much at the dashboard.
    Dashboard(i64),
    /// More is owed.
    Owe(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let statuses = prop::sample::select(vec![EntryStatus::Processed, EntryStatus::Failed]);
    let event = prop_oneof![
        4 => Just(Event::Work),
        3 => (0..8_usize, statuses).prop_map(|(number, status)| Event::Move(number, status)),
        1 => prop::sample::select(vec![50_i64, 100, 250]).prop_map(Event::Dashboard),
        1 => prop::sample::select(vec![100_i64, 200, 250, 500, 900]).prop_map(Event::Owe),
    ];
    prop::collection::vec(event, 0..30)
}

proptest! {
    #[test]
    fn of_several_requests_the_largest_counts(
        parts in prop::collection::vec(prop::option::of(-100_i64..900), 1..6), back in 0..=CAPTURED,
    ) {
        let mut duty = None;
        for part in &parts {
            let amount = owed(Paise(CAPTURED), part.map(Paise));
            match on_request(duty, amount, Paise(back)) {
                OnRequest::Same => prop_assert!(duty >= Some(amount)),
                OnRequest::New { done } | OnRequest::Raised { done } => {
                    prop_assert!(duty < Some(amount));
                    prop_assert_eq!(done, back >= amount.0);
                    duty = Some(amount);
                }
            }
        }
        let largest = parts.iter().map(|part| part.unwrap_or(CAPTURED).clamp(0, CAPTURED)).max();
        prop_assert_eq!(duty, largest.map(Paise));
    }

    /// Whatever fails, is raised or is refunded by others, exactly what is left is asked for, each time under a new
    /// key, and in the end so much is back.
    #[test]
    fn what_is_owed_is_asked_for_once_and_gets_back(
        first in prop::sample::select(vec![0_i64, 100, 200, 250, 500]), events in events(),
    ) {
        let mut refund = Refund {
            id: RefundId::new(),
            payment_id: PaymentId::new(),
            razorpay_payment_id: "pay_1".to_owned(),
            amount: Paise(first),
            reason: RefundReason::Organizer,
            attempts: 0,
        };
        let (mut entries, mut keys): (Vec<Entry>, HashSet<String>) = (Vec::new(), HashSet::new());
        // In the end nothing fails any more.
        let rest = (0..8).flat_map(|number| [Event::Move(number, EntryStatus::Processed), Event::Work]);
        let last = (0..40).map(|number| Event::Move(number, EntryStatus::Processed));
        for event in events.into_iter().chain(rest).chain([Event::Work]).chain(last) {
            let gone = Balance::of(Paise(CAPTURED), &entries).gone().0;
            let number = entries.len();
            match event {
                Event::Work => {
                    if let Step::Ask { amount, key } = next_step(&refund, &entries) {
                        prop_assert!(amount > Paise::ZERO);
                        prop_assert_eq!(gone + amount.0, refund.amount.0);
                        prop_assert!(keys.insert(key.clone()), "Razorpay would repeat what it did under {}", key);
                        entries.push(entry(number, Some(refund.id), amount.0, EntryStatus::Pending));
                    }
                }
                Event::Move(number, status) => {
                    if let Some(entry) = entries.get_mut(number) {
                        entry.status = entry.status.max(status);
                    }
                }
                // Razorpay refunds no more than was captured.
                Event::Dashboard(amount) if gone + amount <= CAPTURED => {
                    entries.push(entry(number, None, amount, EntryStatus::Pending));
                }
                Event::Dashboard(_) => {}
                Event::Owe(part) => {
                    let more = owed(Paise(CAPTURED), Some(Paise(part)));
                    refund.amount = refund.amount.max(more);
                }
            }
        }
        prop_assert_eq!(next_step(&refund, &entries), Step::Done);
        let balance = Balance::of(refund.amount, &entries);
        prop_assert!(balance.is_back() && balance.gone().0 <= CAPTURED, "{:?}", balance);
    }

    #[test]
    fn an_entry_has_its_effects_on_payment_and_duty(
        owed in prop::option::of(0..=CAPTURED), paid_back in 0..=CAPTURED, amount in 1..=CAPTURED,
        was in prop::sample::select(vec![None, Some(EntryStatus::Pending), Some(EntryStatus::Processed)]),
        status in prop::sample::select(vec![EntryStatus::Pending, EntryStatus::Processed, EntryStatus::Failed]),
        was_back: bool, pays: bool,
    ) {
        let changed = entry(0, None, amount, status);
        let entries = [changed.clone(), entry(1, None, paid_back, EntryStatus::Processed)];
        let balance = Balance::of(Paise(CAPTURED), &entries);
        let before = if was_back { Status::Refunded } else { Status::Captured };
        let follows = on_entry(before, owed.map(Paise), pays, was, &changed, &balance);
        let all_back = balance.processed.0 >= CAPTURED;
        prop_assert_eq!(follows.status == Status::Refunded, all_back);
        prop_assert!(!follows.reverse || (all_back && owed.is_none() && pays));
        let enough = balance.processed.0 >= owed.unwrap_or(CAPTURED);
        prop_assert_eq!(follows.duty == Duty::Fulfilled, enough);
        let comes_back = status == EntryStatus::Failed && !enough && (owed.is_some() || was_back);
        prop_assert_eq!(follows.duty == Duty::Open, comes_back);
    }
}
