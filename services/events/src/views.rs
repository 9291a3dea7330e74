//! Events and registrations as the public API shows them.

use common::{
    ids::{EventId, PaymentId, RegistrationId, TicketId},
    money::Rupees,
    time::utc,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        event::Event,
        registration::{State, Ticket},
    },
    store::Registered,
};

/// An event.
#[derive(Serialize, ToSchema)]
pub struct EventView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub event_id: EventId,
    /// Its name.
    #[schema(example = "Rust for organisers")]
    pub e_name: String,
    /// What it is about.
    pub e_details: String,
    /// When it starts, in its zone.
    #[schema(example = "2030-01-31T18:30:00.000+05:30")]
    pub event_time: String,
    /// The IANA zone it is shown in.
    #[schema(example = "Asia/Kolkata")]
    pub timezone: String,
    /// Where it is; a street or a link.
    pub event_add: String,
    /// Seats; null: unlimited.
    pub capacity: Option<u32>,
    /// Free seats; null: unlimited.
    pub seats_left: Option<u32>,
    /// Live registrations, unpaid holds included.
    pub registered: u32,
    /// Price in rupees.
    #[schema(value_type = f64, example = 500)]
    pub fees: Rupees,
    /// `active` or `cancelled`.
    #[schema(example = "active")]
    pub status: &'static str,
    /// When registration closes, UTC; null: never.
    pub registration_closes_at: Option<String>,
    /// When it was created, UTC.
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
            event_add: event.address.clone(),
            capacity: event.capacity,
            seats_left: event.seats_left(),
            registered: event.seats_taken,
            fees: event.fee.into(),
            status: if event.cancelled { "cancelled" } else { "active" },
            registration_closes_at: event.closes.at().map(utc),
            created_at: utc(event.created_at),
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
    pub event: EventView,
}

/// A ticket.
#[derive(Serialize, ToSchema)]
pub struct TicketView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub ticket_id: TicketId,
    /// What is shown at the door.
    #[schema(example = "7KQ2-M4XD-0RZT-9HVB")]
    pub code: String,
}

impl From<&Ticket> for TicketView {
    fn from(ticket: &Ticket) -> Self {
        Self {
            ticket_id: ticket.id,
            code: ticket.code.clone(),
        }
    }
}

/// A registration.
#[derive(Serialize, ToSchema)]
pub struct RegistrationView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub registration_id: RegistrationId,
    /// The event.
    #[schema(value_type = String, format = Uuid)]
    pub event_id: EventId,
    /// The event's name.
    pub event_name: String,
    /// When it starts, in its zone.
    #[schema(example = "2030-01-31T18:30:00.000+05:30")]
    pub event_time: String,
    /// Where it is.
    pub event_address: String,
    /// `pending_payment`, `confirmed`, `expired` or `cancelled`.
    #[schema(example = "confirmed")]
    pub status: &'static str,
    /// Rupees still to be paid.
    #[schema(value_type = f64, example = 0)]
    pub amount_due: Rupees,
    /// Until when the seat is held unpaid, or was when it has expired, UTC.
    pub hold_expires_at: Option<String>,
    /// Rupees paid for it; stays when the registration has ended. Whether they went back, the payment says.
    #[schema(value_type = f64, example = 500)]
    pub amount_paid: Rupees,
    /// The payment that confirmed it; stays when the registration has ended.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub payment_id: Option<PaymentId>,
    /// The ticket's id; stays when the registration has ended.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub ticket_id: Option<TicketId>,
    /// The ticket, while it is confirmed.
    pub ticket: Option<TicketView>,
    /// When it was made, UTC.
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
            event_address: event.address.clone(),
            status: registration.state.name(),
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
