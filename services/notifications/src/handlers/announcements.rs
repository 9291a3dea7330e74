//! `GET, POST /api/organiser/events/{id}/announcements`, and `GET, DELETE .../{announcement_id}`: what an organizer
//! writes to those who take part.

use axum::{Json, extract::State, http::StatusCode, http::Uri, response::Response};
use chrono_tz::Tz;
use common::{
    clock::Timestamp,
    context::note_subject,
    extract::{Caller, KeyedJson, Params, PathId, PathIds, insufficient_role, organizer_only},
    fields::{Fields, FromFields, Parsed, Value},
    http::{Cursor, Page, page},
    idempotency::{Answer, Keyed, Outcome},
    ids::{AnnouncementId, EventId, UserId},
    problem::ApiError,
    schemas::{KeyParam, PageParams},
    time::{EventTime, utc},
    wire::{Recipients, TeamRole},
};
use runtime::verified_email::email_not_verified;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{
    ToSchema,
    openapi::{
        Object,
        schema::{Array, Type},
    },
};

use super::own_event::{no_such_event, own};
use crate::{
    app::App,
    domain::{
        broadcast::{AHEAD, Broadcast, Channels, Counts, State as Standing, Words},
        message::Channel,
    },
    store::broadcasts::{AnnounceError, WithdrawError},
};

/// The request body.
#[derive(ToSchema)]
#[schema(as = AnnounceByLetter)]
pub struct Announce {
    /// The subject, one line.
    #[schema(min_length = 1, max_length = 200, example = "Doors open at six")]
    subject: String,
    /// The text; an empty line begins a paragraph.
    #[schema(
        min_length = 1,
        max_length = 5000,
        example = "Come early: seats are free.\n\nSee you there!"
    )]
    text: String,
    /// To whom: `confirmed` (default), `pending` (those who are yet to pay) or `all` of both.
    #[schema(schema_with = recipients, required = false)]
    to: Recipients,
    /// Which ways: `email` (default), `sms` or both. By SMS it reaches those who have given a number.
    #[schema(schema_with = channels, required = false)]
    channels: Channels,
    /// When to send it, at most a year ahead, UTC unless it says otherwise; null: now.
    #[schema(value_type = Option<common::schemas::Time>, example = "2030-01-31T12:00:00Z")]
    send_at: Option<Timestamp>,
}

/// In a body nothing stands for no choice.
fn one_of(names: &[&str]) -> Object {
    let kind = Object::builder().schema_type(Type::String);
    kind.enum_values(Some(names.iter().copied())).build()
}

fn recipients() -> Object {
    one_of(&Recipients::ALL.map(Recipients::name))
}

fn channels() -> Array {
    Array::builder()
        .items(one_of(&[Channel::Email.name(), Channel::Sms.name()]))
        .min_items(Some(1))
        .max_items(Some(2))
        .unique_items(true)
        .build()
}

impl FromFields for Announce {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let subject = fields.required("subject", |value| value.line(200));
        let text = fields.required("text", |value| value.text(5_000));
        let to = fields.optional("to", to);
        let channels = fields.optional("channels", ways);
        let send_at = fields.optional("send_at", |value| {
            Ok(EventTime::parse(&value.string()?, Tz::UTC)?.at)
        });
        Some(Self {
            subject: subject?,
            text: text?,
            to: to.unwrap_or_default(),
            channels: channels.unwrap_or_default(),
            send_at,
        })
    }
}

fn to(value: Value<'_>) -> Parsed<Recipients> {
    Recipients::parse(&value.string()?).ok_or_else(|| {
        let names = Recipients::ALL.map(Recipients::name);
        format!("must be one of {}", names.join(", "))
    })
}

fn ways(value: Value<'_>) -> Parsed<Channels> {
    const WRONG: &str = "must be a list of email, sms or both";
    let names: Vec<Box<RawValue>> = value.object().map_err(|_| WRONG)?;
    let names = names.iter().map(|name| Value::of(name).string());
    let names: Vec<String> = names.collect::<Result<_, _>>().map_err(|_| WRONG)?;
    Channels::parse(names.iter().map(String::as_str)).ok_or_else(|| WRONG.to_owned())
}

