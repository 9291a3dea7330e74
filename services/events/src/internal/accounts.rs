//! What the users service asks about an account: its open events, and all that is held of it.

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    problem::{self, ApiError},
    wire::{AskOpenEvents, ExportPage, ExportQuestion, OpenEvents},
};
use runtime::export;

use crate::{
    accounts,
    app::App,
    store::{Own, StatusFilter},
    views::{
        OwnEventView, RegistrationView,
        posts::{SaidView, VotedView},
        stream::WatchedView,
        team::{InvitationView, MembershipView},
        waitlist::WaitlistView,
    },
};

/// Handles `POST /internal/events/open`.
///
/// # Errors
/// A storage error.
pub async fn open(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<OpenEvents>, ApiError> {
    let question: AskOpenEvents = asked(body).await?;
    let open = accounts::open_events(&app, question.user_id, app.clock.now()).await?;
    // Nobody has heard of a draft: it goes with the account.
    let open = open.iter().filter(|event| !event.draft).count();
    Ok(Json(OpenEvents { open }))
}

/// Handles `POST /internal/export`.
///
/// # Errors
/// 404 for a section that there is not, and storage errors.
pub async fn export(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<ExportPage>, ApiError> {
    let question: ExportQuestion = asked(body).await?;
    let (user, page) = (question.user_id, export::page(&question));
    Ok(Json(match question.section.as_str() {
        "events" => {
            let found = app.store.organizer_events(user, Own::All, page).await?;
            export::answer(found.events.iter().map(OwnEventView::from), found.next)
        }
        "registrations" => {
            let now = app.clock.now();
            let (found, next) = app
                .store
                .registrations(user, StatusFilter::All, page, now)
                .await?;
            export::answer(found.iter().map(RegistrationView::from), next)
        }
        "waitlist" => {
            let (found, next) = app.store.waitlist_of(user, page, app.clock.now()).await?;
            export::answer(found.iter().map(WaitlistView::from), next)
        }
        "posts" => {
            let (found, next) = app.store.posts_of_user(user, page).await?;
            export::answer(found.iter().map(SaidView::from), next)
        }
        "votes" => {
            let (found, next) = app.store.votes_by(user, page).await?;
            export::answer(found.iter().map(VotedView::from), next)
        }
        "playbacks" => {
            let (found, next) = app.store.playbacks_of_user(user, page).await?;
            export::answer(found.iter().map(WatchedView::from), next)
        }
        "teams" => {
            let (found, next) = app.store.teams_of(user, page).await?;
            export::answer(found.iter().map(MembershipView::from), next)
        }
        "invitations" => {
            let (found, next) = app.store.invitations_by(user, page).await?;
            export::answer(found.iter().map(InvitationView::from), next)
        }
        export::ACTIVITY => export::activity(&*app.store.audit(), &question).await?,
        _ => return Err(problem::no_such_section()),
    }))
}
