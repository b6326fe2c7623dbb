//! All services as tasks of this process, each with its own connection and its own health.

use std::time::Duration;

use anyhow::{Context, anyhow};
use chassis::{Admin, Health, Process, Settings, Shutdown, State, table_of};
use gateway::Listeners;
use serde::de::DeserializeOwned;
use tokio::task::{JoinError, JoinSet};

use crate::voice;

/// How long the drain of all services may take.
const DRAIN_MAX: Duration = Duration::from_secs(40);
/// Between two looks at the services' health while they start.
const LOOK: Duration = Duration::from_millis(10);

/// All services, running. They are told to end by the shutdown that they were started with.
#[derive(Debug)]
pub(crate) struct Engine {
    services: JoinSet<(&'static str, Result<anyhow::Result<()>, JoinError>)>,
    healths: Vec<(&'static str, Health)>,
    admin: Admin,
    shutdown: Shutdown,
}

/// What the engine runs, in the order of the flow.
pub(crate) const SERVICES: [&str; 6] = [
    gateway::SERVICE,
    ingest::SERVICE,
    static_analysis::SERVICE,
    ml_scoring::SERVICE,
    decision::SERVICE,
    llm_explainer::SERVICE,
];

impl Engine {
    /// Starts all services, the gateway on `listeners`, shows them on the admin port, and waits until all of them serve.
    ///
    /// # Errors
    /// When the settings are wrong, a service ends, or `shutdown` is called; then all have ended.
    pub(crate) async fn start(
        settings: &Settings,
        listeners: Listeners,
        admin: Admin,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let mut engine = Self { services: JoinSet::new(), healths: Vec::new(), admin, shutdown: shutdown.clone() };
        let started = async {
            engine.add_behind_gateway(settings).await?;
            engine.serving().await?;
            // Last, since it asks all others how they are, and warns of those that are still starting.
            let serve = |process, config| gateway::serve_on(listeners, process, config);
            engine.add(settings, gateway::SERVICE, serve).await?;
            engine.serving().await
        };
        match started.await {
            Ok(()) => Ok(engine),
            Err(error) => {
                engine.drain().await;
                Err(error)
            }
        }
    }

    async fn add_behind_gateway(&mut self, settings: &Settings) -> anyhow::Result<()> {
        self.add(settings, ingest::SERVICE, ingest::run).await?;
        self.add(settings, static_analysis::SERVICE, static_analysis::run).await?;
        self.add(settings, ml_scoring::SERVICE, ml_scoring::run).await?;
        self.add(settings, decision::SERVICE, decision::run).await?;
        self.add(settings, llm_explainer::SERVICE, voice::run).await
    }

    async fn add<C, F>(
        &mut self,
        settings: &Settings,
        service: &'static str,
        run: impl FnOnce(Process, C) -> F,
    ) -> anyhow::Result<()>
    where
        C: DeserializeOwned + Default,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let config = settings.table(&table_of(service))?;
        let process = Process::start(service, settings.clone(), self.shutdown.clone()).await?;
        self.healths.push((service, process.health.clone()));
        self.admin.show(&process);
        let bus = process.bus.clone();
        let running = run(process, config);
        let running = tokio::spawn(async move {
            let ended = running.await;
            bus.flush().await.context("cannot flush the bus")?;
            ended
        });
        self.services.spawn(async move { (service, running.await) });
        Ok(())
    }

    async fn serving(&mut self) -> anyhow::Result<()> {
        let shutdown = self.shutdown.clone();
        while self.healths.iter().any(|(_, health)| health.state() != State::Serving) {
            tokio::select! {
                ended = self.failed() => return Err(ended),
                () = shutdown.called() => return Err(anyhow!("told to end while waiting for {}", self.waiting())),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    /// Who does not serve yet, and why.
    fn waiting(&self) -> String {
        let not_serving = self.healths.iter().filter_map(|(service, health)| match health.state() {
            State::Serving => None,
            State::NotServing(why) => Some(format!("{service}: {why}")),
        });
        not_serving.collect::<Vec<_>>().join("; ")
    }

    /// Waits until a service ends by itself, and says which and why.
    async fn failed(&mut self) -> anyhow::Error {
        match self.services.join_next().await {
            Some(Ok((service, ended))) => {
                let error = trouble(ended).unwrap_or_else(|| anyhow!("it was not told to"));
                error.context(format!("{service} ended"))
            }
            Some(Err(error)) => anyhow!(error),
            None => anyhow!("no service is running"),
        }
    }

    /// Waits until the services are to end.
    ///
    /// # Errors
    /// When one of them ends by itself: which, and why.
    pub(crate) async fn run(&mut self) -> anyhow::Result<()> {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            () = shutdown.called() => Ok(()),
            // Told to end, a service may be faster than this line.
            error = self.failed() => if shutdown.is_called() { Ok(()) } else { Err(error) },
        }
    }

    /// Tells all services to end, and waits until they have.
    pub(crate) async fn drain(mut self) {
        self.shutdown.call();
        let ended = async {
            while let Some(joined) = self.services.join_next().await {
                if let Ok((service, ended)) = joined
                    && let Some(error) = trouble(ended)
                {
                    tracing::warn!(service, "{service} ended with an error: {error:#}");
                }
            }
        };
        if tokio::time::timeout(DRAIN_MAX, ended).await.is_err() {
            tracing::warn!("not all services had ended after {} s: going on without them", DRAIN_MAX.as_secs());
        }
    }
}

fn trouble(ended: Result<anyhow::Result<()>, JoinError>) -> Option<anyhow::Error> {
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(error) if error.is_panic() => Some(anyhow!("it panicked; what it said stands above")),
        Err(error) => Some(error.into()),
    }
}
