//! Cases beside a policy: given these signals, expect this verdict and these reasons.

use std::time::Duration;

use domain::{
    Analysis, Category, Change, Circumstances, Confidence, Deployment, DeploymentId, DiffDigest, FileChange,
    FileChangeKind, Finding, History, Judgement, PullRequest, Rank, Repository, Review, ReviewDecision, Revision, Risk,
    RiskScore, Said, Severity, Signal, Source, Verdict,
};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::Spanned;

use super::file::line_of;
use super::{Given, Inputs, Mistake, Mistakes, Policy};

/// One case: what is given, and what is expected.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The line of the file where it stands, from 1.
    pub line: usize,
    expect: Verdict,
    reasons: Vec<String>,
    without: Vec<String>,
    deployment: Deployment,
    signals: Vec<Signal>,
    reviews: Vec<Review>,
    circumstances: Circumstances,
    at: OffsetDateTime,
}

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What the policy says.
    pub judgement: Judgement,
    /// What was expected and is otherwise, in one sentence each; empty when the case holds.
    pub wrong: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "case")]
    cases: Vec<Spanned<CaseTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseTable {
    name: String,
    expect: Spanned<String>,
    #[serde(default)]
    reasons: Vec<String>,
    #[serde(default)]
    without: Vec<String>,
    at: Option<Spanned<String>>,
    risk: Option<Spanned<f64>>,
    lift: Option<f64>,
    percentile: Option<f64>,
    #[serde(default)]
    missing: Vec<Spanned<String>>,
    #[serde(default)]
    unknown_features: Vec<String>,
    #[serde(default)]
    known: Vec<String>,
    #[serde(default)]
    pure_revert: bool,
    #[serde(default)]
    deployment: DeploymentTable,
    #[serde(default, rename = "finding")]
    findings: Vec<FindingTable>,
    #[serde(default, rename = "file")]
    files: Vec<FileTable>,
    #[serde(default, rename = "review")]
    reviews: Vec<ReviewTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DeploymentTable {
    repository: String,
    pull_request: u32,
    title: String,
    author: String,
    branch: String,
    base_branch: String,
    environment: String,
    labels: Vec<String>,
    commits: Option<u32>,
}

impl Default for DeploymentTable {
    fn default() -> Self {
        Self {
            repository: "acme/shop".to_owned(),
            pull_request: 1,
            title: String::new(),
            author: String::new(),
            branch: String::new(),
            base_branch: String::new(),
            environment: String::new(),
            labels: Vec::new(),
            commits: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindingTable {
    rule: String,
    severity: Spanned<String>,
    #[serde(default)]
    confidence: Option<Spanned<String>>,
    #[serde(default)]
    category: Option<Spanned<String>>,
    path: String,
    #[serde(default)]
    line: u32,
    #[serde(default)]
    hazard: String,
    #[serde(default)]
    fingerprint: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    path: String,
    #[serde(default)]
    lines_added: u32,
    #[serde(default)]
    lines_deleted: u32,
    #[serde(default)]
    binary: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewTable {
    by: String,
    decision: Spanned<String>,
}

/// Reads the cases of a file.
///
/// # Errors
/// Every mistake, with its line.
pub fn parse(text: &str) -> Result<Vec<Case>, Mistakes> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        Mistakes(vec![Mistake { line, message: error.message().to_owned() }])
    })?;
    let mut mistakes = Vec::new();
    let cases: Vec<Case> = file
        .cases
        .iter()
        .filter_map(|table| {
            let line = line_of(text, table.span().start);
            case(table.get_ref(), line)
                .map_err(|(at, message)| mistakes.push(Mistake { line: line_of(text, at), message }))
                .ok()
        })
        .collect();
    if cases.is_empty() && mistakes.is_empty() {
        mistakes.push(Mistake { line: 1, message: "there is no [[case]] in it".to_owned() });
    }
    if mistakes.is_empty() { Ok(cases) } else { Err(Mistakes(mistakes)) }
}

/// A mistake at an offset of the text.
type Wrong = (usize, String);

fn named<T>(all: &[T], name: impl Fn(&T) -> &'static str, text: &Spanned<String>) -> Result<T, Wrong>
where
    T: Copy,
{
    all.iter().copied().find(|one| name(one) == text.get_ref()).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(name).collect();
        (text.span().start, format!("{:?} is none of {}", text.get_ref(), names.join(", ")))
    })
}

fn case(table: &CaseTable, line: usize) -> Result<Case, Wrong> {
    let expect = named(&Verdict::ALL, |verdict| verdict.name(), &table.expect)?;
    let at = match &table.at {
        None => OffsetDateTime::UNIX_EPOCH,
        Some(at) => OffsetDateTime::parse(at.get_ref(), &Rfc3339)
            .map_err(|_| (at.span().start, "at is a time, as in \"2026-12-24T10:00:00+01:00\"".to_owned()))?,
    };
    let deployment = deployment(table, at).map_err(|message| (table.expect.span().start, message))?;
    let sources = table.missing.iter().map(|name| named(&Source::ALL, |source| source.name(), name));
    let missing = sources.collect::<Result<Vec<_>, _>>()?;
    let mut signals = Vec::new();
    if !missing.contains(&Source::StaticAnalysis) {
        let findings = table.findings.iter().map(finding).collect::<Result<_, _>>()?;
        let analysis = Analysis { findings, ..Analysis::default() };
        signals.push(signal(deployment.id, Source::StaticAnalysis, at, Said::Findings(analysis)));
    }
    if !missing.contains(&Source::MlScoring) {
        signals.push(signal(deployment.id, Source::MlScoring, at, Said::Risk(score(table)?)));
    }
    let reviews = table.reviews.iter().map(|one| review(deployment.id, at, one)).collect::<Result<_, _>>()?;
    let circumstances =
        Circumstances { reverts: table.pure_revert.then_some(deployment.id), known_findings: table.known.clone() };
    Ok(Case {
        name: table.name.clone(),
        line,
        expect,
        reasons: table.reasons.clone(),
        without: table.without.clone(),
        deployment,
        signals,
        reviews,
        circumstances,
        at,
    })
}

fn deployment(table: &CaseTable, at: OffsetDateTime) -> Result<Deployment, String> {
    let told = &table.deployment;
    let repository = Repository::parse(&told.repository).map_err(|problem| format!("repository {problem}"))?;
    let pull_request = PullRequest::new(told.pull_request).map_err(|problem| format!("pull_request {problem}"))?;
    let revision = Revision::parse("0000000").map_err(|problem| format!("revision {problem}"))?;
    let file = |file: &FileTable| FileChange {
        path: file.path.clone(),
        old_path: None,
        kind: FileChangeKind::Modified,
        lines_added: file.lines_added,
        lines_deleted: file.lines_deleted,
        binary: file.binary,
    };
    Ok(Deployment {
        id: DeploymentId::derive(&repository, pull_request, &revision),
        repository,
        pull_request,
        revision,
        title: told.title.clone(),
        author: told.author.clone(),
        branch: told.branch.clone(),
        base_branch: told.base_branch.clone(),
        labels: told.labels.clone(),
        environment: told.environment.clone(),
        opened_at: None,
        deploy_at: None,
        commits: told.commits,
        accepted_at: at,
        submitted_by: String::new(),
        change: Change {
            diff: None,
            digest: DiffDigest::of(""),
            files: table.files.iter().map(file).collect(),
            lines: None,
        },
        history: History::default(),
    })
}

fn signal(deployment_id: DeploymentId, source: Source, at: OffsetDateTime, said: Said) -> Signal {
    let (basis, producer) = ("a case".to_owned(), "a case".to_owned());
    Signal { deployment_id, source, basis, producer, raised_at: at, took: Duration::ZERO, said }
}

fn finding(table: &FindingTable) -> Result<Finding, Wrong> {
    let confidence = match &table.confidence {
        Some(name) => named(&Confidence::ALL, |one| one.name(), name)?,
        None => Confidence::High,
    };
    let domain = table.rule.split('.').next().unwrap_or("");
    let category = match &table.category {
        Some(name) => named(&Category::ALL, |one| one.name(), name)?,
        None => Category::ALL.into_iter().find(|one| one.name() == domain).unwrap_or(Category::Code),
    };
    Ok(Finding {
        rule_id: table.rule.clone(),
        title: table.rule.clone(),
        category,
        severity: named(&Severity::ALL, |one| one.name(), &table.severity)?,
        confidence,
        path: table.path.clone(),
        line: table.line,
        column: 0,
        excerpt: String::new(),
        message: "a case".to_owned(),
        remediation: String::new(),
        cwe: 0,
        fingerprint: table.fingerprint.clone(),
        hazard: table.hazard.clone(),
        suppression: None,
    })
}

fn score(table: &CaseTable) -> Result<RiskScore, Wrong> {
    let risk = match &table.risk {
        Some(risk) => Risk::new(*risk.get_ref()).map_err(|problem| (risk.span().start, format!("risk {problem}")))?,
        None => Risk::new(0.0).map_err(|problem| (0, problem))?,
    };
    Ok(RiskScore {
        risk,
        base_log_odds: 0.0,
        contributions: Vec::new(),
        unknown: table.unknown_features.iter().map(|name| name.clone().into()).collect(),
        provenance: String::new(),
        grounds: None,
        lift: table.lift,
        shadow: None,
        rank: table.percentile.map(|percentile| Rank { percentile, among: 200 }),
    })
}

fn review(deployment_id: DeploymentId, at: OffsetDateTime, table: &ReviewTable) -> Result<Review, Wrong> {
    Ok(Review {
        deployment_id,
        verdict_number: 1,
        decision: named(&ReviewDecision::ALL, |one| one.name(), &table.decision)?,
        reviewer: table.by.clone(),
        why: "a case".to_owned(),
        reviewed_at: at,
        evidence_digest: String::new(),
        policy_digest: String::new(),
        request: None,
        recorded_by: String::new(),
    })
}

impl Case {
    /// Judges the case by `policy`, and holds the judgement against what was expected.
    #[must_use]
    pub fn try_with(&self, policy: &Policy) -> Tried {
        let for_verdict = Some((String::new(), policy.stamp().digest.clone()));
        let given = |review: &Review| Given { review: review.clone(), for_verdict: for_verdict.clone() };
        let reviews: Vec<Given> = self.reviews.iter().map(given).collect();
        let judgement = policy.judge(Inputs {
            deployment: Some(&self.deployment),
            signals: &self.signals,
            reviews: &reviews,
            evidence_digest: "",
            circumstances: &self.circumstances,
            at: self.at,
        });
        let mut wrong = Vec::new();
        if judgement.verdict != self.expect {
            wrong.push(format!("expected {}, and it is {}", self.expect, judgement.verdict));
        }
        let fired = |rule: &String| judgement.reasons.iter().any(|reason| reason.rule == *rule);
        wrong.extend(
            self.reasons.iter().filter(|rule| !fired(rule)).map(|rule| format!("expected {rule} among the reasons")),
        );
        wrong.extend(self.without.iter().filter(|rule| fired(rule)).map(|rule| format!("{rule} is among the reasons")));
        Tried { judgement, wrong }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_holds_or_says_what_is_otherwise() {
        let text = "[[case]]\nname = 'a leaked key'\nexpect = 'BLOCK'\nreasons = ['findings.block']\n\
            [[case.finding]]\nrule = 'secret.aws.key'\nseverity = 'critical'\npath = 'a.py'\n\
            [[case]]\nname = 'risky'\nexpect = 'ALLOW'\nrisk = 0.1\nreasons = ['nothing.found']\nwithout = ['risk.review']\n";
        let cases = parse(text).unwrap();
        assert_eq!(cases.iter().map(|case| case.line).collect::<Vec<_>>(), [1, 9]);
        assert_eq!(cases[0].try_with(&Policy::default()).wrong, Vec::<String>::new());
        let wrong = cases[1].try_with(&Policy::default()).wrong;
        assert_eq!(
            wrong,
            [
                "expected ALLOW, and it is REVIEW",
                "expected nothing.found among the reasons",
                "risk.review is among the reasons"
            ]
        );
    }

    #[test]
    fn a_mistake_in_a_case_is_told_with_its_line() {
        #[track_caller]
        fn check(text: &str, line: usize, part: &str) {
            let mistakes = parse(text).unwrap_err().0;
            assert!(mistakes[0].line == line && mistakes[0].message.contains(part), "{mistakes:?}");
        }
        check("", 1, "no [[case]]");
        check("[[case]]\nname = 'a'\nexpect = 'MAYBE'", 3, "ALLOW, REVIEW, BLOCK");
        check("[[case]]\nname = 'a'\nexpect = 'ALLOW'\nrisk = 4.0", 4, "between 0 and 1");
        check("[[case]]\nname = 'a'\nexpect = 'ALLOW'\nat = 'noon'", 4, "at is a time");
        check("[[case]]\nname = 'a'\nexpect = 'ALLOW'\nmissing = ['x']", 4, "static-analysis, ml-scoring");
        check("[[case]]\nname = 'a'\nexpect = 'ALLOW'\nfoo = 1", 4, "foo");
    }
}
