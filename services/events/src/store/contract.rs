//! The contract suite of the store. An adapter joins with one line: `crate::store_contract!(make, cases);`, where `cases` are the sequences of steps that the model of the waitlist tries.
//!
//! A bug found in one adapter becomes a rule here before it is fixed.

#![expect(missing_docs, reason = "the names of the rules say what they ask")]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::http::StatusCode;
use chrono::TimeDelta;
use chrono_tz::Tz;
use common::{
    clock::{Timestamp, from_millis},
    http::Page,
    idempotency::{Answer, Key, Keyed, Outcome, Refusal},
    ids::{EventId, OrderId, PaymentId, PostId, RegistrationId, UserId, new_id},
    money::Paise,
    outbox::ReceiptStatus,
    subscriber::Incoming,
    time::EventTime,
    wire::{
        ClaimSeat, EndReason, ExtendedHold, HoldExpired, PaymentCaptured, PaymentRefused, PaymentReversed,
        RefundReason, RegistrationConfirmed, RegistrationEnded, SecureSeat, SecuredSeat, kind,
    },
};

use futures_util::future::BoxFuture;
use test_kit::damage::Damager;

mod attendees;
mod desk;
mod drafts;
mod money;
mod outbox;
mod posts;
mod reminders;
mod streams;
mod team;
mod unreadable;
mod waitlist;
mod waitlist_ends;
pub mod waitlist_model;

pub use self::{
    attendees::*, desk::*, drafts::*, money::*, outbox::*, posts::*, reminders::*, streams::*, team::*,
    unreadable::*, waitlist::*, waitlist_ends::*,
};

use super::*;
use crate::domain::{event::EventDraft, fact::Fact, listing::Listing};

