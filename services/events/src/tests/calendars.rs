//! Calendars to subscribe to.

use axum::http::{Method, header};
use chrono::TimeDelta;
use common::{outbox::CloudEvent, wire::AccountDeleted};
use serde_json::{Value, json};

use super::kit::{Answer, CREATE, Call, Person, Service};

const CALENDAR: &str = "/api/reg/calendar";

async fn made(service: &Service, who: &Person) -> String {
    let made = service.post(who, CALENDAR, &Value::Null).await.is(201);
    assert_eq!(made.headers[header::CACHE_CONTROL], "no-store");
    let url = made.text("url");
    url[url.find("/api/").unwrap()..].to_owned()
}

async fn read(service: &Service, path: &str) -> Answer {
    service.send(Call::get(path).anybody()).await
}

async fn entries(service: &Service, path: &str) -> String {
    let answer = read(service, path).await.is(200);
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "text/calendar; charset=utf-8"
    );
    String::from_utf8(answer.bytes.to_vec())
        .unwrap()
        .replace("\r\n ", "")
}

#[tokio::test]
async fn a_calendar_has_what_one_is_in_for_and_ones_own_events() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, None, 0).await;
    let paid = service.event(&organizer, None, 500).await;
    let mut draft = service.draft(None, 0);
    draft["draft"] = json!(true);
    service.post(&organizer, CREATE, &draft).await.is(201);
    let registered = service.register(&asha, &event).await.is(201);
    service.register(&asha, &paid).await.is(201);
    let (mine, theirs) = (made(&service, &asha).await, made(&service, &organizer).await);
    let calendar = entries(&service, &mine).await;
    let uid = format!("UID:{}@organise-event", registered.text("registration_id"));
    assert!(
        calendar.contains(&uid) && calendar.contains("X-WR-CALNAME:Organise Event"),
        "{calendar}"
    );
    let code = registered.body["ticket"]["code"].as_str().unwrap();
    assert!(calendar.contains(&format!("Ticket: {code}")), "{calendar}");
    assert_eq!(
        calendar.matches("BEGIN:VEVENT").count(),
        1,
        "a held seat is none: {calendar}"
    );
    let own = entries(&service, &theirs).await;
    assert_eq!(own.matches("BEGIN:VEVENT").count(), 2, "{own}");
    assert!(own.contains(&format!("UID:{event}@organise-event")), "{own}");
    let move_to = json!({"event_time": (service.now() + TimeDelta::days(9)).to_rfc3339()});
    let path = format!("/api/organiser/events/{event}");
    service
        .send(Call::new(Method::PATCH, &path, &move_to).by(&organizer))
        .await
        .is(200);
    let moved = entries(&service, &mine).await;
    assert!(moved.contains(&uid) && moved.contains("SEQUENCE:2"), "{moved}");
}

#[tokio::test]
async fn a_calendar_is_reached_by_its_token_alone_until_it_has_another() {
    let service = Service::start();
    let asha = service.user();
    let remove = || Call::new(Method::DELETE, CALENDAR, &Value::Null);
    service
        .send(remove().by(&asha))
        .await
        .fails(404, "calendar_not_found");
    service.send(remove().anybody()).await.is(401);
    let first = made(&service, &asha).await;
    entries(&service, &first).await;
    let second = made(&service, &asha).await;
    assert_ne!(first, second);
    read(&service, &first).await.fails(404, "calendar_not_found");
    entries(&service, &second).await;
    let without_ending = second.strip_suffix(".ics").unwrap();
    for path in [
        without_ending,
        "/api/reg/calendar/x.ics",
        "/api/reg/calendar/.ics",
    ] {
        read(&service, path).await.fails(404, "calendar_not_found");
    }
    service.send(remove().by(&asha)).await.is(200);
    read(&service, &second).await.fails(404, "calendar_not_found");
    // It goes with the account.
    let third = made(&service, &asha).await;
    let data = AccountDeleted { user_id: asha.id };
    let event = CloudEvent::new(
        "users",
        common::ids::new_id(),
        "account.deleted".to_owned(),
        asha.id.0,
        service.now(),
        serde_json::to_string(&data).unwrap(),
    );
    service
        .ask("/internal/messages", &json!([event.unwrap()]))
        .await
        .is(200);
    read(&service, &third).await.fails(404, "calendar_not_found");
}
