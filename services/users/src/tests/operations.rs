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
async fn the_line_before_hashing_can_be_watched() {
    let service = Service::start();
    let response = service
        .front
        .handle(Request::builder().uri("/metrics").body(Body::empty()).unwrap())
        .await;
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(
        text.contains("password_hashing_callers{service=\"users\"} 0"),
        "{text}"
    );
}

#[tokio::test]
async fn the_document_tells_every_endpoint_and_failure() {
    let document = Service::start().get("/openapi.json", "").await.is(200).body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let operations = [
        (
            "/api/users/register",
            "post",
            vec!["201", "400", "409", "413", "415", "422", "429", "503"],
        ),
        (
            "/api/users/login",
            "post",
            vec!["200", "400", "401", "413", "415", "422", "429", "503"],
        ),
        ("/api/users/logout", "post", vec!["200", "401", "503"]),
        ("/api/users/me", "get", vec!["200", "401", "503"]),
        (
            "/api/users/me",
            "patch",
            vec!["200", "400", "401", "413", "415", "422", "503"],
        ),
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
    for (path, method, statuses) in operations {
        let operation = &document["paths"][path][method];
        assert_eq!(operation["tags"], json!(["users"]), "{path}");
        let responses = operation["responses"].as_object().unwrap();
        assert_eq!(
            responses.keys().map(String::as_str).collect::<Vec<_>>(),
            statuses,
            "{path}"
        );
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{path} {status}");
        }
    }
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
    assert_eq!(
        document["paths"]["/api/users/me"]["get"]["security"],
        json!([{"bearer": []}])
    );
    let register = &document["components"]["schemas"]["RegisterUser"];
    assert_eq!(register["required"], json!(["email", "password", "role"]));
    for schema in [
        "RegisterUser",
        "RegisteredUser",
        "Login",
        "LoggedIn",
        "Me",
        "Problem",
        "FieldError",
    ] {
        assert!(document["components"]["schemas"][schema].is_object(), "{schema}");
    }
}
