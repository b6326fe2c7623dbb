use std::time::Duration;

use domain::{
    Analysis, Category, Change, Confidence, DeploymentId, DiffDigest, FileChange, FileChangeKind, Finding, History,
    PullRequest, Rank, Repository, Revision, Risk, RiskScore, Severity, Verdict,
};
use time::macros::datetime;

use super::*;

mod flip;
mod people;

fn signal(source: Source, said: Said) -> Signal {
    Signal {
        deployment_id: deployment().id,
        source,
        basis: "basis".to_owned(),
        producer: "0.1.0".to_owned(),
        raised_at: OffsetDateTime::UNIX_EPOCH,
        took: Duration::ZERO,
        said,
    }
}

fn found(severities: &[Severity]) -> Signal {
    let finding = |(index, severity): (usize, &Severity)| Finding {
        rule_id: format!("code.test.{severity}"),
        title: "a test".to_owned(),
        category: Category::Code,
        severity: *severity,
        confidence: Confidence::High,
        path: "src/lib.rs".to_owned(),
        line: u32::try_from(index).unwrap() + 1,
        column: 0,
        excerpt: String::new(),
        message: "something is wrong".to_owned(),
        remediation: "mend it".to_owned(),
        cwe: 0,
        fingerprint: format!("{index:032}"),
        hazard: String::new(),
        suppression: None,
    };
    let findings = severities.iter().enumerate().map(finding).collect();
    signal(Source::StaticAnalysis, Said::Findings(Analysis { findings, ..Analysis::default() }))
}

fn risk(probability: f64) -> Signal {
    let score = RiskScore {
        risk: Risk::new(probability).unwrap(),
        base_log_odds: 0.0,
        contributions: vec![],
        unknown: vec![],
        provenance: String::new(),
        grounds: None,
        lift: None,
        shadow: None,
        rank: None,
    };
    signal(Source::MlScoring, Said::Risk(score))
}

fn gave_up(source: Source) -> Signal {
    signal(source, Said::Unavailable { reason: "out of memory".to_owned() })
}

fn deployment() -> Deployment {
    let repository = Repository::parse("acme/shop").unwrap();
    let pull_request = PullRequest::new(7).unwrap();
    let revision = Revision::parse("0123456789abcdef").unwrap();
    let file = |path: &str| FileChange {
        path: path.to_owned(),
        old_path: None,
        kind: FileChangeKind::Modified,
        lines_added: 10,
        lines_deleted: 2,
        binary: path.ends_with(".png"),
    };
    Deployment {
        id: DeploymentId::derive(&repository, pull_request, &revision),
        repository,
        pull_request,
        revision,
        title: "Ship it".to_owned(),
        author: "ada".to_owned(),
        branch: String::new(),
        base_branch: String::new(),
        labels: vec!["hotfix".to_owned()],
        environment: "production".to_owned(),
        opened_at: None,
        deploy_at: None,
        commits: None,
        accepted_at: OffsetDateTime::UNIX_EPOCH,
        submitted_by: String::new(),
        change: Change {
            diff: None,
            digest: DiffDigest::of(""),
            files: vec![file("src/lib.rs"), file("infra/main.tf"), file("logo.png")],
            lines: None,
        },
        history: History::default(),
    }
}

/// A Wednesday.
const AT: OffsetDateTime = datetime!(2026-11-25 13:00 UTC);

/// What is judged, from the defaults on.
struct Case<'a> {
    policy: &'a str,
    signals: &'a [Signal],
    reviews: &'a [Given],
    circumstances: Circumstances,
    at: OffsetDateTime,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self { policy: DEFAULT, signals: &[], reviews: &[], circumstances: Circumstances::default(), at: AT }
    }
}

impl Case<'_> {
    fn judge(&self) -> Judgement {
        let policy = Policy::parse(self.policy).unwrap();
        policy.judge(Inputs {
            deployment: Some(&deployment()),
            signals: self.signals,
            reviews: self.reviews,
            evidence_digest: "evidence",
            circumstances: &self.circumstances,
            at: self.at,
        })
    }
}

