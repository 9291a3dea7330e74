//! Answers of the system, captured so that the bare program can send the same bytes.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// Headers that the HTTP library writes by itself and that would be wrong or doubled if repeated.
const WRITTEN_BY_THE_SERVER: [&str; 5] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "transfer-encoding",
];

/// One captured answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Captured {
    /// The status code.
    pub status: u16,
    /// Name and value of every header but those that the server library writes itself.
    pub headers: Vec<(String, String)>,
    /// The body, JSON text.
    pub body: String,
}

impl Captured {
    /// Captures an answer.
    #[must_use]
    pub fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let headers = headers
            .iter()
            .filter(|(name, _)| !WRITTEN_BY_THE_SERVER.contains(&name.as_str()))
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into(),
                )
            })
            .collect();
        Self {
            status,
            headers,
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }
}

/// What the bare program answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answers {
    /// To `GET /api/organiser/events`.
    pub list: Captured,
    /// To `POST /api/reg/register_event`.
    pub register: Captured,
}
