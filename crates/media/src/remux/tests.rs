use proptest::prelude::*;

use super::*;
use crate::testing::{
    AUDIO_CONFIG, AVCC_360P, Run, avcc, boxes, metadata, picture, runs, sound, timescale, video_config,
};

const OPTIONS: Options = Options {
    target: Duration::from_secs(2),
    longest: Duration::from_secs(6),
    max_bytes: 1 << 20,
};

/// A publisher: pictures every 40 ms, sounds of 1,024 samples at 48,000 Hz.
struct Publisher {
    remuxer: Remuxer,
    pieces: Vec<Piece>,
}

impl Publisher {
    fn new() -> Self {
        Self {
            remuxer: Remuxer::new(OPTIONS),
            pieces: Vec::new(),
        }
    }

    fn push(&mut self, kind: Kind, ms: u32, body: &[u8]) {
        self.pieces.extend(self.remuxer.push(kind, ms, body).unwrap());
    }

    fn configure(&mut self) {
        self.push(Kind::Video, 0, &video_config(AVCC_360P));
        self.push(Kind::Audio, 0, &AUDIO_CONFIG);
    }

    /// Sends what it has for some milliseconds, with a keyframe every so many pictures.
    fn send(&mut self, times: std::ops::Range<u64>, video: bool, audio: bool, keyframes: u64) {
        let mut sounds = (0_u64..).map(|count| times.start + count * 1024 / 48);
        let mut next_sound = sounds.next().unwrap();
        for (count, ms) in (0..).zip(times.clone().step_by(40)) {
            while audio && next_sound < ms + 40 && next_sound < times.end {
                self.push(Kind::Audio, next_sound as u32, &sound(50));
                next_sound = sounds.next().unwrap();
            }
            if video {
                self.push(Kind::Video, ms as u32, &picture(count % keyframes == 0, 80, 100));
            }
        }
    }

    fn finish(mut self) -> Sent {
        self.pieces.extend(self.remuxer.finish());
        let mut sent = Sent::default();
        for piece in self.pieces {
            match piece {
                Piece::Init(init) => sent.inits.push((sent.segments.len(), init)),
                Piece::Segment(segment) => sent.segments.push(segment),
                Piece::Notice(notice) => sent.notices.push(notice),
            }
        }
        assert!(sent.segments.is_empty() || sent.inits[0].0 == 0);
        sent.check_times();
        sent
    }
}

#[derive(Default)]
struct Sent {
    /// With the number of segments before each.
    inits: Vec<(usize, Init)>,
    segments: Vec<Segment>,
    notices: Vec<Notice>,
}

impl Sent {
    fn durations(&self) -> Vec<u128> {
        self.segments
            .iter()
            .map(|segment| segment.duration.as_millis())
            .collect()
    }

    fn codecs(&self) -> Vec<(usize, &str)> {
        self.inits
            .iter()
            .map(|(at, init)| (*at, init.codecs.as_str()))
            .collect()
    }

    fn runs(&self, track: u32) -> Vec<Run> {
        let all = self.segments.iter().flat_map(|segment| runs(&segment.bytes));
        all.filter(|run| run.track == track).collect()
    }

    /// No sample begins before the one before it has ended.
    fn check_times(&self) {
        for track in [1, 2_u32] {
            let (mut scale, mut end, mut rounded) = (1, 0, 0);
            for (at, segment) in self.segments.iter().enumerate() {
                let inits = self.inits.iter().filter(|(before, _)| *before == at);
                if let Some(new) = inits
                    .filter_map(|(_, init)| timescale(&init.bytes, track as u8))
                    .next_back()
                {
                    rounded += u64::from(new != scale);
                    (scale, end) = (new, (end * new).div_ceil(scale));
                }
                for run in runs(&segment.bytes).iter().filter(|run| run.track == track) {
                    assert!(run.time + rounded >= end, "{} < {end}", run.time);
                    rounded = 0;
                    end = run.time + run.samples.iter().map(|sample| u64::from(sample.0)).sum::<u64>();
                }
            }
        }
    }
}

const BOTH: &str = "avc1.64001e,mp4a.40.2";
const VIDEO: &str = "avc1.64001e";
const AUDIO: &str = "mp4a.40.2";

