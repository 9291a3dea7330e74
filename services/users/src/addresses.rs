//! One form for each address, also for accounts that an earlier release has kept under another.

use common::store::StoreError;

use crate::{domain::Email, store::Store};

/// Accounts looked at in one step.
const AT_ONCE: usize = 500;

/// Gives every account the one form of its address. Where two accounts turn out to be one mailbox, the one that has
/// that form keeps it and the other keeps what it has: it is signed in to with what was always typed. Safe to
/// repeat, and to do in several processes at once.
///
/// # Errors
/// The store's own trouble; what is done by then stays.
pub async fn unify(store: &(impl Store + ?Sized)) -> Result<(), StoreError> {
    let (mut after, mut changed) = (None, 0);
    loop {
        let found = store.of_many_forms(after.as_ref(), AT_ONCE).await?;
        let Some((_, last)) = found.last() else { break };
        after = Some(last.clone());
        for (user, kept) in found {
            let Ok(one) = Email::parse(kept.as_str()) else {
                continue;
            };
            if one == kept {
                continue;
            }
            if store.readdress(user, &kept, &one).await? {
                changed += 1;
            } else {
                tracing::warn!(
                    user.id = %user,
                    "another account has the same mailbox; this one keeps its address as it was typed at sign-up"
                );
            }
        }
    }
    if changed > 0 {
        tracing::info!(
            accounts = changed,
            "addresses of an earlier release were brought into one form"
        );
    }
    Ok(())
}
