//! Streams: what encoders send, and what it costs to pass it on.

mod crowd;
pub mod encoders;
mod ingest;
mod viewers;

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    failure::{Failure, Outcome},
    lab::{Lab, ask, parsed},
    load::template::Template,
    report::Report,
};

/// Packets of MPEG-TS in a segment: 250 kB, two seconds of 1 Mbit/s.
const PACKETS: usize = 1_330;

/// Measures what viewers get and what publishers send, with segments that are ones by their form.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    viewers::run(lab, report).await?;
    crowd::run(lab, report).await?;
    ingest::run(lab, report).await
}

/// A segment that is one by its form.
fn segment(packets: usize) -> Bytes {
    let mut packet = [0xff_u8; 188];
    packet[0] = 0x47;
    Bytes::from(packet.repeat(packets))
}

/// A stream that was made.
#[derive(Clone)]
struct Stream {
    id: String,
    key: String,
    /// Where to send it by HTTP, and by RTMP without the key.
    http: SocketAddr,
    rtmp: String,
}

impl Stream {
    async fn of(lab: &Lab, event: &str) -> Outcome<Self> {
        let make = Template::post(
            &format!("/api/organiser/events/{event}/streams"),
            &json!({ "title": "Main stage", "kind": "ingest" }),
        )?;
        let made = parsed(&ask(lab.doors.gateway, make.bearer(&lab.stage.token)?, 201).await?)?;
        let at = text(&made["ingest"]["hls"]);
        let port = at
            .rsplit(':')
            .next()
            .and_then(|rest| rest.split('/').next()?.parse().ok());
        let port = port.ok_or_else(|| Failure::new("no ingest port"))?;
        Ok(Self {
            id: text(&made["stream_id"]),
            key: text(&made["stream_key"]),
            http: SocketAddr::new(lab.doors.gateway.ip(), port),
            rtmp: text(&made["ingest"]["rtmp"]),
        })
    }

    /// What sends a file of it.
    fn file(&self, name: &str, file: Bytes) -> Outcome<Template> {
        Template::upload(&format!("/hls/{}/{name}", self.key), file)
    }

    /// Sends a segment, and the playlist that lists it.
    async fn publish(&self, segment: Bytes) -> Outcome<()> {
        for (name, file) in [("a.ts", segment), ("live.m3u8", playlist(0, "a.ts").into())] {
            ask(self.http, self.file(name, file)?, 201).await?;
        }
        Ok(())
    }

    /// The request that begins a playback.
    fn playback(&self, token: &str) -> Outcome<Template> {
        let path = format!("/api/live/streams/{}/playback", self.id);
        Template::upload(&path, Bytes::new())?.bearer(token)
    }
}

/// A playlist of one segment.
fn playlist(number: usize, name: &str) -> String {
    format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{number}\n#EXTINF:2.0,\n{name}\n")
}

/// The path of the live playlist, by what began the playback.
fn live_playlist(begun: &Value) -> Outcome<String> {
    let url = text(&begun["url"]);
    let path = url.find("/api/").map(|at| url[at..].to_owned());
    let path = path.ok_or_else(|| Failure::new("no playlist"))?;
    Ok(path.replace("master.m3u8", "live.m3u8"))
}

/// The path of the first segment that a playlist lists.
fn first_segment(playlist: &str, text: &[u8]) -> Outcome<String> {
    let text = String::from_utf8_lossy(text).into_owned();
    let name = text.lines().find(|line| !line.starts_with('#'));
    let name = name.ok_or_else(|| Failure::new("no segment"))?;
    let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
    Ok(format!("{folder}/{name}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
