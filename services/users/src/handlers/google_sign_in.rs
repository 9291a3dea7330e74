//! `GET /api/users/oauth/google`: off to Google.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::{
    auth::Role,
    extract::{ClientIp, Params},
    http::pipeline::private,
    problem::ApiError,
};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::IntoParams;

use crate::{
    app::App,
    google::Beginning,
    kept::{self, Kept, hash, random_token},
    sign_in_with_google::off,
};

/// What is known of a sign-in while the browser is at Google.
#[derive(Serialize, Deserialize)]
pub struct Begun {
    /// The id token must repeat it.
    pub nonce: String,
    /// What the provider was asked with.
    pub beginning: Beginning,
    /// The hash of the browser's cookie.
    pub browser: String,
    /// Where the browser goes in the end; `None`: the callback answers itself.
    pub return_to: Option<Url>,
    /// A new account's.
    pub role: Role,
}

/// The query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of Params")]
pub struct SignInParams {
    /// A page of an allowed origin (`CORS_ORIGINS`; on this machine in development). It gets `?code=` for
    /// `/api/users/oauth/exchange`, or `?error=` with the code of a failure. Without it the callback answers with the tokens.
    #[param(example = "http://localhost:5173/signed-in")]
    return_to: Option<String>,
    /// The role of an account that is new.
    #[param(example = "organizer")]
    role: Option<String>,
}

common::problems!(Problems: off());

/// Sends the browser to Google, which sends it back to `/api/users/oauth/google/callback`.
#[utoipa::path(
    get,
    path = "/api/users/oauth/google",
    operation_id = "signInWithGoogle",
    tag = "users",
    params(SignInParams),
    responses(
        (status = 302, description = "To Google."),
        Problems,
    ),
)]
pub async fn google_sign_in(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let google = app.google.as_ref().ok_or_else(off)?;
    let return_to = params.get("return_to", |text| app.return_to(text));
    let role = params.get("role", |text| {
        Role::parse(text).ok_or_else(|| "must be organizer or user".to_owned())
    });
    params.finish()?;
    app.limits.login(address).await?;
    // The same for all of a browser's tabs.
    let browser = match app.cookie.read(&headers) {
        Some(browser) => browser,
        None => random_token()?,
    };
    let (state, nonce) = (random_token()?, random_token()?);
    let beginning = google.begin(&state, &nonce, host(&headers)).await?;
    let begun = Begun {
        nonce,
        beginning: beginning.clone(),
        browser: hash(&browser),
        return_to,
        role: role.unwrap_or(Role::User),
    };
    kept::keep_under(&app, Kept::State, &state, kept::Value::of(&begun)).await?;
    let cookie = app.cookie.set(&browser, Kept::State.life())?;
    let location = HeaderValue::try_from(beginning.url).map_err(ApiError::internal)?;
    let headers = [(header::LOCATION, location), (header::SET_COOKIE, cookie)];
    Ok(private((StatusCode::FOUND, headers).into_response()))
}

/// The host that the browser has asked for: the gateway says so, and without it the request does.
fn host(headers: &HeaderMap) -> Option<&str> {
    let named = headers
        .get("x-forwarded-host")
        .or_else(|| headers.get(header::HOST));
    named.and_then(|host| host.to_str().ok())
}

impl App {
    /// A page to return to.
    ///
    /// # Errors
    /// The rest of the sentence "`return_to` ...".
    fn return_to(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|_| "must be a URL".to_owned())?;
        let bare = url.username().is_empty() && url.password().is_none() && text.len() <= 2_000;
        let origin = match url.origin() {
            origin if origin.is_tuple() => origin.ascii_serialization(),
            // An app's, such as capacitor://localhost.
            _ => {
                let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
                format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
            }
        };
        // They are ours to add, and a page reads the first one.
        let ours = |name: &str| matches!(name, "code" | "error" | "link_token");
        if url.query_pairs().any(|(name, _)| ours(&name)) {
            return Err("must not have code, error or link_token in its query".to_owned());
        }
        if bare && !url.cannot_be_a_base() && self.origins.allows(&origin) {
            Ok(url)
        } else {
            Err("must be of an origin that CORS_ORIGINS allows".to_owned())
        }
    }
}
