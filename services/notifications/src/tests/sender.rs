//! Sending, one round at a time: what happens when a worker dies, is slow, or is stopped.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use common::{ids::UserId, subscriber::Subscriber};
use tokio_util::sync::CancellationToken;

use super::{
    kit::{Lab, at, confirmation, confirmed, event, eventually},
    recorder::Recorder,
};
use crate::{
    app::Parts,
    channels::{MailError, Mailer, Pace, Parcel},
    domain::message::{Channel, Status},
    store::Only,
    workers::sender::{Round, Sender},
};

const LEASE: Duration = Duration::from_secs(20);

/// Queues a letter each for `pairs` of people.
async fn queue(lab: &Lab, parts: &Parts, pairs: usize) -> Vec<UserId> {
    let facts = event(TimeDelta::hours(-1));
    let users: Vec<_> = (0..2 * pairs)
        .map(|n| lab.users.add(None, &format!("u{n}@example.com"), None))
        .collect();
    parts
        .receive(
            users
                .iter()
                .map(|user| confirmation(&confirmed(*user, &facts)))
                .collect(),
        )
        .await;
    users
}

fn sender(parts: &Arc<Parts>, mailer: Arc<dyn Mailer>) -> Sender {
    Sender::new(parts.clone(), Channel::Email, mailer, LEASE)
}

async fn statuses(parts: &Parts, users: &[UserId]) -> Vec<Status> {
    let mut all = Vec::new();
    for user in users {
        let page = common::http::Page {
            limit: 100,
            after: None,
        };
        all.extend(
            parts
                .store
                .of_user(*user, Only::All, page)
                .await
                .unwrap()
                .into_iter()
                .map(|entry| entry.status),
        );
    }
    all
}