#[track_caller]
fn expect(judgement: &Judgement, verdict: Verdict, rules: &[&str]) {
    let fired: Vec<_> = judgement.reasons.iter().map(|reason| reason.rule.as_str()).collect();
    assert_eq!((judgement.verdict, fired.as_slice()), (verdict, rules), "{judgement:#?}");
}

#[track_caller]
fn check(signals: &[Signal], verdict: Verdict, rules: &[&str]) {
    expect(&Case { signals, ..Case::default() }.judge(), verdict, rules);
}

#[test]
fn the_strictest_reason_decides() {
    use Severity::{Critical, High, Info, Low, Medium};
    check(&[found(&[]), risk(0.01)], Verdict::Allow, &["nothing.found"]);
    check(&[found(&[Info, Low]), risk(0.01)], Verdict::Allow, &["nothing.found"]);
    check(&[found(&[Medium]), risk(0.01)], Verdict::Review, &["findings.review"]);
    check(&[found(&[High]), risk(0.01)], Verdict::Block, &["findings.block"]);
    check(&[found(&[]), risk(0.04)], Verdict::Review, &["risk.review"]);
    check(&[found(&[]), risk(0.5)], Verdict::Block, &["risk.block", "risk.review"]);
    check(
        &[found(&[Medium, Critical]), risk(0.3)],
        Verdict::Block,
        &["findings.block", "findings.review", "risk.review"],
    );
}

#[test]
fn missing_signal_is_never_allowed() {
    check(&[], Verdict::Review, &["missing.review", "missing.review"]);
    check(&[found(&[])], Verdict::Review, &["missing.review"]);
    check(&[risk(0.0)], Verdict::Review, &["missing.review"]);
    check(&[found(&[]), gave_up(Source::MlScoring)], Verdict::Review, &["missing.review"]);
    check(&[gave_up(Source::StaticAnalysis), risk(0.0)], Verdict::Review, &["missing.review"]);
    check(&[found(&[Severity::High])], Verdict::Block, &["findings.block", "missing.review"]);
    let judgement = Policy::default().judge(Inputs {
        deployment: None,
        signals: &[found(&[]), risk(0.0)],
        reviews: &[],
        evidence_digest: "",
        circumstances: &Circumstances::default(),
        at: AT,
    });
    assert_eq!(judgement.verdict, Verdict::Review);
    assert_eq!(judgement.missing[0].input, MissingInput::Acceptance);
}

#[test]
fn a_signal_of_the_wrong_kind_counts_as_missing() {
    let mut impostor = risk(0.0);
    impostor.source = Source::StaticAnalysis;
    check(&[impostor, risk(0.0)], Verdict::Review, &["missing.review"]);
}

#[test]
fn hits_of_one_rule_are_one_reason_with_every_place() {
    let signals = [found(&[Severity::High, Severity::High, Severity::Medium]), risk(0.0)];
    let judgement = Case { signals: &signals, ..Case::default() }.judge();
    assert_eq!(judgement.reasons.len(), 2);
    assert_eq!(judgement.reasons[0].evidence.len(), 2);
    assert!(judgement.reasons[0].message.ends_with("(2 places)"), "{}", judgement.reasons[0].message);
}

#[test]
fn the_order_of_the_signals_makes_no_difference() {
    let (a, b) = (found(&[Severity::Medium, Severity::High]), risk(0.2));
    let forth = Case { signals: &[a.clone(), b.clone()], ..Case::default() }.judge();
    let back = Case { signals: &[b, a], ..Case::default() }.judge();
    assert_eq!(proto::judgement_bytes(&forth), proto::judgement_bytes(&back));
}

#[test]
fn a_policy_is_its_text() {
    let policy = Policy::parse(DEFAULT).unwrap();
    assert_eq!(policy, Policy::default());
    assert_eq!(policy.stamp().digest, sha256_hex(DEFAULT.as_bytes()));
    assert_eq!(Policy::parse(policy.text()).unwrap(), policy);
}

