//! The refunds that are owed, and the ledger of those that were made.

use super::*;

pub async fn refunds_are_asked_for_once(store: S) {
    let (order, _) = open(&store).await;
    let ended = |was_confirmed| RegistrationEnded {
        registration_id: order.registration_id,
        user_id: order.user_id,
        event: facts(&order),
        was_confirmed,
        paid: None,
        payment_id: None,
        reason: EndReason::Attendee,
        refund: None,
        words: None,
    };
    let ended_message = |was| incoming(Fact::Ended(ended(was)));
    store.consume(vec![ended_message(false)], now()).await.unwrap();
    assert_eq!(
        store.due_refunds(now(), soon(), 10).await.unwrap(),
        [],
        "nothing was paid"
    );
    let payment = apply(&store, report(&order, "pay_1", Status::Captured)).await;
    let refused = PaymentRefused {
        payment_id: payment.id,
        registration_id: order.registration_id,
        event: facts(&order),
        reason: RefundReason::NoSeat,
    };
    let refused = incoming(Fact::Refused(refused));
    let receipts = store
        .consume(vec![refused, ended_message(true)], now())
        .await
        .unwrap();
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.status == ReceiptStatus::Accepted),
        "{receipts:?}"
    );
    let refunds = store.due_refunds(now(), soon(), 10).await.unwrap();
    assert_eq!(refunds.len(), 1);
    assert_eq!(
        (refunds[0].0.amount, refunds[0].0.reason),
        (order.amount, RefundReason::NoSeat)
    );
}

pub async fn a_refund_is_followed_under_a_fence(store: S) {
    let (order, _) = open(&store).await;
    apply(&store, report(&order, "pay_1", Status::Captured)).await;
    let second = apply(&store, report(&order, "pay_2", Status::Captured)).await;
    let (refund, old) = store.due_refunds(now(), soon(), 10).await.unwrap().remove(0);
    assert_eq!(
        store.due_refunds(now(), soon(), 10).await.unwrap(),
        [],
        "taken once"
    );
    let later = soon() + TimeDelta::seconds(20);
    let (_, fence) = store.due_refunds(soon(), later, 10).await.unwrap().remove(0);
    store.refund_done(refund.id, old, now()).await.unwrap();
    assert_eq!(
        refund_state(&store, &order, second.id).await,
        Some((RefundReason::Duplicate, false, None)),
        "a worker that was replaced finishes nothing"
    );
    let published = async || {
        let due = store.outbox().due("live", now(), 100).await.unwrap();
        let of_it = due.iter().filter(|one| one.event.subject == second.id.0);
        of_it.map(|one| one.event.kind.clone()).collect::<Vec<_>>()
    };
    let before = published().await;
    assert!(!before.is_empty() && before.iter().all(|kind| kind == "payment.changed"));
    let no = "Razorpay refused".to_owned();
    store
        .refund_retry(refund.id, fence, soon(), true, no.clone(), now())
        .await
        .unwrap();
    assert_eq!(
        refund_state(&store, &order, second.id).await,
        Some((RefundReason::Duplicate, false, Some(no)))
    );
    assert_eq!(
        published().await.len(),
        before.len() + 1,
        "who watches sees the refusal"
    );
    let (_, fence) = store.due_refunds(soon(), later, 10).await.unwrap().remove(0);
    let pending = entry(&refund, "rfnd_1", order.amount.0, EntryStatus::Pending);
    assert_eq!(note(&store, pending.clone()).await.len(), 1);
    assert_eq!(note(&store, pending).await, [], "nothing new");
    store.refund_waits(refund.id, fence, later, now()).await.unwrap();
    assert_eq!(
        refund_state(&store, &order, second.id).await,
        Some((RefundReason::Duplicate, false, None)),
        "it is refused no more"
    );
    assert_eq!(store.due_refunds(soon(), later, 10).await.unwrap(), []);
    store
        .take_webhook(
            "evt_r".to_owned(),
            None,
            Some(RefundNews::Id("rfnd_1".to_owned())),
            soon(),
        )
        .await
        .unwrap();
    let (_, fence) = store.due_refunds(soon(), later, 10).await.unwrap().remove(0);
    let processed = entry(&refund, "rfnd_1", order.amount.0, EntryStatus::Processed);
    let news = RefundNews::Report(processed.clone());
    store
        .take_webhook("evt_s".to_owned(), None, Some(news), soon())
        .await
        .unwrap();
    note(&store, processed).await;
    // The worker that held the lease does not open the refund again.
    store.refund_waits(refund.id, fence, later, now()).await.unwrap();
    assert_eq!(
        store
            .due_refunds(later, later + TimeDelta::days(1), 10)
            .await
            .unwrap(),
        []
    );
    assert_eq!(told(&store, "notifications").await, [kind::PAYMENT_REFUNDED]);
    let statement = store.statement(second.id, order.user_id).await.unwrap().unwrap();
    assert_eq!(statement.payment.status, Status::Refunded);
    assert_eq!(statement.refunded, order.amount);
    assert_eq!(
        refund_state(&store, &order, second.id).await,
        Some((RefundReason::Duplicate, true, None))
    );
    // The payer's bank returns the money: the refund is owed again, and made again.
    let failed = entry(&refund, "rfnd_1", order.amount.0, EntryStatus::Failed);
    note(&store, failed).await;
    // A worker that read it as processed, before that, does not close it.
    store.refund_done(refund.id, fence, now()).await.unwrap();
    let statement = store.statement(second.id, order.user_id).await.unwrap().unwrap();
    assert_eq!(
        (statement.payment.status, statement.refunded),
        (Status::Captured, Paise(0))
    );
    let (again, _) = store
        .due_refunds(later, later + TimeDelta::seconds(20), 10)
        .await
        .unwrap()
        .remove(0);
    let entries = store.entries(second.id).await.unwrap();
    let Step::Ask { amount, key } = next_step(&again, &entries) else {
        panic!("{entries:?}");
    };
    assert_eq!(amount, order.amount);
    assert_ne!(
        next_step(&refund, &[]),
        Step::Ask { amount, key },
        "Razorpay would answer the old key with the old failure"
    );
}

