//! What people do on the live channels, by socket and over REST: the same rules for both.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use chrono::TimeDelta;
use common::{
    fields::{Parsed, Value},
    idempotency::{Answer, Key, Keyed, Outcome, Refusal as KeyRefusal},
    ids::{EventId, PostId, UserId},
    problem::ApiError,
    store::StoreError,
    wire::LIVE_TEXT,
};
use shared_state::{
    Away, Shared,
    ratelimit::{RateLimit, too_many},
};

use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Live,
    channel::{Channel, Topic},
    counters::Mark,
    history::Position,
    posts::Fault,
    protocol::{Present, PresentUser, Refusal},
};
use crate::{
    domain::{
        post::{Kind, NewPost, Post, PostRefusal, Results},
        reaction::is_emoji,
        standing::{Denied, Standing},
    },
    problems::{denied, post_problem},
    store::posts::PostError,
};

/// The longest text of a message, question or announcement, in characters.
pub const MAX_TEXT: usize = LIVE_TEXT;

/// What is sent again so much later was published, and is not published again. Half of what channels remember.
const REPUBLISHED_FOR: TimeDelta = TimeDelta::minutes(5);
/// How long a name may take to be looked up, which few are: they are cached.
const NAME_PATIENCE: Duration = Duration::from_millis(500);
/// How long none is looked up after that has failed.
const NAMES_REST: Duration = Duration::from_secs(5);

/// A field that is one emoji.
///
/// # Errors
/// When it is not.
pub fn emoji(value: Value<'_>) -> Parsed<String> {
    let text = value.string()?;
    match is_emoji(&text) {
        true => Ok(text),
        false => Err("must be one emoji".to_owned()),
    }
}

/// How often a user may do what; over all of their connections.
pub struct Rates {
    chat: RateLimit,
    questions: RateLimit,
    votes: RateLimit,
    reactions: RateLimit,
}

/// What is limited.
#[derive(Clone, Copy, Debug)]
pub enum Rate {
    /// Chat messages, and changes of them.
    Chat,
    /// Questions.
    Questions,
    /// Votes.
    Votes,
    /// Reactions.
    Reactions,
}

impl Rates {
    /// The limits; or none, for load tests.
    pub fn new(shared: &Shared, has_limits: bool) -> Self {
        let limit = |name, burst, seconds| match has_limits {
            true => RateLimit::new(shared, name, burst, Duration::from_secs(seconds)),
            false => RateLimit::off(),
        };
        Self {
            chat: limit("chat", 10, 10),
            questions: limit("questions", 6, 60),
            votes: limit("votes", 30, 30),
            reactions: limit("reactions", 20, 10),
        }
    }

    /// Counts one more of a user.
    ///
    /// # Errors
    /// When it is one too many.
    pub async fn take(&self, rate: Rate, user: UserId) -> Result<(), Refused> {
        let limit = match rate {
            Rate::Chat => &self.chat,
            Rate::Questions => &self.questions,
            Rate::Votes => &self.votes,
            Rate::Reactions => &self.reactions,
        };
        limit.take(&user.to_string()).await.map_err(Refused::TooMany)
    }
}

/// Why something is not done.
#[derive(Debug)]
pub enum Refused {
    /// There were too many; again after this time.
    TooMany(Duration),
    /// By what the store holds.
    Post(PostError),
    /// Redis is away.
    Away,
}

impl From<PostError> for Refused {
    fn from(error: PostError) -> Self {
        Self::Post(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Post(error.into())
    }
}

impl From<Denied> for Refused {
    fn from(why: Denied) -> Self {
        Self::Post(why.into())
    }
}

impl From<Refused> for ApiError {
    fn from(why: Refused) -> Self {
        match why {
            Refused::TooMany(wait) => too_many(wait, "Please do this more slowly."),
            Refused::Post(error) => post_problem(error),
            Refused::Away => {
                ApiError::unavailable("This is not available at the moment. Please try again.").because(Away)
            }
        }
    }
}

impl From<Refused> for Refusal {
    fn from(why: Refused) -> Self {
        match why {
            Refused::TooMany(wait) => Self::rate_limited(wait),
            Refused::Away => Self::unavailable(),
            Refused::Post(PostError::NoSuchEvent) => {
                Self::new("unknown_channel", "There is no such channel.")
            }
            Refused::Post(PostError::Refused(PostRefusal::Denied(why))) => denied_refusal(why),
            Refused::Post(PostError::Store(error)) => {
                tracing::warn!(%error, "a live command could not be carried out");
                Self::unavailable()
            }
            Refused::Post(_) => Self::new("forbidden", "This is not possible."),
        }
    }
}

/// What a client of a socket is told that somebody may not.
pub fn denied_refusal(why: Denied) -> Refusal {
    match why {
        Denied::TooSoon(wait) => Refusal::too_soon(wait),
        _ => Refusal::new("forbidden", denied(why).to_string()),
    }
}

/// What somebody says.
pub struct Saying {
    /// Beside which event.
    pub event: EventId,
    /// A chat message or a question.
    pub kind: Kind,
    /// Who.
    pub user: UserId,
    /// What.
    pub text: String,
}

impl Live {
    /// Makes a post of what somebody says. It is published by its message in the outbox, and by [`Live::publish_soon`].
    ///
    /// # Errors
    /// When they may not, or not now.
    pub async fn say(&self, saying: Saying, keyed: Keyed<Post>) -> Result<Outcome<Post>, Refused> {
        let Saying {
            event,
            kind,
            user,
            text,
        } = saying;
        let rate = match kind {
            Kind::Question => Rate::Questions,
            Kind::Chat | Kind::Poll | Kind::Announcement => Rate::Chat,
        };
        self.rates().take(rate, user).await?;
        let new = NewPost {
            id: PostId::new(),
            event,
            kind,
            user,
            name: self.name_of(user).await,
            text,
            options: Vec::new(),
            results: Results::default(),
            expires_at: None,
        };
        let said = self.store().add_post(new, self.now(), keyed).await?;
        log_post("said", user, &said);
        Ok(said)
    }

