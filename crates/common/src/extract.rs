//! Extractors: what a handler takes as arguments is checked before it runs.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, FromRef, FromRequest, FromRequestParts, Path, Query, Request},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use uuid::Uuid;

use serde::de::DeserializeOwned;

use crate::{
    auth::{Auth, Claims, Role, TokenError},
    clock::{Timestamp, from_millis},
    context::note_user,
    fields::{Fields, FromFields},
    idempotency::Key,
    ids::UserId,
    problem::{self, ApiError, FieldError},
    routes::MAX_BODY,
    wire::{EventOrganizer, TeamRole},
};

/// How long a body may take to arrive.
pub const BODY_DEADLINE: Duration = Duration::from_secs(12);
/// Carries the client's address from the gateway, together with [`GATEWAY_TOKEN`].
pub const CLIENT_IP: HeaderName = HeaderName::from_static("x-client-ip");
/// Proves that a request came through the gateway.
pub const GATEWAY_TOKEN: HeaderName = HeaderName::from_static("x-gateway-token");

/// The signed-in user.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The account.
    pub id: UserId,
    /// Its role when the token was made, or the API key looked up.
    pub role: Role,
    /// The session of the token, or the id of the API key.
    pub session: Uuid,
    /// When the token or key runs out by itself.
    pub until: Timestamp,
}

impl Caller {
    /// Who sent a user token.
    ///
    /// # Errors
    /// 401 when the token is not good.
    pub fn of_token(auth: &Auth, token: &str) -> Result<Self, ApiError> {
        let claims: Claims = auth.verify_user(token).map_err(refused)?;
        Ok(Self {
            id: claims.sub,
            role: claims.role,
            session: claims.sid,
            until: from_millis(claims.exp.saturating_mul(1000)),
        })
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(*caller);
        }
        let token = bearer(&parts.headers).ok_or_else(missing_token)?;
        let caller = Self::of_token(&Auth::from_ref(state), token)?;
        parts.extensions.insert(caller);
        note_user(caller.id);
        Ok(caller)
    }
}

/// 401: no token was sent.
pub fn missing_token() -> ApiError {
    ApiError::unauthorized("missing_token", "Please sign in: this needs a bearer token.")
}

/// Every way in which a token can fail.
pub(crate) fn token_problems() -> [ApiError; 5] {
    [
        scope_missing(),
        missing_token(),
        refused(TokenError::Invalid),
        refused(TokenError::Expired),
        refused(TokenError::Ended),
    ]
}

/// 403: a key was sent, and may not be used for this.
pub fn scope_missing() -> ApiError {
    // RFC 6750, 3.1.
    ApiError::forbidden("scope_missing", "This API key may not be used for this call.").header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"organise-event\", error=\"insufficient_scope\""),
    )
}

/// 401 for a token.
pub fn refused(error: TokenError) -> ApiError {
    match error {
        TokenError::Invalid => ApiError::unauthorized("invalid_token", "The bearer token is not valid."),
        TokenError::Expired => {
            ApiError::unauthorized("token_expired", "The bearer token has expired; please sign in.")
        }
        TokenError::Ended => ApiError::unauthorized(
            "session_ended",
            "This session has been signed out; please sign in.",
        ),
    }
}

/// The token of `Authorization: Bearer <token>`, the scheme in any case (RFC 9110, 11.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// The signed-in user, who must be an organizer.
#[derive(Clone, Copy, Debug)]
pub struct Organizer(pub Caller);

impl<S> FromRequestParts<S> for Organizer
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        match caller.role {
            Role::Organizer => Ok(Self(caller)),
            Role::User => Err(organizer_only()),
        }
    }
}

/// 403 for a signed-in user who is no organizer.
pub fn organizer_only() -> ApiError {
    ApiError::forbidden("organizer_only", "Only organizers may do this.")
}

/// 403 for somebody on the team of an event whose role there is not enough.
pub fn insufficient_role(role: TeamRole) -> ApiError {
    ApiError::forbidden(
        "insufficient_role",
        "Your role on the team of this event does not let you do this.",
    )
    .with("role", role)
}

/// Lets those pass who may do what an event's organizer may, but for what is theirs alone. `None`: there is no such event.
///
/// # Errors
/// 404 when there is none, or it is another organizer's; 403 for those who organize nothing, and for those whose role on its team is
/// not enough.
pub fn require_manager(caller: &Caller, event: Option<&EventOrganizer>) -> Result<(), ApiError> {
    match event.map(|event| event.may_manage(caller.id)) {
        Some(Ok(())) => Ok(()),
        Some(Err(Some(role))) => Err(insufficient_role(role)),
        Some(Err(None)) | None if caller.role == Role::User => Err(organizer_only()),
        Some(Err(None)) | None => Err(ApiError::not_found("event_not_found", "There is no such event.")),
    }
}

