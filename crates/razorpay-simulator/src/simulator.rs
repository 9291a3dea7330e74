//! Opening a simulator, and its two halves: the router and the workers.

use std::{
    collections::HashSet,
    fs, io,
    path::PathBuf,
    sync::{OnceLock, atomic::AtomicBool},
    time::Duration,
};

use axum::Router;
use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Parts},
    clock::Clock,
    db::{self, Db},
    failure::Failure,
    faults::Faults,
    ids, listener,
    mischief::Mischief,
    routes,
    settings::Settings,
    webhooks, workers,
};

/// How often a state that cannot be opened is tried.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a simulator cannot start. Each is one sentence for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be made.
    #[error("The data directory {} cannot be used: {source}.", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database file cannot be opened, written, or is none.
    #[error("{} cannot be used: {source}.", path.display())]
    Database {
        /// The file, or `memory`.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The state in the database cannot be read.
    #[error("The simulator's state cannot be read; the log says why.")]
    State,
    /// The webhook address is no http or https URL.
    #[error("The webhook address {0} is not a URL that starts with http:// or https://.")]
    WebhookUrl(String),
    /// The HTTP client for webhooks cannot be made.
    #[error("Webhooks cannot be sent: {0}.")]
    Client(#[from] reqwest::Error),
}

/// A simulator: its state, its router and its workers. Cheap to clone; all clones are the same simulator.
#[derive(Clone)]
pub struct Simulator(App);

impl Simulator {
    /// Opens the state, or starts with none. Nothing is listening and nothing is sent yet.
    ///
    /// # Errors
    /// When the data directory or the file in it cannot be used, or a setting is wrong.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        let path = settings
            .data_dir
            .as_ref()
            .map(|dir| dir.join("razorpay-simulator.db"));
        if let Some(dir) = &settings.data_dir {
            fs::create_dir_all(dir).map_err(|source| OpenError::DataDir {
                path: dir.clone(),
                source,
            })?;
        }
        if let Some(url) = settings
            .webhook_url
            .as_deref()
            .filter(|url| !webhooks::deliverable(url))
        {
            return Err(OpenError::WebhookUrl(url.to_owned()));
        }
        // The HTTP client wants one for the process; whoever came first has chosen it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(webhooks::PATIENCE)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent("Razorpay-Webhook/v1")
            .build()?;
        let broken = |source| OpenError::Database {
            path: path.clone().unwrap_or_else(|| PathBuf::from("memory")),
            source,
        };
        let (db, (account_id, ahead_ms)) =
            Db::open(path.as_deref(), |db| prepare(db, &settings)).map_err(|error| match error {
                db::OpenError::Sqlite(source) => broken(source),
                db::OpenError::State => OpenError::State,
            })?;
        let clock = Clock::default();
        clock.set_ahead_ms(ahead_ms);
        Ok(Self(App::new(Parts {
            settings,
            db,
            clock,
            account_id,
            http,
            faults: Faults::default(),
            mischief: Mischief::default(),
            hold_refunds: AtomicBool::new(false),
            in_flight: Mutex::new(HashSet::new()),
            due: Notify::new(),
            outgoing: Notify::new(),
            address: OnceLock::new(),
        })))
    }

    /// All routes. They answer without the workers too; only outcomes with a delay, and webhooks, wait for those.
    pub fn router(&self) -> Router {
        routes::router(&self.0)
    }

    /// Brings about what becomes due (outcomes, expiries) and sends webhooks, until `stop`.
    pub async fn run_workers(&self, stop: CancellationToken) {
        tokio::join!(workers::run(&self.0, &stop), webhooks::deliver(&self.0, &stop));
    }

    /// Serves on `listener` and runs the workers, until `stop`. Requests in flight get a few seconds to end.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) {
        if let Ok(address) = listener.local_addr() {
            let _ = self.0.address.set(address);
        }
        tokio::join!(
            listener::accept(listener, self.router(), &stop),
            self.run_workers(stop.clone())
        );
    }

    /// As [`Simulator::serve`], once the state of `settings` can be opened, which failed with `why`: for a system that
    /// is of use without payments. Until then nobody is answered.
    pub async fn serve_later(
        settings: Settings,
        why: OpenError,
        listener: TcpListener,
        stop: CancellationToken,
    ) {
        tracing::error!(error = %why, "the Razorpay simulator cannot be opened yet; trying again until it can");
        let opened = loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
            if let Ok(opened) = Self::open(settings.clone()) {
                break opened;
            }
        };
        tracing::warn!("the Razorpay simulator is open");
        opened.serve(listener, stop).await;
    }
}

/// Opens a simulator, serves it on `listener` and runs its workers, until `stop`.
///
/// # Errors
/// When it cannot be opened.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), OpenError> {
    Simulator::open(settings)?.serve(listener, stop).await;
    Ok(())
}

/// Reads, or makes up at the first start, what the simulator needs to know of itself: the account id and how far
/// its clock is ahead. The receiver of the settings takes the place of the last start's.
fn prepare(db: &rusqlite::Connection, settings: &Settings) -> Result<(String, i64), Failure> {
    webhooks::configure(db, settings.webhook_url.as_deref())?;
    let new = ids::new("acc");
    db::execute(
        db,
        "INSERT OR IGNORE INTO meta (name, value) VALUES ('account_id', ?1)",
        [&new],
    )?;
    let account = db::value(db, "SELECT value FROM meta WHERE name = 'account_id'", [])?.unwrap_or(new);
    let ahead: Option<String> = db::value(db, "SELECT value FROM meta WHERE name = 'clock_ahead_ms'", [])?;
    Ok((account, ahead.and_then(|ahead| ahead.parse().ok()).unwrap_or(0)))
}
