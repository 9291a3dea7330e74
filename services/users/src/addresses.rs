//! One form for each address, also for accounts that an earlier release has kept under another.

use common::store::StoreError;

use crate::{domain::Email, store::Store};

/// Accounts looked at in one step.
const AT_ONCE: usize = 500;

/// Gives every account the one form of its address. Where several accounts turn out to be one mailbox, one that has that
/// form keeps it, else the oldest gets it; the others keep what they have, and their holders sign in with what they have
/// always typed. Safe to repeat, and to do in several processes at once.
///
/// # Errors
/// A storage error; what is done by then stays.
pub async fn unify(store: &(impl Store + ?Sized)) -> Result<(), StoreError> {
    let mut after = None;
    let mut others = Vec::new();
    loop {
        let found = store.of_many_forms(after.as_ref(), AT_ONCE).await?;
        let Some((_, last)) = found.last() else { break };
        after = Some(last.clone());
        for (user, kept) in found {
            match Email::parse(kept.as_str()) {
                Ok(one) if one == kept => {}
                Ok(one) => others.push((user, kept, one)),
                Err(_) => tracing::warn!(
                    user.id = %user,
                    "an earlier release took an address that no mail can reach; its holder can sign in"
                ),
            }
        }
    }
    // Ids begin with the time: the oldest first.
    others.sort_unstable_by_key(|(user, _, _)| *user);
    let mut changed = 0;
    for (user, kept, one) in others {
        if store.readdress(user, &kept, &one).await? {
            changed += 1;
        } else {
            tracing::warn!(
                user.id = %user,
                "another account has the same mailbox; this one keeps its address as it was typed at sign-up"
            );
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
