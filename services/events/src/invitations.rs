//! Invitations to teams: how many letters they may bring, and their tokens.

use std::{sync::Arc, time::Duration};

use common::{auth::Auth, ids::UserId, mailed_tokens::MailedTokens};
use shared_state::{Shared, ratelimit::RateLimit};
use uuid::Uuid;

/// Letters that one organizer can have sent a day.
const BY_ORGANIZER: u32 = 100;
/// Letters that one address can be sent a day, by whomever.
const TO_ADDRESS: u32 = 10;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The tokens and limits. Cheap to clone.
#[derive(Clone)]
pub struct Invitations {
    tokens: Arc<MailedTokens>,
    by_organizer: RateLimit,
    to_address: RateLimit,
}

impl Invitations {
    /// Counted in `shared`, or not at all.
    pub fn new(auth: &Auth, shared: &Shared, limited: bool) -> Self {
        let limit = |name, burst| match limited {
            true => RateLimit::new(shared, name, burst, DAY),
            false => RateLimit::off(),
        };
        Self {
            tokens: Arc::new(MailedTokens::new(auth)),
            by_organizer: limit("team_invitations", BY_ORGANIZER),
            to_address: limit("team_letters", TO_ADDRESS),
        }
    }

    /// Counts a letter from an organizer to an address.
    ///
    /// # Errors
    /// How long to wait, when it is one too many.
    pub async fn take(&self, organizer: UserId, email: &str) -> Result<(), Duration> {
        self.by_organizer.take(&organizer.to_string()).await?;
        self.to_address.take(email).await
    }

    /// The invitation of a token. `None`: the token is not one of ours.
    pub fn of_token(&self, token: &str) -> Option<Uuid> {
        self.tokens.id_of_invitation(token)
    }
}
