//! Messages from other services, in whatever order and however often they come.

use chrono::TimeDelta;
use common::{
    ids::{PaymentId, UserId, WaitlistId, new_id},
    money::Paise,
    outbox::{CloudEvent, ReceiptStatus},
    wire::{
        EndReason, EventFacts, PaymentRefunded, RefundReason, RegistrationEnded, WaitlistClosed,
        WaitlistOffered, kind,
    },
};
use serde_json::{Value, json};

use super::kit::{
    Lab, Service, again, at, change, cloud_event, confirmation, confirmed, end, event, eventually,
};

async fn kinds(service: &Service, user: UserId) -> Vec<String> {
    let list = service.get_as(user, "/api/notifications?limit=100").await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut kinds: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| format!("{} {}", text(&item["kind"]), text(&item["channel"])))
        .collect();
    kinds.sort();
    kinds
}

fn statuses(service: &[common::outbox::Receipt]) -> Vec<ReceiptStatus> {
    service.iter().map(|receipt| receipt.status).collect()
}

#[tokio::test]
async fn a_letter_is_in_its_readers_language() {
    let lab = Lab::new();
    let service = lab.service();
    let asha = lab.users.add(Some("Asha"), "asha@example.com", None);
    lab.users.reads(asha, "hi-IN");
    let facts = event(TimeDelta::hours(48));
    service.accepts(&[confirmation(&confirmed(asha, &facts))]).await;
    let mailbox = service.mailbox(1).await;
    assert_eq!(mailbox[0]["subject"], "आपका टिकट: Rust evening");
}