/// An announcement, as its organizer sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = LetterAnnouncement)]
pub struct AnnouncementView {
    /// The announcement.
    #[schema(format = Uuid, example = "019309a2-0000-7000-8000-000000000061")]
    announcement_id: String,
    /// The event it is about.
    #[schema(format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    event_id: String,
    /// The subject.
    #[schema(example = "Doors open at six")]
    subject: String,
    /// The text.
    #[schema(example = "Come early: seats are free.")]
    text: String,
    /// To whom.
    #[schema(schema_with = recipients)]
    to: &'static str,
    /// Which ways.
    #[schema(schema_with = channels)]
    channels: Vec<&'static str>,
    /// `scheduled`, `sending`, `sent` (no letter waits any more) or `cancelled` (by you, or with its event).
    #[schema(schema_with = statuses)]
    status: &'static str,
    /// When it is sent, or was begun to be.
    #[schema(format = DateTime, example = "2030-01-31T12:00:00.000Z")]
    send_at: String,
    /// When it was made.
    #[schema(format = DateTime, example = "2030-01-30T12:00:00.000Z")]
    created_at: String,
    /// People it was written to so far.
    #[schema(example = 120)]
    recipients: u64,
    /// People who were left out: without a number where it goes by SMS only, with a deleted account, not wanting any, no longer taking part, or over
    /// the limit of a day.
    #[schema(example = 2)]
    skipped: u64,
    /// Letters that wait; by SMS and e-mail they count apart.
    #[schema(example = 0)]
    queued: u64,
    /// Letters that went out.
    #[schema(example = 119)]
    sent: u64,
    /// Letters that were given up.
    #[schema(example = 1)]
    failed: u64,
}

fn statuses() -> Object {
    one_of(&Standing::ALL.map(Standing::name))
}

impl AnnouncementView {
    /// As it stands, with what became of its letters.
    pub fn new(broadcast: &Broadcast, counts: Counts) -> Self {
        Self {
            announcement_id: broadcast.id.to_string(),
            event_id: broadcast.event_id.to_string(),
            subject: broadcast.words.subject.clone(),
            text: broadcast.words.text.clone(),
            to: broadcast.to.name(),
            channels: broadcast.channels.names(),
            status: broadcast.status(counts).name(),
            send_at: utc(broadcast.send_at),
            created_at: utc(broadcast.created_at),
            recipients: broadcast.recipients,
            skipped: broadcast.skipped,
            queued: counts.queued,
            sent: counts.sent,
            failed: counts.failed,
        }
    }
}

/// An announcement that was just made or withdrawn.
#[derive(Serialize, ToSchema)]
#[schema(as = LetterAnnouncementAnswer)]
pub struct AnnouncementAnswer {
    /// What happened.
    #[schema(example = "The announcement will be sent.")]
    message: &'static str,
    /// The announcement.
    #[serde(flatten)]
    announcement: AnnouncementView,
}

fn no_such_announcement() -> ApiError {
    ApiError::not_found("announcement_not_found", "There is no such announcement.")
}

fn event_cancelled() -> ApiError {
    ApiError::conflict(
        "event_cancelled",
        "This event was cancelled: those who were in have been told.",
    )
}

fn under_way() -> ApiError {
    ApiError::conflict(
        "announcement_under_way",
        "This announcement is under way, or was withdrawn already.",
    )
}

fn too_many(seconds: u64) -> ApiError {
    ApiError::too_many_requests(
        seconds,
        "You have made as many announcements as one may in a day.",
    )
}

fn announce_problem(error: AnnounceError, now: Timestamp) -> ApiError {
    match error {
        AnnounceError::TooMany(until) => too_many((until - now).num_seconds().max(0).unsigned_abs() + 1),
        AnnounceError::Store(error) => error.into(),
    }
}

fn withdraw_problem(error: WithdrawError) -> ApiError {
    match error {
        WithdrawError::NoSuch => no_such_announcement(),
        WithdrawError::UnderWay => under_way(),
        WithdrawError::Store(error) => error.into(),
    }
}

/// When an announcement that is made now is sent.
fn send_at(asked: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, ApiError> {
    match asked {
        None => Ok(now),
        Some(at) if at <= now => Err(ApiError::invalid_field("send_at", "must be to come")),
        Some(at) if at > now + AHEAD => {
            Err(ApiError::invalid_field("send_at", "must be at most a year ahead"))
        }
        Some(at) => Ok(at),
    }
}

common::problems!(
    AnnounceProblems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    email_not_verified(),
    no_such_event(),
    event_cancelled(),
    too_many(3600),
);

/// Write to those who take part in one of your events, now or later: at most 20 times in 24 hours. What is for those whose registration is
/// confirmed is published live too.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/announcements",
    operation_id = "announceByLetter",
    tag = "organiser",
    request_body(content = Announce, example = json!({
        "subject": "Doors open at six", "text": "Come early: seats are free.\n\nSee you there!",
    })),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 202, description = "It will be sent", body = AnnouncementAnswer),
        AnnounceProblems,
    ),
    security(("bearer" = []))
)]
pub async fn announce(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<Announce>,
) -> Result<Response, ApiError> {
    app.verified_email.check(caller.id).await?;
    let event_id = EventId::lenient(&id);
    if own(&app, event_id, &caller).await?.cancelled {
        return Err(event_cancelled());
    }
    let now = app.parts.clock.now();
    let broadcast = Broadcast {
        id: AnnouncementId::new(),
        event_id,
        organizer: caller.id,
        words: Words {
            subject: input.subject,
            text: input.text,
        },
        to: input.to,
        channels: input.channels,
        state: Standing::Scheduled,
        send_at: send_at(input.send_at, now)?,
        created_at: now,
        recipients: 0,
        skipped: 0,
    };
    let keyed = Keyed { key, answer: made };
    let created = app.parts.store.create_broadcast(broadcast, keyed).await;
    let created = created.map_err(|error| announce_problem(error, now))?;
    if let Outcome::Done(broadcast) = &created {
        log(broadcast, caller.id, "announcement made");
        app.parts.broadcasts.notify_one();
    }
    Ok(created.respond(made))
}

