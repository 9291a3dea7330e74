//! What providers of text messages report.

pub mod msg91;
pub mod twilio;

use axum::http::StatusCode;
use common::problem::ApiError;

use crate::{app::App, store::News};

/// 403: it is not the provider that calls.
fn not_from_the_provider() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "signature_invalid",
        "This report is not signed by the provider.",
    )
}

/// 404: text messages go by another provider.
fn not_in_use() -> ApiError {
    ApiError::not_found("provider_not_in_use", "Text messages do not go by this provider.")
}

/// Notes a report. One of a message that is not known, or that says nothing new, has no effect: the provider is to send
/// it no more.
async fn note(app: &App, news: News) -> Result<(), ApiError> {
    let (provider, outcome) = (news.provider, format!("{:?}", news.outcome));
    let provider_id = crate::channels::mime::one_line(&news.provider_id);
    match app.parts.store.note(news, app.parts.clock.now()).await? {
        Some(message_id) => {
            // An e-mail may go in the place of one that has not arrived.
            app.parts.wake_senders();
            tracing::info!(%message_id, provider, provider_id, outcome, "delivery reported");
        }
        None => tracing::debug!(provider, provider_id, outcome, "a report that is no news"),
    }
    Ok(())
}
