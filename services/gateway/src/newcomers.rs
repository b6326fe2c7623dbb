//! Who comes: every deployment as it is accepted, so that whoever watches an older one of the same pull request hears of it at
//! once. Read only while somebody watches.

use std::sync::Arc;

use chassis::Bus;
use domain::{Deployment, DeploymentId, PullRequest, Repository};
use futures::StreamExt;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio::sync::broadcast::{self, Receiver, WeakSender};

/// How many may come while a watcher does not look; one that missed some asks the audit trail.
const UNSEEN_MAX: usize = 1_024;

/// A deployment among those of its pull request.
#[derive(Clone, Debug)]
pub(crate) struct Newcomer {
    pub(crate) id: DeploymentId,
    pub(crate) repository: Repository,
    pub(crate) pull_request: PullRequest,
    pub(crate) accepted_at: OffsetDateTime,
}

impl Newcomer {
    /// Whether this one takes the place of `other`.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        self.id != other.id
            && (&self.repository, self.pull_request) == (&other.repository, other.pull_request)
            && self.accepted_at > other.accepted_at
    }
}

impl From<Deployment> for Newcomer {
    fn from(deployment: Deployment) -> Self {
        let Deployment { id, repository, pull_request, accepted_at, .. } = deployment;
        Self { id, repository, pull_request, accepted_at }
    }
}

/// All who come from now on, for those who watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Newcomers(Arc<Mutex<Option<WeakSender<Newcomer>>>>);

impl Newcomers {
    /// Those who come from now on. It ends when the stream cannot be read any further.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub(crate) async fn listen(&self, bus: &Bus) -> anyhow::Result<Receiver<Newcomer>> {
        let mut known = self.0.lock().await;
        if let Some(sender) = known.as_ref().and_then(WeakSender::upgrade) {
            return Ok(sender.subscribe());
        }
        let (_, last) = bus.stream_now().await?;
        let (mut accepted, _) = bus.watch_kind::<Deployment>(last).await?;
        let (sender, receiver) = broadcast::channel(UNSEEN_MAX);
        *known = Some(sender.downgrade());
        tokio::spawn(async move {
            loop {
                let seen = tokio::select! {
                    // Nobody listens any more.
                    () = sender.closed() => break,
                    seen = accepted.next() => seen,
                };
                let Some(Ok(seen)) = seen else { break };
                let Ok(deployment) = seen.decode::<Deployment>() else { continue };
                if sender.send(deployment.into()).is_err() {
                    break;
                }
            }
        });
        Ok(receiver)
    }
}
