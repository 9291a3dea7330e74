//! Messages from payments, in batches: each has a receipt of its own.

use common::{
    ids::{EventId, OrderId, PaymentId, RegistrationId, UserId, new_id},
    money::Paise,
    outbox::{self, CloudEvent, ReceiptStatus},
    store::StoreError,
    wire::{PaymentCaptured, PaymentReversed, kind, service},
};
use serde_json::{Value, json};
use test_kit::damage::{Bad, Damage};
use uuid::Uuid;

use super::{
    failing_store::Trouble,
    kit::{Person, Service},
};

fn message(service: &Service, kind: &str, subject: Uuid, data: &impl serde::Serialize) -> CloudEvent {
    let data = serde_json::to_string(data).unwrap();
    CloudEvent::new(
        service::PAYMENTS,
        new_id(),
        kind.to_owned(),
        subject,
        service.now(),
        data,
    )
    .unwrap()
}

fn captured(service: &Service, registration: RegistrationId, paise: i64) -> CloudEvent {
    let payment = PaymentId::new();
    let told = PaymentCaptured {
        payment_id: payment,
        order_id: OrderId::new(),
        registration_id: registration,
        event_id: EventId::new(),
        user_id: UserId::new(),
        amount: Paise(paise),
        settles: None,
    };
    message(service, kind::PAYMENT_CAPTURED, payment.0, &told)
}

/// The receipts, in the order of the messages: the status of each, and its effect.
async fn deliver(service: &Service, batch: &[&CloudEvent]) -> Vec<(ReceiptStatus, String)> {
    let sent = serde_json::to_value(batch).unwrap();
    let answer = service.ask(outbox::PATH, &sent).await.is(200).body;
    let receipts: Vec<outbox::Receipt> = serde_json::from_value(answer).unwrap();
    assert_eq!(receipts.len(), batch.len(), "{receipts:?}");
    batch
        .iter()
        .map(|message| {
            let of_it = receipts.iter().find(|receipt| receipt.id == message.id);
            let of_it = of_it.unwrap_or_else(|| panic!("no receipt for {}", message.kind));
            (of_it.status, of_it.detail.clone().unwrap_or_default())
        })
        .collect()
}

/// A user with a hold; returns the event, the user and the registration.
async fn held(service: &Service) -> (String, Person, RegistrationId) {
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(1), 500).await;
    let registered = service.register(&asha, &event).await.is(201);
    let id = RegistrationId::lenient(registered.text("registration_id"));
    (event, asha, id)
}

async fn status(service: &Service, who: &Person, id: RegistrationId) -> Value {
    let path = format!("/api/reg/registrations/{id}");
    service.get(who, &path).await.is(200).body["status"].clone()
}

async fn damage(service: &Service, table: &'static str, id: Uuid, field: &'static str, to: Bad) {
    let damage = Damage {
        table,
        key: ("id", "_id"),
        id,
        field,
        to,
    };
    store_test_kit::sqlite::damager(&service.db)(damage).await;
}

#[tokio::test]
async fn one_that_cannot_be_taken_holds_up_no_other() {
    use ReceiptStatus::{Accepted, Rejected, Retry};
    let service = Service::start();
    let (_, asha, good) = held(&service).await;
    let (odd_event, _, unreadable) = held(&service).await;
    let repeat = captured(&service, good, 50_000);
    assert_eq!(
        deliver(&service, &[&repeat]).await,
        [(Accepted, "confirmed".to_owned())]
    );
    damage(
        &service,
        "events",
        EventId::lenient(&odd_event).0,
        "zone",
        Bad::Text("Asia/Atlantis"),
    )
    .await;
    let (_, ravi, last) = held(&service).await;
    let unknown = message(&service, "payment.disputed", new_id(), &json!({}));
    let malformed = message(
        &service,
        kind::PAYMENT_CAPTURED,
        new_id(),
        &json!({"payment_id": 7}),
    );
    let lost = captured(&service, RegistrationId::new(), 50_000);
    let unreadable = captured(&service, unreadable, 50_000);
    let fine = captured(&service, last, 50_000);
    let receipts = deliver(
        &service,
        &[&unknown, &malformed, &repeat, &unreadable, &lost, &fine],
    )
    .await;
    let wanted = [
        (
            Retry,
            "this release does not know messages of the kind payment.disputed",
        ),
        (Retry, "this release does not understand the data: "),
        (Accepted, ""),
        (Retry, "the store holds something unreadable: "),
        (Rejected, "there is no such registration"),
        (Accepted, "confirmed"),
    ];
    for ((status, detail), (wanted, begins)) in receipts.iter().zip(wanted) {
        assert_eq!(*status, wanted, "{detail}");
        assert!(detail.starts_with(begins), "{detail}");
    }
    assert_eq!(status(&service, &asha, good).await, "confirmed");
    assert_eq!(status(&service, &ravi, last).await, "confirmed");
    // Once the row is repaired, the message has its effect.
    damage(
        &service,
        "events",
        EventId::lenient(&odd_event).0,
        "zone",
        Bad::Text("Asia/Kolkata"),
    )
    .await;
    assert_eq!(
        deliver(&service, &[&unreadable, &fine]).await,
        [(Accepted, "confirmed".to_owned()), (Accepted, String::new())]
    );
    let told = service.messages("notifications").await;
    assert_eq!(told, [kind::REGISTRATION_CONFIRMED; 3]);
    assert!(service.messages("payments").await.is_empty());
}

