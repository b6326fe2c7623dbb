//! Settings: defaults in the code, one TOML file over them, `FAILSAFE__TABLE__KEY` variables over that.
//!
//! A table or key that nobody knows stops the start and is named. Only this module reads the environment's settings.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The tables of a settings file: the first are shared, the others belong to the service of that name.
pub const TABLES: [&str; 9] =
    ["nats", "database", "admin", "ingest", "static_analysis", "ml_scoring", "llm_explainer", "decision", "gateway"];

/// The settings of a process, not yet given out.
#[derive(Clone, Debug)]
pub struct Settings(Figment);

impl Settings {
    /// Reads `file`, if there is one, and the environment.
    ///
    /// # Errors
    /// When the file cannot be read, or holds a table that nobody knows.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            anyhow::ensure!(path.is_file(), "cannot read the settings file {}", path.display());
            figment = figment.merge(Toml::file_exact(path));
        }
        figment = figment.merge(Env::prefixed("FAILSAFE__").split("__"));
        let all: figment::value::Dict = figment.extract().context("cannot read the settings")?;
        for table in all.keys() {
            anyhow::ensure!(
                TABLES.contains(&table.as_str()),
                "the settings hold an unknown table [{table}]; there are {}",
                TABLES.map(|known| format!("[{known}]")).join(" ")
            );
        }
        Ok(Self(figment))
    }

    /// The same with `table.key` set to `value`, over everything else.
    #[must_use]
    pub fn with(self, key: &str, value: impl Serialize) -> Self {
        Self(self.0.merge(Serialized::default(key, value)))
    }

    /// Whether `table.key` is set at all.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.contains(key)
    }

    /// One table, its defaults filled in.
    ///
    /// # Errors
    /// The key that is unknown or wrong, and where it was set.
    pub fn table<T: DeserializeOwned + Default>(&self, table: &str) -> anyhow::Result<T> {
        if !self.0.contains(table) {
            return Ok(T::default());
        }
        self.0.extract_inner(table).map_err(|error| anyhow::anyhow!("the settings are wrong: {error}"))
    }
}

/// `[nats]`: where the bus is, and how it keeps events.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// Address of the server, or several with commas between them.
    pub url: String,
    /// File of a NATS credential (`.creds`), where the server asks for one.
    pub credentials: Option<std::path::PathBuf>,
    /// How many servers keep each stream, 1 to 5. Read when a stream is made.
    pub replicas: usize,
    /// For how many days events are kept. The audit trail in PostgreSQL keeps them longer.
    pub days_kept: u64,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self { url: "nats://127.0.0.1:4222".to_owned(), credentials: None, replicas: 1, days_kept: 30 }
    }
}

/// `[admin]`: the port of a process for those who run it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Address and port of `/metrics`, `/healthz`, `/readyz` and `/log`; none without. It is plain HTTP for whoever reaches it:
    /// what is logged is only changed from this machine.
    pub listen: Option<SocketAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> anyhow::Result<Settings> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        Settings::load(Some(file.path()))
    }

    #[test]
    fn a_mistyped_table_or_key_stops_the_start_and_is_named() {
        let error = load("[natz]\nurl = 'x'").unwrap_err().to_string();
        assert!(error.contains("[natz]") && error.contains("[nats]"), "{error}");
        let error = load("[nats]\nurll = 'x'").unwrap().table::<NatsSettings>("nats").unwrap_err().to_string();
        assert!(error.contains("urll") && error.contains("nats"), "{error}");
        let error = load("[nats]\nreplicas = 'three'").unwrap().table::<NatsSettings>("nats").unwrap_err().to_string();
        assert!(error.contains("replicas"), "{error}");
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let settings = load("[nats]\nurl = 'nats://there:4222'").unwrap();
        let nats: NatsSettings = settings.clone().with("nats.replicas", 3).table("nats").unwrap();
        assert_eq!((nats.url.as_str(), nats.replicas, nats.days_kept), ("nats://there:4222", 3, 30));
        assert!(settings.has("nats.url") && !settings.has("database.url"));
    }
}
