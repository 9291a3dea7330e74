//! The one error shape, whoever answers: handlers, extractors, axum, the gateway, or the gateway for a service that is
//! away.

use common::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Options, Person, System, Topology};

use crate::everywhere;

everywhere!(every_failure_has_the_one_shape);

/// One way to fail: method, path, body, headers, and what comes of it.
struct Case<'a>(Method, &'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);

const JSON: (&str, &str) = ("content-type", "application/json");

async fn try_all(person: &Person, cases: &[Case<'_>]) {
    let http = tests::people::http_client();
    for Case(method, path, body, headers, status, code) in cases {
        let mut request = http.request(method.clone(), format!("{}{path}", person.url()));
        if let Some(token) = person
            .token
            .as_ref()
            .filter(|_| !headers.iter().any(|(name, _)| *name == "authorization"))
        {
            request = request.bearer_auth(token);
        }
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        let response = request.body((*body).to_owned()).send().await.unwrap();
        let (found, headers) = (response.status(), response.headers().clone());
        let answer = tests::Answer {
            status: found,
            headers,
            text: response.text().await.unwrap(),
        };
        assert_eq!(
            answer.status.as_u16(),
            *status,
            "{method} {path} {body}: {}",
            answer.text
        );
        let problem = answer.problem(*status, code);
        if *method == Method::POST {
            let documented = match *path {
                "/api/users/register" => Some("Error registering user."),
                "/api/organiser/create_event" => Some("Error creating event."),
                "/api/reg/register_event" => Some("Error registering for event."),
                "/api/payment/process_payment" => Some("Error processing payment."),
                _ => None,
            };
            if let Some(documented) = documented {
                assert_eq!(problem["message"], documented, "{method} {path} {status}");
            }
        }
        if *path == "/api/users/login" {
            assert_eq!(
                problem["message"] == "Invalid credentials.",
                *code == "invalid_credentials"
            );
        }
    }
}

async fn every_failure_has_the_one_shape(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let (organizer, user) = (system.stranger(Role::Organizer), system.stranger(Role::User));
    let long = format!("{{\"e_name\":\"{}\"}}", "x".repeat(200 * 1024));
    let deep = format!("{{\"event_id\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    const REGISTER: &str = "/api/reg/register_event";
    const CREATE: &str = "/api/organiser/create_event";
    const PAY: &str = "/api/payment/process_payment";
    let cases = [
        Case(Method::POST, REGISTER, "{", &[JSON], 400, "not_json"),
        Case(Method::POST, REGISTER, "", &[JSON], 400, "not_json"),
        Case(Method::POST, REGISTER, "\u{1}", &[JSON], 400, "not_json"),
        Case(Method::POST, REGISTER, &deep, &[JSON], 422, "validation_failed"),
        Case(Method::POST, REGISTER, "[]", &[JSON], 422, "validation_failed"),
        Case(Method::POST, REGISTER, "null", &[JSON], 422, "validation_failed"),
        Case(Method::POST, REGISTER, "{}", &[JSON], 422, "validation_failed"),
        Case(
            Method::POST,
            REGISTER,
            "{\"event_id\":7}",
            &[JSON],
            422,
            "validation_failed",
        ),
        Case(
            Method::POST,
            REGISTER,
            "{\"event_id\":\"'; DROP TABLE events\"}",
            &[JSON],
            404,
            "event_not_found",
        ),
        Case(
            Method::POST,
            REGISTER,
            "{\"event_id\":{\"$ne\":null}}",
            &[JSON],
            422,
            "validation_failed",
        ),
        Case(
            Method::POST,
            REGISTER,
            "{}",
            &[("content-type", "text/plain")],
            415,
            "unsupported_media_type",
        ),
        Case(
            Method::POST,
            REGISTER,
            "{}",
            &[("content-type", "application/x-www-form-urlencoded")],
            415,
            "",
        ),
        Case(Method::POST, REGISTER, "{}", &[], 415, "unsupported_media_type"),
        Case(Method::POST, CREATE, &long, &[JSON], 413, "body_too_large"),
        Case(Method::POST, CREATE, "{}", &[JSON], 403, "organizer_only"),
        Case(
            Method::POST,
            PAY,
            "{\"amount\":-1}",
            &[JSON],
            422,
            "validation_failed",
        ),
        Case(
            Method::POST,
            REGISTER,
            "{}",
            &[JSON, ("authorization", "Bearer nonsense")],
            401,
            "invalid_token",
        ),
        Case(
            Method::POST,
            REGISTER,
            "{}",
            &[JSON, ("authorization", "Basic eDp5")],
            401,
            "missing_token",
        ),
        Case(
            Method::POST,
            REGISTER,
            "{}",
            &[JSON, ("authorization", "Bearer ")],
            401,
            "missing_token",
        ),
        Case(
            Method::POST,
            CREATE,
            "{}",
            &[JSON, ("authorization", "x")],
            401,
            "missing_token",
        ),
        Case(
            Method::POST,
            "/api/users/register",
            "{}",
            &[JSON],
            422,
            "validation_failed",
        ),
        Case(
            Method::POST,
            "/api/users/login",
            "{\"email\":\"a@b.c\",\"password\":\"x\"}",
            &[JSON],
            401,
            "invalid_credentials",
        ),
        Case(
            Method::POST,
            "/api/users/login",
            "{}",
            &[JSON],
            422,
            "validation_failed",
        ),
        Case(Method::GET, REGISTER, "", &[], 405, "method_not_allowed"),
        Case(
            Method::PUT,
            "/api/organiser/events",
            "",
            &[],
            405,
            "method_not_allowed",
        ),
        Case(Method::TRACE, "/api/events", "", &[], 405, "method_not_allowed"),
        Case(Method::GET, "/api/events/%ff", "", &[], 404, "event_not_found"),
        Case(
            Method::POST,
            REGISTER,
            "{}",
            &[("content-type", "application/json; charset=iso-8859-1")],
            415,
            "unsupported_media_type",
        ),
        Case(
            Method::POST,
            REGISTER,
            "{}",
            &[JSON, ("content-encoding", "gzip")],
            415,
            "unsupported_content_encoding",
        ),
        Case(
            Method::POST,
            REGISTER,
            "\u{1f}\u{8b}",
            &[JSON, ("content-encoding", "identity, deflate")],
            415,
            "unsupported_content_encoding",
        ),
        Case(
            Method::POST,
            REGISTER,
            "\u{feff}{}",
            &[
                ("content-type", "application/json; Charset=\"UTF-8\""),
                ("content-encoding", "identity"),
            ],
            422,
            "validation_failed",
        ),
        Case(
            Method::POST,
            REGISTER,
            "{\"event_id\":\"\\ud83d\"}",
            &[JSON],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/api/events?city=Pune",
            "",
            &[],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/api/events?limit=",
            "",
            &[],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/api/events?limit=1&limit=2",
            "",
            &[],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/api/reg/get_registrevent?q=x",
            "",
            &[],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/api/notifications?kind=ticket",
            "",
            &[],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/api/payment/payments?page=2",
            "",
            &[],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/api/events?limit=0",
            "",
            &[],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/api/events?cursor=!",
            "",
            &[],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/api/reg/get_registrevent?status=x",
            "",
            &[],
            422,
            "validation_failed",
        ),
        Case(
            Method::GET,
            "/",
            "",
            &[("x-request-id", "evil\u{7f}id")],
            200,
            "skip",
        ),
        Case(Method::GET, "/nothing", "", &[], 404, "route_not_found"),
        Case(Method::GET, "/api/nothing", "", &[], 404, "route_not_found"),
        Case(Method::GET, "/api/users/nothing", "", &[], 404, "route_not_found"),
        Case(
            Method::POST,
            "/internal/messages",
            "[]",
            &[JSON],
            404,
            "route_not_found",
        ),
        Case(
            Method::POST,
            "/api/users/%2e%2e/%2e%2e/internal/users/lookup",
            "{}",
            &[JSON],
            404,
            "route_not_found",
        ),
        Case(Method::GET, "/metrics", "", &[], 404, "route_not_found"),
        Case(
            Method::POST,
            "/api/payment/webhook",
            "{}",
            &[JSON],
            400,
            "signature_invalid",
        ),
    ];
    let cases: Vec<Case<'_>> = cases.into_iter().filter(|case| case.5 != "skip").collect();
    try_all(&user, &cases).await;

    // Whoever asks in whatever way what an address takes is told the same.
    for (path, allow) in [
        ("/api/events", "GET, HEAD, OPTIONS"),
        (REGISTER, "POST, OPTIONS"),
        ("/api/users/me", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
    ] {
        for (method, status) in [("OPTIONS", 204), ("TRACE", 405), ("PROPFIND", 405), ("PUT", 405)] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request =
                tests::people::http_client().request(method.clone(), format!("{}{path}", user.url()));
            let answer = request.send().await.unwrap();
            let mut told: Vec<&str> = answer.headers()["allow"].to_str().unwrap().split(", ").collect();
            let mut wanted: Vec<&str> = allow.split(", ").collect();
            told.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(
                (answer.status().as_u16(), told),
                (status, wanted),
                "{method} {path}"
            );
        }
    }

    let all_wrong = json!({"e_name": "", "e_details": 5, "event_time": "soon", "capacity": 0, "fees": "0.5"});
    let problem = organizer
        .post(CREATE, all_wrong)
        .await
        .problem(422, "validation_failed");
    let fields: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["field"].as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "e_name",
            "e_details",
            "event_time",
            "event_add",
            "capacity",
            "fees"
        ],
        "all of them"
    );
    assert!(
        problem["errors"][4]["message"].as_str().unwrap().contains('0'),
        "capacity 0 is named: {problem}"
    );

    // The same from each service itself: the gateway is not the only guard.
    for (port, path) in [
        ("USERS_PORT", "/internal/users/lookup"),
        ("EVENTS_PORT", "/internal/registrations/claim"),
        ("EVENTS_PORT", "/internal/registrations/secure"),
        ("EVENTS_PORT", "/internal/registrations/release"),
        ("EVENTS_PORT", "/internal/events/organizer"),
        ("EVENTS_PORT", "/internal/live/publish"),
        ("NOTIFICATIONS_PORT", "/internal/messages"),
        ("PAYMENTS_PORT", "/internal/messages"),
    ] {
        let service = user.at(&system.service_url(port));
        service.post(path, json!({})).await.problem(401, "invalid_token");
        service.get("/nothing").await.problem(404, "route_not_found");
        let nobody = system.anyone().at(&system.service_url(port));
        nobody.post(path, json!([])).await.problem(401, "invalid_token");
    }
    let direct = system.anyone().at(&system.service_url("EVENTS_PORT"));
    direct.post(CREATE, json!({})).await.problem(401, "missing_token");

    if topology != Topology::One {
        for victim in ["events", "payments", "users"] {
            system.kill_every(victim);
        }
        for (path, message) in [
            ("/api/users/register", "Error registering user."),
            (CREATE, "Error creating event."),
            (REGISTER, "Error registering for event."),
            (PAY, "Error processing payment."),
        ] {
            let problem: Value = organizer.post(path, json!({})).await.problem(503, "unavailable");
            assert_eq!(problem["message"], message);
        }
        organizer.get("/api/events").await.problem(503, "unavailable");
        organizer.get("/health/ready").await.problem(503, "not_ready");
        assert_eq!(organizer.get("/health").await.expect(200)["status"], "degraded");
        system.start_again().await;
        organizer.create_event(json!(1), json!(0)).await;
    }
}
