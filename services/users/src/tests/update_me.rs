use super::*;

const PATH: &str = "/api/users/me";

impl Service {
    async fn change(&self, authorization: &str, body: &Value) -> Answer {
        let request = request(Method::PATCH, PATH, "application/json", body.to_string());
        self.as_somebody(authorization, request).await
    }
}

#[tokio::test]
async fn details_change_and_stay_changed() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    let ben = service.signed_in("ben@example.org").await;
    let before = service.get(PATH, &ben).await.is(200).body;
    let body =
        json!({"name": " Asha ", "phone": "+91 98765-43210", "timezone": "Europe/Berlin", "locale": "de"});
    let changed = service.change(&asha, &body).await.is(200).body;
    assert_eq!(changed["message"], "User updated successfully.");
    let mut me = service.get(PATH, &asha).await.is(200).body;
    assert_eq!(me["name"], "Asha");
    assert_eq!(me["phone"], "+919876543210");
    me["message"] = changed["message"].clone();
    assert_eq!(me, changed);
    let less = service
        .change(&asha, &json!({"phone": null, "shoe_size": 42}))
        .await
        .is(200)
        .body;
    assert_eq!((&less["phone"], &less["name"]), (&Value::Null, &json!("Asha")));
    assert_eq!(less["email"], "asha@example.org", "what is not known is ignored");
    assert_eq!(service.get(PATH, &ben).await.is(200).body, before);
}

#[tokio::test]
async fn all_that_is_wrong_is_named() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    let body = json!({"name": "", "phone": "12", "timezone": "Mars/Olympus", "locale": "!"});
    let answer = service.change(&asha, &body).await.fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["name", "phone", "timezone", "locale"]);
    for (body, fields) in [
        (json!({}), &["body"][..]),
        (json!({"shoe_size": 42}), &["body"]),
        (json!({"name": "Asha", "role": "organizer"}), &["role"]),
        (
            json!({"name": "Asha", "email": "x@example.org", "password": null}),
            &["email", "password"],
        ),
    ] {
        let answer = service.change(&asha, &body).await.fails(422, "validation_failed");
        assert_eq!(answer.fields(), fields, "{body}");
    }
    assert_eq!(service.get(PATH, &asha).await.is(200).body["name"], Value::Null);
    service
        .change("", &json!({"name": "x"}))
        .await
        .fails(401, "missing_token");
}

#[tokio::test]
async fn an_account_that_is_gone() {
    let service = Service::start();
    let token = service.service("users").user_token(
        common::ids::UserId::new(),
        common::auth::Role::User,
        Duration::from_secs(60),
    );
    let authorization = format!("Bearer {}", token.unwrap());
    service
        .change(&authorization, &json!({"name": "x"}))
        .await
        .fails(401, "account_gone");
}
