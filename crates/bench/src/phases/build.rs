//! A cold release build, as a newcomer's first `cargo run --release` makes it. Far longer than the other
//! phases together, so it runs only when named.

use std::{fs, time::Instant};

use crate::{
    failure::{Doing, Outcome},
    progress::Progress,
    report::{Report, Row},
    scratch::Scratch,
    system::cargo,
};

/// Longest that is acceptable, in seconds.
const TARGET_SECONDS: f64 = 480.0;

/// Builds into an empty directory.
pub fn run(scratch: &Scratch, progress: &Progress, report: &mut Report) -> Outcome<()> {
    progress.say("cold release build");
    let target = scratch.directory("cold-build")?;
    let began = Instant::now();
    cargo(&[
        "build",
        "--release",
        "--locked",
        "--target-dir",
        &target.display().to_string(),
    ])?;
    let seconds = began.elapsed().as_secs_f64();
    fs::remove_dir_all(&target).doing("cannot remove the cold build")?;
    report.row(Row {
        path: "cold release build".into(),
        result: format!("{seconds:.0} s"),
        target: "<= 8 min".into(),
        met: Some(seconds <= TARGET_SECONDS),
        ..Row::default()
    });
    Ok(())
}