#[tokio::test]
async fn a_seat_that_is_held_is_told_once_and_not_too_late() {
    let lab = Lab::new();
    let service = lab.service();
    let asha = lab
        .users
        .add(Some("Asha"), "asha@example.com", Some("+911234567890"));
    let late = lab.users.add(None, "late@example.com", None);
    let offer = |user_id, until| {
        let offered = WaitlistOffered {
            waitlist_id: WaitlistId::new(),
            user_id,
            event: event(TimeDelta::hours(48)),
            until: at(until),
        };
        cloud_event(kind::WAITLIST_OFFERED, offered.waitlist_id.0, &offered)
    };
    let told = [
        offer(asha, TimeDelta::hours(4)),
        offer(late, TimeDelta::seconds(-1)),
    ];
    service.accepts(&told).await;
    service.accepts(&told.each_ref().map(again)).await;
    assert_eq!(
        kinds(&service, asha).await,
        ["waitlist_offer email", "waitlist_offer sms"]
    );
    let mailbox = service.mailbox(2).await;
    let is_mail = |mail: &&Value| mail["subject"] == "A seat is held for you: Rust evening";
    assert_eq!(mailbox.iter().filter(is_mail).count(), 1, "{mailbox:?}");
    eventually(async || {
        let list = service.get_as(late, "/api/notifications").await.json();
        (list[0]["status"] == "skipped").then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_waited_for_a_cancelled_event_is_told_once() {
    let lab = Lab::new();
    let service = lab.service();
    let asha = lab
        .users
        .add(Some("Asha"), "asha@example.com", Some("+911234567890"));
    let closed = WaitlistClosed {
        waitlist_id: WaitlistId::new(),
        user_id: asha,
        event: EventFacts {
            cancelled: true,
            ..event(TimeDelta::hours(48))
        },
    };
    let told = [cloud_event(kind::WAITLIST_CLOSED, closed.waitlist_id.0, &closed)];
    service.accepts(&told).await;
    service.accepts(&told.each_ref().map(again)).await;
    assert_eq!(
        kinds(&service, asha).await,
        ["event_cancelled email", "event_cancelled sms"]
    );
    let mailbox = service.mailbox(2).await;
    let mail = mailbox.iter().find(|mail| mail["channel"] == "email").unwrap();
    assert_eq!(mail["subject"], "Cancelled: Rust evening");
    let id = mail["id"].as_str().unwrap();
    let text = service.get(&format!("/dev/mailbox/{id}?text=1")).await.text;
    // They have paid nothing.
    assert!(
        !text.contains("paid") && text.contains("nothing you need to do"),
        "{text}"
    );
}

#[tokio::test]
async fn three_deliveries_in_any_order_have_one_effect() {
    // Subjects come in any order; messages of one subject come in theirs, and any of them comes again.
    for order in [[0, 1, 2, 3], [2, 0, 3, 1], [0, 2, 1, 3], [2, 3, 0, 1]] {
        let lab = Lab::new();
        let service = lab.service();
        let asha = lab
            .users
            .add(Some("Asha"), "asha@example.com", Some("+911234567890"));
        let ravi = lab.users.add(None, "ravi@example.com", None);
        let old = event(TimeDelta::hours(48));
        let new = EventFacts {
            starts_at: old.starts_at + TimeDelta::hours(24),
            version: 2,
            schedule_version: 2,
            ..old.clone()
        };
        let (stays, leaves) = (confirmed(asha, &old), confirmed(ravi, &old));
        let stories: [Vec<CloudEvent>; 4] = [
            vec![confirmation(&stays)],
            vec![confirmation(&leaves)],
            vec![change(&new)],
            vec![end(&leaves, EndReason::Attendee)],
        ];
        // An end comes after its confirmation: the same subject.
        let mut order = order.to_vec();
        let (leave, come) = (
            order.iter().position(|i| *i == 3).unwrap(),
            order.iter().position(|i| *i == 1).unwrap(),
        );
        if leave < come {
            order.swap(leave, come);
        }
        for round in 0..3 {
            for index in &order {
                service
                    .accepts(&stories[*index].iter().map(again).collect::<Vec<_>>())
                    .await;
            }
            if round == 1 {
                let all: Vec<_> = order
                    .iter()
                    .flat_map(|index| stories[*index].iter().map(again))
                    .collect();
                service.accepts(&all).await;
            }
        }
        let told_of_change = order.iter().position(|i| *i == 0) < order.iter().position(|i| *i == 2);
        let mut expected = vec!["ticket email", "ticket sms"];
        if told_of_change {
            expected.splice(0..0, ["event_updated email", "event_updated sms"]);
        }
        eventually(async || (kinds(&service, asha).await == expected).then_some(())).await;
        let left = kinds(&service, ravi).await;
        let without_update: Vec<_> = left
            .iter()
            .filter(|kind| *kind != "event_updated email")
            .collect();
        assert_eq!(without_update, ["registration_cancelled email", "ticket email"]);
        let metrics = service.get("/metrics").await.text;
        assert!(
            metrics.contains("reminders_pending{service=\"notifications\"} 2"),
            "{order:?} {metrics}"
        );
    }
}

#[tokio::test]
async fn what_is_not_understood_waits_and_the_rest_does_not() {
    let lab = Lab::new();
    let service = lab.service();
    let user = lab.users.add(None, "asha@example.com", None);
    let fact = confirmed(user, &event(TimeDelta::hours(48)));
    let mut damaged = serde_json::to_value(&fact).unwrap();
    damaged["event"]["zone"] = json!("Mars/Olympus");
    let batch = [
        cloud_event("order.shipped", new_id(), &json!({})),
        cloud_event(kind::REGISTRATION_CONFIRMED, new_id(), &damaged),
        confirmation(&fact),
    ];
    let receipts = service.deliver(&batch).await;
    let of = |id| receipts.iter().find(|receipt| receipt.id == id).unwrap().status;
    assert_eq!(of(batch[0].id), ReceiptStatus::Retry);
    assert_eq!(of(batch[1].id), ReceiptStatus::Retry);
    assert_eq!(of(batch[2].id), ReceiptStatus::Accepted);
    assert_eq!(kinds(&service, user).await, ["ticket email"]);
}

#[tokio::test]
async fn while_users_is_down_messages_wait() {
    let lab = Lab::new();
    let service = lab.service();
    let user = lab.users.add(None, "asha@example.com", None);
    let facts = event(TimeDelta::hours(48));
    let batch = [confirmation(&confirmed(user, &facts)), change(&facts)];
    lab.users.set_down(true);
    assert_eq!(
        statuses(&service.deliver(&batch).await),
        [ReceiptStatus::Retry, ReceiptStatus::Accepted]
    );
    assert!(kinds(&service, user).await.is_empty());
    lab.users.set_down(false);
    service.accepts(&batch).await;
    assert_eq!(kinds(&service, user).await, ["ticket email"]);
}

#[tokio::test]
async fn nobody_is_told_about_one_who_is_gone() {
    let lab = Lab::new();
    let service = lab.service();
    let nobody = UserId::new();
    let facts = event(TimeDelta::hours(48));
    for _ in 0..3 {
        let fact = confirmed(nobody, &facts);
        service
            .accepts(&[confirmation(&fact), end(&fact, EndReason::Attendee)])
            .await;
    }
    assert!(kinds(&service, nobody).await.is_empty());
    assert_eq!(lab.users.calls(), 1, "that there is no such user is remembered");
    assert!(
        service
            .get("/metrics")
            .await
            .text
            .contains("reminders_pending{service=\"notifications\"} 0")
    );
}

#[tokio::test]
async fn a_batch_asks_once() {
    let lab = Lab::new();
    let service = lab.service();
    let facts = event(TimeDelta::hours(48));
    let batch: Vec<_> = (0..500)
        .map(|n| {
            confirmation(&confirmed(
                lab.users.add(None, &format!("user{n}@example.com"), None),
                &facts,
            ))
        })
        .collect();
    service.accepts(&batch).await;
    service.accepts(&batch).await;
    assert_eq!(lab.users.calls(), 1);
}

#[tokio::test]
async fn an_end_is_told_as_it_came_about() {
    let lab = Lab::new();
    let service = lab.service();
    let facts = event(TimeDelta::hours(48));
    let told = async |reason, was_confirmed| {
        let user = lab.users.add(None, "asha@example.com", None);
        let fact = confirmed(user, &facts);
        let ended = RegistrationEnded {
            registration_id: fact.registration_id,
            user_id: user,
            event: facts.clone(),
            was_confirmed,
            paid: None,
            payment_id: None,
            reason,
            refund: None,
            words: None,
        };
        service
            .accepts(&[cloud_event(
                kind::REGISTRATION_ENDED,
                fact.registration_id.0,
                &ended,
            )])
            .await;
        kinds(&service, user).await
    };
    assert_eq!(
        told(EndReason::Attendee, true).await,
        ["registration_cancelled email"]
    );
    assert!(told(EndReason::Attendee, false).await.is_empty());
    assert_eq!(
        told(EndReason::EventCancelled, true).await,
        ["event_cancelled email"]
    );
    assert_eq!(
        told(EndReason::EventCancelled, false).await,
        ["event_cancelled email"]
    );
}

#[tokio::test]
async fn each_refund_is_told() {
    let lab = Lab::new();
    let service = lab.service();
    let user = lab.users.add(None, "asha@example.com", Some("+911234567890"));
    let fact = confirmed(user, &event(TimeDelta::hours(48)));
    for _ in 0..2 {
        let refunded = PaymentRefunded {
            payment_id: PaymentId::new(),
            registration_id: fact.registration_id,
            event_id: fact.event.event_id,
            event_name: "Rust evening".into(),
            user_id: user,
            amount: Paise(49_950),
            number: 0,
            reason: RefundReason::Duplicate,
        };
        for _ in 0..2 {
            service
                .accepts(&[cloud_event(
                    kind::PAYMENT_REFUNDED,
                    refunded.payment_id.0,
                    &refunded,
                )])
                .await;
        }
    }
    let told = kinds(&service, user).await;
    assert_eq!(
        told,
        [
            "payment_refunded email",
            "payment_refunded email",
            "payment_refunded sms",
            "payment_refunded sms"
        ]
    );
}
