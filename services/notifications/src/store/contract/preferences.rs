//! What people choose to be told.

use std::collections::BTreeMap;

use chrono::NaiveTime;
use chrono_tz::Tz;

use super::{Fresh, kit::*};
use crate::{
    domain::{
        message::{Channel, Kind},
        preferences::{Preferences, QuietHours, Ways},
    },
    store::{Change, PreferencesChange},
};

fn without_reminders() -> Preferences {
    let never = Ways {
        email: false,
        sms: false,
    };
    Preferences {
        kinds: BTreeMap::from([("reminder".to_owned(), never)]),
        quiet: Some(QuietHours {
            from: NaiveTime::from_hms_opt(22, 0, 0).unwrap(),
            to: NaiveTime::from_hms_opt(7, 0, 0).unwrap(),
            zone: Tz::Asia__Kolkata,
        }),
    }
}

pub async fn a_choice_is_kept_until_the_next(fresh: &Fresh) {
    let store = &fresh.store;
    let (one, other) = (Person::new().user, Person::new().user);
    assert_eq!(store.preferences(one).await.unwrap(), Preferences::default());
    let set = |user, change| store.set_preferences(user, change, now());
    let chosen = set(one, PreferencesChange::Set(without_reminders()))
        .await
        .unwrap();
    assert_eq!(chosen, without_reminders());
    assert_eq!(fresh.other.preferences(one).await.unwrap(), without_reminders());
    assert_eq!(store.preferences(other).await.unwrap(), Preferences::default());
    // A link in an e-mail adds to what was chosen.
    let chosen = set(one, PreferencesChange::Unsubscribe("event_updated"))
        .await
        .unwrap();
    assert_eq!(
        (
            chosen.ways("event_updated").email,
            chosen.ways("event_updated").sms
        ),
        (false, true)
    );
    assert!(!chosen.ways("reminder").email && chosen.quiet.is_some());
    assert_eq!(store.preferences(one).await.unwrap(), chosen);
    take(store, [Change::Forget { user_id: one }]).await;
    assert_eq!(store.preferences(one).await.unwrap(), Preferences::default());
    set(one, PreferencesChange::Set(without_reminders()))
        .await
        .unwrap();
    assert_eq!(
        store.preferences(one).await.unwrap(),
        Preferences::default(),
        "the account is gone"
    );
}

pub async fn letters_are_queued_as_their_readers_want(fresh: &Fresh) {
    let store = &fresh.store;
    let (facts, quiet, any) = (event(hours(48)), Person::new(), Person::new());
    let change = PreferencesChange::Set(without_reminders());
    store.set_preferences(quiet.user, change, now()).await.unwrap();
    let both = |person: Person, kind| {
        [Channel::Email, Channel::Sms].map(|channel| person.letter(&facts, kind, channel))
    };
    for person in [quiet, any] {
        let letters = [both(person, Kind::EventUpdated), both(person, Kind::Ticket)].concat();
        take(store, [Change::Told { letters }]).await;
    }
    assert_eq!(
        (
            entries(store, quiet.user).await.len(),
            entries(store, any.user).await.len()
        ),
        (4, 4)
    );
    // Reminders come by a way of their own.
    take(store, [quiet.confirmed(&facts), any.confirmed(&facts)]).await;
    let due = due(store, hours(46)).await;
    assert!(due.len() >= 2);
    store.decide(due.iter().map(send).collect(), now()).await.unwrap();
    let reminded = async |person: Person| {
        let entries = entries(store, person.user).await;
        entries
            .iter()
            .filter(|entry| entry.kind.template() == "reminder")
            .count()
    };
    assert_eq!((reminded(quiet).await, reminded(any).await > 0), (0, true));
}
