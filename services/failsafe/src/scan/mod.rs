//! `failsafe scan`: the Law over a diff or over files, without any service.

mod baseline;
mod files;
mod git;
pub(crate) mod github;
mod json;
mod sarif;
mod source;
mod text;

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, anyhow};
use chassis::Settings;
use domain::{Analysis, Finding, Severity};
use static_analysis::{Config, Law, Own};

use crate::cli::{Format, Scan};
use crate::progress::Progress;
use crate::terminal::Style;
use source::Source;

/// Scans what `options` name. Exits 0 when no finding is as severe as `--fail-on`, and 1 when one is.
pub(crate) fn run(options: &Scan) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let law = law(options)?;
    let mut progress = Progress::start("files");
    let source = Source::read(options, &progress)?;
    let diff = source.diff()?;
    progress.say("scanning");
    let mut analysis = law.scan_watched(&diff, |done| progress.step(done));
    progress.end();
    let binary = diff.files.iter().filter(|file| file.change.binary).count();
    // The process ends with the scan. To free what it read, hunk by hunk, would take as long as some of the rules.
    std::mem::forget(diff);
    if binary > 0 {
        eprintln!("failsafe: of {binary} binary files the diff shows nothing");
    }
    if let Some(file) = &options.write_baseline {
        baseline::write(file, &analysis.findings)?;
        eprintln!("failsafe: {} findings are written to {}", analysis.findings.len(), file.display());
        return Ok(ExitCode::SUCCESS);
    }
    let threshold = Severity::from(options.fail_on);
    let failing = analysis.findings.iter().any(|finding| counts(finding) && finding.severity >= threshold);
    let suppressed = analysis.findings.iter().filter(|finding| !counts(finding)).count();
    if !options.show_suppressed && options.format != Format::Sarif {
        analysis.findings.retain(counts);
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let printed = match options.format {
        Format::Text => text::write(&mut out, &analysis, suppressed, started.elapsed(), Style::of_stdout()),
        Format::Json => json::write(&mut out, &analysis),
        Format::Sarif => sarif::write(&mut out, &analysis, law.rules()),
        Format::Github => github::write(&mut out, &analysis),
    };
    // That nobody reads on (`failsafe scan | head`) is no error.
    match printed.and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot print the findings"),
        _ => Ok(if failing { ExitCode::FAILURE } else { ExitCode::SUCCESS }),
    }
}

/// The law under the settings, with all findings and not only the worst, and with one's own rules: those of the settings and the
/// command line, and those of the repository, which can only add.
fn law(options: &Scan) -> anyhow::Result<Law> {
    let settings = Settings::load(options.config.as_deref())?;
    let config = Config { findings_max: usize::MAX, ..settings.table("static_analysis")? };
    let known = options.baseline.as_deref().map_or_else(|| Ok(HashSet::new()), baseline::read)?;
    let mut own = Own::of(&config.rules_paths).map_err(|error| anyhow!("static_analysis.rules_paths: {error}"))?;
    for file in &options.rules {
        own.trust(file).map_err(|error| anyhow!("--rules: {error}"))?;
    }
    for root in source::roots(options) {
        own.admit(&root).map_err(|error| anyhow!("the repository's own rules: {error}"))?;
    }
    Law::with(&config, &own, known).map_err(|error| anyhow!("static_analysis.{error}"))
}

fn counts(finding: &Finding) -> bool {
    finding.suppression.is_none()
}

/// How many findings there are of each severity that there are, the worst first: `1 critical, 2 high`.
fn by_severity(analysis: &Analysis) -> String {
    let count = |severity| analysis.findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = Severity::ALL.into_iter().rev().map(|severity| (count(severity), severity));
    let counts: Vec<_> =
        counts.filter(|(count, _)| *count > 0).map(|(count, severity)| format!("{count} {severity}")).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests;
