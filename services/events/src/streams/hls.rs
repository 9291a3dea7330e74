//! Writing playlists (RFC 8216): our own, never the encoder's.

use std::fmt::Write;

use common::time::utc;

use crate::domain::stream::{Feed, Segment};

/// Segments in the playlist of what is on: the player begins three before the end, and may fall behind as many.
const WINDOW: usize = 6;

/// What players round segments to (RFC 8216, 4.3.3.1), in seconds.
fn target(feed: &Feed) -> u64 {
    (u64::from(feed.target_millis) + 500).div_euclid(1_000).max(1)
}

/// Leaves the last segments: so many, and as long as three targets at least (RFC 8216, 6.2.2).
pub fn cut_to_window(feed: &Feed, segments: &mut Vec<Segment>) {
    let wanted = 3 * target(feed) * 1_000_000;
    let (mut kept, mut micros) = (0, 0);
    while kept < segments.len() && (kept < WINDOW || micros < wanted) {
        kept += 1;
        micros += segments[segments.len() - kept].micros;
    }
    segments.drain(..segments.len() - kept);
}

/// The playlist that leads to another one, with what a player needs to choose it.
pub fn master(feed: &Feed, media: &str) -> String {
    let bandwidth = feed.bitrate.unwrap_or(2_000_000).max(1);
    let codecs = feed
        .codecs
        .as_ref()
        .map_or_else(String::new, |codecs| format!(",CODECS=\"{codecs}\""));
    format!("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}{codecs}\n{media}\n")
}

/// What a playlist is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// The last segments of what is on, or was.
    Window,
    /// All of it so far: one can go back.
    Event,
    /// All of what is over.
    Whole,
}

/// A playlist of these segments, which follow each other, the last ones of `feed`. `ended`: none will follow. `query` is what
/// segments are asked for with.
pub fn media(feed: &Feed, segments: &[Segment], extent: Extent, ended: bool, query: &str) -> String {
    let mut text = String::with_capacity(200 + segments.len() * 120);
    let target = target(feed);
    let first = segments.first().map_or(feed.next, |segment| segment.number);
    let breaks = segments.iter().filter(|segment| segment.discontinuity).count() as u64;
    text.push_str("#EXTM3U\n#EXT-X-VERSION:7\n");
    // Writing to memory cannot fail.
    let _ = writeln!(text, "#EXT-X-TARGETDURATION:{target}");
    let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{first}");
    let _ = writeln!(
        text,
        "#EXT-X-DISCONTINUITY-SEQUENCE:{}",
        feed.breaks.saturating_sub(breaks)
    );
    match extent {
        Extent::Window => {}
        Extent::Event => text.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n"),
        Extent::Whole => text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
    }
    let mut init = None;
    for (place, segment) in segments.iter().enumerate() {
        if segment.discontinuity {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if let Some(name) = &segment.init
            && (init != Some(name) || segment.discontinuity)
        {
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"{name}?{query}\"");
            init = Some(name);
        }
        if place == 0 || segment.discontinuity {
            let began =
                segment.at - chrono::TimeDelta::microseconds(i64::try_from(segment.micros).unwrap_or(0));
            let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", utc(began));
        }
        let seconds = segment.micros as f64 / 1e6;
        let _ = writeln!(text, "#EXTINF:{seconds:.6},\n{}?{query}", segment.object);
    }
    if ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use common::ids::StreamId;

    use super::*;
    use crate::domain::samples::NOW;

    fn segment(number: u64, discontinuity: bool, init: Option<&str>) -> Segment {
        Segment {
            stream: StreamId::new(),
            number,
            object: format!("{number}.m4s"),
            init: init.map(str::to_owned),
            micros: 2_000_000,
            bytes: 1,
            discontinuity,
            at: NOW + chrono::TimeDelta::seconds(2),
        }
    }

    #[test]
    fn the_window_has_six_segments_and_three_targets() {
        let long = |number, seconds: u64| Segment {
            micros: seconds * 1_000_000,
            ..segment(number, false, None)
        };
        let feed = Feed {
            target_millis: 10_000,
            ..Feed::default()
        };
        let mut segments: Vec<Segment> = (0..20)
            .map(|number| long(number, if number == 3 { 10 } else { 2 }))
            .collect();
        cut_to_window(&feed, &mut segments);
        assert_eq!((segments.len(), segments[0].number), (15, 5));
        let feed = Feed {
            target_millis: 2_400,
            ..feed
        };
        cut_to_window(&feed, &mut segments);
        assert_eq!((segments.len(), segments[0].number), (6, 14));
        cut_to_window(&feed, &mut Vec::new());
    }

    #[test]
    fn what_is_written_is_a_playlist() {
        let feed = Feed {
            next: 8,
            breaks: 2,
            target_millis: 2_501,
            bitrate: Some(900_000),
            codecs: Some("avc1.64001f,mp4a.40.2".to_owned()),
            ..Feed::default()
        };
        let segments = [
            segment(5, false, Some("a.mp4")),
            segment(6, true, Some("a.mp4")),
            segment(7, false, Some("b.mp4")),
        ];
        let began = utc(NOW);
        assert_eq!(
            media(&feed, &segments, Extent::Window, false, "e=1&k=x"),
            format!(
                "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n\
                 #EXT-X-MAP:URI=\"a.mp4?e=1&k=x\"\n#EXT-X-PROGRAM-DATE-TIME:{began}\n#EXTINF:2.000000,\n5.m4s?e=1&k=x\n\
                 #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"a.mp4?e=1&k=x\"\n#EXT-X-PROGRAM-DATE-TIME:{began}\n#EXTINF:2.000000,\n6.m4s?e=1&k=x\n\
                 #EXT-X-MAP:URI=\"b.mp4?e=1&k=x\"\n#EXTINF:2.000000,\n7.m4s?e=1&k=x\n"
            )
        );
        let whole = media(&feed, &segments, Extent::Whole, true, "q");
        assert!(whole.contains("#EXT-X-PLAYLIST-TYPE:VOD\n") && whole.ends_with("#EXT-X-ENDLIST\n"));
        assert_eq!(
            master(&feed, "live.m3u8?s=t"),
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:BANDWIDTH=900000,CODECS=\"avc1.64001f,mp4a.40.2\"\nlive.m3u8?s=t\n"
        );
    }
}
