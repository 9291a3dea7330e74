//! What every store must do. An adapter joins with `crate::store_contract!(make);`, where `make` is an async
//! function that gives an empty store and something to keep alive beside it.

use chrono_tz::Asia::Kolkata;
use common::{auth::Role, clock::from_millis, ids::UserId, wire::UserCard};
use futures_util::future::join_all;

use super::{InsertError, Store};
use crate::domain::{Account, Email, Locale, PasswordHash, Phone, User};

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
            a_store_answers,
        );
    };
    (@rules $make:path: $($rule:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let (store, kept) = $make().await;
            $crate::store::contract::$rule(&store).await;
            $crate::store::contract::Kept::finish(kept).await;
        }
    )+};
}

/// What an adapter keeps beside a store while a rule runs.
pub trait Kept {
    /// What it has to say of the rule's run.
    async fn finish(self);
}

impl Kept for tempfile::TempDir {
    async fn finish(self) {}
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
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
