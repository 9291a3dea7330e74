//! Messages on their way out.

use chrono::TimeDelta;
use common::ids::{UserId, new_id};

use super::{Fresh, kit::*};
use crate::domain::delivery::MAX_ATTEMPTS;
use crate::domain::message::{Channel, Kind, Letter, Status};
use crate::store::{Change, Intake, Tried, messages::NotificationSent};

pub async fn claims_are_taken_once(fresh: &Fresh) {
    queue(&fresh.store, 20).await;
    let (one, two, three) = tokio::join!(
        claim(&fresh.store, now(), 8),
        claim(&fresh.other, now(), 8),
        claim(&fresh.store, now(), 8)
    );
    let mut ids: Vec<_> = one
        .iter()
        .chain(&two)
        .chain(&three)
        .map(|claim| claim.message.id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    assert!(claim(&fresh.other, now(), 8).await.is_empty());
    assert!(
        one.iter()
            .all(|claim| claim.attempts == 1 && claim.message.status == Status::Sending)
    );
    assert_eq!(
        fresh.store.next_message(Channel::Email).await.unwrap(),
        Some(at(TimeDelta::seconds(20)))
    );
}

pub async fn an_expired_lease_is_taken_over(fresh: &Fresh) {
    let store = &fresh.store;
    queue(store, 1).await;
    let first = claim(store, now(), 8).await.remove(0);
    assert!(
        claim(&fresh.other, at(TimeDelta::milliseconds(19_999)), 8)
            .await
            .is_empty()
    );
    let second = claim(&fresh.other, at(TimeDelta::seconds(20)), 8).await.remove(0);
    assert_eq!(second.message.id, first.message.id);
    assert!(second.fence > first.fence && second.attempts == 2);
}

pub async fn a_clock_put_back_holds_no_message(fresh: &Fresh) {
    let store = &fresh.store;
    queue(store, 1).await;
    // No worker had it yet when the clock was set back; it is not retried without pause when that fails.
    let mut untried = claim(store, at(TimeDelta::hours(-2)), 8).await;
    untried.extend(claim(store, at(TimeDelta::hours(-2)), 8).await);
    let untried = untried.remove(0);
    let later = at(TimeDelta::minutes(-90));
    let why = "x".to_owned();
    note(store, vec![report(&untried, Tried::Retry { at: later, why })]).await;
    assert!(claim(store, at(TimeDelta::hours(-2)), 8).await.is_empty());
    let first = claim(store, now(), 8).await.remove(0);
    assert!(
        claim(&fresh.other, at(TimeDelta::seconds(-5)), 8)
            .await
            .is_empty()
    );
    let mut taken = claim(&fresh.other, at(TimeDelta::hours(-1)), 8).await;
    taken.extend(claim(&fresh.other, at(TimeDelta::hours(-1)), 8).await);
    assert_eq!(taken.len(), 1);
    assert!(taken[0].message.id == first.message.id && taken[0].fence > first.fence);
}

pub async fn a_late_report_is_refused(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 1).await;
    let first = claim(store, now(), 8).await.remove(0);
    let second = claim(&fresh.other, at(TimeDelta::seconds(20)), 8).await.remove(0);
    let retry = Tried::Retry {
        at: now(),
        why: "x".into(),
    };
    for late in [
        sent(&first),
        report(&first, retry),
        report(&first, Tried::Returned),
    ] {
        assert_eq!(note(store, vec![late]).await, 0);
    }
    assert_eq!(
        status(store, people[0], Kind::RegistrationConfirmed).await,
        Status::Sending
    );
    assert_eq!(note(store, vec![sent(&second)]).await, 1);
    assert_eq!(note(store, vec![sent(&second)]).await, 0);
    assert_eq!(
        status(store, people[0], Kind::RegistrationConfirmed).await,
        Status::Sent
    );
    assert!(claim(store, at(hours(100)), 8).await.is_empty());
    let entry = entries(store, people[0].user).await.remove(0);
    assert_eq!(entry.sent_at, Some(now()));
    // It is published once, and loaded for its reader only.
    let published = store.outbox().due("live", now(), 8).await.unwrap();
    let [published] = &published[..] else {
        panic!("{} are published", published.len());
    };
    let told: NotificationSent = published.event.data().unwrap();
    assert_eq!((told.message_id, told.user_id), (entry.id, people[0].user));
    assert_eq!(
        store.entry(entry.id, people[0].user).await.unwrap(),
        Some(entry.clone())
    );
    assert_eq!(store.entry(entry.id, UserId::new()).await.unwrap(), None);
}

pub async fn retries_wait_and_end(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 1).await;
    let mut when = now();
    for attempts in 1..=MAX_ATTEMPTS {
        let claim = claim(store, when, 8).await.remove(0);
        assert_eq!(claim.attempts, attempts);
        when += TimeDelta::minutes(1);
        assert_eq!(
            note(
                store,
                vec![report(
                    &claim,
                    Tried::Retry {
                        at: when,
                        why: "busy".into()
                    }
                )]
            )
            .await,
            1
        );
        assert!(
            self::claim(store, when - TimeDelta::milliseconds(1), 8)
                .await
                .is_empty()
        );
    }
    assert!(claim(store, at(hours(1000)), 8).await.is_empty());
    assert_eq!(
        status(store, people[0], Kind::RegistrationConfirmed).await,
        Status::Dead
    );
    let stats = store.stats(now()).await.unwrap();
    assert_eq!((stats.queued, stats.dead), (0, 1));
}

