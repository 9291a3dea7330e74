//! What people say beside events.

use super::*;
use crate::{
    domain::{
        change::LIVE,
        post::{Change, Kind, NewPost, PollOption, Post, PostRefusal, Results, Stage, Tally},
        standing::{ChatMode, Denied, Part, Restriction, RestrictionKind},
    },
    store::posts::{PostError, Restrict, Target},
};

/// An event with its organizer and two who come.
struct Company {
    event: Event,
    asha: UserId,
    ben: UserId,
}

impl Company {
    async fn of(store: &S) -> Self {
        let event = created(store, draft(None, 0)).await;
        let (asha, ben) = (UserId::new(), UserId::new());
        for user in [asha, ben] {
            register(store, event.id, user, now()).await.unwrap();
        }
        kinds_published(store).await;
        Self { event, asha, ben }
    }

    fn says(&self, kind: Kind, user: UserId, text: &str) -> NewPost {
        let options = match kind {
            Kind::Poll => vec![option("Yes"), option("No")],
            _ => Vec::new(),
        };
        NewPost {
            id: PostId::new(),
            event: self.event.id,
            kind,
            user,
            name: Some("Asha Rao".to_owned()),
            text: text.to_owned(),
            options,
            results: Results::AtClose,
            expires_at: (kind == Kind::Announcement).then(|| now() + TimeDelta::hours(1)),
        }
    }

    fn target(&self, post: &Post) -> Target {
        Target {
            event: self.event.id,
            kind: post.kind,
            post: post.id,
        }
    }
}

