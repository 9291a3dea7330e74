//! One process of the system.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::secrets;

/// A running program, which does not outlive the test.
pub struct Process {
    name: String,
    child: std::process::Child,
    log: PathBuf,
}

/// Where cargo has put a program of the workspace. Builds all of them once, so that plain `cargo test` works too.
pub fn binary(name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let mut dir = std::env::current_exe().unwrap();
        dir.pop(); // the test itself
        dir.pop(); // deps
        if std::env::var_os("ORGANISE_BUILT").is_some() {
            return dir; // ./test has just built them
        }
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args([
                "build",
                "--workspace",
                "--bins",
                "--all-features",
                "--locked",
                "--quiet",
            ])
            .current_dir(root());
        if dir.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(
            cargo.status().unwrap().success(),
            "the programs under test do not build"
        );
        dir
    });
    dir.join(name)
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

impl Process {
    /// Starts a program, called `name` here, with exactly these settings; nothing of the environment reaches it.
    pub fn start(name: &str, program: &str, settings: &BTreeMap<String, String>, dir: &Path) -> Self {
        let mut command = Command::new(binary(program));
        command.env_clear().envs(settings).current_dir(dir);
        Self::spawn(name, command, dir)
    }

    /// Starts a command, called `name` here. Its log is in `dir`.
    pub fn spawn(name: &str, mut command: Command, dir: &Path) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = || File::options().append(true).create(true).open(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file())
            .stderr(file())
            .spawn()
            .unwrap();
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// What the kernel says of it: a line of `/proc/PID/status`.
    pub fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let prefix = format!("{field}:");
        let line = status.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap().trim().to_owned()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and how it ended. Fails after `patience`.
    pub fn terminate(&mut self, patience: Duration) -> ExitStatus {
        self.signal("TERM");
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} did not stop within {patience:?}\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Everything it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        if std::thread::panicking() {
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- the end of {}'s log ---", self.name);
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        } else {
            secrets::assert_absent(&self.name, &log);
        }
    }
}
