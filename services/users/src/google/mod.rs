//! Google, or another OpenID provider, as this system calls it: where it is, which keys it signs with, and what it gives for a
//! code.

mod id_token;

use std::{fmt, sync::Arc, time::Duration};

use chrono::TimeDelta;
use common::{
    clock::{Clock, Timestamp},
    origin::{is_local, is_local_url},
    settings::{GoogleClient, Settings},
};
use futures_util::{FutureExt, future::BoxFuture};
use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardRevocableToken,
    StandardTokenIntrospectionResponse, StandardTokenResponse, TokenResponse as _, TokenUrl,
    basic::{BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenType},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use self::id_token::{Expected, Keys, Refusal};
use crate::domain::Claims;

/// Where the provider sends people back to.
const CALLBACK: &str = "/api/users/oauth/google/callback";
const CONNECT: Duration = Duration::from_secs(1);
/// The five requests of one callback take less than the 12 s after which the gateway asks another replica.
const ANSWER: Duration = Duration::from_millis(2_200);
/// Discovery documents and key sets are small.
const MAX_ANSWER: usize = 256 * 1024;
/// How long the discovery document and the keys are good.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// A key that is not known is looked for this often at most.
const REFETCH: TimeDelta = TimeDelta::minutes(1);
/// After a failure nobody waits for another one for so long.
const QUIET: TimeDelta = TimeDelta::seconds(2);

/// Why a sign-in at the provider comes to nothing.
#[derive(Debug, thiserror::Error)]
pub enum GoogleError {
    /// The provider does not answer, or not sensibly. Later it may.
    #[error("the OpenID provider is away: {0}")]
    Away(String),
    /// It does not know this client, or not by this secret.
    #[error("the OpenID provider refuses GOOGLE_CLIENT_ID or GOOGLE_CLIENT_SECRET: {0}")]
    Misconfigured(String),
    /// It does not take the code, or what it gives proves nothing.
    #[error("the OpenID provider's answer proves nothing: {0}")]
    Refused(String),
}

/// The provider. It is asked for nothing before somebody signs in.
pub struct Google {
    client: GoogleClient,
    /// Where the gateway is.
    site: Site,
    http: reqwest::Client,
    known: Mutex<Known>,
    clock: Clock,
    /// Whether `http://` is fine on this machine.
    development: bool,
}

#[derive(Default)]
struct Known {
    endpoints: Option<(Timestamp, Arc<Endpoints>)>,
    keys: Option<(Timestamp, Arc<Keys>)>,
    failed: Option<(Timestamp, String)>,
}

/// The part of the discovery document that is used (OpenID Connect Discovery 1.0, 3).
#[derive(Deserialize)]
struct Endpoints {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
}

/// Where browsers find the gateway.
enum Site {
    /// At `PUBLIC_URL`.
    At(String),
    /// On this machine, by whichever of its names the browser has used; else there.
    Here(String),
}

impl Site {
    /// Where the provider sends a browser back to, which has asked for this host.
    fn redirect(&self, host: Option<&str>) -> String {
        let here = host
            .map(|host| format!("http://{host}"))
            .filter(|here| is_local(here));
        match (self, here) {
            (Self::Here(_), Some(here)) => format!("{here}{CALLBACK}"),
            (Self::At(site) | Self::Here(site), _) => format!("{site}{CALLBACK}"),
        }
    }
}

/// A sign-in that is beginning.
#[derive(Clone, Serialize, Deserialize)]
pub struct Beginning {
    /// Where to send the browser; not kept, because it names the state.
    #[serde(skip)]
    pub url: String,
    /// What proves at the token endpoint that it is the same client (RFC 7636).
    pub verifier: String,
    /// Where the browser comes back.
    pub redirect: String,
}

/// The member of the token answer that OpenID Connect adds.
#[derive(Serialize, Deserialize)]
struct WithIdToken {
    id_token: Option<String>,
}

impl fmt::Debug for WithIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithIdToken(..)")
    }
}

impl ExtraTokenFields for WithIdToken {}

