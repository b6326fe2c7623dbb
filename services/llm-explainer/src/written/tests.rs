use domain::{Category, Confidence, Severity};

use super::*;
use crate::evidence::Limits;
use crate::samples;
use crate::template::Template;

const LIMITS: Limits = Limits { items_max: 40, chars_max: 20_000 };

/// The explanation as a reader sees it.
fn shown(reached: &Reached) -> String {
    let evidence = Evidence::of(reached, LIMITS);
    let words = write(reached, &evidence, &Template::english().sentences);
    let mut text = format!("{}\n", words.headline);
    for (title, claims) in [("why", &words.why), ("what to do", &words.what_to_do)] {
        text.push_str(&format!("{title}\n"));
        for claim in claims {
            assert!(!claim.evidence.is_empty(), "{}", claim.text);
            assert!(claim.evidence.iter().all(|id| evidence.holds(id)), "{claim:?}");
            text.push_str(&format!("- {} [{}]\n", claim.text, claim.evidence.join(" ")));
        }
    }
    if !words.uncertain.is_empty() {
        text.push_str(&format!("uncertain\n- {}\n", words.uncertain.join("\n- ")));
    }
    text
}

#[track_caller]
fn check(reached: &Reached, expected: &str) {
    let got = shown(reached);
    assert_eq!(got.trim(), expected.trim(), "got:\n{got}");
}

fn with_findings(mut reached: Reached, findings: Vec<Finding>) -> Reached {
    reached.signals[0] = samples::signal(samples::analysis(findings));
    reached
}

#[test]
fn a_secret_blocks() {
    check(
        &samples::blocked_by_a_secret(),
        r#"
acme/shop #107 is blocked: a credential is in the code (config/prod.env:12).
why
- An AWS access key is written into the code (config/prod.env:12; secret.aws.access-key, critical). [S1 P1]
- The risk is not what decided: the model puts it at 4.5 %. [D5]
what to do
- In config/prod.env:12: Revoke the key and issue a new one, then read it from the environment. [S1]
- Then push the correction: a new head commit is judged afresh. [P1]
uncertain
- The risk rests on what was known; 2 features were not: file_age_days and prior_authors.
"#,
    );
}

#[test]
fn a_migration_and_the_risk_block() {
    check(
        &samples::blocked_by_a_migration_and_the_risk(),
        r#"
acme/shop #107 is blocked: a database migration is not safe to run (migrations/0042_drop_email.sql:3), and the risk of failure is 62.0 %, where the limit is 50.0 %.
why
- The migration drops a column and has no way back (migrations/0042_drop_email.sql:3; migration.rollback.missing, high). [S1 P1]
- The model puts the risk of failure at 62.0 %; the limit is 50.0 %. What raises the odds of it most: changes 50 files (×1.9); is deployed on a Friday afternoon (×1.4). What lowers the odds of it most: has an author with 3 earlier changes of late (×0.6). [P2 D5 M1 M3 M2]
what to do
- In migrations/0042_drop_email.sql:3: Add a down migration that restores the column. [S1]
- Lower the risk, or split the deployment into smaller ones; what raises it most: changes 50 files (×1.9). [P2 M1]
- Then push the correction: a new head commit is judged afresh. [P1]
uncertain
- The risk rests on what was known; 2 features were not: file_age_days and prior_authors.
"#,
    );
}

#[test]
fn infrastructure_needs_a_review() {
    let reasons = vec![samples::because_of(&samples::infrastructure(), Verdict::Review)];
    let said = vec![samples::analysis(vec![samples::infrastructure()]), samples::risk(0.2)];
    check(
        &samples::reached(Verdict::Review, reasons, said),
        r#"
acme/shop #107 needs a person's review: an infrastructure setting is dangerous (infra/main.tf).
why
- Port 22 is open to every address (infra/main.tf; infra.tf.open-ingress, high). [S1 P1]
- The risk is not what decided: the model puts it at 20.0 %. [D5]
what to do
- In infra/main.tf: Name the addresses that need it. [S1]
- Have someone who knows this part of the system look at it and record the decision. [P1]
uncertain
- The risk rests on what was known; 2 features were not: file_age_days and prior_authors.
"#,
    );
}

