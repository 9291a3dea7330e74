//! One service's share of a migration.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use mongodb::bson::Document;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{Compared, Progress};
use crate::{
    digest::Digest,
    source::Source,
    table::{Service, Table},
    target::{Server, Target},
};
use common::{clock::Clock, store::StoreError};
use mongo_store::{Collection, mark::Mark};

/// Documents written in one go: few round trips, and far below the size of a message.
const BATCH: usize = 500;

/// How long a database that was emptied must stay so: the server carries out what a dead process sent within moments.
const QUIET: Duration = Duration::from_secs(2);

/// What a database holds of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing.
    Nothing,
    /// Some of it.
    Some,
    /// Some of what the file held before it was changed.
    Outdated,
    /// All.
    Done,
}

pub(super) struct Part {
    service: &'static Service,
    source: Source,
    path: PathBuf,
    rows: u64,
    /// What each table holds, in the order of the service's tables.
    held: Vec<Digest>,
}

pub(super) fn in_mongodb(error: StoreError) -> String {
    format!("MongoDB (MONGODB_URI): {error}.")
}

impl Part {
    /// Locks the file.
    pub(super) fn open(service: &'static Service, data_dir: &Path) -> Result<Self, String> {
        let path = data_dir.join(format!("{}.db", service.name));
        let expected = service
            .tables
            .iter()
            .map(|table| table.name)
            .chain(service.left.iter().map(|(name, _)| *name));
        let source = Source::open(&path, service.migrations.len(), expected)?;
        let mut part = Self {
            service,
            source,
            path,
            rows: 0,
            held: Vec::new(),
        };
        for table in service.tables {
            part.rows += part
                .source
                .count(table.name)
                .map_err(|error| part.in_sqlite(error))?;
        }
        Ok(part)
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    fn in_sqlite(&self, error: StoreError) -> String {
        format!("{}: {error}.", self.path.display())
    }

    fn name(&self, table: &Table) -> String {
        format!("{}.{}", self.service.name, table.name)
    }

    /// Takes the checksums of the file.
    pub(super) async fn read(&mut self, progress: &dyn Progress) -> Result<(), String> {
        let mut rows = 0;
        for table in self.service.tables {
            progress.doing(&format!("reading {}", self.name(table)));
            let (mut documents, mut digest) = (self.documents(table)?, Digest::default());
            while let Some(batch) = documents.recv().await {
                let batch = batch.map_err(|error| self.in_sqlite(error))?;
                for document in &batch {
                    digest.add(document).map_err(|error| self.in_sqlite(error))?;
                }
                progress.advance(batch.len() as u64);
            }
            rows += digest.count();
            self.held.push(digest);
        }
        if rows != self.rows {
            return Err(self.in_sqlite(StoreError::Corrupt(format!(
                "{rows} rows instead of {}",
                self.rows
            ))));
        }
        Ok(())
    }

    /// The rows of a table as documents, some at a time.
    fn documents(
        &self,
        table: &'static Table,
    ) -> Result<mpsc::Receiver<Result<Vec<Document>, StoreError>>, String> {
        let collection = self.collection(table)?;
        let (sender, receiver) = mpsc::channel(2);
        let source = self.source.clone();
        tokio::task::spawn_blocking(move || {
            let mut batch = Vec::with_capacity(BATCH);
            let read = source.each(&table.query(collection), |row| {
                batch.push(table.document(collection, row)?);
                if batch.len() < BATCH {
                    return Ok(true);
                }
                // The receiver may have met an error and gone.
                Ok(sender.blocking_send(Ok(std::mem::take(&mut batch))).is_ok())
            });
            let _ = sender.blocking_send(read.map(|()| batch));
        });
        Ok(receiver)
    }

    fn collection(&self, table: &Table) -> Result<&'static Collection, String> {
        let mut all = self.service.collections.iter();
        all.find(|collection| collection.name == table.name)
            .ok_or_else(|| format!("there is no collection {}.", self.name(table)))
    }

