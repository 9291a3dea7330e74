//! What ffmpeg publishes comes out as it went in. Needs `ORGANISE_FFMPEG`, the path of an ffmpeg with libx264.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::Duration,
};

use media::{
    Init, Kind, Notice, Options, Piece, Remuxer, Segment,
    rtmp::{Event, Limits, Session},
};

const KEY: &str = "k3-secret";
const SECONDS: u64 = 12;
const OPTIONS: Options = Options {
    target: Duration::from_secs(2),
    longest: Duration::from_secs(6),
    max_bytes: 16 << 20,
};

/// ffmpeg, to be given more arguments.
fn ffmpeg(arguments: &str) -> Command {
    let path = std::env::var_os("ORGANISE_FFMPEG").expect(
        "set ORGANISE_FFMPEG to the path of an ffmpeg with libx264 (7 or later): these tests need it",
    );
    let mut command = Command::new(path);
    command.args(["-v", "error", "-nostdin", "-y"]);
    command.args(arguments.split_whitespace());
    command
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("ffmpeg starts");
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A directory with a file to be published; some sources and how to encode them.
struct Source {
    directory: tempfile::TempDir,
    file: PathBuf,
}

const TEST_PICTURE: &str = "-f lavfi -i testsrc2=size=640x360:rate=30";
const SINE: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000";
const H264: &str =
    "-c:v libx264 -pix_fmt yuv420p -preset veryfast -bf 2 -g 30 -keyint_min 30 -sc_threshold 0";
const AAC: &str = "-c:a aac -ac 2";

fn source(arguments: &[&str]) -> Source {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("source.flv");
    run(ffmpeg(&arguments.join(" "))
        .args(["-t", &SECONDS.to_string()])
        .arg(&file));
    Source { directory, file }
}

/// What came of a publisher.
#[derive(Default)]
struct Received {
    /// Everything that it sent.
    bytes: Vec<u8>,
    inits: Vec<Init>,
    segments: Vec<Segment>,
    notices: Vec<Notice>,
    sounds: usize,
}

impl Received {
    fn keep(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            match piece {
                Piece::Init(init) => self.inits.push(init),
                Piece::Segment(segment) => self.segments.push(segment),
                Piece::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    /// The one initialization and all segments, as a file.
    fn write(&self, directory: &Path) -> PathBuf {
        let [init] = &self.inits[..] else {
            panic!("{} initializations", self.inits.len())
        };
        let file = directory.join("received.mp4");
        let mut bytes = init.bytes.to_vec();
        for segment in &self.segments {
            bytes.extend(&segment.bytes);
        }
        fs::write(&file, bytes).expect("the file is written");
        file
    }
}

/// Serves one publisher until it is gone.
fn serve(listener: &TcpListener) -> Received {
    let (mut stream, _) = listener.accept().expect("a publisher");
    let mut session = Session::new(Limits::default());
    let mut remuxer = Remuxer::new(OPTIONS);
    let mut received = Received::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            break;
        }
        received.bytes.extend(&buffer[..count]);
        let (reply, events) = session.receive(&buffer[..count]).expect("the protocol is kept");
        stream.write_all(&reply).expect("the publisher reads");
        for event in events {
            match event {
                Event::Publish { app, key } if (app.as_str(), key.as_str()) == ("live", KEY) => {
                    stream.write_all(&session.accept()).expect("the publisher reads");
                }
                Event::Publish { .. } => {
                    stream
                        .write_all(&session.refuse("this stream key is not known"))
                        .expect("the publisher reads");
                    // Reset instead of closed, the connection would lose what was sent.
                    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
                    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
                    return received;
                }
                Event::Tag { kind, ms, body } => {
                    received.sounds += usize::from(kind == Kind::Audio && body.get(1) == Some(&1));
                    received.keep(remuxer.push(kind, ms, &body).expect("the media is supported"));
                }
                Event::Unpublish => {}
            }
        }
    }
    received.keep(remuxer.finish());
    received
}

/// Lets ffmpeg publish, and returns what came of it.
fn publish(file: &Path, key: &str) -> (Output, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    let server = thread::spawn(move || serve(&listener));
    let output = ffmpeg("-i")
        .arg(file)
        .args(["-c", "copy", "-f", "flv"])
        .arg(format!("rtmp://127.0.0.1:{port}/live/{key}"))
        .output()
        .expect("ffmpeg starts");
    (output, server.join().expect("the server ends"))
}

/// The MD5 of each decoded picture or packet, with neither times nor header.
fn md5(file: &Path, arguments: &str) -> Vec<String> {
    let output = run(ffmpeg("-i").arg(file).args(arguments.split_whitespace()).arg("-"));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit(',').next().expect("a field").trim().to_owned())
        .collect()
}

const PICTURES: &str = "-map 0:v -fps_mode passthrough -f framemd5";
const VIDEO_PACKETS: &str = "-map 0:v -c copy -f framemd5";
const AUDIO_PACKETS: &str = "-map 0:a -c copy -f framemd5";

