//! Large things that outlive the stream, such as repositories' histories: a bucket of named objects.

use anyhow::Context;
use async_nats::jetstream::object_store::{
    Config, GetErrorKind, InfoErrorKind, ObjectInfo, ObjectMetadata, ObjectStore,
};
use futures::{Stream, StreamExt, future};
use tokio::io::AsyncReadExt;

use super::{Bus, connect};

/// One bucket of objects.
#[derive(Clone)]
pub struct Objects {
    store: ObjectStore,
    bucket: String,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// What its writer noted on it.
    pub note: String,
    /// Its length in bytes.
    pub bytes: usize,
}

impl Bus {
    /// The objects of `bucket`, which is made if it is not there.
    ///
    /// # Errors
    /// When the bucket can be neither found nor made.
    pub async fn objects(&self, bucket: &str) -> anyhow::Result<Objects> {
        let bucket = bucket.to_owned();
        let config = Config { bucket: bucket.clone(), num_replicas: self.replicas, ..Config::default() };
        let store = connect::objects(&self.jetstream, config).await?;
        Ok(Objects { store, bucket })
    }
}

impl Objects {
    /// Puts an object in the place of the one of that name.
    ///
    /// # Errors
    /// When the bucket is away.
    pub async fn put(&self, name: &str, note: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let about =
            ObjectMetadata { name: name.to_owned(), description: Some(note.to_owned()), ..ObjectMetadata::default() };
        let put = self.store.put(about, &mut &bytes[..]).await;
        put.map(|_| ()).with_context(|| format!("cannot put {name} into the bucket {}", self.bucket))
    }

    /// What is known of the object of that name; `None` when there is none.
    ///
    /// # Errors
    /// When the bucket is away.
    pub async fn look(&self, name: &str) -> anyhow::Result<Option<Stored>> {
        match self.store.info(name).await {
            Ok(info) => Ok(stored(info)),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot look for {name} in the bucket {}", self.bucket)),
        }
    }

    /// The bytes of the object of that name; `None` when there is none.
    ///
    /// # Errors
    /// When the bucket is away, or the object does not have the digest that it was stored with.
    pub async fn get(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let reading = || format!("cannot read {name} in the bucket {}", self.bucket);
        let mut object = match self.store.get(name).await {
            Ok(object) => object,
            Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(reading),
        };
        let mut bytes = Vec::with_capacity(object.info.size);
        object.read_to_end(&mut bytes).await.with_context(reading)?;
        Ok(Some(bytes))
    }

    /// Every object that is there.
    ///
    /// # Errors
    /// When the bucket is away.
    pub async fn list(&self) -> anyhow::Result<Vec<Stored>> {
        let listing = || format!("cannot list the bucket {}", self.bucket);
        let mut entries = self.store.list().await.with_context(listing)?;
        let mut all = Vec::new();
        while let Some(info) = entries.next().await {
            all.extend(stored(info.with_context(listing)?));
        }
        Ok(all)
    }

    /// Each object that is put from now on.
    ///
    /// # Errors
    /// When the bucket is away.
    pub async fn follow(&self) -> anyhow::Result<impl Stream<Item = anyhow::Result<Stored>> + Send + Unpin + use<>> {
        let following = format!("cannot follow the bucket {}", self.bucket);
        let entries = self.store.watch().await.context(following.clone())?;
        Ok(entries.filter_map(move |info| future::ready(info.context(following.clone()).map(stored).transpose())))
    }
}

/// `None` of an object that was taken away.
fn stored(info: ObjectInfo) -> Option<Stored> {
    (!info.deleted).then(|| Stored { name: info.name, note: info.description.unwrap_or_default(), bytes: info.size })
}
