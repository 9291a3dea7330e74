//! Keeps web pages away from the controls: a page of any site can have a browser post to a loopback address.

use axum::{
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::failure::Failure;

/// Refuses requests that a page of another origin makes. Programs send no `Origin`.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let foreign = request.headers().get(header::ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        origin.map(|(_, authority)| authority) != host
    });
    if foreign {
        return Failure::of_status(StatusCode::FORBIDDEN)
            .saying("The controls cannot be used from another site's pages.")
            .into_response();
    }
    next.run(request).await
}
