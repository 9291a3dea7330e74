//! The contract suite of the store. An adapter joins with one line: `crate::store_contract!(make, cases: 64);`.
//!
//! A bug found in one adapter becomes a rule here before it is fixed.

#![expect(missing_docs, reason = "the names of the rules say what they ask")]

use std::sync::Arc;

use chrono::TimeDelta;
use common::{
    clock::from_millis,
    ids::{EventId, RegistrationId, new_id},
    money::Paise,
    outbox::ReceiptStatus,
    wire::{EndReason, EventFacts, PaymentCaptured, PaymentRefused, RefundReason, RegistrationEnded, kind},
};

use futures_util::future::BoxFuture;
use test_kit::damage::Damager;

pub mod model;
mod parts;
mod refunds;
mod unreadable;

use self::refunds::refund_state;
pub use self::{parts::*, refunds::*, unreadable::*};

use super::*;
use crate::domain::{
    detail::{Detail, MethodDetail, ReportedBy},
    payment::{Decline, OrderIs, Status},
    refund::{EntryStatus, Step, next_step},
};

/// Lists every rule once.
#[macro_export]
macro_rules! store_contract {
    ($make:path, cases: $cases:expr) => {
        $crate::store_contract!(@rules $make:
            one_order_per_registration, an_order_is_worked_on_by_one, any_order_of_reports_ends_the_same,
            the_first_capture_pays_and_a_second_goes_back, a_webhook_counts_once, keys_are_claimed_kept_and_given_back,
            a_clock_put_back_takes_nothing_away, what_goes_back_leaves_no_answer, money_in_limbo_is_counted,
            the_way_of_a_payment_is_kept, payments_are_found_by_what_they_are, what_is_let_go_is_told_once_and_followed, razorpays_order_decides_over_another_amount, a_webhook_is_parked_once_until_it_is_understood,
            refunds_are_asked_for_once, a_refund_is_followed_under_a_fence, refunds_of_others_are_recorded, followed_refunds_hide_no_others,
            a_part_goes_back_until_it_stays, what_is_kept_is_owed_to_nobody, of_two_requests_the_larger_counts, statements_page_and_are_private,
        );
        $crate::store_contract!(@model $make, $cases);
        $crate::store_contract!(@damage $make:
            an_unreadable_order_is_set_aside_for_a_day,
            an_unreadable_refund_is_set_aside_for_a_day,
            a_refund_without_its_payment_is_set_aside,
            statements_leave_out_what_they_cannot_read,
            messages_are_consumed_beside_an_unreadable_row,
        );
    };
    (@rules $make:path: $($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let fresh: $crate::store::contract::Fresh = $make().await;
            $crate::store::contract::$rule(fresh.store.clone()).await;
            (fresh.finish)().await;
        }
    )+};
    (@model $make:path, $cases:expr) => {
        #[test]
        fn any_order_of_events_keeps_the_books_of_a_small_model() {
            use proptest::test_runner::{Config, TestRunner};
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let fresh: $crate::store::contract::Fresh = runtime.block_on($make());
            let config = Config { failure_persistence: None, ..Config::with_cases($cases) };
            let followed = TestRunner::new(config).run(&$crate::store::contract::model::steps(), |steps| {
                runtime.block_on($crate::store::contract::model::follows(fresh.store.clone(), steps))
            });
            followed.unwrap();
            runtime.block_on((fresh.finish)());
        }
    };
    // Damaged data is read with queries that no index is planned for, so query plans are not checked.
    (@damage $make:path: $($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let fresh: $crate::store::contract::Fresh = $make().await;
            $crate::store::contract::$rule(fresh).await;
        }
    )+};
}

type S = Arc<dyn Store>;

/// A new, empty store.
pub struct Fresh {
    pub store: S,
    /// Damages rows.
    pub damager: Damager,
    /// The adapter's own checks after a rule's run; keeps alive what the store needs.
    pub finish: Box<dyn FnOnce() -> BoxFuture<'static, ()>>,
}

