//! Settings of the decision service.

use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;

use crate::policy::Policy;

/// `[decision]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Milliseconds from the first word of a deployment to a verdict, whatever is missing by then.
    pub deadline_ms: u64,
    /// Milliseconds between two looks for deployments past their deadline.
    pub sweep_ms: u64,
    /// Most events joined in one transaction.
    pub batch_max: usize,
    /// File of the policy; without it the default one decides. A published policy goes before both.
    pub policy_path: Option<PathBuf>,
    /// File of the private Ed25519 key, PKCS #8 in PEM, by which checkpoints of the audit trail are signed.
    pub signing_key_path: Option<PathBuf>,
}

impl Config {
    /// The policy of the settings.
    ///
    /// # Errors
    /// When the file cannot be read, or every mistake in it, with its line.
    pub fn policy(&self) -> anyhow::Result<Policy> {
        let Some(path) = &self.policy_path else { return Ok(Policy::default()) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read decision.policy_path {}", path.display()))?;
        Policy::parse(&text).with_context(|| format!("{} is not a policy", path.display()))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { deadline_ms: 60_000, sweep_ms: 1_000, batch_max: 1_024, policy_path: None, signing_key_path: None }
    }
}

/// `[database]`: where the audit trail is.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Address of the PostgreSQL database, 15 or newer.
    pub url: String,
    /// Most connections of one process.
    pub connections_max: u32,
    /// Whether the tables are brought up to date at the start, for which the role must own them. Without, `failsafe audit
    /// migrate` does it.
    pub migrate: bool,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { url: "postgres://failsafe@127.0.0.1:5432/failsafe".to_owned(), connections_max: 10, migrate: true }
    }
}

impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.debug_struct("DatabaseSettings")
            .field("connections_max", &self.connections_max)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}
