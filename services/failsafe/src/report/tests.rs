use std::time::Duration;

use prost_types::Timestamp;
use proto::v1;
use proto::v1::evidence::Evidence;
use proto::v1::explanation_written::Origin;
use proto::v1::signal::Said;

use super::*;

const PLAIN: Style = Style { colour: false, width: 72 };

fn at(seconds: i64, nanos: i32) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos })
}

fn file(path: &str, lines_added: u32, lines_deleted: u32) -> v1::FileChange {
    v1::FileChange { path: path.to_owned(), lines_added, lines_deleted, ..Default::default() }
}

fn finding(line: u32) -> v1::Finding {
    v1::Finding {
        rule_id: "secret.aws.access-key-id".to_owned(),
        path: "media/settings.py".to_owned(),
        line,
        excerpt: "AWS_ACCESS_KEY_ID = \"AKIA…\"".to_owned(),
        remediation: "Deactivate the key.".to_owned(),
        fingerprint: "f".to_owned(),
        ..Default::default()
    }
}

fn pointer(finding: &v1::Finding) -> v1::Evidence {
    let evidence = Evidence::Finding(v1::FindingEvidence {
        rule_id: finding.rule_id.clone(),
        fingerprint: finding.fingerprint.clone(),
        path: finding.path.clone(),
        line: finding.line,
    });
    v1::Evidence { evidence: Some(evidence) }
}

fn signal(source: v1::Source, said: Said) -> v1::Signal {
    v1::Signal { source: source.into(), basis: "default-1".to_owned(), said: Some(said), ..Default::default() }
}

fn contribution(log_odds: f64, words: &str) -> v1::Contribution {
    v1::Contribution { log_odds, words: words.to_owned(), ..Default::default() }
}

fn blocked() -> v1::GetDeploymentResponse {
    let analysis = v1::Analysis { findings: vec![finding(10)], ..Default::default() };
    let score = v1::RiskScore {
        risk: 0.0213,
        base_log_odds: -4.6,
        contributions: vec![
            contribution(0.642, "changes 50 files"),
            contribution(-0.2, "is no fix by its title"),
            contribution(0.01, "adds 3 new files"),
        ],
        unknown: vec!["author_changes".to_owned()],
        provenance: "learned from 65,970 deployments".to_owned(),
        grounds: Some(v1::Grounds {
            provenance: v1::Provenance::Learned.into(),
            outcomes: 65_970,
            failures: 675,
            alike: 1_979,
            alike_failures: 41,
            low: 0.0153,
            high: 0.028,
        }),
        lift: Some(1.7),
        shadow: None,
        rank: None,
    };
    let reason = v1::Reason {
        rule: "findings.block".to_owned(),
        effect: v1::Verdict::Block.into(),
        message: "secret.aws.access-key-id: an AWS access key id is written into the code".to_owned(),
        measured: "critical".to_owned(),
        threshold: "high".to_owned(),
        evidence: vec![pointer(&finding(10))],
    };
    let judgement = v1::Judgement { verdict: v1::Verdict::Block.into(), reasons: vec![reason], ..Default::default() };
    let reached = v1::VerdictReached {
        number: 1,
        judgement: Some(judgement),
        policy: Some(v1::PolicyStamp { version: "default-1".to_owned(), ..Default::default() }),
        cause: v1::Cause::Complete.into(),
        reached_at: at(1_795_012_205, 250_000_000),
        ..Default::default()
    };
    let claim = |text: &str| v1::Claim { text: text.to_owned(), evidence: vec!["S1".to_owned()] };
    let explanation = v1::ExplanationWritten {
        headline: "It is blocked: a key is in the code.".to_owned(),
        why: vec![claim("A key is in the code.")],
        what_to_do: vec![claim("Deactivate it.")],
        uncertain: vec!["Whether it works.".to_owned()],
        origin: Some(Origin::FromEvidence(v1::EvidenceOrigin { because: "Ollama is not there.".to_owned() })),
        written_at: at(1_795_012_206, 0),
        ..Default::default()
    };
    let files = vec![file("media/settings.py", 4, 0), file("media/storage.py", 12, 2)];
    v1::GetDeploymentResponse {
        deployment: Some(v1::Deployment {
            deployment_id: "2390b58a-c653-5a88-a9a1-c2e65e719444".to_owned(),
            repository: "acme/media-worker".to_owned(),
            pull_request: 58,
            revision: "c944618ffe726a587b56762c53db393fb1e01d9c".to_owned(),
            title: "Let the worker remove uploads".to_owned(),
            author: "tilda".to_owned(),
            environment: "production".to_owned(),
            deploy_at: at(1_795_188_600, 0),
            accepted_at: at(1_795_012_205, 0),
            change: Some(v1::Change { files, ..Default::default() }),
            ..Default::default()
        }),
        progress: v1::Progress::Explained.into(),
        signals: vec![
            signal(v1::Source::StaticAnalysis, Said::Analysis(analysis)),
            signal(v1::Source::MlScoring, Said::RiskScore(score)),
        ],
        verdicts: vec![reached],
        explanations: vec![explanation],
        ..Default::default()
    }
}

