//! Who users are elsewhere.

use common::{auth::Role, clock::from_millis};
use futures_util::future::join_all;

use super::{account, add, begin, email, hash, issue, mailed_to};
use crate::{
    domain::{Identity, Purpose, RecoveryHash, TotpSecret, User},
    store::{Claim, InsertError, Issue, Redeemed, Redemption, Store},
};

pub fn identity(subject: &str) -> Identity {
    Identity {
        issuer: "https://accounts.google.com".to_owned(),
        subject: subject.to_owned(),
    }
}

pub async fn an_identity_has_one_account(store: &dyn Store) {
    let (asha, ben) = (account("asha@example.org").user, account("ben@example.org").user);
    assert_eq!(store.by_identity(&identity("1")).await.unwrap(), None);
    store.insert_linked(asha.clone(), identity("1")).await.unwrap();
    assert_eq!(
        store.by_identity(&identity("1")).await.unwrap(),
        Some(asha.clone())
    );
    let stored = store.account(asha.id).await.unwrap().unwrap();
    assert_eq!(stored.password_hash, None);
    // Neither the identity nor the address gets another one, and nothing is left behind.
    let again = store.insert_linked(ben.clone(), identity("1")).await;
    assert!(matches!(again, Err(InsertError::EmailTaken)));
    assert_eq!(store.by_id(ben.id).await.unwrap(), None);
    let again = store
        .insert_linked(account("asha@example.org").user, identity("2"))
        .await;
    assert!(matches!(again, Err(InsertError::EmailTaken)));
    assert_eq!(store.by_identity(&identity("2")).await.unwrap(), None);
    let other = Identity {
        issuer: "https://elsewhere.example".to_owned(),
        ..identity("1")
    };
    assert_eq!(store.by_identity(&other).await.unwrap(), None);
    // Of many at once one is added.
    let users: Vec<_> = (0..8)
        .map(|n| account(&format!("many{n}@example.org")).user)
        .collect();
    let added = join_all(
        users
            .iter()
            .map(|user| store.insert_linked(user.clone(), identity("3"))),
    )
    .await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1);
}

pub async fn a_link_needs_the_account_as_it_was_proved(store: &dyn Store) {
    let mut asha = account("asha@example.org");
    let at = from_millis(5);
    add(store, &asha).await;
    let link = async |subject: &str, address: &str, proved: &str| {
        store
            .link(identity(subject), asha.user.id, email(address), hash(proved), at)
            .await
            .unwrap()
    };
    assert!(
        !link("1", "asha@example.org", "").await,
        "nobody has proved the address"
    );
    let token = issue(&asha.user, Purpose::VerifyEmail, "asha@example.org", 0);
    let id = token.token.id;
    store.issue(vec![token]).await.unwrap();
    let verify = Redemption {
        token: id,
        password: None,
        issue: None,
        at,
    };
    assert!(matches!(store.redeem(verify).await.unwrap(), Redeemed::Done(..)));
    assert!(!link("1", "asha@example.net", "").await);
    assert!(!link("1", "asha@example.org", "another").await);
    assert!(link("1", "asha@example.org", "").await);
    assert!(!link("1", "asha@example.org", "").await, "once");
    asha.user.email_verified = true;
    assert_eq!(store.by_identity(&identity("1")).await.unwrap(), Some(asha.user));
}

