//! The export of a hundred thousand registrations, through the gateway, in a memory that does not grow with them.

use std::time::Instant;

use serde_json::json;
use tests::{Options, Person, System, Topology, people::http_client, tickets::python};

const MANY: usize = 100_000;
/// What a process may take more for it; bytes. The file has 20 MB.
const MORE: [(&str, u64); 2] = [("gateway", 10 << 20), ("events", 20 << 20)];

/// Copies somebody who is registered, account, registration and ticket, so often that there are [`MANY`].
const FILL: &str = r#"
import sqlite3, sys
folder, many = sys.argv[1].rsplit(":", 1)

def copy(db, table, change):
    cursor = db.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    template = dict(zip(names, cursor.fetchall()[-1]))
    rows = ({**template, **change(template, n)} for n in range(1, int(many)))
    db.executemany(f"INSERT INTO {table} VALUES ({','.join(':' + name for name in names)})", rows)

def later(id, n):
    return (int.from_bytes(id, "big") + n).to_bytes(16, "big")

def code(n):
    digits = f"{n:016d}"
    return "-".join(digits[at:at + 4] for at in range(0, 16, 4))

users = sqlite3.connect(folder + "/users.db")
(user,) = users.execute("SELECT id FROM users WHERE role = 'user'").fetchone()
copy(users, "users", lambda row, n: {"id": later(user, n), "email": f"guest-{n}@example.org", "name": f"Guest, number {n}", "role": "user"})
users.commit()

events = sqlite3.connect(folder + "/events.db")
(registration,) = events.execute("SELECT id FROM registrations").fetchone()
(ticket,) = events.execute("SELECT id FROM tickets").fetchone()
copy(events, "registrations", lambda row, n: {"id": later(registration, n), "user_id": later(user, n)})
copy(events, "tickets", lambda row, n: {"id": later(ticket, n), "registration_id": later(registration, n), "code": code(n)})
events.execute("UPDATE events SET seats_taken = ?", (int(many),))
events.execute("UPDATE counts SET confirmed = ?", (int(many),))
events.commit()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_registrations_take_no_more_memory_than_a_page() {
    let mut system = System::start(Topology::Five, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    let guest = system.person("user").await;
    guest.register(&event).await.expect(201);
    system.terminate();
    python(FILL, &format!("{}:{MANY}", system.data().display()));
    system.start_again().await;

    let path = format!("/api/organiser/events/{event}");
    let stats = organizer.get(&format!("{path}/stats")).await.expect(200);
    assert_eq!(stats["confirmed"], MANY);
    // SQLite's readers keep up to 16 MB each of what they have read. That is full before anything is measured.
    let all = || look_through(&organizer, format!("{path}/registrations?q=nobody"));
    tokio::join!(all(), all(), all(), all());
    let resident = || MORE.map(|(part, _)| system.resident(part));
    let before = resident();
    let (mut lines, mut bytes, mut most) = (0, 0, before);
    let begin = Instant::now();
    let mut answer = http_client()
        .get(format!("{}{path}/registrations.csv", system.url()))
        .bearer_auth(organizer.token.as_ref().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    while let Some(part) = answer.chunk().await.unwrap() {
        lines += part.iter().filter(|byte| **byte == b'\n').count();
        bytes += part.len();
        for (most, now) in most.iter_mut().zip(resident()) {
            *most = now.max(*most);
        }
    }
    let took = begin.elapsed();
    println!("{lines} lines of {bytes} bytes in {took:?}");
    assert_eq!(lines, MANY + 1, "and the headings");
    for ((part, more), (before, most)) in MORE.into_iter().zip(before.into_iter().zip(most)) {
        println!(
            "{part}: {} KiB, at most {} KiB meanwhile",
            before >> 10,
            most >> 10
        );
        assert!(most < before + more, "{part}: {before} bytes, {most} meanwhile");
    }
}

/// Searches to the end for somebody who is not there.
async fn look_through(organizer: &Person, path: String) {
    let mut next = Some(path);
    while let Some(path) = next {
        let page = organizer.get(&path).await;
        assert_eq!(page.expect(200), json!([]));
        let link = page.headers.get("link").map(|link| link.to_str().unwrap());
        next = link.and_then(|link| Some(link.strip_prefix('<')?.split_once('>')?.0.to_owned()));
    }
}
