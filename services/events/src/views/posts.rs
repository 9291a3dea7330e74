//! Chat messages, questions, polls and announcements as the public API and the live channels show them.

use common::{
    ids::{EventId, PostId, UserId},
    time::utc,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{
    post::{Author, Kind, Post, Stage, Tally, Vote},
    standing::{ChatMode, Restriction},
};

/// Who wrote something.
#[derive(Serialize, ToSchema)]
pub struct AuthorView {
    /// The account.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000006")]
    user_id: UserId,
    /// What they were called then; null: they had no name, or their account was deleted.
    #[schema(required = true, example = "Asha Rao")]
    name: Option<String>,
    /// What they are to the event: `organizer` or `attendee`.
    #[schema(value_type = String, example = "attendee")]
    role: &'static str,
}

impl From<&Author> for AuthorView {
    fn from(author: &Author) -> Self {
        Self {
            user_id: author.user,
            name: author.name.clone(),
            role: author.part.name(),
        }
    }
}

/// A chat message.
#[derive(Serialize, ToSchema)]
pub struct ChatView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000021")]
    pub message_id: PostId,
    /// Who wrote it.
    user: AuthorView,
    /// What it says: text, never HTML.
    #[schema(example = "Hello from Pune 👋")]
    text: String,
    /// When, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    sent_at: String,
    /// When it was last edited, UTC; null: never.
    #[schema(required = true, format = DateTime, example = json!(null))]
    edited_at: Option<String>,
}

impl From<&Post> for ChatView {
    fn from(post: &Post) -> Self {
        Self {
            message_id: post.id,
            user: AuthorView::from(&post.author),
            text: post.text.clone(),
            sent_at: utc(post.created_at),
            edited_at: post.edited_at.map(utc),
        }
    }
}

/// Who may write in the chat.
#[derive(Serialize, ToSchema)]
pub struct ChatModeView {
    /// `open`: those who read it; `slow`: each only once in so many seconds; `closed`: the organizer.
    #[schema(value_type = String, example = "slow")]
    mode: &'static str,
    /// Seconds between two messages of one attendee; 0 unless it is slow.
    #[schema(example = 30)]
    slow_seconds: u32,
}

impl From<ChatMode> for ChatModeView {
    fn from(mode: ChatMode) -> Self {
        Self {
            mode: mode.name(),
            slow_seconds: mode.slow_seconds(),
        }
    }
}

/// A question.
#[derive(Serialize, ToSchema)]
pub struct QuestionView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000022")]
    question_id: PostId,
    /// Who asked.
    user: AuthorView,
    /// What they asked: text, never HTML.
    #[schema(example = "Will the talks be recorded?")]
    text: String,
    /// `open`, `answered`, or `hidden`, which only the organizer sees.
    #[schema(value_type = String, example = "open")]
    state: &'static str,
    /// How many have voted for it.
    #[schema(example = 12)]
    votes: u64,
    /// Whether you have; left out on the live channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = true)]
    voted: Option<bool>,
    /// When it was asked, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    asked_at: String,
}

impl QuestionView {
    /// A question with its votes, and whether the reader is one of them.
    pub fn new(post: &Post, votes: u64, voted: Option<bool>) -> Self {
        Self {
            question_id: post.id,
            user: AuthorView::from(&post.author),
            text: post.text.clone(),
            state: post.stage.name(),
            votes,
            voted,
            asked_at: utc(post.created_at),
        }
    }
}

/// An option of a poll.
#[derive(Serialize, ToSchema)]
pub struct OptionView {
    /// The id, to vote with.
    #[schema(format = Uuid, example = "019309a2-0000-7000-8000-000000000024")]
    option_id: Uuid,
    /// What it says.
    #[schema(example = "In Pune")]
    text: String,
    /// Its votes; null: they are shown when the poll is closed.
    #[schema(required = true, example = 7)]
    votes: Option<u64>,
}

