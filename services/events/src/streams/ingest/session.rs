//! What one encoder has sent and what of it is listed. ffmpeg opens a connection for each file, so files overtake each other: a
//! segment is taken when the playlist lists it and it has come whole, in the playlist's order, and an older playlist says nothing new.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::playlist::{Listed, ListedSegment};
use crate::{domain::stream::Feed, store::streams::Claim};

/// Bytes of segments that were sent and are not listed yet.
const MAX_WAITING: usize = 64 * 1024 * 1024;
/// How many.
const MAX_FILES: usize = 64;
/// After this without a file nobody is sending.
const IDLE: Duration = Duration::from_secs(300);

/// Initializations that are known.
const MAX_INITS: usize = 4;
/// Files that are known again.
const MAX_TAKEN: usize = 16;
/// Segments that are listed and not taken.
const MAX_LISTED: usize = 50_000;

/// What one encoder has sent to this process.
#[derive(Default)]
pub struct Session {
    /// Files that were sent and not taken, the oldest first by their number.
    waiting: HashMap<String, Waiting>,
    sent: u64,
    /// The last files that were taken: one that is sent again is the same.
    taken: VecDeque<(String, [u8; 32])>,
    /// What is listed and not taken, by the encoder's numbers: of all its playlists, for an older one may tell of segments that have left
    /// the newest.
    listed: BTreeMap<u64, ListedSegment>,
    /// Milliseconds.
    target: u64,
    /// The number of the last segment that was taken, as the encoder counts.
    last: Option<u64>,
    /// The number that is waited for, and since when.
    missing: Option<(u64, Instant)>,
    /// Those that are waited for no more: they may still come.
    lost: HashSet<String>,
    /// The publisher is the one of before, of which another process knows more.
    goes_on: bool,
    /// What was due could not be stored.
    is_stuck: bool,
    /// The next one that is taken does not follow the one before.
    broken: bool,
    /// The objects of initializations, by the encoder's names for them, with what they hold.
    inits: HashMap<String, (Option<Bytes>, String)>,
    /// Who publishes.
    claim: Option<Claim>,
    used: Option<Instant>,
}

/// A file that was sent and not taken.
struct Waiting {
    /// Counts the files.
    number: u64,
    /// The key that it was sent with.
    key_hash: [u8; 32],
    bytes: Bytes,
    /// The object that it was stored in, if it was.
    object: Option<String>,
}

/// A segment whose turn it is.
#[derive(Clone, PartialEq, Debug)]
pub struct Due {
    /// As the encoder counts.
    pub number: u64,
    /// What it lists.
    pub listed: ListedSegment,
    /// What it sent.
    pub bytes: Bytes,
    /// The key that it was sent with.
    key_hash: [u8; 32],
    /// The object that it is stored in.
    pub object: Option<String>,
    /// Whether it does not follow the one before.
    pub discontinuity: bool,
}

/// What comes next.
#[derive(Clone, PartialEq, Debug)]
pub enum Next {
    /// A segment is due.
    Due(Due),
    /// Segments were listed and never came: they are left out.
    Lost(Vec<String>),
    /// Nothing, until more is sent.
    Wait,
}

