//! What README.md and docs/ tell works as it is printed: the story, on a system that is new and on one that is not, the
//! JavaScript, the instruments that are declined; and their links lead somewhere.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tests::{Options, System, Topology, process::root};

use crate::everywhere;

everywhere!(the_story_in_curl);

async fn the_story_in_curl(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    for round in ["new", "used"] {
        tell(round, &system.url());
    }
}

/// Tells the README's story to a gateway; gives what it printed.
pub(crate) fn tell(round: &str, url: &str) -> String {
    let told = Command::new("sh")
        .args(["-euc", &block("sh story")])
        .env("BASE", url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.status.success(),
        "{round}: {text}\n{}",
        String::from_utf8_lossy(&told.stderr)
    );
    assert!(text.contains("\"status\":\"confirmed\""), "{round}: {text}");
    assert!(text.contains("\"seats_left\":99"), "{round}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_and_the_declines() {
    let system = System::start(Topology::One, Options::default()).await;
    let node = std::env::var_os("ORGANISE_NODE").expect("ORGANISE_NODE is not set: run the tests by ./test");
    let (printed, own) = (block("js fetch"), system.url());
    assert!(printed.contains("http://localhost:3003"), "{printed}");
    let ran = Command::new(node)
        .args(["--input-type=module", "--eval"])
        .arg(printed.replace("http://localhost:3003", &own))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(
        text.contains("email: 'meera-") && text.trim_end().ends_with("[]"),
        "{text}"
    );

    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(5), json!(500)).await;
    let payer = system.person("user").await;
    payer.register(&event).await.expect(201);
    let rows = declines(&read(&root().join("docs/simulator.md")));
    assert_eq!(rows.len(), 11, "the instruments");
    for (method, details, code) in rows {
        let mut payment = payer.payment(&event, json!(500));
        payment["payment_method"] = json!(method);
        payment["payment_details"] = details;
        let answer = payer.post("/api/payment/process_payment", payment).await;
        answer.problem(402, &code);
    }
    assert_eq!(
        payer.status(&event).await,
        "pending_payment",
        "the seat stays held"
    );
    payer.pay(&event, json!(500)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organizers_day_in_curl() {
    let system = System::start(Topology::One, Options::default()).await;
    let page = read(&root().join("docs/organizers.md"));
    let words = page.split_whitespace().count();
    assert!(words < 1000, "{words} words: it is one day");
    let dir = tempfile::tempdir().unwrap();
    let script = blocks(&page, "sh day").join("\n") + "\necho \"qr=$QR event=$ID\"";
    let told = Command::new("sh")
        .args(["-euc", &script])
        .env("BASE", system.url())
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let failed = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.success(), "{text}\n{failed}");
    assert_eq!(text.matches("\"result\":\"admitted\"").count(), 2, "{text}");
    for told in [
        "\"status\":\"active\"",
        "\"position\":1",
        "already_checked_in",
        ",Ravi,",
        "\"status\":\"cancelled\"",
        "\"refunded\":250",
        "/api/reg/calendar/",
        "Event cancelled",
    ] {
        assert!(text.contains(told), "{told} in {text}");
    }
    let problems = text.matches("\"request_id\"").count();
    assert_eq!(problems, 1, "the second scan alone is refused: {text}");
    let kept = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(kept("registrations.csv").starts_with("\u{feff}registration_id".as_bytes()));
    assert!(kept("ticket.pdf").starts_with(b"%PDF") && kept("by-code.pdf").starts_with(b"%PDF"));
    assert!(kept("ticket.png").starts_with(b"\x89PNG") && kept("ticket.ics").starts_with(b"BEGIN:VCALENDAR"));

    // What a scanner does without a network.
    let last = text.trim_end().lines().next_back().unwrap();
    let (qr, event) = last.strip_prefix("qr=").unwrap().split_once(" event=").unwrap();
    let keys = system.anyone().get("/api/events/ticket_key").await.expect(200)["keys"].clone();
    let forged = qr.replace("OE1.e", "OE1.f");
    let script = format!(
        "{}\nconst keys = {keys};\nconsole.log(await admits('{qr}', '{event}', keys), await admits('{qr}', 'other', keys),
           await admits('{forged}', '{event}', keys).catch(() => false), await admits('{qr}', '{event}', []), await admits('x', '{event}', keys));",
        blocks(&page, "js offline").join("\n")
    );
    let node = std::env::var_os("ORGANISE_NODE").expect("ORGANISE_NODE is not set: run the tests by ./test");
    let ran = Command::new(node)
        .args(["--input-type=module", "--eval", &script])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(
        said.trim(),
        "true false false false false",
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

/// The rows of the table of instruments: method, details and code.
fn declines(page: &str) -> Vec<(String, Value, String)> {
    let header = "| `payment_method` | `payment_details` | `code` |\n|---|---|---|\n";
    let table = page.split(header).nth(1).expect("a table of instruments");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('`').collect();
        let [_, method, _, details, _, code, _] = cells[..] else {
            panic!("not a row of three: {row}");
        };
        let details = serde_json::from_str(details).unwrap();
        (method.to_owned(), details, code.to_owned())
    })
    .collect()
}