    /// Says something and publishes it at once, for a client that is told where it is published. Said again with the same key, it is the
    /// first one.
    ///
    /// # Errors
    /// As [`Live::say`]; and when Redis is away: then it is published later, unless it was refused before it was stored.
    pub async fn say_now(&self, saying: Saying, key: Option<Key>) -> Result<(PostId, Position), Refusal> {
        let channel = Channel::Topic(saying.event, Topic::from(saying.kind));
        // What could not be published now is not taken at all.
        self.hub()
            .open(vec![channel])
            .await
            .map_err(|Away| Refusal::unavailable())?;
        let said = self
            .say(
                saying,
                Keyed {
                    key,
                    answer: said_by_id,
                },
            )
            .await?;
        let post = match said {
            Outcome::Done(post) => post,
            Outcome::Refused(KeyRefusal::Replay(answer)) => {
                let id = serde_json::from_slice::<PostId>(&answer.body).unwrap_or(PostId(Uuid::nil()));
                let found = self.store().post(id).await.map_err(Refused::from)?;
                let post = found.ok_or_else(gone)?;
                // It may have been published so long ago that this is not known any more.
                if post.created_at + REPUBLISHED_FOR < self.now() {
                    let position = self.hub().position(channel).await;
                    return Ok((post.id, position.map_err(|Away| Refusal::unavailable())?));
                }
                post
            }
            Outcome::Refused(KeyRefusal::OtherBody) => {
                return Err(Refusal::bad_request("This `key` was used for something else."));
            }
            Outcome::Refused(KeyRefusal::InFlight) => return Err(Refusal::unavailable()),
        };
        let published = self.publish_post(&post, true).await.map_err(Refused::from)?;
        published.map(|position| (post.id, position)).ok_or_else(gone)
    }

    /// Who is beside an event: how many, for those who take part, and who, for the organizer.
    ///
    /// # Errors
    /// When they may not know, or Redis is away.
    pub async fn present(&self, event: EventId, user: UserId, listed: bool) -> Result<Present, Refused> {
        let standing = self.standing(event, user).await?;
        if !listed {
            standing.may_read(self.now())?;
            let count = self.people().count(event).await.map_err(|Away| Refused::Away)?;
            return Ok(Present { count, users: None });
        }
        standing.may_organize(self.now())?;
        let (count, users) = self.people().list(event).await.map_err(|Away| Refused::Away)?;
        let names = self
            .directory()
            .find(users.iter().copied())
            .await
            .unwrap_or_default();
        let named = |user_id| PresentUser {
            user_id,
            name: names.get(&user_id).and_then(|card| card.name.clone()),
        };
        Ok(Present {
            count,
            users: Some(users.into_iter().map(named).collect()),
        })
    }

    /// Counts a reaction, which is published with all others of the second.
    ///
    /// # Errors
    /// When they may not, or not now.
    pub async fn react(&self, event: EventId, user: UserId, emoji: &str) -> Result<(), Refused> {
        self.rates().take(Rate::Reactions, user).await?;
        self.standing(event, user).await?.may_write(self.now())?;
        let counted = self.reactions().count(event, emoji).await;
        counted.map_err(|Away| Refused::Away)?;
        let marked = self.counters().mark(Mark::Reactions(event)).await;
        marked.map_err(|Away| Refused::Away)
    }

    /// What somebody is beside an event.
    ///
    /// # Errors
    /// When there is no such event.
    pub async fn standing(&self, event: EventId, user: UserId) -> Result<Standing, PostError> {
        let standing = self.store().standing(event, user).await?;
        standing.ok_or(PostError::NoSuchEvent)
    }

    /// What somebody is called; `None` also when the users service does not answer soon: the chat goes on.
    async fn name_of(&self, user: UserId) -> Option<String> {
        let is_away = self
            .names_away_until()
            .lock()
            .is_some_and(|until| Instant::now() < until);
        if is_away {
            return self.names().get(&user).await.flatten();
        }
        let found = timeout(NAME_PATIENCE, self.directory().find([user])).await;
        let why = match found {
            Ok(Ok(found)) => {
                let name = found.get(&user).and_then(|card| card.name.clone());
                self.names().insert(user, name.clone()).await;
                return name;
            }
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        tracing::warn!(why, user_id = %user, "names cannot be looked up; those of new writers are missing for a while");
        *self.names_away_until().lock() = Some(Instant::now() + NAMES_REST);
        self.names().get(&user).await.flatten()
    }
}

/// What was said under this key is not there any more.
fn gone() -> Refusal {
    Refusal::bad_request("What was said with this `key` was deleted.")
}

/// What is kept of a post that was made over a socket.
fn said_by_id(post: &Post) -> Answer {
    Answer::json(StatusCode::CREATED, &post.id)
}

/// Logs that a post was made or changed, but not what it says.
pub fn log_post(what: &'static str, actor: UserId, outcome: &Outcome<Post>) {
    if let Outcome::Done(post) = outcome {
        common::context::note_subject(post.id);
        tracing::info!(
            post_id = %post.id,
            event_id = %post.event,
            user_id = %actor,
            kind = post.kind.name(),
            stage = post.stage.name(),
            "{what}"
        );
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Away(Away) => Self::Away,
            Fault::Store(error) => Self::Post(error.into()),
        }
    }
}