fn now() -> Timestamp {
    from_millis(1_800_000_000_123)
}

fn soon() -> Timestamp {
    now() + TimeDelta::seconds(20)
}

fn order() -> Order {
    Order {
        id: OrderId::new(),
        registration_id: RegistrationId::new(),
        event_id: EventId::new(),
        event_name: "Rust evening".to_owned(),
        user_id: UserId::new(),
        amount: Paise(49_999),
        razorpay_id: None,
        paid_by: None,
        created_at: now(),
    }
}

/// An order that exists at Razorpay.
async fn open(store: &S) -> (Order, Fence) {
    let Opened::Ready {
        mut order,
        fence,
        fresh,
    } = store.open_order(order(), now(), soon()).await.unwrap()
    else {
        panic!("not ready");
    };
    assert!(fresh);
    let id = format!("order_{}", order.id.0.simple());
    store.set_razorpay_order(order.id, id.clone()).await.unwrap();
    order.razorpay_id = Some(id);
    (order, fence)
}

fn report(order: &Order, payment: &str, status: Status) -> Report {
    let decline = Decline {
        reason: "insufficient_funds".to_owned(),
        description: "No money.".to_owned(),
    };
    Report {
        order: order.razorpay_id.clone().unwrap(),
        payment: payment.to_owned(),
        status,
        method: "upi".to_owned(),
        amount: order.amount,
        decline: (status == Status::Failed).then_some(decline),
        order_is: None,
        detail: Detail::default(),
        source: ReportedBy::Answer,
    }
}

fn answer(statement: &Statement) -> Answer {
    Answer {
        status: 200,
        body: statement.payment.razorpay_id.clone().into_bytes(),
    }
}

async fn apply(store: &S, report: Report) -> Payment {
    match store.apply(report, now(), (None, answer)).await.unwrap() {
        Applied::Known { payment, .. } => *payment,
        other => panic!("{other:?}"),
    }
}

async fn told(store: &S, destination: &str) -> Vec<String> {
    store
        .outbox()
        .due(destination, now(), 100)
        .await
        .unwrap()
        .into_iter()
        .map(|waiting| waiting.event.kind)
        .collect()
}

fn key(caller: UserId, body: &str) -> Key {
    Key {
        caller,
        route: "POST /x".to_owned(),
        key: "k".to_owned(),
        fingerprint: Key::fingerprint(body.as_bytes()),
    }
}

pub async fn one_order_per_registration(store: S) {
    let (first, fence) = open(&store).await;
    store.close_order(first.id, fence, None).await.unwrap();
    let again = Order {
        id: OrderId::new(),
        ..first.clone()
    };
    match store.open_order(again, now(), soon()).await.unwrap() {
        Opened::Ready { order, fresh, .. } => assert_eq!((order, fresh), (first.clone(), false)),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        store
            .order_by_razorpay_id(first.razorpay_id.clone().unwrap())
            .await
            .unwrap(),
        Some(first)
    );
    assert_eq!(
        store.order_by_razorpay_id("order_x".to_owned()).await.unwrap(),
        None
    );
}

pub async fn an_order_is_worked_on_by_one(store: S) {
    let wanted = order();
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let (store, wanted) = (
                store.clone(),
                Order {
                    id: OrderId::new(),
                    ..wanted.clone()
                },
            );
            tokio::spawn(async move { store.open_order(wanted, now(), soon()).await.unwrap() })
        })
        .collect();
    let mut ready = Vec::new();
    for tried in tries {
        match tried.await.unwrap() {
            Opened::Ready { order, fence, .. } => ready.push((order, fence)),
            Opened::Busy => {}
            Opened::Paid(_) => panic!("paid"),
        }
    }
    let [(order, fence)] = ready.as_slice() else {
        panic!("{ready:?}")
    };
    assert_eq!(
        store.due_orders(now(), soon(), 10).await.unwrap(),
        [],
        "it is being worked on"
    );
    // The worker has died: the reconciler takes over, once, and the dead worker's close has no effect.
    let later = soon() + TimeDelta::seconds(20);
    let due = store.due_orders(soon(), later, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert!(due[0].1 > *fence);
    assert_eq!(store.due_orders(soon(), later, 10).await.unwrap(), []);
    store.close_order(order.id, *fence, None).await.unwrap();
    assert_eq!(
        store
            .due_orders(later, later + TimeDelta::seconds(20), 10)
            .await
            .unwrap()
            .len(),
        1
    );
}

