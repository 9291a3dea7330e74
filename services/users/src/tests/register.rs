use super::*;

const PATH: &str = "/api/users/register";

#[tokio::test]
async fn the_documented_request() {
    let service = Service::start();
    let body = json!({"email": "asha@example.org", "password": "password123", "role": "organizer"});
    let answer = service.post(PATH, &body).await.is(201);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let user_id = answer.text("user_id");
    assert_eq!(
        answer.body,
        json!({"message": "User registered successfully.", "user_id": user_id, "role": "organizer",
               "email": "asha@example.org", "email_verified": false})
    );
    assert_eq!(user_id.len(), 36);
}

#[tokio::test]
async fn every_way_to_write_a_role() {
    let service = Service::start();
    for (number, (role, stored)) in [
        ("organizer", "organizer"),
        ("ORGANISER", "organizer"),
        ("Organiser", "organizer"),
        ("USER", "user"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"email": format!("user{number}@example.org"), "password": PASSWORD, "role": role});
        assert_eq!(service.post(PATH, &body).await.is(201).body["role"], stored);
    }
    for role in [
        json!("admin"),
        json!("Administrator"),
        json!(""),
        json!(1),
        json!(["user"]),
        json!({"$ne": ""}),
    ] {
        let body = json!({"email": "x@example.org", "password": PASSWORD, "role": role});
        let answer = service.post(PATH, &body).await.fails(422, "validation_failed");
        assert_eq!(answer.fields(), ["role"]);
    }
}

#[tokio::test]
async fn an_address_is_taken_once_however_it_is_written() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let body = json!({"email": "  ASHA@Example.org ", "password": "another password", "role": "user"});
    let answer = service.post(PATH, &body).await.fails(409, "email_taken");
    assert_eq!(answer.body["message"], "Error registering user.");
    service.login("asha@example.org", PASSWORD).await.is(200);
}

#[tokio::test]
async fn the_same_sign_up_many_times_at_once_is_one_account() {
    let service = Service::start();
    let body = json!({"email": "asha@example.org", "password": PASSWORD, "role": "user"});
    let answers = futures_util::future::join_all((0..10).map(|_| service.post(PATH, &body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn all_that_is_wrong_is_listed() {
    let service = Service::start();
    let answer = service
        .post(PATH, &json!({}))
        .await
        .fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["email", "password", "role"]);
    assert_eq!(answer.body["message"], "Error registering user.");
    assert_eq!(
        answer.body["errors"][0],
        json!({"field": "email", "message": "is required"})
    );
    let body = json!({"email": "asha", "password": "short", "role": "admin", "name": "a\r\nb", "phone": "12",
                      "timezone": "Mars/Olympus", "locale": "!"});
    let answer = service.post(PATH, &body).await.fails(422, "validation_failed");
    assert_eq!(
        answer.fields(),
        ["email", "password", "role", "name", "phone", "timezone", "locale"]
    );
    let body = json!({"email": 1, "password": 12345678, "role": true, "name": [], "phone": 919876543210_i64,
                      "timezone": {}, "locale": 1.5});
    let answer = service.post(PATH, &body).await.fails(422, "validation_failed");
    assert_eq!(answer.fields().len(), 7);
    assert!(
        !answer.body.to_string().contains("12345678"),
        "what was sent is not repeated"
    );
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_honoured() {
    let service = Service::start();
    let body = json!({"email": "asha@example.org", "password": PASSWORD, "role": "user", "user_id": "x",
                      "is_admin": true, "created_at": 0, "name": null});
    let answer = service.post(PATH, &body).await.is(201);
    assert_eq!(answer.body["role"], "user");
    assert_ne!(answer.body["user_id"], "x");
}

#[tokio::test]
async fn common_passwords_are_refused_in_production_only() {
    let body = json!({"email": "asha@example.org", "password": "Password123", "role": "user"});
    Service::start().post(PATH, &body).await.is(201);
    let service = Service::in_production();
    let answer = service.post(PATH, &body).await.fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["password"]);
    assert_eq!(answer.body["message"], "Error registering user.");
    service.register("asha@example.org").await;
}

#[tokio::test]
async fn passwords_are_kept_as_they_are_typed() {
    let service = Service::start();
    let password = "  पासवर्ड ♥  ";
    let body = json!({"email": "asha@example.org", "password": password, "role": "user"});
    service.post(PATH, &body).await.is(201);
    service.login("asha@example.org", password).await.is(200);
    service.login("asha@example.org", password.trim()).await.is(401);
    let body = json!({"email": "ben@example.org", "password": "é".repeat(256), "role": "user"});
    service.post(PATH, &body).await.is(201);
    service.login("ben@example.org", &"é".repeat(256)).await.is(200);
    service.login("ben@example.org", &"é".repeat(255)).await.is(401);
}

#[tokio::test]
async fn no_password_and_no_hash_reaches_the_store_in_clear_or_the_answers() {
    let service = Service::start();
    let answer = service.register("asha@example.org").await;
    assert!(!answer.body.to_string().contains("argon2"));
    for file in std::fs::read_dir(&service.context.settings.data_dir).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(
            !bytes
                .windows(PASSWORD.len())
                .any(|window| window == PASSWORD.as_bytes())
        );
    }
}

#[tokio::test]
async fn an_address_signs_up_five_hundred_times_a_minute_at_most() {
    let (service, hashing, _) = Service::with_parts(ONE_CALLER);
    // With the only hashing thread held, each sign-up that the limit lets through is refused quickly with
    // 503.
    let held = hold(&hashing).await;
    let body = json!({"email": "asha@example.org", "password": PASSWORD, "role": "user"});
    let mut statuses = Vec::new();
    for _ in 0..5000 {
        let answer = service.post_from("192.0.2.1", PATH, &body).await;
        statuses.push(answer.status.as_u16());
        if answer.status == 429 {
            let answer = answer.fails(429, "rate_limited");
            assert_eq!(answer.headers[header::RETRY_AFTER], "1");
            assert_eq!(answer.body["message"], "Error registering user.");
            break;
        }
        answer.fails(503, "unavailable");
    }
    assert!(
        statuses.len() > 500 && statuses.ends_with(&[429]),
        "{}",
        statuses.len()
    );
    service
        .post_from("192.0.2.2", PATH, &body)
        .await
        .fails(503, "unavailable");
    drop(held);
}

#[tokio::test]
async fn too_many_at_once_are_told_to_come_again() {
    let (service, hashing, _) = Service::with_parts(ONE_CALLER);
    let held = hold(&hashing).await;
    let body = json!({"email": "asha@example.org", "password": PASSWORD, "role": "user"});
    let answer = service.post(PATH, &body).await.fails(503, "unavailable");
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    assert_eq!(answer.body["message"], "Error registering user.");
    drop(held);
    while hashing.callers() > 0 {
        tokio::task::yield_now().await;
    }
    service.post(PATH, &body).await.is(201);
}

/// Keeps a hashing thread busy until the answer is dropped.
pub async fn hold(hashing: &Hashing) -> std::sync::mpsc::Sender<()> {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (started, runs) = tokio::sync::oneshot::channel();
    let hashing = hashing.clone();
    tokio::spawn(async move {
        hashing
            .run(move |_| {
                let _ = started.send(());
                let _ = wait.recv();
                Ok(())
            })
            .await
    });
    runs.await.unwrap();
    go
}
