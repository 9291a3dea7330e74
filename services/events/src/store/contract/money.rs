//! The effect of payments on registrations.

use super::*;

pub async fn capture_confirms_once(store: S) {
    let event = created(&store, draft(Some(1), 100)).await;
    let user = UserId::new();
    let question = || ClaimSeat {
        event_id: event.id,
        user_id: user,
    };
    let claim = store
        .claim_seat(question(), command(event.id, user, now()))
        .await
        .unwrap();
    assert_eq!((claim.confirmed, claim.amount), (false, Paise(100)));
    let again = store
        .claim_seat(question(), command(event.id, user, now()))
        .await
        .unwrap();
    assert_eq!(
        again.registration_id, claim.registration_id,
        "a hold is found, not made twice"
    );
    let held = store
        .registration(claim.registration_id, user, now())
        .await
        .unwrap()
        .unwrap()
        .registration;
    let payment = PaymentId::new();
    let message = captured(&held, payment);
    let repeat = message.clone();
    consume(&store, message, now()).await;
    consume(&store, repeat, now()).await;
    let of = async || {
        let found = store.registration(held.id, user, now()).await.unwrap().unwrap();
        found.registration.payment_id
    };
    assert_eq!(of().await, Some(payment));
    consume(&store, captured(&held, payment), now()).await; // the same payment in another message
    assert_eq!(
        kinds_for(&store, "notifications").await,
        [kind::REGISTRATION_CONFIRMED]
    );
    assert_eq!(kinds_for(&store, "payments").await, Vec::<String>::new());
    let claim = store
        .claim_seat(question(), command(event.id, user, now()))
        .await
        .unwrap();
    assert_eq!((claim.confirmed, claim.payment_id), (true, Some(payment)));
    // A second payment for a paid registration is refunded.
    consume(&store, captured(&held, PaymentId::new()), now()).await;
    assert_eq!(kinds_for(&store, "payments").await, [kind::PAYMENT_REFUSED]);
    let free = created(&store, draft(None, 0)).await;
    let question = ClaimSeat {
        event_id: free.id,
        user_id: user,
    };
    let refused = store.claim_seat(question, command(free.id, user, now())).await;
    assert!(matches!(refused, Err(RegisterError::NothingDue)));
    store
        .cancel_registration(held.id, user, now(), plain())
        .await
        .unwrap();
    assert_eq!(of().await, Some(payment), "what paid for it stays known");
}

pub async fn an_offer_changes_what_was_paid(store: S) {
    let event = created(&store, draft(Some(1), 100)).await;
    let user = UserId::new();
    let held = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration;
    let told = PaymentCaptured {
        payment_id: PaymentId::new(),
        order_id: OrderId::new(),
        registration_id: held.id,
        event_id: event.id,
        user_id: user,
        amount: Paise(90),
        settles: Some(Paise(100)),
    };
    consume(&store, told_by_payments(&told), now()).await;
    let found = store.registration(held.id, user, now()).await.unwrap().unwrap();
    let registration = found.registration;
    assert_eq!(
        (registration.amount, registration.amount_paid()),
        (Paise(100), Paise(90))
    );
    let far = now() + TimeDelta::days(300);
    let told = store.outbox().due("notifications", far, 10).await.unwrap();
    let confirmed: RegistrationConfirmed = told[0].event.data().unwrap();
    assert_eq!(confirmed.paid, Paise(90));
}

