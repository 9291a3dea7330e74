//! Our mails as other programs read them: Python's parser, and `mailparser`, which many mail programs are built on.

use std::{collections::BTreeMap, path::Path, process::Command};

use chrono::TimeDelta;
use common::wire::EventFacts;
use serde_json::{Value, json};

use super::kit::{Lab, NOW, at, change, confirmation, confirmed, event};

/// Runs a script of `tests/tools` on a folder of mails.
fn read_by(program: &str, script: &str, folder: &Path) -> BTreeMap<String, Value> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .unwrap_or_else(|| panic!("{name} is not set: run the tests by ./test, which brings the tools"))
    };
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools");
    let mut command = Command::new(variable(program));
    if program == "ORGANISE_NODE" {
        command.env("NODE_PATH", variable("ORGANISE_NODE_MODULES"));
    }
    let output = command
        .env("PYTHONIOENCODING", "utf-8")
        .arg(tools.join(script))
        .arg(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The reader's name, the organizer's, and the event's: each is in a header.
const SCRIPTS: [(&str, &str, &str); 12] = [
    ("Asha Rao", "Meera Iyer", "Rust evening"),
    ("आशा राव", "मीरा अय्यर", "रस्ट की एक शाम: शुरुआत से"),
    ("ஆஷா ராவ்", "மீரா ஐயர்", "ரஸ்ட் மாலை"),
    ("عائشة راو", "ميرا", "أمسية رست، ٢٠٣٠"),
    ("李小龍", "美和子", "鏽之夜"),
    (
        "Zoë 👩🏽\u{200d}💻",
        "🎪",
        "🎉🎉 Fête d’été 👨\u{200d}👩\u{200d}👧\u{200d}👦",
    ),
    (
        "Asha \"Ace\" O'Rao",
        "\"Meera\"",
        "The \"best\" event, ever; (really) [draft]: 50% off",
    ),
    ("Rao, Asha", "Iyer; Meera (Dr.)", "a, b; c: d"),
    // What looks as if it were encoded already. In subjects that is taken apart, so that nobody decodes it.
    (
        "=?utf-8?q?Asha?=",
        "=?utf-8?b?TWVlcmE=?=",
        "=?utf-8?q?Free?= entry =?x?=",
    ),
    (
        "Venkata Subramanian Krishnamurthy Ramachandran of Thiruvananthapuram and of Kanyakumari too",
        "Abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh",
        "A very long name of an event that goes on and on so that its header needs several lines, at least",
    ),
    (
        "श्रीमती लक्ष्मीबाई नारायणस्वामी वेंकटसुब्रमण्यम अय्यर जी",
        "श्रीमती लक्ष्मीबाई नारायणस्वामी वेंकटसुब्रमण्यम",
        "राष्ट्रीय विज्ञान, प्रौद्योगिकी और नवाचार सम्मेलन, बेंगलुरु, दो हज़ार तीस, पहला दिन और दूसरा दिन",
    ),
    ("a\u{0301}\u{0323} é", "İstanbul ı", "ﬁne 𝒻ancy Ǆ — “quoted” … €5"),
];

#[tokio::test]
async fn python_and_node_read_what_was_written_in_any_script() {
    let lab = Lab::new();
    let service = lab.service();
    let mut people = BTreeMap::new();
    for (number, (reader, organizer, name)) in SCRIPTS.into_iter().enumerate() {
        let (to, answers) = (format!("u{number}@example.com"), format!("o{number}@example.org"));
        let user = lab.users.add(Some(reader), &to, None);
        let host = lab.users.add(Some(organizer), &answers, None);
        lab.users.verify(host);
        let facts = EventFacts {
            name: name.to_owned(),
            organizer: Some(host),
            ..event(TimeDelta::hours(48))
        };
        let moved = EventFacts {
            version: 2,
            schedule_version: 2,
            starts_at: at(TimeDelta::hours(72)),
            ..facts.clone()
        };
        service
            .accepts(&[confirmation(&confirmed(user, &facts)), change(&moved)])
            .await;
        people.insert(to, (reader, organizer, answers));
    }
    let list = service.mailbox(2 * SCRIPTS.len()).await;
    let folder = lab.dir.path().join("mailbox");
    let python = read_by("PYTHON", "read_mail.py", &folder);
    let node = read_by("ORGANISE_NODE", "read_mail.mjs", &folder);
    assert_eq!((python.len(), node.len()), (list.len(), list.len()));
    for item in &list {
        let (id, to) = (item["id"].as_str().unwrap(), item["to"].as_str().unwrap());
        let (reader, organizer, answers) = &people[to];
        let text = service.get(&format!("/dev/mailbox/{id}?text=1")).await.text;
        let html = service.get(&format!("/dev/mailbox/{id}?part=2")).await.text;
        let html = html.replace("\r\n", "\n");
        let mut expected = json!({
            "from": [format!("{organizer} via Organise Event"), "no-reply@localhost"],
            "reply_to": [organizer, answers],
            "to": [reader, to],
            "subject": item["subject"].as_str().unwrap().replace("=?", "= ?"),
            "message_id": format!("<{id}@organise-event>"),
            "date": NOW,
            "auto_submitted": "auto-generated",
            "list_unsubscribe": null,
            "list_unsubscribe_post": null,
            "text": text.trim_end_matches('\n'),
            "html": html.trim_end_matches('\n'),
            "attachments": ["event.ics"],
        });
        if item["kind"] == "event_updated" {
            let link = html
                .split("href=\"")
                .find(|rest| rest.contains("unsubscribe?t="))
                .unwrap();
            let link = link.split('"').next().unwrap().replace("&#x2f;", "/");
            expected["list_unsubscribe"] = json!(format!("<{link}>"));
            expected["list_unsubscribe_post"] = json!("List-Unsubscribe=One-Click");
        }
        let file = format!("{id}.eml");
        for (field, expected) in expected.as_object().unwrap() {
            for (who, read) in [("Python", &python), ("mailparser", &node)] {
                let mut found = read[&file][field].clone();
                if field == "date" {
                    found = json!(found.as_f64().unwrap().round() as i64);
                }
                assert_eq!(&found, expected, "{field} of {file}, as {who} reads it");
            }
        }
    }
}
