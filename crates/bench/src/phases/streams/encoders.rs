//! Real encoders and a real player: how old a picture is when it is seen, and what twenty encoders by RTMP cost. ffmpeg, Node and
//! Chromium are those that `./test` brings, named by the same variables.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Stream,
    ingest::{ENCODERS, Used},
    text,
};
use crate::{
    failure::{Doing, Failure, Outcome},
    lab::{Lab, PASSWORD, PLENTY, ask, parsed},
    load::template::Template,
    report::{Report, Row},
    stats::{Latency, millis, thousands},
};

/// Pictures a second.
const RATE: u32 = 25;
/// How long a stream may take until it is live.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a stream has run when its viewer comes: its playlist is full, so that the player can keep the distance that it wants.
const BEFORE: Duration = Duration::from_secs(20);
/// Seconds of the recording that is sent twenty times.
const RECORDED: u32 = 20;

/// What an encoder sends over.
#[derive(Clone, Copy)]
enum Way {
    Http,
    Rtmp,
}

/// The programs.
struct Tools {
    ffmpeg: OsString,
    node: OsString,
    modules: OsString,
}

impl Tools {
    fn find() -> Outcome<Self> {
        let named = |name: &str| {
            env::var_os(name).ok_or_else(|| {
                Failure::new(format!(
                    "set {name} as ./test does: real encoders and a browser are needed"
                ))
            })
        };
        Ok(Self {
            ffmpeg: named("ORGANISE_FFMPEG")?,
            node: named("ORGANISE_NODE")?,
            modules: named("ORGANISE_NODE_MODULES")?,
        })
    }

    fn ffmpeg(&self) -> Command {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Sends pictures that have the time at which they were made in 20 columns, one for each bit of its milliseconds, with a tone.
    fn clock(&self, stream: &Stream, way: Way, keyframes: u32) -> Outcome<Encoder> {
        let pictures = format!(
            "color=black:s=320x180:r={RATE},realtime,setpts=RTCTIME/(TB*1000000),\
             geq=lum='if(mod(floor(T*1000/pow(2,floor(X/16))),2),235,16)':cb=128:cr=128,setpts=N/{RATE}/TB"
        );
        let mut command = self.ffmpeg();
        command.args([
            "-f",
            "lavfi",
            "-i",
            &pictures,
            "-re",
            "-f",
            "lavfi",
            "-i",
            "sine=sample_rate=48000",
        ]);
        command.args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-pix_fmt",
            "yuv420p",
        ]);
        let distance = (keyframes * RATE).to_string();
        command.args([
            "-g",
            &distance,
            "-keyint_min",
            &distance,
            "-sc_threshold",
            "0",
            "-c:a",
            "aac",
        ]);
        match way {
            Way::Rtmp => command.args(["-f", "flv", &rtmp(stream)]),
            Way::Http => {
                let at = format!("http://{}/hls/{}", stream.http, stream.key);
                let seconds = keyframes.to_string();
                command.args([
                    "-f",
                    "hls",
                    "-method",
                    "PUT",
                    "-http_persistent",
                    "0",
                    "-hls_time",
                    &seconds,
                ]);
                command.args(["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4"]);
                let names = format!("{at}/live_%d.m4s");
                command.args([
                    "-hls_list_size",
                    "8",
                    "-hls_segment_filename",
                    &names,
                    &format!("{at}/live.m3u8"),
                ])
            }
        };
        Encoder::start(command)
    }

    /// A recording of 5 Mbit/s.
    fn recording(&self, directory: &Path) -> Outcome<PathBuf> {
        let file = directory.join("recording.mp4");
        let mut command = self.ffmpeg();
        command.args([
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=1280x720:rate=30",
            "-f",
            "lavfi",
            "-i",
            "sine=sample_rate=48000",
        ]);
        command.args([
            "-t",
            &RECORDED.to_string(),
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-g",
            "60",
        ]);
        command.args([
            "-b:v", "5M", "-minrate", "5M", "-maxrate", "5M", "-bufsize", "5M", "-nal-hrd", "cbr",
        ]);
        command.args(["-pix_fmt", "yuv420p", "-c:a", "aac"]).arg(&file);
        let status = command.status().doing("ffmpeg")?;
        match status.success() {
            true => Ok(file),
            false => Err(Failure::new(format!("ffmpeg: {status}"))),
        }
    }

    fn send(&self, recording: &Path, stream: &Stream) -> Outcome<Encoder> {
        let mut command = self.ffmpeg();
        command.arg("-re").arg("-i").arg(recording);
        command.args(["-c", "copy", "-f", "flv", &rtmp(stream)]);
        Encoder::start(command)
    }
}

fn rtmp(stream: &Stream) -> String {
    let at = stream.rtmp.replace("localhost", "127.0.0.1");
    format!("{at}/{}", stream.key)
}

/// A running ffmpeg. Dropped, it is killed.
struct Encoder(Child);

impl Encoder {
    fn start(mut command: Command) -> Outcome<Self> {
        command.spawn().doing("ffmpeg").map(Self)
    }

