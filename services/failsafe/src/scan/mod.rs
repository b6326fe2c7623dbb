//! `failsafe scan`: the Law over a diff, without any service.

mod json;

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use static_analysis::{Config, Law};

use crate::cli::Scan;
use crate::terminal::say;

/// Scans the diff on the standard input. Exits 0 when it is clean and 1 when a finding is as severe as `--fail-on`.
pub(crate) fn run(options: &Scan) -> anyhow::Result<ExitCode> {
    let law = Law::new(&Config { findings_max: usize::MAX, ..Config::default() }).map_err(|error| anyhow!(error))?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).context("cannot read the diff from the standard input")?;
    let text = String::from_utf8_lossy(&bytes);
    let diff = domain::diff::parse(&text).context("the diff cannot be read")?;
    let analysis = law.scan(&diff);
    for finding in &analysis.findings {
        say(&json::line(finding)?);
    }
    let fail_on = options.fail_on.into();
    let failing = analysis.findings.iter().any(|finding| finding.suppression.is_none() && finding.severity >= fail_on);
    Ok(if failing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
