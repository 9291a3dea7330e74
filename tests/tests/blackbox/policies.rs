//! Who may call what: every route of the registry, called as nobody, as another user, with an API key that lacks the scope,
//! and with one that has it.

use std::time::Duration;

use common::{
    api_keys::Scope,
    clock::Clock,
    routes::{Audience, Call, INTERNAL, ROUTES, Route},
    services::Service,
    time::utc,
};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually};

mod one_process {
    #[tokio::test(flavor = "multi_thread")]
    async fn every_route_keeps_to_its_policy() {
        super::every_route_keeps_to_its_policy(tests::Topology::One).await;
    }
}

mod replicas {
    #[tokio::test(flavor = "multi_thread")]
    async fn every_route_keeps_to_its_policy() {
        super::every_route_keeps_to_its_policy(tests::Topology::Replicas).await;
    }
}

/// Whose things the routes are about: an organizer with a paid event, and somebody who has paid for it.
struct World {
    organizer: Person,
    attendee: Person,
    event: String,
    registration: String,
    payment: String,
}

impl World {
    async fn new(system: &System) -> Self {
        let (organizer, attendee) = (system.person("organizer").await, system.person("user").await);
        let event = organizer.create_event(json!(null), json!(100)).await;
        let registered = attendee.register(&event).await.expect(201);
        let paid = attendee.pay(&event, json!(100)).await.expect(200);
        attendee.is_confirmed(&event).await;
        let text = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();
        Self {
            registration: text(&registered, "registration_id"),
            payment: text(&paid, "payment_id"),
            organizer,
            attendee,
            event,
        }
    }

    /// Who may call, and the path of something of theirs.
    async fn own(&self, route: &Route) -> (&Person, String) {
        let path = route.path;
        let of = |person, name: &str, id: &str| (person, path.replace(name, id));
        if path.contains("{session_id}") {
            let id = self.session(&self.attendee).await;
            return of(&self.attendee, "{session_id}", &id);
        }
        if path.starts_with("/api/users/api_keys") {
            let id = key(&self.attendee, &[Scope::CheckIn]).await.1;
            return of(&self.attendee, "{id}", &id);
        }
        if path.starts_with("/api/reg/") {
            return of(&self.attendee, "{id}", &self.registration);
        }
        if path.starts_with("/api/payment/") {
            return of(&self.attendee, "{id}", &self.payment);
        }
        if path.contains("/streams/{stream_id}") {
            let body = json!({"title": "Stage", "kind": "ingest"});
            let streams = format!("/api/organiser/events/{}/streams", self.event);
            let stream = self.organizer.post(&streams, body).await.expect(201);
            let stream = stream["stream_id"].as_str().unwrap();
            let path = path.replace("{id}", &self.event).replace("{stream_id}", stream);
            return (&self.organizer, path);
        }
        if path.contains("/announcements/{announcement_id}") && path.starts_with("/api/organiser/") {
            let in_an_hour = utc(Clock::system().now() + Duration::from_secs(3600));
            let body = json!({"subject": "Doors", "text": "Open.", "send_at": in_an_hour});
            let announcements = format!("/api/organiser/events/{}/announcements", self.event);
            let made = self.organizer.post(&announcements, body).await.expect(202);
            let announcement = made["announcement_id"].as_str().unwrap();
            let path = path.replace("{id}", &self.event);
            return (&self.organizer, path.replace("{announcement_id}", announcement));
        }
        if path.starts_with("/api/organiser/") && path.ends_with("/templates/{kind}") {
            let path = path.replace("{id}", &self.event).replace("{kind}", "ticket");
            return (&self.organizer, path);
        }
        if path.contains("/team/{user_id}") {
            let team = format!("/api/organiser/events/{}/team", self.event);
            let invited = self.organizer.post(&team, invitation()).await.expect(202);
            let invitation = invited["invitation_id"].as_str().unwrap();
            let path = path.replace("{id}", &self.event);
            return (&self.organizer, path.replace("{user_id}", invitation));
        }
        if path.contains("{registration_id}") || path.contains("{ticket_id}") {
            let (event, registered) = self.admitted().await;
            let id = |of: &Value| of.as_str().unwrap().to_owned();
            let path = path
                .replace("{id}", &event)
                .replace("{registration_id}", &id(&registered["registration_id"]))
                .replace("{ticket_id}", &id(&registered["ticket"]["ticket_id"]));
            return (&self.organizer, path);
        }
        if path.ends_with("/cancel") {
            let event = self.organizer.create_event(json!(null), json!(0)).await;
            return of(&self.organizer, "{id}", &event);
        }
        of(&self.organizer, "{id}", &self.event)
    }

    /// A free event, and the registration of somebody who is in.
    async fn admitted(&self) -> (String, Value) {
        let event = self.organizer.create_event(json!(null), json!(0)).await;
        let registered = self.attendee.register(&event).await.expect(201);
        let scan = json!({"code": registered["ticket"]["code"]});
        let door = format!("/api/organiser/events/{event}/check_in");
        self.organizer.post(&door, scan).await.expect(200);
        (event, registered)
    }

    async fn session(&self, person: &Person) -> String {
        let sessions = person.get("/api/users/sessions").await.expect(200);
        sessions[0]["session_id"].as_str().unwrap().to_owned()
    }
}

