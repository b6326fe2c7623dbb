//! What can be typed about deciding again.

use std::path::PathBuf;

use clap::Args;
use time::{Date, Duration, OffsetDateTime};

use super::Output;
use super::audit::Database;

pub(crate) const EXAMPLES: &str = "Examples:
  failsafe replay --policy new.toml --since 30d
  failsafe replay --shadow --since 7d
  failsafe replay --policy new.toml --model retrained.json --reanalyse --html replay.html

Nothing is written to the audit trail. What people decided is left out on both sides: policies are compared, not reviewers.";

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The policy to decide by; the one that FailSafe comes with unless named.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// A model to score by, instead of taking the stored risks.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Look for findings anew in the stored diffs, with the rules of this version, instead of taking the stored ones.
    #[arg(long)]
    pub(crate) reanalyse: bool,
    /// Instead of deciding again take what the candidate policy said that was published with --shadow, where it was asked.
    #[arg(long, conflicts_with_all = ["policy", "model", "reanalyse"])]
    pub(crate) shadow: bool,
    /// Verdicts from then on: a number of days or hours ago (30d, 12h), or a day (2026-11-20).
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_time)]
    pub(crate) since: OffsetDateTime,
    /// Verdicts before then, likewise [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) until: Option<OffsetDateTime>,
    /// Where to write the report as one HTML page that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) database: Database,
}

fn parse_time(text: &str) -> Result<OffsetDateTime, String> {
    let wrong = || "must be as in 30d, 12h or 2026-11-20".to_owned();
    let format = time::macros::format_description!("[year]-[month]-[day]");
    if let Ok(day) = Date::parse(text, format) {
        return Ok(day.midnight().assume_utc());
    }
    let split = text.len().checked_sub(1).ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(split).ok_or_else(wrong)?;
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let ago = match unit {
        "d" if (0..=36_500).contains(&number) => Duration::days(number),
        "h" if (0..=876_000).contains(&number) => Duration::hours(number),
        _ => return Err(wrong()),
    };
    OffsetDateTime::now_utc().checked_sub(ago).ok_or_else(wrong)
}
