//! The NATS and the PostgreSQL that everything runs on: private ones, or those that the settings name.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use chassis::Settings;
use embedded::{Nats, Postgres};

use crate::terminal::{begin, say};

/// The servers that were started here. A named one is another's, and left alone.
#[derive(Debug)]
pub(crate) struct Servers {
    /// The private NATS.
    pub(crate) nats: Option<Nats>,
    /// The private PostgreSQL.
    pub(crate) postgres: Option<Postgres>,
}

impl Servers {
    /// Starts in `folder` what the settings do not name, and has the settings name it.
    ///
    /// # Errors
    /// When a server is not installed or does not start.
    pub(crate) async fn start(folder: &Path, settings: Settings) -> anyhow::Result<(Self, Settings)> {
        let nats = match settings.has("nats.url") {
            true => None,
            false => Some(start_nats(folder).await?),
        };
        let postgres = match settings.has("database.url") {
            true => None,
            false => Some(start_postgres(folder).await?),
        };
        Ok(Self { nats, postgres }.named_in(settings))
    }

    /// Starts both in `folder`, whatever the settings name.
    ///
    /// # Errors
    /// When a server is not installed or does not start.
    pub(crate) async fn start_private(folder: &Path, settings: Settings) -> anyhow::Result<(Self, Settings)> {
        let nats = start_nats(folder).await?;
        let postgres = start_postgres(folder).await?;
        Ok(Self { nats: Some(nats), postgres: Some(postgres) }.named_in(settings))
    }

    fn named_in(self, mut settings: Settings) -> (Self, Settings) {
        if let Some(nats) = &self.nats {
            settings = settings.with("nats.url", nats.url());
        }
        if let Some(postgres) = &self.postgres {
            settings = settings.with("database.url", postgres.url());
        }
        (self, settings)
    }

    /// Stops in good order what was started.
    ///
    /// # Errors
    /// When a server does not end.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let nats = async {
            match self.nats {
                Some(nats) => nats.stop().await.context("cannot stop nats-server"),
                None => Ok(()),
            }
        };
        let postgres = async {
            match self.postgres {
                Some(postgres) => postgres.stop().await.context("cannot stop PostgreSQL"),
                None => Ok(()),
            }
        };
        let (nats, postgres) = tokio::join!(nats, postgres);
        nats.and(postgres)
    }
}

async fn start_nats(folder: &Path) -> anyhow::Result<Nats> {
    step("starting nats-server", Nats::start(folder), |nats| nats.version().to_owned()).await
}

async fn start_postgres(folder: &Path) -> anyhow::Result<Postgres> {
    step("starting PostgreSQL", Postgres::start(folder), |_| String::new()).await
}

/// Does one step of the start, and says what it is, what came of it, and how long it took.
///
/// # Errors
/// The step's own, with its name.
pub(crate) async fn step<T>(
    name: &str,
    doing: impl Future<Output = anyhow::Result<T>>,
    told: impl Fn(&T) -> String,
) -> anyhow::Result<T> {
    begin(&format!("{name} … "));
    let started = Instant::now();
    match doing.await {
        Ok(done) => {
            let (told, took) = (told(&done), started.elapsed().as_secs_f64());
            let comma = if told.is_empty() { "" } else { ", " };
            say(&format!("{told}{comma}{took:.2} s"));
            Ok(done)
        }
        Err(error) => {
            say("failed");
            Err(error.context(format!("{name} failed")))
        }
    }
}
