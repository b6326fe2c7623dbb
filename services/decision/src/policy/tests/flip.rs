//! The way out of a REVIEW or a BLOCK.

use super::*;

#[test]
fn a_counterfactual_is_the_fewest_changes_and_holds_when_they_are_made() {
    #[track_caller]
    fn check(policy: &str, signals: &[Signal], verdict: Verdict, changes: &[&str]) {
        let judgement = Case { policy, signals, ..Case::default() }.judge();
        let way = judgement.counterfactual.clone().unwrap_or_else(|| panic!("no way out of {judgement:#?}"));
        let told: Vec<&str> = way.changes.iter().map(|change| change.message.as_str()).collect();
        assert_eq!((way.verdict, told.as_slice()), (verdict, changes));
    }
    use Severity::{High, Medium};
    let mend_high = "mend code.test.high at src/lib.rs:1";
    check(DEFAULT, &[found(&[High]), risk(0.01)], Verdict::Allow, &[mend_high]);
    check(
        DEFAULT,
        &[found(&[High, High, Medium]), risk(0.06)],
        Verdict::Allow,
        &[
            "mend code.test.high at src/lib.rs:1 and one more place",
            "mend code.test.medium at src/lib.rs:3",
            "bring the risk from 6.0 % to below 4.0 %",
        ],
    );
    check(DEFAULT, &[risk(0.01)], Verdict::Allow, &["have static-analysis answer without a finding"]);
    let both = rules(&[("finding.severity >= HIGH && risk.probability > 0.1", BLOCK)]);
    check(&both, &[found(&[High]), risk(0.2)], Verdict::Allow, &[mend_high]);
    let files = rules(&[("file.path.glob('infra/**')", REVIEW)]);
    check(&files, &[found(&[]), risk(0.0)], Verdict::Allow, &["leave out infra/main.tf"]);
    // When nothing leads to ALLOW, the way to REVIEW is told.
    let stuck = rules(&[("'hotfix' in deployment.labels", REVIEW), ("finding.severity >= HIGH", BLOCK)]);
    check(&stuck, &[found(&[High]), risk(0.0)], Verdict::Review, &[mend_high]);
    let hopeless = Case { policy: &rules(&[("true", BLOCK)]), signals: &[found(&[]), risk(0.0)], ..Case::default() };
    assert_eq!(hopeless.judge().counterfactual, None);
}

#[test]
fn where_many_changes_are_needed_each_of_them_is_told() {
    let mut many = found(&[Severity::High; 60]);
    if let Said::Findings(analysis) = &mut many.said {
        for (index, finding) in analysis.findings.iter_mut().enumerate() {
            finding.rule_id = format!("code.test.rule-{:02}", index % 20);
        }
    }
    let judgement = Case { signals: &[many, risk(0.01)], ..Case::default() }.judge();
    let way = judgement.counterfactual.unwrap();
    assert_eq!((way.verdict, way.changes.len()), (Verdict::Allow, 20));
    assert_eq!(way.changes[0].message, "mend code.test.rule-00 at src/lib.rs:1 and 2 more places");
}
