//! What people decide, and what it makes of a verdict.

use domain::{Review, ReviewDecision};

use super::*;

fn given(reviewer: &str, decision: ReviewDecision, minute: i64) -> Given {
    let review = Review {
        deployment_id: deployment().id,
        verdict_number: 1,
        decision,
        reviewer: reviewer.to_owned(),
        why: "because".to_owned(),
        reviewed_at: AT + time::Duration::minutes(minute),
        evidence_digest: String::new(),
        policy_digest: String::new(),
        request: None,
        recorded_by: String::new(),
    };
    Given { review, for_verdict: None }
}

/// Heard under the policy `text`, as given for what is in force.
#[track_caller]
fn heard(text: &str, signals: &[Signal], reviews: &[Given], verdict: Verdict, fired: &[&str]) -> Judgement {
    let digest = Policy::parse(text).unwrap().stamp().digest.clone();
    let bound = |one: &Given| Given { for_verdict: Some(("evidence".to_owned(), digest.clone())), ..one.clone() };
    let reviews: Vec<Given> = reviews.iter().map(bound).collect();
    let judgement = Case { policy: text, signals, reviews: &reviews, ..Case::default() }.judge();
    expect(&judgement, verdict, fired);
    judgement
}

use ReviewDecision::{Approved, Emergency, Rejected};

const PEOPLE: &str = "[groups]\nrelease = ['ann', 'ben']\ndba = ['cem']\noncall = ['dee']\n";

#[test]
fn a_review_needs_as_many_approvals_as_the_strictest_rule_asks_of_each_group() {
    let policy = rules(&[
        ("risk.probability > 0.1", "effect = 'review'\nby = 'release'\napprovals = 2"),
        ("finding.severity >= HIGH", "effect = 'review'\nby = 'dba'"),
    ]) + PEOPLE;
    let signals = [found(&[Severity::High]), risk(0.2)];
    let waiting = heard(&policy, &signals, &[], Verdict::Review, &["rule-0", "rule-1"]);
    let wanted: Vec<(&str, u32, u32)> =
        waiting.approvals.iter().map(|one| (one.by.as_str(), one.count, one.given)).collect();
    assert_eq!(wanted, [("dba", 1, 0), ("release", 2, 0)]);
    let foreign =
        heard(&policy, &signals, &[given("eve", Approved, 1)], Verdict::Review, &["rule-0", "rule-1", "review.void"]);
    assert_eq!(foreign.approvals[0].given, 0);
    let (ann, ben, cem) = (given("ann", Approved, 1), given("ben", Approved, 2), given("cem", Approved, 3));
    let some = heard(&policy, &signals, &[ann.clone(), cem.clone()], Verdict::Review, &["rule-0", "rule-1"]);
    assert_eq!(some.approvals[1].given, 1);
    // The same person twice is one person.
    heard(
        &policy,
        &signals,
        &[ann.clone(), given("ann", Approved, 5), cem.clone()],
        Verdict::Review,
        &["rule-0", "rule-1"],
    );
    let all = heard(
        &policy,
        &signals,
        &[cem, ben, ann],
        Verdict::Allow,
        &["rule-0", "rule-1", "review.approved", "review.approved", "review.approved"],
    );
    let overruled = all.overruled.unwrap();
    assert_eq!((overruled.policy_verdict, overruled.decision), (Verdict::Review, Approved));
    assert_eq!(overruled.by, ["ann", "ben", "cem"]);
    assert!(all.approvals.is_empty());
}

#[test]
fn whoever_says_stop_is_heard_and_may_change_their_mind() {
    let signals = [found(&[Severity::Medium]), risk(0.0)];
    let (no, yes) = (given("eve", Rejected, 1), given("ann", Approved, 2));
    heard(DEFAULT, &signals, &[no.clone(), yes], Verdict::Block, &["review.rejected", "findings.review"]);
    heard(DEFAULT, &signals, &[no, given("eve", Approved, 3)], Verdict::Allow, &["findings.review", "review.approved"]);
    let allowed = [found(&[]), risk(0.0)];
    let stopped =
        heard(DEFAULT, &allowed, &[given("eve", Rejected, 1)], Verdict::Block, &["review.rejected", "nothing.found"]);
    assert_eq!(stopped.overruled.unwrap().policy_verdict, Verdict::Allow);
}

