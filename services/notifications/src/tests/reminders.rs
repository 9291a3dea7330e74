//! Reminders and announcements, one round at a time.

use std::sync::Arc;

use chrono::TimeDelta;
use common::{
    ids::{RegistrationId, UserId},
    leads::Leads,
    subscriber::Subscriber,
    wire::{EndReason, EventFacts},
};

use super::{
    kit::{Lab, at, change, confirmation, confirmed, end, event},
    recorder::Recorder,
};
use crate::{
    app::Parts,
    channels::Content,
    domain::message::{Channel, Kind, Status},
    store::Entry,
    workers::{
        announcements::Announcements,
        reminders::Reminders,
        sender::{Round, Sender},
    },
};

async fn entries(parts: &Parts, user: UserId, kind: Kind) -> Vec<Entry> {
    let page = common::http::Page {
        limit: 100,
        after: None,
    };
    let all = parts
        .store
        .of_user(user, crate::store::Only::All, page)
        .await
        .unwrap();
    all.into_iter()
        .map(|listed| listed.entry)
        .filter(|entry| entry.kind == kind)
        .collect()
}

async fn attend(lab: &Lab, parts: &Parts, facts: &EventFacts) -> (UserId, RegistrationId) {
    let user = lab.users.add(Some("Asha"), "asha@example.com", None);
    let fact = confirmed(user, facts);
    parts.receive(vec![confirmation(&fact)]).await;
    (user, fact.registration_id)
}

fn workers(parts: &Arc<Parts>) -> (Reminders, Announcements) {
    (
        Reminders { parts: parts.clone() },
        Announcements { parts: parts.clone() },
    )
}

