//! Mailed tokens: issued, replaced, used once.

use chrono::TimeDelta;
use common::{
    clock::from_millis,
    outbox::NewMessage,
    wire::{kind, service},
};
use futures_util::future::join_all;

use super::{account, add, begin, email, hash};
use crate::{
    domain::{MailedToken, Purpose, User},
    store::{Issue, Proved, Redeemed, Redemption, Store},
};

/// A token with its message, mailed at `at`.
pub fn issue(user: &User, purpose: Purpose, to: &str, at: i64) -> Issue {
    let token = MailedToken::issue(user.id, purpose, email(to), from_millis(at));
    let message = NewMessage::new(
        service::NOTIFICATIONS,
        kind::TOKEN_ISSUED,
        user.id,
        from_millis(at),
        &"x",
    );
    Issue { token, message }
}

/// The tokens mailed to an address.
pub async fn mailed_to(store: &dyn Store, to: &str) -> Vec<MailedToken> {
    store.mailed_tokens(&email(to)).await.unwrap()
}

async fn mail(store: &dyn Store, user: &User, purpose: Purpose, to: &str, at: i64) -> MailedToken {
    let issue = issue(user, purpose, to, at);
    let token = issue.token.clone();
    store.issue(vec![issue]).await.unwrap();
    token
}

async fn pending(store: &dyn Store) -> u64 {
    store.outbox().stats(from_millis(0)).await.unwrap().pending
}

fn redemption(token: &MailedToken) -> Redemption {
    Redemption {
        token: token.id,
        password: (token.purpose == Purpose::ResetPassword).then(|| hash("new")),
        issue: None,
        at: from_millis(9_000),
    }
}

async fn redeem(store: &dyn Store, token: &MailedToken) -> Redeemed {
    store.redeem(redemption(token)).await.unwrap()
}

#[track_caller]
fn done(redeemed: Redeemed) -> (User, usize) {
    match redeemed {
        Redeemed::Done(user, ended) => (user, ended.len()),
        other => panic!("{other:?}"),
    }
}

pub async fn a_token_comes_with_its_message(store: &dyn Store) {
    let asha = account("asha@example.org");
    let first = issue(&asha.user, Purpose::VerifyEmail, "asha@example.org", 1_000);
    let token = first.token.clone();
    store.insert(asha.clone(), Some(first)).await.unwrap();
    assert_eq!(store.mailed_token(token.id).await.unwrap(), Some(token.clone()));
    assert_eq!(mailed_to(store, "asha@example.org").await, [token]);
    assert_eq!(mailed_to(store, "asha@example.net").await, []);
    assert_eq!(pending(store).await, 1);
    // An account that is not added leaves nothing behind.
    let again = account("asha@example.org");
    let unwanted = issue(&again.user, Purpose::VerifyEmail, "asha@example.org", 2_000);
    assert!(store.insert(again, Some(unwanted)).await.is_err());
    assert_eq!(mailed_to(store, "asha@example.org").await.len(), 1);
    assert_eq!(pending(store).await, 1);
}

pub async fn a_newer_token_takes_the_place_of_an_older_one(store: &dyn Store) {
    let (asha, ben) = (account("asha@example.org"), account("ben@example.org"));
    add(store, &asha).await;
    add(store, &ben).await;
    for (purpose, replaces) in [
        (Purpose::VerifyEmail, true),
        (Purpose::ChangeEmail, true),
        (Purpose::ResetPassword, true),
        (Purpose::RestoreEmail, false),
    ] {
        let other = mail(store, &ben.user, purpose, "ben@example.org", 1_000).await;
        let old = mail(store, &asha.user, purpose, "asha@example.org", 1_000).await;
        let new = mail(store, &asha.user, purpose, "asha@example.org", 2_000).await;
        assert_eq!(
            store.mailed_token(old.id).await.unwrap().is_none(),
            replaces,
            "{purpose:?}"
        );
        assert!(store.mailed_token(new.id).await.unwrap().is_some());
        assert!(store.mailed_token(other.id).await.unwrap().is_some());
    }
    let newest = mail(
        store,
        &asha.user,
        Purpose::ResetPassword,
        "asha@example.org",
        3_000,
    )
    .await;
    assert_eq!(mailed_to(store, "asha@example.org").await[0], newest);
}