type Client = oauth2::Client<
    BasicErrorResponse,
    StandardTokenResponse<WithIdToken, BasicTokenType>,
    StandardTokenIntrospectionResponse<EmptyExtraTokenFields, BasicTokenType>,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl Google {
    /// As the settings name it; `None`: sign-in with Google is off.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Option<Self>, String> {
        let Some(client) = settings.google.clone() else {
            return Ok(None);
        };
        // The first one installed serves the process, and a second call has no effect.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent("organise-event")
            .build()
            .map_err(|error| format!("no HTTP client: {error}"))?;
        Ok(Some(Self {
            client,
            site: match &settings.public_url {
                Some(url) => Site::At(url.clone()),
                None => Site::Here(settings.public_url(settings.gateway_port)),
            },
            http,
            known: Mutex::default(),
            clock,
            development: !settings.is_production(),
        }))
    }

    /// Where to send a browser that is to sign in, and has asked for this host.
    ///
    /// # Errors
    /// When the provider is away.
    pub async fn begin(
        &self,
        state: &str,
        nonce: &str,
        host: Option<&str>,
    ) -> Result<Beginning, GoogleError> {
        let endpoints = self.endpoints().await?;
        let redirect = self.site.redirect(host);
        let client = self.client(&endpoints, &redirect)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, _) = client
            .authorize_url(|| CsrfToken::new(state.to_owned()))
            .add_scopes(["openid", "email", "profile"].map(|scope| Scope::new(scope.to_owned())))
            .add_extra_param("nonce", nonce)
            .set_pkce_challenge(challenge)
            .url();
        Ok(Beginning {
            url: url.into(),
            verifier: verifier.into_secret(),
            redirect,
        })
    }

    /// Who has signed in, for the code that the browser brought back.
    ///
    /// # Errors
    /// When the provider is away or refuses the code, or its id token is not what it should be.
    pub async fn finish(
        &self,
        code: String,
        beginning: Beginning,
        nonce: &str,
    ) -> Result<Claims, GoogleError> {
        let endpoints = self.endpoints().await?;
        let answer = self
            .client(&endpoints, &beginning.redirect)?
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(beginning.verifier))
            .request_async(self)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(said) => match said.error() {
                    why @ (BasicErrorResponseType::InvalidClient
                    | BasicErrorResponseType::UnauthorizedClient) => {
                        GoogleError::Misconfigured(why.to_string())
                    }
                    why => GoogleError::Refused(why.to_string()),
                },
                RequestTokenError::Request(error) => GoogleError::Away(error.to_string()),
                // What could not be read may hold tokens.
                RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                    GoogleError::Away("an answer that is none".to_owned())
                }
            })?;
        let Some(token) = answer.extra_fields().id_token.clone() else {
            return Err(GoogleError::Refused("no id token".to_owned()));
        };
        let expected = Expected {
            issuer: &self.client.issuer,
            client: &self.client.id,
            nonce,
            now: self.clock.now(),
        };
        let keys = self.keys(&endpoints, FRESH).await?;
        let verified = match id_token::verify(&token, &keys, &expected) {
            // It may be a new one.
            Err(Refusal::UnknownKey) => {
                let keys = self.keys(&endpoints, REFETCH).await?;
                id_token::verify(&token, &keys, &expected)
            }
            verified => verified,
        };
        let claims = verified.map_err(|refusal| {
            GoogleError::Refused(match refusal {
                Refusal::UnknownKey => {
                    "an id token signed with a key that the provider does not publish".to_owned()
                }
                Refusal::Invalid(why) => format!("an id token with {why}"),
            })
        })?;
        // Google says the address in the id token; others only there.
        match &endpoints.userinfo_endpoint {
            Some(url) if claims.email.is_none() => {
                let request = self.http.get(url).bearer_auth(answer.access_token().secret());
                let said = self.json(request, url).await.map_err(GoogleError::Away)?;
                id_token::from_userinfo(said, claims.identity)
                    .ok_or_else(|| GoogleError::Refused("userinfo of somebody else".to_owned()))
            }
            _ => Ok(claims),
        }
    }

    fn client(&self, endpoints: &Endpoints, redirect: &str) -> Result<Client, GoogleError> {
        let away = |error: url::ParseError| GoogleError::Away(error.to_string());
        Ok(oauth2::Client::new(ClientId::new(self.client.id.clone()))
            .set_client_secret(ClientSecret::new(self.client.secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::new(endpoints.authorization_endpoint.clone()).map_err(away)?)
            .set_token_uri(TokenUrl::new(endpoints.token_endpoint.clone()).map_err(away)?)
            .set_redirect_uri(RedirectUrl::new(redirect.to_owned()).map_err(away)?))
    }

    /// Those that wait meanwhile get the same answer, also when it is a failure.
    async fn endpoints(&self) -> Result<Arc<Endpoints>, GoogleError> {
        let mut known = self.known.lock().await;
        if let Some((at, endpoints)) = &known.endpoints
            && self.is_younger(*at, FRESH)
        {
            return Ok(Arc::clone(endpoints));
        }
        let url = format!("{}/.well-known/openid-configuration", self.client.issuer);
        let document = self.fetch(&mut known, &url).await?;
        let endpoints: Endpoints = serde_json::from_value(document)
            .map_err(|_| GoogleError::Away("a discovery document without endpoints".to_owned()))?;
        if endpoints.issuer.trim_end_matches('/') != self.client.issuer {
            return Err(GoogleError::Away(
                "a discovery document of another issuer".to_owned(),
            ));
        }
        for url in [
            &endpoints.authorization_endpoint,
            &endpoints.token_endpoint,
            &endpoints.jwks_uri,
        ]
        .into_iter()
        .chain(&endpoints.userinfo_endpoint)
        {
            self.check(url)?;
        }
        let endpoints = Arc::new(endpoints);
        known.endpoints = Some((self.clock.now(), Arc::clone(&endpoints)));
        Ok(endpoints)
    }

    /// The keys, no older than that.
    async fn keys(&self, endpoints: &Endpoints, age: TimeDelta) -> Result<Arc<Keys>, GoogleError> {
        let mut known = self.known.lock().await;
        if let Some((at, keys)) = &known.keys
            && self.is_younger(*at, age)
        {
            return Ok(Arc::clone(keys));
        }
        let set = self.fetch(&mut known, &endpoints.jwks_uri).await?;
        let keys = Arc::new(Keys::read(&set));
        known.keys = Some((self.clock.now(), Arc::clone(&keys)));
        Ok(keys)
    }

    /// Also after the clock was put back.
    fn is_younger(&self, at: Timestamp, age: TimeDelta) -> bool {
        (self.clock.now() - at).abs() < age
    }

    /// No secrets over the network in the clear, and no calls to where an attacker would like them.
    fn check(&self, url: &str) -> Result<(), GoogleError> {
        if url.starts_with("https://") || (self.development && is_local_url(url)) {
            Ok(())
        } else {
            Err(GoogleError::Away("an endpoint that is not https".to_owned()))
        }
    }

    async fn fetch(&self, known: &mut Known, url: &str) -> Result<Value, GoogleError> {
        if let Some((at, why)) = &known.failed
            && self.is_younger(*at, QUIET)
        {
            return Err(GoogleError::Away(why.clone()));
        }
        let fetched = self.json(self.http.get(url), url).await;
        known.failed = fetched.as_ref().err().map(|why| (self.clock.now(), why.clone()));
        fetched.map_err(GoogleError::Away)
    }

    async fn json(&self, request: reqwest::RequestBuilder, url: &str) -> Result<Value, String> {
        let response = request.send().await.map_err(plain)?;
        if !response.status().is_success() {
            return Err(format!("{} from {url}", response.status()));
        }
        let body = bounded(response).await?;
        serde_json::from_slice(&body).map_err(|_| format!("no JSON from {url}"))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Unsent> {
        let (parts, body) = request.into_parts();
        let response = self
            .http
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body)
            .send()
            .await
            .map_err(|error| Unsent(plain(error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_server_error() {
            return Err(Unsent(format!("{status} from the token endpoint")));
        }
        let body = bounded(response).await.map_err(Unsent)?;
        let mut answer = HttpResponse::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for Google {
    type Error = Unsent;
    type Future = BoxFuture<'c, Result<HttpResponse, Unsent>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        self.send(request).boxed()
    }
}

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unsent(String);

/// An error with its cause, without the URL, whose query may hold secrets.
fn plain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(plain)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err("an answer without end".to_owned());
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_comes_back_by_the_name_it_has_used() {
        let (here, at) = (
            Site::Here("http://localhost:3003".to_owned()),
            Site::At("https://events.example.org/api-gateway".to_owned()),
        );
        for (host, redirect) in [
            (
                Some("127.0.0.1:4003"),
                "http://127.0.0.1:4003/api/users/oauth/google/callback",
            ),
            (
                Some("[::1]:3003"),
                "http://[::1]:3003/api/users/oauth/google/callback",
            ),
            (
                Some("evil.example"),
                "http://localhost:3003/api/users/oauth/google/callback",
            ),
            (
                Some("localhost:3003@evil.example"),
                "http://localhost:3003/api/users/oauth/google/callback",
            ),
            (None, "http://localhost:3003/api/users/oauth/google/callback"),
        ] {
            assert_eq!(here.redirect(host), redirect);
            let public = "https://events.example.org/api-gateway/api/users/oauth/google/callback";
            assert_eq!(at.redirect(host), public);
        }
    }
}
