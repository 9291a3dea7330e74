//! Sessions: begun, listed, continued and ended.

use std::slice;

use chrono::TimeDelta;
use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    ids::{UserId, new_id},
    wire::EndedSession,
};
use futures_util::future::join_all;
use test_kit::damage::{Bad, Damage, Damager};
use uuid::Uuid;

use super::{account, add, email, hash, issue, mailed_to};
use crate::{
    domain::{Device, Lifetimes, Purpose, RefreshToken, Rotation, Session, TokenHash, TotpSecret},
    store::{NoSession, PasswordChange, Proved, Store},
};

fn session(ended_at: i64, until: i64) -> EndedSession {
    EndedSession {
        session_id: new_id(),
        ended_at: from_millis(ended_at),
        until: from_millis(until),
    }
}

async fn ended(store: &dyn Store, since: Timestamp) -> Vec<EndedSession> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.ended_sessions(since, after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { return all };
        after = Some((last.ended_at, last.session_id));
        all.extend(page);
    }
}

pub async fn ended_sessions_are_listed_in_order(store: &dyn Store) {
    let mut sessions: Vec<EndedSession> = [3_000, 1_000, 2_000, 2_000, 2_000, 2_000, 2_000]
        .map(|at| session(at, 100_000))
        .into();
    for session in &sessions {
        store.end_session(session.clone()).await.unwrap();
    }
    sessions.sort_by_key(|session| (session.ended_at, session.session_id));
    assert_eq!(ended(store, from_millis(-1)).await, sessions);
    assert_eq!(ended(store, from_millis(2_000)).await, sessions[1..]);
    assert_eq!(ended(store, from_millis(2_001)).await, sessions[6..]);
    assert_eq!(ended(store, from_millis(3_001)).await, []);
}

pub async fn a_session_ends_once(store: &dyn Store) {
    let first = session(1_000, 100_000);
    store.end_session(first.clone()).await.unwrap();
    let again = EndedSession {
        ended_at: from_millis(2_000),
        ..first.clone()
    };
    let many = (0..8).map(|_| store.end_session(again.clone()));
    for result in join_all(many).await {
        assert_eq!(result.unwrap(), first);
    }
    assert_eq!(ended(store, from_millis(0)).await, slice::from_ref(&first));
    // Who knows less of its tokens does not shorten how long it is remembered; who knows more does.
    for (until, remembered) in [(2_000, 100_000), (200_000, 200_000)] {
        let other = EndedSession {
            until: from_millis(until),
            ..again.clone()
        };
        let expected = EndedSession {
            until: from_millis(remembered),
            ..first.clone()
        };
        assert_eq!(store.end_session(other).await.unwrap(), expected);
        assert_eq!(ended(store, from_millis(0)).await, [expected]);
    }
}

pub async fn ended_sessions_go_when_their_tokens_have(store: &dyn Store) {
    let (over, lasts) = (session(1_000, 5_000), session(1_000, 5_001));
    for session in [&over, &lasts] {
        store.end_session(session.clone()).await.unwrap();
    }
    let later = session(5_001, 9_000);
    store.end_session(later.clone()).await.unwrap();
    assert_eq!(ended(store, from_millis(0)).await, [lasts, later]);
}

/// A session that began at `at` milliseconds.
fn begun(user: UserId, at: i64) -> Session {
    let token = RefreshToken::first(new_id(), [7; 32]);
    let device = Device {
        user_agent: Some("Firefox 140".to_owned()),
        address: "192.0.2.0/24".to_owned(),
    };
    Session {
        user,
        created_at: from_millis(at),
        last_used_at: from_millis(at + 1),
        ends_at: from_millis(at + 30_000),
        refresh_until: from_millis(at + 7_000),
        access_until: from_millis(at + 1_000),
        ..Session::begin(user, device, &token, from_millis(at), &LIFETIMES)
    }
}

const LIFETIMES: Lifetimes = Lifetimes {
    access: TimeDelta::zero(),
    idle: TimeDelta::zero(),
    absolute: TimeDelta::zero(),
};

