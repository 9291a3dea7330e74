//! Transactions of a process that died: its documents stay locked until the server ends them, which by default takes a
//! minute (transactionLifetimeLimitSeconds). So every process notes the sessions it uses and that it is alive, and the
//! others end the sessions of one that has been silent. One that was only slow finds its transaction gone and runs it
//! again.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mongodb::{
    ClientSession, Database,
    bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype},
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Collection, DocumentExt, Tx, bounded, uuid};
use common::{ids::new_id, store::StoreError};

/// Part of every service's schema. The times are the server's.
pub(super) const SCHEMA: Collection = Collection {
    name: NAME,
    fields: &[("seen_at", "date?"), ("sessions", "array?")],
    check: None,
    indexes: &[super::Index::on(&[("seen_at", 1)])],
};
/// Its name: a document for each process that has sessions.
pub const NAME: &str = "processes";
/// How often a process reports that it is alive, and looks for those that are not.
pub const BEAT: Duration = Duration::from_secs(1);
/// After this much silence a process counts as dead.
const SILENCE_MILLIS: i64 = 4_000;
/// A process whose own beat is late ends no other's sessions: the server is slow, and the others are as silent.
const REGULAR_MILLIS: i64 = 2_000;
/// Dead processes cleaned up in one beat.
const AT_ONCE: usize = 100;

/// What a process has noted of itself. Cheap to clone; when the last is dropped, the beat ends.
#[derive(Clone)]
pub(super) struct Sessions(Arc<Inner>);

struct Inner {
    db: Database,
    process: Uuid,
    noted: Mutex<HashSet<Uuid>>,
    /// When the server last saw this process, in milliseconds.
    last: AtomicI64,
    /// Until when no process counts as dead, because the server's clock was set back.
    settling: AtomicI64,
}

impl Sessions {
    pub(super) fn start(db: Database) -> Self {
        let inner = Arc::new(Inner {
            db,
            process: new_id(),
            noted: Mutex::default(),
            last: AtomicI64::new(0),
            settling: AtomicI64::new(0),
        });
        let weak = Arc::downgrade(&inner);
        tokio::spawn(async move {
            loop {
                let Some(inner) = weak.upgrade() else { return };
                if let Err(error) = inner.beat().await {
                    tracing::debug!(%error, "this process could not say that it is alive");
                }
                drop(inner);
                tokio::time::sleep(BEAT).await;
            }
        });
        Self(inner)
    }

    /// Notes a session before its first use. The driver uses sessions again, so that they are few.
    pub(super) async fn note(&self, session: &ClientSession) -> Result<(), StoreError> {
        let id: Uuid = session.id().id("id")?;
        if self.0.noted.lock().contains(&id) {
            return Ok(());
        }
        let update = doc! {"$addToSet": {"sessions": uuid(id)}, "$currentDate": {"seen_at": true}};
        self.0
            .tx()
            .upsert(NAME, doc! {"_id": uuid(self.0.process)}, update)
            .await?;
        self.0.noted.lock().insert(id);
        Ok(())
    }
}

impl Inner {
    fn tx(&self) -> Tx {
        Tx::without_session(self.db.clone())
    }

    async fn beat(&self) -> Result<(), StoreError> {
        let mut tx = self.tx();
        let alive = doc! {"$currentDate": {"seen_at": true}};
        let me = doc! {"_id": uuid(self.process)};
        // The server's own clock is the one that counts; processes' clocks differ.
        let Some(seen) = tx
            .find_and_update(NAME, me.clone(), doc! {}, alive.clone())
            .await?
        else {
            // New, or taken for dead: whatever was noted is noted again before its next use.
            self.noted.lock().clear();
            return tx.upsert(NAME, me, alive).await.map(drop);
        };
        let seen = seen.time("seen_at")?.timestamp_millis();
        let since = seen - self.last.swap(seen, Ordering::Relaxed);
        if since < 0 {
            self.settling.store(seen + SILENCE_MILLIS, Ordering::Relaxed);
        }
        if since > REGULAR_MILLIS || seen < self.settling.load(Ordering::Relaxed) {
            return Ok(());
        }
        // A process last seen in the future has not been seen since the server's clock was set back.
        for silent in [
            doc! {"$lt": DateTime::from_millis(seen - SILENCE_MILLIS)},
            doc! {"$gt": DateTime::from_millis(seen + SILENCE_MILLIS)},
        ] {
            let silent = doc! {"seen_at": silent};
            for process in tx.find(NAME, silent, doc! {"seen_at": 1}, AT_ONCE).await? {
                self.bury(&mut tx, &process).await?;
            }
        }
        Ok(())
    }

    async fn bury(&self, tx: &mut Tx, process: &Document) -> Result<(), StoreError> {
        let sessions: Vec<Document> = process
            .get_array("sessions")
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .filter_map(|id| match id {
                Bson::Binary(Binary { bytes, .. }) => Some(Binary {
                    subtype: BinarySubtype::Uuid,
                    bytes: bytes.clone(),
                }),
                _ => None,
            })
            .map(|id| doc! {"id": id})
            .collect();
        if !sessions.is_empty() {
            bounded(self.db.run_command(doc! {"killSessions": sessions})).await?;
        }
        let gone =
            doc! {"_id": process.id::<Uuid>("_id").map(uuid)?, "seen_at": process.get("seen_at").cloned()};
        tx.delete(NAME, gone).await.map(drop)
    }
}
