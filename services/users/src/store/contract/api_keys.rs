//! API keys: made by who is signed in, found by their hashes, and deleted.

use common::{
    api_keys::{ApiKey, KeyHash, REVOKED_FOR, Scope},
    auth::Role,
    clock::from_millis,
    http::{Cursor, Page},
    ids::{UserId, new_id},
};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{account, add, begin, hash, identity, issue};
use crate::{
    domain::{MAX_KEYS, Purpose, StoredKey},
    store::{Claim, KeyAdded, Redeemed, Redemption, Store},
};

fn key(user: UserId, at: i64) -> StoredKey {
    let id = new_id();
    StoredKey {
        id,
        user,
        name: "Büro 🎟".to_owned(),
        scopes: vec![Scope::EventsRead, Scope::CheckIn],
        hash: ApiKey::new(id, &[7; 32]).hash(),
        created_at: from_millis(at),
        expires_at: None,
        last_used_at: None,
    }
}

async fn made(store: &dyn Store, user: UserId, session: Uuid, at: i64) -> StoredKey {
    let key = key(user, at);
    assert_eq!(
        store.add_api_key(key.clone(), session).await.unwrap(),
        KeyAdded::Added
    );
    key
}

async fn listed(store: &dyn Store, user: UserId) -> Vec<StoredKey> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = Page { limit: 2, after };
        let found = store.api_keys(user, page).await.unwrap();
        let (found, next) = page.cut(found, |key| Cursor {
            key: key.created_at.timestamp_millis(),
            id: key.id,
        });
        all.extend(found);
        match next {
            None => return all,
            next => after = next,
        }
    }
}

pub async fn an_api_key_is_found_by_its_hash_until_it_is_deleted(store: &dyn Store) {
    let (asha, ben) = (account("asha@example.org"), account("ben@example.org"));
    for account in [&asha, &ben] {
        add(store, account).await;
    }
    let user = asha.user.id;
    let session = begin(store, user, 0).await.id;
    let mut keys = Vec::new();
    for at in [3_000, 1_000, 2_000, 2_000, 2_000] {
        keys.push(made(store, user, session, at).await);
    }
    keys.sort_by_key(|key| std::cmp::Reverse((key.created_at, key.id)));
    assert_eq!(listed(store, user).await, keys);
    assert_eq!(listed(store, ben.user.id).await, []);
    let use_at = async |hashes: Vec<KeyHash>, at: i64| {
        let found = store.use_api_keys(hashes, from_millis(at)).await;
        let mut ids: Vec<Uuid> = found.unwrap().into_iter().map(|card| card.api_key_id).collect();
        ids.sort();
        ids
    };
    let (first, second) = (&keys[0], &keys[1]);
    let mut both = [first.id, second.id];
    both.sort();
    let hashes = vec![first.hash, KeyHash([9; 32]), second.hash];
    assert_eq!(use_at(hashes, 100_000).await, both);
    assert_eq!(use_at(vec![first.hash], 159_999).await, [first.id]);
    assert_eq!(use_at(vec![second.hash], 160_000).await, [second.id]);
    assert_eq!(use_at(vec![], 160_000).await, [] as [Uuid; 0]);
    let now = listed(store, user).await;
    assert_eq!(now[0].last_used_at, Some(from_millis(100_000)), "to the minute");
    assert_eq!(now[1].last_used_at, Some(from_millis(160_000)));
    assert_eq!(now[2].last_used_at, None);
    let card = store
        .use_api_keys(vec![first.hash], from_millis(0))
        .await
        .unwrap();
    assert_eq!(
        (card[0].user_id, card[0].role, &card[0].scopes),
        (user, Role::Organizer, &first.scopes)
    );
    // Deleted once, by its owner.
    let delete = async |user, id, at| store.delete_api_key(user, id, from_millis(at)).await.unwrap();
    assert_eq!(delete(ben.user.id, first.id, 200_000).await, None);
    let ended = delete(user, first.id, 200_000).await.unwrap();
    assert_eq!(
        (ended.session_id, ended.ended_at, ended.until),
        (first.id, from_millis(200_000), from_millis(200_000) + REVOKED_FOR)
    );
    assert_eq!(delete(user, first.id, 200_001).await, None);
    assert_eq!(use_at(vec![first.hash], 200_001).await, [] as [Uuid; 0]);
    let published = store
        .ended_sessions(from_millis(200_000), None, 10)
        .await
        .unwrap();
    assert_eq!(published, [ended]);
}

pub async fn only_who_is_signed_in_makes_api_keys(store: &dyn Store) {
    let asha = account("asha@example.org");
    add(store, &asha).await;
    let user = asha.user.id;
    let session = begin(store, user, 0).await.id;
    let stranger = UserId::new();
    let strange = begin(store, stranger, 0).await.id;
    for (user, session) in [(user, new_id()), (user, strange), (stranger, strange)] {
        assert_eq!(
            store.add_api_key(key(user, 1), session).await.unwrap(),
            KeyAdded::SessionEnded
        );
    }
    // Of many at once as many as there is room for.
    for _ in 0..MAX_KEYS - 2 {
        made(store, user, session, 1).await;
    }
    let at_once = join_all((0..6).map(|_| store.add_api_key(key(user, 1), session))).await;
    let added = at_once
        .iter()
        .filter(|added| matches!(added, Ok(KeyAdded::Added)));
    assert_eq!(added.count(), 2);
    assert_eq!(listed(store, user).await.len(), MAX_KEYS);
}

