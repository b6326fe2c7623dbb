//! What can be typed about repositories' histories.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Bus, OnBus, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum History {
    /// Have every running ml-scoring know a repository's past, from a clone of it.
    Import(HistoryImport),
    /// List the repositories whose past is known, and how much of it.
    List(OnBus),
    /// Write what a clone tells of past changes as rows that a model can be trained with.
    Rows(HistoryRows),
}

/// Which commits to read.
#[derive(Args, Debug)]
pub(crate) struct Git {
    /// A clone of the repository, with its whole history.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) git: PathBuf,
    /// The end of the main line: a branch, tag or commit.
    #[arg(long, value_name = "REF", default_value = "HEAD")]
    pub(crate) head: String,
}

#[derive(Args, Debug)]
pub(crate) struct HistoryImport {
    #[command(flatten)]
    pub(crate) git: Git,
    /// The repository's path on its forge, as it is submitted: acme/shop.
    #[arg(long, value_name = "PATH", value_parser = |path: &str| domain::Repository::parse(path))]
    pub(crate) repository: domain::Repository,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}

#[derive(Args, Debug)]
pub(crate) struct HistoryRows {
    #[command(flatten)]
    pub(crate) git: Git,
    /// Where to write the rows, as CSV.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What the rows call the service.
    #[arg(long, value_name = "NAME", default_value = "own")]
    pub(crate) project: String,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}
