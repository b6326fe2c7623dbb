//! What can be typed to scan without any service.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct Scan {
    /// With --base, only what changed at and below these; with --all, the files and folders to scan [default: .].
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Scan what changed since this branch, tag or commit was left, instead of a diff from the standard input.
    #[arg(long, value_name = "REF", conflicts_with = "all")]
    pub(crate) base: Option<String>,
    /// Scan whole files, as if all in them were new.
    #[arg(long)]
    pub(crate) all: bool,
    /// How findings are printed.
    #[arg(long, visible_alias = "output", value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The least severe finding that makes the exit code 1.
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = SeverityName::Low)]
    pub(crate) fail_on: SeverityName,
    /// Findings in this file were known before: they do not count.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Write what is found to a baseline, and exit 0.
    #[arg(long, value_name = "FILE")]
    pub(crate) write_baseline: Option<PathBuf>,
    /// Print findings that do not count, too: those that a comment, a path or the baseline suppresses.
    #[arg(long)]
    pub(crate) show_suppressed: bool,
    /// A file of rules of your own, or a folder of them; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// Settings in TOML; the table [static_analysis] is read.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One object a finding, one finding a line.
    Json,
    /// SARIF 2.1.0, for code hosts and editors.
    Sarif,
    /// Workflow commands, which GitHub shows beside the lines of a pull request.
    Github,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SeverityName {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl From<SeverityName> for domain::Severity {
    fn from(name: SeverityName) -> Self {
        match name {
            SeverityName::Info => Self::Info,
            SeverityName::Low => Self::Low,
            SeverityName::Medium => Self::Medium,
            SeverityName::High => Self::High,
            SeverityName::Critical => Self::Critical,
        }
    }
}