#[test]
fn the_readme_is_for_the_first_five_minutes() {
    let readme = read(&root().join("README.md"));
    let words = readme.split_whitespace().count();
    assert!(words < 1200, "{words} words: the details belong to docs/");
    let pictures: Vec<&str> = links(&readme)
        .into_iter()
        .filter(|link| link.ends_with(".png"))
        .collect();
    let [picture] = pictures[..] else {
        panic!("one picture, not {pictures:?}");
    };
    let size = std::fs::metadata(root().join(picture)).unwrap().len();
    assert!(size < 150_000, "{picture} has {size} bytes");
}

#[test]
fn links_lead_somewhere() {
    let mut pages = vec![root().join("README.md")];
    for folder in ["docs", "docs/decisions"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    }
    let mut linked = BTreeSet::new();
    let mut dead = Vec::new();
    for page in &pages {
        let text = read(page);
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            let found = target.exists() && (heading.is_empty() || headings(&read(&target)).contains(heading));
            if found {
                linked.insert(target.canonicalize().unwrap());
            } else {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    let lonely: Vec<&PathBuf> = pages
        .iter()
        .filter(|page| page.parent() == Some(&root().join("docs")))
        .filter(|page| !linked.contains(&page.canonicalize().unwrap()))
        .collect();
    assert!(lonely.is_empty(), "nothing links to {lonely:?}");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced block of the README with this behind its fence.
fn block(mark: &str) -> String {
    let readme = read(&root().join("README.md"));
    let block = blocks(&readme, mark).first().map(|block| (*block).to_owned());
    block.unwrap_or_else(|| panic!("a block marked {mark}"))
}

/// The fenced blocks of a page with this behind their fence.
fn blocks<'a>(page: &'a str, mark: &str) -> Vec<&'a str> {
    let fence = format!("```{mark}\n");
    let rest = page.split(fence.as_str()).skip(1);
    rest.filter_map(|rest| rest.split("```").next()).collect()
}

/// The lines outside fenced blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Where the links and pictures of a page lead.
fn links(page: &str) -> Vec<&str> {
    let after = |start: &'static str, end| {
        prose(page).flat_map(move |text| {
            text.split(start)
                .skip(1)
                .filter_map(move |rest| rest.split(end).next())
        })
    };
    after("](", ')').chain(after("src=\"", '"')).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn headings(page: &str) -> BTreeSet<String> {
    let titles = prose(page)
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    titles
        .map(|title| {
            let kept = title.to_lowercase().replace(' ', "-");
            kept.chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
                .collect()
        })
        .collect()
}
