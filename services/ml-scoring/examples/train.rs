//! Trains the model that FailSafe comes with, from the data that the repository carries:
//! `cargo run -p ml-scoring --example train`.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = here.join("data/deploy_prs.csv.gz");
    let rows = File::open(&data).with_context(|| format!("opening {}", data.display()))?;
    let model = ml_scoring::train("default-1", rows)?;
    let target = here.join("model/default.json");
    fs::write(&target, model.to_json()).with_context(|| format!("writing {}", target.display()))?;
    let file = model.file();
    println!("{}: {}, alpha {}", model.basis(), file.provenance, file.training.alpha);
    println!("on the later {} deployments, {} of them reverted:", file.held_out.rows, file.held_out.failures);
    println!("  history known    {}", file.held_out.history_known);
    println!("  history unknown  {}", file.held_out.history_unknown);
    Ok(())
}
