//! Rows damaged in a stopped system's files: what is beside them goes on, and the log names them.

use serde_json::json;
use tests::{Options, PATIENCE, System, Topology, eventually};

/// Runs SQL on a stopped service's file, past its checks.
pub fn change(system: &System, service: &str, sql: &str) {
    let script = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('PRAGMA ignore_check_constraints = ON')
changed = db.execute(sys.argv[2]).rowcount
db.commit()
assert changed > 0, 'nothing was changed'";
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let done = std::process::Command::new(python)
        .args(["-c", script])
        .arg(system.data().join(format!("{service}.db")))
        .arg(sql)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_stops_nothing_but_itself() {
    let mut system = System::start(Topology::Five, Options::default()).await;
    let organizer = system.person("organizer").await;
    let odd = organizer.create_event(json!(null), json!(0)).await;
    let even = organizer.create_event(json!(null), json!(0)).await;
    // Nobody sends or delivers anything: what is asked for now waits.
    system.kill("notifications");
    let person = system.person("user").await;
    person.register(&odd).await.expect(201);
    let person = system.person("user").await;
    person.register(&even).await.expect(201);
    system.kill_all();
    let first = "(SELECT min(seq) FROM outbox WHERE destination = 'notifications')";
    change(
        &system,
        "events",
        &format!("UPDATE outbox SET data = '{{' WHERE seq = {first}"),
    );
    let id = odd.replace('-', "");
    change(
        &system,
        "events",
        &format!("UPDATE events SET zone = 'Asia/Atlantis' WHERE id = x'{id}'"),
    );
    system.start_again().await;
    let listed = system.anyone().get("/api/events?limit=100").await.expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["event_id"], json!(even));
    let mine = organizer.get("/api/organiser/events").await.expect(200);
    assert_eq!(mine.as_array().unwrap().len(), 1);
    organizer
        .get(&format!("/api/events/{odd}"))
        .await
        .problem(500, "internal_error");
    eventually("the letters of the other event are sent", PATIENCE, async || {
        (!person.messages().await.is_empty()).then_some(())
    })
    .await;
    let log = system.log();
    for line in [
        "an unreadable row was set aside",
        "an unreadable row was left out",
    ] {
        assert!(log.contains(line), "{line}");
    }
    assert!(log.contains(&odd), "the log names the row");
    let metrics = tests::people::http_client()
        .get(format!("{}/metrics", system.service_url("EVENTS_PORT")))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for series in [
        "unreadable_rows_total{service=\"events\",table=\"events.events\"}",
        "unreadable_rows_total{service=\"events\",table=\"events.outbox\"} 1",
        "outbox_dead{service=\"events\"} 1",
    ] {
        assert!(metrics.contains(series), "{series}\n{metrics}");
    }
}