pub async fn begin(store: &dyn Store, user: UserId, at: i64) -> Session {
    let session = begun(user, at);
    store.begin_session(session.clone()).await.unwrap();
    session
}

async fn listed(store: &dyn Store, user: UserId, now: i64) -> Vec<Session> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = Page { limit: 2, after };
        let found = store.sessions(user, page, from_millis(now)).await.unwrap();
        assert!(
            found.len() <= 3,
            "one more than asked for, to know whether there is more"
        );
        let (found, next) = page.cut(found, |session| Cursor {
            key: session.created_at.timestamp_millis(),
            id: session.id,
        });
        all.extend(found);
        match next {
            None => return all,
            next => after = next,
        }
    }
}

pub async fn a_session_is_found_as_it_began(store: &dyn Store) {
    let mut session = begin(store, UserId::new(), 1_000).await;
    assert_eq!(store.session(session.id).await.unwrap().as_ref(), Some(&session));
    assert_eq!(store.session(new_id()).await.unwrap(), None);
    session.id = new_id();
    session.device.user_agent = None;
    session.generation = u32::MAX;
    store.begin_session(session.clone()).await.unwrap();
    assert_eq!(store.session(session.id).await.unwrap(), Some(session));
}

pub async fn a_session_begins_for_the_account_that_was_proved(store: &dyn Store) {
    let asha = account("asha@example.org");
    add(store, &asha).await;
    let user = asha.user.id;
    let proved = |user: UserId, address: &str, password: &str| Proved {
        user,
        email: email(address),
        password_hash: Some(hash(password)),
    };
    for (wrong, proved) in [
        ("another address", proved(user, "asha@example.net", "")),
        ("another password", proved(user, "asha@example.org", "another")),
        ("no account", proved(UserId::new(), "asha@example.org", "")),
    ] {
        let session = begun(user, 1_000);
        let begun = store.begin_session_if(proved, false, session.clone()).await;
        assert_eq!(begun.unwrap(), Err(NoSession::AccountChanged), "{wrong}");
        assert_eq!(store.session(session.id).await.unwrap(), None, "{wrong}");
    }
    let session = begun(user, 1_000);
    let right = proved(user, "asha@example.org", "");
    let yes = store.begin_session_if(right, false, session.clone()).await;
    assert_eq!(yes.unwrap(), Ok(()));
    assert_eq!(store.session(session.id).await.unwrap(), Some(session.clone()));
    // At once with a change of the password: the session is ended by that, or never begins.
    let mut password = String::new();
    for round in 0..10 {
        let (old, new) = (password.clone(), format!("{round}"));
        let change = PasswordChange {
            user,
            old: hash(&old),
            new: hash(&new),
            keep: session.id,
            at: from_millis(2_000),
            issue: issue(&asha.user, Purpose::ResetPassword, "asha@example.org", 0),
        };
        let late = begun(user, 1_000);
        let (changed, _) = futures_util::join!(
            store.change_password(change),
            store.begin_session_if(proved(user, "asha@example.org", &old), false, late.clone()),
        );
        assert!(changed.unwrap().is_some());
        assert_eq!(store.session(late.id).await.unwrap(), None, "{round}");
        password = new;
    }
}

pub async fn a_session_waits_for_the_second_factor(store: &dyn Store) {
    let asha = account("asha@example.org");
    add(store, &asha).await;
    let user = asha.user.id;
    let begin = async |passed| {
        let session = begun(user, 1_000);
        let proved = Proved {
            user,
            email: email("asha@example.org"),
            password_hash: Some(hash("")),
        };
        let begun = store.begin_session_if(proved, passed, session.clone()).await;
        let begun = begun.unwrap();
        let stored = store.session(session.id).await.unwrap();
        assert_eq!(stored.is_some(), begun.is_ok());
        begun
    };
    let secret = TotpSecret::new([7; 20]);
    store.propose_second_factor(user, secret.clone()).await.unwrap();
    // What is only proposed is not asked for.
    assert_eq!(begin(false).await, Ok(()));
    let confirmed = store.confirm_second_factor(user, secret, 1, Vec::new(), from_millis(0));
    assert!(confirmed.await.unwrap());
    assert_eq!(begin(false).await, Err(NoSession::SecondFactorNeeded));
    assert_eq!(begin(true).await, Ok(()));
    store.remove_second_factor(user).await.unwrap();
    assert_eq!(begin(false).await, Ok(()));
}