#[test]
fn segments_are_cut_at_keyframes() {
    let mut publisher = Publisher::new();
    publisher.configure();
    publisher.send(0..7_000, true, true, 25);
    let sent = publisher.finish();
    assert_eq!(sent.durations(), [2_000, 2_000, 2_000, 1_000]);
    assert_eq!(sent.codecs(), [(0, BOTH)]);
    assert_eq!((sent.inits[0].1.width, sent.inits[0].1.height), (640, 360));
    assert!(sent.segments.iter().all(|segment| segment.independent));
    assert_eq!(sent.notices, []);
    let video = sent.runs(1);
    assert_eq!(video[1].time - video[0].time, 180_000);
    assert_eq!(video[0].samples[0], (3_600, 104, true, 7_200));
    assert_eq!(video[0].samples[1], (3_600, 104, false, 7_200));
    assert_eq!(video.iter().map(|run| run.samples.len()).sum::<usize>(), 175);
    // Sounds follow each other exactly, although their tags have whole milliseconds.
    let audio = sent.runs(2);
    assert!(
        audio
            .iter()
            .flat_map(|run| &run.samples)
            .all(|sample| sample.0 == 1_024)
    );
    for (before, after) in audio.iter().zip(&audio[1..]) {
        assert_eq!(after.time, before.time + 1_024 * before.samples.len() as u64);
    }
    let names: Vec<_> = boxes(&sent.inits[0].1.bytes).iter().map(|one| one.0).collect();
    assert_eq!(names, ["ftyp", "moov"]);
    // Places count from the start of the segment.
    let first = runs(&sent.segments[0].bytes);
    assert_eq!(first[1].place - first[0].place, 50 * 104);
    let place = first[0].place;
    assert_eq!(sent.segments[0].bytes[place..place + 5], [0, 0, 0, 100, 0x65]);
}

#[test]
fn one_kind_of_media_is_enough() {
    for (video, audio, codecs) in [(true, false, VIDEO), (false, true, AUDIO)] {
        for announced in [true, false] {
            let mut publisher = Publisher::new();
            if announced {
                publisher.push(Kind::Script, 0, &metadata(audio, video));
            }
            publisher.configure();
            publisher.send(500..6_000, video, audio, 25);
            let sent = publisher.finish();
            assert_eq!(sent.codecs(), [(0, codecs)]);
            assert_eq!(sent.segments.len(), 3);
            let lasted: Duration = sent.segments.iter().map(|segment| segment.duration).sum();
            assert!(lasted.abs_diff(Duration::from_millis(5_500)) < Duration::from_millis(22));
        }
    }
}

#[test]
fn the_first_segment_waits_for_the_other_kind() {
    for (announced, comes_after, expected) in [
        // It comes in time, or too late for the first segment.
        (None, 1_900, vec![(0, BOTH)]),
        (None, 2_500, vec![(0, VIDEO), (1, BOTH)]),
        (Some(true), 4_500, vec![(0, BOTH)]),
        (Some(true), 5_500, vec![(0, VIDEO), (1, BOTH)]),
        // It comes although it was not announced.
        (Some(false), 1_500, vec![(0, VIDEO), (1, BOTH)]),
    ] {
        let mut publisher = Publisher::new();
        publisher.remuxer.options.target = Duration::from_secs(1);
        if let Some(audio) = announced {
            publisher.push(Kind::Script, 0, &metadata(audio, true));
        }
        publisher.configure();
        publisher.send(0..comes_after, true, false, 25);
        publisher.send(comes_after..8_000, true, true, 25);
        let sent = publisher.finish();
        let codecs: Vec<_> = sent.codecs().iter().map(|one| one.1).collect();
        let expected: Vec<_> = expected.iter().map(|one| one.1).collect();
        assert_eq!(codecs, expected, "{announced:?} {comes_after}");
    }
}

