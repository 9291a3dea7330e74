//! Fetches and writes what an e-mail brings along.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use base64::{Engine, prelude::BASE64_STANDARD};
use calendar::Person;
use common::{
    http::{CallError, InternalClient},
    ids::RegistrationId,
    wire::{AskTicket, TicketPage},
};

use crate::{
    channels::{Attachment, mime::FromAddress},
    domain::{
        attaching::{brings_ticket, calendar_kind, entry},
        message::Message,
    },
    store::Claimed,
    templates::Writer,
};

/// Where the events service prints tickets.
const TICKET: &str = "/internal/registrations/ticket";
/// How long that may take at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so many tries a letter goes out without the page: the code in it admits as well.
const TRIES: u32 = 4;
/// What letters call the picture of the QR code.
const PICTURE: &str = "ticket-qr";

/// Fetches and writes attachments.
#[derive(Clone)]
pub struct Attaching {
    /// The events service, which prints tickets.
    pub events: InternalClient,
    /// Whom entries in calendars come from.
    pub sender: FromAddress,
}

impl Attaching {
    /// What the letter brings along, fetched `within` this time.
    ///
    /// # Errors
    /// When the ticket cannot be had now, and the letter may wait for it.
    pub async fn of(
        &self,
        claim: &Claimed,
        writer: &Writer,
        within: Duration,
    ) -> Result<Vec<Attachment>, String> {
        let message = &claim.message;
        let mut attachments = Vec::new();
        if brings_ticket(message.kind) {
            match self.page(message, writer, within.min(PATIENCE)).await {
                Ok(page) => attachments.extend(page),
                Err(why) if claim.attempts < TRIES => {
                    tracing::info!(message_id = %message.id, attempts = claim.attempts, why, "a letter waits for its ticket");
                    return Err(why);
                }
                Err(why) => {
                    tracing::warn!(message_id = %message.id, why, "a ticket goes out without the page to print");
                }
            }
        }
        attachments.extend(self.calendar(message, writer));
        Ok(attachments)
    }

    /// The page to print and the picture of its code; none when the registration has ended meanwhile.
    async fn page(
        &self,
        message: &Message,
        writer: &Writer,
        within: Duration,
    ) -> Result<Vec<Attachment>, String> {
        let question = AskTicket {
            registration_id: RegistrationId(message.occurrence),
            holder: message.name.as_deref().and_then(|name| writer.presentable(name)),
            locale: message.details.locale.clone(),
        };
        let asked = self.events.post::<_, TicketPage>(TICKET, &question);
        let page = match tokio::time::timeout(within, asked).await {
            Ok(Ok(page)) => page,
            Ok(Err(CallError::Problem { status, .. }))
                if status == StatusCode::NOT_FOUND || status == StatusCode::CONFLICT =>
            {
                return Ok(Vec::new());
            }
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("the ticket was not printed in time".to_owned()),
        };
        let file = |text: &str| -> Result<Arc<[u8]>, String> {
            let bytes = BASE64_STANDARD.decode(text);
            Ok(bytes.map_err(|error| error.to_string())?.into())
        };
        let code = message.details.ticket_code.as_deref().unwrap_or("ticket");
        Ok(vec![
            Attachment {
                name: PICTURE.to_owned(),
                kind: "image/png",
                inline: true,
                bytes: file(&page.png)?,
            },
            Attachment {
                name: format!("ticket-{code}.pdf"),
                kind: "application/pdf",
                inline: false,
                bytes: file(&page.pdf)?,
            },
        ])
    }

    fn calendar(&self, message: &Message, writer: &Writer) -> Option<Attachment> {
        let organizer = Person {
            name: self.sender.name_of(message.details.host.as_deref()),
            email: self.sender.address(),
        };
        let join = message.facts.as_ref().and_then(|facts| writer.join(facts));
        let (method, entry) = entry(message, organizer, join)?;
        Some(Attachment {
            name: "event.ics".to_owned(),
            kind: calendar_kind(method),
            inline: false,
            bytes: calendar::write(method, None, &[entry]).into_bytes().into(),
        })
    }
}