    /// Waits until it has sent everything.
    async fn ends(&mut self) -> Outcome<()> {
        loop {
            match self.0.try_wait().doing("ffmpeg")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Failure::new(format!("an encoder ended with {status}"))),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let tools = Tools::find()?;
    for (way, name, keyframes) in [
        (Way::Http, "HTTP", 1),
        (Way::Rtmp, "RTMP", 1),
        (Way::Rtmp, "RTMP", 2),
    ] {
        lab.progress.say(&format!(
            "encoders, latency by {name}, a keyframe every {keyframes} s"
        ));
        let ages = latency(lab, &tools, way, keyframes).await?;
        let second = |micros: u32| millis(f64::from(micros) / 1_000_000.0);
        report.row(Row {
            path: format!("streams: from the encoder by {name} to a picture in the browser, a keyframe every {keyframes} s"),
            result: format!("p50 {}, p99 {} s", second(ages.p50), second(ages.p99)),
            ..Row::default()
        });
    }
    twenty(lab, &tools, report).await
}

/// How old pictures are when the watch page shows them.
async fn latency(lab: &Lab, tools: &Tools, way: Way, keyframes: u32) -> Outcome<Latency> {
    let event = lab.event("Latency", PLENTY, 0).await?;
    let viewer = lab.sign_up(1).await?.remove(0);
    let register = Template::post("/api/reg/register_event", &json!({ "event_id": event }))?;
    ask(lab.doors.gateway, register.bearer(&viewer.token)?, 201).await?;
    let stream = Stream::of(lab, &event).await?;
    let _encoder = tools.clock(&stream, way, keyframes)?;
    until_live(lab, &event, 1).await?;
    tokio::time::sleep(BEFORE).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/tools/latency.mjs");
    let mut page = Command::new(&tools.node);
    page.arg(script).arg(format!("http://{}", lab.doors.gateway));
    page.args([
        &event,
        &viewer.email,
        PASSWORD,
        &lab.options.time.as_secs().max(1).to_string(),
    ]);
    page.env("NODE_PATH", &tools.modules).env("TMPDIR", &lab.data);
    page.stdin(Stdio::null()).stderr(Stdio::inherit());
    let page = tokio::task::spawn_blocking(move || page.output()).await;
    let shown = page.doing("the browser")?.doing("the browser")?;
    let ages: Vec<u32> = serde_json::from_slice(&shown.stdout).doing("what the browser has seen")?;
    Ok(Latency::of(ages.into_iter().map(|age| age.saturating_mul(1_000))))
}

/// Waits until so many streams of an event are live.
async fn until_live(lab: &Lab, event: &str, count: usize) -> Outcome<()> {
    let since = Instant::now();
    let list = Template::get(&format!("/api/organiser/events/{event}/streams"))?;
    let list = list.bearer(&lab.stage.token)?;
    while since.elapsed() < PATIENCE {
        let streams = parsed(&ask(lab.doors.gateway, list.clone(), 200).await?)?;
        let states = streams.as_array().into_iter().flatten();
        if states.filter(|stream| text(&stream["state"]) == "live").count() == count {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Failure::new(format!(
        "{count} streams are not live within {} s",
        PATIENCE.as_secs()
    )))
}

/// Twenty at once, which need no processor themselves because they only copy.
async fn twenty(lab: &Lab, tools: &Tools, report: &mut Report) -> Outcome<()> {
    lab.progress.say(&format!("encoders, a recording for {ENCODERS}"));
    let recording = tools.recording(&lab.data)?;
    let size = std::fs::metadata(&recording).doing("the recording")?.len();
    let event = lab.event("Twenty stages", PLENTY, 0).await?;
    let mut streams = Vec::with_capacity(ENCODERS);
    for _ in 0..ENCODERS {
        streams.push(Stream::of(lab, &event).await?);
    }
    lab.progress.say(&format!("encoders, {ENCODERS} by RTMP"));
    let used = Used::from_now(lab);
    let started: Outcome<Vec<Encoder>> = streams
        .iter()
        .map(|stream| tools.send(&recording, stream))
        .collect();
    let mut encoders = started?;
    until_live(lab, &event, ENCODERS).await?;
    for encoder in &mut encoders {
        encoder.ends().await?;
    }
    let used = used.text(lab);
    let list = Template::get(&format!("/api/organiser/events/{event}/streams"))?;
    let list = parsed(&ask(lab.doors.gateway, list.bearer(&lab.stage.token)?, 200).await?)?;
    let kept = list.as_array().into_iter().flatten();
    let kept: Vec<u64> = kept.filter_map(|stream| stream["bytes"].as_u64()).collect();
    let least = kept.iter().min().copied().unwrap_or_default();
    // Of the last second the end of the connection tells; the boxes of the recording are others.
    let all = kept.len() == ENCODERS && least as f64 > size as f64 * 0.9;
    report.row(Row {
        path: format!("streams: {ENCODERS} encoders of 5 Mbit/s by RTMP"),
        result: format!(
            "each kept {} kB at least of {}; {used}",
            thousands(least / 1_000),
            thousands(size / 1_000)
        ),
        target: "all kept".into(),
        met: Some(all),
        ..Row::default()
    });
    Ok(())
}
