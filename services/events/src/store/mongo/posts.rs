//! What people say beside events.

use std::collections::HashMap;

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PostId, UserId},
    store::StoreError,
};
use futures_util::FutureExt;
use mongo_store::{DocumentExt, Tx, date, idempotency::keyed as with_key, outbox, sift, uuid, uuids};
use mongodb::bson::{Document, doc};
use uuid::Uuid;

use super::{
    MongoStore, events, registrations,
    schema::{CHATS, PARTICIPANTS, POSTS, VOTES},
};
use crate::{
    domain::{
        change,
        post::{Author, Change, Kind, NewPost, Post, PostRefusal, Results, Stage, Tally, Vote},
        standing::{ChatMode, Part, Restriction, RestrictionKind, Standing},
        team::Rank,
    },
    store::{
        posts::{PostError, PostStore, Restrict, Target, pair},
        table,
    },
};

fn post(found: &Document) -> Result<Post, StoreError> {
    let options = serde_json::from_str(&found.text("options")?)
        .map_err(|error| StoreError::Corrupt(format!("options: {error}")))?;
    Ok(Post {
        id: found.id("_id")?,
        event: found.id("event_id")?,
        kind: found.named("kind", Kind::named)?,
        author: Author {
            user: found.id("user_id")?,
            name: found.maybe_text("user_name")?,
            part: found.named("part", Part::named)?,
        },
        text: found.text("text")?,
        options,
        results: match found.flag("secret")? {
            true => Results::AtClose,
            false => Results::Live,
        },
        stage: found.named("stage", Stage::named)?,
        version: found.long("version")?,
        created_at: found.time("created_at")?,
        edited_at: found.maybe_time("edited_at")?,
        expires_at: found.maybe_time("expires_at")?,
    })
}

async fn find(tx: &mut Tx, id: PostId) -> Result<Option<Post>, StoreError> {
    let found = tx.find_one(POSTS, doc! {"_id": uuid(id)}).await?;
    found.as_ref().map(post).transpose()
}

async fn insert(tx: &mut Tx, post: &Post) -> Result<(), StoreError> {
    let mut document = doc! {
        "_id": uuid(post.id),
        "event_id": uuid(post.event),
        "kind": post.kind.name(),
        "user_id": uuid(post.author.user),
        "part": post.author.part.name(),
        "text": &post.text,
        // Our own structs; writing them to memory cannot fail.
        "options": serde_json::to_string(&post.options).unwrap_or_default(),
        "secret": post.results == Results::AtClose,
        "stage": post.stage.name(),
        "version": post.version,
        "created_at": date(post.created_at),
    };
    document.put("user_name", post.author.name.as_deref());
    document.put("edited_at", post.edited_at.map(date));
    document.put("expires_at", post.expires_at.map(date));
    tx.insert(POSTS, vec![document]).await
}

/// Writes what a change may change.
async fn update(tx: &mut Tx, post: &Post) -> Result<(), StoreError> {
    let mut set = doc! {"text": &post.text, "stage": post.stage.name(), "version": post.version};
    set.put("edited_at", post.edited_at.map(date));
    set.put("user_name", post.author.name.as_deref());
    let mut update = doc! {"$set": set};
    if post.author.name.is_none() {
        update.insert("$unset", doc! {"user_name": ""});
    }
    tx.update(POSTS, doc! {"_id": uuid(post.id)}, update)
        .await
        .map(drop)
}

async fn standing(tx: &mut Tx, id: EventId, user: UserId) -> Result<Option<Standing>, StoreError> {
    let Some(event) = events::find(tx, id).await? else {
        return Ok(None);
    };
    let rank = Rank::of(user, &event, super::team::role(tx, id, user).await?);
    if !event.is_seen_by(rank) {
        return Ok(None);
    }
    let live = registrations::find_live(tx, id, user).await?;
    let found = tx
        .find_one(PARTICIPANTS, doc! {"_id": uuid(pair(id, user))})
        .await?;
    let (mut restriction, mut said_at) = (None, None);
    if let Some(found) = found {
        if found.maybe_text("restriction")?.is_some() {
            restriction = Some(Restriction {
                kind: found.named("restriction", RestrictionKind::named)?,
                until: found.maybe_time("restricted_until")?,
            });
        }
        said_at = found.maybe_time("said_at")?;
    }
    Ok(Some(Standing {
        event: id,
        user,
        part: Part::of(rank, &event, live.as_ref()),
        rank,
        restriction,
        said_at,
    }))
}

