//! The migration from SQLite to MongoDB: everything that a data directory holds is copied, once.
//!
//! [`SERVICES`] lists for each service its tables and how a row becomes a document; the rest does not know what it
//! copies. A migration can be killed at any moment and started again. What makes that safe:
//!
//! - Every SQLite file is locked for the whole run (`source`), so nothing can change under it, and a
//!   system that still runs is noticed.
//! - Every database has a mark ([`mongo_store::mark`]) before it has a document, and the mark says "done" only when all
//!   has been compared. Services do not start on one that is not done.
//! - The mark names the data directory and what its file held. Found again unchanged, the migration goes on and adds what is
//!   not there yet, by `_id`; changed, it deletes what it had copied and begins anew; of another directory, it refuses.
//! - What is compared at the end, by count and checksum, has been read from each side by itself: from SQLite before
//!   anything was copied, under the same lock, and from MongoDB after.

#[cfg(test)]
mod complete;
mod digest;
mod part;
mod services;
mod source;
mod table;
mod target;
#[cfg(test)]
mod tests;

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use common::{clock::Clock, secrets};

pub use self::{digest::Digest, services::SERVICES, table::Service};
use self::{
    part::{Part, Standing, in_mongodb},
    target::Server,
};

/// The file that names a data directory in the marks. No secret, but made as carefully as one.
const DIRECTORY_FILE: &str = "move_to_mongodb";

/// Receives the migration's progress.
pub trait Progress: Sync {
    /// So many steps there are in all: each row is read, copied and compared.
    fn length(&self, steps: u64);
    /// This is being done now.
    fn doing(&self, what: &str);
    /// So many steps more are done.
    fn advance(&self, steps: u64);
}

/// A table on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The service and the table.
    pub table: String,
    /// What SQLite holds.
    pub sqlite: Digest,
    /// What MongoDB holds.
    pub mongodb: Digest,
}

impl Compared {
    /// Whether both hold the same.
    pub fn is_same(&self) -> bool {
        self.sqlite == self.mongodb
    }
}

/// How a migration ended.
#[derive(Debug)]
pub enum Outcome {
    /// Everything was compared. When a table differs, the marks are not done, and the next run begins anew.
    Compared(Vec<Compared>),
    /// All was migrated before, and nothing has changed in the files since.
    MovedBefore,
}

/// Copies what `services` keep in `data_dir` into the databases that `uri` names.
///
/// # Errors
/// One sentence for the person who started it: a file is missing, in use or none of ours; MongoDB cannot be used, is in
/// use, or holds something else.
pub async fn run(
    services: &[&'static Service],
    data_dir: &Path,
    uri: &SecretString,
    clock: &Clock,
    progress: &dyn Progress,
) -> Result<Outcome, String> {
    let mut sources = Vec::with_capacity(services.len());
    for service in services {
        sources.push(Part::open(service, data_dir)?);
    }
    let directory = secrets::read_or_create(data_dir, DIRECTORY_FILE)
        .map_err(|error| format!("{} cannot be written: {error}.", data_dir.display()))?;
    // Cheap, and its mistakes are the likely ones: before everything is read for the first time.
    let server = Server::connect(uri).await.map_err(in_mongodb)?;
    let rows: u64 = sources.iter().map(Part::rows).sum();
    progress.length(rows * 3);

    let mut parts = Vec::with_capacity(sources.len());
    for mut part in sources {
        part.read(progress).await?;
        let standing = part.standing(&server, directory.expose_secret()).await?;
        parts.push((part, standing));
    }
    if parts.iter().all(|(_, standing)| *standing == Standing::Done) {
        return Ok(Outcome::MovedBefore);
    }
    parts.retain(|(_, standing)| *standing != Standing::Done);
    for (part, standing) in &parts {
        part.begin(&server, *standing, directory.expose_secret(), clock)
            .await?;
    }
    for (part, standing) in &parts {
        part.copy(&server, *standing, progress).await?;
    }
    let mut compared = Vec::new();
    for (part, _) in &parts {
        compared.extend(part.compare(&server, progress).await?);
    }
    let same = compared.iter().all(Compared::is_same);
    for (part, _) in &parts {
        part.end(&server, same, clock).await?;
    }
    Ok(Outcome::Compared(compared))
}
