//! What every adapter must do. An adapter joins with one line: `crate::store_contract!(make)`, where `make` gives a
//! [`Fresh`] store.

use std::{any::Any, sync::Arc};

use chrono::TimeDelta;
use chrono_tz::Tz;
use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    ids::{EventId, MessageId, RegistrationId, UserId, new_id},
    wire::EventFacts,
};
use uuid::Uuid;

use super::{Change, Claimed, DecidedReminder, Decision, DueReminder, Entry, Intake, Report, Step, Store, Tried};
use crate::domain::{
    delivery::MAX_ATTEMPTS,
    message::{Channel, Details, Draft, Kind, Status},
};

/// A new, empty store.
pub struct Fresh {
    /// The store.
    pub store: Arc<dyn Store>,
    /// A second way to the same data, as another process has.
    pub other: Arc<dyn Store>,
    /// What must outlive both.
    pub _keep: Box<dyn Any + Send + Sync>,
}

/// Lists every test once.
#[macro_export]
macro_rules! store_contract {
    ($make:path) => {
        $crate::store_contract!($make;
            a_message_has_its_effect_once, letters_are_not_queued_twice, registering_again_is_told_again,
            reminders_are_planned_and_found_in_order, no_reminder_after_its_time, an_end_drops_reminders,
            a_late_confirmation_does_not_bring_back_an_end, the_highest_version_wins,
            a_decision_stands_once, a_late_decision_is_void, a_reminder_moves_by_decision,
            a_change_reaches_all_attendees_once, a_newer_change_starts_again, a_cancelled_event_drops_reminders,
            an_unimportant_change_is_not_announced, who_knows_the_change_is_not_told,
            reminders_follow_the_event, claims_are_taken_once, an_expired_lease_is_taken_over,
            a_late_report_is_refused, retries_wait_and_end, a_permanent_failure_ends, returned_claims_do_not_count,
            tries_cut_short_end, nothing_is_sent_after_its_time, what_is_withdrawn_in_flight_is_not_tried_again,
            channels_do_not_mix, the_longest_due_goes_first, a_users_list_is_paged, a_provider_s_list_is_paged,
            times_keep_milliseconds, any_text_survives, an_empty_batch_is_fine, a_large_batch_is_fine,
            purging_forgets_only_what_is_old, it_can_be_pinged,
        );
    };
    ($make:path; $($test:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $test() {
            let fresh: $crate::store::contract::Fresh = $make();
            $crate::store::contract::$test(&fresh).await;
        }
    )+};
}

/// A moment that no test comes near the edges of.
const NOW: i64 = 1_900_000_000_123;
const PROVIDER: &str = "test";

fn at(offset: TimeDelta) -> Timestamp {
    from_millis(NOW) + offset
}

fn now() -> Timestamp {
    from_millis(NOW)
}

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

fn event(starts_in: TimeDelta) -> EventFacts {
    EventFacts {
        event_id: EventId::new(),
        name: "Rust evening".into(),
        address: "Online".into(),
        starts_at: at(starts_in),
        zone: Tz::Asia__Kolkata,
        version: 1,
        schedule_version: 1,
        cancelled: false,
    }
}

fn moved(facts: &EventFacts, starts_in: TimeDelta) -> EventFacts {
    EventFacts {
        starts_at: at(starts_in),
        version: facts.version + 1,
        schedule_version: facts.schedule_version + 1,
        ..facts.clone()
    }
}

/// One who attends.
#[derive(Clone, Copy)]
struct Person {
    user: UserId,
    registration: RegistrationId,
}

impl Person {
    fn new() -> Self {
        Self { user: UserId::new(), registration: RegistrationId::new() }
    }

    fn letter(&self, event: &EventFacts, kind: Kind, channel: Channel) -> Draft {
        Draft {
            id: MessageId::new(),
            user_id: self.user,
            event_id: event.event_id,
            occurrence: self.registration.0,
            kind,
            channel,
            schedule_version: 0,
            address: "asha@example.com".into(),
            name: Some("Asha".into()),
            details: Details::default(),
            not_after: None,
        }
    }

    fn confirmed(&self, facts: &EventFacts) -> Change {
        Change::Confirmed {
            registration_id: self.registration,
            user_id: self.user,
            facts: facts.clone(),
            letters: vec![self.letter(facts, Kind::RegistrationConfirmed, Channel::Email)],
        }
    }

    fn ended(&self, facts: &EventFacts) -> Change {
        Change::Ended {
            registration_id: self.registration,
            user_id: self.user,
            facts: facts.clone(),
            letters: vec![self.letter(facts, Kind::RegistrationCancelled, Channel::Email)],
        }
    }
}

async fn take(store: &Arc<dyn Store>, changes: impl IntoIterator<Item = Change>) {
    let batch = changes.into_iter().map(|change| Intake { id: new_id(), change }).collect();
    store.take(batch, now()).await.unwrap();
}