pub async fn any_order_of_reports_ends_the_same(store: S) {
    use Status::{Authorized, Captured, Created, Failed};
    let orders: [&[Status]; 5] = [
        &[Created, Authorized, Captured],
        &[Captured, Authorized, Created],
        &[Failed, Captured, Failed, Authorized],
        &[Authorized, Authorized, Captured, Captured],
        &[Created, Failed, Authorized, Captured],
    ];
    for (index, statuses) in orders.into_iter().enumerate() {
        let (order, _) = open(&store).await;
        let id = format!("pay_{index}");
        let mut payment = None;
        for status in statuses {
            payment = Some(apply(&store, report(&order, &id, *status)).await);
        }
        let payment = payment.unwrap();
        assert_eq!(
            (payment.status, payment.decline, payment.captured_at),
            (Captured, None, Some(now()))
        );
    }
    assert_eq!(
        told(&store, "events").await.len(),
        orders.len(),
        "each capture is told once"
    );
    let (order, _) = open(&store).await;
    let failed = apply(&store, report(&order, "pay_f", Failed)).await;
    assert_eq!(failed.decline.unwrap().reason, "insufficient_funds");
    let unknown = Report {
        order: "order_of_another".to_owned(),
        ..report(&order, "pay_u", Captured)
    };
    assert_eq!(
        store.apply(unknown, now(), (None, answer)).await.unwrap(),
        Applied::Unknown
    );
}

pub async fn the_first_capture_pays_and_a_second_goes_back(store: S) {
    let (order, _) = open(&store).await;
    let first = apply(&store, report(&order, "pay_1", Status::Captured)).await;
    apply(&store, report(&order, "pay_2", Status::Captured)).await;
    assert_eq!(told(&store, "events").await, [kind::PAYMENT_CAPTURED]);
    let refunds = store.due_refunds(now(), soon(), 10).await.unwrap();
    assert_eq!(refunds.len(), 1);
    assert_eq!(
        (refunds[0].0.razorpay_payment_id.as_str(), refunds[0].0.reason),
        ("pay_2", RefundReason::Duplicate)
    );
    let opened = store
        .open_order(order, soon(), soon() + TimeDelta::seconds(20))
        .await
        .unwrap();
    assert_eq!(opened, Opened::Paid(first.id));
}

pub async fn a_clock_put_back_takes_nothing_away(store: S) {
    let hour = TimeDelta::hours(1);
    let back = || now() - hour;
    let (order, _) = open(&store).await;
    let again = async |at: Timestamp| {
        let wanted = Order {
            id: OrderId::new(),
            ..order.clone()
        };
        let opened = store.open_order(wanted, at, at + TimeDelta::seconds(20)).await;
        matches!(opened.unwrap(), Opened::Ready { .. })
    };
    assert!(
        !again(now() - TimeDelta::seconds(5)).await,
        "clocks of two machines"
    );
    assert!(again(back()).await, "its worker has had his time");
    assert!(!again(back()).await);
    let (taken, _) = open(&store).await;
    let due = store
        .due_orders(back(), back() + TimeDelta::seconds(20), 10)
        .await
        .unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].0.id, taken.id);
    assert_eq!(
        store
            .due_orders(back(), back() + TimeDelta::seconds(20), 10)
            .await
            .unwrap(),
        []
    );

    apply(&store, report(&order, "pay_1", Status::Captured)).await;
    apply(&store, report(&order, "pay_2", Status::Captured)).await;
    let untried = store
        .due_refunds(back() - hour, back() - hour + TimeDelta::seconds(20), 10)
        .await;
    assert_eq!(
        untried.unwrap().len(),
        1,
        "nobody had it when the clock was put back"
    );
    assert_eq!(store.due_refunds(now(), soon(), 10).await.unwrap().len(), 1);
    let due = async || {
        store
            .due_refunds(back(), back() + TimeDelta::seconds(20), 10)
            .await
            .unwrap()
    };
    assert_eq!(due().await.len(), 1);
    assert_eq!(due().await.len(), 0);

    let caller = UserId::new();
    let claim = async |at: Timestamp| {
        store
            .claim_key(key(caller, "{}"), at, at + TimeDelta::seconds(20))
            .await
            .unwrap()
    };
    assert_eq!(claim(now()).await, None);
    assert_eq!(claim(now()).await, Some(Refusal::InFlight));
    assert_eq!(claim(back()).await, None);
}

