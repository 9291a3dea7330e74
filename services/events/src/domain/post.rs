//! What people say beside an event: chat messages, questions, polls and announcements.

use common::{
    clock::Timestamp,
    ids::{EventId, PostId, UserId},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::standing::{ChatMode, Denied, Part, Standing};

/// What kind of post it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A message in the chat.
    Chat,
    /// A question to the organizer, which others vote for.
    Question,
    /// The organizer's question to all, with options to vote for.
    Poll,
    /// Something that the organizer lets all know.
    Announcement,
}

impl Kind {
    /// As it is written in stores.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Question => "question",
            Self::Poll => "poll",
            Self::Announcement => "announcement",
        }
    }

    /// The kind of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Chat, Self::Question, Self::Poll, Self::Announcement]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// How far a post is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A poll that only the organizer sees.
    Draft,
    /// It can be seen; a question or poll can be voted for.
    Open,
    /// A question that was answered.
    Answered,
    /// A poll that takes no votes any more.
    Closed,
    /// A question that only the organizer sees.
    Hidden,
    /// Its text is gone.
    Deleted,
}

impl Stage {
    const ALL: [Self; 6] = [
        Self::Draft,
        Self::Open,
        Self::Answered,
        Self::Closed,
        Self::Hidden,
        Self::Deleted,
    ];

    /// As it is written in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Closed => "closed",
            Self::Hidden => "hidden",
            Self::Deleted => "deleted",
        }
    }

    /// The stage of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// Those that somebody of this part sees.
    pub fn seen_by(part: Part) -> &'static [Self] {
        match part {
            Part::Organizer => &Self::KEPT,
            Part::Attendee | Part::Stranger => &Self::PUBLIC,
        }
    }

    /// Those that a participant sees.
    pub const PUBLIC: [Self; 3] = [Self::Open, Self::Answered, Self::Closed];
    /// Those that the organizer sees.
    pub const KEPT: [Self; 5] = [
        Self::Draft,
        Self::Open,
        Self::Answered,
        Self::Closed,
        Self::Hidden,
    ];
}

/// Who wrote a post, as they were called then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Author {
    /// The account.
    pub user: UserId,
    /// The name; `None`: they had none, or have left.
    pub name: Option<String>,
    /// What they were to the event.
    pub part: Part,
}

/// An answer that can be voted for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PollOption {
    /// Its id.
    pub option_id: Uuid,
    /// What it says.
    pub text: String,
}

/// When the votes of a poll can be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Results {
    /// While it is open.
    #[default]
    Live,
    /// When it is closed; by the organizer before.
    AtClose,
}

/// A post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Post {
    /// The id.
    pub id: PostId,
    /// Beside which event.
    pub event: EventId,
    /// What it is.
    pub kind: Kind,
    /// Who wrote it.
    pub author: Author,
    /// What it says; empty once it is deleted.
    pub text: String,
    /// A poll's options.
    pub options: Vec<PollOption>,
    /// When a poll's votes can be seen.
    pub results: Results,
    /// How far it is.
    pub stage: Stage,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was written.
    pub created_at: Timestamp,
    /// When its text was last changed.
    pub edited_at: Option<Timestamp>,
    /// When an announcement is over; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A post that is to be made.
#[derive(Clone, Debug)]
pub struct NewPost {
    /// Its id.
    pub id: PostId,
    /// Beside which event.
    pub event: EventId,
    /// What it is.
    pub kind: Kind,
    /// Who writes it.
    pub user: UserId,
    /// What they are called.
    pub name: Option<String>,
    /// What it says.
    pub text: String,
    /// A poll's options.
    pub options: Vec<PollOption>,
    /// When a poll's votes can be seen.
    pub results: Results,
    /// When an announcement is over.
    pub expires_at: Option<Timestamp>,
}

impl NewPost {
    /// The post, by somebody who may make it.
    pub fn by(self, standing: &Standing, now: Timestamp) -> Post {
        let stage = match self.kind {
            Kind::Poll => Stage::Draft,
            Kind::Chat | Kind::Question | Kind::Announcement => Stage::Open,
        };
        Post {
            id: self.id,
            event: self.event,
            kind: self.kind,
            author: Author {
                user: self.user,
                name: self.name,
                part: standing.part,
            },
            text: self.text,
            options: self.options,
            results: self.results,
            stage,
            version: 1,
            created_at: now,
            edited_at: None,
            expires_at: self.expires_at,
        }
    }
}

