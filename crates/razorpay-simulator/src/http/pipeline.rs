//! The pipeline. Every request passes here before a route is looked for: slashes at the end are dropped,
//! credentials are checked, and the faults that the controls ask for are brought about.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::Frame;
use tower::ServiceExt;

use super::auth;
use crate::{
    app::App,
    failure::Failure,
    faults::{Fault, FaultKind},
};

/// The routes, and what the pipeline needs.
#[derive(Clone)]
pub(crate) struct Pipeline {
    app: App,
    routes: Router,
}

impl Pipeline {
    /// A router that lets requests to `routes` through.
    pub(crate) fn router(app: App, routes: Router) -> Router {
        Router::new().fallback(enter).with_state(Self { app, routes })
    }
}

async fn enter(State(pipeline): State<Pipeline>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    parts.uri = without_trailing_slash(&parts.uri);
    let path = parts.uri.path();
    // What browsers of payers open: the pages know by the key id whose they are.
    let is_page = path == "/sim" || path.starts_with("/sim/") || path.starts_with("/v1/checkout");
    if is_page {
        return run(&pipeline, Request::from_parts(parts, body)).await;
    }
    if let Err(failure) = auth::check(&parts, &pipeline.app.settings) {
        return failure.into_response();
    }
    match pipeline.app.faults.take(&parts.method, path) {
        None => run(&pipeline, Request::from_parts(parts, body)).await,
        Some(fault) => disturbed(&pipeline, fault, Request::from_parts(parts, body)).await,
    }
}

async fn run(pipeline: &Pipeline, request: Request) -> Response {
    // A router never fails.
    pipeline
        .routes
        .clone()
        .oneshot(request)
        .await
        .unwrap_or_else(|never| match never {})
}

async fn disturbed(pipeline: &Pipeline, fault: Fault, request: Request) -> Response {
    // `Err` holds the request that has not been worked on.
    let answer = if fault.before {
        Err(request)
    } else {
        Ok(run(pipeline, request).await)
    };
    tokio::time::sleep(fault.delay).await;
    match fault.kind {
        FaultKind::Delay => match answer {
            Ok(answer) => answer,
            Err(request) => run(pipeline, request).await,
        },
        FaultKind::Status { status, description } => {
            let failure = Failure::of_status(status);
            match description {
                Some(text) => failure.saying(&text).into_response(),
                None => failure.into_response(),
            }
        }
        FaultKind::Html { status } => {
            let page = format!(
                "<html>\r\n<head><title>{status}</title></head>\r\n<body>{status}</body>\r\n</html>\r\n"
            );
            (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
        }
        FaultKind::Drop => {
            let content = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CONTENT_LENGTH, "512"),
            ];
            (StatusCode::OK, content, Body::new(HangUp)).into_response()
        }
    }
}

/// The content of an answer that never comes: the server closes the connection before it has sent a byte.
struct HangUp;

impl hyper::body::Body for HangUp {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(Err(io::Error::other("dropped as the controls ask"))))
    }
}

fn without_trailing_slash(uri: &Uri) -> Uri {
    let path = uri.path();
    if path.len() < 2 || !path.ends_with('/') {
        return uri.clone();
    }
    let path = path.trim_end_matches('/');
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    // Only slashes were dropped, so it still parses, except for `//`, which has no path left.
    parts.path_and_query = PathAndQuery::try_from(path_and_query).ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