/// Lists every rule once.
#[macro_export]
macro_rules! store_contract {
    ($make:path, $cases:expr) => {
        $crate::store_contract!(@rules $make:
            an_event_reads_back, lists_page_in_order, search_finds_words_and_times, free_confirms_and_paid_holds,
            one_live_registration_per_user, the_last_seat_goes_once, expired_holds_give_way, an_expired_hold_gives_its_seat_once, capture_confirms_once,
            an_offer_changes_what_was_paid, a_reversed_payment_ends_what_it_paid, late_money_retakes_or_goes_back, late_money_finds_the_live_registration, a_seat_is_secured_before_its_money_is_taken, what_ended_stays_known, a_hold_that_runs_out_is_told, cancelling_frees_the_seat, a_cancelled_event_ends_its_registrations,
            changes_are_owned_and_bounded, reminders_are_kept_and_told_with_the_schedule, a_key_gives_one_effect_and_one_answer, outbox_keeps_order_and_fences, what_changes_is_published, what_waits_holds_up_only_its_own_subject,
            dead_letters_are_listed_redriven_and_dropped,
            posts_read_back_and_page, a_registration_gives_a_part_and_its_end_takes_it, a_restriction_holds_until_it_ends_or_is_lifted,
            a_slow_chat_takes_one_of_two_at_once, posts_change_and_go, everybody_votes_once, a_key_makes_one_post, an_announcement_that_goes_out_by_letter_is_made_once,
            who_leaves_takes_words_and_name_along, the_desk_counts_what_happens, a_ticket_admits_once, a_cancelled_ticket_admits_nobody, the_desk_lists_the_newest_first,
            the_organizer_cancels_with_any_part_of_the_money, a_calendar_has_one_token,
            attendees_are_paged_by_user,
            a_draft_is_its_organizers, a_cancelled_draft_leaves_the_list, a_copy_is_a_draft_with_nobody_in_it,
            a_key_publishes_and_copies_once, events_are_found_by_category_and_tags, registration_opens_at_its_time,
            streams_read_back, an_event_has_so_many_streams, a_key_makes_one_stream_and_one_change, streams_change_and_are_told,
            a_new_key_shuts_the_old_one_out, one_process_publishes, segments_are_numbered_in_order, time_moves_streams, a_media_server_moves_its_streams,
            a_deleted_recording_goes_with_its_stream, an_old_recording_is_dropped, somebody_watches_on_three_devices,
            what_is_seen_counts_as_watched, the_desk_sees_who_watched, who_leaves_takes_playbacks_along,
            a_freed_seat_is_offered_to_the_first_in_line, an_offer_that_is_not_taken_goes_on, an_own_offer_that_ran_out_is_no_obstacle,
            joining_has_its_reasons_to_be_refused, who_leaves_passes_the_offer_on, a_line_ends_with_its_event, an_offer_of_a_paid_seat_becomes_a_hold,
            more_seats_go_to_the_line_first, nothing_is_offered_twice_by_two_at_once, those_who_wait_are_found_and_forgotten, a_key_gives_one_place,
            an_invitation_makes_one_member, a_newer_invitation_takes_the_place_of_the_older, a_team_has_so_many,
            who_is_removed_is_nobody, a_member_sees_a_draft_and_takes_part, teams_are_listed_and_forgotten,
            invitations_that_ran_out_are_dropped,
        );
        $crate::store_contract!(@model $make, $cases);
        $crate::store_contract!(@damage $make:
            an_unreadable_event_is_left_out_of_lists,
            an_unreadable_registration_is_left_out_and_ended_with_the_others,
            an_unreadable_event_does_not_stop_the_ending_of_others,
            holds_run_out_beside_an_unreadable_one,
            captured_money_of_others_is_consumed_beside_an_unreadable_row,
            an_unreadable_message_becomes_a_dead_letter,
            the_desk_goes_on_behind_unreadable_registrations,
            a_status_of_a_newer_release_is_not_taken_for_one_of_this,
            an_unreadable_stream_does_not_stop_the_others,
            unreadable_segments_and_playbacks_are_left_out,
            an_unreadable_place_holds_up_nobody,
        );
    };
    (@rules $make:path: $($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let fresh: $crate::store::contract::Fresh = $make().await;
            $crate::store::contract::$rule(fresh.store.clone()).await;
            (fresh.finish)().await;
        }
    )+};
    (@model $make:path, $cases:expr) => {
        #[test]
        fn any_order_of_events_keeps_the_seats_and_the_line() {
            use proptest::test_runner::{Config, TestRunner};
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let fresh: $crate::store::contract::Fresh = runtime.block_on($make());
            let config = Config { failure_persistence: None, ..Config::with_cases($cases) };
            let model = $crate::store::contract::waitlist_model::steps();
            let followed = TestRunner::new(config).run(&model, |steps| {
                runtime.block_on($crate::store::contract::waitlist_model::follows(fresh.store.clone(), steps))
            });
            followed.unwrap();
            runtime.block_on((fresh.finish)());
        }
    };
    // Damaged data is read with queries that no index is planned for, so query plans are not checked.
    (@damage $make:path: $($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let fresh: $crate::store::contract::Fresh = $make().await;
            $crate::store::contract::$rule(fresh).await;
        }
    )+};
}

type S = Arc<dyn Store>;

/// A new, empty store.
pub struct Fresh {
    pub store: S,
    /// Damages rows.
    pub damager: Damager,
    /// The adapter's own checks after a rule's run; keeps alive what the store needs.
    pub finish: Box<dyn FnOnce() -> BoxFuture<'static, ()>>,
}

fn now() -> Timestamp {
    from_millis(1_800_000_000_123)
}

fn draft(capacity: Option<u32>, fee: i64) -> EventDraft {
    EventDraft {
        name: "Rust evening".to_owned(),
        details: "Zeilen\nund Wörter".to_owned(),
        time: EventTime {
            at: now() + TimeDelta::days(3),
            zone: Tz::Asia__Kolkata,
        },
        address: "Hall 7".to_owned(),
        capacity,
        fee: Paise(fee),
        closes_at: None,
        format: common::wire::EventFormat::Hybrid,
        ends_at: Some(now() + TimeDelta::hours(74)),
        join_url: Some("https://meet.example.org/rust".to_owned()),
        draft: false,
        opens_at: None,
        listing: Listing::default(),
    }
}

fn plain<T>() -> Keyed<T> {
    Keyed::none(|_| Answer {
        status: 200,
        body: Vec::new(),
    })
}