async fn attend(store: &Arc<dyn Store>, facts: &EventFacts) -> Person {
    let person = Person::new();
    take(store, [person.confirmed(facts)]).await;
    person
}

async fn due(store: &Arc<dyn Store>, starts_in: TimeDelta) -> Vec<DueReminder> {
    store.due_reminders(at(starts_in), 100).await.unwrap()
}

fn send(reminder: &DueReminder) -> DecidedReminder {
    let person = Person { user: reminder.user_id, registration: reminder.registration_id };
    let mut letter = person.letter(&reminder.facts, reminder.kind, Channel::Email);
    letter.schedule_version = reminder.schedule_version;
    decided(reminder, Decision::Send { event_version: reminder.facts.version, letters: vec![letter] })
}

fn decided(reminder: &DueReminder, decision: Decision) -> DecidedReminder {
    DecidedReminder {
        registration_id: reminder.registration_id,
        kind: reminder.kind,
        schedule_version: reminder.schedule_version,
        decision,
    }
}

async fn claim(store: &Arc<dyn Store>, at: Timestamp, limit: usize) -> Vec<Claimed> {
    store.claim(Channel::Email, new_id(), at, at + TimeDelta::seconds(20), limit).await.unwrap()
}

fn sent(claim: &Claimed) -> Report {
    let result = Tried::Sent { provider: PROVIDER, provider_id: "1".into() };
    Report { id: claim.message.id, fence: claim.fence, result }
}

fn report(claim: &Claimed, result: Tried) -> Report {
    Report { id: claim.message.id, fence: claim.fence, result }
}

async fn note(store: &Arc<dyn Store>, reports: Vec<Report>) -> usize {
    store.report(reports.into(), now()).await.unwrap()
}

async fn entries(store: &Arc<dyn Store>, user: UserId) -> Vec<Entry> {
    store.of_user(user, Page { limit: 100, after: None }).await.unwrap()
}

async fn statuses(store: &Arc<dyn Store>, user: UserId) -> Vec<(Kind, Status)> {
    let mut statuses: Vec<_> = entries(store, user).await.iter().map(|entry| (entry.kind, entry.status)).collect();
    statuses.sort_by_key(|(kind, _)| kind.name());
    statuses
}

async fn status(store: &Arc<dyn Store>, person: Person, kind: Kind) -> Status {
    let found: Vec<_> = statuses(store, person.user).await.into_iter().filter(|(k, _)| *k == kind).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].1
}

pub async fn a_message_has_its_effect_once(fresh: &Fresh) {
    let (person, facts) = (Person::new(), event(hours(48)));
    let batch: Arc<[Intake]> = [Intake { id: new_id(), change: person.confirmed(&facts) }].into();
    for store in [&fresh.store, &fresh.other, &fresh.store] {
        store.take(batch.clone(), now()).await.unwrap();
    }
    assert_eq!(statuses(&fresh.store, person.user).await, [(Kind::RegistrationConfirmed, Status::Queued)]);
    let stats = fresh.other.stats(now()).await.unwrap();
    assert_eq!((stats.queued, stats.failed, stats.reminders_pending, stats.overdue_millis), (1, 0, 2, 0));
}

pub async fn letters_are_not_queued_twice(fresh: &Fresh) {
    let (person, facts) = (Person::new(), event(hours(48)));
    let told = |kind, channel| Change::Told { letters: vec![person.letter(&facts, kind, channel)] };
    let all = || Channel::ALL.iter().flat_map(|channel| Kind::ALL.iter().map(|kind| told(*kind, *channel)));
    take(&fresh.store, all()).await;
    take(&fresh.other, all()).await;
    assert_eq!(entries(&fresh.store, person.user).await.len(), Kind::ALL.len() * 2);

    let mut next = person.letter(&facts, Kind::Reminder24h, Channel::Email);
    next.schedule_version = 1;
    take(&fresh.store, [Change::Told { letters: vec![next] }]).await;
    assert_eq!(entries(&fresh.store, person.user).await.len(), Kind::ALL.len() * 2 + 1);
}

pub async fn registering_again_is_told_again(fresh: &Fresh) {
    let facts = event(hours(48));
    let first = attend(&fresh.store, &facts).await;
    take(&fresh.store, [first.ended(&facts)]).await;
    let second = Person { user: first.user, registration: RegistrationId::new() };
    take(&fresh.store, [second.confirmed(&facts)]).await;
    let told = statuses(&fresh.store, first.user).await;
    assert_eq!(told.iter().filter(|(kind, _)| *kind == Kind::RegistrationConfirmed).count(), 2);
    assert_eq!(fresh.store.stats(now()).await.unwrap().reminders_pending, 2);
}

