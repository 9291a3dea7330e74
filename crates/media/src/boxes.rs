//! Fragmented MP4 (ISO/IEC 14496-12), laid out as HLS demands (RFC 8216 section 3.3): an initialization, and fragments of
//! one `moof` and one `mdat`.

use bytes::Bytes;

use crate::{
    aac::AacConfig,
    avc::AvcConfig,
    sample::{Layout, Sample},
};

/// Ticks of the video track in a second.
pub const VIDEO_SCALE: u32 = 90_000;
const VIDEO_TRACK: u32 = 1;
const AUDIO_TRACK: u32 = 2;
/// Sample flags (section 8.8.3.1): needs no other; or needs others, and is no place to start.
const SYNC: u32 = 0x0200_0000;
const NOT_SYNC: u32 = 0x0101_0000;
/// Neither turned nor scaled (section 8.2.2).
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// The initialization: `ftyp` and `moov`, which tell of the tracks and have no samples.
pub fn init(layout: &Layout) -> Bytes {
    let mut out = Vec::with_capacity(1_500);
    boxed(&mut out, b"ftyp", |out| {
        // The major brand, its version, and all brands.
        out.extend(b"iso6\0\0\0\0iso6mp41");
    });
    boxed(&mut out, b"moov", |out| {
        full(out, b"mvhd", 0, 0, |out| {
            u32s(out, &[0, 0, 1_000, 0, 0x1_0000]);
            u16s(out, &[0x100, 0, 0, 0, 0, 0]);
            u32s(out, &MATRIX);
            u32s(out, &[0, 0, 0, 0, 0, 0, AUDIO_TRACK + 1]);
        });
        if let Some(video) = &layout.video {
            let size = [video.width << 16, video.height << 16];
            track(out, VIDEO_TRACK, VIDEO_SCALE, 0, size, b"vide", |out| {
                avc1(out, video)
            });
        }
        if let Some(audio) = &layout.audio {
            track(out, AUDIO_TRACK, audio.rate, 0x100, [0, 0], b"soun", |out| {
                mp4a(out, audio);
            });
        }
        boxed(out, b"mvex", |out| {
            for id in layout
                .video
                .iter()
                .map(|_| VIDEO_TRACK)
                .chain(layout.audio.iter().map(|_| AUDIO_TRACK))
            {
                full(out, b"trex", 0, 0, |out| u32s(out, &[id, 1, 0, 0, 0]));
            }
        });
    });
    out.into()
}

fn track(
    out: &mut Vec<u8>,
    id: u32,
    scale: u32,
    volume: u16,
    size: [u32; 2],
    handler: &[u8; 4],
    entry: impl FnOnce(&mut Vec<u8>),
) {
    boxed(out, b"trak", |out| {
        // Enabled, and in the presentation.
        full(out, b"tkhd", 0, 3, |out| {
            u32s(out, &[0, 0, id, 0, 0, 0, 0]);
            u16s(out, &[0, 0, volume, 0]);
            u32s(out, &MATRIX);
            u32s(out, &size);
        });
        boxed(out, b"mdia", |out| {
            full(out, b"mdhd", 0, 0, |out| {
                u32s(out, &[0, 0, scale, 0]);
                // The language `und`.
                u16s(out, &[0x55c4, 0]);
            });
            full(out, b"hdlr", 0, 0, |out| {
                u32s(out, &[0]);
                out.extend(handler);
                u32s(out, &[0, 0, 0]);
                out.push(0);
            });
            boxed(out, b"minf", |out| {
                if handler == b"vide" {
                    full(out, b"vmhd", 0, 1, |out| u32s(out, &[0, 0]));
                } else {
                    full(out, b"smhd", 0, 0, |out| u32s(out, &[0]));
                }
                boxed(out, b"dinf", |out| {
                    full(out, b"dref", 0, 0, |out| {
                        u32s(out, &[1]);
                        // In this very file.
                        full(out, b"url ", 0, 1, |_| {});
                    });
                });
                boxed(out, b"stbl", |out| {
                    full(out, b"stsd", 0, 0, |out| {
                        u32s(out, &[1]);
                        entry(out);
                    });
                    for name in [b"stts", b"stsc", b"stco"] {
                        full(out, name, 0, 0, |out| u32s(out, &[0]));
                    }
                    full(out, b"stsz", 0, 0, |out| u32s(out, &[0, 0]));
                });
            });
        });
    });
}

