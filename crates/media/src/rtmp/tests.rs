use proptest::prelude::*;

use super::*;

/// The bytes of a publisher.
struct Publisher {
    writer: ChunkWriter,
}

impl Publisher {
    fn new() -> Self {
        Self {
            writer: ChunkWriter::new(),
        }
    }

    fn handshake() -> Vec<u8> {
        let mut bytes = vec![0; 1 + 2 * 1536];
        bytes[0] = 3;
        bytes
    }

    fn message(&mut self, kind: u8, stream: u32, ms: u32, payload: Vec<u8>) -> Vec<u8> {
        let message = Message {
            chunk_stream_id: if kind == msg_type::VIDEO { 6 } else { 4 },
            timestamp: ms,
            message_type_id: kind,
            message_stream_id: stream,
            payload,
        };
        self.writer.write(&message).unwrap()
    }

    fn command(&mut self, stream: u32, name: &str, arguments: Vec<Amf0Value>) -> Vec<u8> {
        let command = Command {
            name: name.to_owned(),
            transaction_id: 1.0,
            arguments,
        };
        self.message(msg_type::COMMAND_AMF0, stream, 0, command.to_body().unwrap())
    }

    /// Everything up to the wish to publish.
    fn wish(&mut self, key: &str) -> Vec<u8> {
        let app = ("app".to_owned(), Amf0Value::String("live".to_owned()));
        let key = Amf0Value::String(key.to_owned());
        [
            Self::handshake(),
            self.command(0, "connect", vec![Amf0Value::Object(vec![app])]),
            self.command(0, "createStream", vec![Amf0Value::Null]),
            self.command(
                1,
                "publish",
                vec![Amf0Value::Null, key, Amf0Value::String("live".into())],
            ),
        ]
        .concat()
    }

