//! What can be typed about the audit trail.

use std::path::PathBuf;

use chassis::Settings;
use clap::{Args, Subcommand};
use decision::chain::Month;
use decision::config::DatabaseSettings;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Walk the chain of every event, and name the first row that is not as it was written.
    #[command(after_help = VERIFY)]
    Verify(Verify),
    /// Write the trail as lines of JSON, one event a line.
    #[command(after_help = EXPORT)]
    Export(Export),
    /// State where the chain of a month ends, signed, to be kept where nobody who can change the trail can reach it.
    #[command(after_help = CHECKPOINT)]
    Checkpoint(MakeCheckpoint),
    /// Drop all that is known of the deployments of a month, once a signed checkpoint says what was in it.
    #[command(after_help = DROP)]
    Drop(Drop),
    /// Bring the tables up to date, as the role that owns them: for services that run without that right.
    Migrate(Database),
}

const VERIFY: &str = "Examples:
  failsafe audit verify
  failsafe audit verify --month 2026-11 --checkpoint 2026-11.json --key failsafe.pub

Exit codes:
  0  every chain is whole
  1  one is broken
  2  an error";
const EXPORT: &str = "Examples:
  failsafe audit export --month 2026-11 --output 2026-11.jsonl
  failsafe audit export --since 2026-11-20 | jq -r 'select(.kind == \"verdict.reached\") | .body.judgement.verdict'
  python3 deploy/examples/verify.py < 2026-11.jsonl";
const CHECKPOINT: &str = "Examples:
  openssl genpkey -algorithm ed25519 -out failsafe.pem
  FAILSAFE__DECISION__SIGNING_KEY_PATH=failsafe.pem failsafe audit checkpoint --month 2026-10 --output 2026-10.json";
const DROP: &str = "Examples:
  failsafe audit drop --month 2026-01 --checkpoint 2026-01.json --key failsafe.pem

The database's role has to own the tables. deploy/audit.md says what is checked before anything goes.";

/// How to reach the audit trail.
#[derive(Args, Debug)]
pub(crate) struct Database {
    /// The PostgreSQL database of the audit trail.
    #[arg(long, value_name = "URL", env = "FAILSAFE__DATABASE__URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Settings in TOML; FAILSAFE__TABLE__KEY variables go over them, and the flag over both.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl Database {
    fn settings(&self) -> anyhow::Result<Settings> {
        let settings = Settings::load(self.config.as_deref())?;
        Ok(match &self.database_url {
            Some(url) => settings.with("database.url", url.clone()),
            None => settings,
        })
    }

    /// The address of the database.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        Ok(self.settings()?.table::<DatabaseSettings>("database")?.url)
    }

    /// `decision.signing_key_path`, unless `key` goes over it.
    pub(crate) fn key_path(&self, key: Option<&PathBuf>) -> anyhow::Result<Option<PathBuf>> {
        let set = self.settings()?.table::<decision::Config>("decision")?.signing_key_path;
        Ok(key.cloned().or(set))
    }
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Only this month [default: all].
    #[arg(long, value_name = "YYYY-MM", value_parser = Month::parse)]
    pub(crate) month: Option<Month>,
    /// A checkpoint that the chain has to go through; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Vec<PathBuf>,
    /// The key that the checkpoints have to be signed by, in PEM: the public one is enough.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// How to print what is found.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) database: Database,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Only this month: that in which the first word of the deployments came.
    #[arg(long, value_name = "YYYY-MM", value_parser = Month::parse)]
    pub(crate) month: Option<Month>,
    /// Only what was received at this time or later: 2026-11-20, or 2026-11-20T16:30:00+01:00.
    #[arg(long, value_name = "TIME", value_parser = time_of)]
    pub(crate) since: Option<OffsetDateTime>,
    /// Where to write to; `-` is the standard output.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) database: Database,
}

#[derive(Args, Debug)]
pub(crate) struct MakeCheckpoint {
    /// Of which month [default: the last that is over].
    #[arg(long, value_name = "YYYY-MM", value_parser = Month::parse)]
    pub(crate) month: Option<Month>,
    /// The private Ed25519 key to sign with, in PEM [default: decision.signing_key_path].
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Where to write to; `-` is the standard output.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) database: Database,
}

#[derive(Args, Debug)]
pub(crate) struct Drop {
    /// Which month goes: that of the checkpoint.
    #[arg(long, value_name = "YYYY-MM", value_parser = Month::parse)]
    pub(crate) month: Month,
    /// The signed checkpoint of the month as it is now.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: PathBuf,
    /// The key that it has to be signed by, in PEM: the public one is enough [default: decision.signing_key_path].
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// How many days old the checkpoint has to be at least.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub(crate) older_than: u16,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) database: Database,
}

fn time_of(text: &str) -> Result<OffsetDateTime, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    OffsetDateTime::parse(&whole, &Rfc3339)
        .map_err(|_| "must be a day such as 2026-11-20, or a time such as 2026-11-20T16:30:00+01:00".to_owned())
}
