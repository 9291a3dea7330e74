//! Production's store: MongoDB, through the official driver.
//!
//! A change is a transaction with majority write concern on a replica set: [`Mongo::write`] runs it, and runs it again
//! when it met another one or a unique index. What is read to decide is read in the same transaction, from the primary.
//! Every operation has a timeout.

pub mod audit;
mod document;
mod error;
pub mod idempotency;
pub mod inbox;
pub mod lease;
pub mod mark;
pub mod outbox;
mod rows;
mod schema;
mod sessions;
#[cfg(test)]
mod tests;
mod transaction;

use std::time::Duration;

use futures_util::future::BoxFuture;
use mongodb::{
    Client, Database,
    bson::{Document, doc},
    event::EventHandler,
    event::command::CommandEvent,
    options::{ClientOptions, ReadConcern, SelectionCriteria, WriteConcern},
};
use secrecy::{ExposeSecret, SecretString};

pub use self::{
    document::{DocumentExt, date, uuid, uuids},
    error::{late, store as driver_error},
    rows::{Key, set_aside, sift},
    schema::{Collection, Index},
    sessions::{BEAT as HEARTBEAT, NAME as PROCESSES},
    transaction::Tx,
};
use common::store::StoreError;

/// One operation, answer included. A primary that fails is replaced within about 12 s (electionTimeoutMillis and a
/// little); an operation that takes longer than this fails as [`StoreError::Unavailable`].
pub const OPERATION: Duration = Duration::from_secs(10);
/// How long a server may be looked for.
const SELECTION: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(3);
/// Connections to each server, like the driver's own default.
const CONNECTIONS: u32 = 100;
/// The databases' common name when the URI's path names none.
const NAME: &str = "organise";

/// Collections that the engine itself keeps in every database. They hold no data of a service.
pub const ENGINE_COLLECTIONS: &[&str] = &[schema::ALIVE, sessions::NAME, mark::NAME, lease::NAME];

/// One service's database. Cheap to clone.
#[derive(Clone)]
pub struct Mongo {
    client: Client,
    db: Database,
    sessions: sessions::Sessions,
}

impl Mongo {
    /// Connects, and brings the database of `service` to the form of `collections`: missing collections and indexes
    /// are made, validators are renewed. The database is named after the URI's path (`organise` when it has none) and
    /// the service: `organise_users`.
    ///
    /// # Errors
    /// When the URI is not right, no server answers, it is no replica set, or a migration into the database has not ended.
    pub async fn open(
        uri: &SecretString,
        service: &str,
        collections: &[Collection],
    ) -> Result<Self, StoreError> {
        Self::open_watched(uri, service, collections, None).await
    }

    /// As [`Mongo::open`]; `watch` receives every command that is sent, for tests.
    ///
    /// # Errors
    /// See [`Mongo::open`].
    pub async fn open_watched(
        uri: &SecretString,
        service: &str,
        collections: &[Collection],
        watch: Option<EventHandler<CommandEvent>>,
    ) -> Result<Self, StoreError> {
        let (client, name) = connect(uri, service, watch).await?;
        let db = client.database(&format!("{name}_{service}"));
        require_replica_set(&db).await?;
        mark::require_done(Tx::without_session(db.clone())).await?;
        let own = [&sessions::SCHEMA, &mark::SCHEMA];
        for collection in collections.iter().chain(own) {
            collection.ensure(&db).await?;
        }
        let sessions = sessions::Sessions::start(db.clone());
        Ok(Self { client, db, sessions })
    }

    /// Runs a command of the server, which no method of [`Tx`] is for.
    ///
    /// # Errors
    /// A storage error.
    pub async fn command(&self, command: Document) -> Result<Document, StoreError> {
        bounded(self.db.run_command(command)).await
    }

    /// Makes one atomic, durable change. `change` gets the transaction, through which everything must go, and
    /// `context`, by reference because it is run again when the transaction meets another one, or a unique index that
    /// it did not see coming: the next look sees what was in the way. An `Err` undoes all.
    ///
    /// # Errors
    /// What `change` returns, or a storage error.
    pub async fn write<C, T, E>(
        &self,
        context: C,
        change: for<'a> fn(&'a mut Tx, &'a C) -> BoxFuture<'a, Result<T, E>>,
    ) -> Result<T, E>
    where
        C: Send + Sync,
        T: Send,
        E: From<StoreError> + Send,
    {
        transaction::run(self, &context, change).await
    }

    /// Reads outside of any transaction, what a majority has. Nothing may be decided on it.
    pub fn read(&self) -> Tx {
        Tx::without_session(self.db.clone())
    }

    /// Checks that changes can be made, by one that changes nothing.
    ///
    /// # Errors
    /// When they cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let set = doc! {"$set": {"at": mongodb::bson::DateTime::now()}};
        self.read()
            .upsert(schema::ALIVE, doc! {"_id": "alive"}, set)
            .await
            .map(drop)
    }
}

/// A client, and the databases' common name. `purpose` is what the server's log names it by.
///
/// # Errors
/// When the URI is not right.
pub async fn connect(
    uri: &SecretString,
    purpose: &str,
    watch: Option<EventHandler<CommandEvent>>,
) -> Result<(Client, String), StoreError> {
    // TLS to the server needs a provider of cryptography; the first one to be named stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut options = ClientOptions::parse(uri.expose_secret())
        .await
        // The driver's message repeats the URI, which may hold a password.
        .map_err(|_| StoreError::Unavailable("MONGODB_URI cannot be read".to_owned()))?;
    options
        .app_name
        .get_or_insert_with(|| format!("organise-event-{purpose}"));
    options.server_selection_timeout = Some(SELECTION);
    options.connect_timeout = Some(CONNECT);
    options.max_pool_size.get_or_insert(CONNECTIONS);
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(
        mongodb::options::ReadPreference::Primary,
    ));
    options.write_concern = Some(
        WriteConcern::builder()
            .w(mongodb::options::Acknowledgment::Majority)
            .w_timeout(OPERATION)
            .build(),
    );
    options.read_concern = Some(ReadConcern::majority());
    options.command_event_handler = watch;
    let name = options
        .default_database
        .clone()
        .unwrap_or_else(|| NAME.to_owned());
    let client = Client::with_options(options).map_err(error::store)?;
    Ok((client, name))
}

/// Transactions and majority writes exist on a replica set only; a mongos stands before several.
///
/// # Errors
/// When the server is neither.
pub async fn require_replica_set(db: &Database) -> Result<(), StoreError> {
    let hello = bounded(db.run_command(doc! {"hello": 1})).await?;
    if hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        return Ok(());
    }
    Err(StoreError::Unavailable(
        "the server is not a replica set, without which there are no transactions; one node will do: start mongod with \
         --replSet rs0 and run rs.initiate() once"
            .to_owned(),
    ))
}

/// An operation with its timeout.
///
/// # Errors
/// A storage error.
pub async fn bounded<T>(
    operation: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(OPERATION, operation.into_future()).await {
        Ok(result) => result.map_err(error::store),
        Err(_) => Err(error::late()),
    }
}

/// Opens the database of a service as the settings name it.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn open(uri: &SecretString, service: &str, collections: &[Collection]) -> Result<Mongo, String> {
    Mongo::open(uri, service, collections)
        .await
        .map_err(|error| format!("MongoDB (MONGODB_URI) cannot be used for {service}: {error}."))
}
