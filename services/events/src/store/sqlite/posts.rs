//! What people say beside events.

use std::collections::HashMap;

use async_trait::async_trait;
use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PostId, UserId},
    store::StoreError,
};
use sqlite_store::{
    Connection, Param, Row, RowResult,
    idempotency::keyed as with_key,
    outbox, params,
    rows::{named, sift, sift_page},
};
use uuid::Uuid;

use super::{SqliteStore, events, events::const_sql, registrations};
use crate::{
    domain::{
        change,
        post::{Author, Change, Kind, NewPost, PollOption, Post, PostRefusal, Results, Stage, Tally, Vote},
        standing::{ChatMode, Part, Restriction, RestrictionKind, Standing},
        team::Rank,
    },
    store::{
        posts::{PostError, PostStore, Restrict, Target, pair},
        table,
    },
};

/// The columns that [`post`] reads.
const POST: &str = "id, event_id, kind, user_id, user_name, part, text, options, secret, stage, version, created_at, edited_at, expires_at";

fn post(row: &Row<'_>) -> RowResult<Post> {
    let options: String = row.get(7)?;
    let options: Vec<PollOption> = serde_json::from_str(&options)
        .map_err(|error| sqlite_store::Error::unreadable(7, error.to_string()))?;
    Ok(Post {
        id: row.get(0)?,
        event: row.get(1)?,
        kind: named(row, 2, Kind::named)?,
        author: Author {
            user: row.get(3)?,
            name: row.get(4)?,
            part: named(row, 5, Part::named)?,
        },
        text: row.get(6)?,
        options,
        results: match row.get(8)? {
            true => Results::AtClose,
            false => Results::Live,
        },
        stage: named(row, 9, Stage::named)?,
        version: row.get(10)?,
        created_at: from_millis(row.get(11)?),
        edited_at: row.get::<_, Option<i64>>(12)?.map(from_millis),
        expires_at: row.get::<_, Option<i64>>(13)?.map(from_millis),
    })
}

fn find(db: &Connection, id: PostId) -> Result<Option<Post>, StoreError> {
    let sql = const_sql(&["SELECT ", POST, " FROM posts WHERE id = ?1"]);
    Ok(db.prepare_cached(&sql)?.find([id], post)?)
}

fn insert(db: &Connection, post: &Post) -> Result<(), StoreError> {
    let sql = const_sql(&[
        "INSERT INTO posts (",
        POST,
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    ]);
    db.prepare_cached(&sql)?.execute(params![
        post.id,
        post.event,
        post.kind.name(),
        post.author.user,
        post.author.name,
        post.author.part.name(),
        post.text,
        // Our own structs; writing them to memory cannot fail.
        serde_json::to_string(&post.options).unwrap_or_default(),
        post.results == Results::AtClose,
        post.stage.name(),
        post.version,
        post.created_at.timestamp_millis(),
        post.edited_at.map(|at| at.timestamp_millis()),
        post.expires_at.map(|at| at.timestamp_millis()),
    ])?;
    Ok(())
}

/// Writes what a change may change.
fn update(db: &Connection, post: &Post) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE posts SET user_name = ?2, text = ?3, stage = ?4, version = ?5, edited_at = ?6 WHERE id = ?1",
    )?
    .execute(params![
        post.id,
        post.author.name,
        post.text,
        post.stage.name(),
        post.version,
        post.edited_at.map(|at| at.timestamp_millis()),
    ])?;
    Ok(())
}

fn standing(db: &Connection, id: EventId, user: UserId) -> Result<Option<Standing>, StoreError> {
    let Some(event) = events::find(db, id)? else {
        return Ok(None);
    };
    let rank = Rank::of(user, &event, super::team::role(db, id, user)?);
    if !event.is_seen_by(rank) {
        return Ok(None);
    }
    let live = registrations::find_live(db, id, user)?;
    let (restriction, said_at) = db
        .prepare_cached("SELECT restriction, restricted_until, said_at FROM participants WHERE id = ?1")?
        .find([pair(id, user)], |row| {
            let kind = match row.get::<_, Option<String>>(0)? {
                Some(_) => Some(named(row, 0, RestrictionKind::named)?),
                None => None,
            };
            let until = row.get::<_, Option<i64>>(1)?.map(from_millis);
            let said_at = row.get::<_, Option<i64>>(2)?.map(from_millis);
            Ok((kind.map(|kind| Restriction { kind, until }), said_at))
        })?
        .unwrap_or_default();
    Ok(Some(Standing {
        event: id,
        user,
        part: Part::of(rank, &event, live.as_ref()),
        rank,
        restriction,
        said_at,
    }))
}