pub async fn an_address_that_nobody_had_proved_goes_to_who_proves_it(store: &dyn Store) {
    let squatted = account("asha@example.org");
    let user = squatted.user.id;
    add(store, &squatted).await;
    begin(store, user, 0).await;
    begin(store, user, 1).await;
    store
        .issue(vec![
            issue(&squatted.user, Purpose::ChangeEmail, "thief@example.org", 0),
            issue(&squatted.user, Purpose::RestoreEmail, "asha@example.org", 0),
        ])
        .await
        .unwrap();
    let secret = TotpSecret::new([7; 20]);
    store.propose_second_factor(user, secret.clone()).await.unwrap();
    let codes = vec![RecoveryHash("x".to_owned())];
    assert!(
        store
            .confirm_second_factor(user, secret, 1, codes, from_millis(0))
            .await
            .unwrap()
    );
    let claim = |address: &str, subject: &str| Claim {
        user,
        email: email(address),
        identity: identity(subject),
        name: Some("Asha herself".to_owned()),
        role: Some(Role::Organizer),
        at: from_millis(9),
    };
    assert_eq!(store.claim(claim("other@example.org", "1")).await.unwrap(), None);
    let at_once = join_all(["1", "2"].map(|subject| store.claim(claim("asha@example.org", subject)))).await;
    let ended: Vec<_> = at_once.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(
        ended.iter().map(Vec::len).collect::<Vec<_>>(),
        [2],
        "of two at once one gets it"
    );
    let stored = store.account(user).await.unwrap().unwrap();
    assert_eq!((stored.password_hash, stored.user.email_verified), (None, true));
    let User {
        name, phone, role, ..
    } = stored.user;
    assert_eq!(
        (name.as_deref(), phone, role),
        (Some("Asha herself"), None, Role::Organizer)
    );
    assert!(store.second_factor(user).await.unwrap().is_none());
    for address in ["thief@example.org", "asha@example.org"] {
        assert_eq!(mailed_to(store, address).await, []);
    }
    assert_eq!(
        store.claim(claim("asha@example.org", "3")).await.unwrap(),
        None,
        "it is proved now"
    );
}

pub async fn a_way_back_undoes_what_was_added_since(store: &dyn Store) {
    let asha = account("asha@example.org").user;
    let user = asha.id;
    let asha = User {
        created_at: from_millis(100),
        ..asha
    };
    store.insert_linked(asha.clone(), identity("mine")).await.unwrap();
    let back = issue(&asha, Purpose::RestoreEmail, "asha@example.org", 1_000);
    let way_back = back.token.clone();
    store
        .issue(vec![
            back,
            issue(&asha, Purpose::ChangeEmail, "thief@example.org", 1_000),
        ])
        .await
        .unwrap();
    let redeem = async |token, password, issue| {
        let redemption = Redemption {
            token,
            password,
            issue,
            at: from_millis(3_000),
        };
        store.redeem(redemption).await.unwrap()
    };
    let change = mailed_to(store, "thief@example.org").await[0].id;
    assert!(matches!(redeem(change, None, None).await, Redeemed::Done(..)));
    let reset = issue(&asha, Purpose::ResetPassword, "thief@example.org", 1_500);
    let id = reset.token.id;
    store.issue(vec![reset]).await.unwrap();
    assert!(matches!(
        redeem(id, Some(hash("thief's")), None).await,
        Redeemed::Done(..)
    ));
    assert!(
        store
            .link(
                identity("thief's"),
                user,
                email("thief@example.org"),
                hash("thief's"),
                from_millis(2_000)
            )
            .await
            .unwrap()
    );
    // The address that was left is for its owner only, while there is a way back to it.
    let decoy = |at| {
        let mut decoy = account("asha@example.org");
        decoy.user.created_at = from_millis(at);
        decoy
    };
    let taken = store.insert(decoy(2_000), None).await;
    assert!(matches!(taken, Err(InsertError::EmailTaken)));
    let taken = store.insert_linked(decoy(2_000).user, identity("decoy")).await;
    assert!(matches!(taken, Err(InsertError::EmailTaken)));
    let ben = account("ben@example.org").user;
    store.insert_linked(ben.clone(), identity("ben")).await.unwrap();
    store
        .issue(vec![issue(&ben, Purpose::ChangeEmail, "asha@example.org", 2_000)])
        .await
        .unwrap();
    let theirs = mailed_to(store, "asha@example.org").await;
    let theirs = theirs.iter().find(|token| token.user == ben.id).unwrap().id;
    assert!(matches!(redeem(theirs, None, None).await, Redeemed::EmailTaken));
    let recover = way_back.recover(from_millis(3_000));
    let recovery = recover.id;
    let with_letter = Issue {
        token: recover,
        ..issue(&asha, Purpose::ResetPassword, "asha@example.org", 3_000)
    };
    assert!(matches!(
        redeem(way_back.id, None, Some(with_letter)).await,
        Redeemed::Done(..)
    ));
    assert_eq!(store.by_identity(&identity("thief's")).await.unwrap(), None);
    // A letter under the thief's address has taken the owner's link away; the owner links again.
    assert_eq!(store.by_identity(&identity("mine")).await.unwrap(), None);
    // Who still knows the password is faster than the owner: nothing of it lasts.
    let secret = TotpSecret::new([7; 20]);
    store.propose_second_factor(user, secret.clone()).await.unwrap();
    assert!(
        store
            .confirm_second_factor(user, secret, 1, Vec::new(), from_millis(3_500))
            .await
            .unwrap()
    );
    store
        .issue(vec![issue(
            &asha,
            Purpose::ResetPassword,
            "asha@example.org",
            3_600,
        )])
        .await
        .unwrap();
    begin(store, user, 3_700).await;
    match redeem(recovery, Some(hash("owner's")), None).await {
        Redeemed::Done(user, ended) => {
            assert_eq!((user.email.as_str(), ended.len()), ("asha@example.org", 1))
        }
        other => panic!("{other:?}"),
    }
    assert!(store.second_factor(user).await.unwrap().is_none());
    assert_eq!(
        store.account(user).await.unwrap().unwrap().password_hash,
        Some(hash("owner's"))
    );
}