pub async fn what_goes_back_leaves_no_answer(store: S) {
    let (order, _) = open(&store).await;
    apply(&store, report(&order, "pay_1", Status::Captured)).await;
    let key = key(order.user_id, "{}");
    assert_eq!(store.claim_key(key.clone(), now(), soon()).await.unwrap(), None);
    store
        .apply(
            report(&order, "pay_2", Status::Captured),
            now(),
            (Some(key.clone()), answer),
        )
        .await
        .unwrap();
    store.release_key(key.clone()).await.unwrap();
    assert_eq!(
        store.claim_key(key, now(), soon()).await.unwrap(),
        None,
        "409 was answered, so nothing is replayed"
    );
}

pub async fn money_in_limbo_is_counted(store: S) {
    let (order, fence) = open(&store).await;
    for _ in 0..5 {
        store.close_order(order.id, fence, Some(now())).await.unwrap();
        store.due_orders(now(), soon(), 10).await.unwrap();
    }
    apply(&store, report(&order, "pay_1", Status::Failed)).await;
    assert_eq!(
        store.stuck(now()).await.unwrap(),
        Stuck::default(),
        "an abandoned checkout is no money"
    );
    apply(&store, report(&order, "pay_2", Status::Authorized)).await;
    assert_eq!(
        store.stuck(now() - TimeDelta::seconds(1)).await.unwrap(),
        Stuck::default(),
        "not yet"
    );
    let one = Stuck {
        payments: 1,
        ..Stuck::default()
    };
    assert_eq!(store.stuck(now()).await.unwrap(), one);
    apply(&store, report(&order, "pay_2", Status::Captured)).await;
    assert_eq!(store.stuck(now()).await.unwrap(), Stuck::default());
}

