use std::time::Duration;

use domain::{Category, Confidence, DeploymentId, Risk};
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;

fn signal(source: Source, said: Said) -> Signal {
    Signal {
        deployment_id: DeploymentId::from_uuid(Uuid::nil()),
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

#[track_caller]
fn check(signals: &[Signal], verdict: Verdict, rules: &[&str]) {
    let judgement = Policy::default().judge(Inputs { accepted: true, signals });
    let fired: Vec<_> = judgement.reasons.iter().map(|reason| reason.rule.as_str()).collect();
    assert_eq!((judgement.verdict, fired.as_slice()), (verdict, rules), "{judgement:#?}");
}

#[test]
fn the_strictest_reason_decides() {
    use Severity::{Critical, High, Info, Low, Medium};
    check(&[found(&[]), risk(0.01)], Verdict::Allow, &["nothing.found"]);
    check(&[found(&[Info, Low]), risk(0.01)], Verdict::Allow, &["nothing.found"]);
    check(&[found(&[Medium]), risk(0.01)], Verdict::Review, &["findings.review"]);
    check(&[found(&[High]), risk(0.01)], Verdict::Block, &["findings.block"]);
    check(&[found(&[]), risk(0.04)], Verdict::Review, &["risk.review"]);
    check(&[found(&[]), risk(0.5)], Verdict::Block, &["risk.block"]);
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
    let judgement = Policy::default().judge(Inputs { accepted: false, signals: &[found(&[]), risk(0.0)] });
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
    let judgement = Policy::default().judge(Inputs { accepted: true, signals: &signals });
    assert_eq!(judgement.reasons.len(), 2);
    assert_eq!(judgement.reasons[0].evidence.len(), 2);
    assert!(judgement.reasons[0].message.ends_with("(2 places)"), "{}", judgement.reasons[0].message);
}

#[test]
fn the_order_of_the_signals_makes_no_difference() {
    let (a, b) = (found(&[Severity::Medium, Severity::High]), risk(0.2));
    let policy = Policy::default();
    let forth = policy.judge(Inputs { accepted: true, signals: &[a.clone(), b.clone()] });
    let back = policy.judge(Inputs { accepted: true, signals: &[b, a] });
    assert_eq!(proto::judgement_bytes(&forth), proto::judgement_bytes(&back));
}

#[test]
fn a_policy_comes_back_from_its_text() {
    let policy = Policy { block_severity: Level::Never, review_risk: 0.1, ..Policy::default() };
    assert_eq!(Policy::from_text(&policy.text()).unwrap(), policy);
    assert_ne!(policy.stamp().digest, Policy::default().stamp().digest);
    assert!(Policy { block_risk: -0.1, ..Policy::default() }.check().is_err());
    assert!(Policy { block_risk: f64::NAN, ..Policy::default() }.check().is_err());
}