    fn video(&mut self, ms: u32, body: &[u8]) -> Vec<u8> {
        self.message(msg_type::VIDEO, 1, ms, body.to_vec())
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn wish(key: &str) -> Event {
    Event::Publish {
        app: "live".into(),
        key: key.into(),
    }
}

fn tag(ms: u32, body: &'static [u8]) -> Event {
    Event::Tag {
        kind: Kind::Video,
        ms,
        body: Bytes::from_static(body),
    }
}

const START: &str = "NetStream.Publish.Start";

#[test]
fn the_reply_waits_until_the_publisher_is_accepted() {
    let mut publisher = Publisher::new();
    let mut session = Session::new(Limits::default());
    // The first tag comes in the same packet as the wish, the second while the key is checked.
    let opening = [publisher.wish("k3?x=1"), publisher.video(5, b"one")].concat();
    let (reply, events) = session.receive(&opening).unwrap();
    assert!(contains(&reply, "NetConnection.Connect.Success") && !contains(&reply, START));
    assert_eq!(events, [wish("k3")]);
    let (reply, events) = session.receive(&publisher.video(7, b"two")).unwrap();
    assert_eq!((reply, events), (vec![], vec![]));

    assert!(contains(&session.accept(), START));
    assert_eq!(session.accept(), []);
    let (_, events) = session.receive(&publisher.video(0x0100_0001, b"three")).unwrap();
    assert_eq!(
        events,
        [tag(5, b"one"), tag(7, b"two"), tag(0x0100_0001, b"three")]
    );
    let end = [
        publisher.command(0, "FCUnpublish", vec![]),
        publisher.command(0, "deleteStream", vec![]),
    ];
    let (_, events) = session.receive(&end.concat()).unwrap();
    assert_eq!(events, [Event::Unpublish]);
}

#[test]
fn bytes_may_come_one_by_one() {
    let mut publisher = Publisher::new();
    let mut session = Session::new(Limits::default());
    let mut events = Vec::new();
    let mut bytes = publisher.wish("k3");
    bytes.extend(publisher.video(0, b"one"));
    for byte in bytes {
        for event in session.receive(&[byte]).unwrap().1 {
            if event == wish("k3") {
                session.accept();
            }
            events.push(event);
        }
    }
    assert_eq!(events, [wish("k3"), tag(0, b"one")]);
}

#[test]
fn a_refused_publisher_is_told_why() {
    for (description, expected) in [
        ("no such key".to_owned(), "no such key".to_owned()),
        ("ä".repeat(70_000), "ä".repeat(512)),
    ] {
        let mut session = Session::new(Limits::default());
        session.receive(&Publisher::new().wish("k3")).unwrap();
        let mut told = session.refuse(&description);
        assert!(contains(&told, "NetStream.Publish.BadName"));
        assert!(contains(&told, &expected));
        // One chunk: header of 12 bytes, with the length in the middle.
        assert_eq!(told.len() - 12, usize::from(told[5]) << 8 | usize::from(told[6]));
        told.clear();
        assert!(matches!(session.receive(&[]), Err(RtmpError::Over)));
        assert_eq!((session.accept(), session.refuse("")), (vec![], vec![]));
    }
}

#[test]
fn a_stranger_cannot_make_the_server_keep_much() {
    // Anything, before the key is known and while it is checked.
    let limits = Limits::default();
    let mut session = Session::new(limits);
    let mut publisher = Publisher::new();
    session.receive(&publisher.wish("k3")).unwrap();
    let error = (0..100).find_map(|ms| session.receive(&publisher.video(ms, &[0; 1_000])).err());
    assert!(matches!(error, Some(RtmpError::Unaccepted)));

    // Messages that begin and do not end.
    let mut session = Session::new(limits);
    let mut publisher = Publisher::new();
    session.receive(&publisher.wish("k3")).unwrap();
    session.accept();
    let begun = (0..60_u8).find(|stream| {
        // A chunk of 128 bytes of a video of 983,040.
        let header = [3 + stream, 0, 0, 0, 0x0f, 0, 0, 9, 1, 0, 0, 0];
        session.receive(&[&header[..], &[0; 128]].concat()).is_err()
    });
    assert_eq!(begun, Some(4));
    assert!(matches!(session.receive(&[]), Err(RtmpError::Over)));
}

#[test]
fn neither_key_nor_media_is_shown() {
    assert_eq!(format!("{:?}", wish("secret")), r#"Publish { app: "live", .. }"#);
    assert_eq!(
        format!("{:?}", tag(1, b"secret")),
        "Tag { kind: Video, ms: 1, bytes: 6 }"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_bytes_do_no_harm(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..20), opened in 0..3_u8) {
        let mut session = Session::new(Limits::default());
        if opened > 0 {
            let opening = if opened == 1 { Publisher::handshake() } else { Publisher::new().wish("k3") };
            session.receive(&opening).unwrap();
            session.accept();
        }
        for piece in pieces {
            if session.receive(&piece).is_err() {
                break;
            }
        }
    }

    #[test]
    fn a_changed_conversation_does_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), cut in 1..500_usize) {
        let mut publisher = Publisher::new();
        let mut bytes = publisher.wish("k3");
        for ms in 0..20 {
            bytes.extend(publisher.video(ms * 40, &[7; 300]));
        }
        bytes.extend(publisher.command(0, "deleteStream", vec![Amf0Value::Null, Amf0Value::Number(1.0)]));
        let after = Publisher::handshake().len();
        for (at, byte) in changes {
            let at = after + at.index(bytes.len() - after);
            bytes[at] = byte;
        }
        let mut session = Session::new(Limits::default());
        let mut tags = 0;
        for piece in bytes.chunks(cut) {
            let Ok((_, events)) = session.receive(piece) else { break };
            for event in events {
                match event {
                    Event::Publish { .. } => drop(session.accept()),
                    Event::Tag { body, .. } => tags += body.len(),
                    Event::Unpublish => {}
                }
            }
        }
        prop_assert!(tags <= bytes.len());
    }
}
