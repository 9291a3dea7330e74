//! Who takes part.

use common::wire::{AttendeeFound, Recipients};

use super::*;

pub async fn attendees_are_paged_by_user(store: S) {
    let event = created(&store, draft(None, 50_000)).await;
    let other = created(&store, draft(None, 0)).await;
    register(&store, other.id, UserId::new(), now()).await.unwrap();
    let mut all = Vec::new();
    for paid in [true, false, true, false] {
        let registered = register(&store, event.id, UserId::new(), now()).await.unwrap();
        let registration = registered.registration;
        if paid {
            consume(&store, captured(&registration, PaymentId::new()), now()).await;
        }
        let found = AttendeeFound {
            user_id: registration.user_id,
            registration_id: registration.id,
        };
        all.push((paid, found));
    }
    // Who has left is not among them, and who came back is there once, with the registration that counts.
    let gone = register(&store, other.id, UserId::new(), now()).await.unwrap();
    let gone = gone.registration;
    store
        .cancel_registration(gone.id, gone.user_id, now(), plain())
        .await
        .unwrap();
    all.sort_by_key(|(_, found)| found.user_id);
    let of = |which: fn(bool) -> bool| {
        let chosen = all.iter().filter(|(paid, _)| which(*paid));
        chosen.map(|(_, found)| *found).collect::<Vec<_>>()
    };
    for (to, expected) in [
        (Recipients::All, of(|_| true)),
        (Recipients::Confirmed, of(|paid| paid)),
        (Recipients::Pending, of(|paid| !paid)),
    ] {
        let mut found = Vec::new();
        loop {
            let after = found.last().map(|last: &AttendeeFound| last.user_id);
            let page = store.attendees(event.id, to, after, 1).await.unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, expected, "{to:?}");
        assert_eq!(store.attendees(event.id, to, None, 10).await.unwrap(), expected);
    }
    assert_eq!(
        store
            .attendees(other.id, Recipients::All, None, 10)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        store
            .attendees(EventId::new(), Recipients::All, None, 10)
            .await
            .unwrap(),
        []
    );
}