pub async fn reminders_are_planned_and_found_in_order(fresh: &Fresh) {
    let store = &fresh.store;
    assert_eq!(store.next_reminder().await.unwrap(), None);
    let (soon, late) = (event(hours(30)), event(hours(40)));
    let second = attend(store, &late).await;
    let first = attend(store, &soon).await;
    assert_eq!(store.next_reminder().await.unwrap(), Some(at(hours(6))));
    assert!(due(store, hours(6) - TimeDelta::milliseconds(1)).await.is_empty());

    let found = due(store, hours(37)).await;
    let order: Vec<_> = found.iter().map(|r| (r.registration_id, r.user_id, r.kind, r.due_at)).collect();
    assert_eq!(order, [
        (first.registration, first.user, Kind::Reminder24h, at(hours(6))),
        (second.registration, second.user, Kind::Reminder24h, at(hours(16))),
        (first.registration, first.user, Kind::Reminder3h, at(hours(27))),
        (second.registration, second.user, Kind::Reminder3h, at(hours(37))),
    ]);
    assert_eq!(*found[0].facts, soon);
    assert_eq!(store.due_reminders(at(hours(37)), 3).await.unwrap().len(), 3);
}

pub async fn no_reminder_after_its_time(fresh: &Fresh) {
    attend(&fresh.store, &event(hours(24))).await;
    assert_eq!(fresh.store.stats(now()).await.unwrap().reminders_pending, 1);
    for starts_in in [hours(3), hours(0), hours(-100)] {
        attend(&fresh.store, &event(starts_in)).await;
    }
    attend(&fresh.store, &EventFacts { cancelled: true, ..event(hours(48)) }).await;
    assert_eq!(fresh.store.stats(now()).await.unwrap().reminders_pending, 1);
}

pub async fn an_end_drops_reminders(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let (person, other) = (attend(store, &facts).await, attend(store, &facts).await);
    let reminders = due(store, hours(24)).await;
    store.decide(reminders.iter().map(send).collect(), now()).await.unwrap();
    take(store, [person.ended(&facts)]).await;
    assert_eq!(
        statuses(store, person.user).await,
        [
            (Kind::RegistrationCancelled, Status::Queued),
            (Kind::RegistrationConfirmed, Status::Queued),
            (Kind::Reminder24h, Status::Dropped),
        ]
    );
    assert_eq!(status(store, other, Kind::Reminder24h).await, Status::Queued);
    let left = due(store, hours(48)).await;
    assert_eq!(left.iter().map(|r| r.registration_id).collect::<Vec<_>>(), [other.registration]);
}

pub async fn a_late_confirmation_does_not_bring_back_an_end(fresh: &Fresh) {
    let (person, facts) = (Person::new(), event(hours(48)));
    take(&fresh.store, [person.ended(&facts)]).await;
    take(&fresh.store, [person.confirmed(&facts)]).await;
    assert_eq!(statuses(&fresh.store, person.user).await, [(Kind::RegistrationCancelled, Status::Queued)]);
    assert_eq!(fresh.store.stats(now()).await.unwrap().reminders_pending, 0);
}

pub async fn the_highest_version_wins(fresh: &Fresh) {
    let store = &fresh.store;
    let old = event(hours(48));
    let new = EventFacts { name: "Rust night".into(), ..moved(&old, hours(72)) };
    take(store, [Change::EventChanged(new.clone())]).await;
    let person = attend(store, &old).await;
    assert_eq!(store.next_reminder().await.unwrap(), Some(at(hours(48))));
    assert_eq!(claim(store, now(), 10).await[0].message.facts.as_ref(), Some(&new));
    take(store, [Change::EventChanged(old)]).await;
    assert_eq!(*due(store, hours(48)).await[0].facts, new);
    assert!(store.announcement(10).await.unwrap().is_none(), "{}", person.registration);
}

pub async fn a_decision_stands_once(fresh: &Fresh) {
    let facts = event(hours(48));
    let person = attend(&fresh.store, &facts).await;
    let seen = due(&fresh.store, hours(24)).await;
    let seen_too = due(&fresh.other, hours(24)).await;
    let (one, two) = tokio::join!(
        fresh.store.decide(seen.iter().map(send).collect(), now()),
        fresh.other.decide(seen_too.iter().map(send).collect(), now()),
    );
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    assert_eq!(status(&fresh.store, person, Kind::Reminder24h).await, Status::Queued);
    assert!(due(&fresh.store, hours(24)).await.is_empty());
}

pub async fn a_late_decision_is_void(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let person = attend(store, &facts).await;
    let seen = due(store, hours(24)).await;
    take(store, [person.ended(&facts)]).await;
    for decision in [Decision::Drop, Decision::SkipLate, Decision::Move { due_at: now(), schedule_version: 9 }] {
        assert_eq!(store.decide(vec![decided(&seen[0], decision)], now()).await.unwrap(), 0);
    }
    assert_eq!(store.decide(vec![send(&seen[0])], now()).await.unwrap(), 0);
    assert!(!statuses(store, person.user).await.iter().any(|(kind, _)| *kind == Kind::Reminder24h));
}

