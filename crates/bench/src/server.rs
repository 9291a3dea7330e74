//! A server under measurement: a child process with its own data, stopped as an operator would stop it.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    failure::{Doing, Failure, Outcome},
    load::{connection::Connection, template::Template},
};

/// How long a server may take to become ready before it counts as broken.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// How long the system may take to stop after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at a server that is starting: short against what is measured, and light on its cores.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A running child process.
pub struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
    spawned: Instant,
    companions: Vec<Server>,
}

impl Server {
    /// Starts `binary` with these environment variables and no others, its output in `log`.
    pub fn spawn(
        name: &'static str,
        binary: &Path,
        environment: &[(&str, String)],
        log: PathBuf,
    ) -> Outcome<Self> {
        let output = File::create(&log).doing("cannot make the log file")?;
        let errors = output.try_clone().doing("cannot make the log file")?;
        let mut command = Command::new(binary);
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            // From here no `.env` of the developer's is found: nothing but the defaults is measured, and no real mail
            // server gets mail for the users made up here.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let spawned = Instant::now();
        let child = command
            .spawn()
            .doing(&format!("cannot start {}", binary.display()))?;
        Ok(Self {
            name,
            child,
            log,
            spawned,
            companions: Vec::new(),
        })
    }

    /// The same with others that it cannot work without, and that stop after it.
    pub fn with(mut self, companions: Vec<Self>) -> Self {
        self.companions = companions;
        self
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `path` answers 200, and returns how long that took since the start.
    ///
    /// # Errors
    /// When the process ends first or is not ready in time, with the end of what it printed.
    pub async fn ready(&mut self, address: SocketAddr, path: &str) -> Outcome<Duration> {
        let question = Template::get(path)?;
        loop {
            if let Ok(mut connection) = Connection::open(address).await
                && let Ok(answer) = connection.send(&question).await
                && answer.status == 200
            {
                return Ok(self.spawned.elapsed());
            }
            if let Some(status) = self.child.try_wait().doing("cannot watch the server")? {
                return Err(Failure::new(format!(
                    "{} ended at start, {status}:\n{}",
                    self.name,
                    self.last_words()
                )));
            }
            if self.spawned.elapsed() > START_PATIENCE {
                return Err(Failure::new(format!(
                    "{} does not become ready:\n{}",
                    self.name,
                    self.last_words()
                )));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Asks the process to stop (SIGTERM) and waits for it; returns how long it took.
    ///
    /// # Errors
    /// When it does not stop in time, or not with exit code 0.
    pub async fn stop(mut self) -> Outcome<Duration> {
        let companions = std::mem::take(&mut self.companions);
        let mut took = self.stop_alone().await?;
        for mut companion in companions {
            took += companion.stop_alone().await?;
        }
        Ok(took)
    }

    async fn stop_alone(&mut self) -> Outcome<Duration> {
        let asked = Instant::now();
        // The standard library can only send SIGKILL; the shell sends SIGTERM.
        Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.pid())])
            .status()
            .doing("cannot send SIGTERM")?;
        while asked.elapsed() < STOP_PATIENCE {
            if let Some(status) = self.child.try_wait().doing("cannot watch the server")? {
                if status.success() {
                    return Ok(asked.elapsed());
                }
                let words = self.last_words();
                return Err(Failure::new(format!(
                    "{} ended with {status} on SIGTERM:\n{words}",
                    self.name
                )));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let limit = STOP_PATIENCE.as_secs();
        Err(Failure::new(format!(
            "{} did not stop within {limit} s of SIGTERM",
            self.name
        )))
    }

    /// The end of what the process printed.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `stop`; otherwise the run was broken off, and nothing may be left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
