//! The tokens that were issued: a key-value bucket that every gateway follows, so that a revocation is felt within a second.
//!
//! The only place that knows where tokens lie. While that place is away, what it told last goes on.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use chassis::{Bus, Followed, Shutdown};
use proto::event::TOKENS_BUCKET;
use time::OffsetDateTime;

use super::token::{Record, Token};

/// Writes down a new token.
///
/// # Errors
/// When the record is not sound, or the bucket is away.
pub async fn issue(bus: &Bus, record: &Record) -> anyhow::Result<()> {
    record.check().map_err(anyhow::Error::msg)?;
    write(bus, record).await
}

/// Every token that was ever issued, those that are revoked included, by name and age.
///
/// # Errors
/// When the bucket is away.
pub async fn list(bus: &Bus) -> anyhow::Result<Vec<Record>> {
    let documents = bus.documents(TOKENS_BUCKET).await?;
    let mut records = Vec::new();
    for document in documents.all().await? {
        let Some(text) = &document.document.text else { continue };
        records
            .push(serde_json::from_str(text).with_context(|| format!("the token {} cannot be read", document.name))?);
    }
    records.sort_by(|a: &Record, b| (&a.name, a.created_at).cmp(&(&b.name, b.created_at)));
    Ok(records)
}

/// Revokes the token of that id, or all tokens of that name; gives those that were not revoked before.
///
/// # Errors
/// When there is none, or the bucket is away.
pub async fn revoke(bus: &Bus, named: &str, now: OffsetDateTime) -> anyhow::Result<Vec<Record>> {
    let mut revoked: Vec<Record> =
        list(bus).await?.into_iter().filter(|record| record.name == named || record.id() == named).collect();
    anyhow::ensure!(!revoked.is_empty(), "there is no token {named:?}: `token list` shows their names and ids");
    revoked.retain(|record| record.revoked_at.is_none());
    for record in &mut revoked {
        record.revoked_at = Some(now);
        write(bus, record).await?;
    }
    Ok(revoked)
}

async fn write(bus: &Bus, record: &Record) -> anyhow::Result<()> {
    let text = serde_json::to_string(record)?;
    bus.documents(TOKENS_BUCKET).await?.write(record.id(), &text).await.map(|_| ())
}

/// The tokens as they are now. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Issued {
    records: Arc<RwLock<HashMap<String, Arc<Record>>>>,
}

impl Issued {
    /// Reads what the bucket holds, so that the first call finds its token.
    ///
    /// # Errors
    /// When the bucket is away.
    pub(crate) async fn read(bus: &Bus) -> anyhow::Result<Self> {
        let issued = Self::default();
        for document in bus.documents(TOKENS_BUCKET).await?.all().await? {
            issued.take(&document);
        }
        Ok(issued)
    }

    /// Takes over each change until the process is to end.
    pub(crate) async fn follow(self, bus: Bus, shutdown: Shutdown) {
        let take = |change: Followed| {
            self.take(&change);
            std::future::ready(())
        };
        bus.follow_documents(TOKENS_BUCKET, &shutdown, take).await;
    }

    /// The record of `token`, whatever is to be said of it; `None` when it was never issued. It is found by its hash, so that how
    /// long the look takes tells nothing about other tokens.
    pub(crate) fn of(&self, token: &Token) -> Option<Arc<Record>> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        records.get(&token.hash()).cloned()
    }

    fn take(&self, change: &Followed) {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let read = change.document.text.as_deref().map(serde_json::from_str::<Record>);
        // Whatever cannot be read permits nothing, and takes away what stood there.
        records.retain(|_, record| record.id() != change.name);
        match read {
            Some(Ok(record)) if record.id() == change.name && record.check().is_ok() => {
                records.insert(record.sha256.clone(), Arc::new(record));
            }
            Some(_) => tracing::error!("the token {} in the bucket cannot be used: it permits nothing", change.name),
            None => {}
        }
    }
}
