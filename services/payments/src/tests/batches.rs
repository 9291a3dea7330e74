//! Messages from events, in batches: each has a receipt of its own, and a payment is refunded once.

use chrono_tz::Tz;
use common::{
    ids::{EventId, PaymentId, RegistrationId, UserId, new_id},
    outbox::{self, CloudEvent, Receipt, ReceiptStatus},
    store::StoreError,
    wire::{EndReason, EventFacts, PaymentRefused, RefundReason, RegistrationEnded, kind, service},
};
use serde_json::json;
use test_kit::damage::{Bad, Damage};
use uuid::Uuid;

use super::{
    failing_store::{Trouble, When},
    fake_razorpay::{REFUND, REFUNDS_OF},
    kit::{Service, eventually},
    troubles,
};

pub(super) fn message(
    service: &Service,
    kind: &str,
    subject: Uuid,
    data: &impl serde::Serialize,
) -> CloudEvent {
    let data = serde_json::to_string(data).unwrap();
    CloudEvent::new(
        service::EVENTS,
        new_id(),
        kind.to_owned(),
        subject,
        service.now(),
        data,
    )
    .unwrap()
}

pub(super) fn facts(service: &Service) -> EventFacts {
    EventFacts {
        event_id: EventId::new(),
        name: "Rust evening".to_owned(),
        address: "Hall 7".to_owned(),
        starts_at: service.now(),
        zone: Tz::Asia__Kolkata,
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

pub(super) fn refused(service: &Service, payment: PaymentId) -> CloudEvent {
    let told = PaymentRefused {
        payment_id: payment,
        registration_id: RegistrationId::new(),
        event: facts(service),
        reason: RefundReason::NoSeat,
    };
    message(service, kind::PAYMENT_REFUSED, payment.0, &told)
}

fn ended(service: &Service, registration: RegistrationId, payment: Option<PaymentId>) -> CloudEvent {
    let told = RegistrationEnded {
        registration_id: registration,
        user_id: UserId::new(),
        event: facts(service),
        was_confirmed: true,
        paid: None,
        payment_id: payment,
        reason: EndReason::Attendee,
        refund: None,
        words: None,
    };
    message(service, kind::REGISTRATION_ENDED, registration.0, &told)
}

/// The receipts, in the order of the messages.
pub(super) async fn deliver(service: &Service, batch: &[&CloudEvent]) -> Vec<(ReceiptStatus, String)> {
    let sent = serde_json::to_value(batch).unwrap();
    let answer = service.tell(outbox::PATH, &sent).await.is(200).body;
    let receipts: Vec<Receipt> = serde_json::from_value(answer).unwrap();
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

/// A captured payment; returns it and its registration.
async fn paid(service: &Service) -> (PaymentId, RegistrationId) {
    let paid = service.pay(&service.user(), EventId::new()).await.is(200);
    let payment = PaymentId::lenient(paid.text("payment_id"));
    (payment, RegistrationId::lenient(paid.text("registration_id")))
}

async fn damage(service: &Service, id: Uuid, to: Bad) {
    let damage = Damage {
        table: "payments",
        key: ("id", "_id"),
        id,
        field: "amount",
        to,
    };
    store_test_kit::sqlite::damager(&service.db)(damage).await;
}

#[tokio::test]
async fn one_that_cannot_be_taken_holds_up_no_other() {
    use ReceiptStatus::{Accepted, Rejected, Retry};
    let service = Service::start().await;
    let ((first, _), (odd, _), (_, last)) =
        (paid(&service).await, paid(&service).await, paid(&service).await);
    let repeat = refused(&service, first);
    assert_eq!(deliver(&service, &[&repeat]).await[0].0, Accepted);
    damage(&service, odd.0, Bad::Type).await;
    let unknown = message(&service, "registration.moved", new_id(), &json!({}));
    let malformed = message(
        &service,
        kind::PAYMENT_REFUSED,
        new_id(),
        &json!({"payment_id": 7}),
    );
    let reason = {
        let mut told = serde_json::to_value(refused(&service, first)).unwrap();
        told["data"]["reason"] = json!("weather");
        told["subject"] = json!(new_id());
        serde_json::from_value::<CloudEvent>(told).unwrap()
    };
    let (unreadable, lost) = (refused(&service, odd), refused(&service, PaymentId::new()));
    let fine = ended(&service, last, None);
    let receipts = deliver(
        &service,
        &[&unknown, &malformed, &reason, &repeat, &unreadable, &lost, &fine],
    )
    .await;
    let wanted = [
        (
            Retry,
            "this release does not know messages of the kind registration.moved",
        ),
        (Retry, "this release does not understand the data: "),
        (Retry, "this release does not understand the data: "),
        (Accepted, ""),
        (Retry, "the store holds something unreadable: "),
        (Rejected, "there is no such payment"),
        (Accepted, ""),
    ];
    for ((status, detail), (wanted, begins)) in receipts.iter().zip(wanted) {
        assert_eq!(*status, wanted, "{detail}");
        assert!(detail.starts_with(begins), "{detail}");
    }
    let mut owed = service.books().await.owed;
    owed.sort();
    assert_eq!(owed, ["attendee", "no_seat"]);
    // Once the row is repaired, the message has its effect.
    damage(&service, odd.0, Bad::Number(50_000)).await;
    assert_eq!(deliver(&service, &[&unreadable]).await[0].0, Accepted);
    assert_eq!(service.books().await.owed.len(), 3);
}

#[tokio::test]
async fn money_goes_back_once_however_often_and_by_whom_it_is_told() {
    let service = Service::start().await;
    let (payment, registration) = paid(&service).await;
    let messages = [
        refused(&service, payment),
        refused(&service, payment),
        ended(&service, registration, Some(payment)),
        ended(&service, registration, None),
    ];
    for _ in 0..2 {
        let receipts = deliver(&service, &messages.each_ref()).await;
        assert!(
            receipts
                .iter()
                .all(|(status, _)| *status == ReceiptStatus::Accepted),
            "{receipts:?}"
        );
    }
    assert_eq!(service.books().await.owed, ["no_seat"]);
    service.work();
    eventually(async || (service.books().await.payments == ["refunded"]).then_some(())).await;
    assert_eq!(service.razorpay.refunds().len(), 1);
    assert_eq!(service.letters().await, ["payment.refunded"]);
}

#[tokio::test]
async fn an_end_without_a_payment_owes_nothing() {
    let service = Service::start().await;
    let unpaid = ended(&service, RegistrationId::new(), None);
    let receipts = deliver(&service, &[&unpaid]).await;
    assert_eq!(receipts, [(ReceiptStatus::Accepted, String::new())]);
    service.books().await.are(&[], &[], &[]);
}

#[tokio::test]
async fn a_store_that_fails_takes_none_and_asks_for_all_again() {
    let service = Service::start().await;
    let (payment, _) = paid(&service).await;
    let (known, unknown) = (
        refused(&service, payment),
        message(&service, "registration.moved", new_id(), &json!({})),
    );
    for trouble in [
        Trouble::All(StoreError::Overloaded),
        Trouble::All(StoreError::Unavailable("away".to_owned())),
        Trouble::Each("consume", When::Before),
        // Consumed, and the receipt is lost.
        Trouble::Each("consume", When::After),
    ] {
        service.store.fails(trouble);
        let receipts = deliver(&service, &[&unknown, &known]).await;
        assert!(
            receipts.iter().all(|(status, _)| *status == ReceiptStatus::Retry),
            "{receipts:?}"
        );
    }
    service.store.works();
    assert_eq!(service.books().await.owed, ["no_seat"]);
    let receipts = deliver(&service, &[&known]).await;
    assert_eq!(receipts[0].0, ReceiptStatus::Accepted);
    assert_eq!(service.books().await.owed, ["no_seat"]);
}

#[tokio::test]
async fn a_refund_whose_asking_went_wrong_is_asked_for_again_and_made_once() {
    for (call, trouble) in [
        (REFUND, troubles::Trouble::After(502, "<html>".to_owned())),
        (REFUND, troubles::Trouble::Instead(500, String::new())),
        (REFUNDS_OF, troubles::Trouble::Instead(401, String::new())),
        (REFUNDS_OF, troubles::Trouble::Instead(200, "<html>".to_owned())),
    ] {
        let service = Service::start().await;
        let (payment, _) = paid(&service).await;
        service.razorpay.troubles().at(call, trouble);
        deliver(&service, &[&refused(&service, payment)]).await;
        service.work();
        let why = "SELECT coalesce(why, '') FROM refunds";
        eventually(async || (service.rows(why.to_owned()).await != [""]).then_some(())).await;
        service.razorpay.troubles().over();
        service.after(chrono::TimeDelta::minutes(1));
        eventually(async || (service.books().await.payments == ["refunded"]).then_some(())).await;
        assert_eq!(service.razorpay.refunds().len(), 1, "{call}");
        assert_eq!(service.letters().await, ["payment.refunded"]);
    }
}
