//! When attendees are reminded.

use common::{leads::Leads, wire::EventFacts};

use super::*;

pub async fn reminders_are_kept_and_told_with_the_schedule(store: S) {
    let event = created(&store, draft(None, 0)).await;
    assert_eq!(event.reminders, Leads::default());
    let set = async |hours: &[i64]| {
        let patch = Patch {
            reminders: Some(Leads::new(hours).unwrap()),
            ..Patch::default()
        };
        store
            .update_event(event.id, event.organizer, patch, now(), plain())
            .await
            .map(done)
            .unwrap()
    };
    let changed = set(&[1, 72]).await;
    assert_eq!(changed.reminders.hours(), [72, 1]);
    assert_eq!((changed.version, changed.schedule_version), (2, 2));
    assert_eq!(store.event(event.id).await.unwrap(), Some(changed.clone()));
    let waiting = store.outbox().due("notifications", now(), 100).await.unwrap();
    let told: EventFacts = waiting.last().unwrap().event.data().unwrap();
    assert_eq!(told, changed.facts());
    // The same ones are no news, and an event can go back to the default.
    assert_eq!(set(&[72, 1]).await.schedule_version, 2);
    let default = set(&[3, 24]).await;
    assert_eq!(
        (default.reminders, default.schedule_version),
        (Leads::default(), 3)
    );
    assert_eq!(store.event(event.id).await.unwrap(), Some(default));
    assert_eq!(kinds_for(&store, "notifications").await.len(), 2);
}