async fn known(tx: &mut Tx, event: EventId, user: UserId) -> Result<Standing, PostError> {
    standing(tx, event, user).await?.ok_or(PostError::NoSuchEvent)
}

async fn chat_mode(tx: &mut Tx, event: EventId) -> Result<ChatMode, StoreError> {
    let Some(found) = tx.find_one(CHATS, doc! {"_id": uuid(event)}).await? else {
        return Ok(ChatMode::default());
    };
    let seconds = u32::try_from(found.long("slow_seconds")?).unwrap_or(0);
    found.named("mode", |name| ChatMode::named(name, seconds))
}

async fn set_mode(
    tx: &mut Tx,
    event: EventId,
    organizer: UserId,
    mode: ChatMode,
    now: Timestamp,
) -> Result<ChatMode, PostError> {
    known(tx, event, organizer).await?.may_organize(now)?;
    let set = doc! {"mode": mode.name(), "slow_seconds": i64::from(mode.slow_seconds())};
    tx.upsert(CHATS, doc! {"_id": uuid(event)}, doc! {"$set": set})
        .await?;
    outbox::push(tx, &[change::of_chat_mode(event, now)]).await?;
    Ok(mode)
}

/// Publishes what others see of a post.
async fn publish(tx: &mut Tx, post: &Post, now: Timestamp) -> Result<(), StoreError> {
    if post.stage != Stage::Draft {
        outbox::push(tx, &[change::of_post(post, now)]).await?;
    }
    Ok(())
}

async fn add(tx: &mut Tx, new: NewPost, now: Timestamp) -> Result<Post, PostError> {
    let standing = known(tx, new.event, new.user).await?;
    let mode = match new.kind {
        Kind::Chat => chat_mode(tx, new.event).await?,
        _ => ChatMode::Open,
    };
    standing.may_post(new.kind, mode, now)?;
    if let ChatMode::Slow(_) = mode {
        note_said(tx, new.event, new.user, now).await?;
    }
    let post = new.by(&standing, now);
    insert(tx, &post).await?;
    publish(tx, &post, now).await?;
    Ok(post)
}

/// Notes when somebody wrote. Two messages at once change the same document, so one of them is tried again, and comes too soon.
async fn note_said(tx: &mut Tx, event: EventId, user: UserId, now: Timestamp) -> Result<(), StoreError> {
    participant(tx, event, user, doc! {"$set": {"said_at": date(now)}}).await
}

/// Changes what is kept of somebody beside an event.
pub(super) async fn participant(
    tx: &mut Tx,
    event: EventId,
    user: UserId,
    mut change: Document,
) -> Result<(), StoreError> {
    change.insert(
        "$setOnInsert",
        doc! {"event_id": uuid(event), "user_id": uuid(user)},
    );
    let id = doc! {"_id": uuid(pair(event, user))};
    tx.upsert(PARTICIPANTS, id, change).await.map(drop)
}

async fn restrict(tx: &mut Tx, restrict: &Restrict, now: Timestamp) -> Result<Restrict, PostError> {
    let Restrict { event, user, .. } = *restrict;
    known(tx, event, restrict.organizer).await?.may_organize(now)?;
    known(tx, event, user).await?.may_be_restricted()?;
    let until = restrict.restriction.and_then(|restriction| restriction.until);
    let mut set = Document::new();
    let mut unset = Document::new();
    match restrict.restriction {
        Some(restriction) => set.insert("restriction", restriction.kind.name()),
        None => unset.insert("restriction", ""),
    };
    match until {
        Some(until) => set.insert("restricted_until", date(until)),
        None => unset.insert("restricted_until", ""),
    };
    let mut change = Document::new();
    for (operator, fields) in [("$set", set), ("$unset", unset)] {
        if !fields.is_empty() {
            change.insert(operator, fields);
        }
    }
    match restrict.restriction {
        Some(_) => participant(tx, event, user, change).await?,
        // Of somebody who was never restricted nothing is kept.
        None => drop(
            tx.update(PARTICIPANTS, doc! {"_id": uuid(pair(event, user))}, change)
                .await?,
        ),
    }
    outbox::push(tx, &[change::of_access(event, user, now)]).await?;
    Ok(*restrict)
}

/// The post that is meant.
async fn targeted(tx: &mut Tx, target: Target) -> Result<Post, PostError> {
    let found = find(tx, target.post).await?.filter(|post| target.is(post));
    found.ok_or(PostError::Refused(PostRefusal::NoSuchPost))
}