#[test]
fn a_kind_that_stops_is_left_out_and_may_come_back() {
    let mut publisher = Publisher::new();
    publisher.configure();
    publisher.send(0..4_000, true, true, 25);
    publisher.send(4_000..8_000, true, false, 25);
    publisher.send(8_000..12_000, true, true, 25);
    publisher.send(12_000..24_000, false, true, 25);
    publisher.send(24_000..28_000, true, true, 25);
    let sent = publisher.finish();
    let codecs: Vec<_> = sent.codecs().iter().map(|one| one.1).collect();
    assert_eq!(codecs, [BOTH, VIDEO, BOTH, AUDIO, BOTH]);
    let lasted: Duration = sent.segments.iter().map(|segment| segment.duration).sum();
    assert!(
        lasted.abs_diff(Duration::from_secs(28)) < Duration::from_millis(500),
        "{lasted:?}"
    );
}

#[test]
fn a_new_configuration_begins_anew() {
    let mut publisher = Publisher::new();
    publisher.configure();
    publisher.send(0..3_000, true, true, 25);
    // The same again changes nothing.
    publisher.configure();
    publisher.send(3_000..5_000, true, true, 25);
    publisher.push(Kind::Video, 5_000, &video_config(&avcc(20, 15)));
    publisher.send(5_000..7_000, true, true, 25);
    publisher.push(Kind::Audio, 7_000, &[0xaf, 0, 0x12, 0x08]);
    publisher.send(7_000..8_000, true, true, 25);
    let sent = publisher.finish();
    assert_eq!(
        sent.codecs(),
        [
            (0, BOTH),
            (3, "avc1.42c01e,mp4a.40.2"),
            (4, "avc1.42c01e,mp4a.40.2")
        ]
    );
    assert_eq!((sent.inits[1].1.width, sent.inits[1].1.height), (320, 240));
    // 44,100 Hz, mono.
    assert_ne!(sent.inits[1].1.bytes, sent.inits[2].1.bytes);
}

#[test]
fn times_begin_anywhere_and_wrap() {
    let begin = u64::from(u32::MAX) - 3_000;
    let mut publisher = Publisher::new();
    publisher.configure();
    publisher.send(begin..begin + 8_000, true, true, 25);
    let sent = publisher.finish();
    assert_eq!(sent.codecs(), [(0, BOTH)]);
    assert_eq!(sent.durations(), [2_000; 4]);
}

#[test]
fn a_jump_of_the_times_begins_anew_and_goes_on() {
    for jump in [0, 1_000, 20_000, 3_000_000_000] {
        let mut publisher = Publisher::new();
        publisher.configure();
        publisher.send(10_000..15_000, true, true, 25);
        publisher.send(jump..jump + 5_000, true, true, 25);
        let sent = publisher.finish();
        assert_eq!(sent.codecs(), [(0, BOTH), (3, BOTH)], "{jump}");
        assert_eq!(sent.durations(), [2_000, 2_000, 1_000, 2_000, 2_000, 1_000]);
    }
}

#[test]
fn times_that_jump_all_the_time_are_refused() {
    let mut publisher = Publisher::new();
    publisher.configure();
    let mut results = Vec::new();
    for count in 0..100_u32 {
        results.push(
            publisher
                .remuxer
                .push(Kind::Video, count * 10_000, &picture(true, 0, 10)),
        );
    }
    assert_eq!(results.last(), Some(&Err(MediaError::Unsteady)));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 17);
}

#[test]
fn sounds_are_moved_only_when_they_are_far_off() {
    let mut publisher = Publisher::new();
    publisher.configure();
    // 90 ms are left as they are; 400 ms become a longer sound; when they come back, sounds are left out.
    publisher.send(0..1_000, false, true, 1);
    publisher.send(1_090..2_000, false, true, 1);
    publisher.send(2_400..3_000, false, true, 1);
    publisher.send(2_700..3_500, false, true, 1);
    let sent = publisher.finish();
    let samples: Vec<_> = sent
        .runs(2)
        .iter()
        .flat_map(|run| run.samples.iter().map(|sample| sample.0).collect::<Vec<_>>())
        .collect();
    let longer: Vec<_> = samples.iter().filter(|&&duration| duration != 1_024).collect();
    assert_eq!(longer.len(), 1);
    assert!((15_000..25_000).contains(longer[0]), "{longer:?}");
    let pushed = 47 + 43 + 29 + 38;
    assert!(
        (pushed - 14..pushed - 6).contains(&samples.len()),
        "{}",
        samples.len()
    );
}

