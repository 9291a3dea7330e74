//! Drafts, what is published, copied and listed, and when registration opens.

use super::*;
use crate::domain::{
    event::Closing,
    listing::{Category, Listing, ListingPatch, Tag, Tags, Visibility},
    publishing::Duplicate,
};

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

fn listing(category: Category, tags: &[&str]) -> Listing {
    Listing {
        category,
        tags: Tags::new(tags.iter().map(|text| tag(text)).collect()).unwrap(),
        image_url: Some("https://img.example.org/rust.jpg".to_owned()),
        visibility: Visibility::Public,
    }
}

fn unpublished() -> EventDraft {
    EventDraft {
        draft: true,
        ..draft(Some(3), 50_000)
    }
}

/// The listing of an event with one tag.
pub fn tagged(text: &str) -> Listing {
    Listing {
        tags: Tags::new(vec![tag(text)]).unwrap(),
        ..Listing::default()
    }
}

async fn found(store: &S, search: Search) -> Vec<EventId> {
    let found = store.search_events(search, first(10)).await.unwrap();
    found.events.iter().map(|event| event.id).collect()
}

async fn publish(store: &S, event: &Event) -> Result<Event, ChangeError> {
    let published = store
        .publish_event(event.id, event.organizer, now(), plain())
        .await;
    published.map(done)
}

async fn claim(store: &S, event: EventId, user: UserId, at: Timestamp) -> Result<SeatClaim, RegisterError> {
    let question = ClaimSeat {
        event_id: event,
        user_id: user,
    };
    store.claim_seat(question, command(event, user, at)).await
}

pub async fn a_draft_is_its_organizers(store: S) {
    let event = created(&store, unpublished()).await;
    let somebody = UserId::new();
    assert_eq!(store.event(event.id).await.unwrap(), Some(event.clone()));
    assert_eq!(found(&store, Search::default()).await, []);
    let standing = async |user| store.standing(event.id, user).await.unwrap();
    assert_eq!(standing(somebody).await, None);
    assert!(standing(event.organizer).await.is_some());
    for (user, own) in [(somebody, false), (event.organizer, true)] {
        for refused in [
            register(&store, event.id, user, now()).await.map(drop),
            claim(&store, event.id, user, now()).await.map(drop),
        ] {
            match refused {
                Err(RegisterError::NoSuchEvent) => assert!(!own),
                Err(RegisterError::NotPublished) => assert!(own),
                other => panic!("{other:?}"),
            }
        }
    }
    // Nobody gets a letter about it, and nobody else can change it.
    let patch = Patch {
        name: Some("Evening of Go".to_owned()),
        ..Patch::default()
    };
    let changed = store.update_event(event.id, event.organizer, patch, now(), plain());
    let changed = done(changed.await.unwrap());
    assert!(changed.draft);
    assert_eq!(kinds_for(&store, "notifications").await, [] as [&str; 0]);
    let theirs = store.publish_event(event.id, somebody, now(), plain()).await;
    assert!(matches!(theirs, Err(ChangeError::NoSuchEvent)));
    // Published, it is like any other.
    let published = publish(&store, &event).await.unwrap();
    assert_eq!((published.draft, published.version), (false, 3));
    assert_eq!(store.event(event.id).await.unwrap(), Some(published));
    assert_eq!(found(&store, Search::default()).await, [event.id]);
    assert!(standing(somebody).await.is_some());
    claim(&store, event.id, somebody, now()).await.unwrap();
    assert!(matches!(
        publish(&store, &event).await,
        Err(ChangeError::Refused(PatchError::Published))
    ));
    let live = kinds_for(&store, "live").await;
    let of_event = live.iter().filter(|kind| *kind == "event.changed").count();
    assert_eq!(of_event, 2, "changed and published: {live:?}");
    assert_eq!(kinds_for(&store, "notifications").await, [] as [&str; 0]);
}

pub async fn a_cancelled_draft_leaves_the_list(store: S) {
    let event = created(&store, unpublished()).await;
    let listed = async |which| {
        let found = store.organizer_events(event.organizer, which, first(10)).await;
        found.unwrap().events.len()
    };
    assert_eq!((listed(Own::Kept).await, listed(Own::All).await), (1, 1));
    let cancelled = store.cancel_event(event.id, event.organizer, now(), plain());
    done(cancelled.await.unwrap());
    assert_eq!((listed(Own::Kept).await, listed(Own::All).await), (0, 1));
    assert_eq!(kinds_for(&store, "notifications").await, [] as [&str; 0]);
    assert!(matches!(
        publish(&store, &event).await,
        Err(ChangeError::Refused(PatchError::Cancelled))
    ));
    // One that was published stays.
    let event = draft(None, 0).into_event(EventId::new(), event.organizer, now());
    let event = done(store.create_event(event, plain()).await.unwrap());
    let cancelled = store.cancel_event(event.id, event.organizer, now(), plain());
    done(cancelled.await.unwrap());
    assert_eq!((listed(Own::Kept).await, listed(Own::All).await), (1, 2));
}

