//! Carries changes of events to their attendees: reminders follow, and attendees are notified of what is different.

use std::sync::Arc;

use common::{
    wire::EventFacts,
    workers::{Next, Pace, rounds},
};
use tokio_util::sync::CancellationToken;

use super::{CHUNK, POLL, reminders::RoundError};
use crate::{app::Parts, domain::change::compare, store::Step};

/// Announces changes. An event may have a million attendees, so it goes step by step, and the store remembers how
/// far it got.
pub struct Announcements {
    /// What it works with.
    pub parts: Arc<Parts>,
}

impl Announcements {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let pace = Pace::every(POLL).woken_by(Arc::clone(&self.parts.changes));
        rounds("announcements", pace, stop, || async {
            let more = self.round().await?;
            Ok::<_, RoundError>(if more { Next::Now } else { Next::Idle })
        })
        .await;
    }

    /// Takes the oldest announcement one step further, up to 500 attendees. `false`: there is none.
    ///
    /// # Errors
    /// Nothing was done, and the announcement stands where it stood.
    pub async fn round(&self) -> Result<bool, RoundError> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let Some(announcement) = parts.store.announcement(CHUNK).await? else {
            return Ok(false);
        };
        let facts = announcement.facts;
        let notify = |known: &EventFacts| compare(known, &facts, now).notify;
        let to_tell = announcement
            .attendees
            .iter()
            .filter(|attendee| attendee.known.as_deref().is_some_and(notify));
        let cards = parts
            .directory
            .find(to_tell.map(|attendee| attendee.user_id))
            .await?;
        let reached = announcement
            .attendees
            .iter()
            .map(|attendee| {
                // Without readable last facts an attendee cannot be notified of the difference, but keeps in step.
                let known = attendee.known.as_deref().filter(|known| notify(known));
                let letters = match (cards.get(&attendee.user_id), known) {
                    (Some(card), Some(known)) => {
                        parts.reach.updated(attendee.registration_id, &facts, known, card)
                    }
                    _ => Vec::new(),
                };
                (attendee.registration_id, letters)
            })
            .collect();
        parts
            .store
            .announce(
                Step {
                    facts,
                    cursor: announcement.cursor,
                    reached,
                },
                now,
            )
            .await?;
        parts.wake_senders();
        Ok(true)
    }
}