/// Another of our services, by name. Guards every `/internal` route.
#[derive(Clone, Debug)]
pub struct CallingService(pub String);

impl<S> FromRequestParts<S> for CallingService
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Some(service) = parts.extensions.get::<Self>() {
            return Ok(service.clone());
        }
        Self::of_token(&Auth::from_ref(state), &parts.headers)
    }
}

impl CallingService {
    /// Which service sent its token.
    ///
    /// # Errors
    /// 401 when there is none, or it is not good.
    pub fn of_token(auth: &Auth, headers: &HeaderMap) -> Result<Self, ApiError> {
        bearer(headers)
            .and_then(|token| auth.verify_service(token).ok())
            .map(Self)
            .ok_or_else(|| ApiError::unauthorized("invalid_token", "This address is for services only."))
    }
}

/// The client's address: as the gateway reports it, when a service token proves that it is the gateway; else the peer.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(pub IpAddr);

impl<S> FromRequestParts<S> for ClientIp
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let source = Source::of(&parts.headers, &parts.extensions);
        Ok(Self(source.address(&Auth::from_ref(state))))
    }
}

/// What a request says of where it came from.
pub struct Source {
    gateway_token: Option<HeaderValue>,
    client_ip: Option<HeaderValue>,
    peer: Option<IpAddr>,
}

impl Source {
    /// Of a request.
    pub fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        Self {
            gateway_token: headers.get(GATEWAY_TOKEN).cloned(),
            client_ip: headers.get(CLIENT_IP).cloned(),
            peer: peer.map(|peer| peer.0.ip()),
        }
    }

    /// The client's address.
    pub fn address(&self, auth: &Auth) -> IpAddr {
        let text = |value: &'_ HeaderValue| value.to_str().ok().map(str::to_owned);
        let token = self.gateway_token.as_ref().and_then(text);
        let from_gateway =
            token.is_some_and(|token| auth.verify_service(&token).is_ok_and(|name| name == "gateway"));
        let told = self.client_ip.as_ref().filter(|_| from_gateway).and_then(text);
        told.and_then(|ip| ip.parse().ok())
            .or(self.peer)
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// The `{id}` of a path, as text. What is no text at all is an id that nothing has, not an error of its own.
pub struct PathId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(id.map(|Path(id)| id).unwrap_or_default()))
    }
}

/// The two ids of a path, as text.
pub struct PathIds(pub [String; 2]);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let ids = Path::<(String, String)>::from_request_parts(parts, state).await;
        Ok(Self(
            ids.map(|Path((first, second))| [first, second])
                .unwrap_or_default(),
        ))
    }
}

/// A JSON request body.
pub struct Json<T>(pub T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: FromFields,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = json_bytes::<T>(&parts.headers, body).await?;
        Fields::read(&bytes).map(Self)
    }
}

/// The JSON body of an unsafe call by a signed-in user, with its `Idempotency-Key` when it has one.
pub struct KeyedJson<T> {
    /// The body.
    pub input: T,
    /// The key.
    pub key: Option<Key>,
}

impl<S, T> FromRequest<S> for KeyedJson<T>
where
    S: Send + Sync,
    T: FromFields,
    Auth: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        const NAME: &str = "idempotency-key";
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let bytes = json_bytes::<T>(&parts.headers, body).await?;
        let key = match parts.headers.get(NAME) {
            None => None,
            Some(value) => {
                let key = value
                    .to_str()
                    .ok()
                    .filter(|key| (1..=255).contains(&key.len()))
                    .ok_or_else(bad_key)?;
                Some(Key {
                    caller: caller.id,
                    route: format!("{} {}", parts.method, parts.uri.path()),
                    key: key.to_owned(),
                    fingerprint: Key::fingerprint(&bytes),
                })
            }
        };
        Ok(Self {
            input: Fields::read(&bytes)?,
            key,
        })
    }
}

/// 422 for an `Idempotency-Key` that is none.
pub(crate) fn bad_key() -> ApiError {
    ApiError::invalid_field("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
}

async fn json_bytes<T: FromFields>(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(problem::body_too_large());
    }
    let bytes = body_bytes(body, MAX_BODY).await?;
    if bytes.is_empty() && T::EMPTY_BODY_ALLOWED {
        return Ok(bytes);
    }
    if !is_json(headers) {
        return Err(problem::unsupported_media_type());
    }
    if is_encoded(headers) {
        return Err(problem::unsupported_content_encoding());
    }
    // RFC 8259, 8.1: no sender may add a byte order mark, and a reader may ignore one.
    Ok(match bytes.strip_prefix("\u{feff}".as_bytes()) {
        Some(rest) => bytes.slice_ref(rest),
        None => bytes,
    })
}