pub(super) fn entry(refund: &Refund, id: &str, paise: i64, status: EntryStatus) -> RefundReport {
    RefundReport {
        id: id.to_owned(),
        payment: refund.razorpay_payment_id.clone(),
        refund_id: Some(refund.id),
        amount: Paise(paise),
        status,
        created_at: Some(now()),
    }
}

pub(super) async fn note(store: &S, report: RefundReport) -> Vec<Entry> {
    store.note_refunds(vec![report], soon()).await.unwrap()
}

pub(super) async fn refund_state(
    store: &S,
    order: &Order,
    payment: PaymentId,
) -> Option<(RefundReason, bool, Option<String>)> {
    let statement = store.statement(payment, order.user_id).await.unwrap().unwrap();
    statement
        .refund
        .map(|going| (going.reason, going.done, going.refused))
}

pub async fn followed_refunds_hide_no_others(store: S) {
    let later = soon() + TimeDelta::hours(1);
    for name in ["a", "b"] {
        let (order, _) = open(&store).await;
        for number in 1..=2 {
            apply(
                &store,
                report(&order, &format!("pay_{name}{number}"), Status::Captured),
            )
            .await;
        }
        let (refund, _) = store.due_refunds(soon(), later, 10).await.unwrap().remove(0);
        let id = format!("rfnd_{name}");
        note(&store, entry(&refund, &id, order.amount.0, EntryStatus::Pending)).await;
    }
    let (order, _) = open(&store).await;
    apply(&store, report(&order, "pay_c", Status::Captured)).await;
    for id in ["rfnd_c", "rfnd_d"] {
        let by_hand = RefundReport {
            id: id.to_owned(),
            payment: "pay_c".to_owned(),
            refund_id: None,
            amount: Paise(1),
            status: EntryStatus::Pending,
            created_at: None,
        };
        note(&store, by_hand).await;
    }
    let found = async |limit| {
        let found = store.pending_entries(later, limit).await.unwrap();
        found.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(found(1).await, ["rfnd_c"]);
    assert_eq!(found(10).await, ["rfnd_c", "rfnd_d"]);
}

pub async fn refunds_of_others_are_recorded(store: S) {
    let (order, _) = open(&store).await;
    let report_of = |payment: &str, id: &str, paise, status| RefundReport {
        id: id.to_owned(),
        payment: payment.to_owned(),
        refund_id: None,
        amount: Paise(paise),
        status,
        created_at: None,
    };
    // Refunds of an unknown payment and of one that was never captured are ignored.
    assert_eq!(
        note(&store, report_of("pay_x", "rfnd_x", 1, EntryStatus::Processed)).await,
        []
    );
    apply(&store, report(&order, "pay_0", Status::Released)).await;
    assert_eq!(
        note(&store, report_of("pay_0", "rfnd_0", 1, EntryStatus::Processed)).await,
        []
    );
    let payment = apply(&store, report(&order, "pay_1", Status::Captured)).await;
    let of = async || store.statement(payment.id, order.user_id).await.unwrap().unwrap();
    // A partial refund: the registration stays.
    note(&store, report_of("pay_1", "rfnd_1", 10_000, EntryStatus::Pending)).await;
    let later = soon() + TimeDelta::hours(1);
    assert_eq!(store.pending_entries(now(), 10).await.unwrap(), []);
    assert_eq!(store.pending_entries(later, 10).await.unwrap().len(), 1);
    note(
        &store,
        report_of("pay_1", "rfnd_1", 10_000, EntryStatus::Processed),
    )
    .await;
    assert_eq!(store.pending_entries(later, 10).await.unwrap(), []);
    let known = of().await;
    assert_eq!(
        (known.payment.status, known.refunded, known.refund),
        (Status::Captured, Paise(10_000), None)
    );
    assert_eq!(told(&store, "events").await, [kind::PAYMENT_CAPTURED]);
    // The attendee cancels: the rest is refunded.
    let whole = Refund {
        id: RefundId::new(),
        payment_id: payment.id,
        razorpay_payment_id: "pay_1".to_owned(),
        amount: order.amount,
        reason: RefundReason::Attendee,
        attempts: 0,
    };
    let entries = store.entries(payment.id).await.unwrap();
    match next_step(&whole, &entries) {
        Step::Ask { amount, .. } => assert_eq!(amount, Paise(39_999)),
        other => panic!("{other:?}"),
    }
    // The rest is refunded at the dashboard, too: the registration ends.
    note(
        &store,
        report_of("pay_1", "rfnd_2", 39_999, EntryStatus::Processed),
    )
    .await;
    let known = of().await;
    assert_eq!(
        (known.payment.status, known.refunded),
        (Status::Refunded, order.amount)
    );
    assert_eq!(
        refund_state(&store, &order, payment.id).await,
        Some((RefundReason::Organizer, true, None))
    );
    assert_eq!(
        told(&store, "events").await,
        [kind::PAYMENT_CAPTURED, kind::PAYMENT_REVERSED]
    );
    assert_eq!(
        told(&store, "notifications").await.last().unwrap(),
        kind::PAYMENT_REFUNDED
    );
    let ended = RegistrationEnded {
        registration_id: order.registration_id,
        user_id: order.user_id,
        event: facts(&order),
        was_confirmed: true,
        paid: None,
        payment_id: Some(payment.id),
        reason: EndReason::Refunded,
        refund: None,
        words: None,
    };
    let ended = incoming(Fact::Ended(ended));
    store.consume(vec![ended], now()).await.unwrap();
    assert_eq!(
        store.due_refunds(later, later, 10).await.unwrap(),
        [],
        "nothing is owed"
    );
    let lines = store.ledger(None, 1).await.unwrap();
    let rest = store.ledger(Some(lines[0].payment.id), 10).await.unwrap();
    assert_eq!(
        (lines[0].payment.status, lines[0].entries.len()),
        (Status::Released, 0)
    );
    assert_eq!(rest.len(), 1);
    assert_eq!(
        (rest[0].payment.id, rest[0].pays, rest[0].owed),
        (payment.id, true, false)
    );
    assert_eq!(rest[0].entries, store.entries(payment.id).await.unwrap());
    // The bank returns the money long after the registration has ended: now a refund is owed.
    note(&store, report_of("pay_1", "rfnd_2", 39_999, EntryStatus::Failed)).await;
    let (owed, _) = store
        .due_refunds(later, later + TimeDelta::seconds(20), 10)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (owed.payment_id, owed.reason),
        (payment.id, RefundReason::Organizer)
    );
    // After repeated failures at the bank the back-off is longer than a few seconds.
    for index in 0..12 {
        let failed = report_of("pay_1", &format!("rfnd_f{index}"), 1, EntryStatus::Failed);
        note(&store, failed).await;
    }
    let (minute, longer) = (soon() + TimeDelta::minutes(1), soon() + TimeDelta::hours(2));
    assert_eq!(store.due_refunds(minute, minute, 10).await.unwrap(), []);
    assert_eq!(store.due_refunds(longer, longer, 10).await.unwrap().len(), 1);
    assert_eq!(store.refunds_seen().await.unwrap(), None);
    for at in [now(), later] {
        store.set_refunds_seen(at).await.unwrap();
        assert_eq!(store.refunds_seen().await.unwrap(), Some(at));
    }
}
