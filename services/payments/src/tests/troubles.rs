//! Failures of the fakes.

use std::{collections::HashMap, future::pending, sync::Arc};

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::Response,
};
use common::problem::PROBLEM_JSON;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;

/// How a call fails.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// No effect, and this response.
    Instead(u16, String),
    /// The effect, and this response.
    After(u16, String),
    /// No effect, and no response.
    Silent,
    /// The effect, and no response.
    SilentAfter,
    /// The right response, once the test adds a permit.
    Waits(Arc<Semaphore>),
}

/// The failures of one fake, by call, and the calls that it received.
#[derive(Default)]
pub struct Troubles {
    troubles: Mutex<HashMap<&'static str, Trouble>>,
    calls: Mutex<Vec<&'static str>>,
}

impl Troubles {
    pub fn at(&self, call: &'static str, trouble: Trouble) {
        self.troubles.lock().insert(call, trouble);
    }

    pub fn over(&self) {
        self.troubles.lock().clear();
    }

    /// How often a call was received.
    pub fn calls(&self, call: &str) -> usize {
        self.calls.lock().iter().filter(|name| **name == call).count()
    }

    /// Responds, or fails as the test has set it.
    pub async fn answer(&self, call: &'static str, right: impl FnOnce() -> Response) -> Response {
        self.calls.lock().push(call);
        let trouble = self.troubles.lock().get(call).cloned();
        match trouble {
            None => right(),
            Some(Trouble::Instead(status, body)) => answer(status, body),
            Some(Trouble::After(status, body)) => {
                right();
                answer(status, body)
            }
            Some(Trouble::Silent) => pending().await,
            Some(Trouble::SilentAfter) => {
                right();
                pending().await
            }
            Some(Trouble::Waits(until)) => {
                until.acquire().await.unwrap().forget();
                right()
            }
        }
    }
}

pub fn json(status: u16, body: &Value) -> Response {
    answer(status, body.to_string())
}

fn answer(status: u16, body: String) -> Response {
    let problem = serde_json::from_str::<Value>(&body).is_ok_and(|body| body["code"].is_string());
    let kind = if problem { PROBLEM_JSON } else { "application/json" };
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    let kind = header::HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}