#[test]
fn without_keyframes_it_is_cut_all_the_same() {
    let mut publisher = Publisher::new();
    publisher.configure();
    publisher.send(0..15_000, true, true, 10_000);
    let sent = publisher.finish();
    let independent: Vec<_> = sent.segments.iter().map(|segment| segment.independent).collect();
    assert_eq!(independent, [true, false, false]);
    assert_eq!(sent.durations(), [6_000, 6_000, 3_000]);
    assert_eq!(sent.notices, [Notice::Keyframes(Duration::from_secs(6))]);
}

#[test]
fn keyframes_far_apart_are_told_once() {
    let mut publisher = Publisher::new();
    publisher.configure();
    publisher.send(0..20_000, true, true, 125);
    let sent = publisher.finish();
    assert_eq!(sent.durations(), [5_000; 4]);
    assert_eq!(sent.notices, [Notice::Keyframes(Duration::from_secs(5))]);
}

#[test]
fn pictures_before_the_first_keyframe_are_left_out() {
    let mut publisher = Publisher::new();
    publisher.configure();
    for ms in [0, 40, 80] {
        publisher.push(Kind::Video, ms, &picture(false, 0, 10));
    }
    publisher.send(120..1_120, true, true, 25);
    let sent = publisher.finish();
    assert_eq!(sent.durations(), [1_000]);
    assert!(sent.segments[0].independent);
}

#[test]
fn other_codecs_are_told_or_refused() {
    let mut publisher = Publisher::new();
    publisher.push(Kind::Video, 0, &video_config(AVCC_360P));
    for ms in 0..10 {
        publisher.push(Kind::Audio, ms, &[0x2f, 0xff, 0xfb]);
    }
    publisher.send(0..5_000, true, false, 25);
    let hevc = [&[0x90], &b"hvc1"[..], &[1; 30]].concat();
    publisher.push(Kind::Video, 5_000, &hevc);
    assert_eq!(
        publisher.remuxer.push(Kind::Video, 5_000, &hevc),
        Err(MediaError::VideoCodec("hvc1".into()))
    );
    let sent = publisher.finish();
    assert_eq!(sent.codecs(), [(0, VIDEO)]);
    assert_eq!(
        sent.notices,
        [
            Notice::AudioCodec("MP3".into()),
            Notice::VideoCodec("hvc1".into())
        ]
    );
}

#[test]
fn enhanced_tags_of_h264_are_taken() {
    let mut publisher = Publisher::new();
    publisher.push(Kind::Video, 0, &[&b"\x90avc1"[..], AVCC_360P].concat());
    for count in 0..50 {
        let unit = [0, 0, 0, 1, if count == 0 { 0x65 } else { 0x41 }];
        let first: &[u8] = if count == 0 {
            b"\x91avc1\0\0\0"
        } else {
            b"\xa3avc1"
        };
        publisher.push(Kind::Video, count * 40, &[first, &unit].concat());
    }
    let sent = publisher.finish();
    assert_eq!((sent.codecs(), sent.durations()), (vec![(0, VIDEO)], vec![2_000]));
}

#[test]
fn an_open_segment_has_a_bound_in_bytes() {
    let mut publisher = Publisher::new();
    publisher.configure();
    for count in 0..40 {
        publisher.push(Kind::Video, count, &picture(count == 0, 0, 100_000));
        publisher.push(Kind::Audio, count, &sound(500));
        let held = publisher.remuxer.video.held.as_ref().map_or(0, Sample::cost);
        assert!(publisher.remuxer.open.bytes() + held <= OPTIONS.max_bytes);
    }
    let sent = publisher.finish();
    assert!(sent.segments.len() >= 4);
    assert!(
        sent.segments
            .iter()
            .all(|segment| segment.bytes.len() <= OPTIONS.max_bytes)
    );
    assert_eq!(sent.codecs(), [(0, BOTH)]);

    let mut remuxer = Remuxer::new(OPTIONS);
    remuxer.push(Kind::Video, 0, &video_config(AVCC_360P)).unwrap();
    let big = picture(true, 0, 600_000);
    assert_eq!(
        remuxer.push(Kind::Video, 0, &big),
        Err(MediaError::TooBig(600_004))
    );
}

