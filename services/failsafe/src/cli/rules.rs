//! What can be typed about the static rules.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Output;

const TEST_EXIT_CODES: &str =
    "Exit codes:\n  0  every rule does what its examples say\n  1  one does not\n  2  an error";

#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Every rule, a line each.
    List(Listing),
    /// All there is to say of one rule.
    Show(ShowRule),
    /// Hold files of your own rules against the examples in them.
    #[command(after_help = TEST_EXIT_CODES)]
    Test(TestRules),
}

#[derive(Args, Debug)]
pub(crate) struct ShowRule {
    /// The rule's id, such as secret.aws.access-key-id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// A file of rules of your own, or a folder of them; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct TestRules {
    /// A file of rules; services/static-analysis/src/rules/secret/patterns/README.md says what is in one.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How to print what came of each rule.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Listing {
    /// Only of this category.
    #[arg(long, value_enum)]
    pub(crate) category: Option<CategoryName>,
    /// A file of rules of your own, or a folder of them; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// How to print them.
    #[arg(long, visible_alias = "output", value_enum, default_value_t = RulesFormat::Text)]
    pub(crate) format: RulesFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesFormat {
    /// Severity, id and title.
    Text,
    /// One object a rule, one rule a line.
    Json,
    /// The page in the repository.
    Markdown,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CategoryName {
    Secret,
    Migration,
    Infrastructure,
    Code,
}

impl From<CategoryName> for domain::Category {
    fn from(name: CategoryName) -> Self {
        match name {
            CategoryName::Secret => Self::Secret,
            CategoryName::Migration => Self::Migration,
            CategoryName::Infrastructure => Self::Infrastructure,
            CategoryName::Code => Self::Code,
        }
    }
}