/// A poll.
#[derive(Serialize, ToSchema)]
pub struct PollView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000023")]
    poll_id: PostId,
    /// What is asked.
    #[schema(example = "Where shall we meet next?")]
    question: String,
    /// What can be answered.
    options: Vec<OptionView>,
    /// `draft`, which only the organizer sees, `open` or `closed`.
    #[schema(value_type = String, example = "open")]
    state: &'static str,
    /// All votes; null: they are shown when the poll is closed.
    #[schema(required = true, example = 12)]
    votes: Option<u64>,
    /// The option you voted for; null: none yet; left out on the live channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid, example = "019309a2-0000-7000-8000-000000000024")]
    voted: Option<Option<Uuid>>,
    /// When it was made, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    created_at: String,
}

impl PollView {
    /// A poll with its votes, where the reader may see them, and the reader's own.
    pub fn new(post: &Post, tally: Option<&Tally>, voted: Option<Option<Uuid>>) -> Self {
        Self {
            poll_id: post.id,
            question: post.text.clone(),
            options: options(post, tally),
            state: post.stage.name(),
            votes: tally.map(Tally::total),
            voted,
            created_at: utc(post.created_at),
        }
    }
}

fn options(post: &Post, tally: Option<&Tally>) -> Vec<OptionView> {
    let options = post.options.iter();
    options
        .map(|option| OptionView {
            option_id: option.option_id,
            text: option.text.clone(),
            votes: tally.map(|tally| tally.of(option.option_id)),
        })
        .collect()
}

/// An announcement.
#[derive(Serialize, ToSchema)]
pub struct AnnouncementView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000025")]
    announcement_id: PostId,
    /// What it says: text, never HTML.
    #[schema(example = "We begin in five minutes.")]
    text: String,
    /// When it was made, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    sent_at: String,
    /// When it is over, UTC; null: never.
    #[schema(required = true, format = DateTime, example = "2026-11-22T13:44:06.000Z")]
    expires_at: Option<String>,
}

impl From<&Post> for AnnouncementView {
    fn from(post: &Post) -> Self {
        Self {
            announcement_id: post.id,
            text: post.text.clone(),
            sent_at: utc(post.created_at),
            expires_at: post.expires_at.map(utc),
        }
    }
}

/// What somebody may not do beside an event.
#[derive(Serialize, ToSchema)]
pub struct BanView {
    /// The event.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    pub event_id: EventId,
    /// Who.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000006")]
    pub user_id: UserId,
    /// `mute`: no writing; `ban`: no reading either; null: nothing any more.
    #[schema(value_type = Option<String>, required = true, example = "mute")]
    kind: Option<&'static str>,
    /// Until when, UTC; null: until it is lifted.
    #[schema(required = true, format = DateTime, example = "2026-11-22T13:44:06.000Z")]
    until: Option<String>,
}

impl BanView {
    /// What was decided about a user.
    pub fn new(event_id: EventId, user_id: UserId, restriction: Option<&Restriction>) -> Self {
        Self {
            event_id,
            user_id,
            kind: restriction.map(|restriction| restriction.kind.name()),
            until: restriction.and_then(|restriction| restriction.until).map(utc),
        }
    }
}

/// What somebody has said, for the export of their data.
#[derive(Serialize)]
pub struct SaidView {
    post_id: PostId,
    event_id: EventId,
    kind: &'static str,
    text: String,
    state: &'static str,
    created_at: String,
}

impl From<&Post> for SaidView {
    fn from(post: &Post) -> Self {
        Self {
            post_id: post.id,
            event_id: post.event,
            kind: post.kind.name(),
            text: post.text.clone(),
            state: post.stage.name(),
            created_at: utc(post.created_at),
        }
    }
}

/// What somebody has voted for, likewise.
#[derive(Serialize)]
pub struct VotedView {
    post_id: PostId,
    option_id: Option<Uuid>,
    voted_at: String,
}

