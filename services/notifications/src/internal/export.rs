//! `POST /internal/export`: what is held of a user.

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    http::Cursor,
    problem::{self, ApiError},
    wire::{ExportPage, ExportQuestion},
};
use runtime::export;

use crate::{
    app::App,
    domain::broadcast::Counts,
    handlers::{announcements::AnnouncementView, my_notifications::Notification, wordings::ExportedWording},
    store::Only,
};

/// Handles the call.
///
/// # Errors
/// 404 for a section that there is not, and storage errors.
pub async fn export(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<ExportPage>, ApiError> {
    let question: ExportQuestion = asked(body).await?;
    let store = &app.parts.store;
    Ok(Json(match question.section.as_str() {
        "notifications" => {
            let page = export::page(&question);
            let found = store.of_user(question.user_id, Only::All, page).await?;
            let (found, next) = page.cut(found, |entry| Cursor {
                key: entry.created_at.timestamp_millis(),
                id: entry.id.0,
            });
            export::answer(
                found
                    .iter()
                    .map(|found| Notification::new(&app.parts.writer, found)),
                next,
            )
        }
        "announcements" => {
            let page = export::page(&question);
            let found = store.broadcasts_by(question.user_id, page).await?;
            let (found, next) = page.cut(found, |broadcast| Cursor {
                key: broadcast.created_at.timestamp_millis(),
                id: broadcast.id.0,
            });
            // What became of each letter is its readers' matter.
            let views = found
                .iter()
                .map(|broadcast| AnnouncementView::new(broadcast, Counts::default()));
            export::answer(views, next)
        }
        "templates" => {
            let page = export::page(&question);
            let found = store.wordings_by(question.user_id, page).await?;
            let (found, next) = page.cut(found, |wording| Cursor {
                key: wording.created_at.timestamp_millis(),
                id: wording.id.0,
            });
            export::answer(found.iter().map(ExportedWording::from), next)
        }
        export::ACTIVITY => export::activity(&*store.audit(), &question).await?,
        _ => return Err(problem::no_such_section()),
    }))
}
