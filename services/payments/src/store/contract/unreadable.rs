//! An unreadable row affects nothing but itself.

use test_kit::damage::{Bad, Damage};
use uuid::Uuid;

use super::*;

async fn damage(fresh: &Fresh, table: &'static str, id: Uuid, field: &'static str, to: Bad) {
    (fresh.damager)(Damage {
        table,
        key: ("id", "_id"),
        id,
        field,
        to,
    })
    .await;
}

pub async fn an_unreadable_order_is_set_aside_for_a_day(fresh: Fresh) {
    let store = &fresh.store;
    let (bad, fence) = open(store).await;
    store.close_order(bad.id, fence, Some(now())).await.unwrap();
    let (good, fence) = open(store).await;
    store.close_order(good.id, fence, Some(now())).await.unwrap();
    damage(&fresh, "orders", bad.id.0, "amount", Bad::Type).await;
    let due = store.due_orders(now(), soon(), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].0.id, good.id);
    assert!(store.due_orders(now(), soon(), 10).await.unwrap().is_empty());
    // Once repaired, it is due again a day later.
    damage(&fresh, "orders", bad.id.0, "amount", Bad::Number(bad.amount.0)).await;
    assert!(store.due_orders(now(), soon(), 10).await.unwrap().is_empty());
    let tomorrow = now() + TimeDelta::days(1);
    let due = store
        .due_orders(tomorrow, tomorrow + TimeDelta::seconds(20), 10)
        .await
        .unwrap();
    assert!(due.iter().any(|(order, _)| *order == bad), "{due:?}");
}

pub async fn an_unreadable_refund_is_set_aside_for_a_day(fresh: Fresh) {
    let store = &fresh.store;
    let mut refunds = Vec::new();
    for name in ["pay_1", "pay_2"] {
        let (order, _) = open(store).await;
        apply(store, report(&order, name, Status::Captured)).await;
        apply(store, report(&order, &format!("{name}b"), Status::Captured)).await;
    }
    for (refund, fence) in store.due_refunds(now(), soon(), 10).await.unwrap() {
        let again = now() + TimeDelta::seconds(1);
        store
            .refund_retry(refund.id, fence, again, false, "busy".to_owned(), now())
            .await
            .unwrap();
        refunds.push(refund);
    }
    assert_eq!(refunds.len(), 2);
    damage(&fresh, "refunds", refunds[0].id.0, "amount", Bad::Type).await;
    let later = now() + TimeDelta::seconds(2);
    let until = later + TimeDelta::seconds(20);
    let due = store.due_refunds(later, until, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].0.id, refunds[1].id);
    assert!(store.due_refunds(later, until, 10).await.unwrap().is_empty());
    // Nor is a reason of a newer release interpreted.
    damage(&fresh, "refunds", refunds[1].id.0, "reason", Bad::Text("weather")).await;
    let later = until + TimeDelta::seconds(1);
    let due = store.due_refunds(later, later + TimeDelta::seconds(20), 10).await;
    assert!(due.unwrap().is_empty());
}

pub async fn a_refund_without_its_payment_is_set_aside(fresh: Fresh) {
    let store = &fresh.store;
    let (order, _) = open(store).await;
    apply(store, report(&order, "pay_1", Status::Captured)).await;
    let second = apply(store, report(&order, "pay_2", Status::Captured)).await;
    damage(&fresh, "payments", second.id.0, "", Bad::Gone).await;
    // In MongoDB the refund's own document is enough to read it; with either adapter it is not due a second time.
    let due = store.due_refunds(now(), soon(), 10).await.unwrap();
    assert!(due.len() <= 1);
    assert!(store.due_refunds(now(), soon(), 10).await.unwrap().is_empty());
}

pub async fn statements_leave_out_what_they_cannot_read(fresh: Fresh) {
    let store = &fresh.store;
    let (order, _) = open(store).await;
    let mut ids = Vec::new();
    for name in ["pay_1", "pay_2", "pay_3"] {
        ids.push(apply(store, report(&order, name, Status::Failed)).await.id);
    }
    damage(&fresh, "payments", ids[2].0, "amount", Bad::Type).await;
    let page = Page {
        limit: 1,
        after: None,
    };
    let (found, next) = store
        .statements(PaymentsOf::Payer(order.user_id), PaymentFilter::default(), page)
        .await
        .unwrap();
    assert_eq!(found[0].payment.id, ids[1]);
    let page = Page { after: next, ..page };
    let (found, next) = store
        .statements(PaymentsOf::Payer(order.user_id), PaymentFilter::default(), page)
        .await
        .unwrap();
    assert_eq!((found[0].payment.id, next), (ids[0], None));
    assert!(store.statement(ids[2], order.user_id).await.is_err());
    // Nor is a status of a newer release interpreted as one of this release.
    damage(&fresh, "payments", ids[1].0, "status", Bad::Text("settled")).await;
    let page = Page {
        limit: 9,
        after: None,
    };
    let (found, _) = store
        .statements(PaymentsOf::Payer(order.user_id), PaymentFilter::default(), page)
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|one| one.payment.id).collect::<Vec<_>>(),
        ids[..1]
    );
}

pub async fn messages_are_consumed_beside_an_unreadable_row(fresh: Fresh) {
    let store = &fresh.store;
    let (bad, _) = open(store).await;
    let (good, _) = open(store).await;
    for (order, name) in [(&bad, "pay_1"), (&good, "pay_2")] {
        apply(store, report(order, name, Status::Captured)).await;
    }
    damage(&fresh, "orders", bad.id.0, "amount", Bad::Type).await;
    let ended = |order: &Order| {
        let ended = RegistrationEnded {
            registration_id: order.registration_id,
            user_id: order.user_id,
            reason: EndReason::EventCancelled,
            was_confirmed: true,
            paid: None,
            payment_id: None,
            event: facts(order),
            refund: None,
            words: None,
        };
        incoming(Fact::Ended(ended))
    };
    let receipts = store
        .consume(vec![ended(&bad), ended(&good)], now())
        .await
        .unwrap();
    let status: Vec<ReceiptStatus> = receipts.iter().map(|receipt| receipt.status).collect();
    assert_eq!(status, [ReceiptStatus::Retry, ReceiptStatus::Accepted]);
    let due = store.due_refunds(now(), soon(), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].0.razorpay_payment_id, "pay_2");
}