/// What is to become of a post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// It says something else.
    Edit(String),
    /// It goes.
    Delete,
    /// A question was answered.
    Answer,
    /// A question is for the organizer only.
    Hide,
    /// A poll takes votes.
    Open,
    /// It takes no more.
    Close,
}

/// Why a post is not changed, or not voted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PostRefusal {
    /// There is none, for this user.
    NoSuchPost,
    /// They may not.
    Denied(Denied),
    /// It is somebody else's.
    NotYours,
    /// The poll has not begun.
    NotOpen,
    /// The poll or question takes no more votes.
    Closed,
    /// The poll has no such option.
    NoSuchOption,
}

impl From<Denied> for PostRefusal {
    fn from(why: Denied) -> Self {
        Self::Denied(why)
    }
}

impl Post {
    /// Whether somebody can see it.
    pub fn is_seen_by(&self, standing: &Standing, now: Timestamp) -> bool {
        standing.may_read(now).is_ok() && Stage::seen_by(standing.part).contains(&self.stage)
    }

    /// Whether its votes can be seen by participants.
    pub fn shows_votes(&self) -> bool {
        match (self.kind, self.stage) {
            (Kind::Question, _) | (Kind::Poll, Stage::Closed) => true,
            (Kind::Poll, Stage::Open) => self.results == Results::Live,
            _ => false,
        }
    }

    /// The post after a change that `by` makes, in a chat of this mode. The same version: nothing has changed.
    ///
    /// # Errors
    /// Why it may not be.
    pub fn changed(
        &self,
        change: &Change,
        by: &Standing,
        mode: ChatMode,
        now: Timestamp,
    ) -> Result<Self, PostRefusal> {
        by.may_read(now)?;
        if !self.is_seen_by(by, now) {
            return Err(PostRefusal::NoSuchPost);
        }
        let mut post = self.clone();
        match (self.kind, change) {
            (Kind::Chat, Change::Edit(text)) => {
                self.check_author(by)?;
                if *text == self.text {
                    by.may_write(now)?;
                    return Ok(post);
                }
                // Who could not say it cannot make it of what was said.
                by.may_post(Kind::Chat, mode, now)?;
                post.text.clone_from(text);
                post.edited_at = Some(now);
            }
            (Kind::Chat, Change::Delete) => {
                if by.part != Part::Organizer {
                    self.check_author(by)?;
                }
                post.stage = Stage::Deleted;
                post.text = String::new();
            }
            (Kind::Announcement, Change::Delete) => {
                by.may_organize(now)?;
                post.stage = Stage::Deleted;
                post.text = String::new();
            }
            (Kind::Question, Change::Answer | Change::Hide) => {
                by.may_organize(now)?;
                post.stage = match change {
                    Change::Answer => Stage::Answered,
                    _ => Stage::Hidden,
                };
            }
            (Kind::Poll, Change::Open) => {
                by.may_organize(now)?;
                match self.stage {
                    Stage::Draft | Stage::Open => post.stage = Stage::Open,
                    _ => return Err(PostRefusal::Closed),
                }
            }
            (Kind::Poll, Change::Close) => {
                by.may_organize(now)?;
                match self.stage {
                    Stage::Open | Stage::Closed => post.stage = Stage::Closed,
                    _ => return Err(PostRefusal::NotOpen),
                }
            }
            _ => return Err(PostRefusal::NoSuchPost),
        }
        if post != *self {
            post.version += 1;
        }
        Ok(post)
    }