pub async fn a_reminder_moves_by_decision(fresh: &Fresh) {
    let store = &fresh.store;
    attend(store, &event(hours(48))).await;
    let seen = due(store, hours(24)).await;
    let later = Decision::Move { due_at: at(hours(30)), schedule_version: 2 };
    assert_eq!(store.decide(vec![decided(&seen[0], later)], now()).await.unwrap(), 1);
    assert!(due(store, hours(29)).await.is_empty());
    let found = due(store, hours(30)).await;
    assert_eq!((found.len(), found[0].schedule_version, found[0].due_at), (1, 2, at(hours(30))));
    assert_eq!(store.decide(vec![decided(&found[0], Decision::SkipLate)], now()).await.unwrap(), 1);
    assert_eq!(store.next_reminder().await.unwrap(), Some(at(hours(45))));
}

/// One step as the worker takes it, telling everybody.
async fn step(store: &Arc<dyn Store>, limit: usize) -> Option<(Vec<RegistrationId>, bool)> {
    let announcement = store.announcement(limit).await.unwrap()?;
    let facts = announcement.facts;
    let reached: Vec<_> = announcement
        .attendees
        .iter()
        .map(|attendee| {
            let person = Person { user: attendee.user_id, registration: attendee.registration_id };
            let mut letter = person.letter(&facts, Kind::EventUpdated, Channel::Email);
            letter.schedule_version = facts.version;
            (attendee.registration_id, vec![letter])
        })
        .collect();
    let ids = reached.iter().map(|(id, _)| *id).collect();
    let step = Step { facts, cursor: announcement.cursor, reached };
    let stood = store.announce(step.clone(), now()).await.unwrap();
    assert!(!store.announce(step, now()).await.unwrap(), "a step must not be taken twice");
    Some((ids, stood))
}

pub async fn a_change_reaches_all_attendees_once(fresh: &Fresh) {
    let (store, other) = (&fresh.store, &fresh.other);
    let facts = event(hours(48));
    let mut people = Vec::new();
    for _ in 0..5 {
        people.push(attend(store, &facts).await);
    }
    take(store, [people[1].ended(&facts)]).await;
    attend(store, &event(hours(48))).await;
    take(store, [Change::EventChanged(EventFacts { address: "Hall 2".into(), version: 2, ..facts.clone() })]).await;

    let attendees = store.announcement(10).await.unwrap().unwrap().attendees;
    assert!(attendees.iter().all(|attendee| *attendee.known == facts));
    let ids = |range: &[usize]| range.iter().map(|i| people[*i].registration).collect::<Vec<_>>();
    assert_eq!(step(store, 3).await, Some((ids(&[0, 2, 3]), true)));
    assert_eq!(step(other, 3).await, Some((ids(&[4]), true)));
    assert_eq!(step(store, 3).await, Some((vec![], true)));
    assert_eq!(step(other, 3).await, None);
    for (index, person) in people.iter().enumerate() {
        let told = statuses(store, person.user).await.iter().filter(|(kind, _)| *kind == Kind::EventUpdated).count();
        assert_eq!(told, usize::from(index != 1), "{index}");
    }
}

pub async fn a_newer_change_starts_again(fresh: &Fresh) {
    let store = &fresh.store;
    let first = event(hours(48));
    let people = [attend(store, &first).await, attend(store, &first).await];
    let second = EventFacts { address: "Hall 2".into(), version: 2, ..first.clone() };
    let third = EventFacts { address: "Hall 3".into(), version: 3, ..first.clone() };
    take(store, [Change::EventChanged(second.clone())]).await;
    assert_eq!(step(store, 1).await, Some((vec![people[0].registration], true)));
    let outdated = store.announcement(1).await.unwrap().unwrap();
    take(store, [Change::EventChanged(third.clone())]).await;
    let late = Step {
        facts: outdated.facts,
        cursor: outdated.cursor,
        reached: vec![(people[1].registration, vec![people[1].letter(&second, Kind::EventUpdated, Channel::Email)])],
    };
    assert!(!store.announce(late, now()).await.unwrap());

    let again = store.announcement(10).await.unwrap().unwrap();
    let known: Vec<_> = again.attendees.iter().map(|attendee| (*attendee.known).clone()).collect();
    assert_eq!((again.cursor, &*again.facts, known), (None, &third, vec![second, first]));
}