pub async fn what_is_let_go_is_told_once_and_followed(store: S) {
    let (order, _) = open(&store).await;
    let hour = TimeDelta::hours(1);
    let let_go = async |id, reason| store.let_go(id, reason, now()).await.unwrap();
    assert_eq!(let_go(PaymentId::new(), RefundReason::NoSeat).await, None);
    let created = apply(&store, report(&order, "pay_1", Status::Created)).await;
    assert_eq!(
        let_go(created.id, RefundReason::NoSeat).await,
        Some(created.clone()),
        "no money waits"
    );
    apply(&store, report(&order, "pay_1", Status::Authorized)).await;
    let released = let_go(created.id, RefundReason::NoSeat).await.unwrap();
    assert_eq!(
        (released.status, released.let_go_because(), released.released_at),
        (Status::Released, Some(RefundReason::NoSeat), None)
    );
    assert_eq!(
        let_go(created.id, RefundReason::Attendee).await,
        Some(released.clone()),
        "the first reason stays"
    );
    assert_eq!(told(&store, "notifications").await, [kind::PAYMENT_FAILED]);
    assert_eq!(
        apply(&store, report(&order, "pay_1", Status::Authorized)).await,
        released,
        "a late report changes nothing"
    );
    // Followed once an hour, until Razorpay reports the release or must have made it.
    assert_eq!(store.due_releases(now(), 10).await.unwrap(), []);
    let due = store.due_releases(now() + hour, 10).await.unwrap();
    assert_eq!(due, std::slice::from_ref(&released));
    assert_eq!(store.due_releases(now() + hour, 10).await.unwrap(), []);
    let free = apply(&store, report(&order, "pay_1", Status::Released)).await;
    assert_eq!(
        (free.let_go_because(), free.released_at),
        (Some(RefundReason::NoSeat), Some(now()))
    );
    assert_eq!(store.due_releases(now() + hour * 9, 10).await.unwrap(), []);
    assert_eq!(told(&store, "notifications").await, [kind::PAYMENT_FAILED]);
    // A release that is never reported.
    let silent = apply(&store, report(&order, "pay_2", Status::Authorized)).await;
    let_go(silent.id, RefundReason::Duplicate).await;
    assert_eq!(store.due_releases(now() + hour * 150, 10).await.unwrap().len(), 1);
    assert_eq!(store.due_releases(now() + hour * 999, 10).await.unwrap(), []);
    // It was captured at Razorpay all the same: it pays the order.
    let taken = apply(&store, report(&order, "pay_2", Status::Captured)).await;
    assert_eq!((taken.status, taken.decline), (Status::Captured, None));
    assert_eq!(told(&store, "events").await, [kind::PAYMENT_CAPTURED]);
    // A payer who has paid is not notified of a released payment.
    let third = apply(&store, report(&order, "pay_3", Status::Authorized)).await;
    let_go(third.id, RefundReason::Duplicate).await;
    assert_eq!(told(&store, "notifications").await, [kind::PAYMENT_FAILED; 2]);
}