#[test]
fn a_blocked_deployment_is_told_with_all_its_evidence() {
    let times = Times { verdict: Some(Duration::from_millis(210)), explanation: Some(Duration::from_millis(1_234)) };
    assert_eq!(deployment(&blocked(), Some(times), PLAIN), include_str!("blocked.snapshot.txt").trim_end());
}

#[test]
fn what_is_not_there_is_left_out() {
    let known = v1::GetDeploymentResponse { progress: v1::Progress::AwaitingSignals.into(), ..Default::default() };
    let text = deployment(&known, None, PLAIN);
    assert_eq!(text, "a deployment whose acceptance is not stored\n\n  no verdict yet: signals are awaited");
    assert_eq!(latest_verdict(&known), None);
}

#[test]
fn without_a_watcher_the_stored_times_count() {
    let text = deployment(&blocked(), None, PLAIN);
    assert!(text.contains("BLOCK after 0.25 s") && text.contains("after 1.00 s"), "{text}");
}

#[test]
fn what_is_missing_or_long_is_said() {
    let mut known = blocked();
    known.signals[1].said = Some(Said::Unavailable(v1::Unavailable { reason: "no model".to_owned() }));
    known.superseded_by = "another".to_owned();
    let reached = &mut known.verdicts[0];
    (reached.number, reached.cause) = (2, v1::Cause::Late.into());
    let reason = &mut reached.judgement.as_mut().unwrap().reasons[0];
    reason.evidence = (1..=8).map(|line| pointer(&finding(line))).collect();
    let text = deployment(&known, None, PLAIN);
    for expected in
        ["Risk unknown no model", "superseded by the newer deployment another", "… and 3 more", "came in late"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(text.contains("settings.py:5") && !text.contains("settings.py:6"), "{text}");
}

#[test]
fn every_stage_is_told() {
    let known = blocked();
    let tell = |told| {
        let response =
            v1::WatchDeploymentResponse { sequence: 1, at: at(1_795_012_205, 250_000_000), stage: Some(told) };
        stage(&response, at(1_795_012_205, 0), Style { colour: false, width: 200 })
    };
    use v1::watch_deployment_response::Stage;
    let cases = [
        (Stage::Accepted(known.deployment.clone().unwrap()), "accepted: acme/media-worker #58, 2 files"),
        (Stage::Signal(known.signals[0].clone()), "static-analysis: 1 finding"),
        (Stage::Signal(known.signals[1].clone()), "ml-scoring: a risk of 2.1 %"),
        (Stage::Verdict(known.verdicts[0].clone()), "BLOCK: secret.aws.access-key-id: an AWS access key id"),
        (Stage::Explanation(known.explanations[0].clone()), "explained: It is blocked: a key is in the code."),
        (
            Stage::Review(v1::ReviewRecorded {
                decision: v1::ReviewDecision::Rejected.into(),
                reviewer: "grace".to_owned(),
                verdict_number: 1,
                why: "not today".to_owned(),
                ..Default::default()
            }),
            "rejected by grace (verdict 1): not today",
        ),
        (
            Stage::Outcome(v1::OutcomeRecorded {
                kind: v1::OutcomeKind::RolledBack.into(),
                reporter: "argo".to_owned(),
                detail: "500s".to_owned(),
                ..Default::default()
            }),
            "in production it was rolled back, says argo: 500s",
        ),
    ];
    for (told, expected) in cases {
        let line = tell(told);
        assert!(line.starts_with("2026-11-18 14:30:05.250     +0.250 s ") && line.contains(expected), "{line}");
    }
}

#[test]
fn the_score_of_a_scenario_is_not_told_as_a_risk_that_was_measured() {
    let mut known = blocked();
    let Some(Said::RiskScore(score)) = &mut known.signals[1].said else { panic!("no risk") };
    score.risk = 0.98;
    score.lift = None;
    score.provenance = "written from the scenario demo-seed".to_owned();
    score.grounds.as_mut().unwrap().provenance = v1::Provenance::SyntheticPrior.into();
    let mut sheet = Sheet::new(Style { colour: false, width: 200 });
    risk::print(&mut sheet, &known);
    let told = sheet.into_text();
    assert!(told.contains("Scenario 98.0 % chosen, not measured, where 1.0 % is typical"), "{told}");
    assert!(told.contains("of 1979 generated deployments with such a score 41 were drawn as failures"), "{told}");
    assert!(!told.contains("Risk") && !told.contains("of them do"), "{told}");
}

#[test]
fn a_list_is_a_table() {
    let found = |verdict: v1::Verdict, risk| v1::DeploymentSummary {
        deployment_id: "2390b58a-c653-5a88-a9a1-c2e65e719444".to_owned(),
        repository: "acme/shop".to_owned(),
        pull_request: 7,
        title: "Größer\x1b[2J".to_owned(),
        received_at: at(1_795_012_205, 0),
        verdict: verdict.into(),
        risk,
        ..Default::default()
    };
    let page = v1::ListDeploymentsResponse {
        deployments: vec![found(v1::Verdict::Review, Some(0.0213)), found(v1::Verdict::Unspecified, None)],
        next_page_token: "t".to_owned(),
    };
    let id = "2390b58a-c653-5a88-a9a1-c2e65e719444";
    let expected = format!(
        "{id}  REVIEW    2.1 %  2026-11-18 14:30:05  acme/shop #7  Größer\u{fffd}[2J\n\
         {id}  -                2026-11-18 14:30:05  acme/shop #7  Größer\u{fffd}[2J\n\
         there are more: --page-token t"
    );
    assert_eq!(listing(&page, PLAIN), expected);
    assert_eq!(listing(&v1::ListDeploymentsResponse::default(), PLAIN), "no deployments");
}

#[test]
fn who_watches_is_told_what_is_awaited() {
    use v1::watch_deployment_response::Stage;
    let known = blocked();
    let mut awaited = Awaited::default();
    let mut told = vec![awaited.words()];
    for stage in [
        Stage::Accepted(known.deployment.clone().unwrap()),
        Stage::Signal(known.signals[1].clone()),
        Stage::Signal(known.signals[0].clone()),
        Stage::Verdict(known.verdicts[0].clone()),
    ] {
        awaited.see(&v1::WatchDeploymentResponse { sequence: 1, at: at(5, 0), stage: Some(stage) });
        told.push(awaited.words());
    }
    let expected = [
        "the acceptance by ingest",
        "static-analysis and ml-scoring",
        "static-analysis",
        "the verdict",
        "the explanation",
    ];
    assert_eq!(told, expected);
    assert_eq!(awaited.since, at(5, 0));
}
