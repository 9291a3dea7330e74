//! A process from start to end: settings, logs, data directory, secrets, listeners, stop. What every `main` does.

use std::os::unix::fs::DirBuilderExt;
use std::{fs, future::Future, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::{
    auth::Auth,
    clock::Clock,
    http::{
        InternalClient, Pipeline, Upstream,
        serve::{self, Limits},
    },
    secrets,
    sessions::{Ended, Follower},
    settings::{Razorpay, RazorpayKeys, Settings, help},
    shared::Shared,
    sqlite::Sqlite,
    telemetry,
    traces::Export,
    workers::{Signals, Workers},
};

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
    jwt_secret: SecretString,
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

/// A service's SQLite file in the data directory.
///
/// # Errors
/// One sentence for the person who started the program.
pub fn open_sqlite(settings: &Settings, service: &str, migrations: &[&str]) -> Result<Sqlite, String> {
    let path = settings.data_dir.join(format!("{service}.db"));
    Sqlite::open(&path, migrations).map_err(|error| format!("{} cannot be used: {error}.", path.display()))
}

impl Context {
    /// Prepares the data directory and the secrets.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, String> {
        let dir = &settings.data_dir;
        let trouble = |error| format!("The data directory {} cannot be used: {error}.", dir.display());
        // Addresses, password hashes and tickets are nobody else's business on this machine.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(trouble)?;
        let jwt_secret = match &settings.jwt_secret {
            Some(secret) => secret.clone(),
            None => secrets::read_or_create(dir, "jwt_secret").map_err(trouble)?,
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
            jwt_secret,
            razorpay,
        })
    }

    /// Makes and checks tokens as `service`.
    pub fn auth(&self, service: &'static str) -> Auth {
        Auth::with_ended(service, &self.jwt_secret, self.clock.clone(), self.ended.clone())
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

    /// Opens a service's SQLite file.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn sqlite(&self, service: &str, migrations: &[&str]) -> Result<Sqlite, String> {
        open_sqlite(&self.settings, service, migrations)
    }

    /// Another service in other processes.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn remote(&self, urls: &str) -> Result<Upstream, String> {
        Upstream::remote(urls)
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
        let name = pipeline.service();
        self.workers.spawn(
            name,
            serve::serve(listener, pipeline, Limits::default(), self.workers.stop_token()),
        );
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

/// Something that a program can do instead of serving, named by its first argument.
pub struct Command {
    /// The argument, or several with a space between them.
    pub name: &'static str,
    /// What it does, for `--help`.
    pub about: &'static str,
    /// Does it. It gets the settings only: what a [`Context`] makes (a data directory, secrets) it may not want.
    pub run: fn(Settings) -> BoxFuture<'static, Result<(), String>>,
}

impl Command {
    fn arguments(&self) -> usize {
        self.name.split(' ').count()
    }
}

/// Runs a program: answers `--help` and `--version`, reads the settings, calls `compose` and waits for the end.
/// Everything that is wrong at start is one message and exit code 1, not a backtrace.
pub fn run<F, Fut>(program: &str, about: &str, compose: F) -> ExitCode
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    run_with(program, about, &[], compose)
}

/// Likewise, for a program that has commands.
pub fn run_with<F, Fut>(program: &str, about: &str, commands: &[Command], compose: F) -> ExitCode
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |command: &&Command| {
        command
            .name
            .split(' ')
            .eq(arguments.iter().take(command.arguments()))
    };
    let command = commands.iter().find(named);
    let known = command.map_or(0, Command::arguments);
    let outcome = match arguments.get(known).map(String::as_str) {
        None => match command {
            Some(command) => run_command(program, command),
            None => start(program, compose),
        },
        Some("--help" | "-h") => {
            let commands = commands.iter().map(|command| (command.name, command.about));
            print!("{}", help(program, about, commands));
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("{program} {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!("{program}: unknown argument {other}; see {program} --help");
            return ExitCode::FAILURE;
        }
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

fn prepare(program: &str) -> Result<(Settings, Runtime, Option<Export>), String> {
    let settings = Settings::from_env().map_err(|error| error.to_string())?;
    let export = telemetry::start(&settings, program)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads could be started: {error}."))?;
    Ok((settings, runtime, export))
}

fn run_command(program: &str, command: &Command) -> Result<bool, String> {
    let (settings, runtime, _export) = prepare(program)?;
    runtime.block_on((command.run)(settings)).map(|()| true)
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