fn made(broadcast: &Broadcast) -> Answer {
    answer(StatusCode::ACCEPTED, "The announcement will be sent.", broadcast)
}

fn withdrawn(broadcast: &Broadcast) -> Answer {
    answer(StatusCode::OK, "The announcement was withdrawn.", broadcast)
}

/// For one of which no letter was written.
fn answer(status: StatusCode, message: &'static str, broadcast: &Broadcast) -> Answer {
    let announcement = AnnouncementView::new(broadcast, Counts::default());
    let body = AnnouncementAnswer {
        message,
        announcement,
    };
    Answer::json(status, &body)
}

fn log(broadcast: &Broadcast, user_id: UserId, what: &'static str) {
    note_subject(broadcast.event_id);
    let (announcement_id, event_id) = (broadcast.id, broadcast.event_id);
    tracing::info!(%announcement_id, %event_id, %user_id, "{what}");
}

common::problems!(ListProblems: organizer_only(), insufficient_role(TeamRole::Scanner), no_such_event());

/// List what you have written to those who take part in one of your events, newest first.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/announcements",
    operation_id = "listLetterAnnouncements",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        PageParams,
    ),
    responses(
        (status = 200, description = "The announcements; the next page is in Link", body = Vec<AnnouncementView>),
        ListProblems,
    ),
    security(("bearer" = []))
)]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    params.finish()?;
    let event_id = EventId::lenient(&id);
    own(&app, event_id, &caller).await?;
    let found = app.parts.store.broadcasts_of(event_id, page).await?;
    let (found, next) = page.cut(found, |(broadcast, _)| Cursor {
        key: 0,
        id: broadcast.id.0,
    });
    let views = found
        .iter()
        .map(|(broadcast, counts)| AnnouncementView::new(broadcast, *counts));
    Ok(page::respond(views.collect(), next, &uri))
}

common::problems!(OneProblems: organizer_only(), insufficient_role(TeamRole::Scanner), no_such_event(), no_such_announcement());

/// How far one of your announcements has got.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/announcements/{announcement_id}",
    operation_id = "getLetterAnnouncement",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("announcement_id" = String, Path, description = "The announcement's id", example = "019309a2-0000-7000-8000-000000000061"),
    ),
    responses(
        (status = 200, description = "The announcement", body = AnnouncementView),
        OneProblems,
    ),
    security(("bearer" = []))
)]
pub async fn one(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, id]): PathIds,
) -> Result<Json<AnnouncementView>, ApiError> {
    let event_id = EventId::lenient(&event);
    own(&app, event_id, &caller).await?;
    let found = app
        .parts
        .store
        .broadcast(AnnouncementId::lenient(&id), event_id)
        .await?;
    let (broadcast, counts) = found.ok_or_else(no_such_announcement)?;
    Ok(Json(AnnouncementView::new(&broadcast, counts)))
}

common::problems!(
    WithdrawProblems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    no_such_announcement(),
    under_way(),
);

/// Withdraw an announcement whose time is to come.
#[utoipa::path(
    delete,
    path = "/api/organiser/events/{id}/announcements/{announcement_id}",
    operation_id = "withdrawLetterAnnouncement",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("announcement_id" = String, Path, description = "The announcement's id", example = "019309a2-0000-7000-8000-000000000061"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "It will not be sent", body = AnnouncementAnswer),
        WithdrawProblems,
    ),
    security(("bearer" = []))
)]
pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, id]): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let event_id = EventId::lenient(&event);
    own(&app, event_id, &caller).await?;
    let keyed = Keyed {
        key,
        answer: withdrawn,
    };
    let done = app
        .parts
        .store
        .withdraw_broadcast(
            AnnouncementId::lenient(&id),
            event_id,
            app.parts.clock.now(),
            keyed,
        )
        .await;
    let done = done.map_err(withdraw_problem)?;
    if let Outcome::Done(broadcast) = &done {
        log(broadcast, caller.id, "announcement withdrawn");
    }
    Ok(done.respond(withdrawn))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use common::clock::from_millis;

    use super::*;

    #[test]
    fn it_is_sent_now_or_within_a_year() {
        let now = from_millis(1_900_000_000_000);
        assert_eq!(send_at(None, now).unwrap(), now);
        let in_a = |span| send_at(Some(now + span), now);
        assert!(in_a(TimeDelta::zero()).is_err() && in_a(-TimeDelta::hours(1)).is_err());
        assert!(in_a(TimeDelta::milliseconds(1)).is_ok() && in_a(AHEAD).is_ok());
        assert!(in_a(AHEAD + TimeDelta::milliseconds(1)).is_err());
    }
}