#[track_caller]
fn refused(text: &str, expected: &[(usize, &str)]) {
    let mistakes = Policy::parse(text).unwrap_err().0;
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (mistake, (line, part)) in mistakes.iter().zip(expected) {
        assert!(mistake.line == *line && mistake.message.contains(part), "{part}: {mistake:?}");
    }
}

#[test]
fn every_mistake_is_told_with_its_line() {
    refused("", &[(1, "version")]);
    refused("version = '1'\nfoo = 1", &[(2, "foo")]);
    refused(
        "version = '1'\ntime_zone = 'Mars/Olympus'\nholidays = [2026-12-25T10:00:00Z]",
        &[(2, "Mars"), (3, "a day")],
    );
    let rules = "version = '1'\n[[rule]]\nname = 'a'\nwhen = 'risk.probabilty > 1'\neffect = 'block'\n\
        [[rule]]\nname = 'b'\nwhen = 'risk.probability > 1'\neffect = 'review'\nby = 'nobody'\n\
        [[rule]]\nname = 'b'\nwhen = 'file.binary'\neffect = 'allow'\nmessage = '{no.such}'\n\
        [[rule]]\nname = 'c'\nwhen = 'true'\neffect = 'block'\napprovals = 2\n";
    refused(
        rules,
        &[
            (4, "risk.probability"),
            (7, "no group nobody"),
            (12, "two rules named b"),
            (14, "one file cannot allow"),
            (15, "{no.such}"),
            (20, "belong to the effect review"),
        ],
    );
    refused("version = '1'\n[[rule]]\nname = 'a'\nwhen = 'true'\neffect = 'stop'", &[(5, "unknown variant `stop`")]);
    refused("version = '1'\n[unknown]\nsignal = 'note'", &[(3, "never let pass")]);
    refused("version = '1'\n[unknown.in.staging]\nsignal = 'pass'", &[(3, "never let pass")]);
    refused(
        "version = '1'\n[[waiver]]\nowner = ''\nreason = 'x'\nexpires = 2026-12-01",
        &[(2, "names a rule or a fingerprint"), (3, "owner")],
    );
    refused("version = '1'\n[groups]\na = ['x']\n[override]\nby = 'a'\napprovals = 2", &[(4, "which has 1 people")]);
}

/// A policy of these rules alone, each a condition and what it does.
fn rules(rules: &[(&str, &str)]) -> String {
    let tables = rules
        .iter()
        .enumerate()
        .map(|(index, (when, rest))| format!("[[rule]]\nname = \"rule-{index}\"\nwhen = \"{when}\"\n{rest}\n"));
    format!("version = '1'\ntime_zone = 'Europe/Zurich'\nholidays = [2026-12-25]\n{}", tables.collect::<String>())
}

const BLOCK: &str = "effect = 'block'";
const REVIEW: &str = "effect = 'review'";
const ALLOW: &str = "effect = 'allow'";

#[track_caller]
fn judged(policy: &str, signals: &[Signal], verdict: Verdict, fired: &[&str]) -> Judgement {
    let judgement = Case { policy, signals, ..Case::default() }.judge();
    expect(&judgement, verdict, fired);
    judgement
}

