//! `failsafe policy`: reading, trying and publishing the rules by which verdicts are reached.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use decision::policy::{self, Policy, cases};
use decision::published::{self, Published, Role};
use serde_json::{Value, json};

use crate::cli::{self, Output};
use crate::published::Version;
use crate::terminal::{answer, safe, say};

/// Does what the command says.
pub(crate) async fn run(command: &cli::Policy) -> anyhow::Result<ExitCode> {
    match command {
        cli::Policy::Check(options) => return check(options),
        cli::Policy::Test(options) => return test(options),
        cli::Policy::Default => say(policy::DEFAULT.trim_end()),
        cli::Policy::Variables { format } => variables(*format),
        cli::Policy::Publish(options) => publish(options).await?,
        cli::Policy::Rollback(options) => roll_back(options).await?,
        cli::Policy::Published(options) => list(options).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The policy in the file `path`.
///
/// # Errors
/// When it cannot be read, or every mistake in it with its line.
pub(crate) fn read(path: &Path) -> anyhow::Result<Policy> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Policy::parse(&text).map_err(|mistakes| anyhow!("{}", told(path, &mistakes)))
}

fn told(path: &Path, mistakes: &policy::Mistakes) -> String {
    let lines: Vec<String> =
        mistakes.0.iter().map(|one| format!("{}:{}: {}", path.display(), one.line, one.message)).collect();
    lines.join("\n")
}

fn named(policy: &Policy) -> String {
    let stamp = policy.stamp();
    format!("{} ({})", stamp.version, &stamp.digest[..12])
}

/// The policy as a program reads of it.
fn facts(policy: &Policy) -> Value {
    let stamp = policy.stamp();
    json!({ "version": stamp.version, "digest": stamp.digest })
}

fn check(options: &cli::CheckPolicy) -> anyhow::Result<ExitCode> {
    let path = &options.policy;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    match Policy::parse(&text) {
        Ok(policy) => {
            let rules: Vec<&str> = policy.rules().collect();
            let words = format!("{} is sound: policy {}, {} rules", path.display(), named(&policy), rules.len());
            answer(options.output, &words, &json!({ "sound": true, "policy": facts(&policy), "rules": rules }));
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            let all = mistakes.0.iter().map(|one| json!({ "line": one.line, "message": one.message }));
            let facts = json!({ "sound": false, "mistakes": all.collect::<Vec<_>>() });
            answer(options.output, &safe(&told(path, &mistakes)), &facts);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Tries every case; exits 0 when all hold.
fn test(options: &cli::TestPolicy) -> anyhow::Result<ExitCode> {
    let policy = options.policy.as_deref().map(read).transpose()?.unwrap_or_default();
    let (mut tried, mut failed) = (Vec::new(), 0);
    for file in &options.cases {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for case in cases::parse(&text).map_err(|mistakes| anyhow!("{}", told(file, &mistakes)))? {
            let outcome = case.try_with(&policy);
            let holds = outcome.wrong.is_empty();
            failed += usize::from(!holds);
            let reasons = outcome.judgement.reasons.iter();
            tried.push(json!({
                "file": file.display().to_string(),
                "line": case.line,
                "name": case.name,
                "holds": holds,
                "verdict": outcome.judgement.verdict.name(),
                "wrong": outcome.wrong,
                "reasons": reasons.clone().map(|one| json!({ "rule": one.rule, "message": one.message })).collect::<Vec<_>>(),
            }));
            if options.output == Output::Json {
                continue;
            }
            let state = if holds { "ok" } else { "FAILED" };
            say(&format!("{state:<6}  {:<6}  {}", outcome.judgement.verdict, safe(&case.name)));
            for wrong in &outcome.wrong {
                say(&format!("        {}:{}: {}", file.display(), case.line, safe(wrong)));
            }
            for reason in reasons.filter(|_| !holds) {
                say(&format!("        {}: {}", reason.rule, safe(&reason.message)));
            }
        }
    }
    let words = format!("{} cases, {failed} failed, by policy {}", tried.len(), named(&policy));
    answer(options.output, &words, &json!({ "policy": facts(&policy), "failed": failed, "cases": tried }));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn variables(format: cli::VariablesFormat) {
    match format {
        cli::VariablesFormat::Text => {
            policy::variables().for_each(|(name, of, what)| say(&format!("{name:<26}  {of:<30}  {what}")));
        }
        cli::VariablesFormat::Json => {
            let all = policy::variables().map(|(name, of, what)| json!({ "name": name, "type": of, "what": what }));
            say(&format!("{:#}", Value::from_iter(all)));
        }
        cli::VariablesFormat::Markdown => {
            println!("| variable | type | what it is |\n| --- | --- | --- |");
            policy::variables().for_each(|(name, of, what)| println!("| `{name}` | {of} | {what} |"));
        }
    }
}

async fn roll_back(options: &cli::OnBus) -> anyhow::Result<()> {
    let policy = published::roll_back(&options.bus.connect().await?).await?;
    let words = match &policy {
        Some(policy) => format!("{} decides again.", named(policy)),
        None => "There was none before: every decision service decides by its own policy again.".to_owned(),
    };
    let facts = json!({ "role": Role::Active.name(), "policy": policy.as_ref().map(facts) });
    answer(options.output, &words, &facts);
    Ok(())
}

async fn publish(options: &cli::PublishPolicy) -> anyhow::Result<()> {
    let role = if options.shadow { Role::Shadow } else { Role::Active };
    let Some(path) = options.policy.as_deref() else {
        published::withdraw(&options.bus.connect().await?, role).await?;
        let words = match role {
            Role::Active => "No policy is published any more: every decision service decides by its own.",
            Role::Shadow => "Nothing decides in the shadow of the active policy any more.",
        };
        answer(options.output, words, &json!({ "role": role.name(), "policy": null }));
        return Ok(());
    };
    let policy = read(path)?;
    let version = published::publish(&options.bus.connect().await?, role, &policy).await?;
    let words = format!(
        "{} is published as version {version}: every running decision service {} within a second.",
        named(&policy),
        match role {
            Role::Active => "decides by it",
            Role::Shadow => "stores its verdicts beside the active policy's",
        }
    );
    answer(options.output, &words, &json!({ "role": role.name(), "policy": facts(&policy), "version": version }));
    Ok(())
}

/// Prints every version of both roles that is kept.
async fn list(options: &cli::OnBus) -> anyhow::Result<()> {
    let bus = options.bus.connect().await?;
    let mut rows = Vec::new();
    for role in Role::ALL {
        let versions = published::versions(&bus, role).await?;
        let latest = versions.len();
        rows.extend(versions.into_iter().zip(1..).map(|(version, place)| row(role, version, place == latest)));
    }
    let nothing = "Nothing was published: every decision service decides by its own policy.";
    crate::published::print(&rows, nothing, options.output);
    Ok(())
}

fn row(role: Role, version: Published, is_latest: bool) -> Version {
    let (what, about) = match &version.policy {
        Some(Ok(policy)) => (named(policy), format!("{} rules", policy.rules().count())),
        Some(Err(mistakes)) => ("unusable".to_owned(), mistakes.to_string()),
        None => ("none".to_owned(), String::new()),
    };
    Version { document: version.document, role: role.name(), what, about, is_latest }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");

    #[test]
    fn the_manual_lists_every_variable_as_it_is() {
        let manual = std::fs::read_to_string(format!("{DEPLOY}/policy.md")).unwrap();
        for (name, of, what) in policy::variables() {
            let row = format!("| `{name}` | {of} | {what} |");
            assert!(manual.contains(&row), "deploy/policy.md lacks the row {row}");
        }
        let rows = manual.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 4).count();
        assert_eq!(rows, policy::variables().count(), "a variable that is no more is in deploy/policy.md");
    }

    #[test]
    fn the_pieces_of_the_manual_make_a_policy_and_its_case_can_be_read() {
        let manual = std::fs::read_to_string(format!("{DEPLOY}/policy.md")).unwrap();
        let mut pieces = manual.split("```toml\n").skip(1).filter_map(|piece| piece.split("```").next());
        // Keys that stand before the tables of their piece come first in the whole.
        let (mut keys, mut tables, mut cases) = (String::new(), String::new(), String::new());
        for piece in pieces.by_ref() {
            if piece.starts_with("[[case]]") {
                cases.push_str(piece);
                continue;
            }
            let table = piece.find("\n[").map_or(0, |at| at + 1);
            let table = if piece.starts_with('[') { 0 } else { table };
            keys.push_str(&piece[..table]);
            tables.push_str(&piece[table..]);
        }
        let policy = Policy::parse(&format!("{keys}{tables}")).unwrap();
        assert_eq!(policy.rules().collect::<Vec<_>>(), ["risk.review", "freeze"]);
        assert_eq!(cases::parse(&cases).unwrap().len(), 1);
    }

    #[test]
    fn the_sample_cases_hold_under_the_default_policy() {
        let text = std::fs::read_to_string(format!("{DEPLOY}/policy.cases.toml")).unwrap();
        for case in cases::parse(&text).unwrap() {
            let tried = case.try_with(&Policy::default());
            assert_eq!(tried.wrong, Vec::<String>::new(), "{}: {:#?}", case.name, tried.judgement);
        }
    }
}
