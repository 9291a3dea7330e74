//! What a service gives of all that it holds of a user, page by page, when the user wants everything.

use common::{
    audit::{AuditStore, Wanted},
    clock::from_millis,
    http::{Cursor, Page},
    store::StoreError,
    time::utc,
    wire::{ExportPage, ExportQuestion},
};
use serde::Serialize;

/// Where every service answers.
pub const PATH: &str = "/internal/export";
/// The section that every service has: its audit trail.
pub const ACTIVITY: &str = "activity";
/// Items of a page.
const AT_ONCE: usize = 100;

/// The page that is asked for.
pub fn page(question: &ExportQuestion) -> Page {
    Page {
        limit: AT_ONCE,
        after: question.after.as_deref().and_then(Cursor::decode),
    }
}

/// A page as the answer.
pub fn answer<T: Serialize>(items: impl IntoIterator<Item = T>, next: Option<Cursor>) -> ExportPage {
    ExportPage {
        // Views of our own, written to memory: this cannot fail.
        items: items
            .into_iter()
            .map(|item| serde_json::to_value(item).unwrap_or_default())
            .collect(),
        next: next.map(Cursor::encode),
    }
}

/// A page of what the audit trail says of the user, the newest first.
///
/// # Errors
/// A storage error.
pub async fn activity(trail: &dyn AuditStore, question: &ExportQuestion) -> Result<ExportPage, StoreError> {
    let after = question.after.as_deref().and_then(Cursor::decode);
    let found = trail
        .entries(Wanted {
            user: Some(question.user_id),
            since: None,
            after: after.map(|after| (from_millis(after.key), after.id)),
            newest_first: true,
        })
        .await?;
    let next = found.last().map(|last| Cursor {
        key: last.at.timestamp_millis(),
        id: last.id,
    });
    let mut page = answer(found.iter(), next);
    for (item, entry) in page.items.iter_mut().zip(&found) {
        item["at"] = utc(entry.at).into();
    }
    Ok(page)
}
