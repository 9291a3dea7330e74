//! The benchmark: `cargo run --release -p bench`. Starts the release build of the system and a bare axum
//! program that answers the same bytes, measures every path with a speed goal, and prints a table.
//!
//! Exit code 0: everything was answered as it should be (whether or not the targets were met); 1: something
//! was not, and the report says what; 2: the command line is wrong.

mod cli;
mod failure;
mod lab;
mod load;
mod machine;
mod phase;
mod phases;
mod progress;
mod providers;
mod report;
mod scratch;
mod server;
mod stats;
mod system;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use cli::Options;
use failure::{Doing, Failure, Outcome};
use lab::Lab;
use machine::Machine;
use phase::Phase;
use progress::Progress;
use report::Report;
use scratch::Scratch;
use system::Programs;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest run, building not counted. Phases that would go beyond are broken off.
const LIMIT: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match prepare_and_measure(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Does everything; whether nothing went wrong.
fn prepare_and_measure(options: Options) -> Outcome<bool> {
    let programs = Programs::prepare(&options)?;
    let data = match &options.data_dir {
        Some(directory) => directory.clone(),
        None => default_data()?,
    };
    let scratch = Scratch::new(&data)?;
    let machine = Machine::look(scratch.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()
        .doing("cannot start the runtime")?;
    let markdown = options.markdown;
    let report = runtime.block_on(async {
        let mut report = Report::default();
        if options.self_test {
            report.note(
                "Self-test against the stand-in: none of these numbers says anything about the system.",
            );
        }
        let all = Box::pin(measure(options, &programs, &scratch, &mut report));
        match tokio::select! { result = all => result, stopped = stopped() => stopped } {
            Ok(()) => {}
            Err(failure) => report.error(failure.to_string()),
        }
        report
    });
    report.print(&machine, markdown);
    Ok(report.clean())
}

/// Runs the phases.
async fn measure(
    options: Options,
    programs: &Programs,
    scratch: &Scratch,
    report: &mut Report,
) -> Outcome<()> {
    let progress = Progress::new();
    let phases = options.phases.clone();
    let (in_lab, alone): (Vec<Phase>, Vec<Phase>) = phases.into_iter().partition(|phase| phase.in_lab());
    let mut began = Instant::now();
    for phase in alone {
        let result = phases::run_alone(phase, programs, scratch, &progress, report).await;
        note_failure(phase, result, report);
        if phase == Phase::Build {
            began = Instant::now();
        }
    }
    if !in_lab.is_empty() {
        let lab = Box::pin(Lab::open(options, programs, scratch, progress.clone())).await?;
        for phase in in_lab {
            let limit = if phase.only_when_named() { LIMIT * 4 } else { LIMIT };
            let left = limit.saturating_sub(began.elapsed());
            let result = match tokio::time::timeout(left, Box::pin(phases::run_in(phase, &lab, report))).await
            {
                Ok(result) => result,
                Err(_) => Err(Failure::new(format!(
                    "broken off: {} s are over",
                    limit.as_secs()
                ))),
            };
            note_failure(phase, result, report);
        }
        let time = lab.close().await?;
        report.note(format!(
            "SIGTERM to exit 0 after everything: {:.0} ms.",
            time.as_secs_f64() * 1000.0
        ));
    }
    progress.finish();
    report.note(format!("The run took {} s.", began.elapsed().as_secs()));
    Ok(())
}

fn note_failure(phase: Phase, result: Outcome<()>, report: &mut Report) {
    if let Err(failure) = result {
        report.error(format!("{}: {failure}", phase.name()));
    }
}

/// Resolves on SIGTERM or Ctrl-C, so that the servers are stopped too.
async fn stopped() -> Outcome<()> {
    let mut terminate = signal(SignalKind::terminate()).doing("cannot listen for signals")?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Err(Failure::new("stopped by a signal"))
}

/// Beside the build: on the disk of the workspace, and removed by `cargo clean` at the latest.
fn default_data() -> Outcome<PathBuf> {
    let profile = system::build_directory()?;
    let target = profile.parent().unwrap_or(&profile);
    Ok(target.join("bench-data"))
}