#[test]
fn a_missing_signal_needs_a_review() {
    check(
        &samples::review_for_a_missing_signal(),
        r#"
acme/shop #107 needs a person's review: static analysis gave no answer.
why
- Static analysis gave no answer (nothing was heard of it before the deadline), and silence is not taken for good news. [P1]
- The risk is not what decided: the model puts it at 1.2 %. [D5]
what to do
- See that the service static-analysis runs: when its answer comes, a new verdict follows by itself. [P1]
- Have someone who knows this part of the system look at it and record the decision. [P1]
uncertain
- Whether the code holds anything dangerous is unknown: static analysis gave no answer (nothing was heard of it before the deadline).
- The risk rests on what was known; 2 features were not: file_age_days and prior_authors.
- The verdict was reached because its deadline passed; what comes in later leads to a new one.
"#,
    );
}

#[test]
fn nothing_found_is_allowed() {
    check(
        &samples::allowed_with_nothing_found(),
        r#"
acme/shop #107 may be deployed: static analysis found nothing, and the risk of failure is 1.2 %.
why
- Static analysis looked at 2 files and 40 added lines and found nothing. [D6]
- The model puts the risk of failure at 1.2 %. What raises the odds of it most: changes 50 files (×1.9); is deployed on a Friday afternoon (×1.4). What lowers the odds of it most: has an author with 3 earlier changes of late (×0.6). [D5 M1 M3 M2]
- No finding of severity medium or above, and a risk of 1.2 %, below 4.0 %. [P1]
what to do
- Nothing stands in the way. [P1]
uncertain
- The risk rests on what was known; 2 features were not: file_age_days and prior_authors.
"#,
    );
}

#[test]
fn where_the_risk_stands_among_the_repositorys_own_is_told() {
    let mut reached = samples::allowed_with_nothing_found();
    for signal in &mut reached.signals {
        if let domain::Said::Risk(score) = &mut signal.said {
            score.rank = Some(domain::Rank { percentile: 0.965, among: 200 });
        }
    }
    let expected = "The model puts the risk of failure at 1.2 %. It is riskier than 96 % of this repository's latest 200 \
                    deployments. What raises the odds of it most: changes 50 files";
    assert!(shown(&reached).contains(expected), "{}", shown(&reached));
    let evidence = Evidence::of(&reached, LIMITS);
    let fact = &evidence.detail(About::Risk).unwrap().fact;
    assert!(fact.ends_with("; it is riskier than 96 % of the repository's latest 200 deployments"), "{fact}");
}

#[test]
fn mild_findings_do_not_stand_in_the_way() {
    let mild = Finding { severity: Severity::Low, category: Category::Code, ..samples::migration() };
    check(
        &with_findings(samples::allowed_with_nothing_found(), vec![mild]),
        r#"
acme/shop #107 may be deployed: static analysis found one thing, which is no obstacle, and the risk of failure is 1.2 %.
why
- Static analysis looked at 2 files and 40 added lines and found 1 problem (low). [D6]
- The model puts the risk of failure at 1.2 %. What raises the odds of it most: changes 50 files (×1.9); is deployed on a Friday afternoon (×1.4). What lowers the odds of it most: has an author with 3 earlier changes of late (×0.6). [D5 M1 M3 M2]
- No finding of severity medium or above, and a risk of 1.2 %, below 4.0 %. [P1]
- Also found, but no obstacle: the migration drops a column and has no way back (migrations/0042_drop_email.sql:3, low). [S1]
what to do
- When there is time, in migrations/0042_drop_email.sql:3: Add a down migration that restores the column. [S1]
uncertain
- The risk rests on what was known; 2 features were not: file_age_days and prior_authors.
"#,
    );
}