#[test]
fn a_reason_tells_what_was_measured_and_what_it_was_held_against() {
    #[track_caller]
    fn check(when: &str, measured: &str, threshold: &str) {
        let signals = [found(&[Severity::High]), risk(0.052)];
        let judgement = judged(&rules(&[(when, BLOCK)]), &signals, Verdict::Block, &["rule-0"]);
        let reason = &judgement.reasons[0];
        assert_eq!((reason.measured.as_str(), reason.threshold.as_str()), (measured, threshold), "{when}");
    }
    check("risk.probability >= 0.04", "5.2 %", "4.0 %");
    check("finding.severity >= MEDIUM", "high", "medium");
    check("!(risk.probability < 0.04)", "5.2 %", "4.0 %");
    check("deployment.files > 2", "3", "over 2");
    check("deployment.lines_added + deployment.lines_deleted > 10", "36", "over 10");
    check("deployment.environment == 'production'", "production", "production");
    check("deployment.author in ['ada', 'bob']", "ada", "in ada, bob");
    check("file.path.glob('infra/**')", "infra/main.tf", "matching infra/**");
    check("risk.probability > 0.5 || deployment.title.startsWith('Ship')", "Ship it", "beginning with Ship");
    check(
        "risk.probability > 0.01 && time.hour == 14",
        "risk.probability 5.2 %, time.hour 14",
        "risk.probability over 1.0 %, time.hour 14",
    );
    check("files.exists(f, f.path.endsWith('.tf'))", "infra/main.tf", "ending with .tf");
    check("deployment.labels.exists(l, l == 'hotfix')", "hotfix", "hotfix");
}

#[test]
fn a_rule_that_allows_sets_aside_what_stands_below_it() {
    let signals = [found(&[Severity::High]), risk(0.5)];
    let strict = ("risk.probability > 0.4", BLOCK);
    let exempt = ("'hotfix' in deployment.labels", ALLOW);
    judged(&rules(&[exempt, strict]), &signals, Verdict::Allow, &["rule-0"]);
    judged(&rules(&[strict, exempt]), &signals, Verdict::Block, &["rule-0", "rule-1"]);
    // Of findings it takes out those that it speaks of, and no others.
    let signals = [found(&[Severity::High, Severity::Critical]), risk(0.0)];
    let kept = ("finding.severity == HIGH", ALLOW);
    let judgement =
        judged(&rules(&[kept, ("finding.severity >= HIGH", BLOCK)]), &signals, Verdict::Block, &["rule-1", "rule-0"]);
    assert_eq!(judgement.reasons[0].measured, "critical");
    // What is missing is never set aside.
    judged(&rules(&[exempt]), &[risk(0.0)], Verdict::Review, &["missing.review", "rule-0"]);
}

#[test]
fn a_warning_stands_among_the_reasons_and_asks_for_nothing() {
    judged(
        &rules(&[("risk.probability < 0.5", "effect = 'warn'")]),
        &[found(&[]), risk(0.01)],
        Verdict::Allow,
        &["rule-0"],
    );
}

#[test]
fn every_variable_has_a_value_where_all_is_known() {
    let mut complete = deployment();
    complete.branch = "feature".to_owned();
    complete.base_branch = "main".to_owned();
    complete.commits = Some(3);
    let mut scored = risk(0.02);
    if let Said::Risk(score) = &mut scored.said {
        score.lift = Some(2.5);
        score.rank = Some(Rank { percentile: 0.97, among: 200 });
    }
    let signals = [found(&[Severity::High]), scored];
    for variable in facts::VARIABLES {
        let known = match variable.of {
            facts::Type::Truth => format!("{0} || !{0}", variable.name),
            facts::Type::Texts => format!("size({}) >= 0", variable.name),
            facts::Type::Level => format!("{} >= INFO", variable.name),
            facts::Type::Text => format!("{} != 'nothing of the kind'", variable.name),
            facts::Type::Number | facts::Type::Share => format!("{} >= 0.0", variable.name),
        };
        let judgement = Policy::parse(&rules(&[(known.as_str(), BLOCK)])).unwrap().judge(Inputs {
            deployment: Some(&complete),
            signals: &signals,
            reviews: &[],
            evidence_digest: "",
            circumstances: &Circumstances::default(),
            at: AT,
        });
        assert_eq!(judgement.reasons[0].rule, "rule-0", "{}: {judgement:#?}", variable.name);
    }
    judged(&rules(&[("risk.percentile > 0.95 && risk.lift > 2.0", BLOCK)]), &signals, Verdict::Block, &["rule-0"]);
}