fn done<T>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Done(value) => value,
        Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

async fn created(store: &S, draft: EventDraft) -> Event {
    let event = draft.into_event(EventId::new(), UserId::new(), now());
    done(store.create_event(event, plain()).await.unwrap())
}

fn command(event: EventId, user: UserId, now: Timestamp) -> Register {
    Register {
        id: RegistrationId::new(),
        event_id: event,
        user_id: user,
        ticket: Ticket::issue().unwrap(),
        now,
        hold: Duration::from_secs(900),
        request_id: None,
    }
}

async fn register(
    store: &S,
    event: EventId,
    user: UserId,
    now: Timestamp,
) -> Result<Registered, RegisterError> {
    store.register(command(event, user, now), plain()).await.map(done)
}

async fn seats(store: &S, event: EventId) -> u32 {
    store.event(event).await.unwrap().unwrap().seats_taken
}

fn first(limit: usize) -> Page {
    Page { limit, after: None }
}

async fn statuses(store: &S, user: UserId, at: Timestamp) -> Vec<&'static str> {
    let (found, _) = store
        .registrations(user, StatusFilter::All, first(100), at)
        .await
        .unwrap();
    found
        .iter()
        .map(|found| found.registration.state.name())
        .collect()
}

async fn kinds_for(store: &S, destination: &str) -> Vec<String> {
    let far = now() + TimeDelta::days(300);
    store
        .outbox()
        .due(destination, far, 1000)
        .await
        .unwrap()
        .into_iter()
        .map(|waiting| waiting.event.kind)
        .collect()
}

fn captured(registration: &Registration, payment: PaymentId) -> Incoming<Fact> {
    let data = PaymentCaptured {
        payment_id: payment,
        order_id: OrderId::new(),
        registration_id: registration.id,
        event_id: registration.event_id,
        user_id: registration.user_id,
        amount: registration.amount,
        settles: None,
    };
    told_by_payments(&data)
}

fn told_by_payments(captured: &PaymentCaptured) -> Incoming<Fact> {
    incoming(Fact::Captured(captured.clone()))
}

/// A message as the route's extractor gives it.
fn incoming(fact: Fact) -> Incoming<Fact> {
    Incoming {
        id: new_id(),
        request_id: None,
        fact,
    }
}

async fn consume(store: &S, message: Incoming<Fact>, now: Timestamp) {
    let receipts = store.consume(vec![message], now).await.unwrap();
    assert_eq!(receipts[0].status, ReceiptStatus::Accepted, "{receipts:?}");
}

pub async fn an_event_reads_back(store: S) {
    for draft in [draft(None, 0), draft(Some(1_000_000), 49_999)] {
        let event = created(&store, draft).await;
        assert_eq!(store.event(event.id).await.unwrap(), Some(event));
    }
    assert_eq!(store.event(EventId::new()).await.unwrap(), None);
    assert_eq!(store.event(EventId::lenient("no id")).await.unwrap(), None);
}