pub async fn razorpays_order_decides_over_another_amount(store: S) {
    let paid = |order: &Order, payment: &str, paise| Report {
        amount: Paise(paise),
        ..report(order, payment, Status::Captured)
    };
    let looked = |report: Report, due, others| Report {
        order_is: Some(OrderIs {
            due: Paise(due),
            others,
        }),
        ..report
    };
    for paise in [45_000, 51_180] {
        let (order, _) = open(&store).await;
        let id = format!("pay_{paise}");
        apply(&store, report(&order, &id, Status::Authorized)).await;
        let report = paid(&order, &id, paise);
        let asks = store.apply(report.clone(), now(), (None, answer)).await.unwrap();
        assert_eq!(asks, Applied::Ask);
        let payment = apply(&store, looked(report.clone(), 0, false)).await;
        assert_eq!((payment.status, payment.amount), (Status::Captured, Paise(paise)));
        assert_eq!(
            apply(&store, report).await,
            payment,
            "what is known is not asked for again"
        );
        let known = store.statement(payment.id, order.user_id).await.unwrap().unwrap();
        assert_eq!((known.order.paid_by, known.refund), (Some(payment.id), None));
    }
    let far = now() + TimeDelta::days(300);
    let told: Vec<PaymentCaptured> = (store.outbox().due("events", far, 10).await.unwrap().iter())
        .map(|told| told.event.data().unwrap())
        .collect();
    assert_eq!(
        told.iter()
            .map(|told| (told.amount.0, told.settled()))
            .collect::<Vec<_>>(),
        [(45_000, Paise(49_999)), (51_180, Paise(49_999))]
    );
    // A payment of less than the amount due is refunded, and the order stays open for another one.
    let (order, _) = open(&store).await;
    apply(&store, report(&order, "pay_less", Status::Authorized)).await;
    let less = looked(paid(&order, "pay_less", 100), 49_899, false);
    let less = apply(&store, less).await;
    let known = store.statement(less.id, order.user_id).await.unwrap().unwrap();
    assert_eq!(known.order.paid_by, None);
    assert_eq!(
        refund_state(&store, &order, less.id).await,
        Some((RefundReason::WrongAmount, false, None))
    );
    let due = store.due_refunds(now(), soon(), 10).await.unwrap();
    assert_eq!(due[0].0.amount, Paise(100), "what was captured goes back");
    let rest = looked(paid(&order, "pay_rest", 49_899), 0, true);
    let rest = apply(&store, rest).await;
    let whole_by_two = refund_state(&store, &order, rest.id).await;
    assert_eq!(
        whole_by_two,
        Some((RefundReason::WrongAmount, false, None)),
        "not by this one alone"
    );
    let whole = apply(&store, report(&order, "pay_whole", Status::Captured)).await;
    let known = store.statement(whole.id, order.user_id).await.unwrap().unwrap();
    assert_eq!((known.order.paid_by, known.refund), (Some(whole.id), None));
    // A webhook does not fetch the order from Razorpay; it has the reconciler look at it.
    let (order, fence) = open(&store).await;
    store.close_order(order.id, fence, None).await.unwrap();
    let odd = Some(paid(&order, "pay_odd", 100));
    assert!(
        store
            .take_webhook("evt_odd".to_owned(), odd, None, now())
            .await
            .unwrap()
    );
    // Not before the present lease of the order ends, and even if the order was paid meanwhile.
    let again = Order {
        id: OrderId::new(),
        ..order.clone()
    };
    let Opened::Ready { fence, .. } = store.open_order(again, now(), soon()).await.unwrap() else {
        panic!("not ready");
    };
    let look = async || {
        let mut due = store.due_orders(now(), soon(), 10).await.unwrap();
        assert!(due.len() <= 1, "{due:?}");
        due.pop().map(|(due, fence)| {
            assert_eq!(due.id, order.id);
            fence
        })
    };
    assert_eq!(look().await, None);
    apply(&store, report(&order, "pay_beside", Status::Captured)).await;
    store.close_order(order.id, fence, None).await.unwrap();
    let fence = look().await.unwrap();
    store.close_order(order.id, fence, Some(now())).await.unwrap();
    let fence = look().await.expect("Razorpay could not be asked");
    let odd = apply(&store, paid(&order, "pay_odd", 100)).await;
    let owed = refund_state(&store, &order, odd.id).await;
    assert_eq!(owed, Some((RefundReason::Duplicate, false, None)));
    store.close_order(order.id, fence, None).await.unwrap();
    assert_eq!(look().await, None);
    // Nothing is stored of a payment for which the order has to be fetched first.
    let (order, fence) = open(&store).await;
    store.close_order(order.id, fence, None).await.unwrap();
    let odd = Some(paid(&order, "pay_odder", 100));
    store
        .take_webhook("evt_odder".to_owned(), odd, None, now())
        .await
        .unwrap();
    assert_eq!(
        store
            .statements(
                PaymentsOf::Payer(order.user_id),
                PaymentFilter::default(),
                Page {
                    limit: 10,
                    after: None
                }
            )
            .await
            .unwrap()
            .0,
        []
    );
}

pub async fn the_way_of_a_payment_is_kept(store: S) {
    let (order, _) = open(&store).await;
    let told = |status, source, fee: Option<i64>, bank: Option<&str>| Report {
        source,
        detail: Detail {
            fee: fee.map(Paise),
            tax: None,
            method: MethodDetail {
                bank: bank.map(str::to_owned),
                ..MethodDetail::default()
            },
            timeline: Vec::new(),
        },
        ..report(&order, "pay_1", status)
    };
    for report in [
        told(Status::Created, ReportedBy::Answer, None, Some("HDFC")),
        told(Status::Authorized, ReportedBy::Webhook, None, None),
        told(Status::Created, ReportedBy::Reconciler, None, None), // a late report
        told(Status::Captured, ReportedBy::Checkout, Some(1180), None),
        told(Status::Captured, ReportedBy::Webhook, None, None), // a repeated report
    ] {
        apply(&store, report).await;
    }
    let id = store.ledger(None, 1).await.unwrap()[0].payment.id;
    let detail = store
        .statement(id, order.user_id)
        .await
        .unwrap()
        .unwrap()
        .payment
        .detail;
    assert_eq!(detail.fee, Some(Paise(1180)));
    assert_eq!(detail.method.bank.as_deref(), Some("HDFC"));
    let way: Vec<_> = detail
        .timeline
        .iter()
        .map(|step| (step.status.as_str(), step.source))
        .collect();
    assert_eq!(
        way,
        [
            ("created", ReportedBy::Answer),
            ("authorized", ReportedBy::Webhook),
            ("captured", ReportedBy::Checkout)
        ]
    );
}

