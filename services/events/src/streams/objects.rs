//! Where the bytes of segments are: in an object store, with those that were used lately in memory. An object is written once, whole,
//! under a name that is never used again.

use std::{fs, path::Path as Directory, sync::Arc, time::Duration};

use bytes::Bytes;
use common::{
    ids::{StreamId, new_id},
    settings::Bucket,
};
use futures_util::{StreamExt, TryStreamExt};
use moka::future::Cache;
use nix::sys::statvfs::statvfs;
use object_store::{
    ClientOptions, Error, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, aws::AmazonS3Builder,
    local::LocalFileSystem, path::Path, prefix::PrefixStore,
};
use secrecy::ExposeSecret;

/// Bytes of segments in memory: the live windows of some dozen streams.
const IN_MEMORY: u64 = 256 * 1024 * 1024;
/// What nobody has asked for this long leaves the memory.
const IDLE: Duration = Duration::from_secs(60);
/// How long a bucket's connection may take, and a whole request: a segment may have 20 MB.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(30);
/// How long a request that fails is tried again. An encoder waits for its answer, and gives up soon after.
const RETRY: Duration = Duration::from_secs(10);
/// Objects deleted at a time.
const AT_ONCE: usize = 16;

/// The objects. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    memory: Cache<String, Bytes>,
    room: Option<Room>,
}

/// What is left free on a disk.
#[derive(Clone)]
struct Room {
    directory: Arc<Directory>,
    keep_free: u64,
}

impl Room {
    /// # Errors
    /// When as much as is to stay free would not. Who cannot tell lets the write find out.
    async fn check(&self) -> Result<(), ObjectsError> {
        let directory = Arc::clone(&self.directory);
        let free = tokio::task::spawn_blocking(move || statvfs(&*directory)).await;
        match free {
            // Their widths differ from system to system.
            Ok(Ok(disk))
                if u128::from(disk.blocks_available()) * u128::from(disk.fragment_size())
                    <= u128::from(self.keep_free) =>
            {
                Err(ObjectsError::NoRoom)
            }
            _ => Ok(()),
        }
    }
}

/// The objects cannot be read or written now.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// Writing or deleting.
    #[error("the store of recordings failed: {0}")]
    Failed(#[from] Error),
    /// Reading.
    #[error("the store of recordings failed: {0}")]
    Read(Arc<Error>),
    /// The rest of the disk is for others.
    #[error("the disk has no room for recordings left")]
    NoRoom,
}

impl Objects {
    /// In files below a directory, which is made, as long as so many bytes stay free on its disk.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn in_directory(directory: &Directory, keep_free: u64) -> Result<Self, String> {
        let cannot = |why: &dyn std::fmt::Display| {
            format!("Recordings cannot be kept in {}: {why}.", directory.display())
        };
        fs::create_dir_all(directory).map_err(|error| cannot(&error))?;
        let store = LocalFileSystem::new_with_prefix(directory).map_err(|error| cannot(&error))?;
        // A name that was listed must hold what it held, after the power went too.
        let store = store.with_automatic_cleanup(true).with_fsync(true);
        let room = Room {
            directory: directory.into(),
            keep_free,
        };
        Ok(Self {
            room: Some(room).filter(|room| room.keep_free > 0),
            ..Self::new(Arc::new(store))
        })
    }

    /// In a bucket. Whether it is there is not asked: a store that is away for a while stops no start.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn in_bucket(bucket: &Bucket) -> Result<Self, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let is_plain = bucket
            .endpoint
            .as_ref()
            .is_some_and(|url| url.starts_with("http://"));
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            .with_timeout(REQUEST)
            .with_allow_http(is_plain);
        let retry = RetryConfig {
            retry_timeout: RETRY,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&bucket.name)
            .with_region(&bucket.region)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(key) = &bucket.key {
            builder = builder
                .with_access_key_id(&key.id)
                .with_secret_access_key(key.secret.expose_secret());
        }
        let store = builder.build().map_err(|error| {
            format!(
                "Recordings cannot be kept in the bucket {}: {error}.",
                bucket.name
            )
        })?;
        Ok(if bucket.prefix.is_empty() {
            Self::new(Arc::new(store))
        } else {
            Self::new(Arc::new(PrefixStore::new(store, bucket.prefix.as_str())))
        })
    }

    fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            memory: Cache::builder()
                .weigher(|_, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX))
                .max_capacity(IN_MEMORY)
                .time_to_idle(IDLE)
                .build(),
            room: None,
        }
    }

    /// Stores an object of a stream; gives its name.
    ///
    /// # Errors
    /// When it cannot be stored, or there is no room.
    pub async fn put(
        &self,
        stream: StreamId,
        kind: ObjectKind,
        bytes: Bytes,
    ) -> Result<String, ObjectsError> {
        if let Some(room) = &self.room {
            room.check().await?;
        }
        let name = format!("{}.{}", new_id().simple(), kind.suffix());
        self.store
            .put(&path(stream, &name), PutPayload::from_bytes(bytes.clone()))
            .await?;
        self.memory.insert(key(stream, &name), bytes).await;
        Ok(name)
    }

    /// An object of a stream; `None`: there is none of this name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn get(&self, stream: StreamId, name: &str) -> Result<Option<Bytes>, ObjectsError> {
        // All viewers ask for a new one at once: it is read once.
        let read = async { self.store.get(&path(stream, name)).await?.bytes().await };
        match self.memory.try_get_with(key(stream, name), read).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(*error, Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(ObjectsError::Read(error)),
        }
    }

    /// Deletes objects of a stream. Those that there are not do no harm.
    ///
    /// # Errors
    /// When one cannot be deleted.
    pub async fn delete(&self, stream: StreamId, names: Vec<String>) -> Result<(), ObjectsError> {
        let deleting = names.into_iter().map(|name| async move {
            self.memory.invalidate(&key(stream, &name)).await;
            match self.store.delete(&path(stream, &name)).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        });
        let deleting: Vec<_> = deleting.collect();
        futures_util::stream::iter(deleting)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Deletes all that is left of a stream: also what was stored and never listed, because a process died in between.
    ///
    /// # Errors
    /// When something cannot be deleted.
    pub async fn delete_all(&self, stream: StreamId) -> Result<(), ObjectsError> {
        let prefix = Path::from(stream.0.simple().to_string());
        let names: Vec<String> = self
            .store
            .list(Some(&prefix))
            .try_filter_map(async |object| Ok(object.location.filename().map(str::to_owned)))
            .try_collect()
            .await?;
        self.delete(stream, names).await
    }
}

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    /// MPEG-TS.
    Ts,
    /// A fragment of an MP4.
    Fragment,
    /// The initialization of a fragmented MP4.
    Init,
}

