//! Events and registrations as the public API shows them.

pub mod posts;
pub mod stream;
pub mod team;
pub mod waitlist;

use common::{
    ids::{EventId, PaymentId, RegistrationId, TicketId},
    money::Rupees,
    time::{EventTime, utc},
    wire::EventFormat,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        event::Event,
        listing::{Category, Visibility},
        registration::{State, Ticket},
    },
    store::Registered,
};

/// Whether an event takes place.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// It takes place as planned.
    Active,
    /// It is not published: only its organizer sees it.
    Draft,
    /// It was cancelled.
    Cancelled,
}

/// An event.
#[derive(Serialize, ToSchema)]
pub struct EventView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    pub event_id: EventId,
    /// The name.
    #[schema(example = "Rust for organisers")]
    pub e_name: String,
    /// The description.
    #[schema(example = "An evening about building things that last.")]
    pub e_details: String,
    /// The start, in the event's zone.
    #[schema(format = DateTime, example = "2030-01-31T18:30:00.000+05:30")]
    pub event_time: String,
    /// The event's IANA zone.
    #[schema(example = "Asia/Kolkata")]
    pub timezone: String,
    /// When it ends, in the event's zone; null: not said.
    #[schema(required = true, format = DateTime, example = "2030-01-31T20:30:00.000+05:30")]
    pub ends_at: Option<String>,
    /// How people take part.
    #[schema(example = "in_person")]
    pub format: EventFormat,
    /// The address: a street or a link. May be empty where the event is online.
    #[schema(example = "12 MG Road, Bengaluru")]
    pub event_add: String,
    /// Seats; null: unlimited.
    #[schema(required = true, minimum = 1, maximum = 1000000, example = 100)]
    pub capacity: Option<u32>,
    /// Free seats; null: unlimited.
    #[schema(required = true, example = 99)]
    pub seats_left: Option<u32>,
    /// Live registrations, including unpaid holds.
    #[schema(example = 1)]
    pub registered: u32,
    /// Price in rupees.
    #[schema(value_type = f64, example = 500)]
    pub fees: Rupees,
    /// Whether it takes place.
    #[schema(example = "active")]
    pub status: EventStatus,
    /// What it is about.
    #[schema(example = "technology")]
    pub category: Category,
    /// What else it is found by.
    #[schema(example = json!(["Rust", "meetup"]))]
    pub tags: Vec<String>,
    /// The address of a picture, https; null: none.
    #[schema(required = true, example = "https://img.example.org/rust.jpg")]
    pub image_url: Option<String>,
    /// Whether lists have it.
    #[schema(example = "public")]
    pub visibility: Visibility,
    /// When registration opens, UTC; null: it has been open from the beginning.
    #[schema(required = true, format = DateTime, example = "2030-01-01T04:30:00.000Z")]
    pub registration_opens_at: Option<String>,
    /// When registration closes, UTC; null: never.
    #[schema(required = true, format = DateTime, example = "2030-01-31T13:00:00.000Z")]
    pub registration_closes_at: Option<String>,
    /// When it was created, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    pub created_at: String,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            event_id: event.id,
            e_name: event.name.clone(),
            e_details: event.details.clone(),
            event_time: event.time.rfc3339(),
            timezone: event.time.zone.name().to_owned(),
            ends_at: event.end().map(EventTime::rfc3339),
            format: event.format,
            event_add: event.address.clone(),
            capacity: event.capacity,
            seats_left: event.seats_left(),
            registered: event.registered(),
            fees: event.fee.into(),
            status: match (event.cancelled, event.draft) {
                (true, _) => EventStatus::Cancelled,
                (false, true) => EventStatus::Draft,
                (false, false) => EventStatus::Active,
            },
            category: event.listing.category,
            tags: event.listing.tags.texts(),
            image_url: event.listing.image_url.clone(),
            visibility: event.listing.visibility,
            registration_opens_at: event.opens_at.map(utc),
            registration_closes_at: event.closes.at().map(utc),
            created_at: utc(event.created_at),
        }
    }
}

/// An event as its organizer sees it.
#[derive(Serialize, ToSchema)]
pub struct OwnEventView {
    /// The event.
    #[serde(flatten)]
    pub event: EventView,
    /// Where to join it; null: on the watch page. Only confirmed attendees see it.
    #[schema(required = true, example = "https://meet.example.org/rust")]
    pub join_url: Option<String>,
}

impl From<&Event> for OwnEventView {
    fn from(event: &Event) -> Self {
        Self {
            event: EventView::from(event),
            join_url: event.join_url.clone(),
        }
    }
}

/// An event that was just created or changed.
#[derive(Serialize, ToSchema)]
pub struct EventAnswer {
    /// What happened.
    #[schema(example = "Event created successfully.")]
    pub message: &'static str,
    /// The event.
    #[serde(flatten)]
    pub event: OwnEventView,
}