pub async fn lists_page_in_order(store: S) {
    let organizer = UserId::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let event = draft(None, 0).into_event(EventId::new(), organizer, now());
        ids.push(done(store.create_event(event, plain()).await.unwrap()).id);
    }
    created(&store, draft(None, 0)).await; // of another organizer
    ids.reverse();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .organizer_events(organizer, Own::Kept, Page { limit: 2, after })
            .await
            .unwrap();
        seen.extend(page.events.iter().map(|event| event.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    // A new event is in the next list, without delay.
    let event = draft(None, 0).into_event(EventId::new(), organizer, now());
    store.create_event(event, plain()).await.unwrap();
    assert_eq!(
        store
            .organizer_events(organizer, Own::Kept, first(100))
            .await
            .unwrap()
            .events
            .len(),
        6
    );
}

/// Each adapter calls this with a function that puts an event into the state in which an earlier release left it.
pub async fn indexed_anew(store: &S, as_before: impl AsyncFn(EventId)) {
    let draft = EventDraft {
        name: "İstanbul".to_owned(),
        listing: tagged("Çay"),
        ..draft(None, 0)
    };
    let events = [
        created(store, draft.clone()).await,
        created(store, draft.clone()).await,
        created(store, draft).await,
    ];
    for event in &events {
        as_before(event.id).await;
    }
    let search = Search {
        words: crate::domain::search_terms::searched("istanbul").unwrap(),
        ..Search::default()
    };
    let found = async || {
        let found = store.search_events(search.clone(), first(10)).await.unwrap();
        found.events.len()
    };
    assert_eq!(found().await, 0);
    assert_eq!(store.index_events(2).await.unwrap(), 2);
    assert_eq!(store.index_events(2).await.unwrap(), 1);
    assert_eq!(store.index_events(2).await.unwrap(), 0);
    assert_eq!(found().await, 3);
    let with_tag = Search {
        tag: tagged("cay").tags.iter().next().cloned(),
        ..Search::default()
    };
    let found = store.search_events(with_tag, first(10)).await.unwrap();
    assert_eq!(found.events.len(), 3);
}

pub async fn search_finds_words_and_times(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let other = EventDraft {
        name: "Cooking".to_owned(),
        ..draft(None, 100)
    };
    let other = created(
        &store,
        EventDraft {
            time: EventTime {
                at: now(),
                zone: Tz::UTC,
            },
            ..other
        },
    )
    .await;
    let cancelled = created(&store, draft(None, 0)).await;
    store
        .cancel_event(cancelled.id, cancelled.organizer, now(), plain())
        .await
        .unwrap();
    let found = async |search: Search| -> Vec<EventId> {
        store
            .search_events(search, first(10))
            .await
            .unwrap()
            .events
            .iter()
            .map(|event| event.id)
            .collect()
    };
    let words = |text: &str| Search {
        words: crate::domain::search_terms::searched(text).unwrap(),
        ..Search::default()
    };
    assert_eq!(
        found(Search::default()).await,
        [event.id, other.id],
        "latest start first, no cancelled one"
    );
    assert_eq!(
        found(Search {
            soonest_first: true,
            ..Search::default()
        })
        .await,
        [other.id, event.id]
    );
    assert_eq!(found(words("RUST eve")).await, [event.id]);
    assert_eq!(
        found(words("wörter")).await,
        [other.id, event.id].iter().rev().copied().collect::<Vec<_>>()
    );
    assert_eq!(
        found(words("WORTER evening")).await,
        [event.id],
        "without case and accents"
    );
    assert_eq!(found(words("ust")).await, []);
    assert_eq!(found(words("' OR 1=1 --")).await, []);
    assert_eq!(
        found(Search {
            from: Some(now() + TimeDelta::days(1)),
            ..Search::default()
        })
        .await,
        [event.id]
    );
    assert_eq!(
        found(Search {
            to: Some(now() + TimeDelta::days(1)),
            ..Search::default()
        })
        .await,
        [other.id]
    );
    assert_eq!(
        found(Search {
            free: Some(false),
            ..Search::default()
        })
        .await,
        [other.id]
    );
    let page = store.search_events(Search::default(), first(1)).await.unwrap();
    let page = store
        .search_events(
            Search::default(),
            Page {
                limit: 1,
                after: page.next,
            },
        )
        .await
        .unwrap();
    assert_eq!((page.events[0].id, page.next), (other.id, None));
}

pub async fn free_confirms_and_paid_holds(store: S) {
    let user = UserId::new();
    let free = created(&store, draft(Some(5), 0)).await;
    let registered = register(&store, free.id, user, now()).await.unwrap();
    assert_eq!(registered.registration.state, State::Confirmed);
    assert!(registered.ticket.is_some());
    let paid = created(&store, draft(Some(5), 50_000)).await;
    let held = register(&store, paid.id, user, now()).await.unwrap();
    let hold_expires_at = now() + TimeDelta::seconds(900);
    assert_eq!(held.registration.state, State::PendingPayment { hold_expires_at });
    assert_eq!(
        (held.registration.amount_due(), held.ticket),
        (Paise(50_000), None)
    );
    let read = store
        .registration(registered.registration.id, user, now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (read.registration, read.ticket),
        (registered.registration, registered.ticket)
    );
    assert_eq!(
        store
            .registration(held.registration.id, UserId::new(), now())
            .await
            .unwrap(),
        None,
        "another's"
    );
    assert_eq!(
        kinds_for(&store, "notifications").await,
        [kind::REGISTRATION_CONFIRMED]
    );
    assert!(matches!(
        register(&store, EventId::new(), user, now()).await,
        Err(RegisterError::NoSuchEvent)
    ));
    let closed = created(
        &store,
        EventDraft {
            closes_at: Some(now()),
            ..draft(None, 0)
        },
    )
    .await;
    assert!(matches!(
        register(&store, closed.id, user, now()).await,
        Err(RegisterError::Closed)
    ));
}

pub async fn one_live_registration_per_user(store: S) {
    let event = created(&store, draft(Some(50), 0)).await;
    let user = UserId::new();
    let tries = (0..50).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { register(&store, event.id, user, now()).await })
    });
    let mut made = Vec::new();
    let mut refused = BTreeSet::new();
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Ok(registered) => made.push(registered.registration.id),
            Err(RegisterError::Already(registration)) => drop(refused.insert(registration.id)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(made.len(), 1);
    assert_eq!(
        refused.into_iter().collect::<Vec<_>>(),
        made,
        "each is told of the one there is"
    );
    assert_eq!(seats(&store, event.id).await, 1);
}

