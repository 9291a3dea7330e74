//! MediaMTX's control API. Every answer has a bound, of time and of size.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::SecondsFormat;
use common::clock::Timestamp;
use serde::de::DeserializeOwned;
use url::Url;

use super::answers::{Connection, List, Path, Recording, Session};

/// How long a connection, and a whole answer, may take.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);
/// The largest answer, in bytes.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// Items on a page.
const PAGE: u32 = 1_000;
/// Pages of a list that are read.
const PAGES: u32 = 50;

/// MediaMTX gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum MediaMtxError {
    /// None at all.
    #[error("MediaMTX does not answer: {0}")]
    Away(String),
    /// With this status.
    #[error("MediaMTX answered with {0}")]
    Status(StatusCode),
    /// With something else than was asked for.
    #[error("MediaMTX's answer is not understood: {0}")]
    Form(String),
}

/// The control API of one.
pub struct Api {
    http: reqwest::Client,
    url: String,
}

impl Api {
    pub fn new(url: String) -> Result<Self, String> {
        // Whoever installs one first is right: it is the same everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let http = http.map_err(|error| format!("MediaMTX's client could not be made: {error}."))?;
        Ok(Self { http, url })
    }

    /// All paths.
    pub async fn paths(&self) -> Result<Vec<Path>, MediaMtxError> {
        self.list("paths").await
    }

    /// A path; `None`: it is not there.
    pub async fn path(&self, name: &str) -> Result<Option<Path>, MediaMtxError> {
        self.found(&["paths", "get", name]).await
    }

    /// The sessions of one of its protocols; none, where this version or its settings do not have it.
    pub async fn sessions(&self, collection: &str) -> Result<Vec<Session>, MediaMtxError> {
        match self.list(collection).await {
            Err(MediaMtxError::Status(StatusCode::NOT_FOUND)) => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Cuts off a session that is there, or was a moment ago.
    pub async fn kick(&self, collection: &str, id: &str) -> Result<(), MediaMtxError> {
        let url = self.address(&[collection, "kick", id])?;
        self.send(self.http.post(url)).await.map(drop)
    }

    /// Cuts off what publishes or reads.
    pub async fn cut(&self, connection: &Connection) -> Result<(), MediaMtxError> {
        let Some(collection) = connection.collection() else {
            return Err(MediaMtxError::Form(format!(
                "{} cannot be cut off",
                connection.kind
            )));
        };
        self.kick(collection, &connection.id).await
    }

    /// When the files of a path's recording begin.
    pub async fn recording(&self, path: &str) -> Result<Vec<Timestamp>, MediaMtxError> {
        let found: Option<Recording> = self.found(&["recordings", "get", path]).await?;
        let segments = found.into_iter().flat_map(|recording| recording.segments);
        Ok(segments.map(|segment| segment.start).collect())
    }

    /// Deletes a file of a recording that is there, or was a moment ago.
    pub async fn delete_segment(&self, path: &str, start: Timestamp) -> Result<(), MediaMtxError> {
        let mut url = self.address(&["recordings", "deletesegment"])?;
        url.query_pairs_mut()
            .append_pair("path", path)
            .append_pair("start", &start.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        self.send(self.http.delete(url)).await.map(drop)
    }

    async fn list<T: DeserializeOwned>(&self, what: &str) -> Result<Vec<T>, MediaMtxError> {
        let mut all = Vec::new();
        for page in 0..PAGES {
            let mut url = self.address(&[what, "list"])?;
            url.query_pairs_mut()
                .append_pair("itemsPerPage", &PAGE.to_string())
                .append_pair("page", &page.to_string());
            let Some(bytes) = self.send(self.http.get(url)).await? else {
                return Err(MediaMtxError::Status(StatusCode::NOT_FOUND));
            };
            let list: List<T> = read(&bytes)?;
            all.extend(list.items);
            if page + 1 >= list.page_count {
                return Ok(all);
            }
        }
        // What is not listed would count as gone.
        Err(MediaMtxError::Form(format!("more than {} {what}", PAGE * PAGES)))
    }

    async fn found<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<T>, MediaMtxError> {
        let bytes = self.send(self.http.get(self.address(path)?)).await?;
        bytes.map(|bytes| read(&bytes)).transpose()
    }

    fn address(&self, path: &[&str]) -> Result<Url, MediaMtxError> {
        let no_address = |why: &str| MediaMtxError::Form(format!("its address: {why}"));
        let mut url = Url::parse(&self.url).map_err(|error| no_address(&error.to_string()))?;
        url.path_segments_mut()
            .map_err(|()| no_address("it has no path"))?
            .pop_if_empty()
            .push("v3")
            .extend(path);
        Ok(url)
    }

    /// `None`: 404.
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Option<Vec<u8>>, MediaMtxError> {
        // The address of the control API is no secret, but only the source says what is wrong.
        let away = |error: reqwest::Error| {
            let error = error.without_url();
            let why = std::error::Error::source(&error).map(|why| why.to_string());
            MediaMtxError::Away(why.unwrap_or_else(|| error.to_string()))
        };
        let mut response = request.send().await.map_err(away)?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(MediaMtxError::Status(status));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(MediaMtxError::Form("it is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MediaMtxError> {
    serde_json::from_slice(bytes).map_err(|error| MediaMtxError::Form(error.to_string()))
}