/// A ticket.
#[derive(Serialize, ToSchema)]
pub struct TicketView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000004")]
    pub ticket_id: TicketId,
    /// The code for people to type at the entrance.
    #[schema(example = "7KQ2-M4XD-0RZT-9HVB")]
    pub code: String,
    /// What its QR code holds: signed, so that a scanner checks it offline with the key of `/api/events/ticket_key`.
    #[schema(
        example = "OE1.eyJ0aWNrZXRfaWQiOiIwMTkzMDlhMi0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDQifQ.nUgjGJTwXH76NXdSQdRCE2YjYHBN"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
}

impl From<&Ticket> for TicketView {
    fn from(ticket: &Ticket) -> Self {
        Self {
            ticket_id: ticket.id,
            code: ticket.code.clone(),
            qr: ticket.qr.clone(),
        }
    }
}

/// The status of a registration.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationStatus {
    /// A seat is held until it is paid for.
    PendingPayment,
    /// The seat is taken.
    Confirmed,
    /// The hold expired unpaid.
    Expired,
    /// The attendee cancelled it, or the event was cancelled.
    Cancelled,
}

impl RegistrationStatus {
    /// The public name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PendingPayment => "pending_payment",
            Self::Confirmed => "confirmed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<&State> for RegistrationStatus {
    fn from(state: &State) -> Self {
        match state {
            State::PendingPayment { .. } => Self::PendingPayment,
            State::Confirmed => Self::Confirmed,
            State::Expired { .. } => Self::Expired,
            State::Cancelled => Self::Cancelled,
        }
    }
}

/// A registration.
#[derive(Serialize, ToSchema)]
pub struct RegistrationView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000003")]
    pub registration_id: RegistrationId,
    /// The event.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    pub event_id: EventId,
    /// The event's name.
    #[schema(example = "Rust for organisers")]
    pub event_name: String,
    /// The start, in the event's zone.
    #[schema(format = DateTime, example = "2030-01-31T18:30:00.000+05:30")]
    pub event_time: String,
    /// When it ends, in the event's zone; null: not said.
    #[schema(required = true, format = DateTime, example = "2030-01-31T20:30:00.000+05:30")]
    pub ends_at: Option<String>,
    /// How people take part.
    #[schema(example = "in_person")]
    pub format: EventFormat,
    /// The event's address. May be empty where the event is online.
    #[schema(example = "12 MG Road, Bengaluru")]
    pub event_address: String,
    /// Where to join the event, while the registration is confirmed; null: on the watch page.
    #[schema(required = true, example = json!(null))]
    pub join_url: Option<String>,
    /// The status.
    #[schema(example = "confirmed")]
    pub status: RegistrationStatus,
    /// The amount still due; rupees.
    #[schema(value_type = f64, example = 0)]
    pub amount_due: Rupees,
    /// When the hold ends or, once expired, ended; UTC.
    #[schema(required = true, format = DateTime, example = "2026-11-22T13:29:06.000Z")]
    pub hold_expires_at: Option<String>,
    /// The amount paid; rupees. Kept after the registration has ended; the payment shows whether it was refunded.
    #[schema(value_type = f64, example = 500)]
    pub amount_paid: Rupees,
    /// The payment that confirmed it; kept after the registration has ended.
    #[schema(value_type = Option<String>, required = true, format = Uuid, example = "019309a2-0000-7000-8000-000000000005")]
    pub payment_id: Option<PaymentId>,
    /// The ticket's id; kept after the registration has ended.
    #[schema(value_type = Option<String>, required = true, format = Uuid, example = "019309a2-0000-7000-8000-000000000004")]
    pub ticket_id: Option<TicketId>,
    /// The ticket, while it is confirmed.
    #[schema(required = true)]
    pub ticket: Option<TicketView>,
    /// When it was made, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    pub registered_at: String,
}

impl From<&Registered> for RegistrationView {
    fn from(registered: &Registered) -> Self {
        let (registration, event) = (&registered.registration, &registered.event);
        let hold_expires_at = match registration.state {
            State::PendingPayment { hold_expires_at } => Some(utc(hold_expires_at)),
            State::Expired { held_until } => held_until.map(utc),
            State::Confirmed | State::Cancelled => None,
        };
        let ticket = registered.ticket.as_ref();
        let valid = matches!(registration.state, State::Confirmed);
        Self {
            registration_id: registration.id,
            event_id: event.id,
            event_name: event.name.clone(),
            event_time: event.time.rfc3339(),
            ends_at: event.end().map(EventTime::rfc3339),
            format: event.format,
            event_address: event.address.clone(),
            join_url: event.join_url.clone().filter(|_| valid),
            status: RegistrationStatus::from(&registration.state),
            amount_due: registration.amount_due().into(),
            hold_expires_at,
            amount_paid: registration.amount_paid().into(),
            payment_id: registration.payment_id,
            ticket_id: ticket.map(|ticket| ticket.id),
            ticket: ticket.filter(|_| valid).map(TicketView::from),
            registered_at: utc(registration.created_at),
        }
    }
}

/// A registration that was just made or ended.
#[derive(Serialize, ToSchema)]
pub struct RegistrationAnswer {
    /// What happened.
    #[schema(example = "User registered for the event successfully.")]
    pub message: &'static str,
    /// The registration.
    #[serde(flatten)]
    pub registration: RegistrationView,
}
