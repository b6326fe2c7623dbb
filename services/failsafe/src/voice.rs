//! The Voice, given the rules for secrets. It must not know of static analysis, nor that of it: they meet here.

use anyhow::anyhow;
use chassis::Process;
use domain::diff::{Diff, FileDiff, Hunk, Line, LineKind};
use domain::{Category, FileChange, FileChangeKind};
use llm_explainer::SecretRules;
use static_analysis::Law;

/// Runs the Voice until the process is told to end.
///
/// # Errors
/// When a setting is wrong, or the bus cannot be used.
pub(crate) async fn run(process: Process, config: llm_explainer::Config) -> anyhow::Result<()> {
    let secrets = secret_rules(process.settings.table("static_analysis")?)?;
    llm_explainer::run(process, config, secrets).await
}

/// The rules by which static analysis sees secrets. Those that the settings turn off are among them: what need not block
/// need not be told to a model either.
///
/// # Errors
/// The setting that is wrong.
pub fn secret_rules(config: static_analysis::Config) -> anyhow::Result<SecretRules> {
    let config = static_analysis::Config { rules_disabled: Vec::new(), findings_max: 1, ..config };
    let law = Law::new(&config).map_err(|error| anyhow!("static_analysis.{error}"))?;
    Ok(SecretRules::new(move |text| first_in(&law, text)))
}

/// The rule of the first secret in `text`, read as if it were a new file.
fn first_in(law: &Law, text: &str) -> Option<String> {
    let text = &without_marks(text);
    let line = |(number, text)| Line { kind: LineKind::Added, number, text };
    let lines: Vec<Line<'_>> = (1..).zip(text.lines()).map(line).collect();
    let change = FileChange {
        path: "prompt.txt".to_owned(),
        old_path: None,
        kind: FileChangeKind::Added,
        lines_added: u32::try_from(lines.len()).unwrap_or(u32::MAX),
        lines_deleted: 0,
        binary: false,
    };
    let diff = Diff { files: vec![FileDiff { change, hunks: vec![Hunk { section: "", lines }] }] };
    let findings = law.scan(&diff).findings.into_iter();
    findings.filter(|finding| finding.category == Category::Secret).map(|finding| finding.rule_id).next()
}

/// `text` without the marks that redaction leaves in the place of secrets, such as `AKIA…[20]`: in the place of a password they
/// look like one. What is longer in front of `…` than redaction shows was not written by it, and stays.
fn without_marks(text: &str) -> String {
    let mut parts = text.split("…[");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        match part[digits..].strip_prefix(']') {
            Some(rest) if digits > 0 => {
                let shown: usize = kept.chars().rev().take_while(|c| !parts_words(*c)).map(char::len_utf8).sum();
                if kept[kept.len() - shown..].chars().count() <= SHOWN_CHARS_MAX {
                    kept.truncate(kept.len() - shown);
                }
                kept.push_str(rest);
            }
            _ => {
                kept.push_str("…[");
                kept.push_str(part);
            }
        }
    }
    kept
}

/// Most characters that redaction shows of a secret.
const SHOWN_CHARS_MAX: usize = 4;

