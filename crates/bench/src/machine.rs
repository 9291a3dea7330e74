//! What the numbers were measured on, and what a process costs.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    failure::{Doing, Outcome},
    stats,
};

/// Commits of the disk probe.
const DISK_PROBES: usize = 100;

/// The machine, as the table describes it.
pub struct Machine {
    lines: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks around; `data` is where the data directories are made.
    pub fn look(data: &Path) -> Outcome<Self> {
        let now = chrono::DateTime::<chrono::Utc>::from(SystemTime::now());
        let disk = format!(
            "{}, write and sync of 4 KiB takes {} ms (median of {DISK_PROBES})",
            file_system(data).unwrap_or_else(|| "unknown file system".to_owned()),
            stats::millis(sync_millis(data)?),
        );
        Ok(Self {
            lines: vec![
                ("Date", now.format("%Y-%m-%d").to_string()),
                (
                    "CPU",
                    format!(
                        "{}, {} cores",
                        cpu_model().unwrap_or_else(|| "unknown".into()),
                        cores()
                    ),
                ),
                ("Memory", memory().unwrap_or_else(|| "unknown".into())),
                ("Disk", disk),
                ("Kernel", kernel()),
                ("Compiler", said_by("rustc", "-V")),
            ],
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.lines {
            writeln!(f, "- {name}: {value}")?;
        }
        Ok(())
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Resident memory of a process in MB (10^6 bytes); `None` where there is no `/proc`.
pub fn resident_mb(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Processor time that a process has used, in both modes; `None` where there is no `/proc`.
///
/// The kernel counts in ticks of 10 ms (USER_HZ is 100 on every Linux that Rust's standard library
/// supports), so differences mean something over a second, not over a request.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may itself hold spaces and brackets.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory() -> Option<String> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(format!("{:.0} GB", kib * 1024.0 / 1e9))
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(
        |_| said_by("uname", "-sr"),
        |release| format!("Linux {}", release.trim()),
    )
}

fn said_by(program: &str, argument: &str) -> String {
    Command::new(program)
        .arg(argument)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map_or_else(
            || "unknown".into(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
}

/// The type of the file system that holds `path`: a RAM disk would make durable commits free.
fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind.to_owned())
}

/// Median milliseconds that one small durable write takes: the floor under every commit.
fn sync_millis(directory: &Path) -> Outcome<f64> {
    let path = directory.join("disk-probe");
    let mut file = File::create(&path).doing("cannot write to the data directory")?;
    let mut millis = Vec::with_capacity(DISK_PROBES);
    for _ in 0..DISK_PROBES {
        let start = Instant::now();
        file.write_all(&[7; 4096])
            .and_then(|()| file.sync_data())
            .doing("cannot write to the data directory")?;
        millis.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    fs::remove_file(&path).doing("cannot remove the disk probe")?;
    Ok(stats::median(&millis))
}