pub async fn the_last_seat_goes_once(store: S) {
    let event = created(&store, draft(Some(20), 0)).await;
    let tries = (0..200).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { register(&store, event.id, UserId::new(), now()).await })
    });
    let mut sold = 0;
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Ok(_) => sold += 1,
            Err(RegisterError::Full) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((sold, seats(&store, event.id).await), (20, 20));
    assert_eq!(
        kinds_for(&store, "notifications").await.len(),
        20,
        "nobody who was refused is told of a success"
    );
}

pub async fn expired_holds_give_way(store: S) {
    let event = created(&store, draft(Some(1), 100)).await;
    let (first_user, second) = (UserId::new(), UserId::new());
    register(&store, event.id, first_user, now()).await.unwrap();
    assert!(matches!(
        register(&store, event.id, second, now()).await,
        Err(RegisterError::Full)
    ));
    let later = now() + TimeDelta::seconds(900);
    assert_eq!(
        statuses(&store, first_user, later).await,
        ["expired"],
        "at once, before anybody has noted it"
    );
    register(&store, event.id, second, later).await.unwrap();
    assert_eq!(seats(&store, event.id).await, 1);
    // The user's own expired hold does not block either, and the sweeper frees each seat once.
    let last = later + TimeDelta::seconds(900);
    register(&store, event.id, second, last).await.unwrap();
    assert_eq!(store.expire_holds(last, 10).await.unwrap(), 0);
    assert_eq!(
        store
            .expire_holds(last + TimeDelta::seconds(900), 10)
            .await
            .unwrap(),
        1
    );
    assert_eq!(seats(&store, event.id).await, 0);
    assert_eq!(statuses(&store, second, last).await, ["expired", "expired"]);
}

/// Whoever held a seat registers again beside one who has just been given it: decisions are made in groups, and the first
/// of a group may end the holds of those whose turn comes later.
pub async fn an_expired_hold_gives_its_seat_once(store: S) {
    for _ in 0..10 {
        let event = created(&store, draft(Some(2), 100)).await;
        let (leader, held, other) = (UserId::new(), UserId::new(), UserId::new());
        register(&store, event.id, held, now()).await.unwrap();
        let later = now() + TimeDelta::seconds(900);
        register(&store, event.id, leader, later).await.unwrap();
        // The leader is decided on alone, and without a look at the holds, while the others wait for one transaction.
        let (again, first, second) = tokio::join!(
            register(&store, event.id, leader, later),
            register(&store, event.id, other, later),
            register(&store, event.id, held, later),
        );
        assert!(matches!(again, Err(RegisterError::Already(_))), "{again:?}");
        let seated = [&first, &second].into_iter().filter(|result| result.is_ok());
        assert_eq!(seated.count(), 1, "{first:?} {second:?}");
        assert_eq!(seats(&store, event.id).await, 2);
    }
}

