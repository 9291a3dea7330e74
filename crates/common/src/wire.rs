//! What services send each other: requests with their answers, and the facts inside messages.

mod announce;
mod attendees;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

pub use self::{
    announce::{Announce, Announced, LIVE_TEXT},
    attendees::{AskAttendees, AttendeeFound, Attendees, Recipients},
};
use crate::{
    api_keys::{KeyHash, Scope},
    auth::Role,
    clock::Timestamp,
    ids::{EventId, OrderId, PaymentId, RegistrationId, TicketId, UserId, WaitlistId},
    leads::Leads,
    money::Paise,
    time::EventTime,
};

/// The services' names, as in service tokens and message destinations.
pub mod service {
    #![expect(missing_docs, reason = "each constant says its own name")]
    pub const GATEWAY: &str = "gateway";
    pub const USERS: &str = "users";
    pub const EVENTS: &str = "events";
    pub const NOTIFICATIONS: &str = "notifications";
    pub const PAYMENTS: &str = "payments";
    /// No service: the destination of what is published live, by the events service.
    pub const LIVE: &str = "live";
}

#[cfg(test)]
mod golden;

/// The kinds of messages.
pub mod kind {
    /// Events to notifications: [`super::RegistrationConfirmed`].
    pub const REGISTRATION_CONFIRMED: &str = "registration.confirmed";
    /// Events to notifications and payments: [`super::RegistrationEnded`].
    pub const REGISTRATION_ENDED: &str = "registration.ended";
    /// Events to notifications: [`super::EventFacts`].
    pub const EVENT_CHANGED: &str = "event.changed";
    /// Payments to events: [`super::PaymentCaptured`].
    pub const PAYMENT_CAPTURED: &str = "payment.captured";
    /// Payments to events: [`super::PaymentReversed`].
    pub const PAYMENT_REVERSED: &str = "payment.reversed";
    /// Events to payments: [`super::PaymentRefused`].
    pub const PAYMENT_REFUSED: &str = "payment.refused";
    /// Payments to notifications: [`super::PaymentRefunded`].
    pub const PAYMENT_REFUNDED: &str = "payment.refunded";
    /// Events to notifications: [`super::HoldExpired`].
    pub const HOLD_EXPIRED: &str = "hold.expired";
    /// Events to notifications: [`super::WaitlistOffered`].
    pub const WAITLIST_OFFERED: &str = "waitlist.offered";
    /// Events to notifications: [`super::WaitlistClosed`].
    pub const WAITLIST_CLOSED: &str = "waitlist.closed";
    /// Payments to notifications: [`super::PaymentFailed`].
    pub const PAYMENT_FAILED: &str = "payment.failed";
    /// Users to notifications: [`super::TokenIssued`].
    pub const TOKEN_ISSUED: &str = "token.issued";
    /// Events to notifications: [`super::TeamInvited`].
    pub const TEAM_INVITED: &str = "team.invited";
    /// Of payments, published live: a payment has moved.
    pub const PAYMENT_CHANGED: &str = "payment.changed";
    /// Of notifications, published live: a message was sent.
    pub const NOTIFICATION_SENT: &str = "notification.sent";
    /// Users to events and notifications: [`super::AccountDeleted`].
    pub const ACCOUNT_DELETED: &str = "account.deleted";
}

/// `POST /internal/live/publish` (events): an array of these is published on the users' own channels, each once or more often. The
/// answer has a [`Receipt`](crate::outbox::Receipt) for each.
#[derive(Debug, Serialize, Deserialize)]
pub struct OwnPublication {
    /// The id of the message that reported the change.
    pub id: Uuid,
    /// Whose channel.
    pub user_id: UserId,
    /// The publication's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its data.
    pub data: Box<RawValue>,
    /// The request that caused it, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `POST /internal/users/lookup` (users): these users' cards.
#[derive(Debug, Serialize, Deserialize)]
pub struct LookupUsers {
    /// At most 500.
    pub user_ids: Vec<UserId>,
}

/// The answer; accounts that do not exist are left out.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundUsers {
    /// In no particular order.
    pub users: Vec<UserCard>,
}

/// `POST /internal/users/api_keys` (users): the keys of these hashes, which are being used.
#[derive(Debug, Serialize, Deserialize)]
pub struct LookupApiKeys {
    /// At most 100.
    pub hashes: Vec<KeyHash>,
}