pub async fn a_permanent_failure_ends(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 1).await;
    let claimed = claim(store, now(), 8).await.remove(0);
    assert_eq!(
        note(
            store,
            vec![report(
                &claimed,
                Tried::Failed {
                    why: "no such mailbox".into()
                }
            )]
        )
        .await,
        1
    );
    assert_eq!(
        status(store, people[0], Kind::RegistrationConfirmed).await,
        Status::Failed
    );
    assert!(claim(store, at(hours(100)), 8).await.is_empty());
}

pub async fn returned_claims_do_not_count(fresh: &Fresh) {
    let store = &fresh.store;
    queue(store, 1).await;
    for _ in 0..3 {
        let claim = claim(store, now(), 8).await.remove(0);
        assert_eq!(claim.attempts, 1);
        assert_eq!(note(store, vec![report(&claim, Tried::Returned)]).await, 1);
    }
}

pub async fn tries_cut_short_end(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 1).await;
    let mut when = now();
    for _ in 0..MAX_ATTEMPTS {
        assert_eq!(claim(store, when, 8).await.len(), 1);
        when += TimeDelta::seconds(20);
    }
    assert!(claim(store, when, 8).await.is_empty());
    assert_eq!(
        status(store, people[0], Kind::RegistrationConfirmed).await,
        Status::Dead
    );
}

pub async fn nothing_is_sent_after_its_time(fresh: &Fresh) {
    let store = &fresh.store;
    let (person, facts) = (Person::new(), event(hours(3)));
    let until = |kind, end| Letter {
        not_after: Some(at(end)),
        ..person.letter(&facts, kind, Channel::Email)
    };
    let letters = vec![
        until(Kind::HOURS_BEFORE, hours(1)),
        until(Kind::DAY_BEFORE, hours(2)),
    ];
    take(store, [Change::Told { letters }]).await;
    let claims = claim(store, at(hours(1)), 8).await;
    assert_eq!(
        claims.iter().map(|claim| claim.message.kind).collect::<Vec<_>>(),
        [Kind::DAY_BEFORE]
    );
    assert_eq!(status(store, person, Kind::HOURS_BEFORE).await, Status::Skipped);
    let too_late = Tried::Retry {
        at: at(hours(2)),
        why: "busy".into(),
    };
    assert_eq!(note(store, vec![report(&claims[0], too_late)]).await, 1);
    assert_eq!(status(store, person, Kind::DAY_BEFORE).await, Status::Failed);
}

pub async fn what_is_withdrawn_in_flight_is_not_tried_again(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    for result in [
        Some(Tried::Retry {
            at: now(),
            why: "busy".into(),
        }),
        Some(Tried::Returned),
        Some(Tried::Sent {
            provider: PROVIDER,
            provider_id: "1".into(),
        }),
        None,
    ] {
        let person = attend(store, &facts).await;
        let reminders = due(store, hours(24)).await;
        store
            .decide(reminders.iter().map(send).collect(), now())
            .await
            .unwrap();
        let claims = claim(store, now(), 8).await;
        let reminder = claims
            .iter()
            .find(|claim| claim.message.kind == Kind::DAY_BEFORE)
            .unwrap();
        let others = claims
            .iter()
            .filter(|claim| claim.message.kind != Kind::DAY_BEFORE)
            .map(sent)
            .collect();
        note(store, others).await;
        take(store, [person.ended(&facts)]).await;
        let expected = match &result {
            Some(Tried::Sent { .. }) => Status::Sent,
            _ => Status::Skipped,
        };
        match result {
            Some(result) => assert_eq!(note(store, vec![report(reminder, result)]).await, 1),
            None => {
                let later = claim(store, at(TimeDelta::seconds(20)), 8).await;
                assert!(
                    later
                        .iter()
                        .all(|claim| claim.message.kind == Kind::RegistrationCancelled)
                );
            }
        }
        assert_eq!(status(store, person, Kind::DAY_BEFORE).await, expected);
        note(
            store,
            claim(store, at(hours(1)), 8).await.iter().map(sent).collect(),
        )
        .await;
    }
}

pub async fn channels_do_not_mix(fresh: &Fresh) {
    let store = &fresh.store;
    let (person, facts) = (Person::new(), event(hours(3)));
    take(
        store,
        [Change::Told {
            letters: vec![person.letter(&facts, Kind::Ticket, Channel::Sms)],
        }],
    )
    .await;
    assert_eq!(store.next_message(Channel::Email).await.unwrap(), None);
    assert_eq!(store.next_message(Channel::Sms).await.unwrap(), Some(now()));
    assert!(claim(store, now(), 8).await.is_empty());
    let claims = store
        .claim(Channel::Sms, new_id(), now(), at(hours(1)), 8)
        .await
        .unwrap();
    assert_eq!(claims.len(), 1);
    assert_eq!(
        (claims[0].message.channel, claims[0].message.facts.clone()),
        (Channel::Sms, None)
    );
}

pub async fn the_longest_due_goes_first(fresh: &Fresh) {
    let store = &fresh.store;
    let mut ids = Vec::new();
    for minutes in [3, 1, 2] {
        let (person, facts) = (Person::new(), event(hours(3)));
        let letter = person.letter(&facts, Kind::Ticket, Channel::Email);
        ids.push(letter.id);
        let batch = [Intake {
            id: new_id(),
            change: Change::Told {
                letters: vec![letter],
            },
        }]
        .into();
        store.take(batch, at(TimeDelta::minutes(minutes))).await.unwrap();
    }
    let later = at(TimeDelta::minutes(3));
    assert_eq!(store.stats(later).await.unwrap().overdue_millis, 120_000);
    let first: Vec<_> = claim(store, later, 2)
        .await
        .iter()
        .map(|claim| claim.message.id)
        .collect();
    assert_eq!(first, [ids[1], ids[2]]);
    assert_eq!(claim(store, later, 2).await[0].message.id, ids[0]);
}
