//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, Command, value_parser};

use crate::phase::Phase;

/// What the caller asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The phases to run, in the order of [`Phase::ALL`].
    pub phases: Vec<Phase>,
    /// Measured time per path and program.
    pub time: Duration,
    /// Keep-alive connections.
    pub connections: usize,
    /// Users signed up for real in the mail phase.
    pub users: usize,
    /// Worker threads of the generator.
    pub threads: usize,
    /// Where data directories are made; `None` = beside the build.
    pub data_dir: Option<PathBuf>,
    /// Whether the services are processes of their own.
    pub five: bool,
    /// Settings that name backends, with their values.
    pub backends: Vec<(&'static str, String)>,
    /// Whether messages go by providers that the generator plays.
    pub providers: bool,
    /// Whether to build first.
    pub build: bool,
    /// Whether the table is Markdown.
    pub markdown: bool,
    /// Measure the stand-in instead of the system.
    pub self_test: bool,
    /// A fault for the stand-in.
    pub fault: Option<String>,
}

fn command_line() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    let count = |most: u64| value_parser!(u64).range(1..=most);
    Command::new("bench")
        .about(
            "The benchmark: starts the release build of the system and a bare axum program that answers the same bytes, \
             measures every path, prints a table. At most 3 minutes, building not counted.",
        )
        .override_usage("cargo run --release -p bench [-- OPTIONS]")
        .args([
            value(
                "only",
                "NAMES",
                "Phases to run, separated by commas: start, list, mixed, hot, spread, login, paid, mail; and, run only when named: \
                 build, a cold release build, live, ten thousand sockets, streams, a thousand viewers and twenty publishers, encoders, real ones and a browser, desk, check-ins and the lists of a large event, messages, letters while schedulers end, and reminders, to as many people as --users says",
            )
            .value_delimiter(',')
            .value_parser(Phase::ALL.map(Phase::name)),
            value("seconds", "N", "Measured seconds per path and program, fractions allowed")
                .default_value("10")
                .value_parser(seconds),
            value("connections", "N", "Keep-alive connections")
                .default_value("64")
                .value_parser(count(4096)),
            value("users", "N", "People signed up for real in the mail phase")
                .default_value("500")
                .value_parser(count(20_000)),
            value("threads", "N", "Threads of the load generator; the server has the rest")
                .default_value("1")
                .value_parser(count(64)),
            value(
                "data-dir",
                "DIR",
                "Where data directories are made (default: bench-data beside the build); on a RAM disk, durable commits \
                 would cost nothing",
            )
            .value_parser(value_parser!(PathBuf)),
            flag("five", "A process for each service, with sockets between them"),
            value("redis-url", "URL", "What REDIS_URL is set to"),
            value(
                "mongodb-uri",
                "URI",
                "What MONGODB_URI is set to; its speed is what is measured then",
            ),
            flag(
                "providers",
                "Messages go by an SMTP server and an SMS provider, which takes 100 a second, instead of to the mailbox; for reminders",
            ),
            flag("no-build", "Use the binaries that are there"),
            flag("markdown", "Print the table as Markdown, with the machine"),
            flag("self-test", "Run the generator against its own stand-in for the system"),
            value("self-test-fault", "F", "As --self-test, with a fault that must be found")
                .value_parser(["oversell", "lose", "slow-outbox"]),
        ])
}

/// Reads the command line.
///
/// # Errors
/// The help that was asked for, or which option or value does not fit.
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, clap::Error> {
    let mut given =
        command_line().try_get_matches_from(std::iter::once("bench".to_owned()).chain(arguments))?;
    let named: Option<Vec<String>> = given.remove_many("only").map(Iterator::collect);
    let wanted = |phase: &Phase| match &named {
        Some(names) => names.iter().any(|name| name == phase.name()),
        None => !phase.only_when_named(),
    };
    let count = |name: &str| usize::try_from(given.get_one::<u64>(name).copied().unwrap_or(1)).unwrap_or(1);
    let text = |name: &str| given.get_one::<String>(name).cloned();
    let backends = [("REDIS_URL", "redis-url"), ("MONGODB_URI", "mongodb-uri")];
    let fault = text("self-test-fault");
    Ok(Options {
        phases: Phase::ALL.into_iter().filter(wanted).collect(),
        time: given.get_one("seconds").copied().unwrap_or_default(),
        connections: count("connections"),
        users: count("users"),
        threads: count("threads"),
        data_dir: given.get_one("data-dir").cloned(),
        five: given.get_flag("five"),
        providers: given.get_flag("providers"),
        backends: backends
            .into_iter()
            .filter_map(|(setting, name)| Some((setting, text(name)?)))
            .collect(),
        build: !given.get_flag("no-build"),
        markdown: given.get_flag("markdown"),
        self_test: given.get_flag("self-test") || fault.is_some(),
        fault,
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=60.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("must be between 0.1 and 60".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, clap::Error> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn phases_keep_their_order_and_values_may_be_joined() {
        let options = read("--only=paid,list --seconds 0.5 --no-build").unwrap();
        assert_eq!(options.phases, [Phase::List, Phase::Paid]);
        assert_eq!(options.time, Duration::from_millis(500));
        assert!(!options.build);
        assert_eq!(read("").unwrap().connections, 64);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, part) in [
            ("--only fast", "invalid value 'fast' for '--only"),
            ("--seconds", "a value is required for '--seconds"),
            ("--seconds 0", "must be between 0.1 and 60"),
            ("--connections x", "invalid value 'x' for '--connections"),
            ("--users 0", "0 is not in 1..=20000"),
            ("--loud", "unexpected argument '--loud'"),
        ] {
            let said = read(line)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}