pub async fn a_copy_is_a_draft_with_nobody_in_it(store: S) {
    let original = EventDraft {
        closes_at: Some(now() + TimeDelta::days(2)),
        opens_at: Some(now() - TimeDelta::days(1)),
        listing: listing(Category::Technology, &["Rust"]),
        ..draft(Some(3), 0)
    };
    let event = created(&store, original).await;
    register(&store, event.id, UserId::new(), now()).await.unwrap();
    let reminders = Patch {
        reminders: Some(common::leads::Leads::new(&[48]).unwrap()),
        ..Patch::default()
    };
    let changed = store.update_event(event.id, event.organizer, reminders, now(), plain());
    let event = done(changed.await.unwrap());
    let start = event.time.at + TimeDelta::days(7);
    let copy = Duplicate {
        id: EventId::new(),
        time: start.to_rfc3339(),
    };
    let duplicated = async |organizer| {
        let copied = store.duplicate_event(event.id, organizer, copy.clone(), now(), plain());
        copied.await.map(done)
    };
    assert!(matches!(
        duplicated(UserId::new()).await,
        Err(ChangeError::NoSuchEvent)
    ));
    let copied = duplicated(event.organizer).await.unwrap();
    assert_eq!(store.event(copy.id).await.unwrap().as_ref(), Some(&copied));
    let week = TimeDelta::days(7);
    let expected = Event {
        id: copy.id,
        time: EventTime {
            at: start,
            ..event.time
        },
        ends_at: event.ends_at.map(|at| at + week),
        opens_at: event.opens_at.map(|at| at + week),
        closes: Closing::At(now() + TimeDelta::days(9)),
        draft: true,
        seats_taken: 0,
        version: 1,
        schedule_version: 1,
        ..event.clone()
    };
    assert_eq!(copied, expected);
    // The original is as it was, and the copy's words are found once it is published.
    assert_eq!(store.event(event.id).await.unwrap(), Some(event.clone()));
    let rust = || Search {
        tag: Some(tag("rust")),
        ..Search::default()
    };
    assert_eq!(found(&store, rust()).await, [event.id]);
    publish(&store, &copied).await.unwrap();
    assert_eq!(found(&store, rust()).await, [copied.id, event.id]);
    let nonsense = Duplicate {
        id: EventId::new(),
        time: "tomorrow".to_owned(),
    };
    let refused = store.duplicate_event(event.id, event.organizer, nonsense, now(), plain());
    assert!(matches!(
        refused.await,
        Err(ChangeError::Refused(PatchError::Time("event_time", _)))
    ));
}

pub async fn a_key_publishes_and_copies_once(store: S) {
    fn answer(event: &Event) -> Answer {
        Answer::json(StatusCode::OK, &(event.id, event.version))
    }
    let keyed = |path: &str| Keyed {
        key: Some(Key {
            caller: UserId::lenient("019309a2-0000-7000-8000-000000000006"),
            route: path.to_owned(),
            key: "k".to_owned(),
            fingerprint: Key::fingerprint(b"{}"),
        }),
        answer,
    };
    let event = created(&store, unpublished()).await;
    for again in [false, true] {
        let published = store.publish_event(event.id, event.organizer, now(), keyed("publish"));
        let published = published.await.unwrap();
        assert_eq!(matches!(published, Outcome::Refused(Refusal::Replay(_))), again);
        let copy = Duplicate {
            id: EventId::new(),
            time: (now() + TimeDelta::days(9)).to_rfc3339(),
        };
        let copied = store.duplicate_event(event.id, event.organizer, copy, now(), keyed("duplicate"));
        let copied = copied.await.unwrap();
        assert_eq!(matches!(copied, Outcome::Refused(Refusal::Replay(_))), again);
    }
    let held = store.organizer_events(event.organizer, Own::All, first(10)).await;
    assert_eq!(held.unwrap().events.len(), 2);
}

