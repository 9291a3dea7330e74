//! Tickets as files: QR codes, the page to print, and the entry for a calendar. Rendering takes milliseconds of a core, so it
//! runs beside the threads that answer requests, as many at a time as there are cores.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use calendar::{Entry, Method};
use common::{
    clock::Timestamp,
    ids::EventId,
    problem::ApiError,
    secrets,
    wire::{EventFacts, EventFormat},
};
use runtime::process::Context;
use tickets::{Fonts, Printed, SignedTicket, TicketKeys, Tongue, qr::Qr};
use tokio::sync::Semaphore;

use crate::{
    domain::registration::{State, Ticket},
    store::Registered,
};

/// How long a rendering waits for its turn, and how many may wait.
const PATIENCE: Duration = Duration::from_secs(5);
const WAITING: usize = 256;

/// Signs and renders tickets. Cheap to clone.
#[derive(Clone)]
pub struct Ticketing(Arc<Inner>);

struct Inner {
    keys: TicketKeys,
    fonts: Fonts,
    turns: Arc<Semaphore>,
    waiting: Semaphore,
    watch_site: Option<String>,
}

/// A confirmed registration with its ticket.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// What it is a ticket of.
    pub registered: &'a Registered,
    /// The ticket.
    pub ticket: &'a Ticket,
}

impl<'a> Admission<'a> {
    /// The ticket of a registration, while it is confirmed.
    ///
    /// # Errors
    /// 409 when it is not.
    pub fn of(registered: &'a Registered) -> Result<Self, ApiError> {
        let state = registered.registration.state;
        match &registered.ticket {
            Some(ticket) if state == State::Confirmed => Ok(Self { registered, ticket }),
            _ => Err(no_ticket(state)),
        }
    }
}

/// 409 for the ticket of a registration that is not confirmed.
pub fn no_ticket(state: State) -> ApiError {
    ApiError::conflict("no_ticket", "Only a confirmed registration has a ticket.")
        .with("registration_status", state.name())
}

/// 503 when more tickets are to be rendered than there is time for.
pub fn too_many_renderings() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too_busy",
        "Too many tickets are being printed.",
    )
    .retry_after(1)
}

impl Ticketing {
    /// With the keys that are set, or the one generated in the data directory.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn new(context: &Context) -> Result<Self, String> {
        let settings = &context.settings;
        let dir = &settings.data_dir;
        let current = match &settings.ticket_key {
            Some(key) => key.clone(),
            None => secrets::read_or_create(dir, "ticket_key")
                .map_err(|error| format!("The data directory {} cannot be used: {error}.", dir.display()))?,
        };
        let keys = TicketKeys::new(&current, settings.ticket_key_old.as_ref())?;
        let fonts = match &settings.ticket_fonts {
            Some(folder) => Fonts::with_folder(folder)?,
            None => Fonts::default(),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self(Arc::new(Inner {
            keys,
            fonts,
            turns: Arc::new(Semaphore::new(cores)),
            waiting: Semaphore::new(WAITING),
            watch_site: settings.watch_site(),
        })))
    }

    /// The keys.
    pub fn keys(&self) -> &TicketKeys {
        &self.0.keys
    }

    /// The signed form of a ticket.
    pub fn signed(&self, event_id: EventId, ticket: &Ticket) -> String {
        self.0.keys.sign(SignedTicket {
            ticket_id: ticket.id,
            event_id,
        })
    }

    /// The registration with the signed form of its ticket.
    #[must_use]
    pub fn sealed(&self, mut registered: Registered) -> Registered {
        if let Some(ticket) = &mut registered.ticket {
            ticket.qr = Some(self.signed(registered.event.id, ticket));
        }
        registered
    }

    /// Where an attendee joins the event.
    pub fn join(&self, facts: &EventFacts) -> Option<String> {
        facts.join(self.0.watch_site.as_deref())
    }

    /// The page to print.
    ///
    /// # Errors
    /// 503 when too many are being rendered.
    pub async fn pdf(
        &self,
        admission: Admission<'_>,
        holder: Option<String>,
        locale: Option<&str>,
    ) -> Result<Vec<u8>, ApiError> {
        let Admission { registered, ticket } = admission;
        let event = &registered.event;
        let facts = event.facts();
        let join = self.join(&facts);
        let is_nowhere = event.format == EventFormat::Online && join.is_some();
        let printed = Printed {
            tongue: Tongue::of(locale),
            event_name: facts.name,
            starts: event.time,
            ends_at: event.ends_at,
            place: if is_nowhere { String::new() } else { facts.address },
            join,
            holder,
            paid: registered.registration.amount_paid(),
            registration_id: registered.registration.id,
            code: ticket.code.clone(),
            signed: self.signed(event.id, ticket),
        };
        self.render(move |inner| tickets::pdf(&printed, &inner.fonts))
            .await
    }

    /// The QR code as SVG.
    ///
    /// # Errors
    /// 503 when too many are being rendered.
    pub async fn svg(&self, admission: Admission<'_>) -> Result<String, ApiError> {
        let signed = self.signed(admission.registered.event.id, admission.ticket);
        self.render(move |_| Qr::new(&signed).map(|qr| qr.svg())).await
    }

    /// The QR code as PNG.
    ///
    /// # Errors
    /// 503 when too many are being rendered.
    pub async fn png(&self, admission: Admission<'_>) -> Result<Vec<u8>, ApiError> {
        let signed = self.signed(admission.registered.event.id, admission.ticket);
        self.render(move |_| Qr::new(&signed).and_then(|qr| qr.png()))
            .await
    }

    /// The entry for a calendar.
    pub fn ics(&self, admission: Admission<'_>, now: Timestamp) -> String {
        let facts = admission.registered.event.facts();
        let (id, code) = (admission.registered.registration.id, &admission.ticket.code);
        let entry = Entry::of(&facts, id, Some(code), self.join(&facts), now);
        calendar::write(Method::Publish, None, &[entry])
    }

    async fn render<T, E>(
        &self,
        draw: impl FnOnce(&Inner) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let _waiting = self.0.waiting.try_acquire().map_err(|_| too_many_renderings())?;
        let turn = tokio::time::timeout(PATIENCE, self.0.turns.clone().acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(too_many_renderings)?;
        let inner = self.0.clone();
        let drawn = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            draw(&inner)
        });
        drawn
            .await
            .map_err(ApiError::internal)?
            .map_err(ApiError::internal)
    }
}