pub async fn a_cancelled_event_drops_reminders(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let person = attend(store, &facts).await;
    let reminders = due(store, hours(24)).await;
    store.decide(reminders.iter().map(send).collect(), now()).await.unwrap();
    take(store, [Change::EventChanged(EventFacts { cancelled: true, version: 2, ..facts })]).await;
    assert!(due(store, hours(45)).await.iter().all(|reminder| reminder.facts.cancelled));
    while step(store, 10).await.is_some() {}
    assert_eq!(store.stats(now()).await.unwrap().reminders_pending, 0);
    assert_eq!(status(store, person, Kind::Reminder24h).await, Status::Dropped);
}

pub async fn an_unimportant_change_is_not_announced(fresh: &Fresh) {
    let facts = event(hours(48));
    attend(&fresh.store, &facts).await;
    take(&fresh.store, [Change::EventChanged(EventFacts { version: 2, ..facts })]).await;
    assert!(fresh.store.announcement(10).await.unwrap().is_none());
}

pub async fn who_knows_the_change_is_not_told(fresh: &Fresh) {
    let store = &fresh.store;
    let old = event(hours(48));
    let new = EventFacts { address: "Hall 2".into(), version: 2, ..old.clone() };
    let before = attend(store, &old).await;
    // The newer version comes with a confirmation, before the message about the change itself.
    let after = attend(store, &new).await;
    while step(store, 10).await.is_some() {}
    take(store, [Change::EventChanged(new)]).await;
    assert_eq!(step(store, 10).await, None);
    assert_eq!(status(store, before, Kind::EventUpdated).await, Status::Queued);
    assert_eq!(statuses(store, after.user).await, [(Kind::RegistrationConfirmed, Status::Queued)]);
}

pub async fn reminders_follow_the_event(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let person = attend(store, &facts).await;
    let seen = due(store, hours(24)).await;
    assert_eq!(store.decide(seen.iter().map(send).collect(), now()).await.unwrap(), 1);

    // Later: the sent reminder is due once more for the new schedule, its queued letter is withdrawn.
    let later = moved(&facts, hours(72));
    take(store, [Change::EventChanged(later.clone())]).await;
    while step(store, 10).await.is_some() {}
    assert_eq!(status(store, person, Kind::Reminder24h).await, Status::Dropped);
    let found = due(store, hours(72)).await;
    let planned: Vec<_> = found.iter().map(|r| (r.kind, r.due_at, r.schedule_version)).collect();
    assert_eq!(planned, [
        (Kind::Reminder24h, at(hours(48)), 2),
        (Kind::Reminder3h, at(hours(69)), 2),
    ]);
    assert_eq!(store.decide(vec![send(&found[0])], now()).await.unwrap(), 1);
    let reminders = statuses(store, person.user).await;
    assert_eq!(reminders.iter().filter(|(kind, _)| *kind == Kind::Reminder24h).count(), 2);

    // Sooner: what would have been due before now is dropped.
    take(store, [Change::EventChanged(moved(&later, hours(4)))]).await;
    while step(store, 10).await.is_some() {}
    let planned: Vec<_> = due(store, hours(72)).await.iter().map(|r| (r.kind, r.due_at, r.schedule_version)).collect();
    assert_eq!(planned, [(Kind::Reminder3h, at(hours(1)), 3)]);
}

async fn queue(store: &Arc<dyn Store>, count: usize) -> Vec<Person> {
    let facts = event(hours(-1));
    let people: Vec<_> = (0..count).map(|_| Person::new()).collect();
    take(store, people.iter().map(|person| person.confirmed(&facts))).await;
    people
}

pub async fn claims_are_taken_once(fresh: &Fresh) {
    queue(&fresh.store, 20).await;
    let (one, two, three) =
        tokio::join!(claim(&fresh.store, now(), 8), claim(&fresh.other, now(), 8), claim(&fresh.store, now(), 8));
    let mut ids: Vec<_> = one.iter().chain(&two).chain(&three).map(|claim| claim.message.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    assert!(claim(&fresh.other, now(), 8).await.is_empty());
    assert!(one.iter().all(|claim| claim.attempts == 1 && claim.message.status == Status::Sending));
    assert_eq!(fresh.store.next_message(Channel::Email).await.unwrap(), Some(at(TimeDelta::seconds(20))));
}

pub async fn an_expired_lease_is_taken_over(fresh: &Fresh) {
    let store = &fresh.store;
    queue(store, 1).await;
    let first = claim(store, now(), 8).await.remove(0);
    assert!(claim(&fresh.other, at(TimeDelta::milliseconds(19_999)), 8).await.is_empty());
    let second = claim(&fresh.other, at(TimeDelta::seconds(20)), 8).await.remove(0);
    assert_eq!(second.message.id, first.message.id);
    assert!(second.fence > first.fence && second.attempts == 2);
}

pub async fn a_late_report_is_refused(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 1).await;
    let first = claim(store, now(), 8).await.remove(0);
    let second = claim(&fresh.other, at(TimeDelta::seconds(20)), 8).await.remove(0);
    let retry = Tried::Retry { at: now(), why: "x".into() };
    for late in [sent(&first), report(&first, retry), report(&first, Tried::Returned)] {
        assert_eq!(note(store, vec![late]).await, 0);
    }
    assert_eq!(status(store, people[0], Kind::RegistrationConfirmed).await, Status::Sending);
    assert_eq!(note(store, vec![sent(&second)]).await, 1);
    assert_eq!(note(store, vec![sent(&second)]).await, 0);
    assert_eq!(status(store, people[0], Kind::RegistrationConfirmed).await, Status::Sent);
    assert!(claim(store, at(hours(100)), 8).await.is_empty());
    assert_eq!(entries(store, people[0].user).await[0].sent_at, Some(now()));
}

