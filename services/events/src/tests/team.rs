//! The team of an event: who may do what, and how one joins and leaves.

use axum::http::Method;
use chrono::TimeDelta;
use common::{
    idempotency::Keyed,
    ids::{EventId, UserId, new_id},
    routes::{self, ROUTES},
    services::Service as Answers,
};
use serde_json::{Value, json};

use super::kit::{Answer, Call, Person, Service};
use crate::domain::team::{Invitation, TeamRole};

/// An event with a team.
struct House {
    service: Service,
    owner: Person,
    event: String,
}

impl House {
    async fn open() -> Self {
        let service = Service::start();
        let owner = service.organizer();
        let event = service.event(&owner, None, 0).await;
        Self {
            service,
            owner,
            event,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/organiser/events/{}{rest}", self.event)
    }

    /// Lets somebody join, as if they had accepted: the users service is away here.
    async fn joins(&self, who: &Person, role: TeamRole) {
        let store = &self.service.app.store;
        let (now, event) = (self.service.now(), EventId::lenient(&self.event));
        let email = format!("{}@example.org", who.id);
        let invitation = Invitation::new(new_id(), event, email.clone(), role, now);
        let id = invitation.id;
        store
            .invite(invitation, Keyed::none(|_| nothing()))
            .await
            .unwrap();
        let joined = store.accept(id, who.id, email, now, Keyed::none(|_| nothing()));
        joined.await.unwrap();
    }

    async fn delete(&self, who: &Person, rest: &str) -> Answer {
        let call = Call::new(Method::DELETE, &self.path(rest), &Value::Null).by(who);
        self.service.send(call).await
    }

    async fn invite(&self, who: &Person, email: &str, role: &str) -> Answer {
        let body = json!({"email": email, "role": role});
        self.service.post(who, &self.path("/team"), &body).await
    }
}

fn nothing() -> common::idempotency::Answer {
    common::idempotency::Answer::json(axum::http::StatusCode::OK, &())
}

impl House {
    /// Whether a call comes to what is to come of it.
    async fn calls(&self, who: &str, caller: &Person, call: &routes::Call, rest: &str) {
        let service = &self.service;
        let before = service.everything().await;
        let nobody = UserId::new().to_string();
        let path = self.path(rest);
        let path = path.split('/').map(|part| match part.starts_with('{') {
            true => &nobody,
            false => part,
        });
        let path = path.collect::<Vec<_>>().join("/");
        let body = json!({
            "e_name": "Another name", "code": "7KQ2-M4XD-0RZT-9HVB", "event_time": "2031-01-01T10:00",
            "hours_before": [5], "title": "Stage", "kind": "ingest", "email": "a@example.org", "role": "scanner",
        });
        let method = Method::from_bytes(call.method.as_bytes()).unwrap();
        let request = match call.method {
            "GET" => Call::get(&path),
            _ => Call::new(method, &path, &body),
        };
        let answer = service.send(request.by(caller)).await;
        let code = answer.body["code"].as_str().unwrap_or_default();
        let organizers_only = call.audience == routes::Audience::Organizers;
        let expected = refused(who, right(call.method, rest), organizers_only);
        let what = format!("{} {path} by {who}: {}", call.method, answer.body);
        match expected {
            Some(expected) => {
                assert_eq!(code, expected, "{what}");
                assert!(service.everything().await == before, "{what}");
            }
            None => assert!(
                !["insufficient_role", "organizer_only", "event_not_found"].contains(&code),
                "{what}"
            ),
        }
    }
}

/// Who calls.
const WHO: [&str; 7] = [
    "owner",
    "manager",
    "managing organizer",
    "scanner",
    "scanning organizer",
    "organizer",
    "user",
];

/// What each route of one event asks for: `d`oor, `m`anage or `o`wn.
fn right(method: &str, rest: &str) -> char {
    match (method, rest) {
        ("POST", "/check_in") | ("DELETE", "/check_ins/{ticket_id}") => 'd',
        ("GET", "/registrations" | "/stats") => 'd',
        ("POST", "/cancel" | "/duplicate" | "/team") | ("DELETE", "/team/{user_id}") => 'o',
        _ => 'm',
    }
}

/// The code with which somebody is refused; `None`: they are not.
fn refused(who: &str, right: char, organizers_only: bool) -> Option<&'static str> {
    match (who, right) {
        ("owner", _) => None,
        ("manager" | "managing organizer", 'd' | 'm') => None,
        ("scanner" | "scanning organizer", 'd') => None,
        ("manager" | "scanner", _) if organizers_only => Some("organizer_only"),
        ("manager" | "managing organizer" | "scanner" | "scanning organizer", _) => Some("insufficient_role"),
        ("organizer", _) => Some("event_not_found"),
        _ => Some("organizer_only"),
    }
}