/// An invitation of somebody new: one address is not written to again and again.
fn invitation() -> Value {
    json!({"email": format!("{}@example.org", common::ids::new_id()), "role": "scanner"})
}

/// An API key of a person with these scopes, and its id.
async fn key(person: &Person, scopes: &[Scope]) -> (Person, String) {
    let body = json!({"name": "of the test", "scopes": scopes});
    let made = person.post("/api/users/api_keys", body).await.expect(201);
    let machine = person.with_token(made["api_key"].as_str().unwrap());
    (machine, made["api_key_id"].as_str().unwrap().to_owned())
}

async fn call(who: &Person, call: &Call, path: &str) -> tests::Answer {
    let method: Method = call.method.parse().unwrap();
    // A change of an event that says what to change, and otherwise nothing that could be done.
    let body = (method != Method::GET).then(|| match method {
        Method::PATCH => json!({"e_details": "Else.", "title": "Else"}),
        _ if path.starts_with("/api/organiser/") && path.ends_with("/announcements") => {
            json!({"subject": "Doors", "text": "Open."})
        }
        _ if path.ends_with("/team") => invitation(),
        _ if path.ends_with("/check_in") => json!({"code": "0000-0000-0000-0000"}),
        _ if path.ends_with("/duplicate") => json!({"event_time": "2031-01-01T10:00"}),
        _ if path.ends_with("/reminders") => json!({"hours_before": [48]}),
        _ if path.ends_with("/templates/ticket") => json!({"subject": "You are in", "text": "Come early."}),
        _ if path.ends_with("/streams") => json!({"title": "Stage", "kind": "ingest"}),
        _ => json!({}),
    });
    who.send(method, path, body, &[]).await.unwrap()
}

/// Where the caller is known, the call goes beyond the guard.
fn is_let_in(answer: &tests::Answer) -> bool {
    !matches!(answer.status.as_u16(), 401 | 403 | 404)
}

async fn every_route_keeps_to_its_policy(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let world = World::new(&system).await;
    let other_organizer = system.person("organizer").await;
    let nobody = system.anyone();
    let forged = nobody.with_token("eyJhbGciOiJub25lIn0.e30.");
    let no_key = nobody.with_token(&format!("oe_{}_{}", "0".repeat(32), "A".repeat(43)));
    let (mut calls, mut deleted) = (0, Vec::new());
    for route in ROUTES {
        for policy in route.calls {
            let named = format!("{} {}", policy.method, route.path);
            if !policy.audience.needs_user() {
                continue;
            }
            calls += 1;
            let (owner, path) = world.own(route).await;
            call(&nobody, policy, &path).await.problem(401, "missing_token");
            for stranger in [&forged, &no_key] {
                call(stranger, policy, &path).await.problem(401, "invalid_token");
            }
            if policy.audience == Audience::Organizers {
                call(&world.attendee, policy, &path)
                    .await
                    .problem(403, "organizer_only");
            }
            if policy.of_owner {
                let answer = call(&other_organizer, policy, &path).await;
                assert_eq!(answer.status, 404, "{named} by another user: {answer:?}");
            }
            let others: Vec<Scope> = Scope::ALL
                .into_iter()
                .filter(|scope| Some(*scope) != policy.scope)
                .collect();
            let (lacking, lacking_id) = key(owner, &others).await;
            call(&lacking, policy, &path).await.problem(403, "scope_missing");
            forget(owner, &lacking_id).await;
            if let Some(scope) = policy.scope {
                let (machine, id) = key(owner, &[scope]).await;
                if policy.of_owner {
                    let (others_machine, id) = key(&other_organizer, &[scope]).await;
                    let answer = call(&others_machine, policy, &path).await;
                    assert_eq!(answer.status, 404, "{named} by another's key: {answer:?}");
                    forget(&other_organizer, &id).await;
                }
                let answer = call(&machine, policy, &path).await;
                assert!(is_let_in(&answer), "{named} with a key: {answer:?}");
                forget(owner, &id).await;
                deleted.push((machine, policy, path));
            }
        }
    }
    assert!(calls > 25 && deleted.len() > 6, "{calls} {}", deleted.len());
    // At once over the bus; without one each process asks every few seconds.
    for (machine, policy, path) in deleted {
        eventually("a deleted key is refused", PATIENCE, async || {
            (call(&machine, policy, &path).await.status == 401).then_some(())
        })
        .await;
    }

    // What the services have for each other is for nobody else, with whatever a caller from outside may hold.
    let (machine, _) = key(&world.organizer, &Scope::ALL).await;
    for path in INTERNAL {
        for who in [&nobody, &world.organizer, &machine, &forged] {
            who.post(path, json!({})).await.problem(404, "route_not_found");
            for service in Service::ALL {
                let port = format!("{}_PORT", service.name().to_uppercase());
                let answer = who.at(&system.service_url(&port)).post(path, json!({})).await;
                match answer.status.as_u16() {
                    404 => answer.problem(404, "route_not_found"),
                    _ => answer.problem(401, "invalid_token"),
                };
            }
        }
    }
}

async fn forget(owner: &Person, id: &str) {
    let path = format!("/api/users/api_keys/{id}");
    let gone = owner.send(Method::DELETE, &path, None, &[]).await.unwrap();
    gone.expect(200);
}
