//! `GET /api/users/oauth/google/callback`: back from Google.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::{
    extract::{ClientIp, Params},
    http::pipeline::private,
    problem::ApiError,
};
use url::Url;
use utoipa::IntoParams;

use super::google_sign_in::Begun;
use crate::{
    app::App,
    domain::Identity,
    google::Google,
    kept::{self, Kept, hash},
    second_factor::totp_required,
    sign_in_with_google::{
        address_reserved, admit, code_invalid, denied, email_unverified, enter, google_refused,
        link_required, off, state_invalid,
    },
    signed_in::{CallingDevice, SignedIn},
};

/// The query, which Google makes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of Params")]
pub struct CallbackParams {
    /// What was sent along.
    #[param(example = "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl")]
    state: Option<String>,
    /// For Google's token endpoint.
    #[param(example = "4/0AeanS0")]
    code: Option<String>,
    /// Why there is no code.
    #[param(example = "access_denied")]
    error: Option<String>,
}

common::problems!(
    Problems:
    off(), state_invalid(), denied(), google_refused(), email_unverified(),
    link_required().with("link_token", "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl"),
    totp_required().with("totp_token", "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl"),
    code_invalid(), address_reserved(),
);

/// Finishes a sign-in at Google. With `return_to` the browser goes there: with `?code=`, which
/// `/api/users/oauth/exchange` takes once within a minute, or with `?error=` and the code of a failure (`link_required` with
/// `link_token`). Without, the answer is that of a login.
#[utoipa::path(
    get,
    path = "/api/users/oauth/google/callback",
    operation_id = "finishSignInWithGoogle",
    tag = "users",
    params(CallbackParams),
    responses(
        (status = 200, description = "The tokens of a new session.", body = SignedIn),
        (status = 302, description = "To `return_to`."),
        Problems,
    ),
)]
pub async fn google_callback(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    CallingDevice(device): CallingDevice,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let google = app.google.as_ref().ok_or_else(off)?;
    app.limits.login(address).await?;
    // Google adds others, which change; so the rest is not looked at.
    let mut text = |name| params.get(name, |text| Ok(text.to_owned()));
    let (state, code, error) = (text("state"), text("code"), text("error"));
    let begun: Begun = match state {
        Some(state) => kept::take(&app, Kept::State, &state).await?,
        None => None,
    }
    .ok_or_else(state_invalid)?;
    let browser = app.cookie.read(&headers).map(|browser| hash(&browser));
    let outcome = if browser.as_ref() != Some(&begun.browser) {
        Err(state_invalid())
    } else {
        finish(&app, google, &begun, code, error).await
    };
    match (begun.return_to, outcome) {
        (None, outcome) => {
            let identity = outcome?;
            enter(&app, &identity, None, device).await
        }
        (Some(page), Ok(identity)) => {
            let code = kept::keep(&app, Kept::Code, kept::Value::of(&identity)).await?;
            back_to(page, &[("code", &code)])
        }
        (Some(page), Err(error)) => {
            if error.status().is_server_error() {
                tracing::warn!(?error, "sign-in with Google failed");
            } else {
                tracing::info!(?error, "sign-in with Google failed");
            }
            match error.extra("link_token") {
                Some(token) => back_to(page, &[("error", error.code()), ("link_token", &token)]),
                None => back_to(page, &[("error", error.code())]),
            }
        }
    }
}

async fn finish(
    app: &App,
    google: &Google,
    begun: &Begun,
    code: Option<String>,
    error: Option<String>,
) -> Result<Identity, ApiError> {
    let code = match (code, error) {
        (Some(code), None) => code,
        _ => return Err(denied()),
    };
    let claims = google.finish(code, begun.beginning.clone(), &begun.nonce).await?;
    admit(app, &claims, begun.role).await
}

fn back_to(mut page: Url, more: &[(&str, &str)]) -> Result<Response, ApiError> {
    page.query_pairs_mut().extend_pairs(more);
    let location = HeaderValue::try_from(String::from(page)).map_err(ApiError::internal)?;
    Ok(private(
        (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
    ))
}