pub async fn payments_are_found_by_what_they_are(store: S) {
    let (order, _) = open(&store).await;
    let (other, _) = open(&store).await;
    apply(&store, report(&order, "pay_1", Status::Failed)).await;
    apply(&store, report(&order, "pay_2", Status::Captured)).await;
    apply(&store, report(&other, "pay_3", Status::Captured)).await;
    let found = async |whose, which| {
        let page = Page {
            limit: 10,
            after: None,
        };
        let (found, _) = store.statements(whose, which, page).await.unwrap();
        let ids = found.into_iter().map(|found| found.payment.razorpay_id);
        ids.collect::<Vec<_>>()
    };
    let all = PaymentFilter::default();
    let theirs = PaymentsOf::Payer(order.user_id);
    assert_eq!(
        found(PaymentsOf::Event(order.event_id), all).await,
        ["pay_2", "pay_1"]
    );
    assert_eq!(
        found(PaymentsOf::Event(EventId::new()), all).await,
        Vec::<String>::new()
    );
    let later = now() + TimeDelta::milliseconds(1);
    for (which, expected) in [
        (all, vec!["pay_2", "pay_1"]),
        (
            PaymentFilter {
                status: Some(Status::Failed),
                ..all
            },
            vec!["pay_1"],
        ),
        (
            PaymentFilter {
                event: Some(order.event_id),
                ..all
            },
            vec!["pay_2", "pay_1"],
        ),
        (
            PaymentFilter {
                event: Some(other.event_id),
                ..all
            },
            vec![],
        ),
        (
            PaymentFilter {
                from: Some(now()),
                to: Some(later),
                ..all
            },
            vec!["pay_2", "pay_1"],
        ),
        (
            PaymentFilter {
                from: Some(later),
                ..all
            },
            vec![],
        ),
        (
            PaymentFilter {
                to: Some(now()),
                ..all
            },
            vec![],
        ),
    ] {
        assert_eq!(found(theirs, which).await, expected, "{which:?}");
    }
}

pub async fn a_webhook_counts_once(store: S) {
    let (order, fence) = open(&store).await;
    store.close_order(order.id, fence, Some(soon())).await.unwrap();
    let authorized = || Some(report(&order, "pay_1", Status::Authorized));
    assert!(
        store
            .take_webhook("evt_1".to_owned(), authorized(), None, now())
            .await
            .unwrap()
    );
    assert!(
        !store
            .take_webhook("evt_1".to_owned(), authorized(), None, now())
            .await
            .unwrap()
    );
    assert_eq!(
        store.due_orders(now(), soon(), 10).await.unwrap().len(),
        1,
        "money waits to be captured"
    );
    let captured = || Some(report(&order, "pay_1", Status::Captured));
    for event in ["evt_2", "evt_2", "evt_3"] {
        store
            .take_webhook(event.to_owned(), captured(), None, now())
            .await
            .unwrap();
    }
    assert_eq!(told(&store, "events").await, [kind::PAYMENT_CAPTURED]);
    assert!(
        store
            .take_webhook(
                "evt_4".to_owned(),
                None,
                Some(RefundNews::Id("rfnd_unknown".to_owned())),
                now()
            )
            .await
            .unwrap()
    );
}

