//! Somebody is invited to the team of an event by mail, joins, works at its door, and is taken off it.

use reqwest::Method;
use serde_json::json;
use tests::{Options, PATIENCE, Person, System, Topology, eventually};

use crate::everywhere;

everywhere!(a_scanner_is_invited_and_works_at_the_door);

/// The token of the newest invitation that was mailed to an address, once there are so many.
async fn token(system: &System, email: &str, letters: usize) -> String {
    let anyone = system.anyone();
    let id = eventually("the invitation is there", PATIENCE, async || {
        let path = format!("/dev/mailbox.json?to={email}&limit=100");
        let sent = anyone.get(&path).await.expect(200);
        let found: Vec<_> = sent
            .as_array()?
            .iter()
            .filter(|one| one["kind"] == "team_invitation")
            .collect();
        // The newest is the first.
        let newest = found.first().filter(|_| found.len() == letters)?;
        newest["id"].as_str().map(str::to_owned)
    })
    .await;
    let text = anyone.get(&format!("/dev/mailbox/{id}?text=1")).await.text;
    let token = text
        .split("/team/accept?token=")
        .nth(1)
        .unwrap_or_else(|| panic!("{text}"));
    token.lines().next().unwrap().to_owned()
}

async fn accept(who: &Person, token: &str) -> tests::people::Answer {
    who.post("/api/organiser/team/accept", json!({"token": token}))
        .await
}

async fn a_scanner_is_invited_and_works_at_the_door(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let (organizer, stranger) = (system.person("organizer").await, system.person("user").await);
    let (asha, ravi) = (system.person("user").await, system.person("user").await);
    let event = organizer.create_event(json!(null), json!(0)).await;
    asha.register(&event).await.expect(201);
    let own = asha.get("/api/reg/get_registrevent").await.expect(200);
    let code = own[0]["ticket"]["code"].clone();
    let path = |rest: &str| format!("/api/organiser/events/{event}/{rest}");
    let scan = async |who: &Person| who.post(&path("check_in"), json!({"code": code})).await;
    scan(&ravi).await.problem(403, "organizer_only");

    // Who gets the letter joins; nobody else does with its token, and it is good once. A newer letter takes its place.
    let invite = async |role: &str| {
        let body = json!({"email": ravi.email, "role": role});
        organizer.post(&path("team"), body).await.expect(202)
    };
    invite("manager").await;
    let older = token(&system, &ravi.email, 1).await;
    invite("scanner").await;
    let letter = token(&system, &ravi.email, 2).await;
    accept(&ravi, &older).await.problem(403, "token_invalid");
    accept(&stranger, &letter)
        .await
        .problem(403, "invitation_for_another_address");
    let joined = accept(&ravi, &letter).await.expect(200);
    assert_eq!(
        (&joined["role"], &joined["event_id"]),
        (&json!("scanner"), &json!(event))
    );
    accept(&ravi, &letter).await.problem(403, "token_invalid");
    let team = organizer.get(&path("team")).await.expect(200);
    assert_eq!(team[0]["email"], ravi.email.as_str());
    assert_eq!(
        (&team[0]["role"], team.as_array().map(Vec::len)),
        (&json!("scanner"), Some(1))
    );

    // The door is theirs, and nothing else.
    scan(&ravi).await.expect(200);
    ravi.get(&path("registrations")).await.expect(200);
    for rest in ["payments", "announcements", "streams", "registrations.csv"] {
        ravi.get(&path(rest)).await.problem(403, "insufficient_role");
    }
    let change = json!({"e_name": "Mine"});
    let changed = ravi
        .send(Method::PATCH, path("").trim_end_matches('/'), Some(change), &[])
        .await;
    changed.unwrap().problem(403, "insufficient_role");

    // A manager runs it, in every service.
    invite("manager").await;
    let letter = token(&system, &ravi.email, 3).await;
    accept(&ravi, &letter).await.expect(200);
    for rest in ["payments", "announcements", "streams", "team"] {
        ravi.get(&path(rest)).await.expect(200);
    }
    stranger
        .get(&path("payments"))
        .await
        .problem(403, "organizer_only");
    stranger
        .get(&path("announcements"))
        .await
        .problem(403, "organizer_only");

    // Taken off it, they are nobody at once.
    let member = path(&format!("team/{}", team[0]["user_id"].as_str().unwrap()));
    let removed = organizer.send(Method::DELETE, &member, None, &[]).await;
    removed.unwrap().expect(200);
    for rest in ["payments", "announcements", "streams", "registrations"] {
        ravi.get(&path(rest)).await.problem(403, "organizer_only");
    }
    scan(&ravi).await.problem(403, "organizer_only");
}