fn known(db: &Connection, event: EventId, user: UserId) -> Result<Standing, PostError> {
    standing(db, event, user)?.ok_or(PostError::NoSuchEvent)
}

fn chat_mode(db: &Connection, event: EventId) -> Result<ChatMode, StoreError> {
    let found = db
        .prepare_cached("SELECT mode, slow_seconds FROM chats WHERE id = ?1")?
        .find([event], |row| {
            let seconds: u32 = row.get(1)?;
            named(row, 0, |name| ChatMode::named(name, seconds))
        })?;
    Ok(found.unwrap_or_default())
}

fn note_said(db: &Connection, event: EventId, user: UserId, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO participants (id, event_id, user_id, said_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET said_at = excluded.said_at",
    )?
    .execute(params![pair(event, user), event, user, now.timestamp_millis()])?;
    Ok(())
}

/// `false`: the user has voted before.
fn insert_vote(
    db: &Connection,
    post: PostId,
    user: UserId,
    option: Option<Uuid>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = db
        .prepare_cached(
            "INSERT INTO votes (id, post_id, user_id, option_id, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            pair(post, user),
            post,
            user,
            option,
            now.timestamp_millis()
        ])?;
    Ok(inserted == 1)
}

fn write_mode(db: &Connection, event: EventId, mode: ChatMode) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO chats (id, mode, slow_seconds) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, slow_seconds = excluded.slow_seconds",
    )?
    .execute(params![event, mode.name(), mode.slow_seconds()])?;
    Ok(())
}

fn write_restriction(db: &Connection, restrict: &Restrict) -> Result<(), StoreError> {
    let Some(restriction) = restrict.restriction else {
        // Of somebody who was never restricted nothing is kept.
        db.prepare_cached(
            "UPDATE participants SET restriction = NULL, restricted_until = NULL WHERE id = ?1",
        )?
        .execute([pair(restrict.event, restrict.user)])?;
        return Ok(());
    };
    db.prepare_cached(
        "INSERT INTO participants (id, event_id, user_id, restriction, restricted_until) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET restriction = excluded.restriction, restricted_until = excluded.restricted_until",
    )?
    .execute(params![
        pair(restrict.event, restrict.user),
        restrict.event,
        restrict.user,
        restriction.kind.name(),
        restriction.until.map(|until| until.timestamp_millis())
    ])?;
    Ok(())
}

fn add(db: &Connection, new: NewPost, now: Timestamp) -> Result<Post, PostError> {
    let standing = known(db, new.event, new.user)?;
    let mode = match new.kind {
        Kind::Chat => chat_mode(db, new.event)?,
        _ => ChatMode::Open,
    };
    standing.may_post(new.kind, mode, now)?;
    if let ChatMode::Slow(_) = mode {
        note_said(db, new.event, new.user, now)?;
    }
    let post = new.by(&standing, now);
    insert(db, &post)?;
    publish(db, &post, now)?;
    Ok(post)
}

/// Publishes what others see of a post.
fn publish(db: &Connection, post: &Post, now: Timestamp) -> Result<(), StoreError> {
    if post.stage != Stage::Draft {
        outbox::push(db, &change::of_post(post, now))?;
    }
    Ok(())
}

/// The post that is meant.
fn targeted(db: &Connection, target: Target) -> Result<Post, PostError> {
    let found = find(db, target.post)?.filter(|post| target.is(post));
    found.ok_or(PostError::Refused(PostRefusal::NoSuchPost))
}

