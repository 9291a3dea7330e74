//! The bodies of tags: FLV (Adobe, version 10.1, annex E.4) and Enhanced RTMP (Veovera, version 2).

use crate::MediaError;

/// What a tag carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// What the publisher says of its stream.
    Script,
}

/// The body of an audio or video tag.
#[derive(PartialEq, Eq, Debug)]
pub enum Tag<'a> {
    /// What the decoder has to know.
    Config(&'a [u8]),
    /// A frame.
    Frame(Frame<'a>),
    /// Nothing that is needed.
    Nothing,
    /// The name of a codec that is not supported.
    Unsupported(String),
}

/// A frame of a tag.
#[derive(PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Of the codec.
    pub data: &'a [u8],
    /// A decoder may start here, as the publisher says.
    pub key: bool,
    /// Milliseconds from when it is decoded to when it is shown.
    pub offset: i32,
}

/// The codecs of video tags that have a number (annex E.4.3.1, and what has been added by habit).
const VIDEO_CODECS: [&str; 13] = [
    "0",
    "JPEG",
    "H.263",
    "Screen Video",
    "VP6",
    "VP6 with alpha",
    "Screen Video 2",
    "H.264",
    "H.263+",
    "MPEG-4",
    "10",
    "11",
    "HEVC",
];
/// Those of audio tags (annex E.4.2.1).
const AUDIO_CODECS: [&str; 16] = [
    "PCM",
    "ADPCM",
    "MP3",
    "PCM",
    "Nellymoser",
    "Nellymoser",
    "Nellymoser",
    "G.711",
    "G.711",
    "enhanced",
    "AAC",
    "Speex",
    "12",
    "13",
    "MP3",
    "device-specific",
];
const AVC: u8 = 7;
const AAC: u8 = 10;
/// The number that says that a name of four letters follows.
const ENHANCED_AUDIO: u8 = 9;
/// Set in the first byte of a video tag in that case.
const ENHANCED_VIDEO: u8 = 0x80;

const AUDIO_TAG: MediaError = MediaError::Malformed("audio tag");
const VIDEO_TAG: MediaError = MediaError::Malformed("video tag");

/// Reads the body of an audio tag. An empty one is nothing: some publishers send it in a pause.
pub fn audio(body: &[u8]) -> Result<Tag<'_>, MediaError> {
    let Some((first, rest)) = body.split_first() else {
        return Ok(Tag::Nothing);
    };
    let packet = match first >> 4 {
        AAC => {
            let (packet, data) = rest.split_first().ok_or(AUDIO_TAG)?;
            (*packet, data)
        }
        ENHANCED_AUDIO => {
            let (name, data) = rest.split_first_chunk::<4>().ok_or(AUDIO_TAG)?;
            if name != b"mp4a" {
                return Ok(Tag::Unsupported(readable(*name)));
            }
            (first & 0x0f, data)
        }
        other => return Ok(Tag::Unsupported(AUDIO_CODECS[usize::from(other)].to_owned())),
    };
    Ok(match packet {
        (0, config) => Tag::Config(config),
        (1, data) if !data.is_empty() => Tag::Frame(Frame {
            data,
            key: true,
            offset: 0,
        }),
        _ => Tag::Nothing,
    })
}

/// Reads the body of a video tag.
pub fn video(body: &[u8]) -> Result<Tag<'_>, MediaError> {
    let Some((first, rest)) = body.split_first() else {
        return Ok(Tag::Nothing);
    };
    let enhanced = first & ENHANCED_VIDEO != 0;
    let frame_type = first >> 4 & 7;
    // A command for the player, without a picture; of Enhanced RTMP, without a name too.
    if frame_type == 5 && (enhanced || first & 0x0f == AVC) {
        return Ok(Tag::Nothing);
    }
    let (packet, rest) = if enhanced {
        let (name, data) = rest.split_first_chunk::<4>().ok_or(VIDEO_TAG)?;
        if name != b"avc1" {
            return Ok(Tag::Unsupported(readable(*name)));
        }
        (first & 0x0f, data)
    } else if first & 0x0f == AVC {
        let (packet, data) = rest.split_first().ok_or(VIDEO_TAG)?;
        (*packet, data)
    } else {
        let codec = usize::from(first & 0x0f);
        let name = VIDEO_CODECS
            .get(codec)
            .map_or_else(|| codec.to_string(), |&name| name.to_owned());
        return Ok(Tag::Unsupported(name));
    };
    // The configuration and the end have the offset too when they are not enhanced; then it says nothing.
    let (offset, data) = if packet == 1 || !enhanced {
        let ([high, middle, low], data) = rest.split_first_chunk().ok_or(VIDEO_TAG)?;
        (i32::from_be_bytes([*high, *middle, *low, 0]) >> 8, data)
    } else {
        (0, rest)
    };
    Ok(match packet {
        0 => Tag::Config(data),
        // 3: without an offset.
        1 | 3 if (packet == 1 || enhanced) && !data.is_empty() => Tag::Frame(Frame {
            data,
            key: matches!(frame_type, 1 | 4),
            offset,
        }),
        _ => Tag::Nothing,
    })
}

