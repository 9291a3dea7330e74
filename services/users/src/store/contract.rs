//! What every store must do. An adapter joins with `crate::store_contract!(make);`, where `make` is an async
//! function that gives an empty store and something to keep alive beside it.

use std::slice;

use chrono::TimeDelta;
use chrono_tz::Asia::Kolkata;
use common::{
    auth::Role,
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    ids::{UserId, new_id},
    wire::{EndedSession, UserCard},
};
use futures_util::future::join_all;
use test_kit::damage::{Bad, Damage, Damager};

use uuid::Uuid;

use super::{InsertError, PasswordChange, Store};
use crate::domain::{
    Account, Details, Device, Email, Lifetimes, Locale, PasswordHash, Phone, RecoveryHash, RefreshToken,
    Rotation, Session, TokenHash, TotpSecret, User, recovery_code,
};

/// Lists every rule once.
#[macro_export]
macro_rules! store_contract {
    ($make:path) => {
        $crate::store_contract!(@rules $make:
            an_account_is_found_as_it_was_added,
            what_is_not_given_is_not_there,
            an_address_has_one_account,
            of_many_at_once_one_gets_the_address,
            what_was_never_added_is_not_found,
            long_texts_survive,
            times_keep_their_milliseconds,
            cards_are_given_once_each_and_only_for_who_exists,
            a_password_hash_is_replaced_only_by_who_knows_it,
            of_two_renewals_one_counts,
            details_change_one_by_one,
            nobody_has_no_details,
            ended_sessions_are_listed_in_order,
            a_session_ends_once,
            ended_sessions_go_when_their_tokens_have,
            a_session_is_found_as_it_began,
            sessions_are_listed_newest_first,
            of_many_rotations_one_counts,
            a_session_that_ends_takes_its_refresh_token_with_it,
            all_sessions_of_a_user_end_but_one,
            sessions_that_are_over_go,
            a_new_password_ends_the_other_sessions,
            a_second_factor_counts_when_it_is_confirmed,
            each_code_is_used_once,
            an_address_gets_its_one_form,
            a_store_answers,
        );
    };
    (@damage $make:path: $($rule:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let (store, kept) = $make().await;
            $crate::store::contract::$rule(&store, $crate::store::contract::Kept::damager(&kept)).await;
            $crate::store::contract::Kept::finish(kept).await;
        }
    )+};
    (@rules $make:path: $($rule:ident),+ $(,)?) => {
        $crate::store_contract!(@damage $make:
            an_unreadable_account_is_left_out_of_lists,
            an_unreadable_session_is_left_out_of_lists,
        );
        $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let (store, kept) = $make().await;
            $crate::store::contract::$rule(&store).await;
            $crate::store::contract::Kept::finish(kept).await;
        }
        )+
    };
}

/// What an adapter keeps beside a store while a rule runs.
pub trait Kept {
    /// Damages rows.
    fn damager(&self) -> &Damager;
    /// Checks of the adapter's own after the rule's run.
    async fn finish(self);
}

/// The folder of a SQLite file, and what damages the file.
pub struct File {
    pub _folder: tempfile::TempDir,
    pub damager: Damager,
}

impl Kept for File {
    fn damager(&self) -> &Damager {
        &self.damager
    }

