//! `GET /api/organiser/events/{id}/registrations`

use std::{collections::HashMap, sync::Arc};

use axum::{extract::State, http::Uri, response::Response};
use common::{
    extract::{Caller, Params, PathId, organizer_only},
    http::{CallError, Cursor, Page, page},
    ids::{PaymentId, RegistrationId, TicketId, UserId},
    money::Rupees,
    problem::ApiError,
    schemas::{PageParams, choice},
    text::folded,
    time::utc,
    wire::UserCard,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema, openapi::Object};
use uuid::Uuid;

use super::desk_of;
use crate::{
    app::App,
    domain::{event::Event, registration::typed_code, stream::Attendance},
    handlers::no_such_event,
    store::desk::{Attendee, AttendeeFilter, TicketBy},
    views::RegistrationStatus,
};

/// Registrations that one request looks at: when a search finds less among so many, the rest is behind `Link`.
const LOOK_AT: usize = 10_000;
/// Registrations whose people are looked up together.
pub(super) const AT_ONCE: usize = 500;
/// The longest search, in characters.
const MAX_SEARCH: usize = 200;

/// The query parameters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of the filter")]
pub struct FilterParams {
    /// Only registrations with this status.
    #[param(schema_with = statuses, required = false)]
    status: Option<String>,
    /// Only those whose ticket was used, or was not.
    #[param(schema_with = yes_or_no, required = false)]
    checked_in: Option<String>,
    /// Words of the name or the e-mail address, or a ticket's code.
    #[param(required = false, max_length = 200)]
    q: Option<String>,
}

fn statuses() -> Object {
    choice(&["pending_payment", "confirmed", "expired", "cancelled"])
}

fn yes_or_no() -> Object {
    choice(&["true", "false"])
}

/// What is looked for.
pub(super) struct Wanted {
    pub filter: AttendeeFilter,
    search: Option<Search>,
}

/// Whom is looked for.
enum Search {
    /// The holder of this ticket.
    Code(String),
    /// People in whose name or addresses all of these are.
    Words(Vec<String>),
}

impl Search {
    fn read(text: &str) -> Option<Self> {
        if let Some(code) = typed_code(text) {
            return Some(Self::Code(code));
        }
        let words: Vec<String> = folded(text).split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(Self::Words(words))
    }
}

impl Wanted {
    /// Reads the parameters.
    pub fn read(params: &mut Params) -> Self {
        let status = params.get("status", |text| {
            ["pending_payment", "confirmed", "expired", "cancelled"]
                .into_iter()
                .find(|status| *status == text)
                .ok_or_else(|| "must be pending_payment, confirmed, expired or cancelled".to_owned())
        });
        let checked_in = params.get("checked_in", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        });
        let search = params.get("q", |text| match text.chars().count() {
            0..=MAX_SEARCH => Ok(Search::read(text)),
            _ => Err(format!("must be at most {MAX_SEARCH} characters")),
        });
        Self {
            filter: AttendeeFilter { status, checked_in },
            search: search.flatten(),
        }
    }

    /// Whether the search, if there is one, finds this one.
    pub fn finds(&self, view: &AttendeeView) -> bool {
        match &self.search {
            None => true,
            Some(Search::Code(code)) => view.code.as_ref() == Some(code),
            Some(Search::Words(words)) => view.has(words),
        }
    }
}

/// What somebody has watched of an event's streams.
#[derive(Serialize, ToSchema)]
pub struct AttendanceView {
    /// When they first came to one, UTC; a meeting is entered when its link is asked for.
    #[schema(format = DateTime, example = "2030-01-31T13:00:04.000Z")]
    pub entered_at: String,
    /// When they were last seen at one, UTC.
    #[schema(format = DateTime, example = "2030-01-31T14:31:20.000Z")]
    pub last_seen_at: String,
    /// For how long they watched, live or afterwards; devices at the same time count once. 0 for a meeting, which is elsewhere.
    #[schema(example = 5_400)]
    pub watched_seconds: i64,
}

