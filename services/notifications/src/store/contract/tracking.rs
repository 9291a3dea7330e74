//! What providers report, and what operators have sent again.

use chrono::TimeDelta;
use common::ids::{MessageId, new_id};

use super::{Fresh, kit::*};
use crate::{
    domain::{
        delivery::Outcome,
        message::{Channel, Kind, Status},
    },
    store::{Change, Claimed, News, Tried},
};

/// A text message that a worker has.
async fn texted(fresh: &Fresh) -> Claimed {
    let (facts, person) = (event(hours(-1)), Person::new());
    let letters = vec![person.letter(&facts, Kind::Ticket, Channel::Sms)];
    take(&fresh.store, [Change::Told { letters }]).await;
    let until = at(TimeDelta::seconds(20));
    let claimed = fresh
        .store
        .claim(Channel::Sms, new_id(), now(), until, 8)
        .await
        .unwrap();
    claimed
        .into_iter()
        .find(|claim| claim.message.user_id == person.user)
        .unwrap()
}

fn taken(claim: &Claimed, provider_id: &str) -> Vec<crate::store::DeliveryReport> {
    let result = Tried::Sent {
        provider: "twilio",
        provider_id: provider_id.to_owned(),
    };
    vec![report(claim, result)]
}

fn news(id: Option<MessageId>, provider_id: &str, outcome: Outcome) -> News {
    News {
        provider: "twilio",
        id,
        provider_id: provider_id.to_owned(),
        outcome,
    }
}

pub async fn a_provider_reports_by_its_own_name(fresh: &Fresh) {
    let store = &fresh.store;
    let (one, two) = (texted(fresh).await, texted(fresh).await);
    assert_eq!(
        note(store, taken(&one, "SM1")).await + note(store, taken(&two, "SM2")).await,
        2
    );
    let later = at(TimeDelta::minutes(1));
    let arrived = |provider_id| news(None, provider_id, Outcome::Delivered);
    assert_eq!(
        store.note(arrived("SM1"), later).await.unwrap(),
        Some(one.message.id)
    );
    assert_eq!(
        store.note(arrived("SM1"), later).await.unwrap(),
        None,
        "it is known"
    );
    assert_eq!(
        store.note(arrived("SM3"), later).await.unwrap(),
        None,
        "there is none"
    );
    let other = News {
        provider: "msg91",
        ..arrived("SM2")
    };
    assert_eq!(store.note(other, later).await.unwrap(), None, "another's");
    let record = store.record(one.message.id).await.unwrap().unwrap();
    assert_eq!(
        (record.entry.status, record.entry.delivered_at),
        (Status::Delivered, Some(later))
    );
    assert_eq!(record.entry.sent_at, Some(now()));
    let lost = news(None, "SM2", Outcome::Failed("unreachable".into()));
    assert_eq!(
        fresh.other.note(lost.clone(), later).await.unwrap(),
        Some(two.message.id)
    );
    assert_eq!(store.note(lost, later).await.unwrap(), None);
    let record = store.record(two.message.id).await.unwrap().unwrap();
    assert_eq!(record.entry.status, Status::Failed);
    assert_eq!(record.entry.error.as_deref(), Some("unreachable"));
    let mine = News {
        id: Some(two.message.id),
        ..arrived("SM2")
    };
    assert_eq!(
        store.note(mine, later).await.unwrap(),
        Some(two.message.id),
        "it has come after all"
    );
    assert_eq!(store.record(MessageId::new()).await.unwrap(), None);
}

pub async fn a_report_may_come_before_the_worker_s(fresh: &Fresh) {
    let store = &fresh.store;
    let claim = texted(fresh).await;
    let early = news(Some(claim.message.id), "SM1", Outcome::Delivered);
    assert_eq!(store.note(early, now()).await.unwrap(), Some(claim.message.id));
    let published = store.outbox().due("live", now(), 8).await.unwrap();
    assert_eq!(
        published.len(),
        1,
        "it was sent, and who follows their messages hears of it"
    );
    // The worker's word, and its death, change nothing any more.
    assert_eq!(note(store, taken(&claim, "SM1")).await, 0);
    assert_eq!(store.next_message(Channel::Sms).await.unwrap(), None);
    let record = store.record(claim.message.id).await.unwrap().unwrap();
    assert_eq!(record.entry.status, Status::Delivered);
    assert_eq!(
        (record.provider.as_deref(), record.provider_id.as_deref()),
        (Some("twilio"), Some("SM1"))
    );
}

pub async fn what_was_given_up_is_sent_again(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 3).await;
    let claimed = claim(store, now(), 8).await;
    let why = || "broken".to_owned();
    let reports = vec![
        report(&claimed[0], Tried::Dead { why: why() }),
        report(&claimed[1], Tried::Dead { why: why() }),
        report(&claimed[2], Tried::Failed { why: why() }),
    ];
    assert_eq!(note(store, reports).await, 3);
    let ids: Vec<MessageId> = claimed.iter().map(|claim| claim.message.id).collect();
    let mut listed: Vec<MessageId> = ids[..2].to_vec();
    listed.sort_by(|a, b| b.cmp(a));
    let dead = async || -> Vec<MessageId> {
        let dead = store.dead(10).await.unwrap();
        dead.iter().map(|record| record.entry.id).collect()
    };
    assert_eq!(dead().await, listed);
    let stats = store.stats(now()).await.unwrap();
    assert_eq!((stats.dead, stats.failed), (2, 1));
    let named = |n: usize| Some(vec![ids[n], MessageId::new()]);
    assert_eq!(
        store.redrive(named(2), now()).await.unwrap(),
        1,
        "one that failed, by its id"
    );
    assert_eq!(store.redrive(named(2), now()).await.unwrap(), 0, "it waits");
    assert_eq!(store.redrive(None, now()).await.unwrap(), 2);
    assert!(dead().await.is_empty());
    let again = claim(store, now(), 8).await;
    assert_eq!(again.len(), 3);
    assert!(
        again.iter().all(|claim| claim.attempts == 1),
        "with all its tries"
    );
    assert_eq!(note(store, again.iter().map(sent).collect()).await, 3);
    for person in people {
        assert_eq!(
            status(store, person, Kind::RegistrationConfirmed).await,
            Status::Sent
        );
    }
    assert_eq!(
        store.redrive(Some(ids), now()).await.unwrap(),
        0,
        "what was sent is not sent again"
    );
}
