//! What can be typed about reviews and outcomes.

use clap::{Args, ValueEnum};
use proto::v1;

use super::Asking;

#[derive(Args, Debug)]
pub(crate) struct Review {
    /// The deployment's id, as `submit` and `list` print it.
    #[arg(value_name = "ID")]
    pub(crate) deployment_id: String,
    /// What you decided.
    #[arg(value_enum)]
    pub(crate) decision: DecisionName,
    /// Why: it is kept with the verdict for ever.
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
    /// Who you are; whoever your token or certificate is of, unless you may speak for others.
    #[arg(long, value_name = "NAME", env = "FAILSAFE_REVIEWER", default_value = "", hide_default_value = true)]
    pub(crate) by: String,
    /// The number of the verdict that you looked at; the review counts for no other [default: the latest].
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(crate) verdict: u32,
    /// How long to wait for the verdict that follows, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DecisionName {
    /// It may be deployed.
    Approve,
    /// It must not.
    Reject,
    /// It must go out at once; somebody else looks at it afterwards.
    Emergency,
}

impl From<DecisionName> for v1::ReviewDecision {
    fn from(name: DecisionName) -> Self {
        match name {
            DecisionName::Approve => Self::Approved,
            DecisionName::Reject => Self::Rejected,
            DecisionName::Emergency => Self::Emergency,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Outcome {
    /// The deployment's id, as `submit` and `list` print it.
    #[arg(value_name = "ID")]
    pub(crate) deployment_id: String,
    /// What happened in production.
    #[arg(value_enum)]
    pub(crate) kind: OutcomeName,
    /// Details for people.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) detail: String,
    /// Who or what says so; whoever your token or certificate is of.
    #[arg(long, value_name = "NAME", env = "FAILSAFE_REPORTER", default_value = "", hide_default_value = true)]
    pub(crate) by: String,
    /// When it happened, as in 2026-11-20T15:30:00Z [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) at: Option<time::OffsetDateTime>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

fn parse_time(text: &str) -> Result<time::OffsetDateTime, String> {
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
        .map_err(|_| "must be a time such as 2026-11-20T15:30:00Z".to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OutcomeName {
    /// It works.
    Succeeded,
    /// It failed and was repaired forward.
    Failed,
    /// It failed and was taken back.
    RolledBack,
}

impl From<OutcomeName> for v1::OutcomeKind {
    fn from(name: OutcomeName) -> Self {
        match name {
            OutcomeName::Succeeded => Self::Succeeded,
            OutcomeName::Failed => Self::Failed,
            OutcomeName::RolledBack => Self::RolledBack,
        }
    }
}
