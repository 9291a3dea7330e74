//! Whatever people do in whatever order: no seat is sold twice or lost, nobody jumps the queue, and nothing is offered twice.

use common::ids::WaitlistId;
use proptest::{prelude::*, test_runner::TestCaseError};

use super::{
    waitlist::{advance, join, offers, places},
    *,
};
use crate::domain::{counts::total, waitlist::State as Place};

const USERS: usize = 6;

/// What somebody does, or time.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Register(usize),
    /// All at once, which the adapter may decide on as a group.
    AllRegister,
    Cancel(usize),
    Pay(usize),
    Join(usize),
    Leave(usize),
    Advance,
    Sweep,
    Wait(i64),
    Capacity(Option<u32>),
    Forget(usize),
}

/// A fee, a capacity, and what happens.
pub fn steps() -> impl Strategy<Value = (bool, u32, Vec<Step>)> {
    let user = || 0..USERS;
    let step = prop_oneof![
        4 => user().prop_map(Step::Register),
        1 => Just(Step::AllRegister),
        3 => user().prop_map(Step::Cancel),
        1 => user().prop_map(Step::Pay),
        5 => user().prop_map(Step::Join),
        1 => user().prop_map(Step::Leave),
        3 => Just(Step::Advance),
        1 => Just(Step::Sweep),
        2 => prop::sample::select(vec![1_i64, 899, 900, 3_599, 3_600]).prop_map(Step::Wait),
        1 => prop::option::weighted(0.8, 1_u32..4).prop_map(Step::Capacity),
        1 => user().prop_map(Step::Forget),
    ];
    (any::<bool>(), 1_u32..4, prop::collection::vec(step, 1..40))
}

/// Does the steps, and checks after each.
///
/// # Errors
/// What does not hold.
pub async fn follows(store: S, given: (bool, u32, Vec<Step>)) -> Result<(), TestCaseError> {
    let (paid, capacity, steps) = given;
    settle_letters(&store).await;
    let event = created(&store, draft(Some(capacity), if paid { 100 } else { 0 })).await;
    let users: Vec<UserId> = (0..USERS).map(|_| UserId::new()).collect();
    let (mut at, mut offered) = (now(), BTreeSet::new());
    for step in steps {
        let before = line(&store, &event, &users).await;
        match step {
            Step::Register(user) => {
                let may = may_register(&store, &event, users[user], &before, at).await;
                let registered = register(&store, event.id, users[user], at).await;
                prop_assert!(registered.is_err() || may, "{step:?} jumped the queue");
            }
            Step::AllRegister => {
                let all = users.iter().map(|user| {
                    let (store, event, user) = (store.clone(), event.id, *user);
                    tokio::spawn(async move { register(&store, event, user, at).await })
                });
                for one in all.collect::<Vec<_>>() {
                    let _ = one.await.unwrap();
                }
            }
            Step::Cancel(user) => {
                if let Some(live) = live(&store, users[user], at).await {
                    let _ = store.cancel_registration(live.id, users[user], at, plain()).await;
                }
            }
            Step::Pay(user) => {
                let page = store.registrations(users[user], StatusFilter::All, first(1), at);
                if let Some(last) = page.await.unwrap().0.pop() {
                    consume(&store, captured(&last.registration, PaymentId::new()), at).await;
                }
            }
            Step::Join(user) => drop(join(&store, event.id, users[user], at).await),
            Step::Leave(user) => drop(store.leave_waitlist(event.id, users[user], at, plain()).await),
            Step::Advance => {
                advance(&store, event.id, at).await;
                let fresh = offers(&store).await;
                let fresh: Vec<_> = fresh
                    .iter()
                    .filter(|offer| offer.event.event_id == event.id)
                    .collect();
                let new: Vec<WaitlistId> = fresh
                    .iter()
                    .map(|offer| offer.waitlist_id)
                    .filter(|id| !offered.contains(id))
                    .collect();
                prop_assert_eq!(
                    fresh.len(),
                    offered.len() + new.len(),
                    "something was offered twice"
                );
                prop_assert_eq!(&new[..], &before[..new.len()], "the first in line come first");
                offered.extend(new);
                // No seat is lost: whoever still waits waits because all are taken.
                let after = store.event(event.id).await.unwrap().unwrap();
                prop_assert!(
                    after.line.waiting == 0 || after.capacity == Some(after.seats_taken),
                    "{after:?}"
                );
                prop_assert_eq!(
                    store
                        .lines_due(None, at, 1_000)
                        .await
                        .unwrap()
                        .contains(&event.id),
                    false
                );
            }
            Step::Sweep => drop(store.expire_holds(at, 100).await.unwrap()),
            Step::Wait(seconds) => at += TimeDelta::seconds(seconds),
            Step::Capacity(capacity) => {
                let patch = Patch {
                    capacity: Some(capacity),
                    ..Patch::default()
                };
                let _ = store
                    .update_event(event.id, event.organizer, patch, at, plain())
                    .await;
            }
            Step::Forget(user) => drop(store.forget_waiting(users[user], at, 100).await.unwrap()),
        }
        holds(&store, &event, &users, at, step).await?;
    }
    Ok(())
}

