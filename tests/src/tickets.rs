//! Tickets and letters with tickets, as the programs of others read them.

use std::{
    ffi::OsString,
    process::{Command, Output},
};

use serde_json::Value;

use crate::process::root;

/// What `./test` has brought.
fn tool(name: &str) -> OsString {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run the tests by ./test, which brings the tools"))
}

/// What is in these files, by their names, as `tests/tools/read_ticket.py` says it. Fails where one is not as its standard has it.
pub fn read(files: &[(&str, &[u8])]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(tool("PYTHON"));
    command
        .arg(root().join("tests/tools/read_ticket.py"))
        .env("PYTHONPATH", tool("ORGANISE_TICKET_TOOLS"));
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        command.arg(path);
    }
    serde_json::from_slice(&said(command)).unwrap()
}

/// What a Python script prints, for which nothing has to be brought, given this argument.
pub fn python(script: &str, argument: &str) -> Vec<u8> {
    let mut command = Command::new(tool("PYTHON"));
    command.args(["-c", script, argument]);
    said(command)
}

fn said(mut command: Command) -> Vec<u8> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    stdout
}
