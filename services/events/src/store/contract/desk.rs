//! The desk: who is admitted, who came, and what is counted.

use common::ids::TicketId;

use super::*;
use crate::{
    domain::{
        check_in::{CheckIn, Scan, Turned},
        counts::{self, Bucket, Counts, begins},
        ending::Refund,
        registration::{State, Ticket},
    },
    store::desk::{Attendee, AttendeeFilter, Cancel, CheckInError, Scanned, TicketBy},
};

fn scan(event: EventId, nonce: &str, at: Timestamp) -> Scan {
    Scan {
        event,
        nonce: nonce.to_owned(),
        gate: (nonce != "ungated").then(|| "North".to_owned()),
        by: UserId::new(),
        now: at,
    }
}

async fn scanned(store: &S, ticket: &Ticket, scan: &Scan) -> Result<Scanned, Turned> {
    let by = TicketBy::Code(ticket.code.clone());
    let name = Some("Asha".to_owned());
    match store.check_in(by, scan.clone(), name, plain()).await {
        Ok(outcome) => Ok(done(outcome)),
        Err(CheckInError::Turned(why)) => Err(why),
        Err(error) => panic!("{error}"),
    }
}

async fn total(store: &S, event: EventId) -> Counts {
    let counted = store.counted(event, now()).await.unwrap();
    counts::total(&counted.hours)
}

pub async fn a_ticket_admits_once(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let other = created(&store, draft(None, 0)).await;
    let registered = register(&store, event.id, UserId::new(), now()).await.unwrap();
    let ticket = registered.ticket.clone().unwrap();
    let first = scan(event.id, "1", now());
    assert_eq!(
        scanned(&store, &ticket, &scan(other.id, "1", now())).await,
        Err(Turned::WrongEvent)
    );
    let admitted = scanned(&store, &ticket, &first).await.unwrap();
    assert_eq!(admitted.check_in, CheckIn::of(&first));
    assert_eq!(admitted.name.as_deref(), Some("Asha"));
    assert_eq!(admitted.registered.registration, registered.registration);
    // The same scan again, later: the same answer.
    let again = scan(event.id, "1", now() + TimeDelta::seconds(9));
    assert_eq!(scanned(&store, &ticket, &again).await.unwrap(), admitted);
    let already = Turned::AlreadyIn {
        at: now(),
        gate: Some("North".to_owned()),
    };
    assert_eq!(
        scanned(&store, &ticket, &scan(event.id, "2", now())).await,
        Err(already)
    );
    assert_eq!(total(&store, event.id).await.checked_in, 1);
    // Undone, by its own event only, it admits again; and the first scan keeps its answer.
    let undo = async |event: EventId| store.undo_check_in(event, ticket.id, now(), plain()).await;
    assert!(matches!(undo(other.id).await, Err(CheckInError::NotCheckedIn)));
    let undone = done(undo(event.id).await.unwrap());
    assert_eq!(undone.check_in.undone_at, Some(now()));
    assert!(matches!(undo(event.id).await, Err(CheckInError::NotCheckedIn)));
    assert_eq!(total(&store, event.id).await.checked_in, 0);
    let repeated = scanned(&store, &ticket, &again).await.unwrap();
    assert_eq!(repeated.check_in.at, admitted.check_in.at);
    assert_eq!(total(&store, event.id).await.checked_in, 0);
    let third = scan(event.id, "ungated", now() + TimeDelta::seconds(1));
    assert_eq!(
        scanned(&store, &ticket, &third).await.unwrap().check_in,
        CheckIn::of(&third)
    );
    assert_eq!(total(&store, event.id).await.checked_in, 1);
    let unknown = Ticket::issue().unwrap();
    assert_eq!(
        scanned(&store, &unknown, &scan(event.id, "4", now())).await,
        Err(Turned::Invalid)
    );
    let by_id = TicketBy::Id(ticket.id);
    let found = store.ticketed(by_id, now()).await.unwrap().unwrap();
    assert_eq!(found.ticket, Some(ticket));
    let nobody = store
        .ticketed(TicketBy::Id(TicketId::new()), now())
        .await
        .unwrap();
    assert_eq!(nobody, None);
    // Two scanners at once.
    let registered = register(&store, event.id, UserId::new(), now()).await.unwrap();
    let ticket = registered.ticket.unwrap();
    let scans: Vec<Scan> = ["a", "b", "c", "d"]
        .map(|nonce| scan(event.id, nonce, now()))
        .into();
    let tries = scans.iter().map(|scan| scanned(&store, &ticket, scan));
    let admitted = futures_util::future::join_all(tries).await;
    assert_eq!(
        admitted.iter().filter(|answer| answer.is_ok()).count(),
        1,
        "{admitted:?}"
    );
    assert_eq!(total(&store, event.id).await.checked_in, 2);
}