#[test]
fn unknown_is_neither_a_yes_nor_a_no() {
    let signals = [found(&[]), risk(0.01)];
    let check = |when: &str, verdict, fired| judged(&rules(&[(when, BLOCK)]), &signals, verdict, &[fired]);
    check("risk.percentile > 0.9", Verdict::Review, "unknown.rule");
    check("!(risk.percentile > 0.9)", Verdict::Review, "unknown.rule");
    check("has(risk.percentile) && risk.percentile > 0.9", Verdict::Allow, "nothing.found");
    check("risk.percentile > 0.9 || risk.probability > 0.0", Verdict::Block, "rule-0");
    check("risk.percentile > 0.9 && risk.probability > 0.5", Verdict::Allow, "nothing.found");
    judged(&rules(&[("deployment.commits > 3", "effect = 'warn'")]), &signals, Verdict::Allow, &["nothing.found"]);
    judged(&rules(&[("risk.percentile > 0.9", ALLOW), ("true", BLOCK)]), &signals, Verdict::Block, &["rule-1"]);
    // What is missing altogether is told once.
    judged(&rules(&[("risk.probability > 0.9", BLOCK)]), &[found(&[])], Verdict::Review, &["missing.review"]);
    judged(&rules(&[("finding.severity > LOW", BLOCK)]), &[risk(0.0)], Verdict::Review, &["missing.review"]);
}

#[test]
fn what_is_not_there_has_the_consequence_that_the_policy_states_for_the_environment() {
    let unknown = |table: &str| format!("{}\n{table}", rules(&[]));
    judged(&unknown("[unknown]\nsignal = 'block'"), &[risk(0.0)], Verdict::Block, &["missing.block"]);
    judged(&unknown("[unknown.in.production]\nsignal = 'block'"), &[risk(0.0)], Verdict::Block, &["missing.block"]);
    judged(&unknown("[unknown.in.staging]\nsignal = 'block'"), &[risk(0.0)], Verdict::Review, &["missing.review"]);
    let signals = [found(&[]), risk(0.0)];
    judged(&unknown("[unknown]\nbinary = 'review'"), &signals, Verdict::Review, &["unknown.binary"]);
    judged(&unknown("[unknown]\nbinary = 'note'"), &signals, Verdict::Allow, &["unknown.binary"]);
    judged(&unknown("[unknown]\nbinary = 'pass'"), &signals, Verdict::Allow, &["nothing.found"]);
    let mut guessed = risk(0.0);
    if let Said::Risk(score) = &mut guessed.said {
        score.unknown = vec!["author_changes".into()];
    }
    let history = unknown("[unknown]\nhistory = 'block'");
    judged(&history, &[found(&[]), guessed], Verdict::Block, &["unknown.history"]);
}

#[test]
fn a_freeze_is_a_rule_about_time_in_the_zone_of_the_policy() {
    let freeze =
        rules(&[("(time.month == 12 && time.day == 24 || time.holiday) && !('hotfix' in deployment.labels)", BLOCK)]);
    let weekend =
        rules(&[("time.weekday in ['saturday', 'sunday'] || time.weekday == 'friday' && time.hour >= 15", BLOCK)]);
    let signals = [found(&[]), risk(0.0)];
    let at = |policy: &str, at| Case { policy, signals: &signals, at, ..Case::default() }.judge().verdict;
    // 23:30 in London is the 24th in Zurich; the label excepts it.
    assert_eq!(at(&freeze, datetime!(2026-12-23 23:30 UTC)), Verdict::Allow);
    let strict = freeze.replace("'hotfix'", "'emergency'");
    assert_eq!(at(&strict, datetime!(2026-12-23 23:30 UTC)), Verdict::Block);
    assert_eq!(at(&strict, datetime!(2026-12-23 22:30 UTC)), Verdict::Allow);
    assert_eq!(at(&strict, datetime!(2026-12-25 12:00 UTC)), Verdict::Block);
    assert_eq!(at(&weekend, datetime!(2026-11-27 13:59 UTC)), Verdict::Allow);
    let friday = datetime!(2026-11-27 14:00 UTC);
    let judgement = Case { policy: &weekend, signals: &signals, at: friday, ..Case::default() }.judge();
    assert_eq!(judgement.verdict, Verdict::Block);
    let way = judgement.counterfactual.unwrap();
    assert_eq!(way.changes[0].message, "wait until Monday, 2026-11-30 00:00 (Europe/Zurich)");
}

