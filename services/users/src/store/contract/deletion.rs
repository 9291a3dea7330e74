//! The end of an account.

use common::{
    api_keys::{ApiKey, Scope},
    clock::from_millis,
    ids::new_id,
    outbox::NewMessage,
    store::StoreError,
    wire::{kind, service},
};
use futures_util::future::join_all;

use super::{account, add, begin, email, hash, identity, issue, mailed_to};
use crate::{
    domain::{Purpose, StoredKey, TotpSecret},
    store::{Deleted, KeyAdded, Proved, Redeemed, Redemption, Store},
};

pub async fn an_account_is_deleted_with_all_that_belongs_to_it(store: &dyn Store) {
    let (asha, ben) = (account("asha@example.org"), account("ben@example.org"));
    for account in [&asha, &ben] {
        add(store, account).await;
        let user = &account.user;
        let session = begin(store, user.id, 0).await;
        let id = new_id();
        let key = StoredKey {
            id,
            user: user.id,
            name: "x".to_owned(),
            scopes: vec![Scope::CheckIn],
            hash: ApiKey::new(id, &[1; 32]).hash(),
            created_at: from_millis(0),
            expires_at: None,
            last_used_at: None,
        };
        assert_eq!(store.add_api_key(key, session.id).await.unwrap(), KeyAdded::Added);
        let token = issue(user, Purpose::VerifyEmail, user.email.as_str(), 0);
        store.issue(vec![token]).await.unwrap();
        let secret = TotpSecret::new([1; 20]);
        assert!(store.propose_second_factor(user.id, secret).await.unwrap());
    }
    let google = account("g@example.org").user;
    store.insert_linked(google.clone(), identity("g")).await.unwrap();
    let proved = |password: Option<&str>| Proved {
        user: asha.user.id,
        email: asha.user.email.clone(),
        password_hash: password.map(hash),
    };
    let message = |destination| {
        NewMessage::new(
            destination,
            kind::ACCOUNT_DELETED,
            asha.user.id,
            from_millis(5),
            &"x",
        )
    };
    let delete = |proved| {
        let messages = vec![message(service::EVENTS), message(service::NOTIFICATIONS)];
        store.delete_account(proved, messages, from_millis(5))
    };
    let pending = async || store.outbox().stats(from_millis(0)).await.unwrap().pending;
    // Whoever has changed the address cannot delete the account before its owner can take it back.
    let way_back = issue(&asha.user, Purpose::RestoreEmail, "old@example.org", 0);
    let (token, until) = (way_back.token.id, way_back.token.expires_at);
    store.issue(vec![way_back]).await.unwrap();
    assert_eq!(delete(proved(Some(""))).await.unwrap(), Deleted::WayBack(until));
    let redemption = Redemption {
        token,
        password: None,
        issue: None,
        at: from_millis(1),
    };
    assert!(matches!(store.redeem(redemption).await, Ok(Redeemed::Done(..))));
    let asha = store.account(asha.user.id).await.unwrap().unwrap();
    let session = begin(store, asha.user.id, 2).await;
    let id = new_id();
    let key = StoredKey {
        id,
        user: asha.user.id,
        name: "x".to_owned(),
        scopes: vec![Scope::CheckIn],
        hash: ApiKey::new(id, &[1; 32]).hash(),
        created_at: from_millis(2),
        expires_at: None,
        last_used_at: None,
    };
    store.add_api_key(key, session.id).await.unwrap();
    let proved = |password: Option<&str>| Proved {
        user: asha.user.id,
        email: asha.user.email.clone(),
        password_hash: password.map(hash),
    };
    let before = pending().await;
    for changed in [
        proved(Some("other")),
        proved(Some("")),
        Proved {
            email: email("else@example.org"),
            ..proved(None)
        },
    ] {
        assert_eq!(delete(changed).await.unwrap(), Deleted::Changed);
    }
    assert_eq!(pending().await, before);
    let at_once = join_all((0..3).map(|_| delete(proved(None)))).await;
    let done = |deleted: Result<Deleted, StoreError>| match deleted.unwrap() {
        Deleted::Done(ended) => Some(ended),
        Deleted::Changed => None,
        other => panic!("{other:?}"),
    };
    let ended: Vec<_> = at_once.into_iter().filter_map(done).collect();
    assert_eq!(
        ended.iter().map(Vec::len).collect::<Vec<_>>(),
        [2],
        "once: a session and a key"
    );
    assert_eq!(pending().await, before + 2);
    let user = asha.user.id;
    assert_eq!(store.account(user).await.unwrap(), None);
    assert_eq!(store.cards(vec![user]).await.unwrap(), []);
    assert_eq!(mailed_to(store, "old@example.org").await, []);
    assert!(store.second_factor(user).await.unwrap().is_none());
    let ids: Vec<_> = ended[0].iter().map(|ended| ended.session_id).collect();
    let published = store.ended_sessions(from_millis(5), None, 10).await.unwrap();
    assert!(published.len() == 2 && published.iter().all(|one| ids.contains(&one.session_id)));
    // Nobody else's, and the address is free.
    assert!(store.second_factor(ben.user.id).await.unwrap().is_some());
    assert_eq!(mailed_to(store, "ben@example.org").await.len(), 1);
    let next = account("old@example.org");
    add(store, &next).await;
    // One that is linked loses the link.
    let linked = store.identities(google.id).await.unwrap();
    assert_eq!(linked, [(identity("g"), google.created_at)]);
    let proved = Proved {
        user: google.id,
        email: google.email.clone(),
        password_hash: None,
    };
    assert_eq!(delete(proved).await.unwrap(), Deleted::Done(Vec::new()));
    assert_eq!(store.by_identity(&identity("g")).await.unwrap(), None);
    assert_eq!(store.identities(google.id).await.unwrap(), []);
}
