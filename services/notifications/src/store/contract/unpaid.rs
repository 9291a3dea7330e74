//! The messages about a registration that is not paid for.

use chrono::TimeDelta;
use common::money::Paise;

use super::{Fresh, kit::*};
use crate::{
    domain::message::{Channel, Kind, Letter, Status},
    store::Change,
};

fn letter(person: &Person, kind: Kind, amount: i64, window: i64) -> Letter {
    let mut letter = person.letter(&event(hours(48)), kind, Channel::Email);
    letter.details.amount = Some(Paise(amount));
    letter.schedule_version = window;
    if kind == Kind::PaymentFailed {
        letter.not_before = Some(at(TimeDelta::seconds(60)));
    }
    letter
}

fn unpaid(person: &Person, letter: Letter) -> Change {
    Change::Unpaid {
        registration_id: person.registration,
        facts: None,
        letters: vec![letter],
    }
}

fn paid(person: &Person) -> Change {
    match person.confirmed(&event(hours(48))) {
        Change::Confirmed {
            registration_id,
            user_id,
            facts,
            letters,
            ..
        } => Change::Confirmed {
            registration_id,
            user_id,
            facts,
            letters,
            paid: true,
        },
        other => other,
    }
}

pub async fn a_decline_is_told_after_a_while_and_in_its_newest_words(fresh: &Fresh) {
    let (store, person) = (&fresh.store, Person::new());
    for (amount, window) in [(1, 7), (2, 7), (3, 7)] {
        take(
            store,
            [unpaid(
                &person,
                letter(&person, Kind::PaymentFailed, amount, window),
            )],
        )
        .await;
    }
    assert!(claim(store, at(TimeDelta::seconds(59)), 10).await.is_empty());
    let claimed = claim(store, at(TimeDelta::seconds(60)), 10).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].message.details.amount, Some(Paise(3)));
    note(store, vec![sent(&claimed[0])]).await;
    // In the same quarter of an hour no other is sent, in the next one it is.
    for (window, count) in [(7, 1), (8, 2)] {
        take(
            store,
            [unpaid(&person, letter(&person, Kind::PaymentFailed, 4, window))],
        )
        .await;
        assert_eq!(entries(store, person.user).await.len(), count);
    }
}

pub async fn who_pays_is_told_of_no_decline(fresh: &Fresh) {
    let store = &fresh.store;
    // The decline comes first, in the same batch, or after the confirmation.
    let (early, together, late) = (Person::new(), Person::new(), Person::new());
    let decline = |person: &Person| unpaid(person, letter(person, Kind::PaymentFailed, 1, 1));
    take(store, [decline(&early)]).await;
    take(store, [paid(&early)]).await;
    take(store, [decline(&together), paid(&together)]).await;
    take(store, [paid(&late), decline(&late)]).await;
    for person in [early, together, late] {
        let told = statuses(store, person.user).await;
        let decline = told.iter().find(|(kind, _)| *kind == Kind::PaymentFailed);
        assert!(
            decline.is_none_or(|(_, status)| *status == Status::Skipped),
            "{told:?}"
        );
    }
    assert_eq!(
        claim(store, at(TimeDelta::seconds(90)), 10).await.len(),
        3,
        "three tickets"
    );
}

pub async fn an_expired_hold_is_told_once_and_in_place_of_a_decline(fresh: &Fresh) {
    let (store, person) = (&fresh.store, Person::new());
    let expired = || unpaid(&person, letter(&person, Kind::HoldExpired, 1, 0));
    let decline = || unpaid(&person, letter(&person, Kind::PaymentFailed, 1, 1));
    take(store, [decline()]).await;
    take(store, [expired(), expired(), decline()]).await;
    let told = statuses(store, person.user).await;
    assert_eq!(
        told,
        [
            (Kind::HoldExpired, Status::Queued),
            (Kind::PaymentFailed, Status::Skipped)
        ]
    );
    // Late money: the ticket is sent and the expired hold is not.
    take(store, [paid(&person)]).await;
    let claimed = claim(store, at(TimeDelta::seconds(90)), 10).await;
    assert_eq!(claimed.len(), 1);
    assert_ne!(claimed[0].message.kind, Kind::HoldExpired);
}

pub async fn who_has_cancelled_is_told_of_nothing_unpaid(fresh: &Fresh) {
    let (store, person) = (&fresh.store, Person::new());
    take(
        store,
        [unpaid(&person, letter(&person, Kind::PaymentFailed, 1, 1))],
    )
    .await;
    take(store, [person.ended(&event(hours(48)))]).await;
    take(store, [unpaid(&person, letter(&person, Kind::HoldExpired, 1, 0))]).await;
    let told = statuses(store, person.user).await;
    assert!(
        told.iter().all(|(kind, _)| *kind != Kind::HoldExpired),
        "{told:?}"
    );
    assert!(told.contains(&(Kind::PaymentFailed, Status::Skipped)), "{told:?}");
}