pub async fn sessions_are_listed_newest_first(store: &dyn Store) {
    let (asha, ben) = (UserId::new(), UserId::new());
    let mut sessions = Vec::new();
    for at in [3_000, 1_000, 2_000, 2_000, 2_000] {
        sessions.push(begin(store, asha, at).await);
        begin(store, ben, at).await;
    }
    sessions.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
    assert_eq!(listed(store, asha, 3_000).await, sessions);
    assert_eq!(listed(store, asha, 8_000).await, sessions, "to the last moment");
    assert_eq!(
        listed(store, asha, 8_001).await,
        sessions[..4],
        "those that can be refreshed"
    );
    assert_eq!(listed(store, UserId::new(), 0).await, []);
}

pub async fn of_many_rotations_one_counts(store: &dyn Store) {
    let session = begin(store, UserId::new(), 1_000).await;
    let rotation = |number: u8| Rotation {
        last_used_at: from_millis(2_000),
        refresh_until: from_millis(9_000),
        access_until: from_millis(3_000),
        token: TokenHash([number; 32]),
    };
    let rotations = (0..10).map(|number| store.rotate(session.id, 0, rotation(number)));
    let results: Vec<bool> = join_all(rotations)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(results.iter().filter(|counted| **counted).count(), 1);
    let counted = results.iter().position(|counted| *counted).unwrap();
    let rotated = session.clone().rotated(rotation(counted as u8));
    assert_eq!(store.session(session.id).await.unwrap(), Some(rotated));
    assert!(!store.rotate(new_id(), 0, rotation(0)).await.unwrap());
}

pub async fn a_session_that_ends_takes_its_refresh_token_with_it(store: &dyn Store) {
    let session = begin(store, UserId::new(), 1_000).await;
    let ends = |until| EndedSession {
        session_id: session.id,
        ended_at: from_millis(1_500),
        until: from_millis(until),
    };
    let over = store.end_session(ends(1_200)).await.unwrap();
    assert_eq!(
        over,
        ends(2_000),
        "its access token lasts longer than the one that was shown"
    );
    assert_eq!(ended(store, from_millis(0)).await, [over]);
    assert_eq!(store.session(session.id).await.unwrap(), None);
    let rotation = Rotation {
        last_used_at: from_millis(2_000),
        refresh_until: from_millis(9_000),
        access_until: from_millis(3_000),
        token: TokenHash([0; 32]),
    };
    assert!(!store.rotate(session.id, 0, rotation).await.unwrap());
    // One of an earlier release is not stored.
    let unknown = EndedSession {
        session_id: new_id(),
        ..ends(5_000)
    };
    assert_eq!(store.end_session(unknown.clone()).await.unwrap(), unknown);
}

pub async fn all_sessions_of_a_user_end_but_one(store: &dyn Store) {
    let (asha, ben) = (UserId::new(), UserId::new());
    let mut sessions = Vec::new();
    for at in 0..5 {
        sessions.push(begin(store, asha, at).await);
    }
    let others = begin(store, ben, 0).await;
    let kept = sessions[2].id;
    let end = async |except, limit| {
        let at = from_millis(100);
        store.end_sessions_of(asha, except, at, limit).await.unwrap()
    };
    let first = end(Some(kept), 3).await;
    assert_eq!(first.len(), 3);
    assert_eq!(end(Some(kept), 3).await.len(), 1);
    assert_eq!(end(Some(kept), 3).await, []);
    let left: Vec<Uuid> = listed(store, asha, 100)
        .await
        .iter()
        .map(|session| session.id)
        .collect();
    assert_eq!(left, [kept]);
    assert_eq!(listed(store, ben, 100).await, [others]);
    let known = ended(store, from_millis(0)).await;
    assert_eq!(known.len(), 4);
    for session in first {
        let began = sessions
            .iter()
            .find(|began| began.id == session.session_id)
            .unwrap();
        assert_eq!(
            (session.ended_at, session.until),
            (from_millis(100), began.access_until)
        );
        assert!(known.contains(&session));
    }
    assert_eq!(end(None, 3).await.len(), 1);
}

