//! Refunds of a part, and money that is kept on purpose.

use super::{
    refunds::{entry, note},
    *,
};

/// The registration of this order was cancelled by its organizer; `refund` goes back.
fn ended(order: &Order, payment: Option<PaymentId>, refund: Option<i64>) -> Incoming<Fact> {
    incoming(Fact::Ended(RegistrationEnded {
        registration_id: order.registration_id,
        user_id: order.user_id,
        event: facts(order),
        was_confirmed: true,
        paid: Some(order.amount),
        payment_id: payment,
        reason: EndReason::Organizer,
        refund: refund.map(Paise),
        words: None,
    }))
}

fn refused(order: &Order, payment: PaymentId) -> Incoming<Fact> {
    incoming(Fact::Refused(PaymentRefused {
        payment_id: payment,
        registration_id: order.registration_id,
        event: facts(order),
        reason: RefundReason::Attendee,
    }))
}

async fn consume(store: &S, message: Incoming<Fact>) {
    let receipts = store.consume(vec![message], now()).await.unwrap();
    assert_eq!(receipts[0].status, ReceiptStatus::Accepted, "{receipts:?}");
}

/// The status, what is back, and the refund: its amount and whether that is back.
async fn state(store: &S, order: &Order, payment: PaymentId) -> (Status, i64, Option<(i64, bool)>) {
    let known = store.statement(payment, order.user_id).await.unwrap().unwrap();
    let refund = known.refund.map(|refund| (refund.amount.0, refund.done));
    (known.payment.status, known.refunded.0, refund)
}

/// The duty and whether it is open, as the check of the ledger reads it.
async fn line(store: &S, payment: PaymentId) -> (Option<i64>, bool) {
    let lines = store.ledger(None, 100).await.unwrap();
    let line = lines.into_iter().find(|line| line.payment.id == payment).unwrap();
    (line.duty.map(|duty| duty.0), line.owed)
}

async fn due(store: &S, at: Timestamp) -> Vec<(Refund, Fence)> {
    let until = at + TimeDelta::seconds(20);
    store.due_refunds(at, until, 10).await.unwrap()
}

pub async fn a_part_goes_back_until_it_stays(store: S) {
    let (order, _) = open(&store).await;
    let payment = apply(&store, report(&order, "pay_1", Status::Captured)).await;
    assert_eq!(line(&store, payment.id).await, (None, false));
    consume(&store, ended(&order, Some(payment.id), Some(20_000))).await;
    let (refund, fence) = due(&store, now()).await.remove(0);
    assert_eq!(
        (refund.amount, refund.reason),
        (Paise(20_000), RefundReason::Organizer)
    );
    assert_eq!(line(&store, payment.id).await, (Some(20_000), true));
    let told = |id: &str, amount, status| entry(&refund, id, amount, status);
    note(&store, told("rfnd_1", 20_000, EntryStatus::Pending)).await;
    let open = (Status::Captured, 0, Some((20_000, false)));
    assert_eq!(state(&store, &order, payment.id).await, open);
    note(&store, told("rfnd_1", 20_000, EntryStatus::Processed)).await;
    store.refund_waits(refund.id, fence, soon(), now()).await.unwrap();
    let back = (Status::Captured, 20_000, Some((20_000, true)));
    assert_eq!(state(&store, &order, payment.id).await, back);
    assert_eq!(line(&store, payment.id).await, (Some(20_000), false));
    let far = soon() + TimeDelta::hours(1);
    assert_eq!(due(&store, far).await, [], "the rest is kept");
    // The payer's bank returns it: so much is owed again, and no more.
    note(&store, told("rfnd_1", 20_000, EntryStatus::Failed)).await;
    assert_eq!(state(&store, &order, payment.id).await, open);
    let (again, _) = due(&store, far).await.remove(0);
    assert_eq!((again.id, again.amount), (refund.id, Paise(20_000)));
    let entries = store.entries(payment.id).await.unwrap();
    assert!(matches!(
        next_step(&again, &entries),
        Step::Ask {
            amount: Paise(20_000),
            ..
        }
    ));
    // A refund at the dashboard brings half of it, this service the other half.
    let by_hand = RefundReport {
        refund_id: None,
        ..told("rfnd_2", 10_000, EntryStatus::Processed)
    };
    note(&store, by_hand).await;
    assert_eq!(
        state(&store, &order, payment.id).await,
        (Status::Captured, 10_000, Some((20_000, false)))
    );
    note(&store, told("rfnd_3", 10_000, EntryStatus::Processed)).await;
    assert_eq!(state(&store, &order, payment.id).await, back);
    // The rest at the dashboard, too: all is back, and what had ended does not end again.
    let rest = RefundReport {
        refund_id: None,
        ..told("rfnd_4", 29_999, EntryStatus::Processed)
    };
    note(&store, rest.clone()).await;
    assert_eq!(
        state(&store, &order, payment.id).await,
        (Status::Refunded, 49_999, Some((20_000, true)))
    );
    assert_eq!(super::told(&store, "events").await, [kind::PAYMENT_CAPTURED]);
    // When that fails it is not for this service to make it.
    let failed = RefundReport {
        status: EntryStatus::Failed,
        ..rest
    };
    note(&store, failed).await;
    assert_eq!(state(&store, &order, payment.id).await, back);
    assert_eq!(due(&store, far + TimeDelta::days(1)).await, []);
}