pub async fn events_are_found_by_category_and_tags(store: S) {
    let start = |days| EventTime {
        at: now() + TimeDelta::days(days),
        zone: Tz::UTC,
    };
    let fair = EventDraft {
        time: start(5),
        ends_at: None,
        listing: listing(Category::FoodDrink, &["Open Air", "Café"]),
        ..draft(None, 0)
    };
    let fair = created(&store, fair).await;
    assert_eq!(store.event(fair.id).await.unwrap(), Some(fair.clone()));
    let plain_one = created(&store, draft(None, 0)).await;
    let secret = EventDraft {
        listing: Listing {
            visibility: Visibility::Unlisted,
            ..listing(Category::FoodDrink, &["café"])
        },
        ..draft(None, 0)
    };
    let secret = created(&store, secret).await;
    assert_eq!(store.event(secret.id).await.unwrap(), Some(secret.clone()));
    let all = async || found(&store, Search::default()).await;
    assert_eq!(
        all().await,
        [fair.id, plain_one.id],
        "what is unlisted is in no list"
    );
    let of_category = |category| Search {
        category: Some(category),
        ..Search::default()
    };
    let with_tag = |text: &str| Search {
        tag: Some(tag(text)),
        ..Search::default()
    };
    let words = |text: &str| Search {
        words: crate::domain::search_terms::searched(text).unwrap(),
        ..Search::default()
    };
    assert_eq!(found(&store, of_category(Category::FoodDrink)).await, [fair.id]);
    assert_eq!(found(&store, of_category(Category::Other)).await, [plain_one.id]);
    assert_eq!(found(&store, of_category(Category::Music)).await, []);
    assert_eq!(found(&store, with_tag("ｏｐｅｎ AIR")).await, [fair.id]);
    assert_eq!(found(&store, with_tag("cafe")).await, [fair.id]);
    assert_eq!(
        found(&store, with_tag("open")).await,
        [],
        "a tag is meant as a whole"
    );
    assert_eq!(found(&store, words("food rust air")).await, [fair.id]);
    assert_eq!(found(&store, words("other")).await, []);
    // A change is found at once, and what was is not any more.
    let patch = Patch {
        listing: ListingPatch {
            category: Some(Category::Music),
            tags: Some(Tags::default()),
            image_url: Some(None),
            visibility: Some(Visibility::Unlisted),
        },
        ..Patch::default()
    };
    let changed = store.update_event(fair.id, fair.organizer, patch, now(), plain());
    let changed = done(changed.await.unwrap());
    assert_eq!(store.event(fair.id).await.unwrap(), Some(changed));
    assert_eq!(all().await, [plain_one.id]);
    let patch = Patch {
        listing: ListingPatch {
            visibility: Some(Visibility::Public),
            ..ListingPatch::default()
        },
        ..Patch::default()
    };
    let changed = store.update_event(fair.id, fair.organizer, patch, now(), plain());
    done(changed.await.unwrap());
    assert_eq!(found(&store, of_category(Category::Music)).await, [fair.id]);
    assert_eq!(found(&store, with_tag("cafe")).await, []);
}

pub async fn registration_opens_at_its_time(store: S) {
    let opens_at = now() + TimeDelta::hours(1);
    for fee in [0, 50_000] {
        let early = EventDraft {
            opens_at: Some(opens_at),
            ..draft(None, fee)
        };
        let event = created(&store, early).await;
        let user = UserId::new();
        let before = opens_at - TimeDelta::milliseconds(1);
        let not_open = |refused| match refused {
            Err(RegisterError::NotOpen { opens_at: at, wait }) => {
                at == opens_at && wait == Duration::from_millis(1)
            }
            _ => false,
        };
        assert!(not_open(register(&store, event.id, user, before).await.map(drop)));
        if fee > 0 {
            assert!(not_open(claim(&store, event.id, user, before).await.map(drop)));
        }
        assert_eq!(seats(&store, event.id).await, 0);
        register(&store, event.id, user, opens_at).await.unwrap();
        // From here on it cannot be yet to open.
        let patch = |at: Timestamp| Patch {
            opens_at: Some(Some(at.to_rfc3339())),
            ..Patch::default()
        };
        let set = async |at| {
            let patch = patch(at);
            store
                .update_event(event.id, event.organizer, patch, opens_at, plain())
                .await
        };
        assert!(matches!(
            set(opens_at + TimeDelta::seconds(1)).await,
            Err(ChangeError::Refused(PatchError::RegistrationBegan))
        ));
        let changed = done(set(now()).await.unwrap());
        assert_eq!(store.event(event.id).await.unwrap(), Some(changed));
    }
}
