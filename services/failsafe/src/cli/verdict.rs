//! What can be typed about attested verdicts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Asking, Output};

const VERIFY_EXIT_CODES: &str = "Exit codes:\n  0  this commit was allowed, and the key says so\n  1  it was not, or not by this key\n  2  an error";

#[derive(Debug, Subcommand)]
pub(crate) enum Verdict {
    /// Write a verdict as a signed statement (in-toto, SLSA verification summary, DSSE) that others can check without asking.
    Attest(Attest),
    /// Check such a statement, without any service: what a deploy controller does.
    #[command(after_help = VERIFY_EXIT_CODES)]
    Verify(VerifyVerdict),
}

#[derive(Args, Debug)]
pub(crate) struct Attest {
    /// The deployment's id, as `submit` and `list` print it.
    #[arg(value_name = "ID")]
    pub(crate) deployment_id: String,
    /// The number of the verdict [default: the latest].
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(crate) verdict: u32,
    /// Where to write it, instead of the standard output.
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyVerdict {
    /// The statement, as `failsafe verdict attest` writes it.
    #[arg(value_name = "FILE")]
    pub(crate) statement: PathBuf,
    /// The public Ed25519 key of the decision service, in PEM: `openssl pkey -in KEY -pubout`.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The commit that is to be deployed, in full.
    #[arg(long, value_name = "COMMIT")]
    pub(crate) commit: Option<String>,
    /// The repository's path.
    #[arg(long, value_name = "PATH")]
    pub(crate) repository: Option<String>,
    /// The oldest that the verdict may be, in hours.
    #[arg(long, value_name = "HOURS")]
    pub(crate) max_age_hours: Option<u32>,
    /// How to print what is found.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}
