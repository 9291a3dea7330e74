//! Many at once: what one seat, one user and one payment are good for.

use common::auth::Role;
use serde_json::json;
use tests::{Answer, Options, Person, System, Topology};
use tokio::task::JoinSet;

use crate::everywhere;

everywhere!(
    twenty_seats_for_two_hundred,
    the_same_user_fifty_times,
    one_payment_twice_at_once,
    the_last_paid_seat
);

async fn all_at_once<F>(people: impl IntoIterator<Item = Person>, act: impl Fn(Person) -> F) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for person in people {
        tasks.spawn(act(person));
    }
    tasks.join_all().await
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

async fn twenty_seats_for_two_hundred(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let organizer = system.stranger(Role::Organizer);
    for fees in [0, 100] {
        let event = organizer.create_event(json!(20), json!(fees)).await;
        let crowd: Vec<Person> = (0..200).map(|_| system.stranger(Role::User)).collect();
        let answers = all_at_once(crowd.clone(), |person| {
            let event = event.clone();
            async move {
                person
                    .post_at_last("/api/reg/register_event", json!({"event_id": event}))
                    .await
            }
        })
        .await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (20, 180));
        for refused in answers.iter().filter(|answer| answer.status == 409) {
            refused.problem(409, "event_full");
        }
        let mut inside = 0;
        for person in &crowd {
            inside += usize::from(!person.status(&event).await.is_empty());
        }
        assert_eq!(inside, 20, "those who were told so, and nobody else");
        let shown = system
            .anyone()
            .get(&format!("/api/events/{event}"))
            .await
            .expect(200);
        assert_eq!(
            (&shown["registered"], &shown["seats_left"]),
            (&json!(20), &json!(0))
        );
    }
}

async fn the_same_user_fifty_times(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let event = system
        .stranger(Role::Organizer)
        .create_event(json!(100), json!(0))
        .await;
    let user = system.stranger(Role::User);
    let answers = all_at_once(vec![user.clone(); 50], |person| {
        let event = event.clone();
        async move {
            person
                .post_at_last("/api/reg/register_event", json!({"event_id": event}))
                .await
        }
    })
    .await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 49));
    let made = answers.iter().find(|answer| answer.status == 201).unwrap().json();
    for refused in answers.iter().filter(|answer| answer.status == 409) {
        assert_eq!(
            refused.problem(409, "already_registered")["registration_id"],
            made["registration_id"]
        );
    }
    assert_eq!(
        system
            .anyone()
            .get(&format!("/api/events/{event}"))
            .await
            .expect(200)["registered"],
        1
    );
}

async fn one_payment_twice_at_once(topology: Topology) {
    // As in production: nobody dies here, and who is only slow must not be taken for dead.
    let system = System::start(topology, Options::default().with("LEASE_SECONDS", 20)).await;
    let organizer = system.stranger(Role::Organizer);
    for _ in 0..5 {
        let event = organizer.create_event(json!(1), json!(500)).await;
        let user = system.stranger(Role::User);
        let answers = all_at_once(vec![user.clone(); 8], |person| {
            let event = event.clone();
            async move {
                person
                    .post_at_last("/api/payment/process_payment", person.payment(&event, json!(500)))
                    .await
            }
        })
        .await;
        assert_eq!(count(&answers, 200), 1, "{answers:?}");
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            let code = refused.problem(409, "")["code"].as_str().unwrap().to_owned();
            assert!(
                ["payment_in_progress", "already_paid"].contains(&code.as_str()),
                "{code}"
            );
        }
        user.is_confirmed(&event).await;
        assert_eq!(
            user.get("/api/payment/payments")
                .await
                .expect(200)
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

async fn the_last_paid_seat(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let event = system
        .stranger(Role::Organizer)
        .create_event(json!(3), json!(500))
        .await;
    let crowd: Vec<Person> = (0..30).map(|_| system.stranger(Role::User)).collect();
    let answers = all_at_once(crowd.clone(), |person| {
        let event = event.clone();
        async move {
            person
                .post_at_last("/api/payment/process_payment", person.payment(&event, json!(500)))
                .await
        }
    })
    .await;
    assert_eq!(
        (count(&answers, 200), count(&answers, 409)),
        (3, 27),
        "{answers:?}"
    );
    let mut captured = 0;
    for person in &crowd {
        captured += person
            .get("/api/payment/payments")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len();
    }
    assert_eq!(captured, 3, "nobody without a seat was charged");
}