/// The answer; keys that do not exist are left out.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundApiKeys {
    /// In no particular order.
    pub api_keys: Vec<ApiKeyCard>,
}

/// What an API key is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyCard {
    /// The key's hash.
    pub hash: KeyHash,
    /// Its id.
    pub api_key_id: Uuid,
    /// In whose name it calls.
    pub user_id: UserId,
    /// That account's role.
    pub role: Role,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// From then on it is void.
    pub expires_at: Option<Timestamp>,
}

/// `POST /internal/export` (events, notifications, payments): a page of what is held of a user.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportQuestion {
    /// The user.
    pub user_id: UserId,
    /// Which part of it, such as `registrations`.
    pub section: String,
    /// What the page before gave as the next one.
    pub after: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportPage {
    /// As the public API shows them.
    pub items: Vec<serde_json::Value>,
    /// Where the next page begins, if there may be one.
    pub next: Option<String>,
}

/// `POST /internal/events/open` (events): how many events of an organizer people can still come to.
#[derive(Debug, Serialize, Deserialize)]
pub struct AskOpenEvents {
    /// The organizer.
    pub user_id: UserId,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenEvents {
    /// How many.
    pub open: usize,
}

/// How to reach and address a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCard {
    /// The account.
    pub user_id: UserId,
    /// Canonical e-mail address.
    pub email: String,
    /// What to call them.
    pub name: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// The user's IANA zone, when set.
    #[serde(default)]
    pub timezone: Option<String>,
    /// The language the user reads, as a BCP 47 tag, when set.
    #[serde(default)]
    pub locale: Option<String>,
    /// Whether the user has proved to read what is sent to the address.
    #[serde(default)]
    pub email_verified: bool,
}

/// `POST /internal/users/ended_sessions` (users): the sessions whose tokens are to be refused.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListEndedSessions {
    /// Those that ended then or later.
    pub since: Timestamp,
    /// Only those after this one, in the order of time and id: the last of the page before.
    pub after: Option<(Timestamp, Uuid)>,
}

/// The answer: at most 1,000, in the order of time and id. Those whose tokens have all run out may be missing.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndedSessions {
    /// The sessions.
    pub sessions: Vec<EndedSession>,
}

/// A session that has ended; also its message on the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// The session.
    pub session_id: Uuid,
    /// When it ended.
    pub ended_at: Timestamp,
    /// When the last of its tokens will have run out by itself.
    pub until: Timestamp,
}

/// `POST /internal/registrations/claim` (events): what this user owes for this event. Takes a hold when the user has
/// no live registration.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClaimSeat {
    /// The event.
    pub event_id: EventId,
    /// The payer.
    pub user_id: UserId,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeatClaim {
    /// The live registration, found or just made.
    pub registration_id: RegistrationId,
    /// Whether it is confirmed already; then nothing is owed.
    pub confirmed: bool,
    /// What it costs.
    pub amount: Paise,
    /// The payment that confirmed it.
    pub payment_id: Option<PaymentId>,
    /// The event's name, for the payment's description.
    pub event_name: String,
    /// When the hold ends; `None`: there is none, or the sender does not say.
    #[serde(default)]
    pub held_until: Option<Timestamp>,
}

/// `POST /internal/registrations/secure` (events): money waits to be captured. If it would confirm a registration, the
/// seat is held for another minute at least, so that it does so once it is captured.
#[derive(Debug, Serialize, Deserialize)]
pub struct SecureSeat {
    /// What the money was meant for.
    pub registration_id: RegistrationId,
    /// Our payment.
    pub payment_id: PaymentId,
    /// What it would settle.
    pub amount: Paise,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecuredSeat {
    /// Why the money would go back, so that it is better not captured. Always there: an answer that does not say is none.
    #[serde(deserialize_with = "Option::deserialize")]
    pub refused: Option<RefundReason>,
    /// The hold that was extended for it.
    pub extended: Option<ExtendedHold>,
}

/// A hold that lasts longer while money is captured; also `POST /internal/registrations/release` (events): the money was
/// not captured, and the hold ends when it would have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedHold {
    /// Whose hold.
    pub registration_id: RegistrationId,
    /// When it ended before.
    pub before: Timestamp,
    /// When it ends now.
    pub until: Timestamp,
}

