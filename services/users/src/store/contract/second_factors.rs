//! Second factors: proposed, confirmed, used and removed.

use common::{clock::from_millis, ids::UserId};
use futures_util::future::join_all;

use crate::{
    domain::{RecoveryHash, TotpSecret, recovery_code},
    store::Store,
};

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
    let confirm = |secret: &TotpSecret| {
        store.confirm_second_factor(asha, secret.clone(), 7, recovery(0..10), from_millis(0))
    };
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
                .confirm_second_factor(user, secret, 7, recovery(0..3), from_millis(0))
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
