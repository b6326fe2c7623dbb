//! Large diffs, in the object store under their digest.

use anyhow::{Context, anyhow};
use domain::{DiffDigest, DiffReference};
use tokio::io::AsyncReadExt;

use super::{Bus, Failure};

impl Bus {
    /// Puts `diff` into the object store, once, and gives the object's name: its SHA-256.
    ///
    /// # Errors
    /// `Retry` when the store is away.
    pub async fn store_diff(&self, diff: &str) -> Result<String, Failure> {
        let digest = DiffDigest::of(diff);
        let known = self.diffs.info(digest.sha256.as_str()).await;
        if !known.is_ok_and(|info| info.size as u64 == digest.bytes && !info.deleted) {
            let stored = self.diffs.put(digest.sha256.as_str(), &mut diff.as_bytes()).await;
            stored.context("cannot put the diff into the object store").map_err(Failure::Retry)?;
        }
        Ok(digest.sha256)
    }

    /// The text of a diff, from where it lies, held against its digest.
    ///
    /// # Errors
    /// `Retry` when the store is away, `Reject` when the object is not there or holds something else.
    pub async fn load_diff(&self, diff: &DiffReference, digest: &DiffDigest) -> Result<String, Failure> {
        let text = match diff {
            DiffReference::Inline(text) => text.clone(),
            DiffReference::Stored { object } => Box::pin(self.read_object(object, digest.bytes)).await?,
        };
        if DiffDigest::of(&text) == *digest {
            Ok(text)
        } else {
            Err(Failure::Reject(anyhow!("the diff is not the one whose digest was given ({})", digest.sha256)))
        }
    }

    async fn read_object(&self, name: &str, bytes: u64) -> Result<String, Failure> {
        use async_nats::jetstream::object_store::GetErrorKind;
        let mut object = self.diffs.get(name).await.map_err(|error| match error.kind() {
            GetErrorKind::NotFound | GetErrorKind::InvalidName => {
                Failure::Reject(anyhow!("the object store holds no diff named {name:?}"))
            }
            _ => Failure::Retry(anyhow::Error::new(error).context("cannot read the object store")),
        })?;
        if object.info.size as u64 != bytes {
            let size = object.info.size;
            return Err(Failure::Reject(anyhow!("the stored diff has {size} bytes, not the {bytes} that were given")));
        }
        let mut read = Vec::with_capacity(object.info.size);
        object.read_to_end(&mut read).await.context("cannot read the object store").map_err(Failure::Retry)?;
        String::from_utf8(read).context("the stored diff is not UTF-8").map_err(Failure::Reject)
    }
}