pub async fn retries_wait_and_end(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 1).await;
    let mut when = now();
    for attempts in 1..=MAX_ATTEMPTS {
        let claim = claim(store, when, 8).await.remove(0);
        assert_eq!(claim.attempts, attempts);
        when += TimeDelta::minutes(1);
        assert_eq!(note(store, vec![report(&claim, Tried::Retry { at: when, why: "busy".into() })]).await, 1);
        assert!(self::claim(store, when - TimeDelta::milliseconds(1), 8).await.is_empty());
    }
    assert!(claim(store, at(hours(100)), 8).await.is_empty());
    assert_eq!(status(store, people[0], Kind::RegistrationConfirmed).await, Status::Failed);
    let stats = store.stats(now()).await.unwrap();
    assert_eq!((stats.queued, stats.failed), (0, 1));
}

pub async fn a_permanent_failure_ends(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 1).await;
    let claimed = claim(store, now(), 8).await.remove(0);
    assert_eq!(note(store, vec![report(&claimed, Tried::Failed { why: "no such mailbox".into() })]).await, 1);
    assert_eq!(status(store, people[0], Kind::RegistrationConfirmed).await, Status::Failed);
    assert!(claim(store, at(hours(100)), 8).await.is_empty());
}

pub async fn returned_claims_do_not_count(fresh: &Fresh) {
    let store = &fresh.store;
    queue(store, 1).await;
    for _ in 0..3 {
        let claim = claim(store, now(), 8).await.remove(0);
        assert_eq!(claim.attempts, 1);
        assert_eq!(note(store, vec![report(&claim, Tried::Returned)]).await, 1);
    }
}

pub async fn tries_cut_short_end(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 1).await;
    let mut when = now();
    for _ in 0..MAX_ATTEMPTS {
        assert_eq!(claim(store, when, 8).await.len(), 1);
        when += TimeDelta::seconds(20);
    }
    assert!(claim(store, when, 8).await.is_empty());
    assert_eq!(status(store, people[0], Kind::RegistrationConfirmed).await, Status::Failed);
}

pub async fn nothing_is_sent_after_its_time(fresh: &Fresh) {
    let store = &fresh.store;
    let (person, facts) = (Person::new(), event(hours(3)));
    let until = |kind, end| Draft { not_after: Some(at(end)), ..person.letter(&facts, kind, Channel::Email) };
    let letters = vec![until(Kind::Reminder3h, hours(1)), until(Kind::Reminder24h, hours(2))];
    take(store, [Change::Told { letters }]).await;
    let claims = claim(store, at(hours(1)), 8).await;
    assert_eq!(claims.iter().map(|claim| claim.message.kind).collect::<Vec<_>>(), [Kind::Reminder24h]);
    assert_eq!(status(store, person, Kind::Reminder3h).await, Status::Dropped);
    let too_late = Tried::Retry { at: at(hours(2)), why: "busy".into() };
    assert_eq!(note(store, vec![report(&claims[0], too_late)]).await, 1);
    assert_eq!(status(store, person, Kind::Reminder24h).await, Status::Failed);
}

pub async fn what_is_withdrawn_in_flight_is_not_tried_again(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    for result in [
        Some(Tried::Retry { at: now(), why: "busy".into() }),
        Some(Tried::Returned),
        Some(Tried::Sent { provider: PROVIDER, provider_id: "1".into() }),
        None,
    ] {
        let person = attend(store, &facts).await;
        let reminders = due(store, hours(24)).await;
        store.decide(reminders.iter().map(send).collect(), now()).await.unwrap();
        let claims = claim(store, now(), 8).await;
        let reminder = claims.iter().find(|claim| claim.message.kind == Kind::Reminder24h).unwrap();
        let others = claims.iter().filter(|claim| claim.message.kind != Kind::Reminder24h).map(sent).collect();
        note(store, others).await;
        take(store, [person.ended(&facts)]).await;
        let expected = match &result {
            Some(Tried::Sent { .. }) => Status::Sent,
            _ => Status::Dropped,
        };
        match result {
            Some(result) => assert_eq!(note(store, vec![report(reminder, result)]).await, 1),
            None => {
                let later = claim(store, at(TimeDelta::seconds(20)), 8).await;
                assert!(later.iter().all(|claim| claim.message.kind == Kind::RegistrationCancelled));
            }
        }
        assert_eq!(status(store, person, Kind::Reminder24h).await, expected);
        note(store, claim(store, at(hours(1)), 8).await.iter().map(sent).collect()).await;
    }
}