fn change_one(
    db: &Connection,
    target: Target,
    user: UserId,
    change: &Change,
    now: Timestamp,
) -> Result<Post, PostError> {
    let standing = known(db, target.event, user)?;
    standing.may_read(now)?;
    let before = targeted(db, target)?;
    let mode = match change {
        Change::Edit(_) => chat_mode(db, target.event)?,
        _ => ChatMode::Open,
    };
    let after = before.changed(change, &standing, mode, now)?;
    if after.version != before.version {
        if let ChatMode::Slow(_) = mode {
            note_said(db, target.event, user, now)?;
        }
        update(db, &after)?;
        publish(db, &after, now)?;
    }
    Ok(after)
}

fn vote(
    db: &Connection,
    target: Target,
    user: UserId,
    option: Option<Uuid>,
    now: Timestamp,
) -> Result<Post, PostError> {
    let standing = known(db, target.event, user)?;
    standing.may_read(now)?;
    let post = targeted(db, target)?;
    post.takes_vote(option, &standing, now)?;
    if !insert_vote(db, post.id, user, option, now)? {
        return Err(PostError::AlreadyVoted);
    }
    outbox::push(db, &change::of_votes(&post, now))?;
    Ok(post)
}

fn tally(db: &Connection, post: PostId) -> Result<Tally, StoreError> {
    let found = db
        .prepare_cached("SELECT option_id, COUNT(*) FROM votes WHERE post_id = ?1 GROUP BY option_id")?
        .all([post], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
    Ok(Tally(found))
}

/// Pages of posts, the newest first: `?1` and `?2` belong to `filter`.
fn page_of(
    db: &Connection,
    filter: &str,
    of: (&dyn Param, &dyn Param),
    page: Page,
) -> Result<(Vec<Post>, Option<Cursor>), StoreError> {
    let sql = [
        "SELECT ",
        POST,
        " FROM posts WHERE ",
        filter,
        " AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
    ]
    .concat();
    let after = page.after.map(|cursor| cursor.id);
    let found = sift_page(page.limit + 1, |asked| {
        let mut statement = db.prepare_cached(&sql)?;
        sift(statement.query(params![of.0, of.1, after, asked])?, 0, post)
    })?;
    Ok(page.cut(found.left_out(table::POSTS), |post| Cursor {
        key: 0,
        id: post.id.0,
    }))
}

fn votes_by(db: &Connection, user: UserId, page: Page) -> Result<(Vec<Vote>, Option<Cursor>), StoreError> {
    let after = page.after.map(|cursor| cursor.id);
    let found = db
        .prepare_cached(
            "SELECT id, post_id, option_id, at FROM votes WHERE user_id = ?1 AND (?2 IS NULL OR id < ?2)
             ORDER BY id DESC LIMIT ?3",
        )?
        .all(params![user, after, page.limit as i64 + 1], |row| {
            Ok(Vote {
                id: row.get(0)?,
                post: row.get(1)?,
                option: row.get(2)?,
                at: from_millis(row.get(3)?),
            })
        })?;
    Ok(page.cut(found, |vote| Cursor { key: 0, id: vote.id }))
}

fn forget(db: &Connection, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        POST,
        " FROM posts WHERE user_id = ?1
          AND (user_name IS NOT NULL OR (kind IN ('chat', 'question') AND stage <> 'deleted')) LIMIT ?2",
    ]);
    let found = db.prepare_cached(&sql)?.all(params![user, limit as i64], post)?;
    for post in &found {
        if let Some(left) = post.without_author() {
            update(db, &left)?;
            publish(db, &left, now)?;
        }
    }
    Ok(found.len())
}

#[async_trait]
impl PostStore for SqliteStore {
    async fn standing(&self, event: EventId, user: UserId) -> Result<Option<Standing>, StoreError> {
        self.db.read(move |db| standing(db, event, user)).await
    }

    async fn chat_mode(&self, event: EventId) -> Result<ChatMode, StoreError> {
        self.db.read(move |db| chat_mode(db, event)).await
    }

