//! A change that fails half way is rolled back as a whole, with its key and outbox messages.

use super::{kit::Service, store_away::every_public_call};

/// The writes of each change. The last stores the response under the key.
const WRITES: [(&str, &[&str]); 10] = [
    (
        "create",
        &[
            "INSERT ON events",
            "INSERT ON event_words",
            "INSERT ON idempotency_keys",
        ],
    ),
    (
        "update",
        &[
            "UPDATE ON events",
            "DELETE ON event_words",
            "INSERT ON event_words",
            "INSERT ON outbox",
            "INSERT ON idempotency_keys",
        ],
    ),
    (
        "publish",
        &[
            "UPDATE ON events",
            "INSERT ON outbox",
            "INSERT ON idempotency_keys",
        ],
    ),
    (
        "duplicate",
        &[
            "INSERT ON events",
            "INSERT ON event_words",
            "INSERT ON idempotency_keys",
        ],
    ),
    (
        "call off",
        &[
            "UPDATE ON events",
            "INSERT ON outbox",
            "INSERT ON idempotency_keys",
        ],
    ),
    (
        "register, free",
        &[
            "INSERT ON registrations",
            "UPDATE ON events",
            "INSERT ON tickets",
            "INSERT ON outbox",
            "INSERT ON idempotency_keys",
        ],
    ),
    (
        "register, paid",
        &[
            "INSERT ON registrations",
            "UPDATE ON events",
            "INSERT ON idempotency_keys",
        ],
    ),
    (
        "cancel a registration",
        &[
            "UPDATE ON registrations",
            "UPDATE ON events",
            "UPDATE ON tickets",
            "INSERT ON outbox",
            "INSERT ON idempotency_keys",
        ],
    ),
    (
        "join the waitlist",
        &[
            "INSERT ON waitlist",
            "UPDATE ON events",
            "INSERT ON idempotency_keys",
        ],
    ),
    (
        "leave the waitlist",
        &[
            "UPDATE ON waitlist",
            "UPDATE ON events",
            "INSERT ON outbox",
            "INSERT ON idempotency_keys",
        ],
    ),
];

#[tokio::test]
async fn nothing_is_half_done() {
    let service = Service::start();
    let calls = every_public_call(&service).await;
    let changing: Vec<_> = calls.iter().filter(|call| call.changes).collect();
    assert_eq!(changing.len(), WRITES.len());
    for (call, (name, writes)) in changing.into_iter().zip(WRITES) {
        assert_eq!(call.name, name);
        let before = service.everything().await;
        for write in writes {
            let refused = "BEGIN SELECT RAISE(ABORT, 'the trigger inside'); END";
            service
                .sql(format!("CREATE TRIGGER broken BEFORE {write} {refused}"))
                .await;
            let answer = service.send(call.request(Some(name))).await;
            assert_eq!(answer.status, 503, "{name}: {write} is not part of it");
            answer.unavailable();
            assert_eq!(service.everything().await, before, "{name}: {write}");
            service.sql("DROP TRIGGER broken".to_owned()).await;
        }
        let answer = service.send(call.request(Some(name))).await;
        assert!(
            answer.status.is_success() && !answer.is_replayed(),
            "{name}: {answer:?}"
        );
    }
}
