//! Reading an encoder's playlist: what it lists is taken, nothing of it is passed on.

use m3u8_rs::{MediaPlaylist, Playlist};

/// The largest that is read: twelve hours of two-second segments have some 2 MB.
pub const MAX_PLAYLIST: usize = 4 * 1024 * 1024;
/// The longest segment, seconds.
const LONGEST: f32 = 60.0;

/// What an encoder lists.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    /// The number of the first segment.
    pub first: u64,
    /// The segments, in order.
    pub segments: Vec<ListedSegment>,
    /// Milliseconds.
    pub target_millis: u64,
}

/// A segment of it.
#[derive(Clone, PartialEq, Debug)]
pub struct ListedSegment {
    /// The file's name.
    pub name: String,
    /// The file with the initialization, for fragmented MP4.
    pub init: Option<String>,
    /// Microseconds.
    pub micros: u64,
    /// Whether it does not follow the one before.
    pub discontinuity: bool,
}

/// Reads a playlist. `None`: it leads to others, which is of no use here.
///
/// # Errors
/// Why it is refused.
pub fn read(text: &[u8]) -> Result<Option<Listed>, String> {
    let (_, playlist) = m3u8_rs::parse_playlist(text).map_err(|_| "is no HLS playlist".to_owned())?;
    match playlist {
        Playlist::MasterPlaylist(_) => Ok(None),
        Playlist::MediaPlaylist(playlist) => media(playlist).map(Some),
    }
}

fn media(playlist: MediaPlaylist) -> Result<Listed, String> {
    let mut init = None;
    let mut segments = Vec::with_capacity(playlist.segments.len());
    for segment in playlist.segments {
        if segment.key.is_some() {
            return Err("is encrypted; send the segments in the clear, over TLS if need be".to_owned());
        }
        if segment.byte_range.is_some() || segment.map.as_ref().is_some_and(|map| map.byte_range.is_some()) {
            return Err("lists parts of files; send each segment as a file of its own".to_owned());
        }
        if let Some(map) = segment.map {
            init = Some(name(&map.uri)?);
        }
        if !(segment.duration > 0.0 && segment.duration <= LONGEST) {
            return Err(format!(
                "lists a segment of {} seconds; at most {LONGEST} are taken",
                segment.duration
            ));
        }
        segments.push(ListedSegment {
            name: name(&segment.uri)?,
            init: init.clone(),
            micros: (f64::from(segment.duration) * 1e6).round() as u64,
            discontinuity: segment.discontinuity,
        });
    }
    Ok(Listed {
        first: playlist.media_sequence,
        segments,
        target_millis: playlist.target_duration.clamp(1, 3_600).saturating_mul(1_000),
    })
}

/// A file beside the playlist. Nothing else is looked for anywhere.
fn name(uri: &str) -> Result<String, String> {
    match file_kind(uri) {
        Some(FileKind::Segment | FileKind::Fragment | FileKind::Mp4) => Ok(uri.to_owned()),
        _ => {
            let shown: String = uri.chars().take(100).collect();
            Err(format!(
                "lists {shown:?}, which is not the name of a segment beside it"
            ))
        }
    }
}

/// What an encoder may call its files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// `.m3u8`
    Playlist,
    /// `.ts`
    Segment,
    /// `.m4s`
    Fragment,
    /// `.mp4`: an initialization, or a fragment.
    Mp4,
}

/// What a file's name says it is; `None`: there may be no such file. One segment of letters, digits, `_` and `-`, and a suffix.
pub fn file_kind(name: &str) -> Option<FileKind> {
    let (stem, suffix) = name.split_once('.')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if stem.is_empty() || stem.len() > 200 || !stem.bytes().all(plain) {
        return None;
    }
    match suffix {
        "m3u8" => Some(FileKind::Playlist),
        "ts" => Some(FileKind::Segment),
        "m4s" => Some(FileKind::Fragment),
        "mp4" => Some(FileKind::Mp4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn playlist(body: &str) -> String {
        format!("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:4\n{body}")
    }

    #[test]
    fn what_ffmpeg_writes_is_read() {
        let text = playlist(
            "#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2.002,\nseg4.m4s\n#EXT-X-DISCONTINUITY\n#EXTINF:1.5,\nseg5.m4s\n#EXT-X-ENDLIST\n",
        );
        let read = read(text.as_bytes()).unwrap().unwrap();
        assert_eq!((read.first, read.segments.len()), (4, 2));
        let [one, two] = &read.segments[..] else {
            panic!("{read:?}");
        };
        assert_eq!(
            (one.name.as_str(), one.init.as_deref()),
            ("seg4.m4s", Some("init.mp4"))
        );
        assert_eq!((one.micros / 1_000, one.discontinuity), (2_002, false));
        assert_eq!((two.init.as_deref(), two.discontinuity), (Some("init.mp4"), true));
        let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive.m3u8\n";
        assert_eq!(super::read(master.as_bytes()), Ok(None));
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for (body, why) in [
            ("#EXTINF:2,\nhttps://example.org/a.ts\n", "beside it"),
            ("#EXTINF:2,\n../a.ts\n", "beside it"),
            ("#EXTINF:2,\n/etc/passwd\n", "beside it"),
            ("#EXTINF:2,\nfile:///a.ts\n", "beside it"),
            ("#EXTINF:2,\na.ts?x=1\n", "beside it"),
            ("#EXTINF:2,\na%2eb.ts\n", "beside it"),
            ("#EXTINF:2,\nlive.m3u8\n", "beside it"),
            (
                "#EXT-X-MAP:URI=\"http://a/b.mp4\"\n#EXTINF:2,\na.m4s\n",
                "beside it",
            ),
            ("#EXT-X-BYTERANGE:10@0\n#EXTINF:2,\na.ts\n", "a file of its own"),
            (
                "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:2,\na.ts\n",
                "encrypted",
            ),
            ("#EXTINF:0,\na.ts\n", "seconds"),
            ("#EXTINF:100,\na.ts\n", "seconds"),
            ("#EXTINF:NaN,\na.ts\n", ""),
        ] {
            let refused = read(playlist(body).as_bytes()).unwrap_err();
            assert!(refused.contains(why), "{body}: {refused}");
        }
        assert!(read(b"").is_err());
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&text);
            let _ = read(playlist(&String::from_utf8_lossy(&text)).as_bytes());
        }

        #[test]
        fn names_are_plain(name in "\\PC{0,40}") {
            if file_kind(&name).is_some() {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)));
                prop_assert!(!name.contains(".."));
            }
        }
    }
}
