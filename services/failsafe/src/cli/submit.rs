//! What can be typed to submit a deployment, and to gate one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Asking;

pub(super) const SOURCES: &str = "\
In a git clone --base is enough: the diff, the head commit, its author, the last commit's subject as title, the counts and what the \
clone tells of the past are collected, and the repository is that of the remote `origin`. In GitHub Actions, GitLab, Jenkins and \
Buildkite the pull request is recognised, and nothing has to be named. What a flag says goes before both; what was found, and where, \
is told on the standard error.";

/// What is to be judged.
#[derive(Args, Debug)]
pub(crate) struct Candidate {
    /// Take what changed since this branch, tag or commit was left, in a git clone [default: in CI the pull request's base].
    #[arg(long, value_name = "REF", conflicts_with = "diff")]
    pub(crate) base: Option<String>,
    /// The head of the change in the clone [default: in CI the pull request's head, else HEAD].
    #[arg(long, value_name = "REF", conflicts_with = "diff")]
    pub(crate) head: Option<String>,
    /// The clone.
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "diff")]
    pub(crate) git: PathBuf,
    /// A unified diff as `git diff` prints it, instead of a clone; `-` reads the standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) diff: Option<PathBuf>,
    /// The repository's path on its forge, such as acme/shop.
    #[arg(long, value_name = "PATH")]
    pub(crate) repository: Option<String>,
    /// The pull request's number.
    #[arg(long, value_name = "NUMBER", env = "FAILSAFE_PULL_REQUEST", hide_env_values = true)]
    pub(crate) pull_request: Option<u32>,
    /// The head commit's hash; of a diff without one, the diff's digest stands in.
    #[arg(long, value_name = "COMMIT")]
    pub(crate) revision: Option<String>,
    /// The pull request's title.
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// The author's name on the forge.
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
    /// A label of the pull request; may be given more than once.
    #[arg(long = "label", value_name = "NAME")]
    pub(crate) labels: Vec<String>,
    /// Where it would be deployed to: production, staging.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) environment: String,
    /// Do not count the clone's past: FailSafe goes by what it knows itself.
    #[arg(long, conflicts_with = "diff")]
    pub(crate) no_history: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Submit {
    #[command(flatten)]
    pub(crate) candidate: Candidate,
    /// Wait for the verdict and its explanation, and exit with the verdict's code.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "wait")]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

pub(super) const GATE_EXIT_CODES: &str = "\
Exit codes:
  0  ALLOW; REVIEW with --on-review pass
  1  BLOCK
  2  REVIEW
  3  an error, or no verdict in time (0 with --on-unavailable pass)

A REVIEW because something was missing passes only with both: --on-review pass and --on-unavailable pass.";

#[derive(Args, Debug)]
pub(crate) struct Gate {
    #[command(flatten)]
    pub(crate) candidate: Candidate,
    /// How long to wait for the verdict, and to try again while FailSafe is away, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// How long to wait for the verdict's explanation, in seconds; 0 for not at all. The verdict is not kept by it.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) explanation: u64,
    /// What follows from REVIEW.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Follow::Fail)]
    pub(crate) on_review: Follow,
    /// What follows when there is no verdict because FailSafe is away or too slow.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Follow::Fail)]
    pub(crate) on_unavailable: Follow,
    /// Where to write the summary in Markdown [default: in GitHub Actions the job's page, $GITHUB_STEP_SUMMARY].
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
    /// How the verdict is printed as text [default: github in GitHub Actions].
    #[arg(long, value_enum)]
    pub(crate) format: Option<GateFormat>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Follow {
    /// The gate stays shut.
    Fail,
    /// The gate opens, with a warning.
    Pass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GateFormat {
    /// For people.
    Text,
    /// The same, with workflow commands that GitHub shows beside the lines of the pull request.
    Github,
}
