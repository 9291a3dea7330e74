//! The containers of `docker-compose.yml` as plain processes: the same programs, commands, environment and start order, and
//! what a container would leave them: a user without privileges, a read-only file system, `/tmp` and the shared `/data`.
//! `tests/tools/container.sh` makes that.
//!
//! What differs: all share one network, so every container has a free port in place of its own. The tests' MongoDB stands
//! in for mongodb, and a [`MailServer`] for mailpit.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{
    PATIENCE, Person,
    compose::{Compose, Service},
    eventually, people,
    ports::free_port,
    process::{Process, binary, root},
    smtp::MailServer,
    system::fresh_database,
};

/// Everything that the compose file starts, running.
pub struct Containers {
    services: BTreeMap<String, Service>,
    /// Where `name:port` of the compose file is on this machine.
    places: BTreeMap<String, u16>,
    mongodb: String,
    running: BTreeMap<String, Process>,
    dir: TempDir,
}

/// Services that are not processes of ours.
const STOOD_IN_FOR: [&str; 2] = ["mongodb", "mailpit"];

impl Containers {
    /// Starts what `docker compose up` starts with these variables in its `.env`, each when what it needs is healthy.
    pub async fn up(variables: &[(&str, &str)], mail: &MailServer) -> Self {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let services = Compose::ours().services(&variables.collect());
        let dir = tempfile::Builder::new()
            .prefix("organise-event-")
            .tempdir()
            .unwrap();
        for folder in ["root", "data"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let names: Vec<&str> = services.keys().map(String::as_str).collect();
        fs::write(
            dir.path().join("hosts"),
            format!("127.0.0.1 localhost {}\n", names.join(" ")),
        )
        .unwrap();
        let mut places: BTreeMap<String, u16> = services
            .values()
            .filter_map(|service| Some((format!("{}:{}", service.name, own_port(service)?), free_port())))
            .collect();
        places.insert("mailpit:1025".to_owned(), mail.port());
        let mut containers = Self {
            services,
            places,
            mongodb: fresh_database(),
            running: BTreeMap::new(),
            dir,
        };
        containers.start().await;
        containers
    }

    async fn start(&mut self) {
        let mut healthy: BTreeSet<String> = STOOD_IN_FOR.map(str::to_owned).into();
        while healthy.len() < self.services.len() {
            let next: Vec<String> = self
                .services
                .values()
                .filter(|service| !healthy.contains(&service.name))
                .filter(|service| {
                    let mut needs = service.needs().into_iter();
                    needs.all(|(name, _, may_be_absent)| {
                        healthy.contains(&name) || (may_be_absent && !self.services.contains_key(&name))
                    })
                })
                .map(|service| service.name.clone())
                .collect();
            assert!(
                !next.is_empty(),
                "the rest waits for what never starts: {healthy:?}"
            );
            for name in &next {
                let service = &self.services[name];
                let mut command = service.command();
                if command[0] == "redis-server" {
                    command.extend(["--port".to_owned(), self.port(name).to_string()]);
                }
                let process = Process::spawn(name, self.container(service, &command), self.dir.path());
                self.running.insert(name.clone(), process);
            }
            for name in next {
                eventually(&format!("{name} is healthy"), PATIENCE, async || {
                    let ended = self.running.get_mut(&name).and_then(Process::ended);
                    assert!(ended.is_none(), "{name} ended at once:\n{}", self.log(&name));
                    self.health(&name).status.success().then_some(())
                })
                .await;
                healthy.insert(name);
            }
        }
    }

    /// Runs the health check of a container in it.
    pub fn health(&self, name: &str) -> Output {
        let service = &self.services[name];
        let own = own_port(service).unwrap();
        let mut check = service.health();
        if check.remove(0) == "CMD-SHELL" {
            // redis-cli knows its server's port by itself only when that is 6379.
            let line = check[0].replace("redis-cli", &format!("redis-cli -p {}", self.port(name)));
            check = ["sh", "-c", &line].map(str::to_owned).into();
        }
        for argument in &mut check {
            if *argument == own {
                *argument = self.port(name).to_string();
            }
        }
        self.run(name, &check)
    }

    /// Runs a command beside what runs in a container already.
    pub fn run(&self, name: &str, command: &[String]) -> Output {
        self.container(&self.services[name], command).output().unwrap()
    }

    fn container(&self, service: &Service, inside: &[String]) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(root().join("tests/tools/container.sh"));
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .envs(self.environment(service))
            .current_dir(dir);
        command.args([dir.join("root"), dir.join("data"), dir.join("hosts")]);
        for (file, name) in files(service) {
            command.arg(file).arg(name);
        }
        command.arg("--").args(inside);
        command
    }