#[tokio::test]
async fn each_route_of_an_event_is_for_those_whose_rank_has_its_right() {
    const OF_EVENT: &str = "/api/organiser/events/{id}";
    let mut called = 0;
    for who in WHO {
        let mut house = House::open().await;
        let (organizer, user) = (house.service.organizer(), house.service.user());
        for route in ROUTES.iter().filter(|route| route.service == Answers::Events) {
            let Some(rest) = route.path.strip_prefix(OF_EVENT) else {
                continue;
            };
            for call in route.calls {
                // Of its own, since some calls leave nothing to do for the next.
                house.event = house.service.event(&house.owner, None, 0).await;
                let (caller, role) = match who {
                    "owner" => (&house.owner, None),
                    "manager" => (&user, Some(TeamRole::Manager)),
                    "managing organizer" => (&organizer, Some(TeamRole::Manager)),
                    "scanner" => (&user, Some(TeamRole::Scanner)),
                    "scanning organizer" => (&organizer, Some(TeamRole::Scanner)),
                    "organizer" => (&organizer, None),
                    _ => (&user, None),
                };
                if let Some(role) = role {
                    house.joins(caller, role).await;
                }
                house.calls(who, caller, call, rest).await;
                called += 1;
            }
        }
    }
    assert_eq!(called, 22 * WHO.len());
}

#[tokio::test]
async fn somebody_is_invited_and_the_invitation_withdrawn() {
    let house = House::open().await;
    let service = &house.service;
    let invited = house
        .invite(&house.owner, " Ravi@Example.ORG ", "scanner")
        .await
        .is(202);
    assert_eq!(invited.body["status"], "invited");
    assert_eq!(invited.body["email"], "ravi@example.org");
    assert_eq!(invited.body["user_id"], Value::Null);
    assert_eq!(service.messages("notifications").await, ["team.invited"]);
    let list = service.get(&house.owner, &house.path("/team")).await.is(200);
    assert_eq!(list.body[0]["invitation_id"], invited.body["invitation_id"]);
    for body in [
        json!({"email": "ravi", "role": "scanner"}),
        json!({"email": "ravi@example.org", "role": "owner"}),
        json!({"role": "scanner"}),
    ] {
        let refused = service.post(&house.owner, &house.path("/team"), &body).await;
        refused.fails(422, "validation_failed");
    }
    let withdrawn = format!("/team/{}", invited.text("invitation_id"));
    house.delete(&house.owner, &withdrawn).await.is(200);
    house
        .delete(&house.owner, &withdrawn)
        .await
        .fails(404, "member_not_found");
    let list = service.get(&house.owner, &house.path("/team")).await.is(200);
    assert_eq!(list.body, json!([]));
    // Ten letters a day are enough for an address, whoever invites it.
    for _ in 1..10 {
        house
            .invite(&house.owner, "ravi@example.org", "scanner")
            .await
            .is(202);
    }
    let tired = house.invite(&house.owner, "ravi@example.org", "scanner").await;
    tired.fails(429, "rate_limited");
    house.service.after(TimeDelta::days(3));
    let over = house.invite(&house.owner, "asha@example.org", "scanner").await;
    over.fails(409, "event_over");
}

