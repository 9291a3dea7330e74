//! Who may call what: every call of a service (not its health, figures and document) is checked by the registry of routes
//! before its handler runs. A route that is not in the registry is refused, so that none can be open because somebody forgot
//! it.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use common::{
    api_keys::{ApiKey, Scope},
    audit::{self, Entry},
    auth::{Auth, Role, TokenError},
    clock::Timestamp,
    context::{self, Credential, Current, Noted},
    extract::{
        Caller, CallingService, Source, bearer, missing_token, organizer_only, refused, scope_missing,
    },
    http::InternalClient,
    ids::new_id,
    problem::ApiError,
    routes::{Audience, Call, Policy},
    wire::ApiKeyCard,
};

use shared_state::{
    Shared,
    ratelimit::{self, RateLimit, too_many},
};

use crate::{
    api_keys::ApiKeys,
    audit::{InFlight, Recorder},
};

/// Unknown API keys a minute from one address, before no more are looked up.
const UNKNOWN_KEYS: u32 = 60;
/// Reads of public lists and pages a minute from one address: a whole office that looks on, and no copy of everything.
const BROWSED: u32 = 3000;

/// Checks callers for one service. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    auth: Auth,
    keys: ApiKeys,
    recorder: Recorder,
    unknown_keys: RateLimit,
    browsing: RateLimit,
}

impl Guard {
    /// Checks tokens by `auth`, and API keys at the users service, if `limited` only so many unknown ones of an address.
    /// `recorder` gets what belongs into the audit trail.
    pub fn new(auth: Auth, users: InternalClient, recorder: Recorder, limited: bool) -> Self {
        let keys = ApiKeys::new(users, auth.clock().clone());
        // Counted by each process for itself: what is counted costs less than a question to Redis.
        let here = Shared::in_process();
        let a_minute = |name, most| {
            if limited {
                RateLimit::new(&here, name, most, Duration::from_secs(60))
            } else {
                RateLimit::off()
            }
        };
        Self {
            auth,
            keys,
            recorder,
            unknown_keys: a_minute("unknown_keys", UNKNOWN_KEYS),
            browsing: a_minute("browsing", BROWSED),
        }
    }

    /// What takes the entries of the audit trail.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The middleware around every route of a service.
    pub async fn check(
        State(guard): State<Self>,
        route: MatchedPath,
        request: Request,
        next: Next,
    ) -> Response {
        match Policy::find(route.as_str(), request.method()) {
            Policy::Call(call) => guard.watched(call, route, request, next).await,
            Policy::OtherMethods(calls) => method_not_allowed(calls),
            Policy::None => {
                tracing::error!(route = route.as_str(), "a route without a policy was called");
                StatusCode::NOT_FOUND.into_response()
            }
        }
    }

    /// Answers a request, and writes down what came of it where that belongs into the audit trail.
    async fn watched(
        self,
        call: &'static Call,
        route: MatchedPath,
        request: Request,
        next: Next,
    ) -> Response {
        let mut watched = Watched {
            call,
            route,
            method: request.method().clone(),
            uri: request.uri().clone(),
            source: Source::of(request.headers(), request.extensions()),
            current: Current::get(),
            is_answered: false,
            _in_flight: self.recorder.begin(),
            guard: self,
        };
        let admitted = watched.guard.admit(call, request, &watched.source).await;
        let response = match admitted {
            Ok(request) => next.run(request).await,
            Err(refusal) => refusal.into_response(),
        };
        let code = response.extensions().get::<ApiError>().map(ApiError::code);
        watched.answered(response.status(), code);
        response
    }