pub async fn what_ended_stays_known(store: S) {
    let user = UserId::new();
    let later = now() + TimeDelta::seconds(900);
    let event = created(&store, draft(Some(1), 100)).await;
    let of = async |id, at| store.registration(id, user, at).await.unwrap().unwrap();
    // Cancelled by the attendee: payment, amount and ticket are kept, in the answer and in later reads.
    let held = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration;
    let payment = PaymentId::new();
    consume(&store, captured(&held, payment), now()).await;
    let paid = of(held.id, now()).await;
    assert!(paid.ticket.is_some());
    let cancelled = store.cancel_registration(held.id, user, now(), plain()).await;
    let cancelled = done(cancelled.unwrap());
    for ended in [cancelled, of(held.id, now()).await] {
        let registration = &ended.registration;
        assert_eq!(registration.state, State::Cancelled);
        assert_eq!(
            (
                registration.payment_id,
                registration.amount_paid(),
                registration.amount_due()
            ),
            (Some(payment), Paise(100), Paise::ZERO)
        );
        assert_eq!(ended.ticket, paid.ticket);
    }
    // An expired hold, before and after the expiry is stored, whichever stores it: the sweeper, another user's
    // registration that needs the seat, or a new registration of the same user.
    let expired = State::Expired {
        held_until: Some(later),
    };
    let held = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration;
    assert_eq!(of(held.id, later).await.registration.state, expired);
    assert_eq!(store.expire_holds(later, 10).await.unwrap(), 1);
    assert_eq!(of(held.id, later).await.registration.state, expired);
    let wanted = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration;
    let other = register(&store, event.id, UserId::new(), later)
        .await
        .unwrap()
        .registration;
    assert_eq!(of(wanted.id, later).await.registration.state, expired);
    store
        .cancel_registration(other.id, other.user_id, later, plain())
        .await
        .unwrap();
    let own = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration;
    let again = register(&store, event.id, user, later)
        .await
        .unwrap()
        .registration;
    let ended = of(own.id, later).await;
    assert_eq!(ended.registration.state, expired);
    assert_eq!(
        (
            ended.registration.payment_id,
            ended.registration.amount_paid(),
            ended.ticket
        ),
        (None, Paise::ZERO, None)
    );
    // The event is cancelled: the same, before and after its registrations are ended.
    let payment = PaymentId::new();
    consume(&store, captured(&again, payment), later).await;
    let paid = of(again.id, later).await;
    store
        .cancel_event(event.id, event.organizer, later, plain())
        .await
        .unwrap();
    for _ in 0..2 {
        let ended = of(again.id, later).await;
        assert_eq!(ended.registration.state, State::Cancelled);
        assert_eq!(
            (ended.registration.payment_id, &ended.ticket),
            (Some(payment), &paid.ticket)
        );
        while store.end_registrations(later, 2).await.unwrap() > 0 {}
    }
}