impl From<&Vote> for VotedView {
    fn from(vote: &Vote) -> Self {
        Self {
            post_id: vote.post,
            option_id: vote.option,
            voted_at: utc(vote.at),
        }
    }
}

/// What a live channel says of a post.
#[derive(Serialize)]
#[serde(untagged)]
pub enum PostData {
    /// A message that was sent or edited.
    Chat(ChatView),
    /// A message that was deleted.
    ChatDeleted {
        /// Which.
        message_id: PostId,
    },
    /// A question that was asked or answered.
    Question(QuestionView),
    /// One that is not to be seen any more.
    QuestionGone {
        /// Which.
        question_id: PostId,
    },
    /// A poll that was opened.
    Poll(PollView),
    /// One that was closed.
    PollClosed {
        /// Which.
        poll_id: PostId,
        /// All votes.
        votes: u64,
        /// Those of each option.
        results: Vec<OptionView>,
    },
    /// An announcement.
    Announcement(AnnouncementView),
    /// One that was withdrawn.
    AnnouncementDeleted {
        /// Which.
        announcement_id: PostId,
    },
    /// The votes of a question.
    QuestionVotes {
        /// Which.
        question_id: PostId,
        /// How many.
        votes: u64,
    },
    /// The votes of a poll.
    PollVotes {
        /// Which.
        poll_id: PostId,
        /// All votes.
        votes: u64,
        /// Those of each option.
        options: Vec<OptionView>,
    },
}

impl PostData {
    /// What is published of a post as it is now, and its type; `None`: nobody is to know of it.
    pub fn of(post: &Post, tally: &Tally) -> Option<(&'static str, Self)> {
        let id = post.id;
        Some(match (post.kind, post.stage) {
            (_, Stage::Draft) => return None,
            (Kind::Chat, Stage::Deleted) => ("chat.deleted", Self::ChatDeleted { message_id: id }),
            (Kind::Chat, _) => {
                let kind = match post.edited_at {
                    Some(_) => "chat.edited",
                    None => "chat.message",
                };
                (kind, Self::Chat(ChatView::from(post)))
            }
            (Kind::Question, Stage::Hidden | Stage::Deleted) => {
                ("question.hidden", Self::QuestionGone { question_id: id })
            }
            (Kind::Question, stage) => {
                let kind = match stage {
                    Stage::Answered => "question.answered",
                    _ => "question.asked",
                };
                (kind, Self::Question(QuestionView::new(post, tally.total(), None)))
            }
            (Kind::Poll, Stage::Closed) => (
                "poll.closed",
                Self::PollClosed {
                    poll_id: id,
                    votes: tally.total(),
                    results: options(post, Some(tally)),
                },
            ),
            (Kind::Poll, _) => {
                let shown = Some(tally).filter(|_| post.shows_votes());
                ("poll.opened", Self::Poll(PollView::new(post, shown, None)))
            }
            (Kind::Announcement, Stage::Deleted) => (
                "announcement.deleted",
                Self::AnnouncementDeleted { announcement_id: id },
            ),
            (Kind::Announcement, _) => (
                "announcement.created",
                Self::Announcement(AnnouncementView::from(post)),
            ),
        })
    }

    /// What is published of a post's votes; `None`: they are not shown, or not any more.
    pub fn votes_of(post: &Post, tally: &Tally) -> Option<(&'static str, Self)> {
        if !Stage::PUBLIC.contains(&post.stage) || !post.shows_votes() {
            return None;
        }
        match post.kind {
            Kind::Question => Some((
                "question.votes",
                Self::QuestionVotes {
                    question_id: post.id,
                    votes: tally.total(),
                },
            )),
            // The last vote may have been counted after the poll was closed.
            Kind::Poll if post.stage == Stage::Closed => Self::of(post, tally),
            Kind::Poll => Some((
                "poll.votes",
                Self::PollVotes {
                    poll_id: post.id,
                    votes: tally.total(),
                    options: options(post, Some(tally)),
                },
            )),
            Kind::Chat | Kind::Announcement => None,
        }
    }
}
