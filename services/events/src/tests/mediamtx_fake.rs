//! A MediaMTX that speaks the documented JSON of its control API, in the names of old and of new versions. It streams nothing.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Which names its fields have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// `ready`, `readyTime`, `tracks`, `bytesReceived`.
    Old,
    /// `online`, `available`, `tracks2`, `inboundBytes`, with the old ones beside them.
    New,
}

#[derive(Default)]
pub struct Shown {
    /// Paths by name.
    pub paths: HashMap<String, Value>,
    /// Sessions by collection; a collection that is not here is 404.
    pub sessions: HashMap<String, Vec<Value>>,
    /// The beginnings of recorded files, by path.
    pub recordings: HashMap<String, Vec<String>>,
    /// What was kicked, as `collection/id`.
    pub kicked: Vec<String>,
    /// Kicks are refused.
    pub keeps: bool,
    /// What is answered to everything in place of what there is.
    pub instead: Option<(u16, String)>,
    /// How often that was answered.
    pub refused: usize,
}

/// The server. It goes with the test's runtime.
#[derive(Clone)]
pub struct Fake {
    pub shown: Arc<Mutex<Shown>>,
    pub url: String,
}

impl Fake {
    pub async fn start() -> Self {
        let shown = Arc::<Mutex<Shown>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/v3/{collection}/list", get(list))
            .route("/v3/paths/get/{name}", get(path))
            .route("/v3/{collection}/kick/{id}", post(kick))
            .route("/v3/recordings/get/{name}", get(recording))
            .route("/v3/recordings/deletesegment", delete(delete_segment))
            .with_state(shown.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shown, url }
    }

    /// Somebody publishes a path.
    pub fn publishes(&self, version: Version, name: &str, source: (&str, &str), bytes: u64) {
        let source = json!({"type": source.0, "id": source.1});
        let since = "2030-03-17T17:46:40.5Z";
        let shown = match version {
            Version::Old => json!({
                "name": name, "confName": "all_others", "source": source, "ready": true, "readyTime": since,
                "tracks": ["H264", "MPEG-4 Audio"], "bytesReceived": bytes, "bytesSent": 0, "readers": [],
            }),
            Version::New => json!({
                "name": name, "confName": "all_others", "source": source, "ready": true, "readyTime": since,
                "available": true, "availableTime": since, "online": true, "onlineTime": since,
                "tracks": ["H264", "MPEG-4 Audio"],
                "tracks2": [{"codec": "H264", "codecProps": {}}, {"codec": "MPEG-4 Audio", "codecProps": {}}],
                "inboundBytes": bytes, "outboundBytes": 0, "bytesReceived": 1, "readers": [],
            }),
        };
        self.shown.lock().paths.insert(name.to_owned(), shown);
    }

    /// It answers this to everything.
    pub fn answers(&self, status: u16, body: &str) {
        self.shown.lock().instead = Some((status, body.to_owned()));
    }

    /// It answers as it should.
    pub fn works(&self) {
        self.shown.lock().instead = None;
    }

    pub fn kicked(&self) -> Vec<String> {
        std::mem::take(&mut self.shown.lock().kicked)
    }
}

fn instead(shown: &mut Shown) -> Option<Response> {
    let (status, body) = shown.instead.clone()?;
    shown.refused += 1;
    Some((StatusCode::from_u16(status).unwrap(), body).into_response())
}

fn not_found() -> Response {
    let error = json!({"status": "error", "error": "not found"});
    (StatusCode::NOT_FOUND, Json(error)).into_response()
}

type There = State<Arc<Mutex<Shown>>>;

async fn list(
    State(shown): There,
    Path(collection): Path<String>,
    Query(asked): Query<HashMap<String, usize>>,
) -> Response {
    let mut shown = shown.lock();
    if let Some(instead) = instead(&mut shown) {
        return instead;
    }
    let all: Vec<Value> = match collection.as_str() {
        "paths" => {
            let mut paths: Vec<_> = shown.paths.iter().collect();
            paths.sort_by_key(|(name, _)| name.to_owned());
            paths.into_iter().map(|(_, path)| path.clone()).collect()
        }
        other => match shown.sessions.get(other) {
            Some(sessions) => sessions.clone(),
            None => return not_found(),
        },
    };
    let (size, page) = (asked["itemsPerPage"], asked["page"]);
    let items: Vec<_> = all.iter().skip(page * size).take(size).collect();
    // Go writes no items as null.
    let items = if items.is_empty() {
        Value::Null
    } else {
        json!(items)
    };
    let answer = json!({"itemCount": all.len(), "pageCount": all.len().div_ceil(size), "items": items});
    Json(answer).into_response()
}

async fn path(State(shown): There, Path(name): Path<String>) -> Response {
    let mut shown = shown.lock();
    if let Some(instead) = instead(&mut shown) {
        return instead;
    }
    match shown.paths.get(&name) {
        Some(path) => Json(path.clone()).into_response(),
        None => not_found(),
    }
}

async fn kick(State(shown): There, Path((collection, id)): Path<(String, String)>) -> Response {
    let mut shown = shown.lock();
    if let Some(instead) = instead(&mut shown) {
        return instead;
    }
    shown.kicked.push(format!("{collection}/{id}"));
    if shown.keeps {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    shown.paths.retain(|_, path| path["source"]["id"] != json!(id));
    if let Some(sessions) = shown.sessions.get_mut(&collection) {
        sessions.retain(|session| session["id"] != json!(id));
    }
    Json(json!({"status": "ok"})).into_response()
}

async fn recording(State(shown): There, Path(name): Path<String>) -> Response {
    let mut shown = shown.lock();
    if let Some(instead) = instead(&mut shown) {
        return instead;
    }
    let starts = shown.recordings.get(&name).cloned().unwrap_or_default();
    let segments: Vec<_> = starts.iter().map(|start| json!({"start": start})).collect();
    let segments = if segments.is_empty() {
        Value::Null
    } else {
        json!(segments)
    };
    Json(json!({"name": name, "segments": segments})).into_response()
}

async fn delete_segment(State(shown): There, Query(asked): Query<HashMap<String, String>>) -> Response {
    let mut shown = shown.lock();
    if let Some(instead) = instead(&mut shown) {
        return instead;
    }
    let Some(starts) = shown.recordings.get_mut(&asked["path"]) else {
        return not_found();
    };
    let before = starts.len();
    starts.retain(|start| *start != asked["start"]);
    match starts.len() < before {
        true => Json(json!({"status": "ok"})).into_response(),
        false => not_found(),
    }
}
