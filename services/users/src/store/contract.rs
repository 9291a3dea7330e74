//! What every store must do. An adapter joins with `crate::store_contract!(make);`, where `make` is an async
//! function that gives an empty store and something to keep alive beside it.

use chrono_tz::Asia::Kolkata;
use common::{auth::Role, clock::from_millis, ids::UserId, wire::UserCard};
use futures_util::future::join_all;
use test_kit::damage::{Bad, Damage, Damager};

mod api_keys;
mod audit;
mod deletion;
mod identities;
mod mailed_tokens;
mod second_factors;
mod sessions;

pub use self::{
    api_keys::*, audit::*, deletion::*, identities::*, mailed_tokens::*, second_factors::*, sessions::*,
};

use super::{InsertError, Store};
use crate::domain::{Account, Details, Email, Locale, PasswordHash, Phone, User};

/// Lists every rule once.
#[macro_export]
macro_rules! store_contract {
    ($make:path) => {
        $crate::store_contract!(@rules $make:
            an_account_is_found_as_it_was_added,
            what_is_not_given_is_not_there,
            a_card_says_how_to_write_to_its_user,
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
            a_session_begins_for_the_account_that_was_proved, a_session_waits_for_the_second_factor,
            sessions_are_listed_newest_first,
            of_many_rotations_one_counts,
            a_session_that_ends_takes_its_refresh_token_with_it,
            all_sessions_of_a_user_end_but_one,
            sessions_that_are_over_go,
            a_new_password_ends_the_other_sessions,
            a_second_factor_counts_when_it_is_confirmed,
            each_code_is_used_once,
            an_api_key_is_found_by_its_hash_until_it_is_deleted,
            only_who_is_signed_in_makes_api_keys,
            api_keys_of_whoever_had_the_account_before_go,
            audit_entries_are_found_by_user_and_time,
            an_account_is_deleted_with_all_that_belongs_to_it,
            an_identity_has_one_account,
            a_link_needs_the_account_as_it_was_proved,
            an_address_that_nobody_had_proved_goes_to_who_proves_it,
            a_way_back_undoes_what_was_added_since,
            a_letter_that_sets_a_password_takes_foreign_links_away,
            a_link_and_a_way_back_at_once_leave_no_link,
            tokens_are_issued_for_an_account_as_it_was_proved,
            a_token_comes_with_its_message,
            a_newer_token_takes_the_place_of_an_older_one,
            of_many_uses_of_a_token_one_counts,
            a_reset_changes_the_password_and_ends_all_sessions,
            an_address_changes_and_changes_back,
            an_address_that_was_taken_meanwhile_is_not_given_twice,
            tokens_of_nobody_and_expired_ones_go,
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
        store.insert(account.clone(), None).await.unwrap();
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
            email_verified: false,
            role: Role::Organizer,
            name: Some("Asha Rao".to_owned()),
            phone: Some(Phone::parse("+919876543210").unwrap()),
            timezone: Some(Kolkata),
            locale: Some(Locale::parse("en-IN").unwrap()),
            created_at: from_millis(1_732_281_246_123),
        },
        password_hash: Some(hash("")),
    }
}

async fn add(store: &dyn Store, account: &Account) {
    store.insert(account.clone(), None).await.unwrap();
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
        locale: None,
        email_verified: false,
    };
    assert_eq!(cards, [card]);
}

pub async fn a_card_says_how_to_write_to_its_user(store: &dyn Store) {
    let account = account("asha@example.org");
    add(store, &account).await;
    let cards = store.cards(vec![account.user.id]).await.unwrap();
    let card = UserCard {
        user_id: account.user.id,
        email: "asha@example.org".to_owned(),
        name: Some("Asha Rao".to_owned()),
        phone: Some("+919876543210".to_owned()),
        timezone: Some("Asia/Kolkata".to_owned()),
        locale: Some("en-IN".to_owned()),
        email_verified: false,
    };
    assert_eq!(cards, [card]);
}

pub async fn an_address_has_one_account(store: &dyn Store) {
    let first = account("asha@example.org");
    add(store, &first).await;
    let again = store.insert(account(" Asha@Example.org "), None).await;
    assert!(matches!(again, Err(InsertError::EmailTaken)), "{again:?}");
    assert_eq!(store.by_email(&first.user.email).await.unwrap(), Some(first));
    // Addresses that only begin alike are others.
    add(store, &account("asha@example.org.in")).await;
    add(store, &account("asha+1@example.org")).await;
}

pub async fn of_many_at_once_one_gets_the_address(store: &dyn Store) {
    let accounts: Vec<Account> = (0..20).map(|_| account("asha@example.org")).collect();
    let results = join_all(accounts.iter().map(|account| store.insert(account.clone(), None))).await;
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
    assert_eq!(stored(&asha).await, Some(hash("2")));
    assert!(
        !store
            .update_password_hash(asha.user.id, hash(""), hash("3"))
            .await
            .unwrap()
    );
    assert_eq!(stored(&asha).await, Some(hash("2")));
    assert!(
        !store
            .update_password_hash(UserId::new(), hash(""), hash("3"))
            .await
            .unwrap()
    );
    assert_eq!(stored(&ben).await, Some(hash("")), "nobody else's");
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
    assert_eq!((account.user, account.password_hash), (expected, Some(hash(""))));
}

pub async fn nobody_has_no_details(store: &dyn Store) {
    let details = Details {
        name: Some(None),
        ..Details::default()
    };
    assert_eq!(store.update_details(UserId::new(), details).await.unwrap(), None);
}

pub async fn an_unreadable_account_is_left_out_of_lists(store: &dyn Store, damager: &Damager) {
    let mut users = Vec::new();
    for name in ["one", "two", "three"] {
        let account = account(&format!("{name}@m\u{fc}nchen.de"));
        store.insert(account.clone(), None).await.unwrap();
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
