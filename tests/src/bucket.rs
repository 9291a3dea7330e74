//! A bucket: a server that speaks S3's protocol and checks signatures, and can go away.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::net::TcpStream;

use crate::{PATIENCE, eventually, ports::free_port, process::root};

/// Name of the bucket.
const NAME: &str = "recordings";
/// The server's one key, and its secret.
const KEY: &str = "S3RVER";

/// A server with one bucket.
pub struct BucketServer {
    port: u16,
    directory: PathBuf,
    server: Option<Child>,
}

impl BucketServer {
    /// Starts one that keeps its objects below a directory.
    pub async fn start(directory: &Path) -> Self {
        let mut server = Self {
            port: free_port(),
            directory: directory.join("bucket"),
            server: None,
        };
        server.come_back().await;
        server
    }

    /// The settings that lead to it, with a prefix.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("STREAM_STORE", format!("s3://{NAME}/some/events")),
            ("S3_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("S3_ACCESS_KEY_ID", KEY.to_owned()),
            ("S3_SECRET_ACCESS_KEY", KEY.to_owned()),
        ]
    }

    /// Goes away.
    pub fn go_away(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Comes back with what it had.
    pub async fn come_back(&mut self) {
        let node = std::env::var_os("ORGANISE_NODE").expect("ORGANISE_NODE, as ./test sets it");
        let modules = std::env::var_os("ORGANISE_NODE_MODULES").expect("ORGANISE_NODE_MODULES");
        let server = Command::new(node)
            .env("NODE_PATH", modules)
            .arg(root().join("tests/tools/s3.cjs"))
            .args([&self.port.to_string()])
            .arg(&self.directory)
            .arg(NAME)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("node runs");
        self.server = Some(server);
        let at = ("127.0.0.1", self.port);
        eventually("the bucket is there", PATIENCE, async || {
            let tried = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(at)).await;
            tried.ok()?.ok()
        })
        .await;
    }

    /// The files in which it keeps objects.
    pub fn objects(&self) -> Vec<PathBuf> {
        files(&self.directory.join(NAME))
            .into_iter()
            .filter(|file| file.to_string_lossy().contains("_object"))
            .collect()
    }
}

impl Drop for BucketServer {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}
