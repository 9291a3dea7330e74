//! The command line.

use std::{path::PathBuf, time::Duration};

use crate::{
    failure::{Doing, Failure, Outcome},
    phases::Phase,
};

/// What `--help` prints.
const HELP: &str = "\
The benchmark: starts the release build of the system and a bare axum program that answers the same
bytes, measures every path, prints a table. At most 3 minutes, building not counted.

Usage: cargo run --release -p bench [-- OPTIONS]

  --only NAMES          phases to run, separated by commas: start, list, hot, spread, login, paid, mail;
                        and, run only when named: build, a cold release build, and reminders, to as many
                        people as --users says
  --seconds N           measured seconds per path and program (default 10, fractions allowed)
  --connections N       keep-alive connections (default 64)
  --users N             people signed up for real in the mail phase (default 500)
  --threads N           threads of the load generator (default 1, so that the server has the rest)
  --data-dir DIR        where data directories are made (default: bench-data beside the build);
                        on a RAM disk, durable commits would cost nothing
  --five                a process for each service, with sockets between them
  --redis-url URL       what REDIS_URL is set to
  --mongodb-uri URI     what MONGODB_URI is set to; its speed is what is measured then
  --no-build            use the binaries that are there
  --markdown            print the table as Markdown, with the machine
  --self-test           run the generator against its own stand-in for the system
  --self-test-fault F   as --self-test, with a fault that must be found: oversell, lose or slow-outbox
  -h, --help            this text
";

/// What the caller asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The phases to run, in the order of [`Phase::ALL`].
    pub phases: Vec<Phase>,
    /// Measured time per path and program.
    pub time: Duration,
    /// Keep-alive connections.
    pub connections: usize,
    /// People signed up for real in the mail phase.
    pub users: usize,
    /// Worker threads of the generator.
    pub threads: usize,
    /// Where data directories are made; `None` = beside the build.
    pub data_dir: Option<PathBuf>,
    /// Whether the services are processes of their own.
    pub five: bool,
    /// Settings that name backends, with their values.
    pub backends: Vec<(&'static str, String)>,
    /// Whether to build first.
    pub build: bool,
    /// Whether the table is Markdown.
    pub markdown: bool,
    /// Measure the stand-in instead of the system.
    pub self_test: bool,
    /// A fault for the stand-in.
    pub fault: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            phases: Phase::ALL
                .into_iter()
                .filter(|phase| !phase.only_when_named())
                .collect(),
            time: Duration::from_secs(10),
            connections: 64,
            users: 500,
            threads: 1,
            data_dir: None,
            five: false,
            backends: Vec::new(),
            build: true,
            markdown: false,
            self_test: false,
            fault: None,
        }
    }
}

/// Reads the arguments (without the program's name); `None` when the help text was asked for and printed.
///
/// # Errors
/// On an unknown option or a value that does not fit, saying which.
pub fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Option<Options>> {
    let mut options = Options::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| arguments.next())
                .ok_or_else(|| Failure::new(format!("{name} needs a value")))
        };
        match name.as_str() {
            "--only" => options.phases = phases(&value()?)?,
            "--seconds" => {
                let seconds: f64 = value()?.parse().doing("--seconds")?;
                if !(0.1..=60.0).contains(&seconds) {
                    return Err(Failure::new("--seconds must be between 0.1 and 60"));
                }
                options.time = Duration::from_secs_f64(seconds);
            }
            "--connections" => options.connections = count(&name, &value()?, 4096)?,
            "--users" => options.users = count(&name, &value()?, 20_000)?,
            "--threads" => options.threads = count(&name, &value()?, 64)?,
            "--data-dir" => options.data_dir = Some(value()?.into()),
            "--five" => options.five = true,
            "--redis-url" => options.backends.push(("REDIS_URL", value()?)),
            "--mongodb-uri" => options.backends.push(("MONGODB_URI", value()?)),
            "--no-build" => options.build = false,
            "--markdown" => options.markdown = true,
            "--self-test" => options.self_test = true,
            "--self-test-fault" => {
                options.self_test = true;
                options.fault = Some(value()?);
            }
            "-h" | "--help" => {
                print!("{HELP}");
                return Ok(None);
            }
            _ => return Err(Failure::new(format!("unknown option {name}; see --help"))),
        }
    }
    Ok(Some(options))
}

fn count(name: &str, text: &str, most: usize) -> Outcome<usize> {
    let number: usize = text.parse().doing(name)?;
    if !(1..=most).contains(&number) {
        return Err(Failure::new(format!("{name} must be between 1 and {most}")));
    }
    Ok(number)
}

fn phases(names: &str) -> Outcome<Vec<Phase>> {
    for name in names.split(',') {
        if !Phase::ALL.iter().any(|phase| phase.name() == name) {
            return Err(Failure::new(format!("unknown phase {name}; see --help")));
        }
    }
    Ok(Phase::ALL
        .into_iter()
        .filter(|phase| names.split(',').any(|name| phase.name() == name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Outcome<Option<Options>> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn phases_keep_their_order_and_values_may_be_joined() {
        let options = read("--only=paid,list --seconds 0.5 --no-build")
            .unwrap()
            .unwrap();
        assert_eq!(options.phases, [Phase::List, Phase::Paid]);
        assert_eq!(options.time, Duration::from_millis(500));
        assert!(!options.build);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, part) in [
            ("--only fast", "unknown phase fast"),
            ("--seconds", "--seconds needs a value"),
            ("--seconds 0", "--seconds must be"),
            ("--connections x", "--connections:"),
            ("--loud", "unknown option --loud"),
        ] {
            let said = read(line)
                .err()
                .map(|failure| failure.to_string())
                .unwrap_or_default();
            assert!(said.starts_with(part), "{line}: {said}");
        }
    }
}
