//! Start to ready, memory when idle, and the size of the binary. Every start is the first one of a new
//! data directory, migrations and secrets included.

use std::{fs, time::Duration};

use bench::token::random_secret;

use crate::{
    failure::{Doing, Outcome},
    machine::resident_mb,
    progress::Progress,
    report::{Report, Row},
    scratch::Scratch,
    stats::{median, millis},
    system::Programs,
};

/// Starts to take the median of.
const STARTS: usize = 5;

/// How long the process is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(1);

/// Starts and stops the system a few times.
pub async fn run(
    programs: &Programs,
    scratch: &Scratch,
    progress: &Progress,
    report: &mut Report,
) -> Outcome<()> {
    let mut ready = Vec::with_capacity(STARTS);
    let mut stop = Vec::with_capacity(STARTS);
    let mut resident = None;
    for number in 0..STARTS {
        progress.say(&format!("start {} of {STARTS}", number + 1));
        let data = scratch.directory(&format!("start-{number}"))?;
        let (mut system, doors) = programs.start_system(&data, &random_secret(), Vec::new())?;
        ready.push(system.ready(doors.gateway, "/health/ready").await?.as_secs_f64() * 1000.0);
        if number == 0 {
            tokio::time::sleep(IDLE).await;
            resident = resident_mb(system.pid());
        }
        stop.push(system.stop().await?.as_secs_f64() * 1000.0);
    }
    let time = median(&ready);
    report.row(Row {
        path: format!("start to ready (median of {STARTS} first starts)"),
        result: format!("{} ms", millis(time)),
        target: "< 500 ms".into(),
        met: Some(time < 500.0),
        ..Row::default()
    });
    report.row(Row {
        path: "memory when idle (resident)".into(),
        result: resident.map_or_else(|| "unknown on this system".into(), |mb| format!("{mb:.1} MB")),
        target: "< 60 MB".into(),
        met: resident.map(|mb| mb < 60.0),
        ..Row::default()
    });
    let size = fs::metadata(&programs.system)
        .doing("cannot see the binary")?
        .len();
    report.row(Row {
        path: "size of the binary".into(),
        result: format!("{:.1} MB", size as f64 / 1e6),
        ..Row::default()
    });
    report.note(format!(
        "SIGTERM to exit 0 when idle: {} ms (median of {STARTS}).",
        millis(median(&stop))
    ));
    Ok(())
}