pub async fn a_cancelled_ticket_admits_nobody(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let user = UserId::new();
    let registered = register(&store, event.id, user, now()).await.unwrap();
    let (registration, ticket) = (registered.registration, registered.ticket.unwrap());
    store
        .cancel_registration(registration.id, user, now(), plain())
        .await
        .unwrap();
    let refused = scanned(&store, &ticket, &scan(event.id, "1", now())).await;
    assert_eq!(refused, Err(Turned::Cancelled));
    let user = UserId::new();
    let ticket = register(&store, event.id, user, now())
        .await
        .unwrap()
        .ticket
        .unwrap();
    store
        .cancel_event(event.id, event.organizer, now(), plain())
        .await
        .unwrap();
    let refused = scanned(&store, &ticket, &scan(event.id, "1", now())).await;
    assert_eq!(refused, Err(Turned::Cancelled));
}

pub async fn the_desk_lists_the_newest_first(store: S) {
    let event = Arc::new(created(&store, draft(None, 50_000)).await);
    let other = created(&store, draft(None, 0)).await;
    register(&store, other.id, UserId::new(), now()).await.unwrap();
    let mut all = Vec::new();
    for index in 0..6 {
        let registered = register(&store, event.id, UserId::new(), now()).await.unwrap();
        if index % 2 == 0 {
            consume(
                &store,
                captured(&registered.registration, PaymentId::new()),
                now(),
            )
            .await;
        }
        all.push(registered.registration);
    }
    all.reverse();
    let list = async |filter: AttendeeFilter, after, limit, look_at| {
        store
            .desk_attendees(event.clone(), filter, after, limit, look_at, now())
            .await
            .unwrap()
    };
    let ids =
        |found: &[Attendee]| -> Vec<RegistrationId> { found.iter().map(|one| one.registration.id).collect() };
    let everybody = AttendeeFilter::default();
    let found = list(everybody, None, 100, 1_000).await;
    assert_eq!(
        ids(&found.found),
        all.iter().map(|one| one.id).collect::<Vec<_>>()
    );
    assert_eq!(found.rest, None);
    let two = list(everybody, Some(all[1].id), 2, 1_000).await;
    assert_eq!(ids(&two.found), [all[2].id, all[3].id]);
    let confirmed = AttendeeFilter {
        status: Some("confirmed"),
        ..everybody
    };
    let found = list(confirmed, None, 100, 1_000).await;
    assert_eq!(ids(&found.found), [all[1].id, all[3].id, all[5].id]);
    assert!(found.found.iter().all(|one| one.ticket.is_some()));
    // What may be looked at is bounded, and the rest is said.
    let found = list(confirmed, None, 100, 3).await;
    assert_eq!(
        (ids(&found.found), found.rest),
        (vec![all[1].id], Some(all[2].id))
    );
    let held = AttendeeFilter {
        status: Some("pending_payment"),
        ..everybody
    };
    assert_eq!(list(held, None, 100, 1_000).await.found.len(), 3);
    let later = now() + TimeDelta::hours(1);
    let expired = AttendeeFilter {
        status: Some("expired"),
        ..everybody
    };
    let found = store
        .desk_attendees(event.clone(), expired, None, 100, 1_000, later)
        .await
        .unwrap();
    assert_eq!(found.found.len(), 3);
    let ticket = list(confirmed, None, 1, 1_000)
        .await
        .found
        .remove(0)
        .ticket
        .unwrap();
    scanned(&store, &ticket, &scan(event.id, "1", now()))
        .await
        .unwrap();
    for (checked_in, count) in [(true, 1), (false, 5)] {
        let filter = AttendeeFilter {
            checked_in: Some(checked_in),
            ..everybody
        };
        assert_eq!(list(filter, None, 100, 1_000).await.found.len(), count);
    }
}

pub async fn the_organizer_cancels_with_any_part_of_the_money(store: S) {
    let event = created(&store, draft(Some(10), 50_000)).await;
    let mut paid = Vec::new();
    for _ in 0..3 {
        let registered = register(&store, event.id, UserId::new(), now()).await.unwrap();
        consume(
            &store,
            captured(&registered.registration, PaymentId::new()),
            now(),
        )
        .await;
        paid.push(registered.registration.id);
    }
    let cancel = |registration, refund| Cancel {
        event: event.id,
        registration,
        refund,
        words: Some("See you next year".to_owned()),
        now: event.time.at + TimeDelta::hours(1),
    };
    let elsewhere = Cancel {
        event: EventId::new(),
        ..cancel(paid[0], Refund::Full)
    };
    let refused = store.cancel_for(elsewhere, plain()).await;
    assert!(matches!(refused, Err(CancelError::NoSuchRegistration)));
    let refused = store
        .cancel_for(cancel(paid[0], Refund::Part(Paise(50_001))), plain())
        .await;
    assert!(matches!(
        refused,
        Err(CancelError::RefundExceedsPayment(Paise(50_000)))
    ));
    for (registration, refund) in paid
        .iter()
        .zip([Refund::Full, Refund::None, Refund::Part(Paise(20_000))])
    {
        let cancelled = done(
            store
                .cancel_for(cancel(*registration, refund), plain())
                .await
                .unwrap(),
        );
        assert_eq!(cancelled.registration.state, State::Cancelled);
        let again = store.cancel_for(cancel(*registration, refund), plain()).await;
        assert!(matches!(again, Err(CancelError::Ended(State::Cancelled))));
    }
    assert_eq!(seats(&store, event.id).await, 0);
    let far = now() + TimeDelta::days(300);
    let told = store.outbox().due("payments", far, 1_000).await.unwrap();
    let mut refunds: Vec<_> = told
        .iter()
        .filter(|waiting| waiting.event.kind == kind::REGISTRATION_ENDED)
        .map(|waiting| waiting.event.data::<RegistrationEnded>().unwrap())
        .inspect(|ended| {
            assert_eq!(ended.reason, EndReason::Organizer);
            assert_eq!(ended.words.as_deref(), Some("See you next year"));
        })
        .map(|ended| ended.refund)
        .collect();
    refunds.sort_unstable();
    assert_eq!(refunds, [None, Some(Paise(0)), Some(Paise(20_000))]);
    let total = total(&store, event.id).await;
    assert_eq!((total.confirmed, total.ended, total.cancelled), (3, 3, 3));
    assert_eq!((total.refunded, total.revenue()), (Paise(70_000), Paise(80_000)));
}