pub async fn of_many_uses_of_a_token_one_counts(store: &dyn Store) {
    let asha = account("asha@example.org");
    add(store, &asha).await;
    let token = mail(store, &asha.user, Purpose::VerifyEmail, "asha@example.org", 1_000).await;
    let uses = join_all((0..8).map(|_| store.redeem(redemption(&token)))).await;
    let done = uses
        .into_iter()
        .filter(|used| matches!(used, Ok(Redeemed::Done(..))))
        .count();
    assert_eq!(done, 1);
    let stored = store.account(asha.user.id).await.unwrap().unwrap();
    assert!(stored.user.email_verified);
    assert_eq!(stored.password_hash, asha.password_hash);
    assert_eq!(store.mailed_token(token.id).await.unwrap(), None);
}

pub async fn a_reset_changes_the_password_and_ends_all_sessions(store: &dyn Store) {
    let asha = account("asha@example.org");
    add(store, &asha).await;
    for at in 0..3 {
        begin(store, asha.user.id, at).await;
    }
    let change = mail(store, &asha.user, Purpose::ChangeEmail, "asha@example.net", 1_000).await;
    let back = mail(
        store,
        &asha.user,
        Purpose::RestoreEmail,
        "asha@example.org",
        1_000,
    )
    .await;
    let token = mail(
        store,
        &asha.user,
        Purpose::ResetPassword,
        "asha@example.org",
        1_000,
    )
    .await;
    // It is good for nothing else, and nothing else is good for it.
    let verify = Redemption {
        password: None,
        ..redemption(&token)
    };
    assert!(matches!(store.redeem(verify).await.unwrap(), Redeemed::Void));
    let reset = Redemption {
        password: Some(hash("thief")),
        ..redemption(&change)
    };
    assert!(matches!(store.redeem(reset).await.unwrap(), Redeemed::Void));
    let before = pending(store).await;
    let with_letter = Redemption {
        issue: Some(issue(
            &asha.user,
            Purpose::ResetPassword,
            "asha@example.org",
            9_000,
        )),
        ..redemption(&token)
    };
    let (user, ended) = done(store.redeem(with_letter).await.unwrap());
    assert_eq!((user.email_verified, ended), (true, 3));
    assert_eq!(pending(store).await, before + 1);
    let stored = store.account(asha.user.id).await.unwrap().unwrap();
    assert_eq!(stored.password_hash, Some(hash("new")));
    assert_eq!(stored.user, user);
    // Nobody had proved the address before: what was prepared until now is void.
    for void in [&token, &change, &back] {
        assert!(
            matches!(redeem(store, void).await, Redeemed::Void),
            "{:?}",
            void.purpose
        );
    }
    // Now somebody has, and the way back stays.
    let back = mail(
        store,
        &asha.user,
        Purpose::RestoreEmail,
        "asha@example.org",
        9_000,
    )
    .await;
    let token = mail(
        store,
        &asha.user,
        Purpose::ResetPassword,
        "asha@example.org",
        9_000,
    )
    .await;
    done(redeem(store, &token).await);
    assert!(store.mailed_token(back.id).await.unwrap().is_some());
}

pub async fn an_address_changes_and_changes_back(store: &dyn Store) {
    let asha = account("asha@example.org");
    add(store, &asha).await;
    let reset = mail(
        store,
        &asha.user,
        Purpose::ResetPassword,
        "asha@example.org",
        1_000,
    )
    .await;
    let verify = mail(store, &asha.user, Purpose::VerifyEmail, "asha@example.org", 1_000).await;
    let back = mail(
        store,
        &asha.user,
        Purpose::RestoreEmail,
        "asha@example.org",
        1_000,
    )
    .await;
    let change = mail(
        store,
        &asha.user,
        Purpose::ChangeEmail,
        "thief@example.org",
        1_000,
    )
    .await;
    let (user, ended) = done(redeem(store, &change).await);
    assert_eq!(
        (user.email.as_str(), user.email_verified, ended),
        ("thief@example.org", true, 0)
    );
    assert_eq!(store.by_email(&email("asha@example.org")).await.unwrap(), None);
    for void in [&reset, &verify] {
        assert!(
            matches!(redeem(store, void).await, Redeemed::Void),
            "{:?}",
            void.purpose
        );
    }
    // Whatever the thief does, the owner of the earlier address takes the account back, and the thief cannot.
    let thiefs = mail(
        store,
        &asha.user,
        Purpose::RestoreEmail,
        "thief@example.org",
        2_000,
    )
    .await;
    let change = mail(
        store,
        &asha.user,
        Purpose::ChangeEmail,
        "thief@example.net",
        2_000,
    )
    .await;
    done(redeem(store, &change).await);
    let reset = mail(
        store,
        &asha.user,
        Purpose::ResetPassword,
        "thief@example.net",
        3_000,
    )
    .await;
    done(redeem(store, &reset).await);
    begin(store, asha.user.id, 0).await;
    let pending = mail(
        store,
        &asha.user,
        Purpose::ChangeEmail,
        "thief@example.com",
        4_000,
    )
    .await;
    let (user, ended) = done(redeem(store, &back).await);
    assert_eq!((user.email.as_str(), ended), ("asha@example.org", 1));
    for void in [&thiefs, &pending, &back] {
        assert!(
            matches!(redeem(store, void).await, Redeemed::Void),
            "{:?}",
            void.purpose
        );
    }
    assert_eq!(store.by_email(&email("thief@example.net")).await.unwrap(), None);
}

