//! Arguments of commands that act on some things by their ids, or on all.

use std::collections::BTreeSet;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use uuid::Uuid;

const IDS: &str = "ID";
const ALL: &str = "all";

/// Ids, or `--all`; `all` says of what.
pub fn arguments(ids: &'static str, all: &'static str) -> Vec<Arg> {
    vec![
        Arg::new(IDS)
            .help(ids)
            .action(ArgAction::Append)
            .num_args(1..)
            .value_parser(value_parser!(Uuid))
            .required_unless_present(ALL),
        Arg::new(ALL)
            .long(ALL)
            .help(all)
            .action(ArgAction::SetTrue)
            .conflicts_with(IDS),
    ]
}

/// Whether all are meant.
pub fn are_all(arguments: &ArgMatches) -> bool {
    arguments.get_flag(ALL)
}

/// The ids that were given, each once.
pub fn given(arguments: &ArgMatches) -> BTreeSet<Uuid> {
    arguments.get_many(IDS).into_iter().flatten().copied().collect()
}

/// Prints how many were `done`.
///
/// # Errors
/// Of those that were named `missing` says what some are.
pub fn finish(count: usize, arguments: &ArgMatches, done: &str, missing: &str) -> Result<(), String> {
    println!("{done}: {count}.");
    match given(arguments).len().saturating_sub(count) {
        0 => Ok(()),
        number => Err(format!("{missing}: {number} of those named.")),
    }
}