pub async fn the_desk_counts_what_happens(store: S) {
    let event = created(&store, draft(None, 50_000)).await;
    let none = store.counted(event.id, now()).await.unwrap();
    assert_eq!((none.pending_payment, none.hours.len()), (0, 0));
    let mut held = Vec::new();
    for _ in 0..4 {
        let registered = register(&store, event.id, UserId::new(), now()).await;
        held.push(registered.unwrap().registration);
    }
    consume(&store, captured(&held[0], PaymentId::new()), now()).await;
    // An offer: 450 instead of 500 rupees, in the next hour.
    let later = now() + TimeDelta::hours(1);
    let offered = PaymentCaptured {
        payment_id: PaymentId::new(),
        order_id: OrderId::new(),
        registration_id: held[1].id,
        event_id: event.id,
        user_id: held[1].user_id,
        amount: Paise(45_000),
        settles: Some(Paise(50_000)),
    };
    consume(&store, told_by_payments(&offered), later).await;
    // One leaves who had paid, and one who had not.
    for registration in [&held[0], &held[2]] {
        let (id, user) = (registration.id, registration.user_id);
        store.cancel_registration(id, user, now(), plain()).await.unwrap();
    }
    let counted = store.counted(event.id, now()).await.unwrap();
    assert_eq!(counted.pending_payment, 1);
    let first = Counts {
        confirmed: 1,
        ended: 1,
        cancelled: 2,
        paid: Paise(50_000),
        refunded: Paise(50_000),
        checked_in: 0,
    };
    let second = Counts {
        confirmed: 1,
        paid: Paise(45_000),
        ..Counts::default()
    };
    let zone = event.time.zone;
    assert_eq!(
        counted.hours,
        [
            (begins(now(), zone, Bucket::Hour), first),
            (begins(later, zone, Bucket::Hour), second)
        ]
    );
    // A hold that has run out is not counted as held, also before it is tidied away.
    let counted = store.counted(event.id, now() + TimeDelta::days(1)).await.unwrap();
    assert_eq!(counted.pending_payment, 0);
    // With the event everything ends.
    store
        .cancel_event(event.id, event.organizer, now(), plain())
        .await
        .unwrap();
    while store.end_registrations(now(), 100).await.unwrap() > 0 {}
    let total = total(&store, event.id).await;
    assert_eq!((total.confirmed, total.ended, total.cancelled), (2, 2, 4));
    assert_eq!(total.revenue(), Paise(0));
    // Free registrations are counted in groups too.
    let event = created(&store, draft(None, 0)).await;
    let many = (0..20).map(|_| register(&store, event.id, UserId::new(), now()));
    for registered in futures_util::future::join_all(many).await {
        registered.unwrap();
    }
    let counted = store.counted(event.id, now()).await.unwrap();
    assert_eq!(counted.hours.len(), 1);
    assert_eq!(counted.hours[0].1.confirmed, 20);
}

pub async fn a_calendar_has_one_token(store: S) {
    let (asha, ben) = (UserId::new(), UserId::new());
    assert!(!store.drop_calendar(asha).await.unwrap());
    for (user, token) in [(asha, [1; 32]), (ben, [2; 32]), (asha, [3; 32])] {
        store.set_calendar(user, token, now()).await.unwrap();
        assert_eq!(store.calendar(token).await.unwrap(), Some(user));
    }
    assert_eq!(store.calendar([1; 32]).await.unwrap(), None);
    assert!(store.drop_calendar(asha).await.unwrap());
    assert_eq!(store.calendar([3; 32]).await.unwrap(), None);
    assert_eq!(store.calendar([2; 32]).await.unwrap(), Some(ben));
}