    async fn set_chat_mode(
        &self,
        event: EventId,
        organizer: UserId,
        mode: ChatMode,
        now: Timestamp,
        keyed: Keyed<ChatMode>,
    ) -> Result<Outcome<ChatMode>, PostError> {
        self.publishing(move |db| {
            with_key(db, &keyed, now, |db| {
                known(db, event, organizer)?.may_organize(now)?;
                write_mode(db, event, mode)?;
                outbox::push(db, &change::of_chat_mode(event, now))?;
                Ok(mode)
            })
        })
        .await
    }

    async fn restrict(
        &self,
        restrict: Restrict,
        now: Timestamp,
        keyed: Keyed<Restrict>,
    ) -> Result<Outcome<Restrict>, PostError> {
        self.publishing(move |db| {
            with_key(db, &keyed, now, |db| {
                let Restrict { event, user, .. } = restrict;
                known(db, event, restrict.organizer)?.may_organize(now)?;
                known(db, event, user)?.may_be_restricted()?;
                write_restriction(db, &restrict)?;
                outbox::push(db, &change::of_access(event, user, now))?;
                Ok(restrict)
            })
        })
        .await
    }

    async fn add_post(
        &self,
        new: NewPost,
        now: Timestamp,
        keyed: Keyed<Post>,
    ) -> Result<Outcome<Post>, PostError> {
        self.publishing(move |db| with_key(db, &keyed, now, |db| add(db, new, now)))
            .await
    }

    async fn add_post_once(&self, new: NewPost, now: Timestamp) -> Result<Option<Post>, PostError> {
        self.publishing(move |db| match find(db, new.id)? {
            Some(_) => Ok(None),
            None => add(db, new, now).map(Some),
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
        self.publishing(move |db| with_key(db, &keyed, now, |db| change_one(db, target, user, &change, now)))
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
        self.publishing(move |db| with_key(db, &keyed, now, |db| vote(db, target, user, option, now)))
            .await
    }

    async fn post(&self, id: PostId) -> Result<Option<Post>, StoreError> {
        self.db.read(move |db| find(db, id)).await
    }

    async fn posts(
        &self,
        event: EventId,
        kind: Kind,
        stages: &'static [Stage],
        page: Page,
    ) -> Result<(Vec<Post>, Option<Cursor>), StoreError> {
        let names: Vec<_> = stages.iter().map(|stage| format!("'{}'", stage.name())).collect();
        let filter = format!("event_id = ?1 AND kind = ?2 AND stage IN ({})", names.join(", "));
        self.db
            .read(move |db| page_of(db, &filter, (&event, &kind.name()), page))
            .await
    }

    async fn tallies(&self, posts: Vec<PostId>) -> Result<HashMap<PostId, Tally>, StoreError> {
        self.db
            .read(move |db| {
                let counted = posts.into_iter().map(|post| Ok((post, tally(db, post)?)));
                let counted = counted.collect::<Result<Vec<_>, StoreError>>()?;
                Ok(counted
                    .into_iter()
                    .filter(|(_, tally)| tally.total() > 0)
                    .collect())
            })
            .await
    }

    async fn votes_of(
        &self,
        user: UserId,
        posts: Vec<PostId>,
    ) -> Result<HashMap<PostId, Option<Uuid>>, StoreError> {
        self.db
            .read(move |db| {
                let mut votes = HashMap::new();
                let mut statement = db.prepare_cached("SELECT option_id FROM votes WHERE id = ?1")?;
                for post in posts {
                    let found = statement.find([pair(post, user)], |row| row.get::<_, Option<Uuid>>(0))?;
                    votes.extend(found.map(|option| (post, option)));
                }
                Ok(votes)
            })
            .await
    }

    async fn posts_of_user(
        &self,
        user: UserId,
        page: Page,
    ) -> Result<(Vec<Post>, Option<Cursor>), StoreError> {
        self.db
            .read(move |db| {
                page_of(
                    db,
                    "user_id = ?1 AND stage <> ?2",
                    (&user, &Stage::Deleted.name()),
                    page,
                )
            })
            .await
    }

    async fn votes_by(&self, user: UserId, page: Page) -> Result<(Vec<Vote>, Option<Cursor>), StoreError> {
        self.db.read(move |db| votes_by(db, user, page)).await
    }

    async fn forget_author(&self, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.publishing(move |db| forget(db, user, now, limit)).await
    }
}
