//! The models that are published to every replica: the champion, which scores, and a candidate in its shadow, whose scores
//! are stored and never used.
//!
//! The only place that knows where published models lie. When that place is away, the last models go on.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use chassis::bus::stood_before;
use chassis::{Bus, Document, Documents, Followed, Shutdown};
use proto::event::MODELS_BUCKET;

use crate::model::Model;
use crate::watched;

/// What a published model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It scores.
    Champion,
    /// It is tried beside the champion.
    Shadow,
}

impl Role {
    /// Its document's name in the bucket.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Shadow => "shadow",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Champion, Self::Shadow].into_iter().find(|role| role.name() == name)
    }
}

/// The models that score right now. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Models {
    /// Scores while no champion is published.
    own: Arc<Model>,
    now: Arc<RwLock<Now>>,
}

/// One consistent pair of models.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    pub(crate) champion: Arc<Model>,
    pub(crate) shadow: Option<Arc<Model>>,
}

impl Models {
    /// `own` alone.
    pub(crate) fn new(own: Model) -> Self {
        let own = Arc::new(own);
        let now = Now { champion: Arc::clone(&own), shadow: None };
        Self { own, now: Arc::new(RwLock::new(now)) }
    }

    /// The models that score right now.
    pub(crate) fn now(&self) -> Now {
        // A writer only assigns: what it leaves is whole whatever happened to it.
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what is published until the process is to end.
    pub(crate) async fn follow(self, bus: Bus, shutdown: Shutdown) {
        let take = |change: Followed| {
            self.take(&change);
            std::future::ready(())
        };
        bus.follow_documents(MODELS_BUCKET, &shutdown, take).await;
    }

    /// Takes over one change. A model that cannot be used changes nothing: it was written past `failsafe model publish`, or
    /// by a newer version.
    fn take(&self, change: &Followed) {
        let Some(role) = Role::of(&change.name) else { return };
        let model = match change.document.text.as_deref().map(Model::parse).transpose() {
            Ok(model) => model.map(Arc::new),
            Err(error) => {
                let version = change.document.version;
                tracing::error!(version, "the published {} cannot be used, the last goes on: {error:#}", role.name());
                return;
            }
        };
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        match role {
            Role::Champion => {
                let champion = model.unwrap_or_else(|| Arc::clone(&self.own));
                if champion.basis() != now.champion.basis() {
                    tracing::info!(model = champion.basis(), "scoring with {} from now on", champion.basis());
                    watched::show(role.name(), Some(&now.champion), Some(&champion));
                }
                now.champion = champion;
            }
            Role::Shadow => {
                let name = model.as_ref().map_or("no model", |model| model.basis());
                tracing::info!("{name} scores in the champion's shadow from now on");
                watched::show(role.name(), now.shadow.as_deref(), model.as_deref());
                now.shadow = model;
            }
        }
    }
}

/// One version of a published model.
#[derive(Clone, Debug)]
pub struct Published {
    /// The version in the bucket.
    pub document: Document,
    /// The model; an error when it cannot be used here; `None` when this version took the model away.
    pub model: Option<Result<Model, String>>,
}

/// Publishes `model` to every replica and gives its version in the bucket.
///
/// # Errors
/// When the bucket is away.
pub async fn publish(bus: &Bus, role: Role, model: &Model) -> anyhow::Result<u64> {
    bus.documents(MODELS_BUCKET).await?.write(role.name(), &model.to_json()).await
}

/// Takes the published model of that role away: the replicas go back to their own champion, or to no shadow.
///
/// # Errors
/// When the bucket is away.
pub async fn withdraw(bus: &Bus, role: Role) -> anyhow::Result<()> {
    bus.documents(MODELS_BUCKET).await?.take_away(role.name()).await
}

/// Every version of that role that is kept, the oldest first.
///
/// # Errors
/// When the bucket is away.
pub async fn versions(bus: &Bus, role: Role) -> anyhow::Result<Vec<Published>> {
    read(&bus.documents(MODELS_BUCKET).await?, role).await
}

async fn read(documents: &Documents, role: Role) -> anyhow::Result<Vec<Published>> {
    let versions = documents.versions(role.name()).await?;
    let parse = |text: &str| Model::parse(text).map_err(|error| format!("{error:#}"));
    Ok(versions
        .into_iter()
        .map(|document| Published { model: document.text.as_deref().map(parse), document })
        .collect())
}

/// Publishes once more the champion that stood before the current one, and gives it; `None` when none did, and the replicas
/// go back to their own. Done twice it goes back twice.
///
/// # Errors
/// When no champion is published, or the bucket is away.
pub async fn roll_back(bus: &Bus) -> anyhow::Result<Option<Model>> {
    let documents = bus.documents(MODELS_BUCKET).await?;
    let versions = documents.versions(Role::Champion.name()).await?;
    let is_usable = |text: &str| Model::parse(text).is_ok();
    match stood_before(&versions, is_usable).context("no model is published: the replicas score with their own")? {
        Some(text) => {
            documents.write(Role::Champion.name(), text).await?;
            Ok(Some(Model::parse(text)?))
        }
        None => {
            documents.take_away(Role::Champion.name()).await?;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn model(version: &str) -> Model {
        let mut file = Model::shipped().file().clone();
        file.version = version.to_owned();
        Model::new(file).unwrap()
    }

    fn change(name: &str, text: Option<String>) -> Followed {
        let document = Document { version: 1, written_at: OffsetDateTime::UNIX_EPOCH, text };
        Followed { name: name.to_owned(), document }
    }

    #[test]
    fn what_is_published_is_taken_over_and_what_cannot_be_used_is_not() {
        let models = Models::new(Model::shipped());
        let version = |models: &Models| models.now().champion.file().version.clone();
        models.take(&change("champion", Some(model("two").to_json())));
        models.take(&change("shadow", Some(model("three").to_json())));
        assert_eq!(version(&models), "two");
        assert_eq!(models.now().shadow.unwrap().file().version, "three");

        models.take(&change("champion", Some("nonsense".to_owned())));
        models.take(&change("somebody", Some(model("four").to_json())));
        assert_eq!(version(&models), "two");

        models.take(&change("champion", None));
        models.take(&change("shadow", None));
        assert_eq!(version(&models), Model::shipped().file().version);
        assert!(models.now().shadow.is_none());
    }
}
