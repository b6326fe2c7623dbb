//! Documents that every replica of a service follows, such as models: a key-value bucket that remembers earlier versions.

use anyhow::Context;
use async_nats::jetstream::kv::{Entry, Operation, Store};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use futures::{Stream, StreamExt};
use time::OffsetDateTime;

use super::Bus;

/// How many versions of a document are kept: the most that the server allows.
const VERSIONS_KEPT: i64 = 64;

/// One bucket of documents.
#[derive(Clone, Debug)]
pub struct Documents {
    store: Store,
}

/// One version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its number; later versions have higher ones, in all documents of the bucket.
    pub version: u64,
    /// When it was written.
    pub written_at: OffsetDateTime,
    /// What it says; `None` when this version took the document away.
    pub text: Option<String>,
}

/// A document as it is, or as it has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its name in the bucket.
    pub name: String,
    /// Its latest version.
    pub document: Document,
}

impl Bus {
    /// The documents of `bucket`, which is made if it is not there.
    ///
    /// # Errors
    /// When the bucket can be neither found nor made.
    pub async fn documents(&self, bucket: &str) -> anyhow::Result<Documents> {
        if let Ok(store) = self.jetstream.get_key_value(bucket).await {
            return Ok(Documents { store });
        }
        // The layout of a key-value bucket (NATS architecture decision record 8), written out: async-nats' own call first asks
        // for the account's limits, and does not understand what a server before 2.10 answers.
        let config = Config {
            name: format!("KV_{bucket}"),
            subjects: vec![format!("$KV.{bucket}.>")],
            max_messages_per_subject: VERSIONS_KEPT,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: self.replicas,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            ..Config::default()
        };
        let making = || format!("cannot make the bucket {bucket}");
        self.jetstream.get_or_create_stream(config).await.with_context(making)?;
        Ok(Documents { store: self.jetstream.get_key_value(bucket).await.with_context(making)? })
    }
}

impl Documents {
    /// Writes a new version of `name` and gives its number.
    ///
    /// # Errors
    /// When the bucket is away.
    pub async fn write(&self, name: &str, text: &str) -> anyhow::Result<u64> {
        let written = self.store.put(name, text.to_owned().into()).await;
        written.with_context(|| format!("cannot write {name} into the bucket {}", self.store.name))
    }

    /// Takes `name` away. Its earlier versions stay.
    ///
    /// # Errors
    /// When the bucket is away.
    pub async fn take_away(&self, name: &str) -> anyhow::Result<()> {
        let taken = self.store.delete(name).await;
        taken.with_context(|| format!("cannot take {name} out of the bucket {}", self.store.name))
    }

    /// Every version of `name` that is kept, the oldest first.
    ///
    /// # Errors
    /// When the bucket is away.
    pub async fn versions(&self, name: &str) -> anyhow::Result<Vec<Document>> {
        let reading = || format!("cannot read {name} in the bucket {}", self.store.name);
        let mut entries = self.store.history(name).await.with_context(reading)?;
        let mut versions = Vec::new();
        while let Some(entry) = entries.next().await {
            versions.push(document(&entry.with_context(reading)?));
        }
        Ok(versions)
    }

    /// Every document as it is, then each change as it comes.
    ///
    /// # Errors
    /// When the bucket is away.
    pub async fn follow(&self) -> anyhow::Result<impl Stream<Item = anyhow::Result<Followed>> + Send + Unpin + use<>> {
        let following = format!("cannot follow the bucket {}", self.store.name);
        // With what is there already; `watch_all` would tell only what comes.
        let entries = self.store.watch_with_history(">").await.context(following.clone())?;
        Ok(entries.map(move |entry| {
            let entry = entry.context(following.clone())?;
            Ok(Followed { name: entry.key.clone(), document: document(&entry) })
        }))
    }
}

fn document(entry: &Entry) -> Document {
    let text = (entry.operation == Operation::Put).then(|| String::from_utf8_lossy(&entry.value).into_owned());
    Document { version: entry.revision, written_at: entry.created, text }
}