#[tokio::test]
async fn both_reminders_are_written_when_due_and_once() {
    let lab = Lab::new();
    let (parts, replica) = (lab.parts(), lab.parts());
    let ((reminders, _), (other, _)) = (workers(&parts), workers(&replica));
    let (user, _) = attend(&lab, &parts, &event(TimeDelta::hours(48))).await;
    lab.clock
        .set(at(TimeDelta::hours(24) - TimeDelta::milliseconds(1)));
    assert_eq!(reminders.round().await.unwrap(), 0);
    for (hours, kind) in [(24, Kind::DAY_BEFORE), (45, Kind::HOURS_BEFORE)] {
        lab.clock.set(at(TimeDelta::hours(hours)));
        let (one, two) = tokio::join!(reminders.round(), other.round());
        assert!(one.unwrap() + two.unwrap() >= 1);
        assert_eq!(entries(&parts, user, kind).await.len(), 1);
        assert_eq!(reminders.round().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_reminder_says_how_long_it_is_until_then() {
    let lab = Lab::new();
    let parts = lab.parts();
    let (reminders, _) = workers(&parts);
    attend(&lab, &parts, &event(TimeDelta::hours(48))).await;
    let (mailer, mut sent) = Recorder::new();
    let sender = Sender::new(
        parts.clone(),
        Channel::Email,
        mailer,
        std::time::Duration::from_secs(20),
    );
    let stop = tokio_util::sync::CancellationToken::new();
    sender.round(&stop).await.unwrap();
    while sent.try_recv().is_ok() {}
    for (due_and_late, words) in [
        (24, "In 24 hours: Rust evening"),
        (46, "In 2 hours: Rust evening"),
    ] {
        lab.clock.set(at(TimeDelta::hours(due_and_late)));
        reminders.round().await.unwrap();
        assert_eq!(sender.round(&stop).await.unwrap(), Round::Worked);
        let Content::Email { subject, .. } = sent.recv().await.unwrap().content else {
            panic!()
        };
        assert_eq!(subject, words);
    }
}

#[tokio::test]
async fn after_a_long_downtime_a_reminder_is_skipped() {
    let lab = Lab::new();
    let parts = lab.parts();
    let (reminders, _) = workers(&parts);
    let (user, _) = attend(&lab, &parts, &event(TimeDelta::hours(48))).await;
    lab.clock.set(at(TimeDelta::hours(36)));
    assert_eq!(reminders.round().await.unwrap(), 1);
    assert!(entries(&parts, user, Kind::DAY_BEFORE).await.is_empty());
    lab.clock.set(at(TimeDelta::hours(46)));
    assert_eq!(reminders.round().await.unwrap(), 1);
    assert_eq!(entries(&parts, user, Kind::HOURS_BEFORE).await.len(), 1);
    assert_eq!(
        parts
            .store
            .stats(parts.clock.now())
            .await
            .unwrap()
            .reminders_pending,
        0
    );
}

#[tokio::test]
async fn a_written_reminder_that_cannot_go_out_in_time_never_does() {
    let lab = Lab::new();
    let parts = lab.parts();
    let (reminders, _) = workers(&parts);
    let (user, _) = attend(&lab, &parts, &event(TimeDelta::hours(48))).await;
    lab.clock.set(at(TimeDelta::hours(45)));
    while reminders.round().await.unwrap() > 0 {}
    lab.clock.set(at(TimeDelta::hours(48)));
    let (mailer, mut sent) = Recorder::new();
    let sender = Sender::new(
        parts.clone(),
        Channel::Email,
        mailer,
        std::time::Duration::from_secs(20),
    );
    sender
        .round(&tokio_util::sync::CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(
        entries(&parts, user, Kind::HOURS_BEFORE).await[0].status,
        Status::Skipped
    );
    let mut words = 0;
    while sent.try_recv().is_ok() {
        words += 1;
    }
    assert_eq!(words, 1, "the ticket");
}

#[tokio::test]
async fn nobody_is_reminded_of_what_they_left() {
    let lab = Lab::new();
    let parts = lab.parts();
    let (reminders, _) = workers(&parts);
    let facts = event(TimeDelta::hours(48));
    let user = lab.users.add(None, "asha@example.com", None);
    let fact = confirmed(user, &facts);
    parts
        .receive(vec![confirmation(&fact), end(&fact, EndReason::Attendee)])
        .await;
    lab.clock.set(at(TimeDelta::hours(45)));
    assert_eq!(reminders.round().await.unwrap(), 0);
    assert_eq!(entries(&parts, user, Kind::RegistrationCancelled).await.len(), 1);
}

#[tokio::test]
async fn while_users_is_down_reminders_wait() {
    let lab = Lab::new();
    let parts = lab.parts();
    let (user, _) = attend(&lab, &parts, &event(TimeDelta::hours(48))).await;
    // Another process, which has not asked for this user before.
    let parts = lab.parts();
    let (reminders, _) = workers(&parts);
    lab.clock.set(at(TimeDelta::hours(24)));
    lab.users.set_down(true);
    assert!(reminders.round().await.is_err());
    lab.users.set_down(false);
    assert_eq!(reminders.round().await.unwrap(), 1);
    assert_eq!(entries(&parts, user, Kind::DAY_BEFORE).await.len(), 1);
}

#[tokio::test]
async fn one_who_is_gone_is_not_reminded() {
    let lab = Lab::new();
    let (user, _) = attend(&lab, &lab.parts(), &event(TimeDelta::hours(48))).await;
    let parts = lab.parts();
    let (reminders, _) = workers(&parts);
    lab.users.remove(user);
    lab.clock.set(at(TimeDelta::hours(24)));
    assert_eq!(reminders.round().await.unwrap(), 1);
    assert!(entries(&parts, user, Kind::DAY_BEFORE).await.is_empty());
}

#[tokio::test]
async fn a_moved_event_is_told_and_its_reminders_move() {
    let lab = Lab::new();
    let parts = lab.parts();
    let (reminders, announcements) = workers(&parts);
    let facts = event(TimeDelta::hours(48));
    let (user, _) = attend(&lab, &parts, &facts).await;
    let moved = EventFacts {
        starts_at: at(TimeDelta::hours(72)),
        version: 2,
        schedule_version: 2,
        ..facts
    };
    parts.receive(vec![change(&moved)]).await;
    // Due for the old schedule before the announcement gets there: it moves by itself.
    lab.clock.set(at(TimeDelta::hours(24)));
    assert_eq!(reminders.round().await.unwrap(), 1);
    assert!(entries(&parts, user, Kind::DAY_BEFORE).await.is_empty());
    while announcements.round().await.unwrap() {}
    assert_eq!(entries(&parts, user, Kind::EventUpdated).await.len(), 1);
    assert_eq!(reminders.round().await.unwrap(), 0);
    lab.clock.set(at(TimeDelta::hours(48)));
    assert_eq!(reminders.round().await.unwrap(), 1);
    assert_eq!(entries(&parts, user, Kind::DAY_BEFORE).await.len(), 1);
}

#[tokio::test]
async fn other_reminders_are_no_news_and_come_in_time() {
    let lab = Lab::new();
    let parts = lab.parts();
    let (reminders, announcements) = workers(&parts);
    let facts = event(TimeDelta::hours(48));
    let (user, _) = attend(&lab, &parts, &facts).await;
    let kind = |name| Kind::parse(name).unwrap();
    let other = |version: i64, hours: &[i64]| EventFacts {
        reminders: Leads::new(hours).unwrap(),
        version,
        schedule_version: version,
        ..facts.clone()
    };
    lab.clock.set(at(TimeDelta::hours(24)));
    assert_eq!(reminders.round().await.unwrap(), 1);
    parts.receive(vec![change(&other(2, &[30, 24, 6, 1]))]).await;
    while announcements.round().await.unwrap() {}
    assert_eq!(reminders.round().await.unwrap(), 0);
    lab.clock.set(at(TimeDelta::hours(42)));
    // Due before the announcement gets there: what the event has no more is not sent.
    parts.receive(vec![change(&other(3, &[3, 1]))]).await;
    assert_eq!(reminders.round().await.unwrap(), 1);
    while announcements.round().await.unwrap() {}
    for hours in [45, 47] {
        lab.clock.set(at(TimeDelta::hours(hours)));
        assert_eq!(reminders.round().await.unwrap(), 1);
    }
    for (name, count) in [
        ("reminder_30h", 0),
        ("reminder_24h", 1),
        ("reminder_6h", 0),
        ("reminder_3h", 1),
        ("reminder_1h", 1),
        ("event_updated", 0),
    ] {
        assert_eq!(entries(&parts, user, kind(name)).await.len(), count, "{name}");
    }
}

#[tokio::test]
async fn a_change_and_its_way_back_are_not_told() {
    let lab = Lab::new();
    let parts = lab.parts();
    let (_, announcements) = workers(&parts);
    let facts = event(TimeDelta::hours(48));
    let (user, _) = attend(&lab, &parts, &facts).await;
    let wrong = EventFacts {
        address: "Hall 2".into(),
        version: 2,
        ..facts.clone()
    };
    let right = EventFacts { version: 3, ..facts };
    parts.receive(vec![change(&wrong), change(&right)]).await;
    while announcements.round().await.unwrap() {}
    assert!(entries(&parts, user, Kind::EventUpdated).await.is_empty());
}

#[tokio::test]
async fn a_cancelled_event_is_told_by_the_end_of_the_registration() {
    let lab = Lab::new();
    let parts = lab.parts();
    let (reminders, announcements) = workers(&parts);
    let facts = event(TimeDelta::hours(48));
    let user = lab.users.add(None, "asha@example.com", None);
    let fact = confirmed(user, &facts);
    let cancelled = EventFacts {
        cancelled: true,
        version: 2,
        ..facts
    };
    parts.receive(vec![confirmation(&fact), change(&cancelled)]).await;
    lab.clock.set(at(TimeDelta::hours(45)));
    while reminders.round().await.unwrap() > 0 {}
    while announcements.round().await.unwrap() {}
    assert!(entries(&parts, user, Kind::HOURS_BEFORE).await.is_empty());
    assert!(entries(&parts, user, Kind::EventCancelled).await.is_empty());
    parts.receive(vec![end(&fact, EndReason::EventCancelled)]).await;
    assert_eq!(entries(&parts, user, Kind::EventCancelled).await.len(), 1);
}

#[tokio::test]
async fn a_large_event_is_told_in_steps() {
    let lab = Lab::new();
    let (parts, replica) = (lab.parts(), lab.parts());
    let ((_, one), (_, two)) = (workers(&parts), workers(&replica));
    let facts = event(TimeDelta::hours(48));
    let users: Vec<_> = (0..1100)
        .map(|n| lab.users.add(None, &format!("u{n}@example.com"), None))
        .collect();
    for users in users.chunks(500) {
        parts
            .receive(
                users
                    .iter()
                    .map(|user| confirmation(&confirmed(*user, &facts)))
                    .collect(),
            )
            .await;
    }
    parts
        .receive(vec![change(&EventFacts {
            address: "Hall 2".into(),
            version: 2,
            ..facts
        })])
        .await;
    loop {
        let (one, two) = tokio::join!(one.round(), two.round());
        if !(one.unwrap() | two.unwrap()) {
            break;
        }
    }
    let stats = parts.store.stats(parts.clock.now()).await.unwrap();
    assert_eq!(stats.queued, 2 * 1100);
}
