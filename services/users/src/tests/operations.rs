//! Health, metrics and the document.

use super::*;

#[tokio::test]
async fn it_is_alive_and_ready() {
    let service = Service::start();
    service.get("/health/live", "").await.is(200);
    let answer = service.get("/health/ready", "").await.is(200);
    assert_eq!(
        answer.body,
        json!({"status": "up", "service": "users", "checks": {"ended_sessions": "up", "store": "up"}})
    );
}

#[tokio::test]
async fn requests_and_the_line_before_hashing_can_be_watched() {
    let service = Service::start();
    service.get("/api/users/me", "").await.is(401);
    service.get("/api/users/nobody", "").await.is(404);
    let response = service
        .pipeline
        .handle(Request::builder().uri("/metrics").body(Body::empty()).unwrap())
        .await;
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    for line in [
        "password_hashing_callers{service=\"users\"} 0",
        "http_requests_total{service=\"users\",method=\"GET\",route=\"/api/users/me\",status=\"401\"} 1",
        "http_requests_total{service=\"users\",method=\"GET\",route=\"none\",status=\"404\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn the_document_tells_every_endpoint_and_failure() {
    let document = Service::start().get("/openapi.json", "").await.is(200).body;
    let operations = [
        (
            "/api/users/register",
            "post",
            "registerUser",
            "409",
            "email_taken",
        ),
        ("/api/users/login", "post", "login", "401", "invalid_credentials"),
        (
            "/api/users/refresh",
            "post",
            "refresh",
            "401",
            "refresh_token_reused",
        ),
        ("/api/users/logout", "post", "logout", "401", "session_ended"),
        (
            "/api/users/logout_all",
            "post",
            "logoutAll",
            "401",
            "session_ended",
        ),
        (
            "/api/users/sessions",
            "get",
            "listSessions",
            "401",
            "session_ended",
        ),
        (
            "/api/users/sessions/{session_id}",
            "delete",
            "endSession",
            "404",
            "session_not_found",
        ),
        ("/api/users/me", "delete", "deleteMe", "409", "events_open"),
        ("/api/users/me/export", "get", "exportMe", "401", "account_gone"),
        (
            "/api/users/api_keys",
            "post",
            "createApiKey",
            "409",
            "too_many_api_keys",
        ),
        (
            "/api/users/api_keys",
            "get",
            "listApiKeys",
            "403",
            "scope_missing",
        ),
        (
            "/api/users/api_keys/{id}",
            "delete",
            "deleteApiKey",
            "404",
            "api_key_not_found",
        ),
        (
            "/api/users/password/change",
            "post",
            "changePassword",
            "403",
            "wrong_password",
        ),
        (
            "/api/users/password/reset",
            "post",
            "resetPassword",
            "403",
            "token_invalid",
        ),
        (
            "/api/users/email/verify",
            "post",
            "verifyEmail",
            "403",
            "token_invalid",
        ),
        (
            "/api/users/email/change",
            "post",
            "changeEmail",
            "409",
            "email_taken",
        ),
        (
            "/api/users/email/verify/send",
            "post",
            "sendVerification",
            "409",
            "email_verified",
        ),
        (
            "/api/users/password/forgot",
            "post",
            "forgotPassword",
            "429",
            "rate_limited",
        ),
        (
            "/api/users/oauth/google",
            "get",
            "signInWithGoogle",
            "404",
            "google_sign_in_off",
        ),
        (
            "/api/users/oauth/google/callback",
            "get",
            "finishSignInWithGoogle",
            "409",
            "link_required",
        ),
        (
            "/api/users/oauth/exchange",
            "post",
            "exchangeCode",
            "401",
            "totp_required",
        ),
        (
            "/api/users/oauth/link",
            "post",
            "linkGoogle",
            "401",
            "invalid_credentials",
        ),
        ("/api/users/totp", "post", "proposeTotp", "409", "totp_on"),
        ("/api/users/totp", "delete", "removeTotp", "404", "totp_off"),
        (
            "/api/users/totp/confirm",
            "post",
            "confirmTotp",
            "403",
            "totp_invalid",
        ),
        ("/api/users/me", "get", "getMe", "401", "account_gone"),
        ("/api/users/me", "patch", "updateMe", "401", "account_gone"),
    ];
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(
        paths
            .values()
            .map(|path| path.as_object().unwrap().len())
            .sum::<usize>(),
        operations.len(),
        "internal ones are not public"
    );
    for (path, method, id, status, code) in operations {
        let operation = &document["paths"][path][method];
        assert_eq!(operation["operationId"], id);
        let mut response = &operation["responses"][status];
        if let Some(reference) = response["$ref"].as_str() {
            response = document.pointer(reference.trim_start_matches('#')).unwrap();
        }
        let examples = &response["content"]["application/problem+json"]["examples"];
        assert_eq!(examples[code]["value"]["code"], code, "{id}: {response}");
    }
    let register = &document["components"]["schemas"]["RegisterUser"];
    assert_eq!(register["required"], json!(["email", "password", "role"]));
}