impl From<&Attendance> for AttendanceView {
    fn from(attendance: &Attendance) -> Self {
        Self {
            entered_at: utc(attendance.entered_at),
            last_seen_at: utc(attendance.last_seen_at),
            watched_seconds: attendance.watched_millis() / 1_000,
        }
    }
}

/// Somebody who registered for an event.
#[derive(Serialize, ToSchema)]
pub struct AttendeeView {
    /// The registration.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000003")]
    pub registration_id: RegistrationId,
    /// The account.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000001")]
    pub user_id: UserId,
    /// What to call them; null: they have not said, or the account was deleted.
    #[schema(required = true, example = "Asha Rao")]
    pub name: Option<String>,
    /// The e-mail address; null: the account was deleted.
    #[schema(required = true, example = "asha@example.com")]
    pub email: Option<String>,
    /// The telephone number; null: they have not said.
    #[schema(required = true, example = "+919876543210")]
    pub phone: Option<String>,
    /// The status.
    #[schema(example = "confirmed")]
    pub status: RegistrationStatus,
    /// The amount paid; rupees.
    #[schema(value_type = f64, example = 500)]
    pub amount_paid: Rupees,
    /// The payment that confirmed it.
    #[schema(value_type = Option<String>, required = true, format = Uuid, example = "019309a2-0000-7000-8000-000000000005")]
    pub payment_id: Option<PaymentId>,
    /// When it was made, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    pub registered_at: String,
    /// The ticket's id; kept after the registration has ended.
    #[schema(value_type = Option<String>, required = true, format = Uuid, example = "019309a2-0000-7000-8000-000000000004")]
    pub ticket_id: Option<TicketId>,
    /// When the ticket was used, UTC; null: it was not.
    #[schema(required = true, format = DateTime, example = "2030-01-31T12:45:10.000Z")]
    pub checked_in_at: Option<String>,
    /// Through which door.
    #[schema(required = true, example = "North")]
    pub gate: Option<String>,
    /// What they have watched of the event's streams; null: nothing.
    #[schema(required = true)]
    pub attendance: Option<AttendanceView>,
    /// The ticket's code, which is its holder's alone.
    #[serde(skip)]
    code: Option<String>,
}

impl AttendeeView {
    /// An attendee, and what is known of them.
    pub(super) fn of(attendee: &Attendee, card: Option<&Arc<UserCard>>) -> Self {
        let registration = &attendee.registration;
        let admitted = attendee.admitted();
        Self {
            registration_id: registration.id,
            user_id: registration.user_id,
            name: card.and_then(|card| card.name.clone()),
            email: card.map(|card| card.email.clone()),
            phone: card.and_then(|card| card.phone.clone()),
            status: RegistrationStatus::from(&registration.state),
            amount_paid: registration.amount_paid().into(),
            payment_id: registration.payment_id,
            registered_at: utc(registration.created_at),
            ticket_id: attendee.ticket.as_ref().map(|ticket| ticket.id),
            checked_in_at: admitted.map(|check_in| utc(check_in.at)),
            gate: admitted.and_then(|check_in| check_in.gate.clone()),
            attendance: attendee.attendance.as_ref().map(AttendanceView::from),
            code: attendee.ticket.as_ref().map(|ticket| ticket.code.clone()),
        }
    }

    /// Whether its name or address has all the words.
    fn has(&self, words: &[String]) -> bool {
        let text = [self.name.as_deref(), self.email.as_deref(), self.phone.as_deref()];
        let text = folded(&text.into_iter().flatten().collect::<Vec<_>>().join(" "));
        words.iter().all(|word| text.contains(word.as_str()))
    }
}

common::problems!(Problems: organizer_only(), no_such_event());

