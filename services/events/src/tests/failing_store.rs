//! A store that fails on demand.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    audit::AuditStore,
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PaymentId, PlaybackId, PostId, RegistrationId, StreamId, TicketId, UserId, WaitlistId},
    outbox::{OutboxStore, Receipt},
    store::StoreError,
    subscriber::Incoming,
    wire::{AttendeeFound, ClaimSeat, ExtendedHold, Recipients, SeatClaim, SecureSeat, SecuredSeat},
    workers::WakeSignal,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{
    domain::{
        check_in::Scan,
        event::{Event, Patch},
        fact::Fact,
        post::{Change, Kind, NewPost, Post, Stage, Tally, Vote},
        publishing::Duplicate,
        standing::{ChatMode, Standing},
        stream::{self, NewStream, Playback, Segment, Stream},
        team::{Invitation, TeamRole},
        waitlist::Join,
    },
    store::{
        CancelError, ChangeError, EventPage, Own, Register, RegisterError, Registered, Search, StatusFilter,
        Store,
        calendars::{CalendarStore, TokenHash},
        desk::{AttendeeFilter, Attendees, Cancel, CheckInError, Counted, DeskStore, Scanned, TicketBy},
        posts::{PostError, PostStore, Restrict, Target},
        streams::{self, Claim, PlaybackError, PublishError, StreamError, StreamStore},
        team::{AcceptError, InviteError, Joined, LeaveError, Left, Memberships, Team, TeamStore},
        waitlist::{Listed, WaitlistError, WaitlistStore},
    },
};

/// How the store fails.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// Every call, before it has any effect.
    All(StoreError),
    /// Calls that change something, before they have any effect.
    Changes(StoreError),
    /// Calls that change something have their effect, and their answer is lost.
    AnswersOfChanges,
}