    /// Names all that the file holds.
    fn content(&self) -> String {
        let mut hash = Sha256::new();
        for (table, held) in self.service.tables.iter().zip(&self.held) {
            hash.update(format!("{} {} {held}\n", table.name, held.count()));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn target(&self, server: &Server) -> Target {
        server.target(self.service.name)
    }

    /// Looks what is there, and refuses the data of anything else.
    pub(super) async fn standing(&self, server: &Server, directory: &str) -> Result<Standing, String> {
        let target = self.target(server);
        let Some(mark) = target.mark().await.map_err(in_mongodb)? else {
            return match target.anything().await.map_err(in_mongodb)? {
                None => Ok(Standing::Nothing),
                Some(collection) => Err(format!(
                    "{}.{collection} in MongoDB already holds data that did not come from this data directory. Nothing \
                     was changed. Name another database in MONGODB_URI.",
                    target.name()
                )),
            };
        };
        if mark.directory != directory {
            return Err(format!(
                "{} in MongoDB holds what was migrated from another data directory. Nothing was changed. Name another \
                 database in MONGODB_URI.",
                target.name()
            ));
        }
        match (mark.done_at, mark.content == self.content()) {
            (Some(_), true) => Ok(Standing::Done),
            (None, true) => Ok(Standing::Some),
            (None, false) => Ok(Standing::Outdated),
            (Some(at), false) => Err(format!(
                "{} was migrated to {} in MongoDB at {}, and one of the two has been used since in a way that the other \
                 does not know: the file has changed. Nothing was changed. To migrate it as it is now, name another \
                 database in MONGODB_URI.",
                self.path.display(),
                target.name(),
                common::time::utc(at)
            )),
        }
    }

    /// Marks the database, and makes it ready to be copied to.
    pub(super) async fn begin(
        &self,
        server: &Server,
        standing: Standing,
        directory: &str,
        clock: &Clock,
    ) -> Result<(), String> {
        let target = self.target(server);
        let mark = Mark {
            directory: directory.to_owned(),
            content: self.content(),
            begun_at: clock.now(),
            done_at: None,
        };
        let begun = async {
            match standing {
                Standing::Nothing => {
                    target.begin(&mark).await?;
                    if target.is_used().await? {
                        target.forget().await?;
                        return Ok(false);
                    }
                }
                Standing::Outdated => {
                    // The mark last: killed in between, this begins again.
                    // What the killed run had sent may still arrive; when it stays empty, nothing is under way.
                    loop {
                        target.empty(self.service.collections).await?;
                        tokio::time::sleep(QUIET).await;
                        if target.anything().await?.is_none() {
                            break;
                        }
                    }
                    target.renew(&mark).await?;
                }
                Standing::Some | Standing::Done => {}
            }
            target.ensure(self.service.collections).await?;
            Ok(true)
        };
        match begun.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!(
                "a system runs on {} in MongoDB; stop it first.",
                target.name()
            )),
            Err(error) => Err(in_mongodb(error)),
        }
    }

    /// Adds what is not there yet.
    pub(super) async fn copy(
        &self,
        server: &Server,
        standing: Standing,
        progress: &dyn Progress,
    ) -> Result<(), String> {
        let looks = standing == Standing::Some;
        let target = self.target(server);
        for table in self.service.tables {
            progress.doing(&format!("copying {}", self.name(table)));
            let in_table = |error: StoreError| format!("{} in MongoDB: {error}.", self.name(table));
            let mut documents = self.documents(table)?;
            while let Some(batch) = documents.recv().await {
                let batch = batch.map_err(|error| self.in_sqlite(error))?;
                let rows = batch.len() as u64;
                target.add(table.name, batch, looks).await.map_err(in_table)?;
                progress.advance(rows);
            }
        }
        Ok(())
    }

    /// Reads the database, and compares it with the file.
    pub(super) async fn compare(
        &self,
        server: &Server,
        progress: &dyn Progress,
    ) -> Result<Vec<Compared>, String> {
        let target = self.target(server);
        let mut compared = Vec::with_capacity(self.held.len());
        for (table, held) in self.service.tables.iter().zip(&self.held) {
            progress.doing(&format!("comparing {}", self.name(table)));
            let mut digest = Digest::default();
            let read = target.each(table.name, |document| {
                progress.advance(1);
                digest.add(&document)
            });
            read.await
                .map_err(|error| format!("{} in MongoDB: {error}.", self.name(table)))?;
            compared.push(Compared {
                table: self.name(table),
                sqlite: held.clone(),
                mongodb: digest,
            });
        }
        Ok(compared)
    }

    /// Notes that all is there, or that it must be done again.
    pub(super) async fn end(&self, server: &Server, same: bool, clock: &Clock) -> Result<(), String> {
        let target = self.target(server);
        let ended = if same {
            target.done(clock.now()).await
        } else {
            target.spoil().await
        };
        ended.map_err(in_mongodb)
    }
}