async fn change_one(
    tx: &mut Tx,
    target: Target,
    user: UserId,
    change: &Change,
    now: Timestamp,
) -> Result<Post, PostError> {
    let standing = known(tx, target.event, user).await?;
    standing.may_read(now)?;
    let before = targeted(tx, target).await?;
    let mode = match change {
        Change::Edit(_) => chat_mode(tx, target.event).await?,
        _ => ChatMode::Open,
    };
    let after = before.changed(change, &standing, mode, now)?;
    if after.version != before.version {
        if let ChatMode::Slow(_) = mode {
            note_said(tx, target.event, user, now).await?;
        }
        update(tx, &after).await?;
        publish(tx, &after, now).await?;
    }
    Ok(after)
}

async fn vote(
    tx: &mut Tx,
    target: Target,
    user: UserId,
    option: Option<Uuid>,
    now: Timestamp,
) -> Result<Post, PostError> {
    let standing = known(tx, target.event, user).await?;
    standing.may_read(now)?;
    let post = targeted(tx, target).await?;
    post.takes_vote(option, &standing, now)?;
    let id = uuid(pair(post.id, user));
    if tx.find_one(VOTES, doc! {"_id": &id}).await?.is_some() {
        return Err(PostError::AlreadyVoted);
    }
    let mut vote = doc! {"_id": id, "post_id": uuid(post.id), "user_id": uuid(user), "at": date(now)};
    vote.put("option_id", option.map(uuid));
    // Of two at once one violates the key, is tried again, and finds the other.
    tx.insert(VOTES, vec![vote]).await?;
    outbox::push(tx, &[change::of_votes(&post, now)]).await?;
    Ok(post)
}

async fn page_of(
    tx: &mut Tx,
    mut filter: Document,
    page: Page,
) -> Result<(Vec<Post>, Option<Cursor>), StoreError> {
    if let Some(after) = page.after {
        filter.insert("_id", doc! {"$lt": uuid(after.id)});
    }
    let wanted = page.limit + 1;
    let mut asked = wanted;
    let found = loop {
        let found = tx.find(POSTS, filter.clone(), doc! {"_id": -1}, asked).await?;
        let found = sift(&found, post)?;
        match found.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => break found,
        }
    };
    Ok(page.cut(found.left_out(table::POSTS), |post| Cursor {
        key: 0,
        id: post.id.0,
    }))
}

async fn forget(tx: &mut Tx, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let filter = doc! {"user_id": uuid(user), "$or": [
        {"user_name": {"$exists": true}},
        {"kind": {"$in": ["chat", "question"]}, "stage": {"$ne": "deleted"}},
    ]};
    let found = tx.find(POSTS, filter, doc! {"_id": -1}, limit).await?;
    for document in &found {
        let post = post(document)?;
        if let Some(left) = post.without_author() {
            update(tx, &left).await?;
            publish(tx, &left, now).await?;
        }
    }
    Ok(found.len())
}

#[async_trait]
impl PostStore for MongoStore {
    async fn standing(&self, event: EventId, user: UserId) -> Result<Option<Standing>, StoreError> {
        standing(&mut self.db.read(), event, user).await
    }

    async fn chat_mode(&self, event: EventId) -> Result<ChatMode, StoreError> {
        chat_mode(&mut self.db.read(), event).await
    }

