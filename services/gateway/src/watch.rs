//! Watching one deployment: its events from the stream, told stage by stage until the story ends. Where the stream is silent the
//! audit trail is asked.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use chassis::bus::Seen;
use chassis::{Ask, Bus, RefusalCode, Shutdown};
use domain::{Deployment, DeploymentId, Explanation, Outcome, Reached, Review, Signal};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use proto::v1::watch_deployment_response::Stage;
use proto::{Malformed, v1};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tonic::Status;

use crate::status;
use crate::story::{self, Story};

/// What `WatchDeployment` answers with.
pub(crate) type Stages = BoxStream<'static, Result<v1::WatchDeploymentResponse, Status>>;

/// One watch of one client.
pub(crate) struct Watch {
    pub(crate) bus: Bus,
    pub(crate) deployment: DeploymentId,
    /// How long the stream may be silent before the audit trail is asked.
    pub(crate) idle: Duration,
    /// When the client's patience ends.
    pub(crate) deadline: Option<Instant>,
    pub(crate) shutdown: Shutdown,
    /// One of the watches that may be open at a time.
    #[expect(dead_code, reason = "kept while the client watches, and given back when dropped")]
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Watch {
    /// Begins to read the stream. A client that goes away drops what this returns, and with it the reading.
    pub(crate) async fn begin(self) -> anyhow::Result<Stages> {
        let events = self.bus.watch(self.deployment).await?.boxed();
        let telling = Telling { watch: self, events, story: Story::default(), ready: VecDeque::new(), is_over: false };
        Ok(stream::unfold(telling, |mut telling| async move { Some((telling.next().await?, telling)) }).boxed())
    }
}

/// A watch under way.
struct Telling {
    watch: Watch,
    events: BoxStream<'static, anyhow::Result<Seen>>,
    story: Story,
    ready: VecDeque<v1::WatchDeploymentResponse>,
    is_over: bool,
}

impl Telling {
    async fn next(&mut self) -> Option<Result<v1::WatchDeploymentResponse, Status>> {
        loop {
            if let Some(stage) = self.ready.pop_front() {
                return Some(Ok(stage));
            }
            if self.is_over {
                return None;
            }
            if let Err(status) = self.proceed().await {
                self.is_over = true;
                return Some(Err(status));
            }
        }
    }

    /// Waits until something happens, and takes it in.
    async fn proceed(&mut self) -> Result<(), Status> {
        let happened = tokio::select! {
            () = self.watch.shutdown.called() => return Err(status::stopping()),
            () = past(self.watch.deadline) => return Err(Status::deadline_exceeded("the deadline of the call has passed")),
            happened = tokio::time::timeout(self.watch.idle, self.events.next()) => happened,
        };
        match happened {
            Err(_) => self.ask_audit_trail().await,
            Ok(Some(Ok(seen))) => {
                self.take_in(&seen);
                Ok(())
            }
            Ok(Some(Err(error))) => {
                tracing::warn!(deployment.id = %self.watch.deployment, "a watch breaks off: {error:#}");
                Err(status::bus_away())
            }
            Ok(None) => Err(status::bus_away()),
        }
    }

    fn take_in(&mut self, seen: &Seen) {
        match stage_of(seen) {
            Ok(Some(stage)) => self.tell(v1::WatchDeploymentResponse {
                sequence: seen.stream_sequence,
                at: Some(SystemTime::from(seen.stored_at).into()),
                stage: Some(stage),
            }),
            Ok(None) => {}
            // Whoever has to act on the event moves it to the dead letters.
            Err(malformed) => {
                let sequence = seen.stream_sequence;
                tracing::debug!(deployment.id = %self.watch.deployment, sequence, "a watch skips an event: {malformed}");
            }
        }
        self.is_over = seen.pending == 0 && self.story.is_explained();
    }

    /// The stream is silent: it may hold the events no longer, nobody may have heard of the deployment, or it takes its time.
    async fn ask_audit_trail(&mut self) -> Result<(), Status> {
        let is_untold = self.story.is_untold();
        let question = v1::GetDeploymentRequest { deployment_id: self.watch.deployment.to_string() };
        match self.watch.bus.ask(&question).await {
            Ok(dossier) => {
                story::from_audit_trail(dossier).into_iter().for_each(|stage| self.tell(stage));
                // With nothing in the stream nothing more will come from it.
                self.is_over = is_untold || self.story.is_explained();
                Ok(())
            }
            Err(_) if !is_untold => Ok(()),
            Err(Ask::Refused(refusal)) if refusal.code == RefusalCode::NotFound => {
                let id = self.watch.deployment;
                let idle = self.watch.idle.as_millis();
                Err(status::not_found(&format!("nobody has heard of the deployment {id} within {idle} ms")))
            }
            Err(ask) => {
                tracing::warn!(deployment.id = %self.watch.deployment, "a watch breaks off: {ask}");
                Err(status::unanswered(&ask))
            }
        }
    }

    fn tell(&mut self, told: v1::WatchDeploymentResponse) {
        if told.stage.as_ref().is_some_and(|stage| self.story.tell(stage)) {
            self.ready.push_back(told);
        }
    }
}

async fn past(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The stage that an event is; `None` for a kind that watchers are not told about.
fn stage_of(seen: &Seen) -> Result<Option<Stage>, Malformed> {
    Ok(Some(if seen.is::<Deployment>() {
        Stage::Accepted(seen.decode::<Deployment>()?.without_diff().into())
    } else if seen.is::<Signal>() {
        Stage::Signal(seen.decode::<Signal>()?.into())
    } else if seen.is::<Reached>() {
        let alone = Reached { deployment: None, signals: Vec::new(), ..seen.decode()? };
        Stage::Verdict(alone.into())
    } else if seen.is::<Explanation>() {
        Stage::Explanation(seen.decode::<Explanation>()?.into())
    } else if seen.is::<Review>() {
        Stage::Review(seen.decode::<Review>()?.into())
    } else if seen.is::<Outcome>() {
        Stage::Outcome(seen.decode::<Outcome>()?.into())
    } else {
        return Ok(None);
    }))
}