    async fn finish(self) {}
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

pub async fn an_address_gets_its_one_form(store: &impl Store) {
    let kept = |text: &str| {
        let mut account = account("x@example.org");
        account.user.email = Email::stored(text.to_owned());
        account
    };
    let (plain, punycode) = (kept("plain@example.org"), kept("a@xn--mnchen-3ya.de"));
    let (decomposed, canonical) = (kept("b@mu\u{308}nchen.de"), kept("b@münchen.de"));
    // Older and younger, the younger before in the order of addresses.
    let (older, younger) = (kept("c@xn--mnchen-3ya.de"), kept("c@mu\u{308}nchen.de"));
    let no_name = kept("d@xn--a.org");
    for account in [
        &plain,
        &punycode,
        &decomposed,
        &canonical,
        &older,
        &younger,
        &no_name,
    ] {
        store.insert(account.clone()).await.unwrap();
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let some = store.of_many_forms(after.as_ref(), 2).await.unwrap();
        let Some((_, last)) = some.last() else { break };
        assert!(some.len() <= 2);
        after = Some(last.clone());
        found.extend(some.iter().map(|(user, _)| *user));
    }
    let all = [&punycode, &decomposed, &canonical, &younger, &older, &no_name];
    assert_eq!(found, all.map(|account| account.user.id));
    crate::addresses::unify(store).await.unwrap();
    let of = async |email: &str| {
        let email = Email::stored(email.to_owned());
        store
            .by_email(&email)
            .await
            .unwrap()
            .map(|account| account.user.id)
    };
    assert_eq!(of("a@münchen.de").await, Some(punycode.user.id));
    assert_eq!(of("a@xn--mnchen-3ya.de").await, None);
    assert_eq!(
        of("b@münchen.de").await,
        Some(canonical.user.id),
        "who has it keeps it"
    );
    assert_eq!(
        of("b@mu\u{308}nchen.de").await,
        Some(decomposed.user.id),
        "the other stays as it was"
    );
    assert_eq!(of("c@münchen.de").await, Some(older.user.id), "the older gets it");
    assert_eq!(of("c@mu\u{308}nchen.de").await, Some(younger.user.id));
    assert_eq!(of("d@xn--a.org").await, Some(no_name.user.id));
    assert_eq!(of("plain@example.org").await, Some(plain.user.id));
    // Another process was faster.
    let (from, to) = (
        Email::stored("a@xn--mnchen-3ya.de".to_owned()),
        Email::stored("e@münchen.de".to_owned()),
    );
    assert!(!store.readdress(punycode.user.id, &from, &to).await.unwrap());
    crate::addresses::unify(store).await.unwrap();
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(format!(
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo{text}"
    ))
}

fn account(address: &str) -> Account {
    Account {
        user: User {
            id: UserId::new(),
            email: email(address),
            role: Role::Organizer,
            name: Some("Asha Rao".to_owned()),
            phone: Some(Phone::parse("+919876543210").unwrap()),
            timezone: Some(Kolkata),
            locale: Some(Locale::parse("en-IN").unwrap()),
            created_at: from_millis(1_732_281_246_123),
        },
        password_hash: hash(""),
    }
}

async fn add(store: &dyn Store, account: &Account) {
    store.insert(account.clone()).await.unwrap();
}

pub async fn an_account_is_found_as_it_was_added(store: &dyn Store) {
    let account = account("asha@example.org");
    add(store, &account).await;
    assert_eq!(
        store.by_email(&account.user.email).await.unwrap().as_ref(),
        Some(&account)
    );
    assert_eq!(
        store.by_id(account.user.id).await.unwrap().as_ref(),
        Some(&account.user)
    );
}

pub async fn what_is_not_given_is_not_there(store: &dyn Store) {
    let mut account = account("asha@example.org");
    let user = &mut account.user;
    (user.role, user.name, user.phone, user.timezone, user.locale) = (Role::User, None, None, None, None);
    add(store, &account).await;
    assert_eq!(
        store.by_email(&account.user.email).await.unwrap(),
        Some(account.clone())
    );
    let cards = store.cards(vec![account.user.id]).await.unwrap();
    let card = UserCard {
        user_id: account.user.id,
        email: "asha@example.org".to_owned(),
        name: None,
        phone: None,
        timezone: None,
    };
    assert_eq!(cards, [card]);
}

pub async fn an_address_has_one_account(store: &dyn Store) {
    let first = account("asha@example.org");
    add(store, &first).await;
    let again = store.insert(account(" Asha@Example.org ")).await;
    assert!(matches!(again, Err(InsertError::EmailTaken)), "{again:?}");
    assert_eq!(store.by_email(&first.user.email).await.unwrap(), Some(first));
    // Addresses that only begin alike are others.
    add(store, &account("asha@example.org.in")).await;
    add(store, &account("asha+1@example.org")).await;
}

pub async fn of_many_at_once_one_gets_the_address(store: &dyn Store) {
    let accounts: Vec<Account> = (0..20).map(|_| account("asha@example.org")).collect();
    let results = join_all(accounts.iter().map(|account| store.insert(account.clone()))).await;
    let winners: Vec<&Account> = accounts
        .iter()
        .zip(&results)
        .filter(|(_, result)| result.is_ok())
        .map(|(account, _)| account)
        .collect();
    let [winner] = winners.as_slice() else {
        panic!("{} were added", winners.len())
    };
    assert!(
        results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .all(|e| matches!(e, InsertError::EmailTaken))
    );
    assert_eq!(
        store.by_email(&winner.user.email).await.unwrap().as_ref(),
        Some(*winner)
    );
    for loser in accounts
        .iter()
        .filter(|account| account.user.id != winner.user.id)
    {
        assert_eq!(store.by_id(loser.user.id).await.unwrap(), None);
    }
}

pub async fn what_was_never_added_is_not_found(store: &dyn Store) {
    assert_eq!(store.by_email(&email("nobody@example.org")).await.unwrap(), None);
    assert_eq!(store.by_id(UserId::new()).await.unwrap(), None);
    assert_eq!(store.by_id(UserId::lenient("not an id")).await.unwrap(), None);
}

pub async fn long_texts_survive(store: &dyn Store) {
    let domain = format!("{}.{}.{}.org", "b".repeat(63), "c".repeat(63), "d".repeat(56));
    let mut account = account(&format!("{}@{domain}", "a".repeat(64)));
    assert!(account.user.email.as_str().len() >= 250);
    account.user.name = Some("आशा🎉".repeat(50));
    add(store, &account).await;
    assert_eq!(store.by_email(&account.user.email).await.unwrap(), Some(account));
}

pub async fn times_keep_their_milliseconds(store: &dyn Store) {
    for (number, millis) in [0, 1, 999, 1_732_281_246_001, 253_402_300_799_999]
        .into_iter()
        .enumerate()
    {
        let mut account = account(&format!("user{number}@example.org"));
        account.user.created_at = from_millis(millis);
        add(store, &account).await;
        let found = store.by_id(account.user.id).await.unwrap().unwrap();
        assert_eq!(found.created_at.timestamp_millis(), millis);
    }
}

pub async fn cards_are_given_once_each_and_only_for_who_exists(store: &dyn Store) {
    assert_eq!(store.cards(Vec::new()).await.unwrap(), []);
    let mut ids = Vec::new();
    for number in 0..250 {
        let account = account(&format!("user{number}@example.org"));
        add(store, &account).await;
        ids.push(account.user.id);
    }
    let unknown = (0..200).map(|_| UserId::new());
    let twice = ids[..50].to_vec();
    let asked: Vec<UserId> = ids.iter().copied().chain(unknown).chain(twice).collect();
    assert_eq!(asked.len(), 500);
    let mut found = store.cards(asked).await.unwrap();
    found.sort_by_key(|card| card.user_id);
    ids.sort();
    assert_eq!(found.iter().map(|card| card.user_id).collect::<Vec<_>>(), ids);
    let first = store.by_id(ids[0]).await.unwrap().unwrap();
    assert_eq!(found[0].email, first.email.as_str());
    assert_eq!(found[0].name.as_deref(), Some("Asha Rao"));
    assert_eq!(found[0].phone.as_deref(), Some("+919876543210"));
}

pub async fn a_password_hash_is_replaced_only_by_who_knows_it(store: &dyn Store) {
    let (asha, ben) = (account("asha@example.org"), account("ben@example.org"));
    add(store, &asha).await;
    add(store, &ben).await;
    let stored = async |account: &Account| {
        store
            .by_email(&account.user.email)
            .await
            .unwrap()
            .unwrap()
            .password_hash
    };
    assert!(
        store
            .update_password_hash(asha.user.id, hash(""), hash("2"))
            .await
            .unwrap()
    );
    assert_eq!(stored(&asha).await, hash("2"));
    assert!(
        !store
            .update_password_hash(asha.user.id, hash(""), hash("3"))
            .await
            .unwrap()
    );
    assert_eq!(stored(&asha).await, hash("2"));
    assert!(
        !store
            .update_password_hash(UserId::new(), hash(""), hash("3"))
            .await
            .unwrap()
    );
    assert_eq!(stored(&ben).await, hash(""), "nobody else's");
}

pub async fn of_two_renewals_one_counts(store: &dyn Store) {
    let asha = account("asha@example.org");
    add(store, &asha).await;
    let renewals = (0..10).map(|n| store.update_password_hash(asha.user.id, hash(""), hash(&n.to_string())));
    let counted = join_all(renewals)
        .await
        .into_iter()
        .filter(|changed| *changed.as_ref().unwrap())
        .count();
    assert_eq!(counted, 1);
}

pub async fn a_store_answers(store: &dyn Store) {
    store.ping().await.unwrap();
}

pub async fn details_change_one_by_one(store: &dyn Store) {
    let account = account("asha@example.org");
    add(store, &account).await;
    let mut expected = account.user.clone();
    let change = |details| async move { store.update_details(account.user.id, details).await.unwrap() };
    expected.name = Some("Asha".to_owned());
    let name = Details {
        name: Some(expected.name.clone()),
        ..Details::default()
    };
    assert_eq!(change(name).await.as_ref(), Some(&expected));
    (expected.phone, expected.timezone) = (None, Some(chrono_tz::Europe::Berlin));
    let two = Details {
        phone: Some(None),
        timezone: Some(expected.timezone),
        ..Details::default()
    };
    assert_eq!(change(two).await.as_ref(), Some(&expected));
    (expected.locale, expected.timezone) = (None, None);
    let gone = Details {
        locale: Some(None),
        timezone: Some(None),
        ..Details::default()
    };
    assert_eq!(change(gone).await.as_ref(), Some(&expected));
    assert_eq!(store.by_id(expected.id).await.unwrap().as_ref(), Some(&expected));
    let account = store.by_email(&expected.email).await.unwrap().unwrap();
    assert_eq!((account.user, account.password_hash), (expected, hash("")));
}

pub async fn nobody_has_no_details(store: &dyn Store) {
    let details = Details {
        name: Some(None),
        ..Details::default()
    };
    assert_eq!(store.update_details(UserId::new(), details).await.unwrap(), None);
}

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

async fn begin(store: &dyn Store, user: UserId, at: i64) -> Session {
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
    };
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
    assert_ne!(store.account(id).await.unwrap().unwrap().password_hash, hash(""));
    assert_eq!(store.account(ben.user.id).await.unwrap(), Some(ben));
    assert_eq!(store.account(UserId::new()).await.unwrap(), None);
}

