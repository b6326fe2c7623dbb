//! Training a model from the command line. How it is trained is for `ml-scoring` to know.

use std::fs::{self, File};

use anyhow::Context;

use crate::cli::Train;
use crate::terminal::say;

/// Trains a model and writes it to a file.
pub(crate) fn train(options: &Train) -> anyhow::Result<()> {
    let rows = File::open(&options.data);
    let rows =
        rows.with_context(|| format!("cannot read {}: name the past deployments by --data", options.data.display()))?;
    let model = ml_scoring::train(&options.name, rows)?;
    fs::write(&options.out, model.to_json()).with_context(|| format!("cannot write {}", options.out.display()))?;
    let file = model.file();
    say(&format!("{} was {}.", model.basis(), file.provenance));
    say(&format!("On the later {} deployments, {} of them reverted:", file.held_out.rows, file.held_out.failures));
    say(&format!("  history known    {}", file.held_out.history_known));
    say(&format!("  history unknown  {}", file.held_out.history_unknown));
    say(&format!("Written to {}; name it in the setting ml_scoring.model_path to use it.", options.out.display()));
    Ok(())
}
