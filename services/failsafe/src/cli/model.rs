//! What can be typed about the model of the risk.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Bus, OnBus, Output};

const DRIFT_EXIT_CODES: &str = "Exit codes:\n  0  there is no reason to train it anew\n  1  there is\n  3  an error";

#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Train a model from the outcomes of past deployments, and say how good it is on those that were held back.
    Train(Train),
    /// Say what a model expects of deployments, and how good that is where their outcome is known.
    Evaluate(Evaluate),
    /// Say from the latest recorded outcomes whether the model in use should be trained anew.
    #[command(after_help = DRIFT_EXIT_CODES)]
    Drift(Drift),
    /// Say where a model comes from, how good it is, and what each feature counts.
    Show(Show),
    /// Print what a model can look at: each feature with its source, its definition, and why.
    Features {
        /// How the table is printed.
        #[arg(long, visible_alias = "output", value_enum, default_value_t = FeaturesFormat::Text)]
        format: FeaturesFormat,
    },
    /// Have every running ml-scoring score with a model, within a second and without a restart.
    Publish(Publish),
    /// Go back to the model that was published before; where there was none, to the replicas' own.
    Rollback(OnBus),
    /// List what was published, the latest last.
    Published(OnBus),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FeaturesFormat {
    /// For a terminal.
    Text,
    /// A list of objects.
    Json,
    /// The page in the repository.
    Markdown,
}

#[derive(Args, Debug)]
pub(crate) struct Publish {
    /// The model's file, as `failsafe model train` writes it.
    #[arg(value_name = "FILE", required_unless_present = "none")]
    pub(crate) model: Option<PathBuf>,
    /// Let it score in the champion's shadow: its scores are stored to be compared, and never used.
    #[arg(long)]
    pub(crate) shadow: bool,
    /// Instead of a model publish none: no shadow, or the replicas' own champion.
    #[arg(long, conflicts_with = "model")]
    pub(crate) none: bool,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}

#[derive(Args, Debug)]
pub(crate) struct Evaluate {
    /// The deployments as CSV, plain or gzipped; a column `label` (1 failed, 0 did not) tells what came of them.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The model; the one that FailSafe comes with unless named.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Where to write every prediction, as CSV with the columns id and probability.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Where to write the report with plots, as one HTML page that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The model; the one that FailSafe comes with unless named.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// How to print it; JSON is the model's file.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Train {
    /// Where to write the model; name the file in the setting ml_scoring.model_path to use it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The past deployments as CSV, plain or gzipped [default: services/ml-scoring/data/deploy_prs.csv.gz].
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Learn from what the running services recorded: the outcomes and reverts in their histories.
    #[arg(long, conflicts_with = "data")]
    pub(crate) recorded: bool,
    /// Start from the scenario demo-seed, which was chosen and not measured: alone without --data or --recorded; with one, generated
    /// deployments are learnt beside the recorded ones, the fewer the more of those failed, and none from 30 failures on.
    #[arg(long)]
    pub(crate) synthetic: bool,
    /// The model's name for itself.
    #[arg(long, value_name = "NAME", default_value = "own-1")]
    pub(crate) name: String,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}

#[derive(Args, Debug)]
pub(crate) struct Drift {
    /// The model; the published champion, or the one that FailSafe comes with, unless named.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// How many of the latest outcomes to look at.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub(crate) last: usize,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}
