//! What is published, and how it is written.

use common::clock::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{channel::Channel, history::Publication};

/// Something about to be published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    kind: String,
    /// Milliseconds since 1970, UTC.
    at: i64,
    /// JSON.
    data: String,
}

/// A push, as readers get it.
#[derive(Serialize)]
struct Push<'a> {
    ev: &'static str,
    ch: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(rename = "type")]
    kind: &'a str,
    ts: i64,
    data: &'a RawValue,
}

impl Entry {
    /// An entry of this kind.
    pub fn new(kind: &str, at: Timestamp, data: &impl Serialize) -> Self {
        Self {
            kind: kind.to_owned(),
            at: at.timestamp_millis(),
            // Our own structs, or JSON that was read before; writing them to memory cannot fail.
            data: serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned()),
        }
    }

    /// The entry as it stands in a log.
    pub fn encode(&self) -> String {
        format!("{} {} {}", self.kind, self.at, self.data)
    }

    /// Reads what [`Entry::encode`] has written.
    pub fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(' ')?;
        let (at, data) = rest.split_once(' ')?;
        Some(Self {
            kind: kind.to_owned(),
            at: at.parse().ok()?,
            data: data.to_owned(),
        })
    }

    /// The id of what was deleted or hidden, if that is what it tells, as it stands in what was told of it before.
    fn deletes(&self) -> Option<Box<str>> {
        if !matches!(
            self.kind.as_str(),
            "chat.deleted" | "question.hidden" | "announcement.deleted"
        ) {
            return None;
        }
        // Its only field; in a text the quotes would be escaped.
        let field = self.data.trim_start_matches('{').trim_end_matches('}');
        (!field.is_empty()).then(|| field.into())
    }

    /// The publication of this entry.
    pub fn publication(&self, channel: Channel, offset: u64) -> Publication {
        let data = serde_json::from_str(&self.data).unwrap_or(RawValue::NULL);
        let push = Push {
            ev: "pub",
            ch: &channel.public_name(),
            offset: (!channel.is_ephemeral()).then_some(offset),
            kind: &self.kind,
            ts: self.at,
            data,
        };
        Publication {
            offset,
            kind: self.kind.as_str().into(),
            frame: serde_json::to_string(&push).unwrap_or_default().into(),
            deletes: self.deletes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::{clock::from_millis, ids::EventId};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_written_once_and_read_again() {
        let entry = Entry::new(
            "seats.changed",
            from_millis(1_000),
            &json!({"seats_left": 3, "a b": " "}),
        );
        assert_eq!(Entry::decode(&entry.encode()), Some(entry.clone()));
        let channel = Channel::Event(EventId::lenient("019309a2-0000-7000-8000-000000000002"));
        assert_eq!(
            entry.publication(channel, 7).frame.as_str(),
            r#"{"ev":"pub","ch":"event:019309a2-0000-7000-8000-000000000002","offset":7,"type":"seats.changed","ts":1000,"data":{"a b":" ","seats_left":3}}"#
        );
        let reactions = Channel::Topic(EventId::new(), crate::live::channel::Topic::Reactions);
        assert!(!entry.publication(reactions, 7).frame.contains("offset"));
        for text in ["", "kind", "kind 1", "kind x {}"] {
            assert_eq!(Entry::decode(text), None);
        }
    }
}
