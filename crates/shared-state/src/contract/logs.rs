//! Logs of channels and marks, on one node of Redis and on a cluster.

use tokio::sync::mpsc;

use super::*;
use crate::channel_log::{
    ChannelLog, KEPT, Place, READ_BYTES, READ_ENTRIES, Received,
    people::{NAMED, Present},
};

macro_rules! rules_of_logs {
    ($($rule:ident),+ $(,)?) => {
        mod redis { $(#[tokio::test] async fn $rule() { super::$rule(super::in_redis().await).await; })+ }
        mod cluster { $(#[tokio::test] async fn $rule() { super::$rule(super::in_a_cluster().await).await; })+ }
    };
}

rules_of_logs!(
    entries_are_numbered_and_read_by_all,
    what_is_older_comes_no_more,
    people_are_counted_once_wherever_they_are,
    counts_are_taken_once,
    who_follows_a_channel_receives_it,
    a_channel_that_was_lost_begins_another_life,
    a_mark_is_claimed_until_it_is_settled,
);

fn log(shared: &Shared) -> (ChannelLog, mpsc::Receiver<Received>) {
    shared.channel_log().expect("with Redis there is one")
}

fn number(place: Option<Place>) -> u64 {
    place.expect("the channel is open").offset
}

async fn entries_are_numbered_and_read_by_all(state: Two) {
    let ((one, _r), (other, _s)) = (log(&state.one), log(&state.other));
    // Nobody has used it: there is nothing to publish to.
    assert_eq!(one.publish("event:1", "a", None, true).await.unwrap(), None);
    let empty = other.read("event:1", 0).await.unwrap();
    assert_eq!((empty.top, empty.entries.len()), (0, 0));
    for (offset, log) in (1..=KEPT as u64 + 5).zip([&one, &other].into_iter().cycle()) {
        let place = log
            .publish("event:1", &format!("entry {offset}"), None, true)
            .await
            .unwrap();
        assert_eq!(number(place), offset);
    }
    let entries = |offsets: std::ops::RangeInclusive<u64>| {
        let entries = offsets.map(|offset| (offset, format!("entry {offset}")));
        entries.collect::<Vec<_>>()
    };
    let top = KEPT as u64 + 5;
    let part = one.read("event:1", top - 5).await.unwrap();
    assert_eq!((part.epoch, part.entries), (empty.epoch, entries(top - 4..=top)));
    // The last ones, as many as are read at once.
    let most = one.read("event:1", 0).await.unwrap();
    let expected = entries(top - READ_ENTRIES as u64 + 1..=top);
    assert_eq!((most.top, most.entries), (top, expected));
    let large = "x".repeat(READ_BYTES / 4);
    for _ in 0..6 {
        one.publish("event:3", &large, None, false).await.unwrap();
    }
    let part = one.read("event:3", 0).await.unwrap();
    let offsets: Vec<u64> = part.entries.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [3, 4, 5, 6]);
    let open = ["event:1", "event:9", "event:3"].map(str::to_owned);
    assert_eq!(other.are_open(&open).await.unwrap(), [true, false, true]);
    // Another channel counts for itself.
    let place = one.publish("event:2", "b", None, false).await.unwrap();
    assert_eq!(number(place), 1);
}

async fn what_is_older_comes_no_more(state: Two) {
    let ((one, _r), (other, _s)) = (log(&state.one), log(&state.other));
    let publish = async |log: &ChannelLog, entry, about| {
        let place = log.publish("event:1", entry, Some(about), false).await.unwrap();
        number(place)
    };
    assert_eq!(publish(&one, "a", ("k", 1)).await, 1);
    assert_eq!(publish(&other, "a", ("k", 1)).await, 1);
    assert_eq!(publish(&one, "b", ("l", 7)).await, 2);
    assert_eq!(publish(&one, "c", ("k", 10)).await, 3);
    // It was overtaken.
    assert_eq!(publish(&other, "b", ("k", 9)).await, 3);
    assert_eq!(one.read("event:1", 0).await.unwrap().entries.len(), 3);
}

async fn people_are_counted_once_wherever_they_are(state: Two) {
    let ((one, _r), (other, _s)) = (log(&state.one), log(&state.other));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let tell = async |log: &ChannelLog, come: &[&str], gone: &[&str], are_all| {
        let present = Present {
            come: &names(come),
            gone: &names(gone),
            are_all,
        };
        log.heartbeat("event:1", present).await.unwrap();
    };
    assert_eq!(one.people("event:1", NAMED).await.unwrap(), (0, Vec::new()));
    tell(&one, &["asha", "ben"], &[], false).await;
    tell(&other, &["ben", "chen"], &[], true).await;
    let (count, mut named) = other.people("event:1", NAMED).await.unwrap();
    named.sort();
    assert_eq!((count, named), (3, names(&["asha", "ben", "chen"])));
    assert_eq!(other.people("event:2", 0).await.unwrap().0, 0);
    tell(&one, &[], &["ben", "asha"], false).await;
    assert_eq!(one.people("event:1", NAMED).await.unwrap().0, 2);
    tell(&other, &["dora"], &[], true).await;
    assert_eq!(one.people("event:1", NAMED).await.unwrap(), (1, names(&["dora"])));
    tell(&other, &[], &[], true).await;
    assert_eq!(one.people("event:1", NAMED).await.unwrap().0, 0);
}

async fn counts_are_taken_once(state: Two) {
    let ((one, _r), (other, _s)) = (log(&state.one), log(&state.other));
    one.add_count("event:1", "👏", 1).await.unwrap();
    other.add_count("event:1", "👏", 2).await.unwrap();
    other.add_count("event:1", "🎉", 1).await.unwrap();
    let mut taken = one.take_counts("event:1").await.unwrap();
    taken.sort();
    assert_eq!(taken, [("🎉".to_owned(), 1), ("👏".to_owned(), 3)]);
    assert_eq!(other.take_counts("event:1").await.unwrap(), []);
}

async fn who_follows_a_channel_receives_it(state: Two) {
    let ((one, _r), (other, mut received)) = (log(&state.one), log(&state.other));
    until("it is followed", async || other.follow("event:1").await.is_ok()).await;
    one.publish("event:2", "not followed", None, false).await.unwrap();
    one.publish("event:1", "a b", None, false).await.unwrap();
    let entry = async |received: &mut mpsc::Receiver<Received>| loop {
        match timeout(Duration::from_secs(20), received.recv())
            .await
            .unwrap()
            .unwrap()
        {
            Received::Entry {
                channel,
                place,
                entry,
            } => return (channel, place.offset, entry),
            Received::Gap => {}
        }
    };
    assert_eq!(
        entry(&mut received).await,
        ("event:1".to_owned(), 1, "a b".to_owned())
    );
    other.unfollow("event:1").await;
    until("it is followed", async || other.follow("event:2").await.is_ok()).await;
    one.publish("event:1", "not any more", None, false).await.unwrap();
    one.publish("event:2", "this", None, false).await.unwrap();
    assert_eq!(
        entry(&mut received).await,
        ("event:2".to_owned(), 2, "this".to_owned())
    );
}

async fn a_channel_that_was_lost_begins_another_life(state: Two) {
    let (one, _r) = log(&state.one);
    let before = one.publish("event:1", "a", None, false).await.unwrap().unwrap();
    for server in &state.servers {
        server.command(&["FLUSHALL"]);
    }
    assert_eq!(one.publish("event:1", "b", None, true).await.unwrap(), None);
    let after = one.publish("event:1", "b", None, false).await.unwrap().unwrap();
    assert_eq!(after.offset, 1);
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(
        one.read("event:1", 0).await.unwrap().entries,
        [(1, "b".to_owned())]
    );
}

async fn a_mark_is_claimed_until_it_is_settled(state: Two) {
    let ((one, _r), (other, _s)) = (log(&state.one), log(&state.other));
    let claim = async |log: &ChannelLog, time| log.claim(10, time).await.unwrap();
    assert_eq!(one.mark("e").await.unwrap(), Duration::ZERO);
    one.mark("e").await.unwrap();
    let claimed = claim(&one, LONG).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claim(&other, LONG).await, []);
    // Marked again meanwhile: due after the pause.
    other.mark("e").await.unwrap();
    let (mark, version) = &claimed[0];
    one.settle(mark, version, SHORT).await.unwrap();
    until("it is due again", async || !claim(&other, SHORT).await.is_empty()).await;
    // Whoever had it was killed: somebody else gets it.
    let mut last = Vec::new();
    until("it is claimed again", async || {
        last = claim(&one, LONG).await;
        !last.is_empty()
    })
    .await;
    let (mark, version) = &last[0];
    one.settle(mark, version, LONG).await.unwrap();
    assert_eq!(claim(&other, LONG).await, []);
    // Settled: the next mark waits for the pause.
    assert!(other.mark("e").await.unwrap() > LONG / 2);
    assert_eq!(claim(&other, LONG).await, []);
}
