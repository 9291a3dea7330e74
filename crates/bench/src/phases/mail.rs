//! Users signed up for real register, and the clock runs until everyone's mail lies in the mailbox.

use std::{
    collections::{BTreeSet, HashSet},
    ffi::OsString,
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    failure::{Failure, Outcome},
    lab::{Lab, PLENTY},
    load::{
        run::{Plan, run as load},
        template::Template,
        work::{Once, Step},
    },
    phases::CONFIRMED,
    report::{Report, Row},
    stats::{rate, thousands},
};

/// How long the mailbox must not change to count as complete.
const QUIET: Duration = Duration::from_secs(1);

/// How long mail may take after the last has come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at the directory.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Measures it.
pub async fn run(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let users = lab.options.users;
    lab.progress.say(&format!("mail, signing up {users} people"));
    let began = Instant::now();
    let accounts = lab.sign_up(users).await?;
    let sign_ups = users as f64 / began.elapsed().as_secs_f64();

    let event = lab.event("Mail", PLENTY, 0).await?;
    let body = Template::post("/api/reg/register_event", &json!({ "event_id": event }))?;
    let mut stories = Vec::with_capacity(users);
    for account in &accounts {
        stories.push(vec![Step {
            request: body.clone().bearer(&account.token)?,
            expected: CONFIRMED,
        }]);
    }
    let mut mailbox = Mailbox::new(lab.data.join("mailbox"));
    lab.progress.say("mail, waiting for quiet");
    // Mail about the sign-ups is not what is measured.
    mailbox.settle(&BTreeSet::new()).await?;
    let before = mailbox.seen.len();

    let plan = Plan {
        title: "mail, register".into(),
        target: lab.doors.gateway,
        connections: lab.options.connections.min(users),
        time: None,
        stories: users,
    };
    let began = Instant::now();
    let recording = load(plan, Arc::new(Once(stories)), &lab.progress).await?;
    lab.progress.say("mail, waiting for the last");
    let everyone = accounts.iter().map(|account| account.email.clone()).collect();
    let last = mailbox.settle(&everyone).await?;
    let messages = mailbox.seen.len() - before;
    let seconds = last.saturating_duration_since(began).as_secs_f64();
    report.row(Row {
        path: format!("mail to {} people who register at once", thousands(users as u64)),
        result: format!("all {} messages after {seconds:.1} s", thousands(messages as u64)),
        ..Row::default()
    });
    report.note(format!("mail: {users} sign-ups at {} before it.", rate(sign_ups)));
    report.failures("mail", &recording.failures);
    Ok(())
}

/// The directory that messages are written to.
pub(super) struct Mailbox {
    path: PathBuf,
    pub(super) seen: HashSet<OsString>,
}

impl Mailbox {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: HashSet::new(),
        }
    }

    /// Waits until everyone in `missing` has mail and no more comes; returns when the last was seen to come.
    pub(super) async fn settle(&mut self, missing: &BTreeSet<String>) -> Outcome<Instant> {
        let mut missing = missing.clone();
        let began = Instant::now();
        let mut last = began;
        loop {
            for text in self.arrived() {
                last = Instant::now();
                for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || "-@.".contains(c))) {
                    missing.remove(word);
                }
            }
            if missing.is_empty() && last.elapsed() > QUIET {
                return Ok(last);
            }
            if last.elapsed() > PATIENCE {
                return Err(match missing.len() {
                    0 => Failure::new("the mailbox does not come to rest"),
                    count => Failure::new(format!(
                        "{count} people have no mail after {} s",
                        PATIENCE.as_secs()
                    )),
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The headers of the messages that are new since the last look. A directory that is not there yet is
    /// an empty one.
    fn arrived(&mut self) -> Vec<String> {
        let mut headers = Vec::new();
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_mail = entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "eml");
            if !is_mail || self.seen.contains(&name) {
                continue;
            }
            let Ok(bytes) = fs::read(entry.path()) else {
                continue;
            };
            let text = String::from_utf8_lossy(&bytes);
            let end = text
                .find("\r\n\r\n")
                .or_else(|| text.find("\n\n"))
                .unwrap_or(text.len());
            headers.push(text[..end].to_owned());
            self.seen.insert(name);
        }
        headers
    }
}
