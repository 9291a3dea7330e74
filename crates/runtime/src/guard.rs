//! Who may call what: every request to a service is checked by the registry of routes before its handler runs. A route
//! that is not in the registry is refused, so that none can be open because somebody forgot it.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use common::{
    api_keys::{ApiKey, Scope},
    auth::{Auth, Role, TokenError},
    clock::Timestamp,
    context::note_user,
    extract::{Caller, CallingService, bearer, missing_token, organizer_only, refused, scope_missing},
    http::InternalClient,
    problem::ApiError,
    routes::{Audience, Call, Policy},
    wire::ApiKeyCard,
};

use crate::api_keys::ApiKeys;

/// Checks callers for one service. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    auth: Auth,
    keys: ApiKeys,
}

impl Guard {
    /// Checks tokens by `auth`, and API keys at the users service.
    pub fn new(auth: Auth, users: InternalClient) -> Self {
        let keys = ApiKeys::new(users, auth.clock().clone());
        Self { auth, keys }
    }

    /// The middleware around every route of a service.
    pub async fn check(
        State(guard): State<Self>,
        route: MatchedPath,
        request: Request,
        next: Next,
    ) -> Response {
        match Policy::find(route.as_str(), request.method()) {
            Policy::Call(call) => match guard.admit(call, request).await {
                Ok(request) => next.run(request).await,
                Err(refusal) => refusal.into_response(),
            },
            Policy::OtherMethods(calls) => method_not_allowed(calls),
            Policy::None => {
                tracing::error!(route = route.as_str(), "a route without a policy was called");
                StatusCode::NOT_FOUND.into_response()
            }
        }
    }

    /// Notes on the request who calls, if that is somebody who may.
    async fn admit(&self, call: &Call, mut request: Request) -> Result<Request, ApiError> {
        match call.audience {
            Audience::Anyone | Audience::Razorpay | Audience::Browsers | Audience::Developers => {}
            Audience::Services => {
                let service = CallingService::of_token(&self.auth, request.headers())?;
                request.extensions_mut().insert(service);
            }
            Audience::SignedIn | Audience::Organizers => {
                let caller = self.caller(call.scope, request.headers()).await?;
                note_user(caller.id);
                if call.audience == Audience::Organizers && caller.role != Role::Organizer {
                    return Err(organizer_only());
                }
                request.extensions_mut().insert(caller);
            }
        }
        Ok(request)
    }

    async fn caller(&self, scope: Option<Scope>, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let token = bearer(headers).ok_or_else(missing_token)?;
        if !ApiKey::is_meant(token) {
            return Caller::of_token(&self.auth, token);
        }
        let key = ApiKey::read(token).ok_or_else(|| refused(TokenError::Invalid))?;
        let card = self.keys.find(&key).await.map_err(|error| {
            ApiError::unavailable("API keys cannot be checked at the moment. Please try again.")
                .because(error)
        })?;
        let card = card.ok_or_else(|| refused(TokenError::Invalid))?;
        note_user(card.user_id);
        if self.auth.has_ended(card.api_key_id) {
            return Err(refused(TokenError::Invalid));
        }
        by_key(&card, scope, self.auth.clock().now())
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
        http::Method,
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
                Guard::new(auth, users),
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