    /// Notes on the request who calls, if that is somebody who may.
    async fn admit(&self, call: &Call, mut request: Request, source: &Source) -> Result<Request, ApiError> {
        if call.browsed {
            let taken = self
                .browsing
                .take(&ratelimit::source(source.address(&self.auth)))
                .await;
            taken.map_err(|wait| {
                too_many(
                    wait,
                    "Too many requests from this address. Please try again later.",
                )
            })?;
        }
        match call.audience {
            Audience::Anyone
            | Audience::Providers
            | Audience::MediaServer
            | Audience::Browsers
            | Audience::Developers => {}
            Audience::Services => {
                let service = CallingService::of_token(&self.auth, request.headers())?;
                request.extensions_mut().insert(service);
            }
            Audience::SignedIn | Audience::Organizers => {
                let caller = self.caller(call.scope, request.headers(), source).await?;
                if call.audience == Audience::Organizers && caller.role != Role::Organizer {
                    return Err(organizer_only());
                }
                request.extensions_mut().insert(caller);
            }
        }
        Ok(request)
    }

    async fn caller(
        &self,
        scope: Option<Scope>,
        headers: &HeaderMap,
        source: &Source,
    ) -> Result<Caller, ApiError> {
        let token = bearer(headers).ok_or_else(missing_token)?;
        if !ApiKey::is_meant(token) {
            let caller = Caller::of_token(&self.auth, token)?;
            context::note_user(caller.id);
            context::note_credential(Credential::Session(caller.session));
            return Ok(caller);
        }
        let key = ApiKey::read(token).ok_or_else(|| refused(TokenError::Invalid))?;
        let from = ratelimit::source(source.address(&self.auth));
        let known = self.unknown_keys.peek(&from).await;
        known.map_err(|wait| {
            too_many(
                wait,
                "Too many API keys from this address that do not exist. Please try again later.",
            )
        })?;
        let card = self.keys.find(&key).await.map_err(|error| {
            ApiError::unavailable("API keys cannot be checked at the moment. Please try again.")
                .because(error)
        })?;
        let Some(card) = card else {
            self.unknown_keys.note(&from);
            return Err(refused(TokenError::Invalid));
        };
        context::note_user(card.user_id);
        context::note_credential(Credential::ApiKey(card.api_key_id));
        if self.auth.has_ended(card.api_key_id) {
            return Err(refused(TokenError::Invalid));
        }
        by_key(&card, scope, self.auth.clock().now())
    }
}

/// A call that is being answered. One that is dropped, because the client has gone away or it took too long, has come to something
/// too.
struct Watched {
    guard: Guard,
    call: &'static Call,
    route: MatchedPath,
    method: Method,
    uri: Uri,
    source: Source,
    current: Current,
    is_answered: bool,
    _in_flight: InFlight,
}

impl Watched {
    fn answered(&mut self, status: StatusCode, code: Option<&str>) {
        self.is_answered = true;
        let Noted {
            user,
            credential,
            subject,
        } = self.current.noted();
        let (session, api_key) = match credential {
            Some(Credential::Session(id)) => (Some(id), None),
            Some(Credential::ApiKey(id)) => (None, Some(id)),
            None => (None, None),
        };
        if !audit::is_audited(self.call, &self.method, api_key.is_some(), status, code) {
            return;
        }
        let (Guard { auth, recorder, .. }, route) = (&self.guard, self.route.as_str());
        recorder.note(Entry {
            id: new_id(),
            at: auth.clock().now(),
            user,
            session,
            api_key,
            action: format!("{} {route}", self.method),
            subject: subject.or_else(|| audit::subject(route, self.uri.path())),
            network: audit::network(self.source.address(auth)),
            status: status.as_u16(),
            code: code.map(str::to_owned),
            request_id: self.current.id().to_owned(),
            times: 1,
        });
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.is_answered {
            self.answered(audit::cut_off(), Some("cut_off"));
        }
    }
}

/// The caller with a key, for a call that needs this scope.
fn by_key(card: &ApiKeyCard, scope: Option<Scope>, now: Timestamp) -> Result<Caller, ApiError> {
    if card.expires_at.is_some_and(|at| at <= now) {
        return Err(refused(TokenError::Expired));
    }
    if !scope.is_some_and(|scope| card.scopes.contains(&scope)) {
        return Err(scope_missing());
    }
    Ok(Caller {
        id: card.user_id,
        role: card.role,
        session: card.api_key_id,
        until: card.expires_at.unwrap_or(Timestamp::MAX_UTC),
    })
}

