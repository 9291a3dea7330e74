//! An encoder and a decoder: the pinned ffmpeg.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::secrets;

/// The pinned ffmpeg.
pub fn ffmpeg() -> Command {
    let program = std::env::var_os("ORGANISE_FFMPEG").expect("ORGANISE_FFMPEG, as ./test sets it");
    let mut command = Command::new(program);
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]);
    command
}

/// Runs it to its end.
pub fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().expect("ffmpeg runs")
}

/// What it is told to do, or the test fails with its words.
pub fn succeeds(command: Command) -> Output {
    let output = run(command);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ffmpeg: {words}");
    output
}

/// A recording to send: so many seconds of moving pictures and a tone, a keyframe every second.
pub fn source(directory: &Path, seconds: u32) -> PathBuf {
    let file = directory.join(format!("source-{seconds}.mp4"));
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]);
    command.args([
        "-t",
        &seconds.to_string(),
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "30",
    ]);
    command.args([
        "-keyint_min",
        "30",
        "-sc_threshold",
        "0",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
    ]);
    command.arg(&file);
    succeeds(command);
    file
}

/// A hash of each frame of the pictures, decoded.
pub fn frames(input: &str) -> Vec<String> {
    let mut command = ffmpeg();
    command.args(["-i", input, "-map", "0:v:0", "-f", "framemd5", "-"]);
    let output = succeeds(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let hash = |line: &str| line.rsplit(',').next().map(|hash| hash.trim().to_owned());
    let frames = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(hash);
    frames.collect()
}

/// How a stream is sent by HTTP PUT.
#[derive(Clone, Copy)]
pub struct Put<'a> {
    /// Whether at the pace of its time, or as fast as it goes.
    pub in_real_time: bool,
    /// Whether as fragments of an MP4, or as MPEG-TS.
    pub mp4: bool,
    /// The playlist's name.
    pub playlist: &'a str,
}

/// Sends a file to a stream. It runs until the file is sent.
pub fn put(file: &Path, created: &Value, put: Put<'_>) -> Child {
    let key = created["stream_key"].as_str().expect("a stream key");
    secrets::note(key);
    let address = created["ingest"]["hls"]
        .as_str()
        .expect("an address")
        .replace("localhost", "127.0.0.1");
    let mut command = ffmpeg();
    if put.in_real_time {
        command.arg("-re");
    }
    command.arg("-i").arg(file).args([
        "-c",
        "copy",
        "-f",
        "hls",
        "-method",
        "PUT",
        "-ignore_io_errors",
        "1",
    ]);
    command.args(["-hls_time", "1", "-hls_list_size", "8", "-http_persistent", "0"]);
    let stem = put.playlist.trim_end_matches(".m3u8");
    let suffix = if put.mp4 { "m4s" } else { "ts" };
    if put.mp4 {
        command.args(["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4"]);
    }
    command.args([
        "-hls_segment_filename",
        &format!("{address}/{key}/{stem}_%d.{suffix}"),
    ]);
    command.arg(format!("{address}/{key}/{}", put.playlist));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().expect("ffmpeg runs")
}

/// The addresses in a playlist, initializations included.
pub fn addresses(playlist: &str) -> Vec<&str> {
    fn address(line: &str) -> Option<&str> {
        match line.split_once("URI=\"") {
            Some((_, rest)) => rest.split('"').next(),
            None => Some(line).filter(|line| !line.is_empty() && !line.starts_with('#')),
        }
    }
    playlist.lines().filter_map(address).collect()
}

/// How long the segments of a playlist play, in seconds.
pub fn duration(playlist: &str) -> f64 {
    let seconds = |line: &str| {
        line.strip_prefix("#EXTINF:")?
            .trim_end_matches(',')
            .parse::<f64>()
            .ok()
    };
    playlist.lines().filter_map(seconds).sum()
}

/// Publishes a file to a stream by RTMP, in real time. It runs until the file is sent.
pub fn rtmp(file: &Path, created: &Value) -> Child {
    let key = created["stream_key"].as_str().expect("a stream key");
    secrets::note(key);
    let address = created["ingest"]["rtmp"]
        .as_str()
        .expect("an address")
        .replace("localhost", "127.0.0.1");
    let mut command = ffmpeg();
    command
        .arg("-re")
        .arg("-i")
        .arg(file)
        .args(["-c", "copy", "-f", "flv"]);
    command.arg(format!("{address}/{key}"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().expect("ffmpeg runs")
}
