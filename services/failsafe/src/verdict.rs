//! `failsafe verdict`: verdicts that others can check without asking.

use std::process::ExitCode;

use anyhow::Context;
use decision::attestation::{Envelope, Wanted};
use decision::checkpoint::read_verifying_key;
use proto::v1;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::cli::{self, Attest, VerifyVerdict};
use crate::client::Client;
use crate::terminal::{answer, safe, say};

/// Does what the command says.
pub(crate) async fn run(command: &cli::Verdict) -> anyhow::Result<ExitCode> {
    match command {
        cli::Verdict::Attest(options) => attest(options).await,
        cli::Verdict::Verify(options) => verify(options),
    }
}

async fn attest(options: &Attest) -> anyhow::Result<ExitCode> {
    let request =
        v1::AttestVerdictRequest { deployment_id: options.deployment_id.clone(), verdict_number: options.verdict };
    let attested = Client::connect(&options.asking.server).await?.attest(request).await?;
    if attested.key_id.is_empty() {
        eprintln!("failsafe: it is not signed, because the decision service has no key (decision.signing_key_path)");
    }
    match &options.out {
        None => say(&attested.envelope),
        Some(path) => {
            std::fs::write(path, format!("{}\n", attested.envelope))
                .with_context(|| format!("cannot write {}", path.display()))?;
            let by =
                if attested.key_id.is_empty() { String::new() } else { format!(", signed by {}", attested.key_id) };
            let verdict = attested.verdict().as_str_name().trim_start_matches("VERDICT_");
            let words = format!("{verdict} written to {}{by}", path.display());
            let facts =
                json!({ "verdict": verdict, "written_to": path.display().to_string(), "key_id": attested.key_id });
            answer(options.asking.output, &words, &facts);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(options: &VerifyVerdict) -> anyhow::Result<ExitCode> {
    let key = read_verifying_key(&options.key)?;
    let text = std::fs::read_to_string(&options.statement)
        .with_context(|| format!("cannot read {}", options.statement.display()))?;
    let age = options.max_age_hours.map(|hours| Duration::hours(i64::from(hours)));
    let wanted = Wanted {
        commit: options.commit.clone(),
        repository: options.repository.clone(),
        not_before: age.map(|age| OffsetDateTime::now_utc() - age),
    };
    let held = Envelope::from_json(&text)?
        .opened_by(&key)
        .and_then(|statement| statement.ensure_passes(&wanted).map(|()| statement));
    Ok(match held {
        Ok(statement) => {
            let about = statement.about();
            let words = format!("ALLOW: {}", safe(&about));
            answer(options.output, &words, &json!({ "passes": true, "about": about }));
            ExitCode::SUCCESS
        }
        Err(why) => {
            let why = format!("{why:#}");
            let words = format!("refused: {}", safe(&why));
            answer(options.output, &words, &json!({ "passes": false, "why": why }));
            ExitCode::FAILURE
        }
    })
}