/// Whether the body is compressed. It would have to be unpacked within bounds, and what is small enough to be taken is
/// not worth packing.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|value| {
        value.to_str().map_or(true, |value| {
            let mut codings = value
                .split(',')
                .map(str::trim)
                .filter(|coding| !coding.is_empty());
            codings.any(|coding| !coding.eq_ignore_ascii_case("identity"))
        })
    })
}

/// Reads a whole body.
///
/// # Errors
/// 413 when it is longer than `max` bytes, 408 when it does not arrive in time, 400 when the client goes away.
pub async fn body_bytes(body: Body, max: usize) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(problem::body_too_large())
        }
        Ok(Err(error)) => Err(problem::body_incomplete().because(error)),
        Err(_) => Err(problem::request_timeout()),
    }
}

/// The JSON body of a call from another service, whose `Content-Type` is not checked.
///
/// # Errors
/// As [`body_bytes`], and 400 when it is not what is asked for here.
pub async fn asked<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let bytes = body_bytes(body, MAX_BODY).await?;
    serde_json::from_slice(&bytes).map_err(|error| problem::not_json().because(error))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    // JSON is UTF-8 (RFC 8259, 8.1); another charset means another format.
    let in_utf8 = parts
        .filter_map(|part| part.split_once('='))
        .all(|(name, value)| {
            let value = value.trim().trim_matches('"');
            !name.trim().eq_ignore_ascii_case("charset")
                || ["utf-8", "utf8", "us-ascii"]
                    .iter()
                    .any(|known| value.eq_ignore_ascii_case(known))
        });
    in_utf8
        && (essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json")))
}

/// The query string, field by field. What is asked for by [`Params::get`] is known; anything else is refused, because
/// a filter that is not obeyed looks like an answer to it. Names that begin with `_` or `utm_` pass: caches and
/// campaigns add those to any address.
pub struct Params {
    values: BTreeMap<String, String>,
    known: Vec<String>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Query(values) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::invalid_field("query", "is not a valid query string"))?;
        let mut params = Self {
            values: BTreeMap::new(),
            known: Vec::new(),
            errors: Vec::new(),
        };
        for (name, value) in values {
            if let Some(first) = params.values.insert(name.clone(), value)
                && first != params.values[&name]
            {
                params.error(&name, "is given twice".to_owned());
            }
        }
        Ok(params)
    }
}

impl Params {
    /// A parameter, when it is there and not empty: forms send fields that were left empty.
    pub fn get<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if self.values.get(name).is_some_and(String::is_empty) {
            self.known.push(name.to_owned());
            return None;
        }
        self.given(name, parse)
    }

    /// A parameter, when it is there at all.
    pub fn given<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.known.push(name.to_owned());
        match parse(self.values.get(name)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.error(name, message);
                None
            }
        }
    }

    fn error(&mut self, name: &str, message: String) {
        self.errors.push(FieldError {
            field: name.to_owned(),
            message,
        });
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 naming every parameter that was wrong or is not known.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let passes = |name: &str| name.starts_with('_') || name.starts_with("utm_");
        let unknown: Vec<String> = self
            .values
            .keys()
            .filter(|name| !passes(name) && !self.known.contains(name))
            .cloned()
            .collect();
        for name in unknown {
            self.error(
                &name,
                format!("is not known here; there are {}", self.known.join(", ")),
            );
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TeamMember;

    #[test]
    fn an_event_is_managed_by_its_organizer_and_managers() {
        let [owner, manager, scanner, nobody] = std::array::from_fn(|_| UserId::new());
        let on_team = |user_id, role| TeamMember { user_id, role };
        let event = EventOrganizer {
            organizer: owner,
            cancelled: false,
            team: vec![
                on_team(manager, TeamRole::Manager),
                on_team(scanner, TeamRole::Scanner),
            ],
        };
        for (id, role, code) in [
            (owner, Role::Organizer, None),
            (manager, Role::User, None),
            (scanner, Role::User, Some("insufficient_role")),
            (scanner, Role::Organizer, Some("insufficient_role")),
            (nobody, Role::User, Some("organizer_only")),
            (nobody, Role::Organizer, Some("event_not_found")),
        ] {
            let caller = Caller {
                id,
                role,
                session: Uuid::nil(),
                until: from_millis(0),
            };
            let managed = require_manager(&caller, Some(&event)).err();
            assert_eq!(managed.as_ref().map(ApiError::code), code, "{caller:?}");
            // Of an event that there is not, nobody learns more.
            let unknown = require_manager(&caller, None).err();
            let expected = match role {
                Role::User => "organizer_only",
                Role::Organizer => "event_not_found",
            };
            assert_eq!(unknown.as_ref().map(ApiError::code), Some(expected));
        }
        // An earlier release says nothing of a team.
        let before: EventOrganizer = serde_json::from_value(serde_json::json!({"organizer": owner})).unwrap();
        assert_eq!(
            (before.may_manage(owner), before.may_manage(manager)),
            (Ok(()), Err(None))
        );
    }
}