pub async fn a_letter_that_sets_a_password_takes_foreign_links_away(store: &dyn Store) {
    let reset = async |user: &User, to: &str, at: i64| {
        let token = issue(user, Purpose::ResetPassword, to, at);
        let id = token.token.id;
        store.issue(vec![token]).await.unwrap();
        let redemption = Redemption {
            token: id,
            password: Some(hash("new")),
            issue: None,
            at: from_millis(at),
        };
        assert!(matches!(
            store.redeem(redemption).await.unwrap(),
            Redeemed::Done(..)
        ));
    };
    let linked = async |subject: &str| store.by_identity(&identity(subject)).await.unwrap().is_some();
    // Linked when the account was made, under the address that it still has: the first password takes nothing away, and the
    // next one does, because somebody may have linked it who knew the one before.
    let asha = account("asha@example.org").user;
    store.insert_linked(asha.clone(), identity("asha")).await.unwrap();
    reset(&asha, "asha@example.org", 1_000).await;
    assert!(linked("asha").await);
    reset(&asha, "asha@example.org", 2_000).await;
    assert!(!linked("asha").await);
    // Linked by somebody who has given the account another's address since.
    let ben = account("attacker@example.org").user;
    store
        .insert_linked(ben.clone(), identity("attacker"))
        .await
        .unwrap();
    store
        .issue(vec![issue(
            &ben,
            Purpose::ChangeEmail,
            "victim@example.org",
            1_000,
        )])
        .await
        .unwrap();
    let change = mailed_to(store, "victim@example.org").await[0].id;
    let redemption = Redemption {
        token: change,
        password: None,
        issue: None,
        at: from_millis(2_000),
    };
    assert!(matches!(
        store.redeem(redemption).await.unwrap(),
        Redeemed::Done(..)
    ));
    reset(&ben, "victim@example.org", 3_000).await;
    assert!(!linked("attacker").await);
}

pub async fn a_link_and_a_way_back_at_once_leave_no_link(store: &dyn Store) {
    for number in 0..8 {
        let (mine, thiefs) = (
            format!("asha{number}@example.org"),
            format!("thief{number}@example.org"),
        );
        let asha = account(&mine);
        add(store, &asha).await;
        let change = issue(&asha.user, Purpose::ChangeEmail, &thiefs, 1_000);
        let back = issue(&asha.user, Purpose::RestoreEmail, &mine, 1_000);
        let (changed, way_back) = (change.token.id, back.token.id);
        store.issue(vec![change, back]).await.unwrap();
        let redemption = |token| Redemption {
            token,
            password: None,
            issue: None,
            at: from_millis(3_000),
        };
        assert!(matches!(
            store.redeem(redemption(changed)).await.unwrap(),
            Redeemed::Done(..)
        ));
        let thief = identity(&format!("thief {number}"));
        let (linked, restored) = futures_util::join!(
            store.link(
                thief.clone(),
                asha.user.id,
                email(&thiefs),
                hash(""),
                from_millis(2_000)
            ),
            store.redeem(redemption(way_back)),
        );
        linked.unwrap();
        assert!(matches!(restored.unwrap(), Redeemed::Done(..)));
        // Linked before, it is taken away; after, the account no longer has the thief's address.
        assert_eq!(store.by_identity(&thief).await.unwrap(), None);
    }
}