#[test]
fn nothing_makes_nothing() {
    let mut remuxer = Remuxer::new(OPTIONS);
    assert_eq!(remuxer.finish(), []);
    // Without a configuration no frame can be decoded.
    assert_eq!(remuxer.push(Kind::Video, 0, &picture(true, 0, 10)), Ok(vec![]));
    assert_eq!(remuxer.push(Kind::Audio, 0, &sound(10)), Ok(vec![]));
    assert_eq!(remuxer.finish(), []);
}

/// Tags that are right, nearly right, or anything.
fn tags() -> impl Strategy<Value = (Kind, u32, Vec<u8>)> {
    let body = prop_oneof![
        4 => (any::<bool>(), any::<u8>(), 1..3_000_usize).prop_map(|(key, offset, bytes)| (Kind::Video, picture(key, offset, bytes))),
        4 => (1..500_usize).prop_map(|bytes| (Kind::Audio, sound(bytes))),
        1 => Just((Kind::Video, video_config(AVCC_360P))),
        1 => (1..200_u32, 1..200_u32).prop_map(|(across, down)| (Kind::Video, video_config(&avcc(across, down)))),
        1 => prop_oneof![Just((Kind::Audio, AUDIO_CONFIG.to_vec())), Just((Kind::Audio, vec![0xaf, 0, 0x14, 0x0c]))],
        1 => (any::<bool>(), any::<bool>()).prop_map(|(audio, video)| (Kind::Script, metadata(audio, video))),
        1 => (prop_oneof![Just(Kind::Audio), Just(Kind::Video), Just(Kind::Script)], prop::collection::vec(any::<u8>(), 0..64)),
        1 => (any::<prop::sample::Index>(), any::<u8>(), 0..4_usize).prop_map(|(at, byte, which)| {
            let (kind, mut body) = match which {
                0 => (Kind::Video, video_config(AVCC_360P)),
                1 => (Kind::Video, picture(true, 0, 100)),
                2 => (Kind::Audio, AUDIO_CONFIG.to_vec()),
                _ => (Kind::Script, metadata(true, true)),
            };
            let at = at.index(body.len());
            body[at] = byte;
            (kind, body)
        }),
    ];
    let step = prop_oneof![8 => 0..100_u32, 1 => 0..3_100_u32, 1 => any::<u32>()];
    (body, step).prop_map(|((kind, body), step)| (kind, step, body))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_tags_keep_the_bounds_and_the_order_of_times(tags in prop::collection::vec(tags(), 0..300), max_bytes in 0..100_000_usize) {
        let options = Options { target: Duration::from_millis(500), max_bytes, ..OPTIONS };
        let mut publisher = Publisher { remuxer: Remuxer::new(options), pieces: Vec::new() };
        let mut ms = 0_u32;
        for (kind, step, body) in tags {
            ms = ms.wrapping_add(step);
            if let Ok(pieces) = publisher.remuxer.push(kind, ms, &body) {
                publisher.pieces.extend(pieces);
            }
            let held = publisher.remuxer.video.held.as_ref().map_or(0, Sample::cost);
            prop_assert!(publisher.remuxer.open.bytes() + held <= max_bytes);
        }
        let sent = publisher.finish();
        let mut layouts = sent.inits.iter().map(|(at, _)| *at);
        prop_assert!(sent.segments.is_empty() || layouts.next() == Some(0));
        for segment in &sent.segments {
            runs(&segment.bytes);
            prop_assert!(segment.bytes.len() <= max_bytes + 300);
        }
    }

    #[test]
    fn any_bytes_do_no_harm(bodies in prop::collection::vec((0..3_u8, any::<u32>(), prop::collection::vec(any::<u8>(), 0..200)), 0..50)) {
        let mut remuxer = Remuxer::new(OPTIONS);
        for (kind, ms, body) in bodies {
            let kind = [Kind::Audio, Kind::Video, Kind::Script][usize::from(kind)];
            let _ = remuxer.push(kind, ms, &body);
        }
        remuxer.finish();
    }
}