    async fn set_chat_mode(
        &self,
        event: EventId,
        organizer: UserId,
        mode: ChatMode,
        now: Timestamp,
        keyed: Keyed<ChatMode>,
    ) -> Result<Outcome<ChatMode>, PostError> {
        self.publishing(
            (event, organizer, mode, now, keyed),
            |tx, (event, organizer, mode, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| {
                    set_mode(tx, *event, *organizer, *mode, *now).await
                })
                .boxed()
            },
        )
        .await
    }

    async fn restrict(
        &self,
        decided: Restrict,
        now: Timestamp,
        keyed: Keyed<Restrict>,
    ) -> Result<Outcome<Restrict>, PostError> {
        self.publishing((decided, now, keyed), |tx, (decided, now, keyed)| {
            with_key(tx, keyed, *now, async |tx| restrict(tx, decided, *now).await).boxed()
        })
        .await
    }

    async fn add_post(
        &self,
        new: NewPost,
        now: Timestamp,
        keyed: Keyed<Post>,
    ) -> Result<Outcome<Post>, PostError> {
        self.publishing((new, now, keyed), |tx, (new, now, keyed)| {
            with_key(tx, keyed, *now, async |tx| add(tx, new.clone(), *now).await).boxed()
        })
        .await
    }

    async fn add_post_once(&self, new: NewPost, now: Timestamp) -> Result<Option<Post>, PostError> {
        // Of two at once the second violates the index of ids, looks again, and finds the first.
        self.publishing((new, now), |tx, (new, now)| {
            async move {
                match find(tx, new.id).await? {
                    Some(_) => Ok(None),
                    None => add(tx, new.clone(), *now).await.map(Some),
                }
            }
            .boxed()
        })
        .await
    }

    async fn change_post(
        &self,
        target: Target,
        user: UserId,
        change: Change,
        now: Timestamp,
        keyed: Keyed<Post>,
    ) -> Result<Outcome<Post>, PostError> {
        self.publishing(
            (target, user, change, now, keyed),
            |tx, (target, user, change, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| {
                    change_one(tx, *target, *user, change, *now).await
                })
                .boxed()
            },
        )
        .await
    }

    async fn vote(
        &self,
        target: Target,
        user: UserId,
        option: Option<Uuid>,
        now: Timestamp,
        keyed: Keyed<Post>,
    ) -> Result<Outcome<Post>, PostError> {
        self.publishing(
            (target, user, option, now, keyed),
            |tx, (target, user, option, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| {
                    vote(tx, *target, *user, *option, *now).await
                })
                .boxed()
            },
        )
        .await
    }

    async fn post(&self, id: PostId) -> Result<Option<Post>, StoreError> {
        find(&mut self.db.read(), id).await
    }

    async fn posts(
        &self,
        event: EventId,
        kind: Kind,
        stages: &'static [Stage],
        page: Page,
    ) -> Result<(Vec<Post>, Option<Cursor>), StoreError> {
        let stages: Vec<_> = stages.iter().map(|stage| stage.name()).collect();
        let filter = doc! {"event_id": uuid(event), "kind": kind.name(), "stage": {"$in": stages}};
        page_of(&mut self.db.read(), filter, page).await
    }

    async fn tallies(&self, posts: Vec<PostId>) -> Result<HashMap<PostId, Tally>, StoreError> {
        let counting = vec![
            doc! {"$match": {"post_id": {"$in": uuids(posts)}}},
            doc! {"$group": {"_id": {"post_id": "$post_id", "option_id": "$option_id"}, "votes": {"$sum": 1_i64}}},
        ];
        let counted = self.db.read().aggregate(VOTES, counting).await?;
        let mut tallies = HashMap::<PostId, Tally>::new();
        for group in counted {
            let id = group
                .get_document("_id")
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let votes = (id.maybe_id("option_id")?, group.long("votes")?.unsigned_abs());
            tallies.entry(id.id("post_id")?).or_default().0.push(votes);
        }
        Ok(tallies)
    }

    async fn votes_of(
        &self,
        user: UserId,
        posts: Vec<PostId>,
    ) -> Result<HashMap<PostId, Option<Uuid>>, StoreError> {
        let limit = posts.len();
        let ids = uuids(posts.into_iter().map(|post| pair(post, user)));
        let found = self
            .db
            .read()
            .find(VOTES, doc! {"_id": {"$in": ids}}, doc! {}, limit)
            .await?;
        found
            .iter()
            .map(|vote| Ok((vote.id("post_id")?, vote.maybe_id("option_id")?)))
            .collect()
    }

    async fn posts_of_user(
        &self,
        user: UserId,
        page: Page,
    ) -> Result<(Vec<Post>, Option<Cursor>), StoreError> {
        let filter = doc! {"user_id": uuid(user), "stage": {"$ne": "deleted"}};
        page_of(&mut self.db.read(), filter, page).await
    }

    async fn votes_by(&self, user: UserId, page: Page) -> Result<(Vec<Vote>, Option<Cursor>), StoreError> {
        let mut filter = doc! {"user_id": uuid(user)};
        if let Some(after) = page.after {
            filter.insert("_id", doc! {"$lt": uuid(after.id)});
        }
        let found = self
            .db
            .read()
            .find(VOTES, filter, doc! {"_id": -1}, page.limit + 1)
            .await?;
        let votes = found.iter().map(|vote| {
            Ok(Vote {
                id: vote.id("_id")?,
                post: vote.id("post_id")?,
                option: vote.maybe_id("option_id")?,
                at: vote.time("at")?,
            })
        });
        let votes = votes.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(page.cut(votes, |vote| Cursor { key: 0, id: vote.id }))
    }

    async fn forget_author(&self, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.publishing((user, now, limit), |tx, (user, now, limit)| {
            forget(tx, *user, *now, *limit).boxed()
        })
        .await
    }
}
