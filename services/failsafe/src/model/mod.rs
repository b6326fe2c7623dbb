//! `failsafe model`: training, measuring and reading risk models. How it is done is for `ml-scoring` to know.

mod json;
mod page;
mod plots;
mod publish;
mod text;

use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use chassis::Bus;
use domain::Provenance;
use ml_scoring::evaluation::{Evaluation, evaluate};
use ml_scoring::published::{self, Role};
use ml_scoring::rows::Rows;
use ml_scoring::train::{blend_rows, learn};
use ml_scoring::{Model, kept, recorded, retrain};
use time::OffsetDateTime;

use crate::cli::{self, Evaluate, FeaturesFormat, Output, Show, Train};
use crate::terminal::{Style, answer, say};

/// What the model that FailSafe comes with learns from, seen from the root of the repository.
const CARRIED: &str = "services/ml-scoring/data/deploy_prs.csv.gz";

/// Runs one of the commands.
pub(crate) async fn run(command: &cli::Model) -> anyhow::Result<ExitCode> {
    match command {
        cli::Model::Drift(options) => return drift(options).await,
        cli::Model::Train(options) => train(options).await,
        cli::Model::Evaluate(options) => measure(options),
        cli::Model::Show(options) => show(options),
        cli::Model::Features { format } => {
            match format {
                FeaturesFormat::Json => say(&format!("{:#}", json::features())),
                FeaturesFormat::Text => say(&text::features(Style::of_stdout())),
                FeaturesFormat::Markdown => print!("{}", ml_scoring::features::page()),
            }
            Ok(())
        }
        cli::Model::Publish(options) => publish::publish(options).await,
        cli::Model::Rollback(options) => publish::roll_back(options).await,
        cli::Model::Published(options) => publish::list(options).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Trains a model and writes it to a file.
async fn train(options: &Train) -> anyhow::Result<()> {
    let (name, carried) = (&options.name, Path::new(CARRIED));
    let model = match (options.synthetic, &options.data) {
        (synthetic, None) if options.recorded => {
            let (rows, sha256) = recorded(&options.bus.connect().await?).await?;
            let rows = rows.decided();
            ensure!(
                !rows.is_empty(),
                "of no deployment it is known yet what came of it: that takes 30 days, or a failure"
            );
            if synthetic { blend_rows(name, &rows, sha256)? } else { learn(name, &rows, sha256)? }
        }
        (true, None) => ml_scoring::synthetic::model(name)?,
        (true, Some(data)) => ml_scoring::blend(name, open(data)?)?,
        (false, data) => ml_scoring::train(name, open(data.as_deref().unwrap_or(carried))?)?,
    };
    fs::write(&options.out, model.to_json()).with_context(|| format!("cannot write {}", options.out.display()))?;
    let faded = if options.synthetic && model.file().kind == Provenance::Learned {
        "\n\nThe scenario has faded out: enough failures are recorded to learn from them alone."
    } else {
        ""
    };
    let words = format!(
        "{}{faded}\n\nWritten to {}; name it in the setting ml_scoring.model_path to use it.",
        text::model(&model, Style::of_stdout()),
        options.out.display()
    );
    answer(options.output, &words, &json::trained(&model, &options.out));
    Ok(())
}

/// What came of the deployments that the running services scored.
async fn recorded(bus: &Bus) -> anyhow::Result<(Rows, String)> {
    let histories = kept::written(bus).await?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    Ok(recorded::recorded(histories.iter().map(|(name, history)| (name.as_str(), history)), now))
}

/// Says whether the model in use should be trained anew.
async fn drift(options: &cli::Drift) -> anyhow::Result<ExitCode> {
    let bus = options.bus.connect().await?;
    let published = match &options.model {
        Some(_) => None,
        None => published::versions(&bus, Role::Champion).await?.pop().and_then(|last| last.model),
    };
    let model = match published {
        Some(published) => published.map_err(anyhow::Error::msg).context("the published champion")?,
        None => model(options.model.as_deref())?,
    };
    let rows = recorded(&bus).await?.0.decided().latest(options.last);
    if rows.is_empty() {
        let words =
            "Nothing can be said yet: of no deployment it is known what came of it. That takes 30 days, or a failure.";
        answer(options.output, words, &json::drift(&model, None, &[]));
        return Ok(ExitCode::SUCCESS);
    }
    let evaluation = evaluate(&model, &rows);
    let reasons = retrain::reasons(&model, &evaluation);
    let style = Style::of_stdout();
    let words = format!("{}\n{}", text::evaluation(&model, &evaluation, style), text::advice(&reasons, style));
    answer(options.output, &words, &json::drift(&model, Some(&evaluation), &reasons));
    Ok(ExitCode::from(u8::from(!reasons.is_empty())))
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
    let mut words = text::evaluation(&model, &evaluation, Style::of_stdout());
    if let Some(html) = &options.html {
        let page = page::page(&model, &evaluation)?;
        fs::write(html, page).with_context(|| format!("cannot write {}", html.display()))?;
        words.push_str(&format!("\n\nThe same with plots: {}", html.display()));
    }
    answer(options.output, &words, &json::evaluation(&model, &evaluation));
    Ok(())
}

/// Prints all of a model.
fn show(options: &Show) -> anyhow::Result<()> {
    let model = model(options.model.as_deref())?;
    if options.output == Output::Json {
        say(model.to_json().trim_end());
        return Ok(());
    }
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