pub async fn channels_do_not_mix(fresh: &Fresh) {
    let store = &fresh.store;
    let (person, facts) = (Person::new(), event(hours(3)));
    take(store, [Change::Told { letters: vec![person.letter(&facts, Kind::Ticket, Channel::Sms)] }]).await;
    assert_eq!(store.next_message(Channel::Email).await.unwrap(), None);
    assert_eq!(store.next_message(Channel::Sms).await.unwrap(), Some(now()));
    assert!(claim(store, now(), 8).await.is_empty());
    let claims = store.claim(Channel::Sms, new_id(), now(), at(hours(1)), 8).await.unwrap();
    assert_eq!(claims.len(), 1);
    assert_eq!((claims[0].message.channel, claims[0].message.facts.clone()), (Channel::Sms, None));
}

pub async fn the_longest_due_goes_first(fresh: &Fresh) {
    let store = &fresh.store;
    let mut ids = Vec::new();
    for minutes in [3, 1, 2] {
        let (person, facts) = (Person::new(), event(hours(3)));
        let letter = person.letter(&facts, Kind::Ticket, Channel::Email);
        ids.push(letter.id);
        let batch = [Intake { id: new_id(), change: Change::Told { letters: vec![letter] } }].into();
        store.take(batch, at(TimeDelta::minutes(minutes))).await.unwrap();
    }
    let later = at(TimeDelta::minutes(3));
    assert_eq!(store.stats(later).await.unwrap().overdue_millis, 120_000);
    let first: Vec<_> = claim(store, later, 2).await.iter().map(|claim| claim.message.id).collect();
    assert_eq!(first, [ids[1], ids[2]]);
    assert_eq!(claim(store, later, 2).await[0].message.id, ids[0]);
}

pub async fn a_users_list_is_paged(fresh: &Fresh) {
    let store = &fresh.store;
    let (person, facts) = (Person::new(), event(hours(3)));
    queue(store, 3).await;
    assert!(entries(store, person.user).await.is_empty());
    // Three of one moment, so that ties have to be told apart, and two of others.
    let mut expected = Vec::new();
    for (minutes, kind) in
        [(5, Kind::Ticket), (1, Kind::Reminder3h), (5, Kind::Reminder24h), (5, Kind::EventUpdated), (9, Kind::EventCancelled)]
    {
        let letter = person.letter(&facts, kind, Channel::Email);
        expected.push((at(TimeDelta::minutes(minutes)), letter.id));
        let batch = [Intake { id: new_id(), change: Change::Told { letters: vec![letter] } }].into();
        store.take(batch, at(TimeDelta::minutes(minutes))).await.unwrap();
    }
    expected.sort();
    expected.reverse();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = Page { limit: 2, after };
        let entries = store.of_user(person.user, page).await.unwrap();
        assert!(entries.len() <= 3);
        let (entries, next) = page
            .cut(entries, |entry| Cursor { key: entry.created_at.timestamp_millis(), id: entry.id.0 });
        found.extend(entries.iter().map(|entry| (entry.created_at, entry.id)));
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(found, expected);
}

pub async fn a_provider_s_list_is_paged(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 5).await;
    let page = |limit, after| Page { limit, after };
    assert!(store.taken_by(PROVIDER, None, page(10, None)).await.unwrap().is_empty());
    let claims = claim(store, now(), 10).await;
    assert_eq!(store.find(PROVIDER, claims[0].message.id).await.unwrap(), None);
    assert_eq!(note(store, claims.iter().skip(1).map(sent).collect()).await, 4);

    let mut expected: Vec<_> = claims.iter().skip(1).map(|claim| claim.message.id).collect();
    expected.sort();
    expected.reverse();
    let ids = |messages: Vec<crate::domain::message::Message>| messages.iter().map(|m| m.id).collect::<Vec<_>>();
    assert_eq!(ids(store.taken_by(PROVIDER, None, page(10, None)).await.unwrap()), expected);
    assert_eq!(ids(store.taken_by(PROVIDER, None, page(2, None)).await.unwrap()), expected[..3]);
    let after = Some(Cursor { key: 0, id: expected[1].0 });
    assert_eq!(ids(store.taken_by(PROVIDER, None, page(2, after)).await.unwrap()), expected[2..]);
    let to = |address: &str| store.taken_by(PROVIDER, Some(address.to_owned()), page(10, None));
    assert_eq!(to("asha@example.com").await.unwrap().len(), 4);
    assert_eq!(to("nobody@example.com").await.unwrap().len(), 0);
    assert_eq!(store.taken_by("another", None, page(10, None)).await.unwrap().len(), 0);

    let found = store.find(PROVIDER, expected[0]).await.unwrap().unwrap();
    assert_eq!((found.status, found.kind), (Status::Sent, Kind::RegistrationConfirmed));
    assert!(people.iter().any(|person| person.user == found.user_id && person.registration.0 == found.occurrence));
    assert_eq!(store.find(PROVIDER, MessageId(Uuid::nil())).await.unwrap(), None);
}