fn recovery(numbers: std::ops::Range<u8>) -> Vec<RecoveryHash> {
    numbers.map(|number| recovery_code([number; 10]).1).collect()
}

pub async fn a_second_factor_counts_when_it_is_confirmed(store: &dyn Store) {
    let (asha, ben) = (UserId::new(), UserId::new());
    let (first, second) = (TotpSecret::new([1; 20]), TotpSecret::new([2; 20]));
    let kept = async |user| {
        let factor = store.second_factor(user).await.unwrap();
        factor.map(|factor| (factor.secret.bytes()[0], factor.confirmed))
    };
    let confirm = |secret: &TotpSecret| store.confirm_second_factor(asha, secret.clone(), 7, recovery(0..10));
    assert_eq!(kept(asha).await, None);
    assert!(!confirm(&first).await.unwrap());
    assert!(store.propose_second_factor(asha, first.clone()).await.unwrap());
    assert_eq!(kept(asha).await, Some((1, false)));
    // One that is asked for again replaces it, and the first can no longer be confirmed.
    assert!(store.propose_second_factor(asha, second.clone()).await.unwrap());
    assert!(!confirm(&first).await.unwrap());
    assert!(!store.use_step(asha, 8).await.unwrap(), "it is not confirmed");
    let confirmations = join_all((0..4).map(|_| confirm(&second))).await;
    let counted = confirmations
        .into_iter()
        .filter(|confirmed| *confirmed.as_ref().unwrap());
    assert_eq!(counted.count(), 1);
    assert_eq!(kept(asha).await, Some((2, true)));
    assert!(
        !store.propose_second_factor(asha, first.clone()).await.unwrap(),
        "it is on"
    );
    assert_eq!(kept(asha).await, Some((2, true)));
    assert!(store.propose_second_factor(ben, first).await.unwrap());
    assert!(store.remove_second_factor(asha).await.unwrap());
    assert!(!store.remove_second_factor(asha).await.unwrap());
    assert_eq!((kept(asha).await, kept(ben).await), (None, Some((1, false))));
}