pub async fn api_keys_of_whoever_had_the_account_before_go(store: &dyn Store) {
    // Who signed up with another's address, before its owner came.
    let squatted = account("asha@example.org");
    add(store, &squatted).await;
    let user = squatted.user.id;
    let session = begin(store, user, 0).await.id;
    let thiefs = made(store, user, session, 1_000).await;
    let claim = Claim {
        user,
        email: squatted.user.email.clone(),
        identity: identity("asha"),
        name: None,
        role: None,
        at: from_millis(2_000),
    };
    let (claimed, late) = tokio::join!(store.claim(claim), store.add_api_key(key(user, 2_000), session));
    let ended = claimed.unwrap().unwrap();
    assert!(ended.iter().any(|ended| ended.session_id == thiefs.id));
    assert_eq!(listed(store, user).await, [], "{late:?}");
    let found = store.use_api_keys(vec![thiefs.hash], from_millis(2_001)).await;
    assert_eq!(found.unwrap(), []);

    // A lost password is no reason to stop the owner's machines; a way back ends the thief's.
    let ben = account("ben@example.org");
    add(store, &ben).await;
    let user = ben.user.id;
    let redeem = async |purpose, to: &str, at: i64| {
        let issue = issue(&ben.user, purpose, to, at);
        let token = issue.token.id;
        store.issue(vec![issue]).await.unwrap();
        let redemption = Redemption {
            token,
            password: (purpose == Purpose::ResetPassword).then(|| hash("new")),
            issue: None,
            at: from_millis(at),
        };
        match store.redeem(redemption).await.unwrap() {
            Redeemed::Done(_, ended) => ended,
            other => panic!("{other:?}"),
        }
    };
    redeem(Purpose::VerifyEmail, "ben@example.org", 900).await;
    let session = begin(store, user, 1_000).await.id;
    let own = made(store, user, session, 1_000).await;
    redeem(Purpose::ResetPassword, "ben@example.org", 2_000).await;
    assert_eq!(listed(store, user).await, std::slice::from_ref(&own));
    // Made before the thief changed the address, and after.
    let session = begin(store, user, 3_000).await.id;
    let thiefs = [
        made(store, user, session, 3_000).await,
        made(store, user, session, 4_000).await,
    ];
    let back = redeem(Purpose::RestoreEmail, "ben@example.org", 3_500).await;
    for key in &thiefs {
        assert!(back.iter().any(|ended| ended.session_id == key.id));
    }
    assert_eq!(listed(store, user).await, []);

    // What was made before an address was verified, or under another one, ends with the next password that comes by letter.
    let dora = account("dora@example.org");
    add(store, &dora).await;
    let session = begin(store, dora.user.id, 0).await.id;
    let before = made(store, dora.user.id, session, 1_000).await;
    let redeem = async |purpose, to: &str, at: i64| {
        let issue = issue(&dora.user, purpose, to, at);
        let token = issue.token.id;
        store.issue(vec![issue]).await.unwrap();
        let redemption = Redemption {
            token,
            password: (purpose == Purpose::ResetPassword).then(|| hash("new")),
            issue: None,
            at: from_millis(at),
        };
        assert!(matches!(store.redeem(redemption).await, Ok(Redeemed::Done(..))));
    };
    redeem(Purpose::VerifyEmail, "dora@example.org", 2_000).await;
    let under_the_first = made(store, dora.user.id, session, 2_500).await;
    redeem(Purpose::ChangeEmail, "d@example.org", 3_000).await;
    let under_the_second = made(store, dora.user.id, session, 3_500).await;
    assert_eq!(
        listed(store, dora.user.id).await,
        [under_the_second.clone(), under_the_first, before]
    );
    redeem(Purpose::ResetPassword, "d@example.org", 4_000).await;
    assert_eq!(listed(store, dora.user.id).await, [under_the_second]);

    // Nobody had proved the address before: what was prepared does not count.
    let cara = account("cara@example.org");
    add(store, &cara).await;
    let session = begin(store, cara.user.id, 0).await.id;
    made(store, cara.user.id, session, 1_000).await;
    let reset = issue(&cara.user, Purpose::ResetPassword, "cara@example.org", 2_000);
    let token = reset.token.id;
    store.issue(vec![reset]).await.unwrap();
    let redemption = Redemption {
        token,
        password: Some(hash("hers")),
        issue: None,
        at: from_millis(2_000),
    };
    assert!(matches!(
        store.redeem(redemption).await.unwrap(),
        Redeemed::Done(_, ended) if ended.len() == 2
    ));
    assert_eq!(listed(store, cara.user.id).await, []);
}