impl Session {
    /// A file has come whole.
    pub fn file(&mut self, name: String, key_hash: [u8; 32], bytes: Bytes, now: Instant) {
        self.used = Some(now);
        if self.lost.remove(&name) {
            return;
        }
        let digest = digest(&bytes);
        if self
            .taken
            .iter()
            .any(|(taken, of)| *taken == name && *of == digest)
        {
            return;
        }
        self.sent += 1;
        let waiting = Waiting {
            number: self.sent,
            key_hash,
            bytes,
            object: None,
        };
        self.waiting.insert(name, waiting);
        let total =
            |waiting: &HashMap<String, Waiting>| waiting.values().map(|one| one.bytes.len()).sum::<usize>();
        while self.waiting.len() > MAX_FILES || (self.waiting.len() > 1 && total(&self.waiting) > MAX_WAITING)
        {
            let oldest = self.waiting.iter().min_by_key(|(_, one)| one.number);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                break;
            };
            self.waiting.remove(&oldest);
        }
    }

    /// A playlist has come, whether or not a newer one has overtaken it.
    pub fn playlist(&mut self, listed: Listed, now: Instant) {
        self.used = Some(now);
        if self.begins_again(&listed) {
            self.listed.clear();
            self.last = listed.first.checked_sub(1);
            self.broken = true;
            self.missing = None;
            self.lost.clear();
            self.taken.clear();
        }
        self.target = self.target.max(listed.target_millis);
        let next = self.last.map_or(0, |last| last + 1);
        let numbers = listed.first..;
        let new = numbers.zip(listed.segments).filter(|(number, _)| *number >= next);
        self.listed.extend(new);
        while self.listed.len() > MAX_LISTED {
            self.listed.pop_first();
        }
    }

    /// Another encoder, or the same one started again: it lists files that have just come under numbers that were taken before.
    fn begins_again(&self, listed: &Listed) -> bool {
        let Some(last) = self.last else { return false };
        let known = (last + 1).saturating_sub(listed.first);
        let known = usize::try_from(known)
            .unwrap_or(usize::MAX)
            .min(listed.segments.len());
        let again = |segment: &ListedSegment| self.waiting.contains_key(&segment.name);
        listed.segments[..known].iter().any(again)
    }

    /// What comes next as the encoder counts. What is due is not waited for again.
    pub fn next(&mut self, now: Instant) -> Next {
        self.is_stuck = false;
        let expected = self.last.map_or(0, |last| last + 1);
        let first = self
            .listed
            .iter()
            .find(|(_, segment)| self.waiting.contains_key(&segment.name));
        let Some(first) = first.map(|(number, _)| *number) else {
            return Next::Wait;
        };
        if first != expected {
            // Something before it is on its way, or listed in a playlist that is; or it will never come.
            let patience = Duration::from_millis(2 * self.target);
            let (_, since) = *self.missing.get_or_insert((expected, now));
            if now.duration_since(since) < patience {
                return Next::Wait;
            }
            let rest = self.listed.split_off(&first);
            let skipped = std::mem::replace(&mut self.listed, rest);
            self.missing = None;
            let begun = self.last.is_some();
            self.last = first.checked_sub(1);
            if begun {
                self.broken = true;
                let names: Vec<String> = skipped.into_values().map(|segment| segment.name).collect();
                if self.lost.len() > MAX_FILES {
                    self.lost.clear();
                }
                self.lost.extend(names.iter().take(MAX_FILES).cloned());
                return Next::Lost(names);
            }
        }
        let Some(listed) = self.listed.remove(&first) else {
            return Next::Wait;
        };
        let Some(file) = self.waiting.remove(&listed.name) else {
            return Next::Wait;
        };
        self.taken.push_back((listed.name.clone(), digest(&file.bytes)));
        if self.taken.len() > MAX_TAKEN {
            self.taken.pop_front();
        }
        let due = Due {
            number: first,
            discontinuity: self.broken || (listed.discontinuity && self.last.is_some()),
            listed,
            bytes: file.bytes,
            key_hash: file.key_hash,
            object: file.object,
        };
        (self.last, self.missing, self.broken) = (Some(first), None, false);
        Next::Due(due)
    }

    /// Puts back what could not be taken.
    pub fn put_back(&mut self, due: Due) {
        self.last = due.number.checked_sub(1);
        self.broken = due.discontinuity;
        self.sent += 1;
        self.taken.pop_back();
        let waiting = Waiting {
            number: self.sent,
            key_hash: due.key_hash,
            bytes: due.bytes,
            object: due.object,
        };
        self.waiting.insert(due.listed.name.clone(), waiting);
        self.listed.insert(due.number, due.listed);
        self.is_stuck = true;
    }

    /// The object of an initialization, if it was stored and holds what was sent last.
    pub fn init(&self, name: &str) -> Init {
        match (self.waiting.get(name), self.inits.get(name)) {
            (Some(Waiting { bytes: sent, .. }), Some((Some(known), object))) if sent == known => {
                Init::Stored(object.clone())
            }
            (Some(sent), _) => Init::ToStore(sent.bytes.clone()),
            (None, Some((_, object))) => Init::Stored(object.clone()),
            (None, None) => Init::Missing,
        }
    }

    /// Notes where an initialization is.
    pub fn init_stored(&mut self, name: &str, bytes: Bytes, object: String) {
        // An encoder has one, or one more after each break.
        if self.inits.len() >= MAX_INITS {
            self.inits.clear();
        }
        self.inits.insert(name.to_owned(), (Some(bytes), object));
    }

    /// Notes where an initialization is that was sent to another process.
    pub fn init_known(&mut self, name: &str, object: String) {
        self.inits.insert(name.to_owned(), (None, object));
    }

    /// Notes who publishes. What another one has sent or listed is not of this stream any more; `feed` is as it was before.
    pub fn published_by(&mut self, claim: Claim, feed: &Feed) {
        let is_same = |before: &Claim| before.name == claim.name && before.key_hash == claim.key_hash;
        if !self.claim.as_ref().is_some_and(is_same) {
            self.goes_on =
                self.claim.is_none() && feed.publisher.as_ref().is_some_and(|one| one.name == claim.name);
            self.waiting.retain(|_, file| file.key_hash == claim.key_hash);
            self.listed.clear();
            (self.last, self.missing, self.is_stuck) = (None, None, false);
            self.lost.clear();
            self.taken.clear();
            if !self.goes_on {
                self.inits.clear();
            }
            self.broken = feed.next > 0;
        }
        self.claim = Some(claim);
    }

    /// Whether its publisher goes on with what was sent to another process.
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Whether something is waited for.
    pub fn misses(&self) -> bool {
        self.missing.is_some() || self.is_stuck
    }

    /// Who publishes, if somebody does.
    pub fn publisher(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    /// Whether nothing was sent for so long that it can be forgotten.
    pub fn is_idle(&self) -> bool {
        self.used.is_none_or(|used| used.elapsed() > IDLE)
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Where an initialization is.
#[derive(Clone, PartialEq, Debug)]
pub enum Init {
    /// In this object.
    Stored(String),
    /// It is to be stored.
    ToStore(Bytes),
    /// It has not come.
    Missing,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listed(first: u64, names: &[&str]) -> Listed {
        let segment = |name: &&str| ListedSegment {
            name: (*name).to_owned(),
            init: None,
            micros: 2_000_000,
            discontinuity: false,
        };
        Listed {
            first,
            segments: names.iter().map(segment).collect(),
            target_millis: 2_000,
        }
    }

    const KEY: [u8; 32] = [1; 32];

    /// Of each file others.
    fn bytes() -> Bytes {
        Bytes::copy_from_slice(&uuid::Uuid::new_v4().into_bytes())
    }

    fn taken(session: &mut Session, now: Instant) -> Vec<(String, bool)> {
        let mut all = Vec::new();
        loop {
            match session.next(now) {
                Next::Due(due) => all.push((due.listed.name, due.discontinuity)),
                Next::Lost(names) => all.push((format!("lost {}", names.join(" ")), false)),
                Next::Wait => return all,
            }
        }
    }

    fn names(taken: &[(String, bool)]) -> Vec<&str> {
        taken.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn files_are_taken_as_listed_whatever_overtakes_what() {
        let (mut session, now) = (Session::default(), Instant::now());
        session.file("b.ts".into(), KEY, bytes(), now);
        session.playlist(listed(0, &["a.ts", "b.ts", "c.ts"]), now);
        session.playlist(listed(0, &["a.ts"]), now);
        assert!(taken(&mut session, now).is_empty());
        session.file("a.ts".into(), KEY, bytes(), now);
        assert_eq!(names(&taken(&mut session, now)), ["a.ts", "b.ts"]);
        session.file("c.ts".into(), KEY, bytes(), now);
        assert_eq!(names(&taken(&mut session, now)), ["c.ts"]);
        session.playlist(listed(0, &["a.ts", "b.ts"]), now);
        assert!(taken(&mut session, now).is_empty());
    }

    #[test]
    fn an_older_playlist_tells_of_what_has_left_the_newest() {
        let (mut session, now) = (Session::default(), Instant::now());
        for name in ["a.ts", "b.ts", "c.ts"] {
            session.file(name.into(), KEY, bytes(), now);
        }
        session.playlist(listed(1, &["b.ts", "c.ts"]), now);
        assert!(taken(&mut session, now).is_empty());
        session.playlist(listed(0, &["a.ts", "b.ts"]), now);
        assert_eq!(names(&taken(&mut session, now)), ["a.ts", "b.ts", "c.ts"]);
    }

    #[test]
    fn who_comes_in_the_middle_begins_with_what_is_there() {
        let (mut session, now) = (Session::default(), Instant::now());
        session.file("c.ts".into(), KEY, bytes(), now);
        session.playlist(listed(7, &["a.ts", "b.ts", "c.ts"]), now);
        assert!(taken(&mut session, now).is_empty());
        let later = now + Duration::from_secs(4);
        assert_eq!(names(&taken(&mut session, later)), ["c.ts"]);
    }

    #[test]
    fn what_never_comes_is_left_out() {
        let (mut session, now) = (Session::default(), Instant::now());
        session.playlist(listed(0, &["a.ts", "b.ts"]), now);
        session.file("a.ts".into(), KEY, bytes(), now);
        assert_eq!(names(&taken(&mut session, now)), ["a.ts"]);
        session.playlist(listed(0, &["a.ts", "b.ts", "c.ts", "d.ts"]), now);
        session.file("d.ts".into(), KEY, bytes(), now);
        assert!(taken(&mut session, now).is_empty());
        assert!(session.misses());
        let later = now + Duration::from_secs(4);
        assert_eq!(
            taken(&mut session, later),
            [("lost b.ts c.ts".to_owned(), false), ("d.ts".to_owned(), true)]
        );
        // Too late.
        session.file("b.ts".into(), KEY, bytes(), later);
        session.playlist(listed(0, &["a.ts", "b.ts", "c.ts", "d.ts"]), later);
        assert!(taken(&mut session, later).is_empty());
    }

    #[test]
    fn an_encoder_that_starts_again_goes_on() {
        let (mut session, now) = (Session::default(), Instant::now());
        for (name, all) in [("a.ts", &["a.ts"][..]), ("b.ts", &["a.ts", "b.ts"])] {
            session.file(name.into(), KEY, bytes(), now);
            session.playlist(listed(0, all), now);
            assert_eq!(names(&taken(&mut session, now)), [name]);
        }
        // By the same names and numbers.
        session.file("a.ts".into(), KEY, bytes(), now);
        session.playlist(listed(0, &["a.ts"]), now);
        assert_eq!(taken(&mut session, now), [("a.ts".to_owned(), true)]);
        // Or by others.
        session.file("z.ts".into(), KEY, bytes(), now);
        session.playlist(listed(1_000, &["z.ts"]), now);
        let later = now + Duration::from_secs(4);
        assert!(taken(&mut session, now).is_empty());
        let taken = taken(&mut session, later);
        assert_eq!(taken.last(), Some(&("z.ts".to_owned(), true)));
    }

    #[test]
    fn what_could_not_be_stored_is_due_again() {
        let (mut session, now) = (Session::default(), Instant::now());
        session.file("a.ts".into(), KEY, bytes(), now);
        session.playlist(listed(0, &["a.ts"]), now);
        let Next::Due(due) = session.next(now) else {
            panic!("it is due");
        };
        session.put_back(due);
        assert_eq!(names(&taken(&mut session, now)), ["a.ts"]);
    }

    #[test]
    fn what_is_sent_twice_is_taken_once() {
        let (mut session, now, file) = (Session::default(), Instant::now(), bytes());
        session.file("a.ts".into(), KEY, file.clone(), now);
        session.playlist(listed(0, &["a.ts"]), now);
        assert_eq!(names(&taken(&mut session, now)), ["a.ts"]);
        session.file("a.ts".into(), KEY, file, now);
        session.playlist(listed(0, &["a.ts", "b.ts"]), now);
        assert!(taken(&mut session, now).is_empty());
        session.file("b.ts".into(), KEY, bytes(), now);
        assert_eq!(taken(&mut session, now), [("b.ts".to_owned(), false)]);
    }

    #[test]
    fn another_publisher_begins_anew() {
        let (mut session, now) = (Session::default(), Instant::now());
        let claim = |name: &str, key_hash| Claim {
            stream: common::ids::StreamId::new(),
            process: common::ids::new_id(),
            name: name.to_owned(),
            key_hash,
            quota: 1,
        };
        session.published_by(claim("one", KEY), &Feed::default());
        session.file("old.ts".into(), KEY, bytes(), now);
        session.file("s0.ts".into(), [2; 32], bytes(), now);
        session.playlist(listed(0, &["s0.ts"]), now);
        let feed = Feed {
            next: 7,
            ..Feed::default()
        };
        // With another key: nothing of the old one is left.
        session.published_by(claim("one", [2; 32]), &feed);
        assert!(!session.waiting.contains_key("old.ts") && !session.goes_on());
        session.playlist(listed(0, &["s0.ts"]), now);
        assert_eq!(taken(&mut session, now), [("s0.ts".to_owned(), true)]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut session, now) = (Session::default(), Instant::now());
        for number in 0..1_000 {
            session.file(
                format!("{number}.ts"),
                KEY,
                Bytes::from(vec![0; 1024 * 1024]),
                now,
            );
        }
        assert!(session.waiting.len() <= MAX_FILES);
        assert!(session.waiting.contains_key("999.ts"));
    }

    proptest! {
        /// Files and playlists in any order: all are taken, once and in order, however they overtake each other.
        #[test]
        fn any_order_gives_all_of_them(order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle()) {
            let all: Vec<String> = (0..20).map(|number| format!("s{number}.ts")).collect();
            let (mut session, now, mut got) = (Session::default(), Instant::now(), Vec::new());
            for step in order {
                let number = step / 2;
                if step % 2 == 0 {
                    session.file(all[number].clone(), KEY, bytes(), now);
                } else {
                    let names: Vec<&str> = all[..=number].iter().map(String::as_str).collect();
                    session.playlist(listed(0, &names), now);
                }
                got.extend(taken(&mut session, now));
            }
            prop_assert_eq!(names(&got), all.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert!(got.iter().all(|(_, discontinuity)| !discontinuity));
        }
    }
}