#[test]
fn a_block_is_overridden_only_by_those_whom_the_policy_names() {
    let signals = [found(&[Severity::High]), risk(0.0)];
    let yes = given("ann", Approved, 1);
    heard(DEFAULT, &signals, std::slice::from_ref(&yes), Verdict::Block, &["findings.block", "review.void"]);
    let named = format!("{}{PEOPLE}[override]\nby = 'release'\n", rules(&[("finding.severity >= HIGH", BLOCK)]));
    let done = heard(&named, &signals, std::slice::from_ref(&yes), Verdict::Allow, &["rule-0", "review.approved"]);
    assert_eq!(done.overruled.unwrap().policy_verdict, Verdict::Block);
    heard(&named, &signals, &[given("cem", Approved, 1)], Verdict::Block, &["rule-0", "review.void"]);
    let two = named.replace("by = 'release'\n", "by = 'release'\napprovals = 2\n");
    let one = heard(&two, &signals, &[yes], Verdict::Block, &["rule-0"]);
    assert_eq!((one.approvals[0].count, one.approvals[0].given), (2, 1));
}

#[test]
fn an_approval_counts_for_the_evidence_and_the_policy_that_it_was_given_for() {
    let signals = [found(&[Severity::Medium]), risk(0.0)];
    let digest = Policy::default().stamp().digest.clone();
    let judge = |given: Given| Case { signals: &signals, reviews: &[given], ..Case::default() }.judge();
    let yes = given("ann", Approved, 1);
    let bound = |evidence: &str, policy: &str| Given {
        for_verdict: Some((evidence.to_owned(), policy.to_owned())),
        ..yes.clone()
    };
    let void = ["findings.review", "review.void"];
    expect(&judge(yes.clone()), Verdict::Review, &void);
    expect(&judge(bound("other evidence", &digest)), Verdict::Review, &void);
    expect(&judge(bound("evidence", "other policy")), Verdict::Review, &void);
    expect(&judge(bound("evidence", &digest)), Verdict::Allow, &["findings.review", "review.approved"]);
    let mut seen = bound("evidence", &digest);
    seen.review.evidence_digest = "what was on the screen".to_owned();
    expect(&judge(seen), Verdict::Review, &void);
}

#[test]
fn with_four_eyes_the_author_cannot_approve_their_own() {
    let policy = rules(&[("finding.severity >= HIGH", REVIEW)]).replacen("version", "four_eyes = true\nversion", 1);
    let signals = [found(&[Severity::High]), risk(0.0)];
    heard(&policy, &signals, &[given("ada", Approved, 1)], Verdict::Review, &["rule-0", "review.void"]);
    heard(&policy, &signals, &[given("ann", Approved, 1)], Verdict::Allow, &["rule-0", "review.approved"]);
}

#[test]
fn an_emergency_goes_out_at_once_and_owes_a_look_by_somebody_else() {
    let policy = format!(
        "{}{PEOPLE}[override]\nby = 'release'\n[emergency]\nby = 'oncall'\nreview_within_hours = 48\n",
        rules(&[("finding.severity >= HIGH", BLOCK)])
    );
    let signals = [found(&[Severity::High]), risk(0.0)];
    let now = given("dee", Emergency, 0);
    let out = heard(&policy, &signals, std::slice::from_ref(&now), Verdict::Allow, &["rule-0", "review.emergency"]);
    let overruled = out.overruled.unwrap();
    assert_eq!((overruled.decision, overruled.review_due), (Emergency, Some(AT + time::Duration::hours(48))));
    // The one who let it out cannot be the one who looks.
    let fired = ["rule-0", "review.void", "review.emergency"];
    let own = heard(&policy, &signals, &[now.clone(), given("dee", Approved, 9)], Verdict::Allow, &fired);
    assert!(own.overruled.unwrap().review_due.is_some());
    // Nor when they could have approved it: that is said, and not passed over.
    let both = policy.replace("release = ['ann', 'ben']", "release = ['ann', 'dee']");
    let own = heard(
        &both,
        &signals,
        &[now.clone(), given("dee", Approved, 9)],
        Verdict::Allow,
        &["rule-0", "review.void", "review.emergency"],
    );
    assert!(own.reasons[1].message.contains("cannot be the one who looks"), "{own:#?}");
    let fired = ["rule-0", "review.emergency", "review.approved"];
    let looked = heard(&policy, &signals, &[now.clone(), given("ann", Approved, 9)], Verdict::Allow, &fired);
    assert_eq!(looked.overruled.unwrap().review_due, None);
    heard(&policy, &signals, &[now, given("ann", Rejected, 9)], Verdict::Block, &["rule-0", "review.rejected"]);
    heard(&policy, &signals, &[given("ann", Emergency, 0)], Verdict::Block, &["rule-0", "review.void"]);
    heard(DEFAULT, &signals, &[given("dee", Emergency, 0)], Verdict::Block, &["findings.block", "review.void"]);
}
