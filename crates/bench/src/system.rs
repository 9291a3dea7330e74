//! Where the programs are, how they are built, and the settings they are started with.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use bench::answers::Answers;

use crate::{
    cli::Options,
    failure::{Doing, Failure, Outcome},
    phase::Phase,
    scratch::{free_ports, local},
    server::Server,
};

/// The system's release binary.
const SYSTEM: &str = "organise-event";
/// What it is made of as processes of their own, but for the gateway.
const PARTS: [&str; 5] = [
    "razorpay-simulator",
    "users",
    "events",
    "notifications",
    "payments",
];

/// The programs to measure.
pub struct Programs {
    /// The system, or its stand-in in a self-test.
    pub system: PathBuf,
    /// The bare axum program.
    pub bare: PathBuf,
    stand_in: bool,
    fault: Option<String>,
    five: bool,
    backends: Vec<(&'static str, String)>,
}

impl Programs {
    /// Finds the programs, after building them unless `--no-build` is set.
    pub fn prepare(options: &Options) -> Outcome<Self> {
        if cfg!(debug_assertions) && !options.self_test {
            return Err(Failure::new(
                "numbers of a debug build mean nothing: cargo run --release -p bench",
            ));
        }
        if options.build && !cfg!(debug_assertions) {
            // Two calls, because cargo unites the features of what it builds in one: the system is to be
            // exactly the binary that `cargo run --release` makes.
            if !options.self_test {
                let features: &[&str] = match options.backends.iter().find(|(name, _)| *name == "MONGODB_URI")
                {
                    Some(_) => &["--features", "mongodb"],
                    None => &[],
                };
                let build = |packages: &[&str]| {
                    cargo(&[&["build", "--release", "--locked"], packages, features].concat())
                };
                build(&["-p", "standalone"])?;
                if options.phases.contains(&Phase::Messages) {
                    build(&["-p", "notifications"])?;
                }
                if options.five {
                    let mut packages = vec!["-p", "gateway"];
                    packages.extend(PARTS.iter().flat_map(|part| ["-p", part]));
                    build(&packages)?;
                }
            }
            cargo(&["build", "--release", "--locked", "-p", "bench", "--bin", "bare"])?;
        }
        let directory = build_directory()?;
        let bare = directory.join(format!("bare{}", env::consts::EXE_SUFFIX));
        let system = if options.self_test {
            bare.clone()
        } else {
            directory.join(format!("{SYSTEM}{}", env::consts::EXE_SUFFIX))
        };
        for program in [&bare, &system] {
            if !program.is_file() {
                return Err(Failure::new(format!("{} is not built", program.display())));
            }
        }
        Ok(Self {
            system,
            bare,
            stand_in: options.self_test,
            fault: options.fault.clone(),
            five: options.five,
            backends: options.backends.clone(),
        })
    }

    /// What every program of the system is started with.
    pub fn environment(&self, data: &Path, secret: &str) -> Vec<(&'static str, String)> {
        let mut environment = inherited();
        environment.extend([
            ("BIND_ADDR", "127.0.0.1".to_owned()),
            ("DATA_DIR", data.display().to_string()),
            ("JWT_SECRET", secret.to_owned()),
            ("RATE_LIMITS", "off".to_owned()),
        ]);
        environment.extend(self.backends.iter().cloned());
        environment
    }

    /// The program of one service.
    pub fn part(&self, name: &str) -> Outcome<PathBuf> {
        let program = self
            .system
            .with_file_name(format!("{name}{}", env::consts::EXE_SUFFIX));
        match program.is_file() {
            true => Ok(program),
            false => Err(Failure::new(format!("{} is not built", program.display()))),
        }
    }

    /// Starts the system, by default as one process on its embedded default, with its data in `data`, and returns it
    /// with its doors. `more` settings go before others.
    pub fn start_system(
        &self,
        data: &Path,
        secret: &str,
        more: Vec<(&'static str, String)>,
    ) -> Outcome<(Server, Doors)> {
        let [gateway, users, events, notifications, payments, simulator, rtmp] = free_ports()?;
        let mut environment = self.environment(data, secret);
        environment.extend([
            ("GATEWAY_PORT", gateway.to_string()),
            ("USERS_PORT", users.to_string()),
            ("EVENTS_PORT", events.to_string()),
            ("NOTIFICATIONS_PORT", notifications.to_string()),
            ("PAYMENTS_PORT", payments.to_string()),
            ("RAZORPAY_SIMULATOR_PORT", simulator.to_string()),
            ("INGEST_PORT", "0".to_owned()),
            ("RTMP_PORT", rtmp.to_string()),
        ]);
        environment.extend(more);
        if self.stand_in {
            environment.push((
                "BARE_STAND_IN",
                self.fault.clone().unwrap_or_else(|| "faultless".into()),
            ));
        }
        let start = |name, binary: &Path, environment: &[_]| {
            Server::spawn(
                name,
                binary,
                environment,
                data.with_extension(format!("{name}.log")),
            )
        };
        let server = if self.five {
            let webhook = format!("http://{}/api/payment/webhook", local(gateway));
            environment.push(("RAZORPAY_WEBHOOK_URL", webhook));
            let parts = PARTS.map(|part| start(part, &self.part(part)?, &environment));
            let parts = parts.into_iter().collect::<Outcome<Vec<_>>>()?;
            start("gateway", &self.part("gateway")?, &environment)?.with(parts)
        } else {
            start("system", &self.system, &environment)?
        };
        let doors = Doors {
            gateway: local(gateway),
            events: local(events),
            payments: local(payments),
            notifications: local(notifications),
        };
        Ok((server, doors))
    }

    /// Starts the bare program with what it is to answer; `directory` takes its files.
    pub fn start_bare(
        &self,
        directory: &Path,
        secret: &str,
        answers: &Answers,
    ) -> Outcome<(Server, SocketAddr)> {
        let [port] = free_ports()?;
        let file = directory.join("answers.json");
        let text = serde_json::to_string(answers).doing("cannot write the answers down")?;
        std::fs::write(&file, text).doing("cannot write the answers down")?;
        let mut environment = inherited();
        environment.extend([
            ("BARE_PORT", port.to_string()),
            ("BARE_ANSWERS", file.display().to_string()),
            ("JWT_SECRET", secret.to_owned()),
        ]);
        let server = Server::spawn(
            "the bare program",
            &self.bare,
            &environment,
            directory.join("bare.log"),
        )?;
        Ok((server, local(port)))
    }
}

/// Where the system listens.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    /// The public entry point.
    pub gateway: SocketAddr,
    /// The events service itself, for its metrics.
    pub events: SocketAddr,
    /// The payments service itself, for its metrics.
    pub payments: SocketAddr,
    /// The notifications service itself, for its metrics.
    pub notifications: SocketAddr,
}

/// The directory of this program's own build profile, where the others are too.
pub fn build_directory() -> Outcome<PathBuf> {
    let this = env::current_exe().doing("cannot find the build directory")?;
    let parent = this
        .parent()
        .ok_or_else(|| Failure::new("cannot find the build directory"))?;
    Ok(parent.to_owned())
}

/// Runs cargo on this workspace, its output on the terminal.
pub fn cargo(arguments: &[&str]) -> Outcome<()> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        .args(arguments)
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"),
        ])
        .status()
        .doing("cannot run cargo")?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("cargo {}: {status}", arguments.join(" "))))
    }
}

/// The little that any program needs of its surroundings.
fn inherited() -> Vec<(&'static str, String)> {
    ["PATH", "TMPDIR"]
        .into_iter()
        .filter_map(|name| Some((name, env::var(name).ok()?)))
        .collect()
}