    /// Whether `by` may vote for it, or for one of its options.
    ///
    /// # Errors
    /// Why not.
    pub fn takes_vote(&self, option: Option<Uuid>, by: &Standing, now: Timestamp) -> Result<(), PostRefusal> {
        by.may_read(now)?;
        if !self.is_seen_by(by, now) {
            return Err(PostRefusal::NoSuchPost);
        }
        match (self.kind, self.stage) {
            (Kind::Question, Stage::Open) => Ok(()),
            (Kind::Poll, Stage::Open) => match option {
                Some(id) if self.options.iter().any(|option| option.option_id == id) => Ok(()),
                _ => Err(PostRefusal::NoSuchOption),
            },
            (Kind::Poll, Stage::Draft) => Err(PostRefusal::NotOpen),
            (Kind::Question | Kind::Poll, _) => Err(PostRefusal::Closed),
            _ => Err(PostRefusal::NoSuchPost),
        }
    }

    /// What is left of it when its author's account is deleted; `None`: it stays as it is.
    pub fn without_author(&self) -> Option<Self> {
        let mut left = self.clone();
        left.author.name = None;
        if matches!(self.kind, Kind::Chat | Kind::Question) {
            left.stage = Stage::Deleted;
            left.text = String::new();
        }
        if left == *self {
            return None;
        }
        left.version += 1;
        Some(left)
    }

    fn check_author(&self, by: &Standing) -> Result<(), PostRefusal> {
        match self.author.user == by.user {
            true => Ok(()),
            false => Err(PostRefusal::NotYours),
        }
    }
}

/// A user's vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vote {
    /// The id.
    pub id: Uuid,
    /// For what.
    pub post: PostId,
    /// For which of a poll's options.
    pub option: Option<Uuid>,
    /// When.
    pub at: Timestamp,
}

/// The votes of a post: how many each option has. Those of a question are one entry without an option.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally(pub Vec<(Option<Uuid>, u64)>);