    /// The environment of the compose file, with our ports in it.
    fn environment(&self, service: &Service) -> BTreeMap<String, String> {
        let mut environment = service.environment();
        for value in environment.values_mut() {
            for (place, port) in &self.places {
                let (name, _) = place.split_once(':').unwrap();
                *value = value.replace(place, &format!("{name}:{port}"));
            }
        }
        if let Some(uri) = environment.get_mut("MONGODB_URI") {
            uri.clone_from(&self.mongodb);
        }
        if service.is_ours() {
            environment.insert(port_setting(service), self.port(&service.name).to_string());
            // Containers have their own; here they are on one machine with others.
            environment.extend(["INGEST_PORT", "RTMP_PORT"].map(|name| (name.to_owned(), "0".to_owned())));
        }
        environment
    }

    /// The port that stands in for a container's own.
    pub fn port(&self, name: &str) -> u16 {
        let own = own_port(&self.services[name]).unwrap();
        self.places[&format!("{name}:{own}")]
    }

    /// A container's address on this machine.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.port(name))
    }

    /// The running containers of our image.
    pub fn ours(&self) -> impl Iterator<Item = (&str, &Process)> {
        self.running
            .iter()
            .filter(|(name, _)| self.services[*name].is_ours())
            .map(|(name, process)| (name.as_str(), process))
    }

    /// kill -9 of a container.
    pub fn kill(&mut self, name: &str) {
        drop(self.running.remove(name).expect("a running container"));
    }

    /// What a container has printed.
    pub fn log(&self, name: &str) -> String {
        self.running.get(name).map(Process::log).unwrap_or_default()
    }

    /// The volume that all of ours share.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Signs somebody up, in.
    pub async fn person(&self, role: &str) -> Person {
        Person::sign_up(people::http_client(), self.url("gateway"), role, &[]).await
    }
}

/// The port a container listens on inside. `None`: a test server stands in for it.
fn own_port(service: &Service) -> Option<String> {
    if service.is_ours() {
        let name = port_setting(service);
        let setting = common::settings::SETTINGS
            .iter()
            .find(|setting| setting.name == name);
        return Some(setting.unwrap().default.to_owned());
    }
    (service.name == "redis").then(|| "6379".to_owned())
}

/// The setting of the port of the program that a container runs.
fn port_setting(service: &Service) -> String {
    format!(
        "{}_PORT",
        service.command()[0].to_ascii_uppercase().replace('-', "_")
    )
}

/// The programs that a container's image has beside the system's.
fn files(service: &Service) -> Vec<(PathBuf, String)> {
    if service.is_ours() {
        let program = service.command().remove(0);
        return vec![
            (binary(&program), program),
            (root().join("docker-health.sh"), "health".to_owned()),
        ];
    }
    let server = std::env::var_os("ORGANISE_REDIS_SERVER").expect("ORGANISE_REDIS_SERVER, as ./test sets it");
    let server = Path::new(&server);
    ["redis-server", "redis-cli"]
        .map(|name| (server.with_file_name(name), name.to_owned()))
        .into()
}