/// The name of a codec as it may be shown.
fn readable(name: [u8; 4]) -> String {
    name.iter()
        .map(|&byte| {
            if byte.is_ascii_graphic() {
                char::from(byte)
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(data: &[u8], key: bool, offset: i32) -> Tag<'_> {
        Tag::Frame(Frame { data, key, offset })
    }

    #[test]
    fn video_tags_are_read() {
        assert_eq!(video(&[0x17, 0, 0, 0, 0, 1, 2]), Ok(Tag::Config(&[1, 2])));
        assert_eq!(video(&[0x17, 1, 0, 0, 66, 8]), Ok(frame(&[8], true, 66)));
        assert_eq!(video(&[0x27, 1, 0xff, 0xff, 0xfe, 8]), Ok(frame(&[8], false, -2)));
        for nothing in [
            &[][..],
            &[0x57, 0],
            &[0xd0, 0],
            &[0x17, 2, 0, 0, 0],
            &[0x27, 1, 0, 0, 0],
        ] {
            assert_eq!(video(nothing), Ok(Tag::Nothing));
        }
        for broken in [&[0x17][..], &[0x17, 1, 0, 0], &[0x90, b'a', b'v', b'c']] {
            assert_eq!(video(broken), Err(VIDEO_TAG));
        }
    }

    #[test]
    fn enhanced_video_tags_are_read() {
        let tag = |first: u8, name: &[u8; 4], rest: &[u8]| [&[first], &name[..], rest].concat();
        assert_eq!(video(&tag(0x90, b"avc1", &[1, 2])), Ok(Tag::Config(&[1, 2])));
        assert_eq!(
            video(&tag(0x91, b"avc1", &[0, 0, 66, 8])),
            Ok(frame(&[8], true, 66))
        );
        assert_eq!(video(&tag(0xa3, b"avc1", &[8])), Ok(frame(&[8], false, 0)));
        assert_eq!(video(&tag(0x94, b"avc1", &[8])), Ok(Tag::Nothing));
        assert_eq!(
            video(&tag(0x90, b"hvc1", &[1])),
            Ok(Tag::Unsupported("hvc1".into()))
        );
        assert_eq!(
            video(&tag(0x96, b"\0<a\n", &[])),
            Ok(Tag::Unsupported("?<a?".into()))
        );
        assert_eq!(video(&[0x12, 0]), Ok(Tag::Unsupported("H.263".into())));
        assert_eq!(video(&[0x1f]), Ok(Tag::Unsupported("15".into())));
    }

    #[test]
    fn audio_tags_are_read() {
        assert_eq!(audio(&[0xaf, 0, 0x12, 0x10]), Ok(Tag::Config(&[0x12, 0x10])));
        assert_eq!(audio(&[0xaf, 1, 7]), Ok(frame(&[7], true, 0)));
        assert_eq!(
            audio(&[0x91, b'm', b'p', b'4', b'a', 7]),
            Ok(frame(&[7], true, 0))
        );
        assert_eq!(
            audio(&[0x90, b'O', b'p', b'u', b's']),
            Ok(Tag::Unsupported("Opus".into()))
        );
        assert_eq!(audio(&[0x2f, 0]), Ok(Tag::Unsupported("MP3".into())));
        for nothing in [&[][..], &[0xaf, 1], &[0xaf, 2, 3]] {
            assert_eq!(audio(nothing), Ok(Tag::Nothing));
        }
        assert_eq!(audio(&[0xaf]), Err(AUDIO_TAG));
        assert_eq!(audio(&[0x90, b'O']), Err(AUDIO_TAG));
    }
}
