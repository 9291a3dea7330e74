//! Redis servers for tests: real ones, started by the test and gone with it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail loudly")]

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use secrecy::SecretString;

/// A running redis-server, which keeps nothing on disk. `./test` says where the program is.
pub struct RedisServer {
    port: u16,
    more: Vec<String>,
    child: Child,
}

impl RedisServer {
    /// Starts one on a port of its own.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with more arguments.
    pub fn with(more: &[&str]) -> Self {
        // The nodes of a cluster also listen 10,000 higher.
        let port = loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            if port < 55_000 && TcpListener::bind((Ipv4Addr::LOCALHOST, port + 10_000)).is_ok() {
                break port;
            }
        };
        let more: Vec<String> = more.iter().map(|arg| (*arg).to_owned()).collect();
        Self {
            port,
            child: run(port, &more),
            more,
        }
    }

    /// The port it listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What to set `REDIS_URL` to.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same as a secret.
    pub fn secret_url(&self) -> SecretString {
        self.url().into()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again after [`RedisServer::kill`], on the same port and empty.
    pub fn start_again(&mut self) {
        self.child = run(self.port, &self.more);
    }

    /// Freezes it: connections stay, nothing is answered.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Runs one command, given as its words, and gives the answer as text.
    pub fn command(&self, words: &[&str]) -> String {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client
            .get_connection_with_timeout(Duration::from_secs(5))
            .unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let value: redis::Value = command.query(&mut connection).unwrap();
        format!("{value:?}")
    }
}

/// Makes a server answer nothing for half a second, ten milliseconds apart, for about so long.
pub fn keep_busy(url: &str, long: Duration) {
    let until = Instant::now() + long;
    let client = redis::Client::open(url).unwrap();
    let mut connection = client
        .get_connection_with_timeout(Duration::from_secs(5))
        .unwrap();
    while Instant::now() < until {
        redis::cmd("DEBUG")
            .arg("SLEEP")
            .arg("0.5")
            .query::<redis::Value>(&mut connection)
            .unwrap();
        thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(port: u16, more: &[String]) -> Child {
    let program = std::env::var_os("ORGANISE_REDIS_SERVER")
        .expect("ORGANISE_REDIS_SERVER names a redis-server; ./test sets it");
    let mut child = Command::new(program)
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            "--loglevel",
            "warning",
        ])
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "redis-server ended at once");
        assert!(Instant::now() < deadline, "redis-server does not listen");
        thread::sleep(Duration::from_millis(10));
    }
    child
}