/// Checks that what was received is the source; returns how many frames of video and audio.
fn check(source: &Source, codecs: &str) -> (Received, usize, usize) {
    let (output, received) = publish(&source.file, &format!("{KEY}?from=test"));
    assert!(output.status.success(), "{}", stderr(&output));
    let file = received.write(source.directory.path());
    assert_eq!(received.inits[0].codecs, codecs);
    assert_eq!(received.notices, []);

    let (video, audio) = (codecs.contains("avc1"), codecs.contains("mp4a"));
    let mut counts = (0, 0);
    if video {
        let pictures = md5(&source.file, PICTURES);
        assert_eq!(md5(&file, PICTURES), pictures, "the pictures are the same");
        assert_eq!(md5(&file, VIDEO_PACKETS), md5(&source.file, VIDEO_PACKETS));
        counts.0 = pictures.len();
    }
    if audio {
        let packets = md5(&source.file, AUDIO_PACKETS);
        assert_eq!(packets.len(), received.sounds);
        assert_eq!(md5(&file, AUDIO_PACKETS), packets, "the sounds are the same");
        counts.1 = packets.len();
    }
    // Nothing that ffmpeg has to complain about.
    let decoded = run(ffmpeg("-i").arg(&file).args(["-f", "null", "-"]));
    assert_eq!(stderr(&decoded), "");
    let lasted: Duration = received.segments.iter().map(|segment| segment.duration).sum();
    assert!(
        lasted.abs_diff(Duration::from_secs(SECONDS)) <= Duration::from_millis(34),
        "{lasted:?}"
    );
    println!(
        "{codecs}: {} pictures, {} sounds, {} segments, {lasted:?}",
        counts.0,
        counts.1,
        received.segments.len()
    );
    (received, counts.0, counts.1)
}

#[test]
fn video_and_audio_come_out_as_they_went_in() {
    let source = source(&[TEST_PICTURE, SINE, H264, AAC]);
    let (received, pictures, sounds) = check(&source, "avc1.64001e,mp4a.40.2");
    assert_eq!(pictures, 360);
    assert!(sounds >= 562);
    assert_eq!(received.segments.len(), 6);
    assert!(received.segments.iter().all(|segment| segment.independent));
    assert_eq!((received.inits[0].width, received.inits[0].height), (640, 360));

    // Each segment is decoded on its own, as by one who comes late.
    for segment in &received.segments {
        let file = source.directory.path().join("one.mp4");
        fs::write(&file, [&received.inits[0].bytes[..], &segment.bytes].concat()).expect("it is written");
        assert_eq!(md5(&file, PICTURES).len(), 60);
    }
}

#[test]
fn video_alone_comes_out_as_it_went_in() {
    check(&source(&[TEST_PICTURE, H264]), "avc1.64001e");
}

#[test]
fn audio_alone_comes_out_as_it_went_in() {
    check(&source(&[SINE, AAC]), "mp4a.40.2");
}

#[test]
fn mono_at_44100_comes_out_as_it_went_in() {
    let arguments = [TEST_PICTURE, SINE, H264, "-c:a aac -ac 1 -ar 44100"];
    check(&source(&arguments), "avc1.64001e,mp4a.40.2");
}

#[test]
fn times_that_begin_late_come_out_as_they_went_in() {
    let arguments = [TEST_PICTURE, SINE, H264, AAC, "-output_ts_offset 100"];
    let source = source(&arguments);
    check(&source, "avc1.64001e,mp4a.40.2");
}

#[test]
fn other_audio_is_told_and_the_video_goes_on() {
    let source = source(&[TEST_PICTURE, SINE, H264, "-c:a libmp3lame -ar 44100"]);
    let (output, received) = publish(&source.file, KEY);
    assert!(output.status.success());
    assert_eq!(received.notices, [Notice::AudioCodec("MP3".into())]);
    assert_eq!(received.inits[0].codecs, "avc1.64001e");
    let file = received.write(source.directory.path());
    assert_eq!(md5(&file, PICTURES), md5(&source.file, PICTURES));
}

#[test]
fn a_wrong_key_is_refused() {
    let source = source(&[TEST_PICTURE, H264]);
    let (output, received) = publish(&source.file, "wrong");
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("this stream key is not known"),
        "{}",
        stderr(&output)
    );
    assert_eq!(received.segments, []);
}