pub async fn a_hold_that_runs_out_is_told(store: S) {
    let told = async || -> Vec<HoldExpired> {
        let far = now() + TimeDelta::days(300);
        let waiting = store.outbox().due("notifications", far, 1000).await.unwrap();
        let holds = waiting
            .iter()
            .filter(|waiting| waiting.event.kind == kind::HOLD_EXPIRED);
        holds.map(|waiting| waiting.event.data().unwrap()).collect()
    };
    let later = now() + TimeDelta::seconds(900);
    let event = created(&store, draft(Some(1), 50_000)).await;
    let users: Vec<UserId> = (0..4).map(|_| UserId::new()).collect();
    // Expiry stored by the sweeper: notified once.
    let swept = register(&store, event.id, users[0], now())
        .await
        .unwrap()
        .registration;
    assert_eq!(store.expire_holds(later, 10).await.unwrap(), 1);
    assert_eq!(store.expire_holds(later, 10).await.unwrap(), 0);
    let expected = HoldExpired {
        registration_id: swept.id,
        user_id: users[0],
        event: event.facts(),
        amount: Paise(50_000),
        held_until: later,
        open: true,
    };
    assert_eq!(told().await, [expected]);
    // Expiry stored by another user's registration that needs the seat.
    let wanted = register(&store, event.id, users[1], now())
        .await
        .unwrap()
        .registration;
    let taken = register(&store, event.id, users[2], later)
        .await
        .unwrap()
        .registration;
    assert_eq!(told().await.last().unwrap().registration_id, wanted.id);
    // The user registers again: not notified, whether or not theirs is the last seat.
    let last = later + TimeDelta::seconds(900);
    register(&store, event.id, users[2], last).await.unwrap();
    let wide = created(&store, draft(None, 50_000)).await;
    register(&store, wide.id, users[2], now()).await.unwrap();
    register(&store, wide.id, users[2], later).await.unwrap();
    let user = taken.user_id;
    let question = ClaimSeat {
        event_id: wide.id,
        user_id: user,
    };
    let claim = store
        .claim_seat(question, command(wide.id, user, last))
        .await
        .unwrap();
    assert_eq!(told().await.len(), 2);
    // No message to users who have paid or cancelled, or whose event is cancelled.
    let held = store
        .registration(claim.registration_id, user, last)
        .await
        .unwrap()
        .unwrap();
    consume(&store, captured(&held.registration, PaymentId::new()), last).await;
    let cancels = register(&store, wide.id, users[3], last)
        .await
        .unwrap()
        .registration;
    store
        .cancel_registration(cancels.id, users[3], last, plain())
        .await
        .unwrap();
    register(&store, wide.id, users[3], last).await.unwrap();
    for event in [&event, &wide] {
        store
            .cancel_event(event.id, event.organizer, last, plain())
            .await
            .unwrap();
    }
    store
        .expire_holds(last + TimeDelta::seconds(900), 10)
        .await
        .unwrap();
    assert_eq!(told().await.len(), 2);
    // Once registration has closed, the message says that the user cannot register again.
    let closing = EventDraft {
        closes_at: Some(now() + TimeDelta::seconds(10)),
        ..draft(None, 100)
    };
    let closing = created(&store, closing).await;
    register(&store, closing.id, users[0], now()).await.unwrap();
    store.expire_holds(later, 10).await.unwrap();
    assert!(!told().await.last().unwrap().open);
}

pub async fn cancelling_frees_the_seat(store: S) {
    let event = created(&store, draft(Some(1), 0)).await;
    let user = UserId::new();
    let id = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration
        .id;
    let cancel = async |user, at| store.cancel_registration(id, user, at, plain()).await.map(done);
    assert!(matches!(
        cancel(UserId::new(), now()).await,
        Err(CancelError::NoSuchRegistration)
    ));
    assert!(matches!(
        cancel(user, event.time.at).await,
        Err(CancelError::EventStarted)
    ));
    assert_eq!(
        cancel(user, now()).await.unwrap().registration.state,
        State::Cancelled
    );
    assert!(matches!(
        cancel(user, now()).await,
        Err(CancelError::Ended(State::Cancelled))
    ));
    assert_eq!(seats(&store, event.id).await, 0);
    register(&store, event.id, user, now()).await.unwrap();
    let live = store
        .registrations(user, StatusFilter::Live, first(10), now())
        .await
        .unwrap()
        .0;
    assert_eq!(live.len(), 1);
    assert_eq!(
        statuses(&store, user, now()).await,
        ["confirmed", "cancelled"],
        "newest first"
    );
}

pub async fn a_cancelled_event_ends_its_registrations(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let users: Vec<UserId> = (0..5).map(|_| UserId::new()).collect();
    for user in &users {
        register(&store, event.id, *user, now()).await.unwrap();
    }
    let cancel = async || {
        store
            .cancel_event(event.id, event.organizer, now(), plain())
            .await
            .map(done)
    };
    assert!(cancel().await.unwrap().cancelled);
    assert!(matches!(
        cancel().await,
        Err(ChangeError::Refused(PatchError::Cancelled))
    ));
    assert_eq!(
        statuses(&store, users[4], now()).await,
        ["cancelled"],
        "from the first moment"
    );
    assert!(matches!(
        register(&store, event.id, UserId::new(), now()).await,
        Err(RegisterError::EventCancelled)
    ));
    while store.end_registrations(now(), 2).await.unwrap() > 0 {}
    assert_eq!(seats(&store, event.id).await, 0);
    let told = kinds_for(&store, "notifications").await;
    assert_eq!(
        told.iter()
            .filter(|kind| *kind == kind::REGISTRATION_ENDED)
            .count(),
        5
    );
}