pub async fn an_address_that_was_taken_meanwhile_is_not_given_twice(store: &dyn Store) {
    let (asha, ben) = (account("asha@example.org"), account("ben@example.org"));
    add(store, &asha).await;
    add(store, &ben).await;
    let token = mail(store, &asha.user, Purpose::ChangeEmail, "ben@example.org", 1_000).await;
    assert!(matches!(redeem(store, &token).await, Redeemed::EmailTaken));
    assert_eq!(store.by_id(asha.user.id).await.unwrap(), Some(asha.user.clone()));
    // Of two accounts that get one address at once, one does.
    let [one, other] = [
        mail(store, &asha.user, Purpose::ChangeEmail, "new@example.org", 2_000).await,
        mail(store, &ben.user, Purpose::ChangeEmail, "new@example.org", 2_000).await,
    ];
    let both = join_all([&one, &other].map(|token| store.redeem(redemption(token)))).await;
    let done = both
        .iter()
        .filter(|used| matches!(used, Ok(Redeemed::Done(..))))
        .count();
    let taken = both
        .iter()
        .filter(|used| matches!(used, Ok(Redeemed::EmailTaken)))
        .count();
    assert_eq!((done, taken), (1, 1), "{both:?}");
}

pub async fn tokens_of_nobody_and_expired_ones_go(store: &dyn Store) {
    let nobody = account("nobody@example.org").user;
    let decoy = mail(
        store,
        &nobody,
        Purpose::ResetPassword,
        "nobody@example.org",
        1_000,
    )
    .await;
    assert!(matches!(redeem(store, &decoy).await, Redeemed::Void));
    let later = TimeDelta::days(8).num_milliseconds();
    mail(store, &nobody, Purpose::VerifyEmail, "other@example.org", later).await;
    assert_eq!(store.mailed_token(decoy.id).await.unwrap(), None);
}

pub async fn tokens_are_issued_for_an_account_as_it_was_proved(store: &dyn Store) {
    let asha = account("asha@example.org");
    add(store, &asha).await;
    let proved = |address: &str, password: &str| Proved {
        user: asha.user.id,
        email: email(address),
        password_hash: Some(hash(password)),
    };
    for (wrong, address, password) in [
        ("another address", "asha@example.net", ""),
        ("another password", "asha@example.org", "another"),
    ] {
        let issues = vec![issue(&asha.user, Purpose::ChangeEmail, "new@example.org", 0)];
        assert!(
            !store.issue_if(proved(address, password), issues).await.unwrap(),
            "{wrong}"
        );
    }
    assert_eq!(mailed_to(store, "new@example.org").await, []);
    assert_eq!(pending(store).await, 0);
    let issues = vec![issue(&asha.user, Purpose::ChangeEmail, "new@example.org", 0)];
    assert!(
        store
            .issue_if(proved("asha@example.org", ""), issues)
            .await
            .unwrap()
    );
    // Of two that reset the password and ask for another address at once, both may be, but never the address after the reset.
    let reset = mail(store, &asha.user, Purpose::ResetPassword, "asha@example.org", 0).await;
    let issues = vec![issue(&asha.user, Purpose::ChangeEmail, "new@example.org", 1)];
    let (redeemed, issued) = futures_util::join!(
        store.redeem(redemption(&reset)),
        store.issue_if(proved("asha@example.org", ""), issues),
    );
    done(redeemed.unwrap());
    issued.unwrap();
    assert_eq!(
        mailed_to(store, "new@example.org").await,
        [],
        "a reset voids it, or it is refused"
    );
}
