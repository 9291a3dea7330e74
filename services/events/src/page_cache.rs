//! Organizers' pages as they were answered last. Dashboards ask for the same page all the time, and making it anew is most
//! of what it costs.

use std::collections::HashMap;

use bytes::Bytes;
use common::{
    http::{Cursor, Page},
    ids::UserId,
};
use parking_lot::Mutex;

/// Pages kept; beyond this all are forgotten, which costs one read each.
const PAGES: usize = 10_000;

/// A page as JSON, and where the next one begins.
#[derive(Clone)]
pub struct Rendered {
    /// The events as JSON.
    pub body: Bytes,
    /// The next page, if there is one.
    pub next: Option<Cursor>,
}

type Key = (UserId, usize, Option<Cursor>);

/// The pages, each with the state of the store that it was read at ([`crate::store::Store::changes`]). Any later change
/// makes it stale, which is crude and cannot be wrong.
#[derive(Default)]
pub struct PageCache(Mutex<HashMap<Key, (u64, Rendered)>>);

impl PageCache {
    /// The page as it was at `changes`.
    pub fn get(&self, organizer: UserId, page: Page, changes: u64) -> Option<Rendered> {
        let pages = self.0.lock();
        let (read_at, rendered) = pages.get(&(organizer, page.limit, page.after))?;
        (*read_at == changes).then(|| rendered.clone())
    }

    /// Keeps a page. `changes` was asked for before the page was read, so that a change meanwhile makes it stale at once
    /// instead of never.
    pub fn put(&self, organizer: UserId, page: Page, changes: u64, rendered: Rendered) {
        let mut pages = self.0.lock();
        if pages.len() >= PAGES {
            pages.clear();
        }
        pages.insert((organizer, page.limit, page.after), (changes, rendered));
    }
}