/// SplitMix64: the mutations are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// Changes some bytes; takes some out or doubles them too unless all are to stay in place.
fn mutate(bytes: &mut Vec<u8>, first: usize, in_place: bool, random: &mut Random) {
    for _ in 0..1 + random.below(20) {
        if bytes.len() <= first {
            return;
        }
        let at = first + random.below(bytes.len() - first);
        let length = random.below(8).min(bytes.len() - at);
        match random.below(if in_place { 2 } else { 4 }) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => drop(bytes.drain(at..at + length)),
            _ => {
                let again = bytes[at..at + length].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

#[test]
fn what_ffmpeg_sends_may_be_changed_in_any_way() {
    let source = source(&[TEST_PICTURE, SINE, H264, "-crf 40", AAC]);
    let (output, received) = publish(&source.file, KEY);
    assert!(output.status.success());
    // Of the handshake nothing is looked at but the first byte.
    let handshake = 1 + 2 * 1536;
    let commands = handshake + 1_000;
    let mut random = Random(3);
    let (mut failed, mut refused, mut pieces) = (0, 0, 0);
    for count in 0..300 {
        let mut bytes = received.bytes.clone();
        match count % 3 {
            // The commands, the media with the chunks around it, and mostly the media.
            0 => {
                let mut rest = bytes.split_off(commands);
                mutate(&mut bytes, handshake, false, &mut random);
                bytes.append(&mut rest);
            }
            1 => mutate(&mut bytes, commands, false, &mut random),
            _ => mutate(&mut bytes, commands, true, &mut random),
        }
        let mut session = Session::new(Limits::default());
        let mut remuxer = Remuxer::new(OPTIONS);
        let size = 1 + random.below(32 * 1024);
        'publisher: for piece in bytes.chunks(size) {
            let Ok((_, events)) = session.receive(piece) else {
                failed += 1;
                break;
            };
            for event in events {
                match event {
                    Event::Publish { .. } => drop(session.accept()),
                    Event::Tag { kind, ms, body } => match remuxer.push(kind, ms, &body) {
                        Ok(new) => pieces += new.len(),
                        Err(_) => refused += 1,
                    },
                    Event::Unpublish => break 'publisher,
                }
            }
        }
        pieces += remuxer.finish().len();
    }
    println!("300 publishers: {failed} sessions failed, {refused} tags refused, {pieces} pieces");
    assert!(failed > 0 && refused > 0 && pieces > 600);

    // And the tags as the session gives them out.
    let tags = tags(&source.file);
    let (mut refused, mut pieces) = (0, 0);
    for _ in 0..300 {
        let mut remuxer = Remuxer::new(OPTIONS);
        for (kind, ms, body) in &tags {
            let (mut ms, mut body) = (*ms, body.clone());
            match random.below(20) {
                0 => mutate(&mut body, 0, false, &mut random),
                1 => ms ^= 1 << random.below(32),
                _ => {}
            }
            match remuxer.push(*kind, ms, &body) {
                Ok(new) => pieces += new.len(),
                Err(_) => refused += 1,
            }
        }
        pieces += remuxer.finish().len();
    }
    println!(
        "300 times {} tags: {refused} refused, {pieces} pieces",
        tags.len()
    );
    assert!(refused > 0 && pieces > 600);
}

/// The tags of an FLV file.
fn tags(file: &Path) -> Vec<(Kind, u32, Vec<u8>)> {
    let bytes = fs::read(file).expect("the file");
    let mut rest = &bytes[13..];
    let mut tags = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<11>() {
        let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let kind = match header[0] {
            8 => Kind::Audio,
            9 => Kind::Video,
            _ => Kind::Script,
        };
        let ms = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        tags.push((kind, ms, after[..length].to_vec()));
        rest = &after[length + 4..];
    }
    tags
}

#[test]
fn a_player_follows_other_pictures_and_other_times() {
    let first = source(&[TEST_PICTURE, SINE, H264, AAC]);
    let other = "-f lavfi -i testsrc2=size=320x240:rate=25";
    let second = source(&[other, SINE, H264, "-c:a aac -ac 1 -ar 44100"]);
    let mut remuxer = Remuxer::new(OPTIONS);
    let mut pieces = Vec::new();
    for source in [&first, &second] {
        for (kind, ms, body) in tags(&source.file) {
            pieces.extend(remuxer.push(kind, ms, &body).expect("the media is supported"));
        }
    }
    pieces.extend(remuxer.finish());

    let directory = first.directory.path();
    let mut playlist = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n".to_owned();
    let mut inits = 0;
    for (number, piece) in pieces.iter().enumerate() {
        let name = format!("{number}.mp4");
        let bytes = match piece {
            Piece::Init(init) => {
                if inits > 0 {
                    playlist += "#EXT-X-DISCONTINUITY\n";
                }
                inits += 1;
                playlist += &format!("#EXT-X-MAP:URI=\"{name}\"\n");
                &init.bytes
            }
            Piece::Segment(segment) => {
                playlist += &format!("#EXTINF:{:.6},\n{name}\n", segment.duration.as_secs_f64());
                &segment.bytes
            }
            Piece::Notice(notice) => panic!("{notice}"),
        };
        fs::write(directory.join(name), bytes).expect("it is written");
    }
    playlist += "#EXT-X-ENDLIST\n";
    assert_eq!(inits, 2);
    let file = directory.join("all.m3u8");
    fs::write(&file, playlist).expect("it is written");
    assert_eq!(md5(&file, VIDEO_PACKETS).len(), 360 + 300);
    let sounds = md5(&first.file, AUDIO_PACKETS).len() + md5(&second.file, AUDIO_PACKETS).len();
    assert_eq!(md5(&file, AUDIO_PACKETS).len(), sounds);
}
