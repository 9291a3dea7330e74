use common::{
    ids::UserId,
    wire::{FoundUsers, LookupUsers},
};

use super::*;

const PATH: &str = "/internal/users/lookup";

impl Service {
    async fn look_up(&self, token: &str, body: &Value) -> Answer {
        let mut request = post(PATH, body);
        if !token.is_empty() {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        self.send(request).await
    }

    fn token(&self) -> Arc<str> {
        self.service("events").service_token("users").unwrap()
    }
}

#[tokio::test]
async fn who_exists_is_found() {
    let service = Service::start();
    let body = json!({"email": "asha@example.org", "password": PASSWORD, "role": "user", "name": "Asha",
                      "phone": "+919876543210"});
    let asha = service
        .post("/api/users/register", &body)
        .await
        .is(201)
        .text("user_id")
        .to_owned();
    let ben = service
        .register("ben@example.org")
        .await
        .text("user_id")
        .to_owned();
    let (asha, ben) = (UserId::lenient(&asha), UserId::lenient(&ben));
    let question = LookupUsers {
        user_ids: vec![asha, UserId::new(), ben, asha],
    };
    let answer = service
        .look_up(&service.token(), &serde_json::to_value(question).unwrap())
        .await
        .is(200);
    let mut found: FoundUsers = serde_json::from_value(answer.body).unwrap();
    found.users.sort_by_key(|card| card.user_id);
    let [first, second] = found.users.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!((first.user_id, first.email.as_str()), (asha, "asha@example.org"));
    assert_eq!(
        (first.name.as_deref(), first.phone.as_deref()),
        (Some("Asha"), Some("+919876543210"))
    );
    assert_eq!((second.user_id, second.name.as_deref()), (ben, None));
    let nobody = service
        .look_up(&service.token(), &json!({"user_ids": []}))
        .await
        .is(200);
    assert_eq!(nobody.body, json!({"users": []}));
}

#[tokio::test]
async fn at_most_five_hundred() {
    let service = Service::start();
    let ids = |count| json!({"user_ids": (0..count).map(|_| UserId::new()).collect::<Vec<_>>()});
    service.look_up(&service.token(), &ids(500)).await.is(200);
    let answer = service
        .look_up(&service.token(), &ids(501))
        .await
        .fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["user_ids"]);
    for body in [
        json!({}),
        json!({"user_ids": "x"}),
        json!({"user_ids": ["x"]}),
        json!({"user_ids": [1]}),
    ] {
        service
            .look_up(&service.token(), &body)
            .await
            .fails(422, "validation_failed");
    }
}

#[tokio::test]
async fn services_only() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let user = service
        .login("asha@example.org", PASSWORD)
        .await
        .text("token")
        .to_owned();
    let for_others = service.service("events").service_token("payments").unwrap();
    for token in ["", "x", &user, &for_others] {
        // A caller that is no service does not learn what is wrong with the request either.
        service
            .look_up(token, &json!({}))
            .await
            .fails(401, "invalid_token");
    }
}