fn drained(received: &mut tokio::sync::mpsc::UnboundedReceiver<Parcel>) -> Vec<Parcel> {
    std::iter::from_fn(|| received.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_crash_between_sending_and_noting_costs_one_repeat_under_the_same_id() {
    let lab = Lab::new();
    let parts = lab.parts();
    let users = queue(&lab, &parts, 3).await;
    let (mailer, mut received) = Recorder::new();
    let stop = CancellationToken::new();
    {
        let dies = sender(&parts, mailer.clone());
        let claimed = dies.claim().await.unwrap();
        let (reports, reached) = dies.deliver(claimed, &stop).await;
        assert!(reached && reports.len() == 6);
        // Here it dies: the reports are never noted.
    }
    let first = drained(&mut received);

    let restarted = lab.parts();
    let next = sender(&restarted, mailer.clone());
    assert_eq!(
        next.round(&stop).await.unwrap(),
        Round::Idle,
        "the lease is still held"
    );
    lab.clock.set(at(TimeDelta::seconds(20)));
    assert_eq!(next.round(&stop).await.unwrap(), Round::Worked);
    assert_eq!(next.round(&stop).await.unwrap(), Round::Idle);
    let second = drained(&mut received);
    let ids = |parcels: &[Parcel]| {
        let mut ids: Vec<_> = parcels.iter().map(|parcel| parcel.id).collect();
        ids.sort();
        ids
    };
    assert_eq!((ids(&first), first.len()), (ids(&second), 6));
    let text = |parcels: Vec<Parcel>| parcels.into_iter().map(|p| (p.id, p)).collect::<HashMap<_, _>>();
    assert_eq!(text(first), text(second), "a repeat says the same");
    assert!(
        statuses(&parts, &users)
            .await
            .iter()
            .all(|status| *status == Status::Sent)
    );
    lab.clock.set(at(TimeDelta::hours(50)));
    assert_eq!(next.round(&stop).await.unwrap(), Round::Idle);
}

#[tokio::test]
async fn a_worker_that_wakes_up_too_late_notes_nothing() {
    let lab = Lab::new();
    let parts = lab.parts();
    let users = queue(&lab, &parts, 1).await;
    let (mailer, mut received) = Recorder::new();
    let (slow, quick, stop) = (
        sender(&parts, mailer.clone()),
        sender(&parts, mailer),
        CancellationToken::new(),
    );
    let claimed = slow.claim().await.unwrap();
    let (mut reports, _) = slow.deliver(claimed, &stop).await;
    lab.clock.set(at(TimeDelta::seconds(21)));
    let taken_over = quick.claim().await.unwrap();
    for report in &mut reports {
        report.result = crate::store::Tried::Failed {
            why: "from a worker that lost its lease".into(),
        };
    }
    slow.report(reports, &stop).await.unwrap();
    assert!(
        statuses(&parts, &users)
            .await
            .iter()
            .all(|status| *status == Status::Sending)
    );
    let (reports, _) = quick.deliver(taken_over, &stop).await;
    quick.report(reports, &stop).await.unwrap();
    assert!(
        statuses(&parts, &users)
            .await
            .iter()
            .all(|status| *status == Status::Sent)
    );
    assert_eq!(drained(&mut received).len(), 4);
}

#[tokio::test]
async fn two_services_on_one_file_send_each_message_once() {
    let lab = Lab::new();
    let (mailer, mut received) = Recorder::new();
    let services = [lab.service_sending(mailer.clone()), lab.service_sending(mailer)];
    let facts = event(TimeDelta::hours(48));
    let mut users = Vec::new();
    for chunk in 0..10 {
        let people: Vec<_> = (0..25)
            .map(|n| lab.users.add(None, &format!("u{chunk}-{n}@example.com"), None))
            .collect();
        let batch: Vec<_> = people
            .iter()
            .map(|user| confirmation(&confirmed(*user, &facts)))
            .collect();
        let (one, two) = tokio::join!(
            services[chunk % 2].deliver(&batch),
            services[(chunk + 1) % 2].deliver(&batch)
        );
        assert_eq!((one.len(), two.len()), (25, 25));
        users.extend(people);
    }
    eventually(async || {
        let metrics = services[0].get("/metrics").await.text;
        metrics
            .contains("messages_queued{service=\"notifications\"} 0")
            .then_some(())
    })
    .await;
    let mut calls: HashMap<_, usize> = HashMap::new();
    for parcel in drained(&mut received) {
        *calls.entry(parcel.id).or_default() += 1;
    }
    assert_eq!(calls.len(), users.len());
    assert!(calls.values().all(|count| *count == 1), "{calls:?}");
    // Those who watch are told of each.
    let mut told = HashSet::new();
    eventually(async || {
        told.extend(
            lab.users
                .live_room()
                .published()
                .into_iter()
                .map(|one| one.user_id),
        );
        (told == users.iter().copied().collect()).then_some(())
    })
    .await;
    for service in services {
        assert!(
            service
                .context
                .workers
                .clone()
                .shut_down(Duration::from_secs(5))
                .await
        );
    }
}

#[tokio::test]
async fn a_stop_finishes_what_is_on_its_way_and_hands_back_the_rest() {
    let lab = Lab::new();
    let parts = lab.parts();
    let users = queue(&lab, &parts, 5).await;
    let pace = Pace {
        batch: 16,
        at_once: 4,
        patience: Duration::from_secs(15),
    };
    let (mailer, mut received) = Recorder::with(pace, 0);
    let (worker, stop) = (sender(&parts, mailer.clone()), CancellationToken::new());
    let running = tokio::spawn(worker.run(stop.clone()));
    for _ in 0..4 {
        received.recv().await.unwrap();
    }
    stop.cancel();
    mailer.gate.add_permits(100);
    running.await.unwrap();
    let statuses = statuses(&parts, &users).await;
    let count = |status| statuses.iter().filter(|s| **s == status).count();
    assert_eq!(
        (
            count(Status::Sent),
            count(Status::Queued),
            drained(&mut received).len()
        ),
        (4, 6, 0)
    );
    // The next worker has no lease to wait for.
    assert_eq!(
        sender(&parts, mailer)
            .round(&CancellationToken::new())
            .await
            .unwrap(),
        Round::Worked
    );
    assert_eq!(drained(&mut received).len(), 6);
}

#[tokio::test]
async fn a_slow_provider_never_outlasts_the_lease() {
    let lab = Lab::new();
    let parts = lab.parts();
    let users = queue(&lab, &parts, 5).await;
    let pace = Pace {
        batch: 16,
        at_once: 4,
        patience: Duration::from_secs(60),
    };
    let (mailer, mut received) = Recorder::with(pace, 0);
    let lease = Duration::from_secs(1);
    let worker = Sender::new(parts.clone(), Channel::Email, mailer.clone(), lease);
    let claimed = worker.claim().await.unwrap();
    let began = tokio::time::Instant::now();
    let (reports, _) = worker.deliver(claimed, &CancellationToken::new()).await;
    assert!(began.elapsed() < lease, "{:?}", began.elapsed());
    assert_eq!(
        drained(&mut received).len(),
        4,
        "no call starts that could outlast the lease"
    );
    worker.report(reports, &CancellationToken::new()).await.unwrap();
    assert!(
        statuses(&parts, &users)
            .await
            .iter()
            .all(|status| *status == Status::Queued)
    );
}

#[tokio::test]
async fn a_provider_that_is_away_is_not_asked_for_each_message() {
    let lab = Lab::new();
    let parts = lab.parts();
    queue(&lab, &parts, 8).await;
    let (mailer, mut received) = Recorder::new();
    mailer
        .answers
        .lock()
        .push(Err(MailError::Unreachable("refused".into())));
    let (worker, stop) = (sender(&parts, mailer), CancellationToken::new());
    assert_eq!(worker.round(&stop).await.unwrap(), Round::Unreachable);
    let tried = drained(&mut received).len();
    assert!((1..=4).contains(&tried), "those that had begun: {tried}");
    assert_eq!(worker.round(&stop).await.unwrap(), Round::Worked);
    assert_eq!(
        drained(&mut received).len(),
        16 - 1,
        "all but the one that failed"
    );
    lab.clock.set(at(TimeDelta::seconds(10)));
    assert_eq!(worker.round(&stop).await.unwrap(), Round::Worked);
    assert_eq!(drained(&mut received).len(), 1);
}

#[tokio::test]
async fn a_refusal_for_good_ends_and_one_for_now_does_not() {
    let lab = Lab::new();
    let parts = lab.parts();
    let users = queue(&lab, &parts, 1).await;
    let (mailer, mut received) = Recorder::new();
    mailer.answers.lock().extend([
        Err(MailError::Permanent("550 no".into())),
        Err(MailError::Temporary("451 later".into())),
    ]);
    let (worker, stop) = (sender(&parts, mailer), CancellationToken::new());
    worker.round(&stop).await.unwrap();
    let mut seen = statuses(&parts, &users).await;
    seen.sort_by_key(|status| status.name());
    assert_eq!(seen, [Status::Failed, Status::Queued]);
    assert_eq!(
        worker.round(&stop).await.unwrap(),
        Round::Idle,
        "it waits its time"
    );
    lab.clock.set(at(TimeDelta::seconds(7)));
    worker.round(&stop).await.unwrap();
    assert_eq!(drained(&mut received).len(), 3);
    assert_eq!(parts.store.stats(parts.clock.now()).await.unwrap().failed, 1);
}

#[tokio::test]
async fn a_slow_channel_does_not_hold_up_the_other() {
    let lab = Lab::new();
    let parts = lab.parts();
    let user = lab.users.add(None, "asha@example.com", Some("+911234567890"));
    parts
        .receive(vec![confirmation(&confirmed(user, &event(TimeDelta::hours(48))))])
        .await;
    let pace = Pace {
        batch: 16,
        at_once: 4,
        patience: Duration::from_secs(15),
    };
    let ((stuck, mut at_stuck), (free, mut at_free)) = (Recorder::with(pace, 0), Recorder::new());
    let stop = CancellationToken::new();
    let email =
        tokio::spawn(Sender::new(parts.clone(), Channel::Email, stuck.clone(), LEASE).run(stop.clone()));
    let sms = tokio::spawn(Sender::new(parts.clone(), Channel::Sms, free, LEASE).run(stop.clone()));
    assert!(at_stuck.recv().await.is_some());
    assert_eq!(at_free.recv().await.unwrap().address, "+911234567890");
    stop.cancel();
    stuck.gate.add_permits(10);
    email.await.unwrap();
    sms.await.unwrap();
}
