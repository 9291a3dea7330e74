//! E-mails in place of text messages that have not arrived.

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use common::{clock::Timestamp, ids::new_id, wire::EventFacts};

use super::{Fresh, kit::*};
use crate::{
    domain::{
        delivery::Outcome,
        message::{Channel, Kind, Letter, Status},
        preferences::{Preferences, Ways},
    },
    store::{Change, Claimed, News, PreferencesChange, Store, Tried},
};

/// A text message that no e-mail goes beside.
fn alone(person: Person, facts: &EventFacts) -> Letter {
    let mut letter = person.letter(facts, Kind::Announcement, Channel::Sms);
    letter.address = "+919876543210".into();
    letter.schedule_version = 7;
    letter.details.instead = Some("asha@example.com".into());
    letter
}

async fn queued(store: &Arc<dyn Store>, letters: Vec<Letter>) {
    take(store, [Change::Told { letters }]).await;
}

async fn claim_sms(store: &Arc<dyn Store>, at: Timestamp) -> Vec<Claimed> {
    let until = at + TimeDelta::seconds(20);
    store.claim(Channel::Sms, new_id(), at, until, 10).await.unwrap()
}

fn why() -> String {
    "unreachable".into()
}

/// Of a person's messages: channel and status, the text messages first.
async fn of(store: &Arc<dyn Store>, person: Person) -> Vec<(Channel, Status)> {
    let mut found: Vec<_> = entries(store, person.user)
        .await
        .iter()
        .map(|entry| (entry.channel, entry.status))
        .collect();
    found.sort();
    found.reverse();
    found
}

const IN_PLACE: [(Channel, Status); 2] = [(Channel::Sms, Status::Failed), (Channel::Email, Status::Queued)];

pub async fn an_e_mail_takes_the_place_of_a_lost_text_message_once(fresh: &Fresh) {
    let (store, facts, person) = (&fresh.store, event(hours(48)), Person::new());
    queued(store, vec![alone(person, &facts)]).await;
    let claimed = claim_sms(store, now()).await;
    let again = Tried::Retry {
        at: at(TimeDelta::seconds(5)),
        why: why(),
    };
    note(store, vec![report(&claimed[0], again)]).await;
    assert_eq!(
        of(store, person).await,
        [(Channel::Sms, Status::Queued)],
        "it may still arrive"
    );
    let claimed = claim_sms(store, at(TimeDelta::seconds(5))).await;
    let failed = report(&claimed[0], Tried::Failed { why: why() });
    assert_eq!(note(store, vec![failed.clone()]).await, 1);
    assert_eq!(note(store, vec![failed]).await, 0);
    assert_eq!(of(store, person).await, IN_PLACE);
    let email = &claim(store, now(), 10).await[0].message;
    let lost = &claimed[0].message;
    assert_eq!(
        (
            email.address.as_str(),
            email.kind,
            email.occurrence,
            email.event_id,
            &email.name
        ),
        (
            "asha@example.com",
            lost.kind,
            lost.occurrence,
            lost.event_id,
            &lost.name
        )
    );
    assert_eq!(email.details.instead, None);
    // Sent again by an operator, and lost again.
    assert_eq!(store.redrive(Some(vec![lost.id]), now()).await.unwrap(), 1);
    let claimed = claim_sms(store, now()).await;
    note(store, vec![report(&claimed[0], Tried::Dead { why: why() })]).await;
    assert_eq!(of(store, person).await.len(), 2);
}

pub async fn a_report_of_a_lost_text_message_has_an_e_mail_sent(fresh: &Fresh) {
    let (store, facts) = (&fresh.store, event(hours(48)));
    for (outcome, expected) in [
        (Outcome::Failed(why()), &IN_PLACE[..]),
        (Outcome::Delivered, &[(Channel::Sms, Status::Delivered)]),
    ] {
        let person = Person::new();
        queued(store, vec![alone(person, &facts)]).await;
        let claimed = claim_sms(store, now()).await;
        note(store, vec![sent(&claimed[0])]).await;
        for _ in 0..2 {
            let news = News {
                provider: PROVIDER,
                id: Some(claimed[0].message.id),
                provider_id: "1".into(),
                outcome: outcome.clone(),
            };
            store.note(news, now()).await.unwrap();
        }
        assert_eq!(of(store, person).await, expected);
    }
}

pub async fn a_text_message_that_is_given_up_has_an_e_mail_sent(fresh: &Fresh) {
    let (store, facts, person) = (&fresh.store, event(hours(48)), Person::new());
    queued(store, vec![alone(person, &facts)]).await;
    let mut turn = now();
    for _ in 0..crate::domain::delivery::MAX_ATTEMPTS {
        assert_eq!(claim_sms(store, turn).await.len(), 1);
        turn += TimeDelta::seconds(20);
    }
    assert_eq!(claim_sms(store, turn).await.len(), 0);
    assert_eq!(
        of(store, person).await,
        [(Channel::Sms, Status::Dead), (Channel::Email, Status::Queued)]
    );
}

pub async fn no_e_mail_takes_its_place_where_none_is_wanted(fresh: &Fresh) {
    let (store, facts) = (&fresh.store, event(hours(48)));
    let (quiet, gone, late, beside) = (Person::new(), Person::new(), Person::new(), Person::new());
    // Who has switched e-mails of the kind off.
    let never = Ways {
        email: false,
        sms: true,
    };
    let choice = Preferences {
        kinds: BTreeMap::from([("announcement".to_owned(), never)]),
        quiet: None,
    };
    let change = PreferencesChange::Set(choice);
    store.set_preferences(quiet.user, change, now()).await.unwrap();
    // Whose registration ends while it is on its way.
    take(store, [gone.confirmed(&facts)]).await;
    // Whose time is over.
    let mut over = alone(late, &facts);
    over.not_after = Some(at(TimeDelta::milliseconds(1)));
    // Who was sent an e-mail, which arrives by itself.
    let mut pair = alone(beside, &facts);
    pair.details.instead = None;
    queued(store, vec![alone(quiet, &facts), alone(gone, &facts), over, pair]).await;
    let claimed = claim_sms(store, now()).await;
    assert_eq!(claimed.len(), 4);
    take(store, [gone.ended(&facts)]).await;
    let reports = claimed
        .iter()
        .map(|claimed| report(claimed, Tried::Failed { why: why() }));
    let later = at(TimeDelta::milliseconds(1));
    store.report(reports.collect(), later).await.unwrap();
    for person in [quiet, gone, late, beside] {
        let announced = entries(store, person.user).await;
        let announced = announced.iter().filter(|entry| entry.kind == Kind::Announcement);
        assert_eq!(
            announced.map(|entry| entry.channel).collect::<Vec<_>>(),
            [Channel::Sms]
        );
    }
}