#[tokio::test]
async fn who_is_removed_has_no_rights_any_more_and_may_go_by_themselves() {
    let house = House::open().await;
    let (service, ravi, asha) = (&house.service, house.service.user(), house.service.user());
    house.joins(&ravi, TeamRole::Scanner).await;
    house.joins(&asha, TeamRole::Manager).await;
    let stats = house.path("/stats");
    for who in [&ravi, &asha] {
        service.get(who, &stats).await.is(200);
    }
    let (path, own) = (format!("/team/{}", ravi.id), format!("/team/{}", asha.id));
    house
        .delete(&asha, &path)
        .await
        .fails_with(403, "insufficient_role", &["role"]);
    house.delete(&house.owner, &path).await.is(200);
    service.get(&ravi, &stats).await.fails(403, "organizer_only");
    house.delete(&asha, &own).await.is(200);
    service.get(&asha, &stats).await.fails(403, "organizer_only");
    house.delete(&asha, &own).await.fails(403, "organizer_only");
}

#[tokio::test]
async fn a_team_finds_its_events_and_sees_drafts() {
    let house = House::open().await;
    let (service, ravi) = (&house.service, house.service.user());
    let mut draft = service.draft(None, 0);
    draft["draft"] = json!(true);
    let draft = service
        .post(&house.owner, super::kit::CREATE, &draft)
        .await
        .is(201);
    let house = House {
        event: draft.text("event_id").to_owned(),
        ..house
    };
    let (service, seen) = (&house.service, format!("/api/events/{}", house.event));
    service.get(&ravi, &seen).await.fails(404, "event_not_found");
    house.joins(&ravi, TeamRole::Scanner).await;
    assert_eq!(service.get(&ravi, &seen).await.is(200).body["status"], "draft");
    let teams = "/api/organiser/events?team=true";
    let list = service.get(&ravi, teams).await.is(200).body;
    assert_eq!(
        (&list[0]["event_id"], &list[0]["role"]),
        (&json!(house.event), &json!("scanner"))
    );
    service
        .get(&ravi, "/api/organiser/events")
        .await
        .fails(403, "organizer_only");
    assert_eq!(service.get(&house.owner, teams).await.is(200).body, json!([]));
    let asked = service
        .ask("/internal/events/organizer", &json!({"event_id": house.event}))
        .await;
    assert_eq!(
        asked.is(200).body["team"],
        json!([{"user_id": ravi.id, "role": "scanner"}])
    );
    // What is held of a person says so.
    let question = json!({"user_id": ravi.id, "section": "teams"});
    let exported = service.ask("/internal/export", &question).await.is(200);
    assert_eq!(exported.body["items"][0]["role"], "scanner");
    crate::accounts::close(&service.app, ravi.id).await.unwrap();
    service.get(&ravi, &seen).await.fails(404, "event_not_found");
}

#[tokio::test]
async fn a_manager_changes_the_event_in_its_owners_name() {
    let house = House::open().await;
    let (service, asha) = (&house.service, house.service.user());
    house.joins(&asha, TeamRole::Manager).await;
    let change = json!({"e_name": "Evening of Go"});
    let call = Call::new(Method::PATCH, &house.path(""), &change).by(&asha);
    assert_eq!(service.send(call).await.is(200).body["e_name"], "Evening of Go");
    let own = service.get(&house.owner, "/api/organiser/events").await.is(200);
    assert_eq!(own.body[0]["e_name"], "Evening of Go");
    // In the live room, too: they moderate, and nobody moderates them.
    let live = |rest: &str| format!("/api/live/events/{}/{rest}", house.event);
    let mode = Call::new(Method::PUT, &live("chat/mode"), &json!({"mode": "closed"}));
    service.send(mode.by(&asha)).await.is(200);
    let ban = service
        .post(
            &house.owner,
            &live(&format!("bans/{}", asha.id)),
            &json!({"kind": "ban"}),
        )
        .await;
    ban.fails(409, "is_organizer");
}

#[tokio::test]
async fn the_page_of_an_invitation_runs_its_own_script_only() {
    let service = Service::start();
    let page = service
        .send(Call::get("/team/accept?token=x").anybody())
        .await
        .is(200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("connect-src 'self'") && !policy.contains("https:"),
        "{policy}"
    );
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
}

#[tokio::test]
async fn a_token_that_is_none_lets_nobody_join() {
    let service = Service::start();
    let user = service.user();
    for token in ["x", &"A".repeat(43)] {
        let path = "/api/organiser/team/accept";
        let refused = service.post(&user, path, &json!({"token": token})).await;
        refused.fails(403, "token_invalid");
    }
}
