//! The policies that are published to every replica: the active one, which decides, and a candidate in its shadow, whose verdicts
//! are stored and never acted on.
//!
//! The only place that knows where published policies lie. When that place is away, the last policies go on.

use anyhow::Context;
use chassis::bus::stood_before;
use chassis::{Bus, Document, Followed, Shutdown};
use proto::event::POLICIES_BUCKET;

use crate::SERVICE;
use crate::policy::{Mistakes, Policy};
use crate::store::Store;

/// What a published policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    Active,
    /// It is tried beside the active one.
    Shadow,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Active, Self::Shadow];

    /// Its document's name in the bucket.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Shadow => "shadow",
        }
    }
}

/// One version of a published policy.
#[derive(Clone, Debug)]
pub struct Published {
    /// The version in the bucket.
    pub document: Document,
    /// The policy; what is wrong with it when it cannot be used here; `None` when this version took the policy away.
    pub policy: Option<Result<Policy, Mistakes>>,
}

/// Publishes `policy` to every replica and gives its version in the bucket.
///
/// # Errors
/// When the bucket is away.
pub async fn publish(bus: &Bus, role: Role, policy: &Policy) -> anyhow::Result<u64> {
    bus.documents(POLICIES_BUCKET).await?.write(role.name(), policy.text()).await
}

/// Takes the published policy of that role away: the replicas go back to their own, or to no shadow.
///
/// # Errors
/// When the bucket is away.
pub async fn withdraw(bus: &Bus, role: Role) -> anyhow::Result<()> {
    bus.documents(POLICIES_BUCKET).await?.take_away(role.name()).await
}

/// Every version of that role that is kept, the oldest first.
///
/// # Errors
/// When the bucket is away.
pub async fn versions(bus: &Bus, role: Role) -> anyhow::Result<Vec<Published>> {
    let versions = bus.documents(POLICIES_BUCKET).await?.versions(role.name()).await?;
    let read = |document: Document| Published { policy: document.text.as_deref().map(Policy::parse), document };
    Ok(versions.into_iter().map(read).collect())
}

/// Publishes once more the active policy that stood before the current one, and gives it; `None` when none did, and the replicas go
/// back to their own. Done twice it goes back twice.
///
/// # Errors
/// When no policy is published, or the bucket is away.
pub async fn roll_back(bus: &Bus) -> anyhow::Result<Option<Policy>> {
    let documents = bus.documents(POLICIES_BUCKET).await?;
    let versions = documents.versions(Role::Active.name()).await?;
    let is_usable = |text: &str| Policy::parse(text).is_ok();
    match stood_before(&versions, is_usable).context("no policy is published: the replicas decide by their own")? {
        Some(text) => {
            documents.write(Role::Active.name(), text).await?;
            Ok(Some(Policy::parse(text)?))
        }
        None => {
            documents.take_away(Role::Active.name()).await?;
            Ok(None)
        }
    }
}

/// Has `store` decide by what is published, before the first verdict. A policy that cannot be used (it was written past `failsafe
/// policy publish`, or by a newer version) never replaces a good one: the latest that can be used decides.
pub(crate) async fn begin(bus: &Bus, store: &Store) -> anyhow::Result<()> {
    for role in Role::ALL {
        let mut versions = versions(bus, role).await?;
        while let Some(latest) = versions.pop() {
            match latest.policy {
                None => break,
                Some(Ok(policy)) => {
                    put(store, role, Some(policy)).await?;
                    break;
                }
                Some(Err(mistakes)) => unusable(role, latest.document.version, &mistakes),
            }
        }
    }
    Ok(())
}

/// Takes over what is published until the process is to end. `own` decides while nothing is.
pub(crate) async fn follow(bus: &Bus, store: &Store, own: &Policy, shutdown: &Shutdown) {
    let take = |change: Followed| async move {
        let Some(role) = Role::ALL.into_iter().find(|role| role.name() == change.name) else { return };
        let policy = match change.document.text.as_deref().map(Policy::parse).transpose() {
            Ok(policy) => policy,
            Err(mistakes) => return unusable(role, change.document.version, &mistakes),
        };
        let policy = if role == Role::Active { Some(policy.unwrap_or_else(|| own.clone())) } else { policy };
        while let Err(error) = put(store, role, policy.clone()).await {
            tracing::warn!(service = SERVICE, "cannot store the published policy, trying again: {error:#}");
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
                () = shutdown.called() => return,
            }
        }
    };
    bus.follow_documents(POLICIES_BUCKET, shutdown, take).await;
}

fn unusable(role: Role, version: u64, mistakes: &Mistakes) {
    tracing::error!(
        service = SERVICE,
        version,
        "the published {} policy cannot be used, the last goes on: {mistakes}",
        role.name()
    );
}

async fn put(store: &Store, role: Role, policy: Option<Policy>) -> anyhow::Result<()> {
    match (role, policy) {
        (Role::Active, Some(policy)) => {
            if policy != store.policy() {
                let stamp = policy.stamp();
                tracing::info!(
                    service = SERVICE,
                    policy = stamp.version,
                    digest = stamp.digest,
                    "deciding by policy {} from now on",
                    stamp.version
                );
                store.decide_by(policy).await?;
            }
        }
        (Role::Active, None) => {}
        (Role::Shadow, policy) => store.shadow_by(policy).await?,
    }
    Ok(())
}
