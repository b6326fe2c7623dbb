//! Settings of the Intuition: table `[ml_scoring]`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde::Deserialize;
use time::UtcOffset;
use time::macros::format_description;

use crate::model::Model;

/// `[ml_scoring]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File of the model; the one that FailSafe comes with when it is not set. A published model goes over both.
    pub model_path: Option<PathBuf>,
    /// How many deployments one process scores at a time.
    pub in_flight_max: usize,
    /// How many changes of all repositories together are remembered, besides pull requests that may still change (at most 500 of a
    /// repository): of the repositories that have most, the oldest are forgotten.
    pub changes_max: usize,
    /// The time zone in which a Friday has its afternoon, as its offset from UTC; only scenarios look at it.
    pub utc_offset: String,
    /// How often a model is trained anew from the recorded outcomes; it replaces the champion only if it beats it on the latest
    /// of them. Never when it is not set.
    pub retrain_every_hours: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model_path: None,
            in_flight_max: 64,
            changes_max: 100_000,
            utc_offset: "+00:00".to_owned(),
            retrain_every_hours: None,
        }
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

    /// The time zone of the settings.
    ///
    /// # Errors
    /// When it is no offset from -12:00 to +14:00; the error names the setting.
    pub fn utc_offset(&self) -> anyhow::Result<UtcOffset> {
        let wrong =
            || format!("ml_scoring.utc_offset must be like +01:00, from -12:00 to +14:00, not {:?}", self.utc_offset);
        let form = format_description!("[offset_hour sign:mandatory]:[offset_minute]");
        let offset = UtcOffset::parse(&self.utc_offset, form).with_context(wrong)?;
        ensure!((-12 * 60..=14 * 60).contains(&offset.whole_minutes()), wrong());
        Ok(offset)
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

    #[test]
    fn a_time_zone_that_is_none_is_named() {
        let of = |text: &str| Config { utc_offset: text.to_owned(), ..Config::default() }.utc_offset();
        assert_eq!(Config::default().utc_offset().unwrap(), UtcOffset::UTC);
        assert_eq!(of("+05:30").unwrap(), time::macros::offset!(+5:30));
        assert_eq!(of("-03:30").unwrap(), time::macros::offset!(-3:30));
        for wrong in ["", "1", "+1", "01:00", "+15:00", "-12:30", "+02:60", "Europe/Berlin", "+01:00 "] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("ml_scoring.utc_offset") && error.contains(&format!("{wrong:?}")), "{error}");
        }
    }
}
