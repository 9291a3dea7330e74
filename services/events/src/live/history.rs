//! What a channel has published lately, and what a reader of it has missed.

use std::{collections::VecDeque, sync::Arc};

use axum::extract::ws::Utf8Bytes;

/// Publications kept per channel, as Redis keeps them too.
const KEPT: usize = shared_state::channel_log::KEPT;
/// The most that a reader is given of what it has missed.
const MOST: u64 = shared_state::channel_log::READ_ENTRIES as u64;
/// Likewise in bytes: half of what may wait for one reader.
const MOST_BYTES: usize = shared_state::channel_log::READ_BYTES;
/// Bytes of publications kept per channel.
const KEPT_BYTES: usize = 2 * MOST_BYTES;

/// A place in a channel: what a reader has seen up to here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// The life of the channel that the offset counts in.
    pub epoch: Arc<str>,
    /// The number of the last publication; 0: none yet.
    pub offset: u64,
}

/// Something that was published.
#[derive(Debug)]
pub struct Publication {
    /// Its number in its channel and epoch, from 1.
    pub offset: u64,
    /// What it is, such as `seats.changed`.
    pub kind: Box<str>,
    /// The push as every reader gets it, written once.
    pub frame: Utf8Bytes,
    /// The field with the id of what was deleted or hidden by it: who comes later is not given its text any more.
    pub deletes: Option<Box<str>>,
}