/// `POST /internal/events/organizer` (events): the event's organizer.
#[derive(Debug, Serialize, Deserialize)]
pub struct AskOrganizer {
    /// The event.
    pub event_id: EventId,
}

/// The answer; 404 `event_not_found` when there is no such event.
#[derive(Debug, Serialize, Deserialize)]
pub struct EventOrganizer {
    /// The organizer, who may see and change everything about it.
    pub organizer: UserId,
    /// Whether it was called off.
    #[serde(default)]
    pub cancelled: bool,
    /// Those on its team, who are few. Not kept by who asks: a right ends at once.
    #[serde(default)]
    pub team: Vec<TeamMember>,
}

/// Somebody on the team of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TeamMember {
    /// The account.
    pub user_id: UserId,
    /// As what.
    pub role: TeamRole,
}

impl EventOrganizer {
    /// Whether a user may do what the organizer may, but for what is the organizer's alone.
    ///
    /// # Errors
    /// As what they are on its team, if they are.
    pub fn may_manage(&self, user: UserId) -> Result<(), Option<TeamRole>> {
        let member = self.team.iter().find(|member| member.user_id == user);
        match member.map(|member| member.role) {
            _ if self.organizer == user => Ok(()),
            Some(TeamRole::Manager) => Ok(()),
            role => Err(role),
        }
    }
}

/// What somebody is on the team of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TeamRole {
    /// Runs the event beside its organizer.
    Manager,
    /// Works at its door.
    Scanner,
}

impl TeamRole {
    /// Its name in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Scanner => "scanner",
        }
    }

    /// The role of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Manager, Self::Scanner]
            .into_iter()
            .find(|role| role.name() == text)
    }
}

/// Somebody was invited to the team of an event, and a letter brings the token to their address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamInvited {
    /// What the token is derived from ([`crate::mailed_tokens`]).
    pub invitation_id: Uuid,
    /// The event.
    pub event_id: EventId,
    /// Its name.
    pub event_name: String,
    /// Where the letter goes. It need not be the address of an account.
    pub email: String,
    /// As what.
    pub role: TeamRole,
    /// Whose event it is.
    pub invited_by: UserId,
    /// Until when the token is good.
    pub expires_at: Timestamp,
}

/// What others need to know of an event. A copy with a higher version replaces one with a lower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFacts {
    /// The event.
    pub event_id: EventId,
    /// The event's name.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// When it starts.
    pub starts_at: Timestamp,
    /// The zone to show the start in.
    pub zone: Tz,
    /// Grows with every change of the event.
    pub version: i64,
    /// Grows when the start moves or the reminders are others; reminders belong to one schedule version.
    pub schedule_version: i64,
    /// Whether it was called off.
    pub cancelled: bool,
    /// How people take part; earlier releases had no other than in person.
    #[serde(default, skip_serializing_if = "EventFormat::is_in_person")]
    pub format: EventFormat,
    /// When it ends; `None`: the organizer has not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Where to join it, for confirmed attendees only; `None`: on the watch page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_url: Option<String>,
    /// When its attendees are reminded of it; earlier releases had the default only.
    #[serde(default, skip_serializing_if = "Leads::is_default")]
    pub reminders: Leads,
    /// Whose event it is; `None`: the sender is of a release that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizer: Option<UserId>,
}

/// How people take part in an event.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventFormat {
    /// They go there.
    #[default]
    InPerson,
    /// They join from where they are; there is no place to go to.
    Online,
    /// Either.
    Hybrid,
}

impl EventFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::InPerson, Self::Online, Self::Hybrid];

    /// The name in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::InPerson => "in_person",
            Self::Online => "online",
            Self::Hybrid => "hybrid",
        }
    }

    /// The format of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether nobody joins from afar.
    pub fn is_in_person(&self) -> bool {
        *self == Self::InPerson
    }
}

impl EventFacts {
    /// The start, ready to be shown.
    pub fn time(&self) -> EventTime {
        EventTime {
            at: self.starts_at,
            zone: self.zone,
        }
    }

    /// Where an attendee joins it: where its organizer says, or else on the page to watch it on, which is below `watch_site`.
    /// `None`: people go there.
    pub fn join(&self, watch_site: Option<&str>) -> Option<String> {
        let site = watch_site.filter(|_| !self.format.is_in_person());
        let watch = site.map(|site| format!("{site}{}", self.event_id));
        self.join_url.clone().or(watch)
    }
}