impl Tally {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, votes)| votes).sum()
    }

    /// Those of an option.
    pub fn of(&self, option: Uuid) -> u64 {
        let found = self.0.iter().find(|(id, _)| *id == Some(option));
        found.map_or(0, |(_, votes)| *votes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        samples::NOW,
        standing::{Restriction, RestrictionKind},
    };

    fn standing(part: Part) -> Standing {
        Standing {
            event: EventId::lenient(""),
            user: UserId::new(),
            part,
            rank: crate::domain::team::Rank::Stranger,
            restriction: None,
            said_at: None,
        }
    }

    fn post(kind: Kind, by: &Standing) -> Post {
        let options = ["Yes", "No"].map(|text| PollOption {
            option_id: common::ids::new_id(),
            text: text.to_owned(),
        });
        let new = NewPost {
            id: PostId::new(),
            event: by.event,
            kind,
            user: by.user,
            name: None,
            text: "Hello".to_owned(),
            options: options.to_vec(),
            results: Results::Live,
            expires_at: None,
        };
        new.by(by, NOW)
    }

    #[test]
    fn a_message_is_its_authors_and_the_organizers_to_delete() {
        let (author, other, organizer) = (
            standing(Part::Attendee),
            standing(Part::Attendee),
            standing(Part::Organizer),
        );
        let said = post(Kind::Chat, &author);
        let edit = Change::Edit("Bye".to_owned());
        let edited = said.changed(&edit, &author, ChatMode::Open, NOW).unwrap();
        assert_eq!(
            (edited.text.as_str(), edited.version, edited.edited_at),
            ("Bye", 2, Some(NOW))
        );
        assert_eq!(
            edited.changed(&edit, &author, ChatMode::Open, NOW),
            Ok(edited.clone())
        );
        for by in [&other, &organizer] {
            assert_eq!(
                said.changed(&edit, by, ChatMode::Open, NOW),
                Err(PostRefusal::NotYours)
            );
        }
        assert_eq!(
            said.changed(&Change::Delete, &other, ChatMode::Open, NOW),
            Err(PostRefusal::NotYours)
        );
        for by in [&author, &organizer] {
            let deleted = said.changed(&Change::Delete, by, ChatMode::Open, NOW).unwrap();
            assert_eq!((deleted.stage, deleted.text.as_str()), (Stage::Deleted, ""));
            assert_eq!(
                deleted.changed(&Change::Delete, by, ChatMode::Open, NOW),
                Err(PostRefusal::NoSuchPost)
            );
        }
        let muted = Standing {
            restriction: Some(Restriction {
                kind: RestrictionKind::Mute,
                until: None,
            }),
            ..author.clone()
        };
        assert_eq!(
            said.changed(&edit, &muted, ChatMode::Open, NOW),
            Err(PostRefusal::Denied(Denied::Muted))
        );
        let closed = said.changed(&edit, &author, ChatMode::Closed, NOW);
        assert_eq!(closed, Err(PostRefusal::Denied(Denied::ChatClosed)));
        // What one has said one may always take back, while one may read it.
        assert!(said.changed(&Change::Delete, &muted, ChatMode::Open, NOW).is_ok());
        assert_eq!(
            said.changed(&Change::Delete, &standing(Part::Stranger), ChatMode::Open, NOW),
            Err(PostRefusal::Denied(Denied::NotAttending))
        );
    }

    #[test]
    fn a_poll_opens_takes_votes_and_closes() {
        let (organizer, voter) = (standing(Part::Organizer), standing(Part::Attendee));
        let draft = post(Kind::Poll, &organizer);
        let yes = Some(draft.options[0].option_id);
        assert_eq!(draft.takes_vote(yes, &voter, NOW), Err(PostRefusal::NoSuchPost));
        assert_eq!(draft.takes_vote(yes, &organizer, NOW), Err(PostRefusal::NotOpen));
        assert_eq!(
            draft.changed(&Change::Close, &organizer, ChatMode::Open, NOW),
            Err(PostRefusal::NotOpen)
        );
        let open = draft
            .changed(&Change::Open, &organizer, ChatMode::Open, NOW)
            .unwrap();
        assert_eq!(open.takes_vote(yes, &voter, NOW), Ok(()));
        for option in [None, Some(common::ids::new_id())] {
            assert_eq!(
                open.takes_vote(option, &voter, NOW),
                Err(PostRefusal::NoSuchOption)
            );
        }
        assert_eq!(
            open.changed(&Change::Close, &voter, ChatMode::Open, NOW),
            Err(PostRefusal::Denied(Denied::OrganizerOnly))
        );
        assert_eq!(
            open.changed(&Change::Open, &organizer, ChatMode::Open, NOW),
            Ok(open.clone())
        );
        let closed = open
            .changed(&Change::Close, &organizer, ChatMode::Open, NOW)
            .unwrap();
        assert_eq!(closed.takes_vote(yes, &voter, NOW), Err(PostRefusal::Closed));
        assert_eq!(
            closed.changed(&Change::Open, &organizer, ChatMode::Open, NOW),
            Err(PostRefusal::Closed)
        );
        assert!(open.shows_votes() && closed.shows_votes() && !draft.shows_votes());
        let secret = Post {
            results: Results::AtClose,
            ..open
        };
        assert!(!secret.shows_votes());
    }

    #[test]
    fn a_question_is_answered_or_hidden_by_the_organizer() {
        let (organizer, asker) = (standing(Part::Organizer), standing(Part::Attendee));
        let asked = post(Kind::Question, &asker);
        assert_eq!(
            asked.changed(&Change::Hide, &asker, ChatMode::Open, NOW),
            Err(PostRefusal::Denied(Denied::OrganizerOnly))
        );
        let hidden = asked
            .changed(&Change::Hide, &organizer, ChatMode::Open, NOW)
            .unwrap();
        assert!(!hidden.is_seen_by(&asker, NOW) && hidden.is_seen_by(&organizer, NOW));
        assert_eq!(hidden.takes_vote(None, &asker, NOW), Err(PostRefusal::NoSuchPost));
        let answered = hidden
            .changed(&Change::Answer, &organizer, ChatMode::Open, NOW)
            .unwrap();
        assert!(answered.is_seen_by(&asker, NOW));
        assert_eq!(answered.takes_vote(None, &asker, NOW), Err(PostRefusal::Closed));
        for change in [Change::Delete, Change::Open, Change::Edit("x".to_owned())] {
            assert_eq!(
                asked.changed(&change, &organizer, ChatMode::Open, NOW),
                Err(PostRefusal::NoSuchPost),
                "{change:?}"
            );
        }
    }
}