#[tokio::test]
async fn what_follows_about_the_same_subject_waits_with_it() {
    use ReceiptStatus::{Accepted, Retry};
    let service = Service::start();
    let (_, asha, id) = held(&service).await;
    let paid = captured(&service, id, 50_000);
    let unknown = message(&service, "payment.disputed", paid.subject, &json!({}));
    let receipts = deliver(&service, &[&unknown, &paid]).await;
    assert!(
        receipts.iter().all(|(status, _)| *status == Retry),
        "{receipts:?}"
    );
    assert_eq!(status(&service, &asha, id).await, "pending_payment");
    assert_eq!(deliver(&service, &[&paid]).await[0].0, Accepted);
}

#[tokio::test]
async fn money_that_buys_nothing_goes_back_once_however_often_it_is_told() {
    let service = Service::start();
    let (_, asha, id) = held(&service).await;
    let (short, paid) = (captured(&service, id, 49_999), captured(&service, id, 50_000));
    let second = captured(&service, id, 50_000);
    for round in 0..3 {
        let receipts = deliver(&service, &[&short, &paid, &second]).await;
        let effects: Vec<_> = receipts.iter().map(|(_, effect)| effect.as_str()).collect();
        let wanted = match round {
            0 => ["wrong_amount", "confirmed", "duplicate"],
            _ => ["", "", ""],
        };
        assert_eq!(effects, wanted);
    }
    assert_eq!(status(&service, &asha, id).await, "confirmed");
    assert_eq!(service.messages("payments").await, [kind::PAYMENT_REFUSED; 2]);
    assert_eq!(
        service.messages("notifications").await,
        [kind::REGISTRATION_CONFIRMED]
    );
}

#[tokio::test]
async fn what_was_sent_back_by_others_ends_what_it_paid_and_nothing_else() {
    let service = Service::start();
    let (event, asha, id) = held(&service).await;
    let paid = captured(&service, id, 50_000);
    deliver(&service, &[&paid]).await;
    let reversed = |payment: Uuid| {
        let told = PaymentReversed {
            payment_id: PaymentId(payment),
            registration_id: id,
        };
        message(&service, kind::PAYMENT_REVERSED, payment, &told)
    };
    let (other, its) = (reversed(new_id()), reversed(paid.subject));
    let effects = deliver(&service, &[&other]).await;
    assert_eq!(effects, [(ReceiptStatus::Accepted, "known".to_owned())]);
    assert_eq!(status(&service, &asha, id).await, "confirmed");
    for wanted in ["ended", ""] {
        let effects = deliver(&service, &[&its]).await;
        assert_eq!(effects, [(ReceiptStatus::Accepted, wanted.to_owned())]);
    }
    assert_eq!(status(&service, &asha, id).await, "cancelled");
    assert_eq!(service.seats(&event).await, (0.into(), 1.into()));
}

#[tokio::test]
async fn a_store_that_fails_takes_none_and_asks_for_all_again() {
    let service = Service::start();
    let (_, asha, id) = held(&service).await;
    let (paid, unknown) = (
        captured(&service, id, 50_000),
        message(&service, "payment.disputed", new_id(), &json!({})),
    );
    let before = service.everything().await;
    service
        .store
        .fails(Trouble::All(StoreError::Unavailable("away".to_owned())));
    let receipts = deliver(&service, &[&unknown, &paid]).await;
    assert!(
        receipts.iter().all(|(status, _)| *status == ReceiptStatus::Retry),
        "{receipts:?}"
    );
    service.store.works();
    assert_eq!(service.everything().await, before);
    // Consumed, and its receipt lost: the repeat has no second effect.
    service.store.fails(Trouble::AnswersOfChanges);
    assert_eq!(deliver(&service, &[&paid]).await[0].0, ReceiptStatus::Retry);
    service.store.works();
    assert_eq!(
        deliver(&service, &[&paid]).await,
        [(ReceiptStatus::Accepted, String::new())]
    );
    assert_eq!(status(&service, &asha, id).await, "confirmed");
    let told = service.messages("notifications").await;
    assert_eq!(told, [kind::REGISTRATION_CONFIRMED]);
}

#[tokio::test]
async fn what_is_no_batch_is_refused_as_a_whole() {
    let service = Service::start();
    let (_, asha, id) = held(&service).await;
    let paid = serde_json::to_value(captured(&service, id, 50_000)).unwrap();
    let mut without_subject = paid.clone();
    without_subject["subject"] = json!("no id at all");
    for body in [
        json!({}),
        json!("x"),
        paid.clone(),
        json!([paid, without_subject]),
    ] {
        let answer = service.ask(outbox::PATH, &body).await;
        answer.fails(400, "not_cloudevents");
    }
    assert_eq!(status(&service, &asha, id).await, "pending_payment");
    let nothing = service.ask(outbox::PATH, &json!([])).await.is(200);
    assert_eq!(nothing.body, json!([]));
}