pub async fn a_reversed_payment_ends_what_it_paid(store: S) {
    let user = UserId::new();
    let event = created(&store, draft(Some(2), 100)).await;
    let later = now() + TimeDelta::seconds(900);
    let old = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration;
    register(&store, event.id, user, later).await.unwrap();
    let payment = PaymentId::new();
    consume(&store, captured(&old, payment), later).await;
    assert_eq!(statuses(&store, user, later).await, ["confirmed", "expired"]);
    let reversed = |payment_id| {
        let told = PaymentReversed {
            payment_id,
            registration_id: old.id,
        };
        incoming(Fact::Reversed(told))
    };
    consume(&store, reversed(PaymentId::new()), later).await;
    assert_eq!(statuses(&store, user, later).await, ["confirmed", "expired"]);
    let live = store.paid_registrations(None, 10).await.unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!((live[0].1, live[0].2), (payment, true));
    for _ in 0..2 {
        consume(&store, reversed(payment), later).await;
    }
    assert_eq!(
        store.paid_registrations(None, 10).await.unwrap(),
        [(live[0].0, payment, false)]
    );
    assert_eq!(store.paid_registrations(Some(live[0].0), 10).await.unwrap(), []);
    assert_eq!(statuses(&store, user, later).await, ["cancelled", "expired"]);
    assert_eq!(seats(&store, event.id).await, 0);
    let far = now() + TimeDelta::days(300);
    let told = store.outbox().due("notifications", far, 10).await.unwrap();
    let ended: RegistrationEnded = told.last().unwrap().event.data().unwrap();
    assert_eq!(
        (ended.reason, ended.payment_id),
        (EndReason::Refunded, Some(payment))
    );
    assert_eq!(told.len(), 2, "confirmed and ended");
}

pub async fn late_money_retakes_or_goes_back(store: S) {
    let event = created(&store, draft(Some(1), 100)).await;
    let (early, late) = (UserId::new(), UserId::new());
    let held = register(&store, event.id, early, now())
        .await
        .unwrap()
        .registration;
    let later = now() + TimeDelta::seconds(900);
    store.expire_holds(later, 10).await.unwrap();
    consume(&store, captured(&held, PaymentId::new()), later).await;
    assert_eq!(
        statuses(&store, early, later).await,
        ["confirmed"],
        "the seat was free"
    );
    let other = created(&store, draft(Some(1), 100)).await;
    let held = register(&store, other.id, early, now())
        .await
        .unwrap()
        .registration;
    register(&store, other.id, late, later).await.unwrap();
    consume(&store, captured(&held, PaymentId::new()), later).await;
    assert_eq!(
        kinds_for(&store, "payments").await,
        [kind::PAYMENT_REFUSED],
        "the seat was gone"
    );
    assert_eq!(seats(&store, other.id).await, 1);
}

pub async fn late_money_finds_the_live_registration(store: S) {
    let user = UserId::new();
    let event = created(&store, draft(Some(2), 100)).await;
    let later = now() + TimeDelta::seconds(900);
    let old = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration;
    let live = register(&store, event.id, user, later)
        .await
        .unwrap()
        .registration;
    assert_ne!(old.id, live.id);
    let payment = PaymentId::new();
    consume(&store, captured(&old, payment), later).await;
    assert_eq!(statuses(&store, user, later).await, ["confirmed", "expired"]);
    let of = async || {
        let found = store.registration(live.id, user, later).await.unwrap().unwrap();
        found.registration.payment_id
    };
    assert_eq!(of().await, Some(payment));
    assert_eq!(seats(&store, event.id).await, 1);
    consume(&store, captured(&old, payment), later).await; // the same payment in another message
    assert_eq!(kinds_for(&store, "payments").await, Vec::<String>::new());
    // A further payment for either is refunded.
    consume(&store, captured(&old, PaymentId::new()), later).await;
    consume(&store, captured(&live, PaymentId::new()), later).await;
    assert_eq!(kinds_for(&store, "payments").await, [kind::PAYMENT_REFUSED; 2]);
    assert_eq!(of().await, Some(payment));
    store
        .cancel_registration(live.id, user, later, plain())
        .await
        .unwrap();
    let far = now() + TimeDelta::days(300);
    let told = store.outbox().due("payments", far, 1000).await.unwrap();
    let ended: RegistrationEnded = told.last().unwrap().event.data().unwrap();
    assert_eq!(ended.payment_id, Some(payment), "it was made for another order");
    // Payments refunds a cancelled registration by itself: the money pays for no other one.
    let next = register(&store, event.id, user, later)
        .await
        .unwrap()
        .registration;
    consume(&store, captured(&live, PaymentId::new()), later).await;
    let told = store.outbox().due("payments", far, 1000).await.unwrap();
    let refused: PaymentRefused = told.last().unwrap().event.data().unwrap();
    assert_eq!(refused.reason, RefundReason::Attendee);
    let found = store.registration(next.id, user, later).await.unwrap().unwrap();
    assert_eq!(found.registration.payment_id, None);
}

