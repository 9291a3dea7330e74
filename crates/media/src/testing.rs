//! Tags made by hand.

/// A configuration that x264 wrote: High, level 3.0, 640 x 360.
pub const AVCC_360P: &[u8] = &[
    0x01, 0x64, 0x00, 0x1e, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x2f,
    0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x0f, 0x16, 0x2d, 0x96,
    0x01, 0x00, 0x04, 0x68, 0xef, 0x8f, 0xcb, 0xfd, 0xf8, 0xf8, 0x00,
];

/// A configuration of Baseline, level 3.0, for a picture of so many blocks of 16 pixels across and down.
pub fn avcc(across: u32, down: u32) -> Vec<u8> {
    let code = |number: &u32| {
        let code = format!("{:b}", number + 1);
        "0".repeat(code.len() - 1) + &code
    };
    let numbers = |numbers: &[u32]| numbers.iter().map(code).collect::<String>();
    let size = numbers(&[across - 1, down - 1]);
    let bits = numbers(&[0, 0, 2, 1]) + "0" + &size + "11001";
    let mut set = vec![0x67, 0x42, 0xc0, 0x1e];
    for byte in bits.as_bytes().chunks(8) {
        let byte = std::str::from_utf8(byte).unwrap();
        set.push(u8::from_str_radix(&format!("{byte:0<8}"), 2).unwrap());
    }
    let mut config = vec![1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, set.len() as u8];
    config.extend(set);
    config.extend([1, 0, 2, 0x68, 0xce]);
    config
}

/// The tag with a video configuration.
pub fn video_config(config: &[u8]) -> Vec<u8> {
    [&[0x17, 0, 0, 0, 0], config].concat()
}

/// The tag with a picture of some bytes.
pub fn picture(key: bool, offset: u8, bytes: usize) -> Vec<u8> {
    let mut tag = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, offset];
    tag.extend((bytes as u32).to_be_bytes());
    tag.push(if key { 0x65 } else { 0x41 });
    tag.resize(9 + bytes, 0x55);
    tag
}

/// The tag with the configuration of AAC-LC, 48,000 Hz, stereo.
pub const AUDIO_CONFIG: [u8; 4] = [0xaf, 0, 0x11, 0x90];

/// The tag with a sound of some bytes.
pub fn sound(bytes: usize) -> Vec<u8> {
    let mut tag = vec![0xaf, 1];
    tag.resize(2 + bytes, 0x21);
    tag
}

/// An `onMetaData` that announces these kinds.
pub fn metadata(audio: bool, video: bool) -> Vec<u8> {
    let mut body = Vec::new();
    for name in ["@setDataFrame", "onMetaData"] {
        body.extend([2, 0, name.len() as u8]);
        body.extend(name.as_bytes());
    }
    body.extend([8, 0, 0, 0, 9]);
    let mut member = |name: &str, value: &[u8]| {
        body.extend([0, name.len() as u8]);
        body.extend(name.as_bytes());
        body.extend(value);
    };
    member("width", &[0, 0x40, 0x84, 0, 0, 0, 0, 0, 0]);
    member("stereo", &[1, 1]);
    member("encoder", &[2, 0, 1, b'x']);
    member("title", &[12, 0, 0, 0, 1, b'x']);
    member("began", &[11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    member("none", &[5]);
    member("keyframes", &[3, 0, 1, b'a', 10, 0, 0, 0, 2, 5, 6, 0, 0, 9]);
    if video {
        member("videocodecid", &[0, 0x40, 0x1c, 0, 0, 0, 0, 0, 0]);
    }
    if audio {
        member("audiocodecid", &[0, 0x40, 0x24, 0, 0, 0, 0, 0, 0]);
    }
    body.extend([0, 0, 9]);
    body
}

/// The samples of a track in a fragment.
#[derive(PartialEq, Eq, Debug)]
pub struct Run {
    pub track: u32,
    /// When the first is decoded.
    pub time: u64,
    /// Duration, size, and of pictures whether it is a keyframe, and the offset.
    pub samples: Vec<(u32, u32, bool, i32)>,
    /// Where its data begins.
    pub place: usize,
}

/// The boxes in some bytes.
pub fn boxes(mut bytes: &[u8]) -> Vec<(&str, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        found.push((std::str::from_utf8(&bytes[4..8]).unwrap(), &bytes[8..size]));
        bytes = &bytes[size..];
    }
    found
}

/// What is in a fragment.
pub fn runs(fragment: &[u8]) -> Vec<Run> {
    let number = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let whole = boxes(fragment);
    let [("moof", moof), ("mdat", data)] = whole[..] else {
        panic!("{whole:?}")
    };
    let mut runs = Vec::new();
    for (name, traf) in boxes(moof) {
        if name != "traf" {
            continue;
        }
        let inner = boxes(traf);
        let [("tfhd", tfhd), ("tfdt", tfdt), ("trun", trun)] = inner[..] else {
            panic!("{inner:?}")
        };
        let track = number(tfhd, 4);
        let fields = if track == 1 { 4 } else { 2 };
        let samples: Vec<_> = trun[12..]
            .chunks(4 * fields)
            .map(|sample| {
                let offset = if track == 1 {
                    number(sample, 12).cast_signed()
                } else {
                    0
                };
                let key = track == 2 || number(sample, 8) == 0x0200_0000;
                (number(sample, 0), number(sample, 4), key, offset)
            })
            .collect();
        assert_eq!(samples.len(), number(trun, 4) as usize);
        runs.push(Run {
            track,
            time: u64::from_be_bytes(tfdt[4..12].try_into().unwrap()),
            samples,
            place: number(trun, 8) as usize,
        });
    }
    let sizes = runs
        .iter()
        .flat_map(|run| &run.samples)
        .map(|sample| sample.1 as usize);
    assert_eq!(sizes.sum::<usize>(), data.len());
    runs
}

/// The timescale of a track in an initialization.
pub fn timescale(init: &[u8], track: u8) -> Option<u64> {
    let of = |bytes, name| {
        boxes(bytes)
            .into_iter()
            .filter(move |one| one.0 == name)
            .map(|one| one.1)
    };
    let moov = of(init, "moov").next()?;
    let trak = of(moov, "trak").find(|trak| of(trak, "tkhd").any(|tkhd| tkhd[15] == track))?;
    let mdhd = of(of(trak, "mdia").next()?, "mdhd").next()?;
    Some(u32::from_be_bytes(mdhd[12..16].try_into().unwrap()).into())
}
