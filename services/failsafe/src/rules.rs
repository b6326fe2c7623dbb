//! `failsafe rules`: what the Law looks for.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use domain::{Category, Confidence, Severity};
use serde::Serialize;
use serde_json::json;
use static_analysis::rules::Rule;
use static_analysis::trial::trials;
use static_analysis::{Config, Law, Own};

use crate::cli::{Listing, Output, Rules, RulesFormat, ShowRule, TestRules};
use crate::terminal::{Look, Sheet, Style, answer, safe, say};

/// Most ids offered in place of one that nobody knows.
const OFFERED_MAX: usize = 8;

/// Lists the rules, says all of one, or tries those of a file.
pub(crate) fn run(command: &Rules) -> anyhow::Result<ExitCode> {
    match command {
        Rules::List(options) => list(law(&options.rules)?.rules(), options)?,
        Rules::Show(options) => show(law(&options.rules)?.rules(), options)?,
        Rules::Test(options) => return test(options),
    }
    Ok(ExitCode::SUCCESS)
}

fn law(own: &[PathBuf]) -> anyhow::Result<Law> {
    let own = Own::of(own).map_err(|error| anyhow!("--rules: {error}"))?;
    Law::with(&Config::default(), &own, HashSet::new()).map_err(|error| anyhow!(error))
}

/// Tries every rule of the files; exits 0 when all do what their examples say.
fn test(options: &TestRules) -> anyhow::Result<ExitCode> {
    let files = &options.files;
    // That a file can be used at all: its ids, too.
    Own::of(files).map_err(|error| anyhow!(error))?;
    let mut failed = 0;
    let mut tried = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for trial in trials(&text).map_err(|error| anyhow!("{}: {error}", file.display()))? {
            tried.push(json!({
                "rule": trial.rule.id,
                "examples": trial.examples,
                "counterexamples": trial.counterexamples,
                "failures": trial.failures,
            }));
            failed += usize::from(!trial.failures.is_empty());
            if options.output == Output::Json {
                continue;
            }
            let examples = trial.examples + trial.counterexamples;
            let state = match (trial.failures.is_empty(), examples) {
                (false, _) => "FAILED",
                (true, 0) => "untested",
                (true, _) => "ok",
            };
            let count = format!("{} examples, {} counterexamples", trial.examples, trial.counterexamples);
            say(&format!("{state:<8}  {:<52}  {count}", trial.rule.id));
            for failure in &trial.failures {
                say(&format!("          {}", safe(failure)));
            }
        }
    }
    let words = format!("{} rules, {failed} failed", tried.len());
    answer(options.output, &words, &json!({ "failed": failed, "rules": tried }));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A rule as a program reads it.
#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    title: &'a str,
    category: &'static str,
    severity: &'static str,
    confidence: &'static str,
    cwe: u32,
    hazard: &'a str,
    remediation: &'a str,
    references: &'a [&'a str],
}

fn list(rules: &[&'static Rule], options: &Listing) -> anyhow::Result<()> {
    let category = options.category.map(Category::from);
    let mut rules: Vec<_> =
        rules.iter().copied().filter(|rule| category.is_none_or(|wanted| rule.category == wanted)).collect();
    if options.format == RulesFormat::Markdown {
        print!("{}", static_analysis::page(&rules));
        return Ok(());
    }
    rules.sort_by_key(|rule| (rule.category, rule.id));
    for rule in rules {
        if options.format == RulesFormat::Json {
            say(&serde_json::to_string(&record(rule))?);
        } else {
            say(&format!("{:<8}  {:<52}  {}", rule.severity.name(), rule.id, rule.title));
        }
    }
    Ok(())
}

fn record(rule: &'static Rule) -> Record<'static> {
    Record {
        id: rule.id,
        title: rule.title,
        category: rule.category.name(),
        severity: rule.severity.name(),
        confidence: rule.confidence.name(),
        cwe: rule.cwe,
        hazard: rule.hazard,
        remediation: rule.remediation,
        references: rule.references,
    }
}

fn show(rules: &[&'static Rule], options: &ShowRule) -> anyhow::Result<()> {
    let id = options.id.as_str();
    let Some(rule) = rules.iter().find(|rule| rule.id == id) else {
        let near: Vec<_> = rules.iter().map(|rule| rule.id).filter(|known| known.contains(id)).collect();
        match near.len() {
            0 => bail!("there is no rule {id:?}; `failsafe rules list` names them"),
            1..=OFFERED_MAX => bail!("there is no rule {id:?}; did you mean {}?", near.join(", ")),
            many => bail!(
                "there is no rule {id:?}, and {many} have that in their ids: {} …",
                near[..OFFERED_MAX].join(", ")
            ),
        }
    };
    if options.output == Output::Json {
        say(&serde_json::to_string_pretty(&record(rule))?);
        return Ok(());
    }
    let mut sheet = Sheet::new(Style::of_stdout());
    sheet.row(&[(Look::Bold, rule.id)]);
    sheet.paragraph(0, Look::Plain, rule.title);
    sheet.space();
    sheet.paragraph(2, Look::Plain, &format!("Severity     {}: {}", rule.severity, severity(rule.severity)));
    sheet.paragraph(
        2,
        Look::Plain,
        &format!("Confidence   {}: {}", rule.confidence.name(), confidence(rule.confidence)),
    );
    if rule.cwe > 0 {
        sheet.paragraph(
            2,
            Look::Plain,
            &format!("Weakness     CWE-{0} https://cwe.mitre.org/data/definitions/{0}.html", rule.cwe),
        );
    }
    if !rule.hazard.is_empty() {
        sheet.paragraph(2, Look::Plain, &format!("Hazard       {}", rule.hazard));
    }
    sheet.space();
    sheet.item(2, (Look::Dim, "→"), Look::Plain, rule.remediation);
    for reference in rule.references {
        sheet.item(2, (Look::Dim, "·"), Look::Dim, reference);
    }
    sheet.space();
    sheet.paragraph(
        2,
        Look::Dim,
        &format!("To let one line stand: a comment on it, failsafe:allow {} and the reason.", rule.id),
    );
    say(&sheet.into_text());
    Ok(())
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "worth knowing",
        Severity::Low => "worth mending some day",
        Severity::Medium => "worth a look before the deployment",
        Severity::High => "likely to hurt",
        Severity::Critical => "certain to hurt",
    }
}

const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "a guess worth a look",
        Confidence::Medium => "more likely right than wrong",
        Confidence::High => "the form itself is proof",
    }
}