pub async fn times_keep_milliseconds(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = EventFacts { starts_at: from_millis(NOW + 86_400_001), ..event(hours(0)) };
    let person = attend(store, &facts).await;
    assert_eq!(entries(store, person.user).await[0].created_at, now());
    let claims = claim(store, now(), 8).await;
    assert_eq!(claims[0].message.facts.as_ref(), Some(&facts));
    assert_eq!(store.next_reminder().await.unwrap(), Some(from_millis(NOW + 1)));
}

pub async fn any_text_survives(fresh: &Fresh) {
    let store = &fresh.store;
    for text in ["", "Zoë \u{1f389} 'quote\" \\ \n\t", &"é".repeat(20_000)] {
        let person = Person::new();
        let facts = EventFacts { name: text.into(), address: text.into(), ..event(hours(48)) };
        let mut letter = person.letter(&facts, Kind::Ticket, Channel::Email);
        letter.name = Some(text.into());
        letter.address = text.into();
        letter.details.ticket_code = Some(text.into());
        letter.details.before = Some(facts.clone());
        let details = letter.details.clone();
        let (registration_id, user_id) = (person.registration, person.user);
        take(store, [Change::Confirmed { registration_id, user_id, facts: facts.clone(), letters: vec![letter] }]).await;
        let claim = claim(store, now(), 8).await.remove(0);
        let message = &claim.message;
        assert_eq!((message.name.as_deref(), message.address.as_str()), (Some(text), text));
        assert_eq!((message.facts.as_ref(), &message.details), (Some(&facts), &details));
        assert_eq!(note(store, vec![report(&claim, Tried::Failed { why: text.into() })]).await, 1);
    }
}

pub async fn an_empty_batch_is_fine(fresh: &Fresh) {
    let store = &fresh.store;
    take(store, []).await;
    take(store, [Change::Nothing]).await;
    assert_eq!(store.decide(Vec::new(), now()).await.unwrap(), 0);
    assert_eq!(note(store, Vec::new()).await, 0);
    assert!(claim(store, now(), 0).await.is_empty());
    assert!(store.due_reminders(now(), 10).await.unwrap().is_empty());
}

pub async fn a_large_batch_is_fine(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let people: Vec<_> = (0..500).map(|_| Person::new()).collect();
    take(store, people.iter().map(|person| person.confirmed(&facts))).await;
    let stats = store.stats(now()).await.unwrap();
    assert_eq!((stats.queued, stats.reminders_pending), (500, 1000));
    let found = store.due_reminders(at(hours(24)), 1000).await.unwrap();
    assert_eq!(store.decide(found.iter().map(send).collect(), now()).await.unwrap(), 500);
    let claims = claim(store, now(), 2000).await;
    assert_eq!(claims.len(), 1000);
    assert_eq!(note(store, claims.iter().map(sent).collect()).await, 1000);
    assert_eq!(store.stats(now()).await.unwrap().queued, 0);
}

pub async fn purging_forgets_only_what_is_old(fresh: &Fresh) {
    let store = &fresh.store;
    let (person, facts) = (Person::new(), event(hours(48)));
    let batch: Arc<[Intake]> = [Intake { id: new_id(), change: person.confirmed(&facts) }].into();
    store.take(batch.clone(), now()).await.unwrap();
    let seen = due(store, hours(24)).await;
    store.decide(seen.iter().map(send).collect(), now()).await.unwrap();
    assert_eq!(store.purge(at(TimeDelta::days(7)), 100).await.unwrap(), 0);
    assert_eq!(store.purge(at(TimeDelta::days(9)), 100).await.unwrap(), 1, "the id of the message");
    // Even then a repeat finds the registration known.
    store.take(batch, now()).await.unwrap();
    assert_eq!(entries(store, person.user).await.len(), 2);
    assert_eq!(store.purge(at(TimeDelta::days(40)), 100).await.unwrap(), 2, "the id and the reminder that is done");
    assert_eq!(store.stats(now()).await.unwrap().reminders_pending, 1);
}

pub async fn it_can_be_pinged(fresh: &Fresh) {
    fresh.store.ping().await.unwrap();
    fresh.other.ping().await.unwrap();
}
