//! Carries announcements of organizers to those who take part.

use std::sync::Arc;

use axum::http::StatusCode;
use chrono::TimeDelta;
use common::{
    http::{CallError, InternalClient},
    ids::UserId,
    wire::{Announce, Announced, AskAttendees, Attendees, UserCard},
    workers::{Next, Pace, rounds},
};
use tokio_util::sync::CancellationToken;

use super::{CHUNK, POLL, reminders::RoundError};
use crate::{
    app::Parts,
    domain::broadcast::Broadcast,
    store::broadcasts::{BroadcastStep, DueBroadcast, Progress, Reached},
};

/// How long one waits whose recipients could not be looked up.
const AFTER_FAILURE: TimeDelta = TimeDelta::seconds(10);

/// Sends announcements. An event may have a million attendees, so it goes step by step: each asks the events service
/// for the next of them, and the store remembers how far it got in the commit that queues their letters.
pub struct Broadcasts {
    /// What it works with.
    pub parts: Arc<Parts>,
    /// The events service.
    pub events: InternalClient,
}

impl Broadcasts {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let pace = Pace::every(POLL).woken_by(Arc::clone(&self.parts.broadcasts));
        rounds("organizers' announcements", pace, stop, || async {
            let more = self.round().await?;
            Ok::<_, RoundError>(if more { Next::Now } else { Next::Idle })
        })
        .await;
    }

    /// Takes the announcement that has been due the longest one step further, up to 500 people. `false`: there is none.
    ///
    /// # Errors
    /// Nobody was written to, and it stands where it stood.
    pub async fn round(&self) -> Result<bool, RoundError> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let Some(DueBroadcast { broadcast, cursor }) = parts.store.due_broadcast(now).await? else {
            return Ok(false);
        };
        let question = AskAttendees {
            event_id: broadcast.event_id,
            to: broadcast.to,
            after: cursor,
            limit: CHUNK,
        };
        let page: Result<Attendees, CallError> =
            self.events.post("/internal/events/attendees", &question).await;
        let progress = match page {
            Ok(page) if page.event.cancelled => Progress::Stopped,
            Ok(page) => {
                if cursor.is_none()
                    && let Err(error) = self.publish(&broadcast).await
                {
                    return self.delay(&broadcast, cursor, error).await;
                }
                match page.attendees.is_empty() {
                    true => Progress::Over,
                    false => self.reach(&broadcast, page).await?,
                }
            }
            Err(CallError::Problem { status, .. }) if status == StatusCode::NOT_FOUND => Progress::Stopped,
            Err(error) => return self.delay(&broadcast, cursor, error).await,
        };
        let ended = match progress {
            Progress::Reached { .. } | Progress::Delayed(_) => None,
            Progress::Over => Some("announcement sent"),
            Progress::Stopped => Some("announcement stopped: its event does not take place"),
        };
        let step = BroadcastStep {
            id: broadcast.id,
            cursor,
            progress,
        };
        if parts.store.broadcast_step(step, now).await?
            && let Some(ended) = ended
        {
            let (announcement_id, event_id) = (broadcast.id, broadcast.event_id);
            tracing::info!(%announcement_id, %event_id, "{ended}");
        }
        parts.wake_senders();
        Ok(true)
    }

    /// Lets it wait: it may be its event alone that cannot be read, and those of others need not wait for it.
    async fn delay(
        &self,
        broadcast: &Broadcast,
        cursor: Option<UserId>,
        error: CallError,
    ) -> Result<bool, RoundError> {
        let now = self.parts.clock.now();
        let delayed = BroadcastStep {
            id: broadcast.id,
            cursor,
            progress: Progress::Delayed(now + AFTER_FAILURE),
        };
        self.parts.store.broadcast_step(delayed, now).await?;
        Err(error.into())
    }

    /// Publishes it to those who follow the event live, if it is for them. However often that is asked, it is published once. Where it is
    /// refused, because who made it has left the team or the events service is of an earlier release, letters alone go out.
    async fn publish(&self, broadcast: &Broadcast) -> Result<(), CallError> {
        if !broadcast.to.has_confirmed() {
            return Ok(());
        }
        let (announcement_id, event_id) = (broadcast.id, broadcast.event_id);
        let announce = Announce {
            announcement_id,
            event_id,
            user_id: broadcast.organizer,
            text: broadcast.words.live(),
        };
        let asked: Result<Announced, CallError> =
            self.events.post("/internal/events/announce", &announce).await;
        match asked {
            Ok(Announced { is_new: true }) => {
                tracing::info!(%announcement_id, %event_id, "announcement published live");
            }
            Ok(Announced { is_new: false }) => {}
            Err(error @ CallError::Problem { status, .. }) if status.is_client_error() => {
                tracing::warn!(%announcement_id, %event_id, %error, "an announcement is not published live");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn reach(&self, broadcast: &Broadcast, page: Attendees) -> Result<Progress, RoundError> {
        let parts = &self.parts;
        let users = page.attendees.iter().map(|attendee| attendee.user_id);
        let cards = parts.directory.find_in_passing(users).await?;
        let letters = |card: &UserCard, registration| parts.reach.announced(broadcast, registration, card);
        let people = page.attendees.iter().map(|attendee| Reached {
            user_id: attendee.user_id,
            registration_id: attendee.registration_id,
            letters: cards
                .get(&attendee.user_id)
                .map(|card| letters(card, attendee.registration_id))
                .unwrap_or_default(),
        });
        Ok(Progress::Reached {
            people: people.collect(),
            facts: page.event,
        })
    }
}