/// `POST /internal/registrations/ticket` (events): the page to print of a ticket. 409 when the registration is not confirmed.
#[derive(Debug, Serialize, Deserialize)]
pub struct AskTicket {
    /// The registration.
    pub registration_id: RegistrationId,
    /// What to call its holder; `None`: nothing.
    pub holder: Option<String>,
    /// The language of its labels, as a BCP 47 tag.
    pub locale: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct TicketPage {
    /// PDF, in base64.
    pub pdf: String,
    /// The picture of its QR code: PNG, in base64.
    pub png: String,
}

/// A registration was confirmed and its ticket issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationConfirmed {
    /// The registration.
    pub registration_id: RegistrationId,
    /// The attendee.
    pub user_id: UserId,
    /// The event.
    pub event: EventFacts,
    /// The ticket.
    pub ticket_id: TicketId,
    /// What is shown at the door.
    pub ticket_code: String,
    /// What was paid.
    pub paid: Paise,
    /// By which payment.
    pub payment_id: Option<PaymentId>,
}

/// Why a registration ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its holder cancelled it.
    Attendee,
    /// The event was called off.
    EventCancelled,
    /// All that was paid for it went back, at Razorpay itself.
    Refunded,
    /// The organizer cancelled it.
    Organizer,
}

/// A live registration was cancelled. What was captured for it is to be refunded, as far as `refund` says; reminders are
/// to be dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationEnded {
    /// The registration.
    pub registration_id: RegistrationId,
    /// The attendee.
    pub user_id: UserId,
    /// The event.
    pub event: EventFacts,
    /// Whether it had been confirmed.
    pub was_confirmed: bool,
    /// What was paid for it; `None`: the sender does not say.
    #[serde(default)]
    pub paid: Option<Paise>,
    /// By which payment; it may have been made for an earlier registration of the same user for the same event. `None`:
    /// unpaid, or the sender does not say.
    #[serde(default)]
    pub payment_id: Option<PaymentId>,
    /// Why.
    pub reason: EndReason,
    /// How much of what was paid goes back; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Paise>,
    /// What the organizer says to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

/// A hold ran out unpaid, and its user has not registered again meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldExpired {
    /// The registration.
    pub registration_id: RegistrationId,
    /// The attendee.
    pub user_id: UserId,
    /// The event.
    pub event: EventFacts,
    /// What it would have cost.
    pub amount: Paise,
    /// When the hold ended.
    pub held_until: Timestamp,
    /// Whether the event takes registrations still, if it has seats.
    pub open: bool,
}

/// A freed seat is held for the first in line, who is to register in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitlistOffered {
    /// The place in the line.
    pub waitlist_id: WaitlistId,
    /// Who waits.
    pub user_id: UserId,
    /// The event.
    pub event: EventFacts,
    /// Until when the seat is held.
    pub until: Timestamp,
}

/// Somebody waited for a seat at an event that is cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitlistClosed {
    /// The place in the line.
    pub waitlist_id: WaitlistId,
    /// Who waited.
    pub user_id: UserId,
    /// The event.
    pub event: EventFacts,
}

/// Money was captured for a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// Our payment.
    pub payment_id: PaymentId,
    /// Our order.
    pub order_id: OrderId,
    /// What it pays for.
    pub registration_id: RegistrationId,
    /// The event of the registration.
    pub event_id: EventId,
    /// The payer.
    pub user_id: UserId,
    /// How much.
    pub amount: Paise,
    /// What it settles, where an offer or a convenience fee made the amount another.
    #[serde(default)]
    pub settles: Option<Paise>,
}

impl PaymentCaptured {
    /// What it pays of what was due.
    pub fn settled(&self) -> Paise {
        self.settles.unwrap_or(self.amount)
    }
}

/// All of a captured payment went back, and not because we sent it: what it paid for is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReversed {
    /// Our payment.
    pub payment_id: PaymentId,
    /// What it was made for.
    pub registration_id: RegistrationId,
}

/// A captured payment found no seat: it is to be refunded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefused {
    /// The payment.
    pub payment_id: PaymentId,
    /// What it was for.
    pub registration_id: RegistrationId,
    /// The event.
    pub event: EventFacts,
    /// Why.
    pub reason: RefundReason,
}