pub async fn a_seat_is_secured_before_its_money_is_taken(store: S) {
    let user = UserId::new();
    let event = created(&store, draft(Some(1), 100)).await;
    let held = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration;
    let payment = PaymentId::new();
    let secure = async |registration: RegistrationId, amount, at| {
        let question = SecureSeat {
            registration_id: registration,
            payment_id: payment,
            amount: Paise(amount),
        };
        store.secure_seat(question, at).await.unwrap()
    };
    assert_eq!(secure(RegistrationId::new(), 100, now()).await, None);
    let fine = |extended| {
        Some(SecuredSeat {
            refused: None,
            extended,
        })
    };
    let refused = |reason| {
        Some(SecuredSeat {
            refused: Some(reason),
            extended: None,
        })
    };
    let extended = |before, until| ExtendedHold {
        registration_id: held.id,
        before,
        until,
    };
    // Enough time is left.
    assert_eq!(secure(held.id, 100, now()).await, fine(None));
    assert_eq!(
        secure(held.id, 99, now()).await,
        refused(RefundReason::WrongAmount)
    );
    // Not enough time: the hold is extended, for this capture only.
    let (ends, minute) = (now() + TimeDelta::seconds(900), TimeDelta::seconds(60));
    let late = ends - TimeDelta::seconds(5);
    let hold = extended(ends, late + minute);
    assert_eq!(secure(held.id, 100, late).await, fine(Some(hold.clone())));
    store.expire_holds(ends, 10).await.unwrap();
    assert_eq!(statuses(&store, user, ends).await, ["pending_payment"]);
    store.release_hold(hold.clone()).await.unwrap();
    store.expire_holds(ends, 10).await.unwrap();
    assert_eq!(statuses(&store, user, ends).await, ["expired"]);
    assert_eq!(seats(&store, event.id).await, 0);
    // The hold has expired and the seat is free: it is taken again.
    let hold = extended(ends, ends + minute);
    assert_eq!(secure(held.id, 100, ends).await, fine(Some(hold.clone())));
    assert_eq!(statuses(&store, user, ends).await, ["pending_payment"]);
    assert_eq!(seats(&store, event.id).await, 1);
    let others = register(&store, event.id, UserId::new(), ends).await;
    assert!(matches!(others, Err(RegisterError::Full)));
    store.release_hold(hold.clone()).await.unwrap();
    store.expire_holds(ends, 10).await.unwrap();
    assert_eq!(seats(&store, event.id).await, 0);
    // The same with a clock that was set back to long before the end of the hold.
    let early = ends - TimeDelta::seconds(600);
    let hold = extended(early, early + minute);
    assert_eq!(secure(held.id, 100, early).await, fine(Some(hold.clone())));
    assert_eq!(statuses(&store, user, early).await, ["pending_payment"]);
    assert_eq!(seats(&store, event.id).await, 1);
    store.release_hold(hold).await.unwrap();
    store.expire_holds(ends, 10).await.unwrap();
    assert_eq!(seats(&store, event.id).await, 0);
    let hold = extended(ends, ends + minute);
    // Another user has the seat now.
    let other = register(&store, event.id, UserId::new(), ends)
        .await
        .unwrap()
        .registration;
    assert_eq!(secure(held.id, 100, ends).await, refused(RefundReason::NoSeat));
    store.release_hold(hold).await.unwrap();
    assert_eq!(statuses(&store, user, ends).await, ["expired"]);
    // A confirmed registration has no hold to release.
    let hold = secure(other.id, 100, ends + TimeDelta::seconds(899))
        .await
        .unwrap();
    consume(&store, captured(&other, payment), ends).await;
    store.release_hold(hold.extended.unwrap()).await.unwrap();
    assert_eq!(secure(other.id, 100, ends).await, fine(None), "it is known");
    assert_eq!(statuses(&store, other.user_id, ends).await, ["confirmed"]);
    let question = SecureSeat {
        registration_id: other.id,
        payment_id: PaymentId::new(),
        amount: Paise(100),
    };
    assert_eq!(
        store.secure_seat(question, ends).await.unwrap(),
        refused(RefundReason::Duplicate)
    );
    store
        .cancel_event(event.id, event.organizer, ends, plain())
        .await
        .unwrap();
    assert_eq!(
        secure(held.id, 100, ends).await,
        refused(RefundReason::EventCancelled)
    );
}
