//! `DELETE /api/users/me`: the end of an account.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    clock::Timestamp,
    extract::{self, Caller, ClientIp},
    fields::{Fields, FromFields},
    http::pipeline::private,
    problem::ApiError,
    time,
};
use runtime::user_directory;
use serde::Serialize;
use utoipa::ToSchema;

use super::me::account_gone;
use crate::{
    app::App,
    credentials::{self, reauthentication_required, wrong_password},
    deletion,
    domain::Password,
    signed_in,
    store::{Deleted, Proved},
};

/// The password, because what was deleted does not come back.
#[derive(ToSchema)]
pub struct DeleteMe {
    /// Unless the account has none: then a sign-in of the last ten minutes counts.
    #[schema(value_type = Option<String>, format = "password", example = "correct horse battery staple")]
    password: Option<Password>,
}

impl FromFields for DeleteMe {
    const EMPTY_BODY_ALLOWED: bool = true;

    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let password = fields.optional("password", |value| value.string().map(Password::claimed));
        Some(Self { password })
    }
}

/// The account is deleted.
#[derive(Serialize, ToSchema)]
pub struct AccountDeleted {
    #[schema(example = "Account deleted.")]
    message: &'static str,
    /// Sessions and API keys that have ended.
    #[schema(example = 2)]
    ended: usize,
}

fn events_open(open: usize) -> ApiError {
    ApiError::conflict(
        "events_open",
        "You have events that people can still come to; cancel them first.",
    )
    .with("open", open)
}

fn way_back_open(until: Timestamp) -> ApiError {
    ApiError::conflict(
        "way_back_open",
        "The account got another e-mail address in the last days. Until its earlier one can no longer take it back it cannot be deleted.",
    )
    .with("until", time::utc(until))
}

common::problems!(
    Problems:
    way_back_open(Timestamp::UNIX_EPOCH),
    account_gone(),
    wrong_password(),
    reauthentication_required(),
    events_open(1),
);

/// Deletes your account: your details, sessions, API keys, linked accounts and messages. Your registrations for events to come
/// end, with refunds. Past events and registrations and what was paid stay, under an id that is nobody's. Nothing of it can be
/// taken back; the e-mail address is free for another account.
#[utoipa::path(
    delete,
    path = "/api/users/me",
    operation_id = "deleteMe",
    tag = "users",
    security(("bearer" = [])),
    request_body(content = DeleteMe, example = json!({"password": "correct horse battery staple"})),
    responses(
        (status = 200, description = "It is deleted.", body = AccountDeleted),
        Problems,
    ),
)]
pub async fn delete_me(
    State(app): State<App>,
    caller: Caller,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<DeleteMe>,
) -> Result<Response, ApiError> {
    let account = app.store.account(caller.id).await?.ok_or_else(account_gone)?;
    credentials::confirm(&app, &caller, &account, input.password, address).await?;
    let open = deletion::open_events(&app, caller.id).await?;
    if open > 0 {
        return Err(events_open(open));
    }
    let proved = Proved {
        user: caller.id,
        email: account.user.email,
        password_hash: account.password_hash,
    };
    let messages = deletion::messages(caller.id, app.clock.now());
    let deleted = app.store.delete_account(proved, messages, app.clock.now());
    let ended = match deleted.await? {
        Deleted::Done(ended) => ended,
        Deleted::WayBack(until) => return Err(way_back_open(until)),
        Deleted::Changed => {
            return Err(ApiError::unavailable(
                "The account is being changed by other requests. Please try again.",
            ));
        }
    };
    tracing::info!(user_id = %caller.id, ended = ended.len(), "account deleted");
    user_directory::changed(&app.shared, caller.id).await;
    let answer = AccountDeleted {
        message: "Account deleted.",
        ended: ended.len(),
    };
    signed_in::publish(&app, ended).await;
    Ok(private(Json(answer).into_response()))
}