impl Publication {
    /// Stands in for an earlier publication about what it deletes, at that one's place.
    fn in_place_of(&self, earlier: &Self) -> Self {
        let (own, place) = (
            format!(r#""offset":{},"#, self.offset),
            format!(r#""offset":{},"#, earlier.offset),
        );
        Self {
            offset: earlier.offset,
            kind: self.kind.clone(),
            frame: self.frame.replacen(&own, &place, 1).into(),
            deletes: None,
        }
    }
}

/// What a reader has missed.
#[derive(Debug)]
pub enum Missed {
    /// These, in order; perhaps none.
    All(Vec<Arc<Publication>>),
    /// Not all of it can be had any more: what it knows has to be loaded again.
    TooMuch,
}

/// The last publications of a channel, without gaps.
#[derive(Debug)]
pub struct History {
    epoch: Arc<str>,
    top: u64,
    kept: VecDeque<Arc<Publication>>,
    bytes: usize,
}

impl History {
    /// The history of a channel that has published up to `top`, of which nothing is known.
    pub fn new(epoch: impl Into<Arc<str>>, top: u64) -> Self {
        Self {
            epoch: epoch.into(),
            top,
            kept: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The channel's life.
    pub fn epoch(&self) -> &Arc<str> {
        &self.epoch
    }

    /// The number of the last publication.
    pub fn top(&self) -> u64 {
        self.top
    }

    /// Where the channel is now.
    pub fn position(&self) -> Position {
        Position {
            epoch: Arc::clone(&self.epoch),
            offset: self.top,
        }
    }

    /// Adds the next publication; any other is left out.
    pub fn push(&mut self, publication: Arc<Publication>) {
        if publication.offset != self.top + 1 {
            return;
        }
        if let Some(id) = &publication.deletes {
            self.delete(&publication, id);
        }
        self.top = publication.offset;
        self.bytes += publication.frame.len();
        self.kept.push_back(publication);
        while (self.kept.len() > KEPT || self.bytes > KEPT_BYTES)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.frame.len();
        }
    }

    /// Takes what was said of something out of the earlier publications. Their places stay, so that nobody finds a gap.
    fn delete(&mut self, by: &Publication, id: &str) {
        for earlier in &mut self.kept {
            if earlier.frame.contains(id) {
                let stand_in = by.in_place_of(earlier);
                self.bytes = self.bytes + stand_in.frame.len() - earlier.frame.len();
                *earlier = Arc::new(stand_in);
            }
        }
    }

    /// What has been published since a reader was at `since`.
    pub fn missed(&self, since: &Position) -> Missed {
        let of_this = since.epoch == self.epoch && since.offset <= self.top;
        let count = if of_this {
            self.top - since.offset
        } else {
            u64::MAX
        };
        if count > MOST || count > self.kept.len() as u64 {
            return Missed::TooMuch;
        }
        let first = self.kept.len() - count as usize;
        let missed: Vec<_> = self.kept.range(first..).cloned().collect();
        let bytes: usize = missed.iter().map(|publication| publication.frame.len()).sum();
        if bytes > MOST_BYTES {
            return Missed::TooMuch;
        }
        Missed::All(missed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn publication(offset: u64, bytes: usize) -> Arc<Publication> {
        Arc::new(Publication {
            offset,
            kind: "test".into(),
            frame: "x".repeat(bytes).into(),
            deletes: None,
        })
    }

    fn at(epoch: &str, offset: u64) -> Position {
        Position {
            epoch: epoch.into(),
            offset,
        }
    }

    #[test]
    fn what_was_deleted_is_not_given_any_more() {
        use common::{clock::from_millis, ids::EventId};
        use serde_json::json;

        use crate::live::{
            channel::{Channel, Topic},
            publication::Entry,
        };
        let channel = Channel::Topic(EventId::new(), Topic::Chat);
        let mut history = History::new("k3", 0);
        let entries = [
            ("chat.message", json!({"message_id": "m1", "text": "a secret"})),
            (
                "chat.message",
                json!({"message_id": "m2", "text": "hello \"message_id\":\"m1\""}),
            ),
            (
                "chat.edited",
                json!({"message_id": "m1", "text": "still a secret"}),
            ),
            ("chat.deleted", json!({"message_id": "m1"})),
        ];
        for (offset, (kind, data)) in (1..).zip(&entries) {
            let entry = Entry::new(kind, from_millis(0), data);
            history.push(Arc::new(entry.publication(channel, offset)));
        }
        let Missed::All(missed) = history.missed(&at("k3", 0)) else {
            panic!("all is kept")
        };
        let kinds: Vec<&str> = missed.iter().map(|one| &*one.kind).collect();
        assert_eq!(
            kinds,
            ["chat.deleted", "chat.message", "chat.deleted", "chat.deleted"]
        );
        for (offset, one) in (1..).zip(&missed) {
            let push: serde_json::Value = serde_json::from_str(&one.frame).unwrap();
            assert_eq!(push["offset"], offset);
            assert!(!one.frame.contains("secret"));
        }
        let bytes: usize = missed.iter().map(|one| one.frame.len()).sum();
        assert_eq!(history.bytes, bytes);
    }

    proptest! {
        #[test]
        fn a_reader_gets_exactly_what_it_missed_or_is_told(began in 0..5_000_u64, count in 0..1_500_u64, seen in 0..7_000_u64) {
            let mut history = History::new("k3", began);
            for offset in began + 1..=began + count {
                history.push(publication(offset, 10));
            }
            let top = began + count;
            prop_assert_eq!(history.position(), at("k3", top));
            match history.missed(&at("k3", seen)) {
                Missed::All(missed) => {
                    let offsets: Vec<u64> = missed.iter().map(|one| one.offset).collect();
                    prop_assert_eq!(offsets, (seen + 1..=top).collect::<Vec<_>>());
                }
                Missed::TooMuch => prop_assert!(seen > top || seen < began || top - seen > MOST),
            }
            prop_assert!(matches!(history.missed(&at("k4", top)), Missed::TooMuch));
        }
    }

    #[test]
    fn what_is_not_next_is_left_out() {
        let mut history = History::new("k3", 0);
        for offset in [2, 1, 1, 3, 2] {
            history.push(publication(offset, 1));
        }
        assert_eq!(history.top(), 2);
    }

    #[test]
    fn what_is_missed_has_a_bound_in_bytes() {
        let mut history = History::new("k3", 0);
        for offset in 1..=10 {
            history.push(publication(offset, MOST_BYTES / 5));
        }
        assert!(matches!(history.missed(&at("k3", 5)), Missed::All(all) if all.len() == 5));
        assert!(matches!(history.missed(&at("k3", 4)), Missed::TooMuch));
    }
}