fn method_not_allowed(calls: &[Call]) -> Response {
    let methods: Vec<&str> = calls
        .iter()
        .map(|call| match call.method {
            "GET" => "GET, HEAD",
            method => method,
        })
        .collect();
    let allow = HeaderValue::from_str(&methods.join(", "));
    let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
    response
        .headers_mut()
        .extend(allow.ok().map(|allow| (header::ALLOW, allow)));
    response
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::Body,
        middleware,
        routing::{get, post},
    };
    use common::{
        api_keys::KeyHash,
        clock::{Clock, from_millis},
        http::Upstream,
        ids::{UserId, new_id},
    };
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn what_is_not_listed_is_refused() {
        let secret = "0123456789abcdef0123456789abcdef".into();
        let auth = Auth::new("users", &secret, Clock::fixed(from_millis(1_000)));
        let users = InternalClient::new(Upstream::local().0, auth.clone(), "users");
        let answered = || async { "an answer" };
        let routes = Router::new()
            .route("/api/events", get(answered).delete(answered))
            .route("/api/users/me", get(answered))
            .route("/internal/users/lookup", post(answered))
            .route("/forgotten", get(answered))
            .route_layer(middleware::from_fn_with_state(
                Guard::new(auth, users, Recorder::default(), true),
                Guard::check,
            ));
        for (method, path, status, allow) in [
            (Method::GET, "/api/events", 200, None),
            (Method::HEAD, "/api/events", 200, None),
            (Method::DELETE, "/api/events", 405, Some("GET, HEAD")),
            (Method::POST, "/api/events", 405, Some("GET, HEAD")),
            (Method::GET, "/api/users/me", 401, None),
            (Method::POST, "/internal/users/lookup", 401, None),
            (Method::GET, "/forgotten", 404, None),
        ] {
            let request = Request::builder().method(&method).uri(path).body(Body::empty());
            let answer = routes.clone().oneshot(request.unwrap()).await.unwrap();
            let told = answer.headers().get(header::ALLOW);
            assert_eq!(answer.status().as_u16(), status, "{method} {path}");
            assert_eq!(
                told.map(|allow| allow.to_str().unwrap()),
                allow,
                "{method} {path}"
            );
        }
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_is_written_down() {
        let secret = "0123456789abcdef0123456789abcdef".into();
        let auth = Auth::new("users", &secret, Clock::fixed(from_millis(1_000)));
        let users = InternalClient::new(Upstream::local().0, auth.clone(), "users");
        let recorder = Recorder::default();
        let guard = Guard::new(auth, users, recorder.clone(), true);
        let routes = Router::new()
            .route("/api/users/login", post(std::future::pending::<()>))
            .route_layer(middleware::from_fn_with_state(guard, Guard::check));
        let request = Request::post("/api/users/login").body(Body::empty()).unwrap();
        let mut call = Box::pin(routes.oneshot(request));
        assert!(futures_util::poll!(&mut call).is_pending());
        assert!(recorder.due(true).is_empty());
        drop(call);
        let written = recorder.due(true);
        let [entry] = written.as_slice() else {
            panic!("{written:?}")
        };
        assert_eq!((entry.status, entry.code.as_deref()), (499, Some("cut_off")));
        assert_eq!(entry.action, "POST /api/users/login");
    }

    #[test]
    fn a_key_is_good_within_its_scopes_until_it_expires() {
        let now = from_millis(1_000);
        let card = |expires_at: Option<i64>| ApiKeyCard {
            hash: KeyHash([0; 32]),
            api_key_id: new_id(),
            user_id: UserId::new(),
            role: Role::Organizer,
            scopes: vec![Scope::EventsRead],
            expires_at: expires_at.map(from_millis),
        };
        let code = |expires_at, scope| match by_key(&card(expires_at), scope, now) {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(code(None, Some(Scope::EventsRead)), "ok");
        assert_eq!(code(None, Some(Scope::EventsWrite)), "scope_missing");
        assert_eq!(code(None, None), "scope_missing");
        assert_eq!(code(Some(1_001), Some(Scope::EventsRead)), "ok");
        assert_eq!(code(Some(1_000), Some(Scope::EventsRead)), "token_expired");
    }
}