fn option(text: &str) -> PollOption {
    PollOption {
        option_id: new_id(),
        text: text.to_owned(),
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, PostError>) -> PostRefusal {
    match result {
        Err(PostError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn denied<T: std::fmt::Debug>(result: Result<T, PostError>) -> Denied {
    match refusal(result) {
        PostRefusal::Denied(why) => why,
        other => panic!("{other:?}"),
    }
}

async fn add(store: &S, new: NewPost) -> Post {
    done(store.add_post(new, now(), plain()).await.unwrap())
}

async fn change(store: &S, target: Target, user: UserId, change: Change) -> Result<Post, PostError> {
    store
        .change_post(target, user, change, now(), plain())
        .await
        .map(done)
}

/// What waits for the live room, which takes it with that.
async fn kinds_published(store: &S) -> Vec<String> {
    published(store).await.into_iter().map(|(kind, _)| kind).collect()
}

async fn listed(store: &S, event: EventId, kind: Kind, stages: &'static [Stage]) -> Vec<String> {
    let (found, _) = store.posts(event, kind, stages, first(50)).await.unwrap();
    found.into_iter().map(|post| post.text).collect()
}

pub async fn posts_read_back_and_page(store: S) {
    let company = Company::of(&store).await;
    let organizer = company.event.organizer;
    for (kind, user) in [
        (Kind::Chat, company.asha),
        (Kind::Question, company.ben),
        (Kind::Poll, organizer),
        (Kind::Announcement, organizer),
    ] {
        let post = add(&store, company.says(kind, user, "नमस्ते\n👋")).await;
        assert_eq!(store.post(post.id).await.unwrap(), Some(post), "{kind:?}");
    }
    let told = kinds_published(&store).await;
    assert_eq!(told, ["post.changed"; 3], "a draft is nobody else's");
    assert_eq!(store.post(PostId::new()).await.unwrap(), None);
    for text in ["2", "3", "4", "5"] {
        add(&store, company.says(Kind::Chat, company.asha, text)).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = Page { limit: 2, after };
        let (found, next) = store
            .posts(company.event.id, Kind::Chat, &Stage::PUBLIC, page)
            .await
            .unwrap();
        seen.extend(found.into_iter().map(|post| post.text));
        match next {
            None => break,
            next => after = next,
        }
    }
    assert_eq!(seen, ["5", "4", "3", "2", "नमस्ते\n👋"]);
    let (of_ben, _) = store.posts_of_user(company.ben, first(10)).await.unwrap();
    assert_eq!(of_ben.len(), 1);
    assert_eq!(
        listed(&store, EventId::new(), Kind::Chat, &Stage::KEPT).await,
        [""; 0]
    );
}

pub async fn a_registration_gives_a_part_and_its_end_takes_it(store: S) {
    let company = Company::of(&store).await;
    let (id, organizer) = (company.event.id, company.event.organizer);
    let part = async |user| store.standing(id, user).await.unwrap().unwrap().part;
    assert_eq!(part(organizer).await, Part::Organizer);
    assert_eq!(part(company.asha).await, Part::Attendee);
    assert_eq!(part(UserId::new()).await, Part::Stranger);
    assert_eq!(store.standing(EventId::new(), organizer).await.unwrap(), None);
    let stranger = company.says(Kind::Chat, UserId::new(), "hello");
    let refused = store.add_post(stranger, now(), plain()).await;
    assert_eq!(denied(refused), Denied::NotAttending);
    let nowhere = NewPost {
        event: EventId::new(),
        ..company.says(Kind::Chat, company.asha, "hello")
    };
    let refused = store.add_post(nowhere, now(), plain()).await;
    assert!(matches!(refused, Err(PostError::NoSuchEvent)));
    let poll = company.says(Kind::Poll, company.asha, "Who?");
    let refused = store.add_post(poll, now(), plain()).await;
    assert_eq!(denied(refused), Denied::OrganizerOnly);

    // A hold is no confirmation.
    let paid = created(&store, draft(None, 500)).await;
    register(&store, paid.id, company.asha, now()).await.unwrap();
    let standing = store.standing(paid.id, company.asha).await.unwrap();
    assert_eq!(standing.unwrap().part, Part::Stranger);

    let (found, _) = store
        .registrations(company.asha, StatusFilter::Live, first(10), now())
        .await
        .unwrap();
    let registration = found.iter().find(|found| found.event.id == id).unwrap();
    store
        .cancel_registration(registration.registration.id, company.asha, now(), plain())
        .await
        .unwrap();
    assert_eq!(part(company.asha).await, Part::Stranger);
    // At once, though the registrations are ended one after the other.
    store.cancel_event(id, organizer, now(), plain()).await.unwrap();
    assert_eq!(part(company.ben).await, Part::Stranger);
    assert_eq!(part(organizer).await, Part::Organizer);
}

pub async fn a_restriction_holds_until_it_ends_or_is_lifted(store: S) {
    let company = Company::of(&store).await;
    let restrict = async |by, user, restriction| {
        let decided = Restrict {
            event: company.event.id,
            organizer: by,
            user,
            restriction,
        };
        store.restrict(decided, now(), plain()).await.map(done)
    };
    let organizer = company.event.organizer;
    let until = now() + TimeDelta::minutes(5);
    let mute = Some(Restriction {
        kind: RestrictionKind::Mute,
        until: Some(until),
    });
    let ban = Some(Restriction {
        kind: RestrictionKind::Ban,
        until: None,
    });
    assert_eq!(
        denied(restrict(company.asha, company.ben, ban).await),
        Denied::OrganizerOnly
    );
    assert_eq!(
        denied(restrict(organizer, organizer, ban).await),
        Denied::NotTheOrganizer
    );
    assert_eq!(kinds_published(&store).await, [""; 0]);
    restrict(organizer, company.ben, mute).await.unwrap();
    assert_eq!(kinds_published(&store).await, ["access.changed"]);
    let say = async |at| {
        let new = company.says(Kind::Chat, company.ben, "hello");
        store.add_post(new, at, plain()).await.map(done)
    };
    assert_eq!(denied(say(now()).await), Denied::Muted);
    let standing = store.standing(company.event.id, company.ben).await.unwrap();
    assert_eq!(standing.unwrap().restriction, mute);
    say(until).await.unwrap();
    restrict(organizer, company.ben, ban).await.unwrap();
    assert_eq!(denied(say(until).await), Denied::Banned);
    restrict(organizer, company.ben, None).await.unwrap();
    let standing = store.standing(company.event.id, company.ben).await.unwrap();
    assert_eq!(standing.unwrap().restriction, None);
    say(now()).await.unwrap();
    // Those that are not there yet too.
    restrict(organizer, UserId::new(), ban).await.unwrap();
}

pub async fn a_slow_chat_takes_one_of_two_at_once(store: S) {
    let company = Company::of(&store).await;
    let (id, organizer) = (company.event.id, company.event.organizer);
    let set = async |by, mode| store.set_chat_mode(id, by, mode, now(), plain()).await.map(done);
    assert_eq!(store.chat_mode(id).await.unwrap(), ChatMode::Open);
    assert_eq!(
        denied(set(company.asha, ChatMode::Closed).await),
        Denied::OrganizerOnly
    );
    set(organizer, ChatMode::Slow(30)).await.unwrap();
    assert_eq!(kinds_published(&store).await, ["chat.mode"]);
    assert_eq!(store.chat_mode(id).await.unwrap(), ChatMode::Slow(30));
    let said = (0..4).map(|_| {
        let new = company.says(Kind::Chat, company.asha, "hello");
        let store = store.clone();
        tokio::spawn(async move { store.add_post(new, now(), plain()).await.map(done) })
    });
    let (mut taken, mut refused) = (0, 0);
    for said in futures_util::future::join_all(said).await {
        match said.unwrap() {
            Ok(_) => taken += 1,
            said => {
                assert_eq!(denied(said), Denied::TooSoon(Duration::from_secs(30)));
                refused += 1;
            }
        }
    }
    assert_eq!((taken, refused), (1, 3));
    // Another's pause is another's.
    add(&store, company.says(Kind::Chat, company.ben, "hi")).await;
    let later = now() + TimeDelta::seconds(30);
    let new = company.says(Kind::Chat, company.asha, "again");
    store.add_post(new, later, plain()).await.unwrap();
    set(organizer, ChatMode::Closed).await.unwrap();
    let new = company.says(Kind::Chat, company.ben, "closed?");
    let refused = store.add_post(new, later, plain()).await;
    assert_eq!(denied(refused), Denied::ChatClosed);
    // What could not be said cannot be made of what was said.
    let (said, _) = store
        .posts(id, Kind::Chat, &Stage::PUBLIC, first(1))
        .await
        .unwrap();
    let edit = async |at| {
        let edit = Change::Edit(format!("else at {at}"));
        let target = company.target(&said[0]);
        store
            .change_post(target, said[0].author.user, edit, at, plain())
            .await
    };
    assert_eq!(denied(edit(later).await), Denied::ChatClosed);
    set(organizer, ChatMode::Slow(30)).await.unwrap();
    assert!(matches!(denied(edit(later).await), Denied::TooSoon(_)));
    edit(later + TimeDelta::seconds(30)).await.unwrap();
    assert!(matches!(
        denied(edit(later + TimeDelta::seconds(31)).await),
        Denied::TooSoon(_)
    ));
    set(organizer, ChatMode::Open).await.unwrap();
    add(&store, company.says(Kind::Chat, company.ben, "open")).await;
}

pub async fn posts_change_and_go(store: S) {
    let company = Company::of(&store).await;
    let organizer = company.event.organizer;
    let said = add(&store, company.says(Kind::Chat, company.asha, "helo")).await;
    let target = company.target(&said);
    kinds_published(&store).await;
    let edit = || Change::Edit("hello".to_owned());
    assert_eq!(
        refusal(change(&store, target, company.ben, edit()).await),
        PostRefusal::NotYours
    );
    let edited = change(&store, target, company.asha, edit()).await.unwrap();
    assert_eq!((edited.text.as_str(), edited.version), ("hello", 2));
    assert_eq!(store.post(said.id).await.unwrap(), Some(edited.clone()));
    // What changes nothing is not told.
    assert_eq!(
        change(&store, target, company.asha, edit()).await.unwrap(),
        edited
    );
    assert_eq!(kinds_published(&store).await, ["post.changed"]);
    let elsewhere = Company::of(&store).await;
    let other_event = Target {
        event: elsewhere.event.id,
        ..target
    };
    let other_kind = Target {
        kind: Kind::Announcement,
        ..target
    };
    for (target, by) in [(other_event, elsewhere.event.organizer), (other_kind, organizer)] {
        assert_eq!(
            refusal(change(&store, target, by, Change::Delete).await),
            PostRefusal::NoSuchPost
        );
    }
    change(&store, target, organizer, Change::Delete).await.unwrap();
    assert_eq!(kinds_published(&store).await, ["post.changed"]);
    let deleted = store.post(said.id).await.unwrap().unwrap();
    assert_eq!((deleted.stage, deleted.text.as_str()), (Stage::Deleted, ""));
    assert_eq!(
        listed(&store, company.event.id, Kind::Chat, &Stage::KEPT).await,
        [""; 0]
    );
    let asked = add(&store, company.says(Kind::Question, company.ben, "Why?")).await;
    change(&store, company.target(&asked), organizer, Change::Hide)
        .await
        .unwrap();
    assert_eq!(
        listed(&store, company.event.id, Kind::Question, &Stage::PUBLIC).await,
        [""; 0]
    );
    assert_eq!(
        listed(&store, company.event.id, Kind::Question, &Stage::KEPT).await,
        ["Why?"]
    );
}

pub async fn everybody_votes_once(store: S) {
    let company = Company::of(&store).await;
    let poll = add(
        &store,
        company.says(Kind::Poll, company.event.organizer, "Again?"),
    )
    .await;
    let target = company.target(&poll);
    let (yes, no) = (poll.options[0].option_id, poll.options[1].option_id);
    let vote = |user, option| {
        let store = store.clone();
        async move { store.vote(target, user, option, now(), plain()).await.map(done) }
    };
    assert_eq!(
        refusal(vote(company.asha, Some(yes)).await),
        PostRefusal::NoSuchPost
    );
    change(&store, target, company.event.organizer, Change::Open)
        .await
        .unwrap();
    kinds_published(&store).await;
    assert_eq!(store.tallies(vec![poll.id]).await.unwrap(), Default::default());
    let votes = (0..4).map(|_| tokio::spawn(vote(company.asha, Some(yes))));
    let mut counted = 0;
    for voted in futures_util::future::join_all(votes).await {
        match voted.unwrap() {
            Ok(_) => counted += 1,
            Err(PostError::AlreadyVoted) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(counted, 1);
    assert_eq!(kinds_published(&store).await, ["post.voted"]);
    vote(company.ben, Some(no)).await.unwrap();
    assert!(matches!(
        vote(company.ben, Some(yes)).await,
        Err(PostError::AlreadyVoted)
    ));
    let question = add(&store, company.says(Kind::Question, company.asha, "Why?")).await;
    for user in [company.asha, company.ben] {
        store
            .vote(company.target(&question), user, None, now(), plain())
            .await
            .unwrap();
    }
    let tallies = store
        .tallies(vec![poll.id, question.id, PostId::new()])
        .await
        .unwrap();
    assert_eq!(tallies.len(), 2);
    let of_poll = &tallies[&poll.id];
    assert_eq!((of_poll.total(), of_poll.of(yes), of_poll.of(no)), (2, 1, 1));
    assert_eq!(tallies[&question.id], Tally(vec![(None, 2)]));
    let voted = store
        .votes_of(company.ben, vec![poll.id, question.id])
        .await
        .unwrap();
    assert_eq!((voted[&poll.id], voted[&question.id]), (Some(no), None));
    let voted = store.votes_of(UserId::new(), vec![poll.id]).await.unwrap();
    assert!(voted.is_empty());
    let (mut by_ben, mut after) = (Vec::new(), None);
    loop {
        let (votes, next) = store
            .votes_by(company.ben, Page { limit: 1, after })
            .await
            .unwrap();
        by_ben.extend(votes.into_iter().map(|vote| (vote.post, vote.option, vote.at)));
        match next {
            None => break,
            next => after = next,
        }
    }
    by_ben.sort();
    let mut expected = [(poll.id, Some(no), now()), (question.id, None, now())];
    expected.sort();
    assert_eq!(by_ben, expected);
}

pub async fn a_key_makes_one_post(store: S) {
    fn answer(post: &Post) -> Answer {
        Answer::json(StatusCode::CREATED, &post.id)
    }
    let company = Company::of(&store).await;
    let keyed = || Keyed {
        key: Some(Key {
            caller: company.asha,
            route: "publish".to_owned(),
            key: "k1".to_owned(),
            fingerprint: [7; 32],
        }),
        answer,
    };
    let new = || company.says(Kind::Chat, company.asha, "once");
    let made = done(store.add_post(new(), now(), keyed()).await.unwrap());
    let again = store.add_post(new(), now(), keyed()).await.unwrap();
    assert_eq!(again, Outcome::Refused(Refusal::Replay(answer(&made))));
    assert_eq!(
        listed(&store, company.event.id, Kind::Chat, &Stage::KEPT).await,
        ["once"]
    );
    assert_eq!(kinds_published(&store).await, ["post.changed"]);
}

pub async fn an_announcement_that_goes_out_by_letter_is_made_once(store: S) {
    let company = Company::of(&store).await;
    let by = |user| company.says(Kind::Announcement, user, "Doors open at six.");
    let refused = store.add_post_once(by(company.asha), now()).await;
    assert_eq!(denied(refused), Denied::OrganizerOnly);
    let new = by(company.event.organizer);
    let asked = (0..6).map(|_| {
        let (store, new) = (store.clone(), new.clone());
        tokio::spawn(async move { store.add_post_once(new, now()).await })
    });
    let asked = futures_util::future::join_all(asked).await;
    let made: Vec<Post> = asked
        .into_iter()
        .filter_map(|made| made.unwrap().unwrap())
        .collect();
    assert_eq!(made.len(), 1);
    assert_eq!(kinds_published(&store).await, ["post.changed"]);
    // Taken down, it stays so.
    store
        .change_post(company.target(&made[0]), new.user, Change::Delete, now(), plain())
        .await
        .unwrap();
    assert_eq!(store.add_post_once(new, now()).await.unwrap(), None);
    assert_eq!(kinds_published(&store).await, ["post.changed"]);
}

pub async fn who_leaves_takes_words_and_name_along(store: S) {
    let company = Company::of(&store).await;
    let organizer = company.event.organizer;
    for (kind, user) in [
        (Kind::Chat, company.asha),
        (Kind::Chat, company.ben),
        (Kind::Question, company.asha),
        (Kind::Announcement, organizer),
    ] {
        add(&store, company.says(kind, user, "said")).await;
    }
    kinds_published(&store).await;
    assert_eq!(store.forget_author(company.asha, now(), 1).await.unwrap(), 1);
    assert_eq!(store.forget_author(company.asha, now(), 10).await.unwrap(), 1);
    assert_eq!(store.forget_author(company.asha, now(), 10).await.unwrap(), 0);
    assert_eq!(kinds_published(&store).await, ["post.changed"; 2]);
    let (left, _) = store.posts_of_user(company.asha, first(10)).await.unwrap();
    assert_eq!(left, []);
    assert_eq!(
        listed(&store, company.event.id, Kind::Chat, &Stage::KEPT).await,
        ["said"]
    );
    // What was announced was announced, by nobody.
    assert_eq!(store.forget_author(organizer, now(), 10).await.unwrap(), 1);
    assert_eq!(store.forget_author(organizer, now(), 10).await.unwrap(), 0);
    let (left, _) = store.posts_of_user(organizer, first(10)).await.unwrap();
    assert_eq!(
        (left[0].text.as_str(), left[0].author.name.as_deref()),
        ("said", None)
    );
    assert!(store.outbox().due(LIVE, now(), 10).await.unwrap().len() == 1);
}
