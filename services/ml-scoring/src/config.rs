//! Settings of the Intuition: table `[ml_scoring]`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;

use crate::model::Model;

/// `[ml_scoring]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File of the model; the one that FailSafe comes with when it is not set. A published model goes over both.
    pub model_path: Option<PathBuf>,
    /// How many deployments one process scores at a time.
    pub in_flight_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { model_path: None, in_flight_max: 16 }
    }
}

impl Config {
    /// The model to score with.
    ///
    /// # Errors
    /// When its file cannot be read or is not sound; the error names the file.
    pub fn model(&self) -> anyhow::Result<Model> {
        let Some(path) = &self.model_path else {
            return Ok(Model::shipped());
        };
        let text = fs::read_to_string(path).with_context(|| format!("reading the model {}", path.display()))?;
        Model::parse(&text).with_context(|| format!("the model {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_comes_from_its_file_or_with_the_program() {
        assert_eq!(Config::default().model().unwrap(), Model::shipped());
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/model/default.json");
        let config = Config { model_path: Some(shipped.into()), ..Config::default() };
        assert_eq!(config.model().unwrap(), Model::shipped());
    }

    #[test]
    fn a_model_that_cannot_be_used_is_named() {
        for (path, expected) in [("/no/such/model.json", "reading the model"), ("/Cargo.toml", "is no model")] {
            let path = if path == "/Cargo.toml" { concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml") } else { path };
            let config = Config { model_path: Some(path.into()), ..Config::default() };
            let error = format!("{:#}", config.model().unwrap_err());
            assert!(error.contains(path) && error.contains(expected), "{error}");
        }
    }
}