pub async fn what_is_kept_is_owed_to_nobody(store: S) {
    let far = soon() + TimeDelta::hours(1);
    let (order, _) = open(&store).await;
    let payment = apply(&store, report(&order, "pay_1", Status::Captured)).await;
    consume(&store, ended(&order, Some(payment.id), Some(0))).await;
    assert_eq!(due(&store, far).await, []);
    assert_eq!(line(&store, payment.id).await, (Some(0), false));
    assert_eq!(
        state(&store, &order, payment.id).await,
        (Status::Captured, 0, None)
    );
    assert_eq!(store.stuck(far).await.unwrap(), Stuck::default());
    // No more than the payment goes back, and no less than nothing.
    for (name, refund, amount) in [("pay_2", 90_000, 49_999), ("pay_3", -1, 0)] {
        let (order, _) = open(&store).await;
        let payment = apply(&store, report(&order, name, Status::Captured)).await;
        consume(&store, ended(&order, Some(payment.id), Some(refund))).await;
        assert_eq!(line(&store, payment.id).await, (Some(amount), amount > 0));
    }
    // What is back when it is asked for is not owed.
    let (order, _) = open(&store).await;
    let payment = apply(&store, report(&order, "pay_4", Status::Captured)).await;
    let by_hand = RefundReport {
        id: "rfnd_4".to_owned(),
        payment: "pay_4".to_owned(),
        refund_id: None,
        amount: Paise(30_000),
        status: EntryStatus::Processed,
        created_at: None,
    };
    note(&store, by_hand).await;
    consume(&store, ended(&order, Some(payment.id), Some(20_000))).await;
    assert_eq!(
        state(&store, &order, payment.id).await,
        (Status::Captured, 30_000, Some((20_000, true)))
    );
    assert_eq!(line(&store, payment.id).await, (Some(20_000), false));
}

pub async fn of_two_requests_the_larger_counts(store: S) {
    let far = soon() + TimeDelta::hours(1);
    // A capture in flight when the registration is cancelled: the events service refuses it, before or after.
    for (name, refund, refused_first) in [
        ("pay_1", 0, false),
        ("pay_2", 0, true),
        ("pay_3", 20_000, false),
        ("pay_4", 20_000, true),
    ] {
        let (order, _) = open(&store).await;
        let payment = apply(&store, report(&order, name, Status::Captured)).await;
        let part = ended(&order, None, Some(refund));
        let whole = refused(&order, payment.id);
        if refused_first {
            consume(&store, whole).await;
            consume(&store, part).await;
        } else {
            consume(&store, part).await;
            assert_eq!(line(&store, payment.id).await, (Some(refund), refund > 0));
            consume(&store, whole).await;
        }
        let (refund, fence) = due(&store, now()).await.remove(0);
        assert_eq!(
            (refund.amount, refund.reason),
            (order.amount, RefundReason::Attendee),
            "{name}"
        );
        store.refund_done(refund.id, fence, now()).await.unwrap();
    }
    // It is raised while a worker makes the part: that does not close it, and another waits for the end of its lease.
    let (order, _) = open(&store).await;
    let payment = apply(&store, report(&order, "pay_5", Status::Captured)).await;
    consume(&store, ended(&order, Some(payment.id), Some(20_000))).await;
    let (part, fence) = due(&store, now()).await.remove(0);
    consume(&store, refused(&order, payment.id)).await;
    assert_eq!(due(&store, now()).await, [], "it is being worked on");
    note(&store, entry(&part, "rfnd_5", 20_000, EntryStatus::Processed)).await;
    store.refund_done(part.id, fence, now()).await.unwrap();
    let (whole, _) = due(&store, far).await.remove(0);
    assert_eq!((whole.id, whole.amount), (part.id, order.amount));
    let entries = store.entries(payment.id).await.unwrap();
    assert!(matches!(
        next_step(&whole, &entries),
        Step::Ask {
            amount: Paise(29_999),
            ..
        }
    ));
}
