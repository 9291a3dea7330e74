//! `POST /internal/messages`: facts from other services, and who is to be notified of them.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use axum::{Json, body::Body, extract::State};
use common::{
    extract::CallingService,
    ids::UserId,
    outbox::{CloudEvent, Receipt},
    problem::ApiError,
    store::StoreError,
    subscriber::{self, Incoming, Subscriber},
    wire::{
        AccountDeleted, EventFacts, HoldExpired, PaymentFailed, PaymentRefunded, RegistrationConfirmed,
        RegistrationEnded, TeamInvited, TokenIssued, UserCard, WaitlistClosed, WaitlistOffered, kind,
    },
};
use uuid::Uuid;

use crate::{
    app::{App, Parts},
    domain::letters::{Reach, notice_of_end, with_invitation, with_token},
    store::{Change, Intake},
};

/// Takes a batch of CloudEvents.
pub async fn messages(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<Vec<Receipt>>, ApiError> {
    subscriber::receive(app.parts.as_ref(), body).await
}

/// A fact from another service.
pub enum Fact {
    Confirmed(Box<RegistrationConfirmed>),
    Ended(Box<RegistrationEnded>),
    Changed(Box<EventFacts>),
    Refunded(Box<PaymentRefunded>),
    HoldExpired(Box<HoldExpired>),
    Offered(Box<WaitlistOffered>),
    LineClosed(Box<WaitlistClosed>),
    PaymentFailed(Box<PaymentFailed>),
    TokenIssued(Box<TokenIssued>),
    TeamInvited(Box<TeamInvited>),
    AccountDeleted(AccountDeleted),
}

impl subscriber::Fact for Fact {
    fn read(event: &CloudEvent) -> Result<Self, String> {
        match event.kind.as_str() {
            kind::REGISTRATION_CONFIRMED => event.data().map(|fact| Self::Confirmed(Box::new(fact))),
            kind::REGISTRATION_ENDED => event.data().map(|fact| Self::Ended(Box::new(fact))),
            kind::EVENT_CHANGED => event.data().map(|fact| Self::Changed(Box::new(fact))),
            kind::PAYMENT_REFUNDED => event.data().map(|fact| Self::Refunded(Box::new(fact))),
            kind::HOLD_EXPIRED => event.data().map(|fact| Self::HoldExpired(Box::new(fact))),
            kind::WAITLIST_OFFERED => event.data().map(|fact| Self::Offered(Box::new(fact))),
            kind::WAITLIST_CLOSED => event.data().map(|fact| Self::LineClosed(Box::new(fact))),
            kind::PAYMENT_FAILED => event.data().map(|fact| Self::PaymentFailed(Box::new(fact))),
            kind::TOKEN_ISSUED => event.data().map(|fact| Self::TokenIssued(Box::new(fact))),
            kind::TEAM_INVITED => event.data().map(|fact| Self::TeamInvited(Box::new(fact))),
            kind::ACCOUNT_DELETED => event.data().map(Self::AccountDeleted),
            _ => Err(event.unknown_kind()),
        }
    }
}

impl Fact {
    /// The user to look up, if any.
    fn reader(&self) -> Option<UserId> {
        match self {
            Self::Confirmed(fact) => Some(fact.user_id),
            Self::Ended(fact) => notice_of_end(fact).map(|_| fact.user_id),
            // A token goes to the address that it was issued for, whatever the account's is.
            Self::Changed(_) | Self::TokenIssued(_) => None,
            // Who invites: what is known of who is invited is the address.
            Self::TeamInvited(fact) => Some(fact.invited_by),
            // Nobody is told.
            Self::AccountDeleted(_) => None,
            Self::Refunded(fact) => Some(fact.user_id),
            Self::HoldExpired(fact) => Some(fact.user_id),
            Self::Offered(fact) => Some(fact.user_id),
            Self::LineClosed(fact) => Some(fact.user_id),
            Self::PaymentFailed(fact) => Some(fact.user_id),
        }
    }

    /// What it changes here. `card` is the reader, who may be gone.
    fn change(self, card: Option<&UserCard>, reach: &Reach) -> Change {
        match self {
            Self::Confirmed(fact) => match card {
                Some(card) => Change::Confirmed {
                    letters: reach.confirmed(&fact, card),
                    paid: fact.payment_id.is_some(),
                    registration_id: fact.registration_id,
                    user_id: fact.user_id,
                    facts: fact.event,
                },
                None => Change::Nothing,
            },
            Self::Ended(fact) => Change::Ended {
                letters: card.map(|card| reach.ended(&fact, card)).unwrap_or_default(),
                registration_id: fact.registration_id,
                user_id: fact.user_id,
                facts: fact.event,
            },
            Self::Changed(facts) => Change::EventChanged(*facts),
            Self::AccountDeleted(fact) => Change::Forget {
                user_id: fact.user_id,
            },
            Self::TokenIssued(fact) => Change::Told {
                letters: with_token(&fact).into_iter().collect(),
            },
            // Who has no account any more invites nobody.
            Self::TeamInvited(fact) => match card {
                Some(card) => Change::Told {
                    letters: vec![with_invitation(&fact, card)],
                },
                None => Change::Nothing,
            },
            Self::Refunded(fact) => match card {
                Some(card) => Change::Told {
                    letters: reach.refunded(&fact, card),
                },
                None => Change::Nothing,
            },
            Self::HoldExpired(fact) => match card {
                Some(card) => Change::Unpaid {
                    letters: reach.hold_expired(&fact, card),
                    registration_id: fact.registration_id,
                    facts: Some(fact.event),
                },
                None => Change::Nothing,
            },
            Self::Offered(fact) => match card {
                Some(card) => Change::ToldOf {
                    letters: reach.offered(&fact, card),
                    facts: fact.event,
                },
                None => Change::Nothing,
            },
            Self::LineClosed(fact) => match card {
                Some(card) => Change::ToldOf {
                    letters: reach.line_closed(&fact, card),
                    facts: fact.event,
                },
                None => Change::Nothing,
            },
            Self::PaymentFailed(fact) => match card {
                Some(card) => Change::Unpaid {
                    letters: reach.payment_failed(&fact, card),
                    registration_id: fact.registration_id,
                    facts: None,
                },
                None => Change::Nothing,
            },
        }
    }
}

#[async_trait]
impl Subscriber for Parts {
    type Fact = Fact;

    async fn consume(&self, mut batch: Vec<Incoming<Fact>>) -> Vec<Receipt> {
        let mut receipts = Vec::with_capacity(batch.len());
        // Looked up before the change, never inside it: the writer must not wait for another service.
        let cards = match self
            .directory
            .find(batch.iter().filter_map(|message| message.fact.reader()))
            .await
        {
            Ok(cards) => cards,
            Err(error) => {
                tracing::warn!(%error, "recipients could not be looked up");
                // Messages without a recipient need not wait.
                batch.retain(|message| {
                    let waits = message.fact.reader().is_some();
                    if waits {
                        receipts.push(Receipt::retry(message.id, &error));
                    }
                    !waits
                });
                HashMap::new()
            }
        };
        let intakes = batch.into_iter().map(|Incoming { id, fact, .. }| {
            let reader = fact.reader();
            let card = reader.and_then(|id| cards.get(&id));
            if let (Some(user), None) = (reader, card) {
                tracing::debug!(%user, message_id = %id, "there is no such user; nobody is told");
            }
            Intake {
                id,
                change: fact.change(card.map(AsRef::as_ref), &self.reach),
            }
        });
        self.take(intakes.collect(), &mut receipts).await;
        receipts
    }
}

impl Parts {
    async fn take(&self, intakes: Arc<[Intake]>, receipts: &mut Vec<Receipt>) {
        if intakes.is_empty() {
            return;
        }
        match self.store.take(intakes.clone(), self.clock.now()).await {
            Ok(()) => receipts.extend(intakes.iter().map(|intake| Receipt::accepted(intake.id))),
            // One that meets an unreadable row must not hold up the others for ever.
            Err(StoreError::Corrupt(_)) if intakes.len() > 1 => {
                for intake in intakes.iter() {
                    receipts.push(self.take_one(intake).await);
                }
            }
            Err(error) => receipts.extend(intakes.iter().map(|intake| self.refused(intake.id, &error))),
        }
        self.changes.notify_one();
        self.wake_senders();
    }

    async fn take_one(&self, intake: &Intake) -> Receipt {
        match self
            .store
            .take(Arc::from([intake.clone()]), self.clock.now())
            .await
        {
            Ok(()) => Receipt::accepted(intake.id),
            Err(error) => self.refused(intake.id, &error),
        }
    }

    fn refused(&self, id: Uuid, error: &StoreError) -> Receipt {
        tracing::warn!(message_id = %id, %error, "a message could not be consumed");
        // The sender gets no more than it needs; the cause is logged here.
        Receipt::retry(id, "the notifications service could not store it")
    }
}