/// A store in front of another.
pub struct FailingStore {
    inner: Arc<dyn Store>,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Call {
    Reads,
    Changes,
}

impl FailingStore {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            trouble: Mutex::default(),
        }
    }

    pub fn fails(&self, trouble: Trouble) {
        *self.trouble.lock() = Some(trouble);
    }

    pub fn works(&self) {
        *self.trouble.lock() = None;
    }

    fn before(&self, call: Call) -> Result<(), StoreError> {
        match &*self.trouble.lock() {
            Some(Trouble::All(error)) => Err(error.clone()),
            Some(Trouble::Changes(error)) if call == Call::Changes => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn after(&self, call: Call) -> Result<(), StoreError> {
        match &*self.trouble.lock() {
            Some(Trouble::AnswersOfChanges) if call == Call::Changes => {
                Err(StoreError::Unavailable("the answer was lost".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Passes on each call of the store.
macro_rules! pass_on {
    ($of_trait:ident { $($call:ident $name:ident($($arg:ident: $of:ty),*) -> $answer:ty;)+ } $($more:tt)*) => {
        #[async_trait]
        impl $of_trait for FailingStore {
            $(async fn $name(&self, $($arg: $of),*) -> $answer {
                self.before(Call::$call)?;
                let answer = self.inner.$name($($arg),*).await;
                self.after(Call::$call)?;
                answer
            })+

            $($more)*
        }
    };
}

pass_on! {
    Store {
        Changes create_event(event: Event, keyed: Keyed<Event>) -> Result<Outcome<Event>, StoreError>;
        Reads event(id: EventId) -> Result<Option<Event>, StoreError>;
        Reads organizer_events(organizer: UserId, which: Own, page: Page) -> Result<EventPage, StoreError>;
        Reads search_events(search: Search, page: Page) -> Result<EventPage, StoreError>;
        Changes update_event(id: EventId, organizer: UserId, patch: Patch, now: Timestamp, keyed: Keyed<Event>)
            -> Result<Outcome<Event>, ChangeError>;
        Changes cancel_event(id: EventId, organizer: UserId, now: Timestamp, keyed: Keyed<Event>)
            -> Result<Outcome<Event>, ChangeError>;
        Changes publish_event(id: EventId, organizer: UserId, now: Timestamp, keyed: Keyed<Event>)
            -> Result<Outcome<Event>, ChangeError>;
        Changes duplicate_event(
            id: EventId, organizer: UserId, copy: Duplicate, now: Timestamp, keyed: Keyed<Event>
        ) -> Result<Outcome<Event>, ChangeError>;
        Changes end_registrations(now: Timestamp, limit: usize) -> Result<usize, StoreError>;
        Changes register(command: Register, keyed: Keyed<Registered>)
            -> Result<Outcome<Registered>, RegisterError>;
        Changes claim_seat(question: ClaimSeat, command: Register) -> Result<SeatClaim, RegisterError>;
        Changes secure_seat(question: SecureSeat, now: Timestamp) -> Result<Option<SecuredSeat>, StoreError>;
        Changes release_hold(hold: ExtendedHold) -> Result<(), StoreError>;
        Changes cancel_registration(
            id: RegistrationId, user: UserId, now: Timestamp, keyed: Keyed<Registered>
        ) -> Result<Outcome<Registered>, CancelError>;
        Reads registrations(user: UserId, filter: StatusFilter, page: Page, now: Timestamp)
            -> Result<(Vec<Registered>, Option<Cursor>), StoreError>;
        Reads registration(id: RegistrationId, user: UserId, now: Timestamp)
            -> Result<Option<Registered>, StoreError>;
        Reads paid_registrations(after: Option<RegistrationId>, limit: usize)
            -> Result<Vec<(RegistrationId, PaymentId, bool)>, StoreError>;
        Reads attendees(event: EventId, to: Recipients, after: Option<UserId>, limit: usize)
            -> Result<Vec<AttendeeFound>, StoreError>;
        Changes expire_holds(now: Timestamp, limit: usize) -> Result<usize, StoreError>;
        Changes consume(batch: Vec<Incoming<Fact>>, now: Timestamp) -> Result<Vec<Receipt>, StoreError>;
        Changes index_events(limit: usize) -> Result<usize, StoreError>;
        Changes tidy(now: Timestamp) -> Result<(), StoreError>;
        Changes ping() -> Result<(), StoreError>;
    }

    fn changes(&self) -> Option<u64> {
        self.inner.changes()
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        self.inner.outbox()
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        self.inner.audit()
    }

    fn wake_signal(&self) -> WakeSignal {
        self.inner.wake_signal()
    }
}

pass_on! {
    CalendarStore {
        Changes set_calendar(user: UserId, token: TokenHash, now: Timestamp) -> Result<(), StoreError>;
        Changes drop_calendar(user: UserId) -> Result<bool, StoreError>;
        Reads calendar(token: TokenHash) -> Result<Option<UserId>, StoreError>;
    }
}

pass_on! {
    DeskStore {
        Reads ticketed(by: TicketBy, now: Timestamp) -> Result<Option<Registered>, StoreError>;
        Changes check_in(ticket: TicketBy, scan: Scan, name: Option<String>, keyed: Keyed<Scanned>)
            -> Result<Outcome<Scanned>, CheckInError>;
        Changes undo_check_in(
            event: EventId, ticket: TicketId, now: Timestamp, keyed: Keyed<Scanned>
        ) -> Result<Outcome<Scanned>, CheckInError>;
        Reads desk_attendees(
            event: Arc<Event>, filter: AttendeeFilter, after: Option<RegistrationId>, limit: usize, look_at: usize,
            now: Timestamp
        ) -> Result<Attendees, StoreError>;
        Changes cancel_for(cancel: Cancel, keyed: Keyed<Registered>)
            -> Result<Outcome<Registered>, CancelError>;
        Reads counted(event: EventId, now: Timestamp) -> Result<Counted, StoreError>;
        Changes count_events(limit: usize) -> Result<usize, StoreError>;
    }
}

pass_on! {
    PostStore {
        Reads standing(event: EventId, user: UserId) -> Result<Option<Standing>, StoreError>;
        Reads chat_mode(event: EventId) -> Result<ChatMode, StoreError>;
        Changes set_chat_mode(
            event: EventId, organizer: UserId, mode: ChatMode, now: Timestamp, keyed: Keyed<ChatMode>
        ) -> Result<Outcome<ChatMode>, PostError>;
        Changes restrict(restrict: Restrict, now: Timestamp, keyed: Keyed<Restrict>)
            -> Result<Outcome<Restrict>, PostError>;
        Changes add_post(new: NewPost, now: Timestamp, keyed: Keyed<Post>) -> Result<Outcome<Post>, PostError>;
        Changes add_post_once(new: NewPost, now: Timestamp) -> Result<Option<Post>, PostError>;
        Changes change_post(
            target: Target, user: UserId, change: Change, now: Timestamp, keyed: Keyed<Post>
        ) -> Result<Outcome<Post>, PostError>;
        Changes vote(
            target: Target, user: UserId, option: Option<Uuid>, now: Timestamp, keyed: Keyed<Post>
        ) -> Result<Outcome<Post>, PostError>;
        Reads post(id: PostId) -> Result<Option<Post>, StoreError>;
        Reads posts(event: EventId, kind: Kind, stages: &'static [Stage], page: Page)
            -> Result<(Vec<Post>, Option<Cursor>), StoreError>;
        Reads tallies(posts: Vec<PostId>) -> Result<HashMap<PostId, Tally>, StoreError>;
        Reads votes_of(user: UserId, posts: Vec<PostId>) -> Result<HashMap<PostId, Option<Uuid>>, StoreError>;
        Reads posts_of_user(user: UserId, page: Page) -> Result<(Vec<Post>, Option<Cursor>), StoreError>;
        Reads votes_by(user: UserId, page: Page) -> Result<(Vec<Vote>, Option<Cursor>), StoreError>;
        Changes forget_author(user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
    }
}

pass_on! {
    WaitlistStore {
        Changes join_waitlist(join: Join, keyed: Keyed<Listed>) -> Result<Outcome<Listed>, WaitlistError>;
        Changes leave_waitlist(event: EventId, user: UserId, now: Timestamp, keyed: Keyed<Listed>)
            -> Result<Outcome<Listed>, WaitlistError>;
        Reads waitlist_of(user: UserId, page: Page, now: Timestamp)
            -> Result<(Vec<Listed>, Option<Cursor>), StoreError>;
        Reads waitlist_entry(id: WaitlistId, now: Timestamp) -> Result<Option<Listed>, StoreError>;
        Reads lines_due(after: Option<EventId>, now: Timestamp, limit: usize)
            -> Result<Vec<EventId>, StoreError>;
        Changes advance_line(event: EventId, length: Duration, now: Timestamp, limit: usize)
            -> Result<usize, StoreError>;
        Changes forget_waiting(user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
    }
}

pass_on! {
    TeamStore {
        Reads team_role(event: EventId, user: UserId) -> Result<Option<TeamRole>, StoreError>;
        Reads team(event: Arc<Event>, now: Timestamp) -> Result<Team, StoreError>;
        Changes invite(invitation: Invitation, keyed: Keyed<Invitation>)
            -> Result<Outcome<Invitation>, InviteError>;
        Changes accept(
            invitation: Uuid, user: UserId, email: String, now: Timestamp, keyed: Keyed<Joined>
        ) -> Result<Outcome<Joined>, AcceptError>;
        Changes leave(event: EventId, who: Uuid, now: Timestamp, keyed: Keyed<Left>)
            -> Result<Outcome<Left>, LeaveError>;
        Reads teams_of(user: UserId, page: Page)
            -> Result<Memberships, StoreError>;
        Reads invitations_by(organizer: UserId, page: Page)
            -> Result<(Vec<Invitation>, Option<Cursor>), StoreError>;
        Changes forget_team(user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
    }
}

pass_on! {
    StreamStore {
        Changes add_stream(new: NewStream, organizer: UserId, now: Timestamp, keyed: Keyed<Stream>)
            -> Result<Outcome<Stream>, StreamError>;
        Changes change_stream(
            target: streams::Target, change: stream::Change, now: Timestamp, keyed: Keyed<Stream>
        ) -> Result<Outcome<Stream>, StreamError>;
        Reads stream(id: StreamId) -> Result<Option<Stream>, StoreError>;
        Reads streams(event: EventId) -> Result<Vec<Stream>, StoreError>;
        Reads stream_by_key(key_hash: [u8; 32]) -> Result<Option<Stream>, StoreError>;
        Changes claim_stream(claim: Claim, now: Timestamp) -> Result<Stream, PublishError>;
        Changes add_segment(claim: Claim, segment: Segment, now: Timestamp)
            -> Result<(Stream, Segment), PublishError>;
        Changes release_stream(claim: Claim, now: Timestamp) -> Result<(), PublishError>;
        Changes note_encoder(claim: Claim, codecs: Option<String>, problem: Option<String>)
            -> Result<(), PublishError>;
        Changes look_at_streams(now: Timestamp, limit: usize) -> Result<Vec<Stream>, StoreError>;
        Reads on_air(receiver: stream::Receiver, limit: usize) -> Result<Vec<Stream>, StoreError>;
        Changes observe_stream(id: StreamId, seen: Option<stream::Seen>, now: Timestamp)
            -> Result<Option<streams::Observed>, StoreError>;
        Reads segments(stream: StreamId, from: u64, limit: usize) -> Result<Vec<Segment>, StoreError>;
        Reads segment(stream: StreamId, number: u64) -> Result<Option<Segment>, StoreError>;
        Reads streams_to_drop(ended_before: Timestamp, limit: usize) -> Result<Vec<Stream>, StoreError>;
        Changes drop_segments(stream: StreamId, below: u64) -> Result<(), StoreError>;
        Changes recording_dropped(stream: StreamId, now: Timestamp) -> Result<(), StoreError>;
        Changes begin_playback(new: Playback, organizer: bool, now: Timestamp)
            -> Result<Playback, PlaybackError>;
        Reads playback(id: PlaybackId) -> Result<Option<Playback>, StoreError>;
        Changes playbacks_seen(seen: Vec<(PlaybackId, Timestamp)>) -> Result<(), StoreError>;
        Reads viewers(event: EventId, since: Timestamp) -> Result<u64, StoreError>;
        Reads playbacks_of_user(user: UserId, page: Page)
            -> Result<(Vec<Playback>, Option<Cursor>), StoreError>;
        Changes forget_viewer(user: UserId, limit: usize) -> Result<usize, StoreError>;
    }
}
