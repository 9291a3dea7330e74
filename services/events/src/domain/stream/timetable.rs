//! What is on, and what comes next.

use common::{clock::Timestamp, ids::StreamId};

use super::{State, Stream};

/// The streams of an event in the order of their times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timetable {
    /// What to show: of the live ones the one with the smallest priority; if none is, of the interrupted ones.
    pub current: Option<StreamId>,
    /// What comes next.
    pub next: Option<StreamId>,
    /// All of them.
    pub streams: Vec<Stream>,
}

impl Timetable {
    /// The timetable of these streams at `now`.
    pub fn new(mut streams: Vec<Stream>, now: Timestamp) -> Self {
        streams.retain(|stream| stream.state != State::Deleted);
        // Those without a time come last.
        streams.sort_by_key(|stream| {
            (
                stream.starts_at.is_none(),
                stream.starts_at,
                stream.priority,
                stream.id.0,
            )
        });
        let best = |state: State| {
            let of_state = streams.iter().filter(|stream| stream.state == state);
            of_state
                .min_by_key(|stream| stream.priority)
                .map(|stream| stream.id)
        };
        let current = best(State::Live).or_else(|| best(State::Interrupted));
        let to_come = |stream: &&Stream| matches!(stream.state, State::Scheduled | State::Ready);
        let at_its_time = |stream: &&Stream| stream.starts_at.is_some_and(|at| at > now);
        let next = streams.iter().filter(to_come).find(at_its_time);
        let next = next
            .or_else(|| streams.iter().find(to_come))
            .map(|stream| stream.id);
        Self {
            current,
            next,
            streams,
        }
    }
}