#[test]
fn a_waived_finding_is_shown_and_counts_again_when_the_waiver_ends() {
    let waiver = |expires: &str| {
        format!(
            "{}\n[[waiver]]\nrule = 'code.test.*'\npath = 'src/**'\nowner = 'platform'\nreason = 'old'\nexpires = {expires}\n",
            rules(&[("finding.severity >= HIGH", BLOCK)])
        )
    };
    let signals = [found(&[Severity::High]), risk(0.0)];
    let far = judged(&waiver("2027-06-01"), &signals, Verdict::Allow, &["nothing.found", "waiver"]);
    assert_eq!(far.reasons[1].message, "code.test.high is waived until 2027-06-01 by platform: old");
    let near = judged(&waiver("2026-11-30"), &signals, Verdict::Allow, &["nothing.found", "waiver"]);
    assert!(near.reasons[1].message.ends_with("; the waiver ends in 5 days"), "{near:#?}");
    let last = judged(&waiver("2026-11-25"), &signals, Verdict::Allow, &["nothing.found", "waiver"]);
    assert!(last.reasons[1].message.ends_with("; the waiver ends today"), "{last:#?}");
    judged(&waiver("2026-11-24"), &signals, Verdict::Block, &["rule-0", "waiver.ended"]);
    judged(&waiver("2027-06-01").replace("src/**", "lib/**"), &signals, Verdict::Block, &["rule-0"]);
}

#[test]
fn what_was_there_before_is_reported_and_does_not_block() {
    let signals = [found(&[Severity::High]), risk(0.0)];
    let circumstances = Circumstances { known_findings: vec![format!("{:032}", 0)], ..Circumstances::default() };
    let judgement = Case { signals: &signals, circumstances, ..Case::default() }.judge();
    expect(&judgement, Verdict::Allow, &["nothing.found", "known.findings"]);
}

#[test]
fn a_pure_revert_is_asked_nothing_that_only_wants_a_look() {
    let circumstances = Circumstances { reverts: Some(deployment().id), ..Circumstances::default() };
    let judge = |signals: &[Signal]| Case { signals, circumstances: circumstances.clone(), ..Case::default() }.judge();
    expect(&judge(&[found(&[Severity::Medium]), risk(0.2)]), Verdict::Allow, &["revert.fast-track"]);
    let blocked = judge(&[found(&[Severity::High]), risk(0.2)]);
    expect(&blocked, Verdict::Block, &["findings.block", "revert.fast-track"]);
}

#[test]
fn a_hostile_policy_runs_out_of_steps_and_asks_for_a_person() {
    let mut costly = deployment();
    let file = costly.change.files[0].clone();
    costly.change.files = vec![file; 20_000];
    let loops: Vec<String> =
        (0..60).map(|n| format!("files.all(f, f.path.contains('{n}') || f.lines_added < 1000)")).collect();
    let when = loops.join(" && ");
    let many: Vec<(&str, &str)> = vec![(when.as_str(), BLOCK); 60];
    let text = rules(&many);
    let policy = Policy::parse(&text).unwrap();
    let judgement = policy.judge(Inputs {
        deployment: Some(&costly),
        signals: &[found(&[]), risk(0.0)],
        reviews: &[],
        evidence_digest: "",
        circumstances: &Circumstances::default(),
        at: AT,
    });
    assert!(judgement.verdict >= Verdict::Review);
    assert!(
        judgement.reasons.iter().any(|reason| reason.message.contains("costs too much")),
        "{:?}",
        judgement.verdict
    );
}