const fn parts_words(c: char) -> bool {
    c.is_ascii_whitespace()
        || matches!(c, '"' | '\'' | '`' | ':' | '=' | '@' | '/' | ',' | ';' | '(' | '[' | '{' | '>' | '#')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{
        Analysis, Cause, Circumstances, DeploymentId, Evidence, Judgement, PolicyStamp, Reached, Reason, Said, Signal,
        Source, Verdict,
    };
    use llm_explainer::Template;
    use llm_explainer::evidence::{self, Limits};
    use llm_explainer::prompt::prompt;
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::string::string_regex;
    use proptest::test_runner::TestRunner;
    use time::OffsetDateTime;

    use super::*;

    /// A verdict that rests on that analysis.
    fn reached(analysis: Analysis) -> Reached {
        let deployment_id = DeploymentId::parse("2390b58a-c653-5a88-a9a1-c2e65e719444").unwrap();
        let rests_on = analysis.findings.iter().map(|finding| Evidence::Finding {
            rule_id: finding.rule_id.clone(),
            fingerprint: finding.fingerprint.clone(),
            path: finding.path.clone(),
            line: finding.line,
        });
        let reason = |message: String, evidence| Reason {
            rule: "findings.block".to_owned(),
            effect: Verdict::Block,
            message,
            measured: "critical".to_owned(),
            threshold: "high".to_owned(),
            evidence: vec![evidence],
        };
        let said = analysis.findings.iter().map(|finding| format!("{}: {}", finding.rule_id, finding.message));
        let reasons = said.zip(rests_on).map(|(message, evidence)| reason(message, evidence)).collect();
        let signal = Signal {
            deployment_id,
            source: Source::StaticAnalysis,
            basis: "b930818ff904a5858c78d94517242ef3ed1996eca966c8f98ecfb3b0ce7150f4".to_owned(),
            producer: "0.1.0".to_owned(),
            raised_at: OffsetDateTime::UNIX_EPOCH,
            took: Duration::ZERO,
            said: Said::Findings(analysis),
        };
        Reached {
            deployment_id,
            number: 1,
            judgement: Judgement::new(Verdict::Block, reasons, Vec::new()),
            policy: PolicyStamp { version: "default-1".to_owned(), digest: "d".repeat(64) },
            cause: Cause::Complete,
            reached_at: OffsetDateTime::UNIX_EPOCH,
            deployment: None,
            signals: vec![signal],
            evidence_digest: "e".repeat(64),
            circumstances: Circumstances::default(),
        }
    }

    fn analysis(law: &Law, path: &str, text: &str) -> Analysis {
        let line = |(number, text)| Line { kind: LineKind::Added, number, text };
        let change = FileChange {
            path: path.to_owned(),
            old_path: None,
            kind: FileChangeKind::Added,
            lines_added: 1,
            lines_deleted: 0,
            binary: false,
        };
        let lines = (1..).zip(text.lines()).map(line).collect();
        law.scan(&Diff { files: vec![FileDiff { change, hunks: vec![Hunk { section: "", lines }] }] })
    }

    /// Lines with secrets of every form that the rows of `folder` describe, as far as a generator understands the row.
    fn lines(folder: &str) -> Vec<String> {
        let mut runner = TestRunner::deterministic();
        let mut lines = Vec::new();
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
            let table: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
            for row in table["rules"].as_array().unwrap() {
                let mut first = |list: &str| {
                    let pattern = row.get(list)?.as_array()?.first()?.as_str()?;
                    Some(string_regex(pattern).ok()?.new_tree(&mut runner).ok()?.current())
                };
                let name = first("names").unwrap_or_else(|| "service".to_owned());
                lines.extend(first("tokens").map(|token| format!("{name}_key = \"{token}\"")));
            }
        }
        lines
    }

    #[test]
    fn what_static_analysis_has_redacted_is_sent_and_what_it_has_not_is_refused() {
        let law = Law::new(&static_analysis::Config::default()).unwrap();
        let secrets = secret_rules(static_analysis::Config::default()).unwrap();
        let limits = Limits { items_max: 100, chars_max: 100_000 };
        let template = Template::english();
        let (mut refused, mut seen, mut all) = (Vec::new(), 0, 0);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../static-analysis/src/rules/secret/patterns");
        for line in lines(folder) {
            all += 1;
            let analysis = analysis(&law, "src/settings.py", &line);
            let is_found = analysis.findings.iter().any(|finding| finding.category == Category::Secret);
            seen += usize::from(is_found);
            assert!(!is_found || secrets.first_in(&line).is_some(), "found in a file and not in a prompt: {line}");
            let reached = reached(analysis);
            if let Err(secret) = prompt(Verdict::Block, &evidence::Evidence::of(&reached, limits), &template, &secrets)
            {
                refused.push(format!("{}: {line}", secret.rule));
            }
        }
        assert!(seen > 500, "{seen} of {all} are found as they are");
        // Of a form as loose as a word there may be one in the prompt's own words.
        assert!(refused.len() * 100 < seen, "{} of {seen}:\n{}", refused.len(), refused.join("\n"));
    }

    #[test]
    fn the_marks_of_redaction_are_no_secrets_and_hide_none() {
        for (text, expected) in [
            ("postgresql://app:JZMY…[20]@host/db", "postgresql://app:@host/db"),
            ("a = 'abcd…[20]'; b = …[5]", "a = ''; b = "),
            ("AKIAQ3EGRX…[1]", "AKIAQ3EGRX"),
            ("see …[more] and a…[7", "see …[more] and a…[7"),
        ] {
            assert_eq!(without_marks(text), expected);
        }
    }
}