pub async fn changes_are_owned_and_bounded(store: S) {
    let event = created(&store, draft(Some(5), 0)).await;
    for _ in 0..3 {
        register(&store, event.id, UserId::new(), now()).await.unwrap();
    }
    let update = async |organizer, patch| {
        store
            .update_event(event.id, organizer, patch, now(), plain())
            .await
            .map(done)
    };
    let patch = Patch {
        name: Some("Evening of Go".to_owned()),
        ..Patch::default()
    };
    assert!(matches!(
        update(UserId::new(), patch.clone()).await,
        Err(ChangeError::NoSuchEvent)
    ));
    let smaller = Patch {
        capacity: Some(Some(2)),
        ..Patch::default()
    };
    let refused = update(event.organizer, smaller).await;
    assert!(matches!(
        refused,
        Err(ChangeError::Refused(PatchError::CapacityBelowRegistrations(3)))
    ));
    let changed = update(event.organizer, patch).await.unwrap();
    assert_eq!(store.event(event.id).await.unwrap(), Some(changed));
    let search = |text| Search {
        words: crate::domain::search_terms::searched(text).unwrap(),
        ..Search::default()
    };
    assert_eq!(
        store
            .search_events(search("go"), first(10))
            .await
            .unwrap()
            .events
            .len(),
        1
    );
    assert_eq!(
        store
            .search_events(search("rust"), first(10))
            .await
            .unwrap()
            .events
            .len(),
        0
    );
    let told = kinds_for(&store, "notifications").await;
    assert_eq!(told.last().map(String::as_str), Some(kind::EVENT_CHANGED));
    // Attendees are not notified of a new price.
    update(
        event.organizer,
        Patch {
            fee: Some(Paise(100)),
            ..Patch::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(kinds_for(&store, "notifications").await.len(), told.len());
}

pub async fn a_key_gives_one_effect_and_one_answer(store: S) {
    let event = created(&store, draft(Some(50), 0)).await;
    let user = UserId::new();
    let key = |body: &str| Key {
        caller: user,
        route: "POST /x".to_owned(),
        key: "k".to_owned(),
        fingerprint: Key::fingerprint(body.as_bytes()),
    };
    let answer: fn(&Registered) -> Answer = |made| Answer::json(StatusCode::CREATED, &made.registration.id);
    let tries = (0..20).map(|_| {
        let (store, key) = (store.clone(), Some(key("{}")));
        tokio::spawn(async move {
            store
                .register(command(event.id, user, now()), Keyed { key, answer })
                .await
                .unwrap()
        })
    });
    let mut answers = BTreeSet::new();
    let mut carried_out = 0;
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Outcome::Done(made) => {
                carried_out += 1;
                answers.insert(answer(&made).body);
            }
            Outcome::Refused(Refusal::Replay(replayed)) => drop(answers.insert(replayed.body)),
            Outcome::Refused(refusal) => panic!("{refusal:?}"),
        }
    }
    assert_eq!(
        (carried_out, answers.len(), seats(&store, event.id).await),
        (1, 1, 1)
    );
    let other = Keyed {
        key: Some(key("{\"a\":1}")),
        answer,
    };
    let refused = store
        .register(command(event.id, user, now()), other)
        .await
        .unwrap();
    assert_eq!(refused, Outcome::Refused(Refusal::OtherBody));
    // A day later the key has expired, and the registration itself causes the refusal.
    let late = command(event.id, user, now() + TimeDelta::hours(25));
    let retried = store
        .register(
            late,
            Keyed {
                key: Some(key("{}")),
                answer,
            },
        )
        .await;
    assert!(matches!(retried, Err(RegisterError::Already(_))));
}
