//! Requests, prepared before the clock starts.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;

use crate::failure::{Doing, Outcome};

/// A request that can be sent any number of times; copying it copies no text.
#[derive(Debug, Clone)]
pub struct Template {
    method: Method,
    uri: Uri,
    authorization: Option<HeaderValue>,
    body: Bytes,
}

impl Template {
    /// A request without a body.
    pub fn get(path: &str) -> Outcome<Self> {
        let uri = path.parse().doing(path)?;
        Ok(Self {
            method: Method::GET,
            uri,
            authorization: None,
            body: Bytes::new(),
        })
    }

    /// A POST of JSON.
    pub fn post(path: &str, body: &serde_json::Value) -> Outcome<Self> {
        Ok(Self {
            method: Method::POST,
            body: body.to_string().into(),
            ..Self::get(path)?
        })
    }

    /// A PATCH with JSON.
    pub fn patch(path: &str, body: &serde_json::Value) -> Outcome<Self> {
        Ok(Self {
            method: Method::PATCH,
            ..Self::post(path, body)?
        })
    }

    /// A POST of a file.
    pub fn upload(path: &str, file: Bytes) -> Outcome<Self> {
        Ok(Self {
            method: Method::POST,
            body: file,
            ..Self::get(path)?
        })
    }

    /// The same request, signed in.
    pub fn bearer(self, token: &str) -> Outcome<Self> {
        let value = HeaderValue::try_from(format!("Bearer {token}")).doing("authorization")?;
        Ok(Self {
            authorization: Some(value),
            ..self
        })
    }

    /// The request to send.
    pub fn request(&self, host: &HeaderValue) -> Request<Full<Bytes>> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        let mut request = Request::new(Full::new(self.body.clone()));
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.uri);
        let mut put = |name: HeaderName, value: HeaderValue| request.headers_mut().insert(name, value);
        put(header::HOST, host.clone());
        if let Some(authorization) = &self.authorization {
            put(header::AUTHORIZATION, authorization.clone());
        }
        if !self.body.is_empty() {
            put(header::CONTENT_TYPE, JSON);
        }
        request
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.uri)
    }
}