pub async fn each_code_is_used_once(store: &dyn Store) {
    let (asha, ben) = (UserId::new(), UserId::new());
    for user in [asha, ben] {
        let secret = TotpSecret::new([1; 20]);
        assert!(store.propose_second_factor(user, secret.clone()).await.unwrap());
        assert!(
            store
                .confirm_second_factor(user, secret, 7, recovery(0..3))
                .await
                .unwrap()
        );
    }
    assert!(!store.use_step(asha, 7).await.unwrap(), "it confirmed");
    let uses = join_all((0..8).map(|_| store.use_step(asha, 9))).await;
    assert_eq!(uses.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
    assert!(!store.use_step(asha, 8).await.unwrap(), "an earlier one");
    assert!(store.use_step(asha, 10).await.unwrap());
    let [first, second, _] = recovery(0..3).try_into().unwrap();
    let uses = join_all((0..8).map(|_| store.use_recovery_code(asha, first.clone()))).await;
    assert_eq!(uses.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
    let [unknown] = recovery(9..10).try_into().unwrap();
    assert!(!store.use_recovery_code(asha, unknown).await.unwrap());
    assert!(store.use_recovery_code(asha, second).await.unwrap());
    assert!(
        store.use_recovery_code(ben, first.clone()).await.unwrap(),
        "each has its own"
    );
    assert!(!store.use_recovery_code(UserId::new(), first).await.unwrap());
    assert!(store.use_step(ben, 8).await.unwrap());
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

pub async fn an_unreadable_account_is_left_out_of_lists(store: &dyn Store, damager: &Damager) {
    let mut users = Vec::new();
    for name in ["one", "two", "three"] {
        let account = account(&format!("{name}@m\u{fc}nchen.de"));
        store.insert(account.clone()).await.unwrap();
        users.push(account.user.id);
    }
    damager(Damage {
        table: "users",
        key: ("id", "_id"),
        id: users[1].0,
        field: "name",
        to: Bad::Type,
    })
    .await;
    let mut cards = store.cards(users.clone()).await.unwrap();
    cards.sort_by_key(|card| card.user_id);
    let found: Vec<UserId> = cards.iter().map(|card| card.user_id).collect();
    let mut wanted = vec![users[0], users[2]];
    wanted.sort();
    assert_eq!(found, wanted);
    assert!(store.by_id(users[1]).await.is_err());
    damager(Damage {
        table: "users",
        key: ("id", "_id"),
        id: users[0].0,
        field: "email",
        to: Bad::Type,
    })
    .await;
    let found = store.of_many_forms(None, 10).await.unwrap();
    assert!(found.iter().any(|(user, _)| *user == users[2]));
    assert!(found.iter().all(|(user, _)| *user != users[0]));
}