/// A payment did not work out, and its registration is not paid by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFailed {
    /// The payment.
    pub payment_id: PaymentId,
    /// What it was for.
    pub registration_id: RegistrationId,
    /// The event.
    pub event_id: EventId,
    /// The event's name.
    pub event_name: String,
    /// The payer.
    pub user_id: UserId,
    /// How much.
    pub amount: Paise,
    /// Razorpay's slug, such as `insufficient_funds`; empty: it gave none.
    pub reason: String,
    /// Razorpay's words for the payer; may be empty.
    pub description: String,
    /// Why its money was not captured although it was authorized; `None`: the bank declined.
    #[serde(default)]
    pub released: Option<RefundReason>,
    /// When we learned of it.
    pub failed_at: Timestamp,
}

/// Money went back to the payer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    /// The payment.
    pub payment_id: PaymentId,
    /// What it was for.
    pub registration_id: RegistrationId,
    /// The event.
    pub event_id: EventId,
    /// The event's name.
    pub event_name: String,
    /// The payer, who gets it back.
    pub user_id: UserId,
    /// How much.
    pub amount: Paise,
    /// Why.
    pub reason: RefundReason,
    /// Which of the payment's refunds that are on their way it is, from 0: there is a letter for each.
    #[serde(default)]
    pub number: i64,
}

/// Why money goes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// The hold had run out and no seat was left.
    NoSeat,
    /// The holder cancelled.
    Attendee,
    /// The event was called off.
    EventCancelled,
    /// The order had been paid by another payment already.
    Duplicate,
    /// It was not the amount that was due.
    WrongAmount,
    /// The organizer sent it back, by cancelling for the attendee or at Razorpay itself.
    Organizer,
}

impl RefundReason {
    /// Whether money that goes back for it has never bought anything, rather than something that was cancelled later.
    pub fn bought_nothing(self) -> bool {
        matches!(self, Self::NoSeat | Self::Duplicate | Self::WrongAmount)
    }

    /// Its name in stores, answers and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSeat => "no_seat",
            Self::Attendee => "attendee",
            Self::EventCancelled => "event_cancelled",
            Self::Duplicate => "duplicate",
            Self::WrongAmount => "wrong_amount",
            Self::Organizer => "organizer",
        }
    }

    /// For the payer.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoSeat => "The time to pay had run out and the last seat was gone.",
            Self::Attendee => "This registration was cancelled.",
            Self::EventCancelled => "This event was cancelled.",
            Self::Duplicate => "This registration is paid already.",
            Self::WrongAmount => "This was not the amount that was due.",
            Self::Organizer => "The organizer has paid it back.",
        }
    }
}

/// A token for an e-mail address was issued, and a letter brings it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIssued {
    /// What the token and its code are derived from ([`crate::mailed_tokens`]).
    pub token_id: Uuid,
    /// What the letter is about.
    pub letter: AccountLetter,
    /// The account.
    pub user_id: UserId,
    /// Where the letter goes, which need not be the account's address.
    pub email: String,
    /// What to call the reader.
    pub name: Option<String>,
    /// The reader's IANA zone, when set.
    pub timezone: Option<String>,
    /// The language the reader reads, as a BCP 47 tag, when set.
    #[serde(default)]
    pub locale: Option<String>,
    /// The address that the account is to have, when that is another one.
    pub new_email: Option<String>,
    /// When it was issued; its code is good for [`crate::mailed_tokens::CODE_LIFE`].
    pub issued_at: Timestamp,
    /// Until when the token is good.
    pub expires_at: Timestamp,
}

/// An account was deleted. What it has is to end, and what is known of its user is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDeleted {
    /// The account.
    pub user_id: UserId,
}

/// A letter about an account. Each brings a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountLetter {
    /// Confirm that the account's address is yours.
    VerifyEmail,
    /// Confirm that this address is yours, so that it becomes the account's.
    ChangeEmail,
    /// The account's address is to be another one; the token undoes that.
    EmailChanged,
    /// Set another password.
    PasswordReset,
    /// The password is another one; if that was not you, set another password.
    PasswordChanged,
    /// The account was taken back by the way back; now set another password.
    AccountRestored,
    /// None is to be sent: the address has no account. The message is there so that nobody can tell by the time it takes.
    Nothing,
}