/// The sample entry of H.264 (ISO/IEC 14496-15 section 5.4.2).
fn avc1(out: &mut Vec<u8>, config: &AvcConfig) {
    boxed(out, b"avc1", |out| {
        u16s(out, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        u16s(out, &[config.width as u16, config.height as u16]);
        // 72 dots an inch.
        u32s(out, &[0x48_0000, 0x48_0000, 0]);
        u16s(out, &[1]);
        out.extend([0; 32]);
        u16s(out, &[0x18, 0xffff]);
        boxed(out, b"avcC", |out| out.extend(&config.bytes));
    });
}

/// The sample entry of AAC (ISO/IEC 14496-14 section 5.6), with the descriptors of ISO/IEC 14496-1 section 7.2.6.
fn mp4a(out: &mut Vec<u8>, config: &AacConfig) {
    boxed(out, b"mp4a", |out| {
        u16s(out, &[0, 0, 0, 1, 0, 0, 0, 0, config.channels, 16, 0, 0]);
        // Of 16 bits, which some rates do not fit; the timescale has it too.
        u16s(out, &[u16::try_from(config.rate).unwrap_or(0), 0]);
        full(out, b"esds", 0, 0, |out| {
            let length = config.bytes.len() as u32;
            descriptor(out, 3, 3 + 5 + 13 + 5 + length + 5 + 1);
            out.extend([0, AUDIO_TRACK as u8, 0]);
            descriptor(out, 4, 13 + 5 + length);
            // MPEG-4 audio, an audio stream; buffer and bit rates are not told.
            out.extend([0x40, 0x15, 0, 0, 0]);
            u32s(out, &[0, 0]);
            descriptor(out, 5, length);
            out.extend(&config.bytes);
            descriptor(out, 6, 1);
            out.push(2);
        });
    });
}

/// The head of a descriptor, of five bytes: its length has seven bits in each.
fn descriptor(out: &mut Vec<u8>, tag: u8, length: u32) {
    out.push(tag);
    out.extend([21, 14, 7].map(|shift| 0x80 | (length >> shift) as u8));
    out.push(length as u8 & 0x7f);
}

/// A fragment: `moof` and `mdat`. One of the two may be empty.
pub fn fragment(sequence: u32, video: &[Sample], audio: &[Sample]) -> Bytes {
    let bytes = |samples: &[Sample]| samples.iter().map(|sample| sample.data.len()).sum::<usize>();
    let (video_bytes, audio_bytes) = (bytes(video), bytes(audio));
    let mut out = Vec::with_capacity(300 + 16 * (video.len() + audio.len()) + video_bytes + audio_bytes);
    // Where the place of a track's data is written, and what of other tracks is before it.
    let mut places = Vec::with_capacity(2);
    boxed(&mut out, b"moof", |out| {
        full(out, b"mfhd", 0, 0, |out| u32s(out, &[sequence]));
        if !video.is_empty() {
            places.push((run(out, VIDEO_TRACK, video), 0));
        }
        if !audio.is_empty() {
            places.push((run(out, AUDIO_TRACK, audio), video_bytes));
        }
    });
    let data = out.len() + 8;
    for (place, before) in places {
        put(&mut out, place, (data + before) as u32);
    }
    boxed(&mut out, b"mdat", |out| {
        for sample in video.iter().chain(audio) {
            out.extend(&sample.data);
        }
    });
    out.into()
}

/// The samples of a track (section 8.8.6). Returns where the place of their data is to be written.
fn run(out: &mut Vec<u8>, track: u32, samples: &[Sample]) -> usize {
    let video = track == VIDEO_TRACK;
    let mut place = 0;
    boxed(out, b"traf", |out| {
        // Places count from the `moof`; all audio samples are alike.
        full(
            out,
            b"tfhd",
            0,
            if video { 0x02_0000 } else { 0x02_0020 },
            |out| {
                u32s(out, &[track]);
                if !video {
                    u32s(out, &[SYNC]);
                }
            },
        );
        full(out, b"tfdt", 1, 0, |out| {
            let time = samples.first().map_or(0, |sample| sample.time);
            out.extend(time.to_be_bytes());
        });
        // Version 1: offsets have a sign. Given are the place, and of each sample duration and size; flags and offset too.
        full(out, b"trun", 1, if video { 0xf01 } else { 0x301 }, |out| {
            u32s(out, &[samples.len() as u32]);
            place = out.len();
            u32s(out, &[0]);
            for sample in samples {
                u32s(out, &[sample.duration, sample.data.len() as u32]);
                if video {
                    let flags = if sample.key { SYNC } else { NOT_SYNC };
                    u32s(out, &[flags, sample.offset.cast_unsigned()]);
                }
            }
        });
    });
    place
}

/// A box (section 4.2). Nothing here comes near 4 GiB: a fragment has the bound of an open segment.
fn boxed(out: &mut Vec<u8>, name: &[u8; 4], content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    u32s(out, &[0]);
    out.extend(name);
    content(out);
    let size = out.len() - start;
    put(out, start, size as u32);
}

/// A box with version and flags.
fn full(out: &mut Vec<u8>, name: &[u8; 4], version: u8, flags: u32, content: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, name, |out| {
        u32s(out, &[u32::from(version) << 24 | flags]);
        content(out);
    });
}

fn put(out: &mut [u8], place: usize, number: u32) {
    if let Some(field) = out.get_mut(place..place + 4) {
        field.copy_from_slice(&number.to_be_bytes());
    }
}

fn u32s(out: &mut Vec<u8>, numbers: &[u32]) {
    for number in numbers {
        out.extend(number.to_be_bytes());
    }
}

fn u16s(out: &mut Vec<u8>, numbers: &[u16]) {
    for number in numbers {
        out.extend(number.to_be_bytes());
    }
}