/// Who has registered for one of your events, the newest first. A search by name or address looks at 10,000 registrations at a time: a
/// page may be short, or empty, and go on in `Link`.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/registrations",
    operation_id = "listAttendees",
    tag = "desk",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        FilterParams,
        PageParams,
    ),
    responses(
        (status = 200, description = "The registrations; the next page is in Link", body = Vec<AttendeeView>),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn attendees(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    let wanted = Wanted::read(&mut params);
    params.finish()?;
    let event = desk_of(&app, &caller, &id).await?;
    let after = page.after.map(|cursor| RegistrationId(cursor.id));
    let (mut found, rest) = look(&app, &event, &wanted, after, page.limit + 1).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let last = found.last().filter(|_| more).map(|last| last.registration_id);
    let next = last.or(rest).map(|id| Cursor { key: 0, id: id.0 });
    Ok(page::respond(found, next, &uri))
}

/// Up to `limit` of those that are wanted, and where to go on.
async fn look(
    app: &App,
    event: &Arc<Event>,
    wanted: &Wanted,
    after: Option<RegistrationId>,
    limit: usize,
) -> Result<(Vec<AttendeeView>, Option<RegistrationId>), ApiError> {
    let (now, filter) = (app.clock.now(), wanted.filter);
    match &wanted.search {
        None => {
            let found = app
                .store
                .desk_attendees(event.clone(), filter, after, limit, LOOK_AT, now)
                .await?;
            return Ok((shown(app, &found.found).await?, found.rest));
        }
        Some(Search::Code(code)) => {
            let found = app.store.ticketed(TicketBy::Code(code.clone()), now).await?;
            let Some(found) = found.filter(|one| one.event.id == event.id) else {
                return Ok((Vec::new(), None));
            };
            // The list goes down from behind an id: that one is the next.
            let behind = found.registration.id.0.as_u128().saturating_add(1);
            let behind = Some(RegistrationId(Uuid::from_u128(behind)));
            let found = app
                .store
                .desk_attendees(event.clone(), filter, behind, 1, 1, now)
                .await?;
            let mut views = shown(app, &found.found).await?;
            views.retain(|view| wanted.finds(view));
            return Ok((views, None));
        }
        Some(Search::Words(_)) => {}
    }
    let (mut matching, mut after) = (Vec::new(), after);
    for _ in 0..LOOK_AT / AT_ONCE {
        let found = app
            .store
            .desk_attendees(event.clone(), filter, after, AT_ONCE, LOOK_AT, now)
            .await?;
        for view in shown_in_passing(app, &found.found).await? {
            if wanted.finds(&view) {
                matching.push(view);
                if matching.len() == limit {
                    return Ok((matching, None));
                }
            }
        }
        if found.found.len() < AT_ONCE {
            return Ok((matching, found.rest));
        }
        after = found.found.last().map(|last| last.registration.id);
    }
    Ok((matching, after))
}

/// With what is known of the people.
async fn shown(app: &App, found: &[Attendee]) -> Result<Vec<AttendeeView>, ApiError> {
    views(found, app.directory.find(users(found)).await)
}

/// Likewise, of a page of very many: the cache stays as it is for those who look somebody up.
pub(super) async fn shown_in_passing(app: &App, found: &[Attendee]) -> Result<Vec<AttendeeView>, ApiError> {
    views(found, app.directory.find_in_passing(users(found)).await)
}

fn users(found: &[Attendee]) -> impl Iterator<Item = UserId> {
    found.iter().map(|one| one.registration.user_id)
}

fn views(
    found: &[Attendee],
    cards: Result<HashMap<UserId, Arc<UserCard>>, CallError>,
) -> Result<Vec<AttendeeView>, ApiError> {
    let away = |error| ApiError::unavailable("The attendees cannot be looked up now.").because(error);
    let cards = cards.map_err(away)?;
    let views = found
        .iter()
        .map(|one| AttendeeView::of(one, cards.get(&one.registration.user_id)));
    Ok(views.collect())
}
