//! Watching one deployment: its events from the stream, told stage by stage until the story ends. Where the stream is silent the
//! audit trail is asked. A newer deployment of the same pull request is told of as it comes.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use chassis::bus::Seen;
use chassis::{Ask, Bus, RefusalCode, Shutdown};
use domain::{Deployment, DeploymentId, Explanation, Outcome, Reached, Review, Signal};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use proto::v1::watch_deployment_response::Stage;
use proto::{Malformed, v1};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tonic::Status;

use crate::newcomers::{Newcomer, Newcomers};
use crate::status;
use crate::story::{self, Story};

/// What `WatchDeployment` answers with.
pub(crate) type Stages = BoxStream<'static, Result<v1::WatchDeploymentResponse, Status>>;

/// One watch of one client.
pub(crate) struct Watch {
    pub(crate) bus: Bus,
    pub(crate) deployment: DeploymentId,
    /// The place in the stream behind which the client wants to be told.
    pub(crate) after: u64,
    /// How long the stream may be silent before the audit trail is asked.
    pub(crate) idle: Duration,
    /// When the client's patience ends.
    pub(crate) deadline: Option<Instant>,
    pub(crate) newcomers: Newcomers,
    pub(crate) shutdown: Shutdown,
    /// One of the watches that may be open at a time.
    #[expect(dead_code, reason = "kept while the client watches, and given back when dropped")]
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Watch {
    /// Begins to read the stream. A client that goes away drops what this returns, and with it the reading.
    pub(crate) async fn begin(mut self) -> anyhow::Result<Stages> {
        // A place behind the end is one of an earlier stream, and says nothing about this one.
        if self.after > 0 && self.bus.stream_now().await?.1 < self.after {
            self.after = 0;
        }
        let newcomers = self.newcomers.listen(&self.bus).await?;
        let events = self.bus.watch(self.deployment).await?.boxed();
        let telling = Telling {
            watch: self,
            events,
            newcomers: Some(newcomers),
            own: None,
            look: None,
            story: Story::default(),
            ready: VecDeque::new(),
            is_over: false,
        };
        Ok(stream::unfold(telling, |mut telling| async move { Some((telling.next().await?, telling)) }).boxed())
    }
}

/// A watch under way.
struct Telling {
    watch: Watch,
    events: BoxStream<'static, anyhow::Result<Seen>>,
    /// All deployments that are accepted meanwhile; `None` when they can be heard no longer.
    newcomers: Option<Receiver<Newcomer>>,
    /// The watched deployment, once its acceptance was seen.
    own: Option<Newcomer>,
    /// A look into the audit trail for a newer deployment: its id, or nothing.
    look: Option<BoxFuture<'static, String>>,
    story: Story,
    ready: VecDeque<v1::WatchDeploymentResponse>,
    is_over: bool,
}

/// What a watch waits for.
enum Happened {
    Seen(Option<anyhow::Result<Box<Seen>>>),
    Silence,
    Came(Newcomer),
    Looked(String),
    MissedSome,
    HeardNoMore,
}

impl Telling {
    async fn next(&mut self) -> Option<Result<v1::WatchDeploymentResponse, Status>> {
        loop {
            if let Some(stage) = self.ready.pop_front() {
                return Some(Ok(stage));
            }
            if self.is_over {
                // A newer deployment is told of even when all else was past before the watch began.
                let by = self.look.take()?.await;
                self.tell_superseded(by);
                continue;
            }
            if let Err(status) = self.proceed().await {
                self.is_over = true;
                self.look = None;
                return Some(Err(status));
            }
        }
    }

    /// Waits until something happens, and takes it in.
    async fn proceed(&mut self) -> Result<(), Status> {
        let has_own = self.own.is_some();
        let happened = tokio::select! {
            () = self.watch.shutdown.called() => return Err(status::stopping()),
            () = past(self.watch.deadline) => return Err(Status::deadline_exceeded("the deadline of the call has passed")),
            by = looked(&mut self.look) => Happened::Looked(by),
            came = came(&mut self.newcomers), if has_own => came,
            seen = tokio::time::timeout(self.watch.idle, self.events.next()) => {
                seen.map_or(Happened::Silence, |seen| Happened::Seen(seen.map(|seen| seen.map(Box::new))))
            }
        };
        match happened {
            Happened::Silence => self.ask_audit_trail().await?,
            Happened::Seen(Some(Ok(seen))) => self.take_in(&seen),
            Happened::Seen(Some(Err(error))) => {
                tracing::warn!(deployment.id = %self.watch.deployment, "a watch breaks off: {error:#}");
                return Err(status::bus_away());
            }
            Happened::Seen(None) => return Err(status::bus_away()),
            Happened::Came(newcomer) if self.own.as_ref().is_some_and(|own| newcomer.supersedes(own)) => {
                self.tell_superseded(newcomer.id.to_string());
            }
            Happened::Came(_) => {}
            Happened::Looked(by) => {
                self.look = None;
                self.tell_superseded(by);
            }
            Happened::MissedSome => self.look_for_newer(),
            // The audit trail is still asked when the stream is silent.
            Happened::HeardNoMore => self.newcomers = None,
        }
        Ok(())
    }

    /// Asks the audit trail, beside all else, whether there is a newer deployment.
    fn look_for_newer(&mut self) {
        let bus = self.watch.bus.clone();
        let question = v1::GetDeploymentRequest {
            deployment_id: self.watch.deployment.to_string(),
            read_mask: Some(prost_types::FieldMask { paths: vec!["superseded_by".to_owned()] }),
        };
        let look = async move { bus.ask(&question).await.map(|known| known.superseded_by).unwrap_or_default() };
        self.look = Some(look.boxed());
    }

    fn tell_superseded(&mut self, by: String) {
        if !by.is_empty() {
            let stage = Some(Stage::Superseded(v1::Superseded { by }));
            self.tell(v1::WatchDeploymentResponse { sequence: 0, at: Some(SystemTime::now().into()), stage });
        }
    }

    fn take_in(&mut self, seen: &Seen) {
        if seen.is::<Deployment>() && self.own.is_none() {
            self.own = seen.decode::<Deployment>().ok().map(Newcomer::from);
            self.look_for_newer();
        }
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
        let question = v1::GetDeploymentRequest { deployment_id: self.watch.deployment.to_string(), read_mask: None };
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

    /// Tells a stage, if it was not told before and the client had not seen it when it came.
    fn tell(&mut self, told: v1::WatchDeploymentResponse) {
        let is_new = told.stage.as_ref().is_some_and(|stage| self.story.tell(stage));
        if is_new && (told.sequence == 0 || told.sequence > self.watch.after) {
            self.ready.push_back(told);
        }
    }
}

async fn looked(look: &mut Option<BoxFuture<'static, String>>) -> String {
    match look {
        Some(look) => look.await,
        None => std::future::pending().await,
    }
}

async fn came(newcomers: &mut Option<Receiver<Newcomer>>) -> Happened {
    let Some(newcomers) = newcomers else { return std::future::pending().await };
    match newcomers.recv().await {
        Ok(newcomer) => Happened::Came(newcomer),
        Err(RecvError::Lagged(_)) => Happened::MissedSome,
        Err(RecvError::Closed) => Happened::HeardNoMore,
    }
}

async fn past(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The stage that an event is; `None` for a kind that watchers are not told about.
pub(crate) fn stage_of(seen: &Seen) -> Result<Option<Stage>, Malformed> {
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
