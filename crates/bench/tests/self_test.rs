//! The load generator against its own stand-in: it finds nothing where nothing is wrong, and finds each
//! planted fault.

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    let data = tempdir();
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args([
            "--no-build",
            "--seconds",
            "0.4",
            "--users",
            "4",
            "--data-dir",
            &data,
        ])
        .args(arguments)
        .output()
        .expect("the benchmark can be started")
}

/// A directory under the build's own, which the generator empties itself.
fn tempdir() -> String {
    format!("{}/bench-self-test", env!("CARGO_TARGET_TMPDIR"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn every_phase_runs_and_finds_nothing_wrong() {
    let output = bench(&["--self-test", "--markdown"]);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    for row in [
        "start to ready",
        "GET /api/organiser/events",
        "while others register",
        "one hot event",
        "spread",
        "login",
        "paid",
        "mail",
    ] {
        assert!(text.contains(row), "no {row} in {text}");
    }
}

#[test]
fn planted_faults_are_found() {
    for (fault, found) in [
        ("oversell", "hot: OVERSOLD"),
        ("lose", "x 500: internal"),
        ("slow-outbox", "messages are still unsent"),
    ] {
        let output = bench(&["--self-test-fault", fault, "--only", "hot"]);
        assert_eq!(output.status.code(), Some(1), "{fault}");
        assert!(said(&output).contains(found), "{fault}: {}", said(&output));
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    assert_eq!(bench(&["--fast"]).status.code(), Some(2));
}
