//! Directories and ports for one run.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use crate::failure::{Doing, Outcome};

/// A directory of our own that is removed when the run ends, however it ends.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a new directory under `parent`, named by the process.
    pub fn new(parent: &Path) -> Outcome<Self> {
        let path = parent.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&path).doing(&format!("cannot make {}", path.display()))?;
        let path = path.canonicalize().doing("cannot find the data directory")?;
        Ok(Self { path })
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an empty directory inside.
    pub fn directory(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).doing(&format!("cannot make {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left for the next `cargo clean`; a destructor cannot return the error.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// `N` ports of 127.0.0.1 that were free a moment ago, all different.
pub fn free_ports<const N: usize>() -> Outcome<[u16; N]> {
    // All are held until all are known, or the kernel might hand out one twice.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("no free port")?;
        *port = listener.local_addr().doing("no free port")?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// A port of 127.0.0.1.
pub fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
