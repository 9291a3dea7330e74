//! A MongoDB-wire server for one system alone. That which all tests share has hundreds of databases by the end of a run, and
//! who waits for whom in it is nothing that a story is about.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{PATIENCE, eventually, ports::free_port, process::root};

/// A running server, which does not outlive the test.
pub struct MongoServer {
    port: u16,
    child: Child,
    _storage: TempDir,
}

impl MongoServer {
    /// Starts the pinned one; `None` where the tests were given a MongoDB.
    pub async fn start() -> Option<Self> {
        let packages = std::env::var_os("ORGANISE_MONGODB_PACKAGES")?;
        let python = std::env::var_os("PYTHON")?;
        let place = std::env::var_os("ORGANISE_MONGODB_STORAGE")?;
        let storage = tempfile::tempdir_in(place).expect("a folder for MongoDB");
        let port = free_port();
        let child = Command::new(python)
            .arg(root().join("tests/tools/mongodb.py"))
            .args(["--port", &port.to_string(), "--log-level", "WARNING"])
            .arg("--storage-path")
            .arg(storage.path())
            .env("PYTHONPATH", packages)
            .env("SECANTUS_TEST_FAST_STORAGE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python runs");
        let server = Self {
            port,
            child,
            _storage: storage,
        };
        eventually("MongoDB is there", PATIENCE, async || {
            let connects = TcpStream::connect(("127.0.0.1", port));
            tokio::time::timeout(Duration::from_secs(1), connects)
                .await
                .ok()?
                .ok()
        })
        .await;
        Some(server)
    }

    /// What to set `MONGODB_URI` to.
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/organise?directConnection=true", self.port)
    }
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