/// Takes the letters of the runs before out of the outbox, so that those of this one are all seen.
async fn settle_letters(store: &S) {
    let (outbox, owner, until) = (store.outbox(), new_id(), now() + TimeDelta::seconds(30));
    let far = now() + TimeDelta::days(300);
    loop {
        let waiting = outbox.due("notifications", far, 1_000).await.unwrap();
        if waiting.is_empty() {
            return;
        }
        let lease = outbox.lease("notifications", owner, now(), until).await.unwrap();
        let all = waiting.iter().map(|waiting| waiting.seq).collect();
        let settled = outbox
            .settle("notifications", owner, lease.unwrap(), all, Vec::new())
            .await;
        assert!(settled.unwrap());
        outbox.release("notifications", owner).await.unwrap();
    }
}

/// Those who wait, in their order.
async fn line(store: &S, event: &Event, users: &[UserId]) -> Vec<WaitlistId> {
    let mut waiting = Vec::new();
    for user in users {
        let entries = places(store, *user, now()).await.into_iter();
        waiting.extend(entries.filter(|entry| entry.event_id == event.id && entry.state == Place::Waiting));
    }
    waiting.sort_by_key(|entry| entry.place);
    waiting.iter().map(|entry| entry.id).collect()
}

/// Whether somebody may have a seat: one is offered to them, or more are free than people wait.
async fn may_register(store: &S, event: &Event, user: UserId, line: &[WaitlistId], at: Timestamp) -> bool {
    let entries = places(store, user, at).await;
    if entries.iter().any(|entry| entry.has_offer(at)) {
        return true;
    }
    let Some(capacity) = store.event(event.id).await.unwrap().unwrap().capacity else {
        return true;
    };
    line.len() < capacity as usize
}

async fn live(store: &S, user: UserId, at: Timestamp) -> Option<Registration> {
    let page = store.registrations(user, StatusFilter::Live, first(1), at);
    Some(page.await.unwrap().0.pop()?.registration)
}

/// What holds at any time.
async fn holds(
    store: &S,
    event: &Event,
    users: &[UserId],
    at: Timestamp,
    step: Step,
) -> Result<(), TestCaseError> {
    let found = store.event(event.id).await.unwrap().unwrap();
    // As they are stored: an early moment expires no hold.
    let counted = store.counted(event.id, now()).await.unwrap();
    let total = total(&counted.hours);
    let (mut waiting, mut offered) = (0, 0);
    for user in users {
        // As they are stored: an early moment expires nothing.
        let entries = places(store, *user, now() - TimeDelta::days(1)).await;
        let open = entries.iter().filter(|entry| entry.state.is_open());
        prop_assert!(open.count() <= 1);
        for entry in &entries {
            match entry.state {
                Place::Waiting => waiting += 1,
                Place::Offered { .. } => offered += 1,
                _ => {}
            }
        }
        let listed = places(store, *user, at)
            .await
            .iter()
            .any(|entry| entry.state.is_open());
        let registered = live(store, *user, at).await.is_some();
        prop_assert!(!(listed && registered), "{:?}: in line and registered", step);
    }
    let confirmed = (total.confirmed - total.ended).unsigned_abs();
    let live = u32::try_from(counted.pending_payment + confirmed).unwrap();
    prop_assert_eq!(
        (found.line.waiting, found.line.offered),
        (waiting, offered),
        "{:?}",
        step
    );
    prop_assert_eq!(found.seats_taken, live + offered, "{:?}", step);
    prop_assert!(
        found
            .capacity
            .is_none_or(|capacity| found.seats_taken <= capacity)
    );
    prop_assert_eq!(found.registered(), live);
    Ok(())
}