pub async fn sessions_that_are_over_go(store: &dyn Store) {
    let user = UserId::new();
    let over = begin(store, user, 1_000).await;
    let mut read = begun(user, 1_000);
    read.access_until = from_millis(20_000);
    store.begin_session(read.clone()).await.unwrap();
    begin(store, user, 8_000).await;
    assert!(
        store.session(over.id).await.unwrap().is_some(),
        "to the last moment"
    );
    begin(store, user, 8_001).await;
    assert_eq!(store.session(over.id).await.unwrap(), None);
    assert!(
        store.session(read.id).await.unwrap().is_some(),
        "it has an access token yet"
    );
}

pub async fn a_new_password_ends_the_other_sessions(store: &dyn Store) {
    let (asha, ben) = (account("asha@example.org"), account("ben@example.org"));
    add(store, &asha).await;
    add(store, &ben).await;
    let (id, others) = (asha.user.id, begin(store, ben.user.id, 0).await);
    let mut sessions = Vec::new();
    for at in 0..3 {
        sessions.push(begin(store, id, at).await);
    }
    let change = |old, new| PasswordChange {
        user: id,
        old: hash(old),
        new: hash(new),
        keep: sessions[1].id,
        at: from_millis(100),
        issue: issue(&asha.user, Purpose::ResetPassword, "asha@example.org", 100),
    };
    store
        .issue(vec![issue(
            &asha.user,
            Purpose::ChangeEmail,
            "asha@example.net",
            0,
        )])
        .await
        .unwrap();
    assert_eq!(
        store.change_password(change("2", "3")).await.unwrap(),
        None,
        "it is another"
    );
    assert_eq!(listed(store, id, 100).await.len(), 3);
    assert_eq!(store.account(id).await.unwrap(), Some(asha.clone()));
    // Of two at once one counts.
    let results = join_all(["4", "5"].map(|new| store.change_password(change("", new)))).await;
    let ended: Vec<_> = results.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].len(), 2);
    assert_eq!(listed(store, id, 100).await, [sessions[1].clone()]);
    assert_eq!(listed(store, ben.user.id, 100).await, [others]);
    assert_ne!(
        store.account(id).await.unwrap().unwrap().password_hash,
        Some(hash(""))
    );
    assert_eq!(
        mailed_to(store, "asha@example.net").await,
        [],
        "a change that is pending is off"
    );
    assert_eq!(
        mailed_to(store, "asha@example.org").await.len(),
        1,
        "there is a way out"
    );
    assert_eq!(store.account(ben.user.id).await.unwrap(), Some(ben));
    assert_eq!(store.account(UserId::new()).await.unwrap(), None);
}

pub async fn an_unreadable_session_is_left_out_of_lists(store: &impl Store, damager: &Damager) {
    let user = UserId::new();
    let mut sessions = Vec::new();
    for at in [3_000, 2_000, 1_000] {
        sessions.push(begin(store, user, at).await);
    }
    damager(Damage {
        table: "sessions",
        key: ("id", "_id"),
        id: sessions[1].id,
        field: "address",
        to: Bad::Type,
    })
    .await;
    assert!(store.session(sessions[1].id).await.is_err());
    let page = Page {
        limit: 10,
        after: None,
    };
    let found = store.sessions(user, page, from_millis(3_000)).await.unwrap();
    assert_eq!(found, [sessions[0].clone(), sessions[2].clone()]);
    let page = Page {
        limit: 1,
        after: None,
    };
    let found = store.sessions(user, page, from_millis(3_000)).await.unwrap();
    assert_eq!(
        found.len(),
        2,
        "one more than asked for, so that the next page is found"
    );
    let ended = store
        .end_sessions_of(user, None, from_millis(3_000), 10)
        .await
        .unwrap();
    assert_eq!(ended.len(), 3, "what cannot be read can be ended");
}
