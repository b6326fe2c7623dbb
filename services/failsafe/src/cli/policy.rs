//! What can be typed about the policy.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Bus, OnBus, Output};

const CHECK_EXIT_CODES: &str = "Exit codes:\n  0  it is sound\n  1  it is not\n  2  an error";
const TEST_EXIT_CODES: &str = "Exit codes:\n  0  every case holds\n  1  one does not\n  2  an error";

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Read a policy and tell every mistake in it, with its line.
    #[command(after_help = CHECK_EXIT_CODES)]
    Check(CheckPolicy),
    /// Try cases on a policy: given these signals, expect this verdict and these reasons.
    #[command(after_help = TEST_EXIT_CODES)]
    Test(TestPolicy),
    /// Print the policy that FailSafe comes with: the place to start your own from.
    Default,
    /// Print what conditions can speak of: each variable with its type.
    Variables {
        /// How the table is printed.
        #[arg(long, visible_alias = "output", value_enum, default_value_t = VariablesFormat::Text)]
        format: VariablesFormat,
    },
    /// Have every running decision service decide by a policy, within a second and without a restart.
    Publish(PublishPolicy),
    /// Go back to the policy that was published before; where there was none, to the services' own.
    Rollback(OnBus),
    /// List what was published, the latest last.
    Published(OnBus),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VariablesFormat {
    /// For a terminal.
    Text,
    /// A list of objects.
    Json,
    /// The table in the manual.
    Markdown,
}

#[derive(Args, Debug)]
pub(crate) struct CheckPolicy {
    /// The policy, in TOML; deploy/policy.md is the manual.
    #[arg(value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// How to print what is found.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct TestPolicy {
    /// Files of cases, in TOML.
    #[arg(value_name = "CASES", required = true)]
    pub(crate) cases: Vec<PathBuf>,
    /// The policy; the one that FailSafe comes with unless named.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// How to print what came of each.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct PublishPolicy {
    /// The policy, in TOML.
    #[arg(value_name = "FILE", required_unless_present = "none")]
    pub(crate) policy: Option<PathBuf>,
    /// Let it decide in the shadow of the active one: its verdicts are stored to be compared, and never acted on.
    #[arg(long)]
    pub(crate) shadow: bool,
    /// Instead of a policy publish none: no shadow, or the services' own policy.
    #[arg(long, conflicts_with = "policy")]
    pub(crate) none: bool,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}
