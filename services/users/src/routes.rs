//! The table of routes.

use axum::{
    Router,
    routing::{get, post},
};
use common::sessions;
use runtime::user_directory;
use utoipa::{OpenApi as _, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, docs::Document, handlers, internal, pages};

/// Everything that is the service's own, and the document of what is public.
pub fn router(app: App) -> (Router, OpenApi) {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(handlers::register::register))
        .routes(routes!(handlers::login::login))
        .routes(routes!(handlers::refresh::refresh))
        .routes(routes!(handlers::logout::logout))
        .routes(routes!(handlers::logout::logout_all))
        .routes(routes!(handlers::sessions::list))
        .routes(routes!(handlers::sessions::end))
        .routes(routes!(handlers::change_password::change_password))
        .routes(routes!(handlers::forgot_password::forgot_password))
        .routes(routes!(handlers::reset_password::reset_password))
        .routes(routes!(handlers::change_email::change_email))
        .routes(routes!(handlers::verify_email::verify_email))
        .routes(routes!(handlers::send_verification::send_verification))
        .routes(routes!(
            handlers::propose_totp::propose_totp,
            handlers::remove_totp::remove_totp
        ))
        .routes(routes!(handlers::confirm_totp::confirm_totp))
        .routes(routes!(
            handlers::create_api_key::create_api_key,
            handlers::api_keys::list
        ))
        .routes(routes!(handlers::api_keys::delete))
        .routes(routes!(handlers::google_sign_in::google_sign_in))
        .routes(routes!(handlers::google_callback::google_callback))
        .routes(routes!(handlers::exchange_code::exchange_code))
        .routes(routes!(handlers::link_google::link_google))
        .routes(routes!(
            handlers::me::me,
            handlers::update_me::update_me,
            handlers::delete_me::delete_me
        ))
        .routes(routes!(handlers::export_me::export_me))
        .split_for_parts();
    (
        router
            .route(user_directory::PATH, post(internal::lookup::lookup))
            .route("/verify-email", get(pages::verify_email))
            .route("/reset-password", get(pages::reset_password))
            .route(common::api_keys::PATH, post(internal::api_keys::lookup))
            .route(sessions::PATH, post(internal::ended_sessions::ended_sessions))
            .with_state(app),
        document,
    )
}
