//! Documents that every replica of a service follows, such as models: a key-value bucket that remembers earlier versions.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::kv::{Entry, Operation, Store};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use futures::{Stream, StreamExt};
use time::OffsetDateTime;

use super::Bus;
use super::connect::made;
use crate::Shutdown;

/// How long to wait before a bucket is followed anew after it was away.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
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
        let store = made(|| async {
            if let Ok(store) = self.jetstream.get_key_value(bucket).await {
                return Ok(store);
            }
            let making = || format!("cannot make the bucket {bucket}");
            self.jetstream.get_or_create_stream(config.clone()).await.with_context(making)?;
            self.jetstream.get_key_value(bucket).await.with_context(making)
        })
        .await?;
        Ok(Documents { store })
    }

    /// Tells `take` every document of `bucket` as it is, then each change as it comes, until the process is to end. While the
    /// bucket is away nothing is told, and what was told last goes on.
    pub async fn follow_documents<F: Future<Output = ()> + Send>(
        &self,
        bucket: &str,
        shutdown: &Shutdown,
        mut take: impl FnMut(Followed) -> F + Send,
    ) {
        loop {
            let following = async {
                let mut changes = self.documents(bucket).await?.follow().await?;
                while let Some(change) = changes.next().await {
                    take(change?).await;
                }
                anyhow::Ok(())
            };
            tokio::select! {
                () = shutdown.called() => return,
                ended = following => {
                    let why = ended.err().map_or_else(|| "the subscription ended".to_owned(), |error| format!("{error:#}"));
                    tracing::warn!("the bucket {bucket} is out of reach, what it told last goes on: {why}");
                }
            }
            tokio::select! {
                () = shutdown.called() => return,
                () = tokio::time::sleep(AGAIN_AFTER) => {}
            }
        }
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

    /// Every document as it is now, those that were taken away left out.
    ///
    /// # Errors
    /// When the bucket is away.
    pub async fn all(&self) -> anyhow::Result<Vec<Followed>> {
        let reading = || format!("cannot read the bucket {}", self.store.name);
        let mut names = self.store.keys().await.with_context(reading)?;
        let mut all = Vec::new();
        while let Some(name) = names.next().await {
            let name = name.with_context(reading)?;
            if let Some(entry) = self.store.entry(&name).await.with_context(reading)? {
                all.push(Followed { document: document(&entry), name });
            }
        }
        Ok(all)
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

/// What stood before the latest of `versions` was first written: what came between was rolled back from. Versions that are not
/// usable are passed over. `None` when nothing is written now, `Some(None)` when nothing stood before.
#[must_use]
pub fn stood_before(versions: &[Document], is_usable: impl Fn(&str) -> bool) -> Option<Option<&str>> {
    let current = versions.last()?.text.as_deref()?;
    let first = versions.iter().position(|version| version.text.as_deref() == Some(current))?;
    let stood = versions[..first].iter().rev().find(|version| version.text.as_deref().is_none_or(&is_usable));
    Some(stood.and_then(|version| version.text.as_deref()))
}

fn document(entry: &Entry) -> Document {
    let text = (entry.operation == Operation::Put).then(|| String::from_utf8_lossy(&entry.value).into_owned());
    Document { version: entry.revision, written_at: entry.created, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolling_back_goes_back_step_by_step() {
        let written = |text: Option<&str>| Document {
            version: 1,
            written_at: OffsetDateTime::UNIX_EPOCH,
            text: text.map(str::to_owned),
        };
        let before = |texts: &[Option<&str>]| {
            let versions: Vec<Document> = texts.iter().map(|text| written(*text)).collect();
            stood_before(&versions, |text| text != "unusable").map(|text| text.map(str::to_owned))
        };
        let of = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(before(&[Some("a"), Some("b"), Some("c")]), of("b"));
        assert_eq!(before(&[Some("a"), Some("b"), Some("c"), Some("b")]), of("a"));
        assert_eq!(before(&[Some("a"), Some("b"), Some("c"), Some("b"), Some("a")]), Some(None));
        assert_eq!(before(&[Some("a"), None]), None);
        assert_eq!(before(&[]), None);
        // It stood behind b before; what was rolled back from in between does not count.
        assert_eq!(before(&[Some("a"), Some("b"), Some("c"), Some("b"), Some("a"), None, Some("c")]), of("b"));
        assert_eq!(before(&[Some("a"), Some("b"), Some("unusable"), Some("c")]), of("b"));
    }
}