pub async fn a_webhook_is_parked_once_until_it_is_understood(store: S) {
    let parked = Parked {
        id: "evt_1".to_owned(),
        event: "payment.captured".to_owned(),
        body: vec![0xff, b'{', 0],
        why: "not JSON".to_owned(),
        received_at: now(),
    };
    let later = Parked {
        id: "evt_2".to_owned(),
        received_at: soon(),
        ..parked.clone()
    };
    for one in [&later, &parked, &parked] {
        store.park_webhook(one.clone()).await.unwrap();
    }
    assert_eq!(
        store.parked_webhooks().await.unwrap(),
        [parked.clone(), later.clone()]
    );
    assert_eq!(store.stuck(now()).await.unwrap().webhooks, 2);
    assert!(store.take_webhook(parked.id, None, None, soon()).await.unwrap());
    assert_eq!(store.parked_webhooks().await.unwrap(), [later]);
    store.tidy(soon() + TimeDelta::days(90)).await.unwrap();
    assert!(store.parked_webhooks().await.unwrap().is_empty());
}

pub async fn keys_are_claimed_kept_and_given_back(store: S) {
    let (order, _) = open(&store).await;
    let key = |body| key(order.user_id, body);
    assert_eq!(store.claim_key(key("{}"), now(), soon()).await.unwrap(), None);
    assert_eq!(
        store.claim_key(key("{}"), now(), soon()).await.unwrap(),
        Some(Refusal::InFlight)
    );
    assert_eq!(
        store.claim_key(key("{\"a\":1}"), now(), soon()).await.unwrap(),
        Some(Refusal::OtherBody)
    );
    store.release_key(key("{}")).await.unwrap();
    assert_eq!(store.claim_key(key("{}"), now(), soon()).await.unwrap(), None);
    // The claim of a process that died can be taken again once it has expired.
    assert_eq!(
        store
            .claim_key(key("{}"), soon(), soon() + TimeDelta::seconds(20))
            .await
            .unwrap(),
        None
    );
    let captured = report(&order, "pay_1", Status::Captured);
    store
        .apply(captured, now(), (Some(key("{}")), answer))
        .await
        .unwrap();
    let kept = Refusal::Replay(Answer {
        status: 200,
        body: b"pay_1".to_vec(),
    });
    assert_eq!(
        store.claim_key(key("{}"), soon(), soon()).await.unwrap(),
        Some(kept),
        "in the commit of the capture"
    );
    store.release_key(key("{}")).await.unwrap();
    assert!(
        store
            .claim_key(key("{}"), soon(), soon())
            .await
            .unwrap()
            .is_some(),
        "an answer is never given back"
    );
}

fn facts(order: &Order) -> EventFacts {
    EventFacts {
        event_id: order.event_id,
        name: order.event_name.clone(),
        address: "Hall".to_owned(),
        starts_at: now(),
        zone: chrono_tz::Tz::UTC,
        version: 1,
        schedule_version: 1,
        cancelled: false,
        format: common::wire::EventFormat::InPerson,
        ends_at: None,
        join_url: None,
        reminders: common::leads::Leads::default(),
        organizer: None,
    }
}

/// A message as the route's extractor gives it.
fn incoming(fact: Fact) -> Incoming<Fact> {
    Incoming {
        id: new_id(),
        request_id: None,
        fact,
    }
}

pub async fn statements_page_and_are_private(store: S) {
    let (order, _) = open(&store).await;
    let mut ids = Vec::new();
    for index in 0..5 {
        ids.push(
            apply(&store, report(&order, &format!("pay_{index}"), Status::Failed))
                .await
                .id,
        );
    }
    ids.reverse();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = store
            .statements(
                PaymentsOf::Payer(order.user_id),
                PaymentFilter::default(),
                Page { limit: 2, after },
            )
            .await
            .unwrap();
        seen.extend(page.iter().map(|statement| statement.payment.id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    assert_eq!(store.statement(ids[0], UserId::new()).await.unwrap(), None);
    assert_eq!(
        store
            .statements(
                PaymentsOf::Payer(UserId::new()),
                PaymentFilter::default(),
                Page {
                    limit: 2,
                    after: None
                }
            )
            .await
            .unwrap()
            .0,
        []
    );
}
