//! The messages that are published, the same from every adapter.

use common::{
    clock::Timestamp,
    money::Paise,
    outbox::NewMessage,
    wire::{
        HoldExpired, PaymentCaptured, PaymentRefused, RefundReason, RegistrationConfirmed, RegistrationEnded,
        TeamInvited, WaitlistClosed, WaitlistOffered, kind, service,
    },
};

use crate::domain::{
    change,
    ending::{Ending, Refund},
    event::Event,
    registration::{Registration, State, Ticket},
    team::Invitation,
    waitlist::{self, Entry},
};

/// A registration holds a seat that is to be paid for.
pub(super) fn held(registration: &Registration, now: Timestamp) -> NewMessage {
    change::of_registration(registration, false, now)
}

/// A registration was confirmed.
pub(super) fn confirmed(
    registration: &Registration,
    event: &Event,
    ticket: &Ticket,
    now: Timestamp,
) -> [NewMessage; 2] {
    let told = RegistrationConfirmed {
        registration_id: registration.id,
        user_id: registration.user_id,
        event: event.facts(),
        ticket_id: ticket.id,
        ticket_code: ticket.code.clone(),
        paid: registration.amount_paid(),
        payment_id: registration.payment_id,
    };
    let mailed = NewMessage::new(
        service::NOTIFICATIONS,
        kind::REGISTRATION_CONFIRMED,
        registration.id,
        now,
        &told,
    );
    [mailed, change::of_registration(registration, false, now)]
}

/// A registration has ended; `registration` is its state before.
pub(super) fn ended(
    registration: &Registration,
    event: &Event,
    ending: &Ending,
    now: Timestamp,
) -> Vec<NewMessage> {
    let refund = match ending.refund {
        Refund::Full => None,
        refund => Some(refund.of(registration.amount_paid())),
    };
    let told = RegistrationEnded {
        registration_id: registration.id,
        user_id: registration.user_id,
        event: event.facts(),
        was_confirmed: matches!(registration.state, State::Confirmed),
        paid: Some(registration.amount_paid()),
        payment_id: registration.payment_id,
        reason: ending.reason,
        refund,
        words: ending.words.clone(),
    };
    // Payments consumes this for an unpaid registration too: a payment may be in flight.
    let destinations: &[&'static str] = match registration.amount {
        Paise::ZERO => &[service::NOTIFICATIONS],
        _ => &[service::NOTIFICATIONS, service::PAYMENTS],
    };
    destinations
        .iter()
        .map(|destination| {
            NewMessage::new(destination, kind::REGISTRATION_ENDED, registration.id, now, &told)
        })
        .chain([change::of_registration(registration, told.was_confirmed, now)])
        .collect()
}

/// A hold has expired unpaid; `registration` is its state before.
pub(super) fn hold_expired(registration: &Registration, event: &Event, now: Timestamp) -> Vec<NewMessage> {
    let live = change::of_registration(registration, false, now);
    let mut messages = vec![live];
    messages.extend(hold_expired_letter(registration, event, now));
    messages
}

/// `None` for a cancelled event: its expired holds are not notified.
fn hold_expired_letter(registration: &Registration, event: &Event, now: Timestamp) -> Option<NewMessage> {
    let State::PendingPayment { hold_expires_at } = registration.state else {
        return None;
    };
    if event.cancelled {
        return None;
    }
    let told = HoldExpired {
        registration_id: registration.id,
        user_id: registration.user_id,
        event: event.facts(),
        amount: registration.amount,
        held_until: hold_expires_at,
        open: event.is_open(now),
    };
    Some(NewMessage::new(
        service::NOTIFICATIONS,
        kind::HOLD_EXPIRED,
        registration.id,
        now,
        &told,
    ))
}

/// An event was changed, published or cancelled. `for_others`: those who are registered are to get a letter, or other
/// reminders; nobody is for a draft.
pub(super) fn changed(event: &Event, for_others: bool, now: Timestamp) -> Vec<NewMessage> {
    let mut messages = vec![change::of_event(event, now)];
    if for_others && !event.draft {
        messages.push(NewMessage::new(
            service::NOTIFICATIONS,
            kind::EVENT_CHANGED,
            event.id,
            now,
            &event.facts(),
        ));
    }
    messages
}

/// An entry of a waitlist has moved; `entry` is its state now. Who is offered a seat gets a letter, and who waited for one at an event
/// that is cancelled.
pub(super) fn moved_in_line(entry: &Entry, event: &Event, now: Timestamp) -> Vec<NewMessage> {
    let mut messages = vec![change::of_entry(entry, now)];
    let (waitlist_id, user_id) = (entry.id, entry.user_id);
    match entry.state {
        waitlist::State::Offered { until } => {
            let told = WaitlistOffered {
                waitlist_id,
                user_id,
                event: event.facts(),
                until,
            };
            messages.push(NewMessage::new(
                service::NOTIFICATIONS,
                kind::WAITLIST_OFFERED,
                waitlist_id,
                now,
                &told,
            ));
        }
        waitlist::State::Closed if event.cancelled => {
            let told = WaitlistClosed {
                waitlist_id,
                user_id,
                event: event.facts(),
            };
            messages.push(NewMessage::new(
                service::NOTIFICATIONS,
                kind::WAITLIST_CLOSED,
                waitlist_id,
                now,
                &told,
            ));
        }
        _ => {}
    }
    messages
}

/// Somebody is invited to the team of an event.
pub(super) fn invited(invitation: &Invitation, event: &Event) -> NewMessage {
    let told = TeamInvited {
        invitation_id: invitation.id,
        event_id: event.id,
        event_name: event.name.clone(),
        email: invitation.email.clone(),
        role: invitation.role,
        invited_by: event.organizer,
        expires_at: invitation.expires_at,
    };
    NewMessage::new(
        service::NOTIFICATIONS,
        kind::TEAM_INVITED,
        invitation.id,
        invitation.invited_at,
        &told,
    )
}

/// A captured payment that does not confirm a registration, to be refunded.
pub(super) fn refused(
    captured: &PaymentCaptured,
    event: &Event,
    reason: RefundReason,
    now: Timestamp,
) -> NewMessage {
    let told = PaymentRefused {
        payment_id: captured.payment_id,
        registration_id: captured.registration_id,
        event: event.facts(),
        reason,
    };
    NewMessage::new(
        service::PAYMENTS,
        kind::PAYMENT_REFUSED,
        captured.payment_id,
        now,
        &told,
    )
}
