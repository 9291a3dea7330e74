//! A process from start to end: settings, logs, data directory, secrets, listeners, stop. What every `main` does.

use std::os::unix::fs::DirBuilderExt;
use std::{fs, future::Future, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Arg, ArgMatches};
use futures_util::future::BoxFuture;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::sessions::Follower;
use common::{
    auth::{Auth, JwtSecrets},
    clock::Clock,
    context::traces::Export,
    http::{
        InternalClient, Pipeline,
        serve::{self, Limits},
    },
    secrets,
    sessions::Ended,
    settings::{self, Razorpay, RazorpayKeys, Settings},
    telemetry,
    workers::{Signals, Workers},
};
use shared_state::Shared;

/// The key id of the simulator, in the form of a Razorpay test key.
const SIMULATOR_KEY_ID: &str = "rzp_test_simulator";
/// From the stop signal to the end: requests get 8 s of it ([`Limits::drain`]).
const GRACE: Duration = Duration::from_secs(9);

/// What a process is given to build its parts from. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The checked settings.
    pub settings: Arc<Settings>,
    /// The time.
    pub clock: Clock,
    /// Background tasks, and the stop signal.
    pub workers: Workers,
    /// What all processes share beside their stores.
    pub shared: Shared,
    /// The sessions whose tokens are refused.
    pub ended: Ended,
    jwt_secrets: JwtSecrets,
    razorpay: RazorpayKeys,
}

/// Razorpay's keys: the set ones, or those made in the data directory for the simulator.
///
/// # Errors
/// One sentence for the person who started the program.
pub fn razorpay_keys(settings: &Settings) -> Result<RazorpayKeys, String> {
    let dir = &settings.data_dir;
    let trouble = |error| format!("The data directory {} cannot be used: {error}.", dir.display());
    Ok(match &settings.razorpay {
        Razorpay { keys: Some(keys), .. } => keys.clone(),
        Razorpay { keys: None, .. } => RazorpayKeys {
            key_id: SIMULATOR_KEY_ID.to_owned(),
            key_secret: secrets::read_or_create(dir, "razorpay_key_secret").map_err(trouble)?,
            webhook_secret: secrets::read_or_create(dir, "razorpay_webhook_secret").map_err(trouble)?,
        },
    })
}

impl Context {
    /// Prepares the data directory and the secrets.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, String> {
        let dir = &settings.data_dir;
        let trouble = |error| format!("The data directory {} cannot be used: {error}.", dir.display());
        // Other users of this machine must not read addresses, password hashes and tickets.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(trouble)?;
        let jwt_secrets = JwtSecrets {
            current: match &settings.jwt_secret {
                Some(secret) => secret.clone(),
                None => secrets::read_or_create(dir, "jwt_secret").map_err(trouble)?,
            },
            other: settings.jwt_secret_old.clone(),
        };
        let razorpay = razorpay_keys(&settings)?;
        let shared = match &settings.redis_url {
            Some(urls) => Shared::redis(urls)?,
            None => Shared::in_process(),
        };
        Ok(Self {
            settings: Arc::new(settings),
            clock,
            workers: Workers::new(),
            shared,
            ended: Ended::default(),
            jwt_secrets,
            razorpay,
        })
    }

    /// Makes and checks tokens as `service`.
    pub fn auth(&self, service: &'static str) -> Auth {
        Auth::with_ended(service, &self.jwt_secrets, self.clock.clone(), self.ended.clone())
    }

    /// Keeps the list of ended sessions up to date, by asking the users service through `users`. One process has one
    /// list: the users service keeps it, and where that is elsewhere, the service that is here instead.
    pub async fn follow_sessions(&self, users: InternalClient) {
        let follower = Follower {
            list: self.ended.clone(),
            shared: self.shared.clone(),
            users,
            clock: self.clock.clone(),
        };
        let work = follower.start(self.workers.stop_token()).await;
        self.workers.spawn("ended sessions", work);
    }

    /// Razorpay's keys: the set ones, or those made for the simulator.
    pub fn razorpay_keys(&self) -> &RazorpayKeys {
        &self.razorpay
    }

    /// A file or folder in the data directory.
    pub fn data(&self, name: &str) -> PathBuf {
        self.settings.data_dir.join(name)
    }

    /// Listens on `port`.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub async fn bind(&self, name: &str, port: u16) -> Result<(TcpListener, SocketAddr), String> {
        let listener = serve::bind(name, SocketAddr::new(self.settings.bind_addr, port)).await?;
        let address = listener
            .local_addr()
            .map_err(|error| format!("{name} cannot listen: {error}."))?;
        Ok((listener, address))
    }

    /// Serves `pipeline` until the stop.
    pub fn serve_on(&self, listener: TcpListener, pipeline: Pipeline) {
        self.serve_within(listener, pipeline, Limits::default());
    }

    /// The same within other limits.
    pub fn serve_within(&self, listener: TcpListener, pipeline: Pipeline, limits: Limits) {
        let name = pipeline.service();
        let serving = serve::serve(listener, pipeline, limits, self.workers.stop_token());
        self.workers.spawn(name, serving);
    }

    /// Listens on `port` and serves `pipeline` until the stop. Gives the address.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub async fn serve(&self, port: u16, pipeline: Pipeline) -> Result<SocketAddr, String> {
        let (listener, address) = self.bind(pipeline.service(), port).await?;
        self.serve_on(listener, pipeline);
        Ok(address)
    }
}

