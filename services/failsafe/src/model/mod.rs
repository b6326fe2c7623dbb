//! `failsafe model`: training, measuring and reading risk models. How it is done is for `ml-scoring` to know.

mod page;
mod plots;
mod publish;
mod text;

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, ensure};
use domain::Provenance;
use ml_scoring::Model;
use ml_scoring::evaluation::{Evaluation, evaluate};
use ml_scoring::rows::Rows;

use crate::cli::{self, Evaluate, FeaturesFormat, Show, Train};
use crate::terminal::{Style, say};

/// What the model that FailSafe comes with learns from, seen from the root of the repository.
const CARRIED: &str = "services/ml-scoring/data/deploy_prs.csv.gz";

/// Runs one of the commands.
pub(crate) async fn run(command: &cli::Model) -> anyhow::Result<()> {
    match command {
        cli::Model::Train(options) => train(options),
        cli::Model::Evaluate(options) => measure(options),
        cli::Model::Show(options) => show(options),
        cli::Model::Features { format } => {
            match format {
                FeaturesFormat::Text => say(&text::features(Style::of_stdout())),
                FeaturesFormat::Markdown => print!("{}", ml_scoring::features::page()),
            }
            Ok(())
        }
        cli::Model::Publish(options) => publish::publish(options).await,
        cli::Model::Rollback(bus) => publish::roll_back(bus).await,
        cli::Model::Published(bus) => publish::list(bus).await,
    }
}

/// Trains a model and writes it to a file.
fn train(options: &Train) -> anyhow::Result<()> {
    let (name, carried) = (&options.name, Path::new(CARRIED));
    let model = match (options.synthetic, &options.data) {
        (true, None) => ml_scoring::synthetic::model(name)?,
        (true, Some(data)) => ml_scoring::blend(name, open(data)?)?,
        (false, data) => ml_scoring::train(name, open(data.as_deref().unwrap_or(carried))?)?,
    };
    fs::write(&options.out, model.to_json()).with_context(|| format!("cannot write {}", options.out.display()))?;
    say(&text::model(&model, Style::of_stdout()));
    if options.synthetic && model.file().kind == Provenance::Learned {
        say("\nThe scenario has faded out: enough failures are recorded to learn from them alone.");
    }
    say(&format!("\nWritten to {}; name it in the setting ml_scoring.model_path to use it.", options.out.display()));
    Ok(())
}

/// Says what a model expects of deployments, and how good that is where their outcome is known.
fn measure(options: &Evaluate) -> anyhow::Result<()> {
    let model = model(options.model.as_deref())?;
    let (rows, _) = Rows::read(open(&options.data)?).with_context(|| options.data.display().to_string())?;
    ensure!(!rows.is_empty(), "{} holds no rows", options.data.display());
    let evaluation = evaluate(&model, &rows);
    if let Some(out) = &options.out {
        predictions(out, &evaluation).with_context(|| format!("cannot write {}", out.display()))?;
    }
    say(&text::evaluation(&model, &evaluation, Style::of_stdout()));
    if let Some(html) = &options.html {
        let page = page::page(&model, &evaluation)?;
        fs::write(html, page).with_context(|| format!("cannot write {}", html.display()))?;
        say(&format!("\nThe same with plots: {}", html.display()));
    }
    Ok(())
}

/// Prints all of a model.
fn show(options: &Show) -> anyhow::Result<()> {
    let model = model(options.model.as_deref())?;
    say(&text::model(&model, Style::of_stdout()));
    say(&text::coefficients(&model, Style::of_stdout()));
    Ok(())
}

/// The model of that file, or the one that FailSafe comes with.
fn model(path: Option<&Path>) -> anyhow::Result<Model> {
    ml_scoring::Config { model_path: path.map(Path::to_owned), ..Default::default() }.model()
}

fn open(data: &Path) -> anyhow::Result<File> {
    File::open(data).with_context(|| format!("cannot read {}: name the past deployments by --data", data.display()))
}

/// Writes `id,probability` of every deployment.
fn predictions(path: &Path, evaluation: &Evaluation) -> anyhow::Result<()> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record(["id", "probability"])?;
    for (id, probability) in &evaluation.predictions {
        file.write_record([id.as_str(), &format!("{probability:.9}")])?;
    }
    Ok(file.flush()?)
}