impl ObjectKind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Ts => "ts",
            Self::Fragment => "m4s",
            Self::Init => "mp4",
        }
    }

    /// The media type by the end of a name; `None`: no object has such a name.
    pub fn media_type(name: &str) -> Option<&'static str> {
        let (stem, suffix) = name.split_once('.')?;
        let is_ours = stem.len() == 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        match suffix {
            _ if !is_ours => None,
            "ts" => Some("video/mp2t"),
            "m4s" | "mp4" => Some("video/mp4"),
            _ => None,
        }
    }
}

fn key(stream: StreamId, name: &str) -> String {
    format!("{}/{name}", stream.0.simple())
}

fn path(stream: StreamId, name: &str) -> Path {
    // Both parts are ours: hexadecimal digits and a suffix.
    Path::from_iter([stream.0.simple().to_string().as_str(), name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn objects_are_whole_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let objects = || Objects::in_directory(directory.path(), 0).unwrap();
        let (stream, other) = (StreamId::new(), StreamId::new());
        let bytes = Bytes::from(vec![7; 100_000]);
        let name = objects()
            .put(stream, ObjectKind::Ts, bytes.clone())
            .await
            .unwrap();
        assert_eq!(ObjectKind::media_type(&name), Some("video/mp2t"));
        // Another process has it too, and no other stream.
        assert_eq!(objects().get(stream, &name).await.unwrap(), Some(bytes));
        assert_eq!(objects().get(other, &name).await.unwrap(), None);
        let left = objects();
        left.put(stream, ObjectKind::Init, Bytes::from_static(b"x"))
            .await
            .unwrap();
        left.delete(stream, vec![name.clone(), name.clone()])
            .await
            .unwrap();
        assert_eq!(left.get(stream, &name).await.unwrap(), None);
        left.delete_all(stream).await.unwrap();
        left.delete_all(stream).await.unwrap();
        let files = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(files, 0, "no folder is left");
    }

    #[tokio::test]
    async fn others_keep_their_part_of_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let put = async |keep_free| {
            let objects = Objects::in_directory(directory.path(), keep_free).unwrap();
            objects
                .put(StreamId::new(), ObjectKind::Ts, Bytes::from_static(b"x"))
                .await
        };
        put(1).await.unwrap();
        assert!(matches!(put(u64::MAX).await, Err(ObjectsError::NoRoom)));
        let kept = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(kept, 1, "nothing of it is there");
    }

    #[test]
    fn names_of_others_are_none() {
        for name in [
            "",
            "x.ts",
            "../x.ts",
            "a/b.ts",
            "0123456789abcdef0123456789abcdef.exe",
            ".ts",
            "\u{0907}.m4s",
        ] {
            assert_eq!(ObjectKind::media_type(name), None);
        }
    }
}
