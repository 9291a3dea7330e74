//! Places in lines as the public API shows them.

use common::{
    ids::{EventId, WaitlistId},
    time::utc,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{domain::waitlist::State, store::waitlist::Listed};

/// The status of a place in the line.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitlistStatus {
    /// In line.
    Waiting,
    /// A seat is held until `offer_expires_at`: register to take it.
    Offered,
    /// The offer was not taken in time.
    Expired,
    /// They have registered.
    Registered,
    /// They have left the line.
    Left,
    /// The event was cancelled, or its registration closed.
    Closed,
}

impl From<State> for WaitlistStatus {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Offered { .. } => Self::Offered,
            State::Expired { .. } => Self::Expired,
            State::Registered => Self::Registered,
            State::Left => Self::Left,
            State::Closed => Self::Closed,
        }
    }
}

/// A place in the line for an event.
#[derive(Serialize, ToSchema)]
pub struct WaitlistView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000012")]
    pub waitlist_id: WaitlistId,
    /// The event.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    pub event_id: EventId,
    /// The event's name.
    #[schema(example = "Rust for organisers")]
    pub event_name: String,
    /// The start, in the event's zone.
    #[schema(format = DateTime, example = "2030-01-31T18:30:00.000+05:30")]
    pub event_time: String,
    /// The status.
    #[schema(example = "waiting")]
    pub status: WaitlistStatus,
    /// The position in the line, 1 for who comes next; null once it is over or a seat is offered.
    #[schema(required = true, minimum = 1, example = 1)]
    pub position: Option<u32>,
    /// Until when the seat is held that is offered, or was; UTC.
    #[schema(required = true, format = DateTime, example = json!(null))]
    pub offer_expires_at: Option<String>,
    /// When they joined the line, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    pub joined_at: String,
}

impl From<&Listed> for WaitlistView {
    fn from(listed: &Listed) -> Self {
        let Listed {
            entry,
            event,
            position,
        } = listed;
        Self {
            waitlist_id: entry.id,
            event_id: event.id,
            event_name: event.name.clone(),
            event_time: event.time.rfc3339(),
            status: entry.state.into(),
            position: *position,
            offer_expires_at: entry.state.until().map(utc),
            joined_at: utc(entry.joined_at),
        }
    }
}

/// A place in a line that was just taken or given up.
#[derive(Serialize, ToSchema)]
pub struct WaitlistAnswer {
    /// What happened.
    #[schema(example = "You are on the waitlist.")]
    pub message: &'static str,
    /// The place.
    #[serde(flatten)]
    pub entry: WaitlistView,
}