/// Something that a program can do instead of serving, named by its first arguments.
pub struct Command {
    /// The argument, or two with a space between them: a subject and what to do with it.
    pub name: &'static str,
    /// What it does, for `--help`.
    pub about: &'static str,
    /// What more it takes.
    pub arguments: fn() -> Vec<Arg>,
    /// Does it. It gets the settings only: what a [`Context`] makes (a data directory, secrets) it may not want.
    pub run: fn(Settings, ArgMatches) -> BoxFuture<'static, Result<(), String>>,
}

/// The command line of a program.
fn command_line(program: &'static str, about: &'static str, commands: &[Command]) -> clap::Command {
    let mut line = clap::Command::new(program)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(settings::help())
        .disable_help_subcommand(true);
    for command in commands {
        let leaf = |name| {
            clap::Command::new(name)
                .about(command.about)
                .args((command.arguments)())
        };
        let Some((subject, name)) = command.name.split_once(' ') else {
            line = line.subcommand(leaf(command.name));
            continue;
        };
        if line.find_subcommand(subject).is_none() {
            let names = commands.iter().filter_map(|command| command.name.split_once(' '));
            let names: Vec<_> = names
                .filter(|(of, _)| *of == subject)
                .map(|(_, name)| name)
                .collect();
            let group = clap::Command::new(subject).about(names.join(", "));
            line = line.subcommand(group.subcommand_required(true).disable_help_subcommand(true));
        }
        line = line.mut_subcommand(subject, |group| group.subcommand(leaf(name)));
    }
    line
}

/// Runs a program: answers `--help` and `--version`, reads the settings, calls `compose` and waits for the end.
/// Everything that is wrong at start is one message and exit code 1, not a backtrace; a wrong command line is exit code 2.
pub fn run<F, Fut>(program: &'static str, about: &'static str, compose: F) -> ExitCode
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    run_with(program, about, &[], compose)
}

/// Likewise, for a program that has commands.
pub fn run_with<F, Fut>(
    program: &'static str,
    about: &'static str,
    commands: &[Command],
    compose: F,
) -> ExitCode
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let matches = match command_line(program, about, commands).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // A closed stdout or stderr is no error of ours.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match chosen(matches) {
        None => start(program, compose),
        Some((name, arguments)) => match commands.iter().find(|command| command.name == name) {
            Some(command) => run_command(program, command, arguments),
            None => Err(format!("there is no command {name}")), // clap knows no others
        },
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{program}: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The name of the command that was given, and its arguments.
fn chosen(mut matches: ArgMatches) -> Option<(String, ArgMatches)> {
    let (mut name, arguments) = matches.remove_subcommand()?;
    matches = arguments;
    if let Some((second, arguments)) = matches.remove_subcommand() {
        name = format!("{name} {second}");
        matches = arguments;
    }
    Some((name, matches))
}

fn prepare(program: &str) -> Result<(Settings, Runtime, Option<Export>), String> {
    let settings = Settings::from_env().map_err(|error| error.to_string())?;
    let export = telemetry::start(&settings, program)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads could be started: {error}."))?;
    Ok((settings, runtime, export))
}

fn run_command(program: &str, command: &Command, arguments: ArgMatches) -> Result<bool, String> {
    let (settings, runtime, _export) = prepare(program)?;
    runtime
        .block_on((command.run)(settings, arguments))
        .map(|()| true)
}

fn start<F, Fut>(program: &str, compose: F) -> Result<bool, String>
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let (settings, runtime, _export) = prepare(program)?;
    runtime.block_on(async {
        let signals = Signals::take().map_err(|error| format!("signals cannot be handled: {error}."))?;
        let context = Context::new(settings, Clock::system())?;
        if context.settings.is_production() && context.settings.mongodb_uri.is_none() {
            tracing::warn!(
                "production on SQLite: fine on one machine with backups; it cannot be spread over several"
            );
        }
        let workers = context.workers.clone();
        compose(context).await?;
        Ok(workers.run(signals, GRACE).await)
    })
}
