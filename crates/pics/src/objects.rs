//! Where the bytes are: a local folder, or S3. A content's objects stand under its id: `clean`, `400`, `1600`.

use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _};
use service::secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::Config;

/// S3 wants parts of at least this many bytes; what is shorter is put at once.
const PART: usize = 5 << 20;
/// How many objects are written at once: each holds a part in memory.
const WRITES: usize = 4;

/// The picture itself among a content's objects. Views are named after their side.
pub const CLEAN: &str = "clean";

/// Why objects cannot be kept or read. The words are for the log.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// The configuration names no place.
    #[error("pics.objects must be s3://bucket/prefix, or be left out for a folder of this machine")]
    Place,
    /// The place says no, or nothing.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// The file to be kept.
    #[error("a file cannot be read or its object not be written: {0}")]
    File(#[from] std::io::Error),
}

/// Objects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    writes: Arc<Semaphore>,
}

/// A part of an object, as it is read.
pub struct Read {
    /// The bytes.
    pub stream: BoxStream<'static, object_store::Result<Bytes>>,
    /// Which of them.
    pub range: Range<u64>,
    /// How many there are in all.
    pub length: u64,
}

impl Objects {
    /// As configured; where nothing is, in `folder`.
    pub fn open(config: &Config, folder: &FilePath) -> Result<Self, ObjectsError> {
        let Some(place) = &config.objects else {
            std::fs::create_dir_all(folder)?;
            return Ok(Self::over(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)));
        };
        let (bucket, prefix) = bucket_of(place).ok_or(ObjectsError::Place)?;
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_region(&config.s3_region);
        if let Some(endpoint) = &config.s3_endpoint {
            builder = builder
                .with_endpoint(endpoint.as_str().trim_end_matches('/'))
                .with_allow_http(endpoint.scheme() == "http");
        }
        if let Some(key) = &config.s3_access_key {
            builder = builder.with_access_key_id(key.expose_secret());
        }
        if let Some(key) = &config.s3_secret_key {
            builder = builder.with_secret_access_key(key.expose_secret());
        }
        Ok(Self::over(PrefixStore::new(builder.build()?, prefix)))
    }

    fn over(store: impl ObjectStore) -> Self {
        Self { store: Arc::new(store), writes: Arc::new(Semaphore::new(WRITES)) }
    }

    /// Keeps a file as an object of `key`. It is there as a whole when this returns, and not at all before.
    pub async fn put(&self, key: Uuid, name: &str, file: &FilePath) -> Result<(), ObjectsError> {
        let _turn = self.writes.acquire().await;
        let mut file = tokio::fs::File::open(file).await?;
        let mut writer = BufWriter::with_capacity(Arc::clone(&self.store), path(key, name), PART);
        let mut piece = vec![0; 256 << 10];
        let written = async {
            loop {
                let came = file.read(&mut piece).await?;
                if came == 0 {
                    break;
                }
                writer.write_all(&piece[..came]).await?;
            }
            writer.shutdown().await
        };
        if let Err(error) = written.await {
            // What was put of it is of no use to anybody.
            let _ = writer.abort().await;
            return Err(error.into());
        }
        Ok(())
    }

    /// An object or a part of it; `None` if there is none.
    pub async fn get(
        &self,
        key: Uuid,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Read>, ObjectsError> {
        let options = GetOptions { range: range.map(Into::into), ..GetOptions::default() };
        match self.store.get_opts(&path(key, name), options).await {
            Ok(found) => {
                let (length, range) = (found.meta.size, found.range.clone());
                Ok(Some(Read { stream: found.into_stream(), range, length }))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes every object of `key` away. There may be none.
    pub async fn delete(&self, key: Uuid) -> Result<(), ObjectsError> {
        let prefix = Path::from(key.simple().to_string());
        let mut found = self.store.list(Some(&prefix));
        while let Some(object) = found.next().await {
            match self.store.delete(&object?.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether the picture of `key` is there.
    pub async fn has(&self, key: Uuid) -> Result<bool, ObjectsError> {
        match self.store.head(&path(key, CLEAN)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Every object: the key it stands under, and when it was made (microseconds since 1970). What stands under no key is
    /// not ours.
    pub fn all(&self) -> BoxStream<'static, Result<(Uuid, i64), ObjectsError>> {
        let ours = |object: object_store::Result<object_store::ObjectMeta>| async move {
            match object {
                Ok(object) => {
                    let key = object.location.parts().next()?.as_ref().parse().ok()?;
                    Some(Ok((key, object.last_modified.timestamp_micros())))
                }
                Err(error) => Some(Err(error.into())),
            }
        };
        self.store.list(None).filter_map(ours).boxed()
    }

    /// Whether the place answers.
    pub async fn ping(&self) -> Result<(), ObjectsError> {
        self.has(Uuid::nil()).await.map(drop)
    }
}

fn path(key: Uuid, name: &str) -> Path {
    Path::from(format!("{}/{name}", key.simple()))
}

fn bucket_of(place: &str) -> Option<(&str, &str)> {
    let rest = place.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (!bucket.is_empty()).then_some((bucket, prefix.trim_matches('/')))
}