#[test]
fn several_of_a_kind_are_told_together() {
    let secret = |path: &str, line: u32| {
        let fingerprint = format!("{line:032}");
        Finding { path: path.to_owned(), line, fingerprint, confidence: Confidence::Low, ..samples::secret() }
    };
    let secrets = vec![secret("a.env", 1), secret("b.env", 2), secret("c.env", 3), secret("d.env", 4)];
    let mut reasons: Vec<Reason> = secrets.iter().map(|s| samples::because_of(s, Verdict::Block)).collect();
    reasons.push(samples::because_of(&samples::migration(), Verdict::Review));
    let findings = [secrets, vec![samples::migration(), samples::infrastructure()]].concat();
    let mut reached = samples::reached(Verdict::Block, reasons, vec![samples::analysis(findings)]);
    let domain::Said::Findings(analysis) = &mut reached.signals[0].said else { unreachable!() };
    analysis.findings_dropped = 1;
    reached.deployment.as_mut().unwrap().change.files[0].binary = true;
    check(
        &reached,
        r#"
acme/shop #107 is blocked: 4 credentials are in the code (the first in a.env:1).
why
- An AWS access key is written into the code (a.env:1, b.env:2, c.env:3 and 1 more place; secret.aws.access-key, critical). [S1 S2 S3 S4 P1 P2 P3 P4]
- Also found, but not what decided: the migration drops a column and has no way back (migrations/0042_drop_email.sql:3, high); port 22 is open to every address (infra/main.tf, high). [S5 S6]
what to do
- In a.env:1, b.env:2, c.env:3 and 1 more place: Revoke the key and issue a new one, then read it from the environment. [S1 S2 S3 S4]
- While you are at it, in migrations/0042_drop_email.sql:3: Add a down migration that restores the column. [S5]
- While you are at it, in infra/main.tf: Name the addresses that need it. [S6]
- Then push the correction: a new head commit is judged afresh. [P1]
uncertain
- The rule is not sure of what it found in a.env:1, b.env:2, c.env:3 and 1 other place: look before you act.
- Static analysis found 1 more problem than it passes on; it is not more severe than those it did.
- 1 file is binary, so nothing could be read in it.
"#,
    );
}

#[test]
fn a_risk_that_would_have_been_enough_is_told_beside_what_decided() {
    let reasons = vec![
        samples::because_of(&samples::secret(), Verdict::Block),
        samples::because_of_risk("4.5 %", "4.0 %", Verdict::Review),
    ];
    let said = vec![samples::analysis(vec![samples::secret()]), samples::risk(0.045)];
    let reached = samples::reached(Verdict::Block, reasons, said);
    let expected = "- By itself, the risk of failure of 4.5 % would need a person's look: the limit is 4.0 %. [D5 P2]";
    assert!(shown(&reached).contains(expected), "{}", shown(&reached));
}

#[test]
fn only_the_risk_needs_a_review() {
    let reasons = vec![samples::because_of_risk("4.5 %", "3.0 %", Verdict::Review)];
    let said = vec![samples::analysis(Vec::new()), samples::risk(0.045)];
    check(
        &samples::reached(Verdict::Review, reasons, said),
        r#"
acme/shop #107 needs a person's review: the risk of failure is 4.5 %, where the limit is 3.0 %.
why
- The model puts the risk of failure at 4.5 %; the limit is 3.0 %. What raises the odds of it most: changes 50 files (×1.9); is deployed on a Friday afternoon (×1.4). What lowers the odds of it most: has an author with 3 earlier changes of late (×0.6). [P1 D5 M1 M3 M2]
what to do
- Lower the risk, or split the deployment into smaller ones; what raises it most: changes 50 files (×1.9). [P1 M1]
- Have someone who knows this part of the system look at it and record the decision. [P1]
uncertain
- The risk rests on what was known; 2 features were not: file_age_days and prior_authors.
"#,
    );
}

#[test]
fn a_reason_of_another_kind_is_told_in_the_policys_words_even_of_an_unknown_deployment() {
    let reason = Reason {
        rule: "freeze.block".to_owned(),
        effect: Verdict::Block,
        message: "production is frozen until Monday".to_owned(),
        measured: String::new(),
        threshold: String::new(),
        evidence: Vec::new(),
    };
    let mut reached = samples::reached(Verdict::Block, vec![reason], Vec::new());
    reached.deployment = None;
    check(
        &reached,
        r#"
This deployment is blocked: production is frozen until Monday.
why
- Production is frozen until Monday. [P1]
what to do
- If it has to go out as it is, a person has to answer for that by recording an override. [P1]
"#,
    );
}

#[test]
fn without_any_reason_or_signal_something_is_still_said() {
    let mut reached = samples::reached(Verdict::Review, Vec::new(), Vec::new());
    reached.deployment = None;
    check(
        &reached,
        r#"
This deployment needs a person's review.
why
- The policy's verdict is REVIEW; it gave no reason. [D1]
what to do
- Have someone who knows this part of the system look at it and record the decision. [D1]
"#,
    );
}
