//! A cache of pages of organizers' events. Dashboards poll the same page, and rendering it is most of the cost of a
//! request.

use std::collections::HashMap;

use bytes::Bytes;
use common::{
    http::{Cursor, Page},
    ids::UserId,
};
use parking_lot::Mutex;

/// The most pages cached; beyond this all are dropped, which costs one read per page.
const PAGES: usize = 10_000;

/// A page as JSON, and the cursor of the next one.
#[derive(Clone)]
pub struct Rendered {
    /// The events as JSON.
    pub body: Bytes,
    /// The next page, if there is one.
    pub next: Option<Cursor>,
}

type Key = (UserId, usize, Option<Cursor>);

/// The pages, each with the change count of the store at which it was read ([`crate::store::Store::changes`]). Any
/// later change invalidates it, which is coarse but always correct.
#[derive(Default)]
pub struct PageCache(Mutex<HashMap<Key, (u64, Rendered)>>);

impl PageCache {
    /// The page, if it was read at `changes`.
    pub fn get(&self, organizer: UserId, page: Page, changes: u64) -> Option<Rendered> {
        let pages = self.0.lock();
        let (read_at, rendered) = pages.get(&(organizer, page.limit, page.after))?;
        (*read_at == changes).then(|| rendered.clone())
    }

    /// Caches a page. `changes` must have been read before the page, so that a change in between invalidates it at once
    /// instead of never.
    pub fn put(&self, organizer: UserId, page: Page, changes: u64, rendered: Rendered) {
        let mut pages = self.0.lock();
        if pages.len() >= PAGES {
            pages.clear();
        }
        pages.insert((organizer, page.limit, page.after), (changes, rendered));
    }
}
