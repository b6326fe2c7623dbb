//! Old encoded samples must decode for ever: `samples/` holds one message of each kind as some earlier version wrote it.
//!
//! A file there is never changed. A new field gets a new sample beside the old one.

use std::time::Duration;

use domain::{
    Analysis, Approvals, Category, Cause, Change, Circumstances, Claim, Confidence, Contribution, Counterfactual,
    Deployment, DeploymentId, DiffDigest, DiffReference, Draft, DraftChange, EventId, Evidence, Explanation,
    ExplanationRequest, FileChange, FileChangeKind, Finding, Grounds, History, Judgement, LinesDigest, Missing,
    MissingInput, ModelName, Origin, Outcome, OutcomeKind, Overruled, PolicyStamp, Provenance, PullRequest, Rank,
    Reached, Reason, Remedy, Repository, RequestId, Review, ReviewDecision, Revision, Risk, RiskScore, Said, Severity,
    Shadow, Signal, Source, Verdict,
};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::{Event, decode};

const AT: OffsetDateTime = datetime!(2026-11-20 15:30:00.123456 UTC);

fn id() -> DeploymentId {
    deployment().id
}

fn draft() -> Draft {
    Draft {
        repository: "acme/shop".to_owned(),
        pull_request: 7,
        revision: "0123456789abcdef".to_owned(),
        change: Some(DraftChange::Diff("--- a/x\n+++ b/x\n".to_owned())),
        title: "Größer".to_owned(),
        author: "ada".to_owned(),
        branch: "feature".to_owned(),
        base_branch: "main".to_owned(),
        labels: vec!["db".to_owned()],
        environment: "production".to_owned(),
        opened_at: Some(AT),
        deploy_at: Some(AT),
        commits: Some(0),
        files_changed: Some(1),
        history: History { author_changes: Some(0.0), file_reverts: Some(2.0), ..History::default() },
        submitted_by: String::new(),
    }
}

const CALLER: &str = "github:repo:acme/shop:ref:refs/heads/main";

fn draft_by_a_caller() -> Draft {
    Draft { submitted_by: CALLER.to_owned(), ..draft() }
}

fn accepted_by_a_caller() -> Deployment {
    Deployment { submitted_by: CALLER.to_owned(), ..deployment() }
}

fn review_by_a_caller() -> Review {
    Review { recorded_by: CALLER.to_owned(), ..review() }
}

fn outcome_by_a_caller() -> Outcome {
    Outcome { recorded_by: CALLER.to_owned(), ..outcome() }
}

fn deployment() -> Deployment {
    let repository = Repository::parse("acme/shop").unwrap();
    let pull_request = PullRequest::new(7).unwrap();
    let revision = Revision::parse("0123456789abcdef").unwrap();
    let file = FileChange {
        path: "new.sql".to_owned(),
        old_path: Some("old.sql".to_owned()),
        kind: FileChangeKind::Renamed,
        lines_added: 3,
        lines_deleted: 1,
        binary: false,
    };
    Deployment {
        id: DeploymentId::derive(&repository, pull_request, &revision),
        repository,
        pull_request,
        revision,
        title: "Größer".to_owned(),
        author: "ada".to_owned(),
        branch: "feature".to_owned(),
        base_branch: "main".to_owned(),
        labels: vec!["db".to_owned()],
        environment: "production".to_owned(),
        opened_at: None,
        deploy_at: Some(AT),
        commits: Some(4),
        accepted_at: AT,
        submitted_by: String::new(),
        change: Change {
            diff: Some(DiffReference::Stored { object: "ab".to_owned() }),
            digest: DiffDigest { sha256: "ab".repeat(32), bytes: 9_000_000 },
            files: vec![file],
            lines: None,
        },
        history: History { repository_reverts: Some(1.0), ..History::default() },
    }
}

fn found() -> Signal {
    let finding = Finding {
        rule_id: "secret.aws.access-key-id".to_owned(),
        title: "AWS access key".to_owned(),
        category: Category::Secret,
        severity: Severity::Critical,
        confidence: Confidence::High,
        path: "app.py".to_owned(),
        line: 3,
        column: 9,
        excerpt: "key = \"AKIA…\"".to_owned(),
        message: "an AWS access key is in the code".to_owned(),
        remediation: "revoke it".to_owned(),
        cwe: 798,
        fingerprint: "0f".repeat(16),
        hazard: String::new(),
        suppression: None,
    };
    let analysis = Analysis { findings: vec![finding], findings_dropped: 1, files_scanned: 2, lines_scanned: 30 };
    signal(Source::StaticAnalysis, Said::Findings(analysis))
}

fn scored() -> Signal {
    let contribution =
        Contribution { feature: "files".into(), value: Some(50.0), log_odds: 0.7, words: "changes 50 files".into() };
    let score = RiskScore {
        risk: Risk::new(0.025).unwrap(),
        base_log_odds: -4.4,
        contributions: vec![contribution],
        unknown: vec!["author_changes".into()],
        provenance: "learned".to_owned(),
        grounds: None,
        lift: None,
        shadow: None,
        rank: None,
    };
    signal(Source::MlScoring, Said::Risk(score))
}

fn scored_with_grounds() -> Signal {
    let grounds = Grounds {
        provenance: Provenance::Learned,
        outcomes: 65_970,
        failures: 675,
        alike: 1_979,
        alike_failures: 71,
        interval: (Risk::new(0.028).unwrap(), Risk::new(0.045).unwrap()),
    };
    let shadow = Shadow { basis: "own-2+0123456789ab".to_owned(), risk: Risk::new(0.031).unwrap() };
    let Signal { said: Said::Risk(score), .. } = scored() else { unreachable!("a score is a risk") };
    signal(
        Source::MlScoring,
        Said::Risk(RiskScore { grounds: Some(grounds), lift: Some(2.5), shadow: Some(shadow), ..score }),
    )
}

fn scored_with_rank() -> Signal {
    let Signal { said: Said::Risk(score), .. } = scored_with_grounds() else { unreachable!("a score is a risk") };
    signal(Source::MlScoring, Said::Risk(RiskScore { rank: Some(Rank { percentile: 0.965, among: 200 }), ..score }))
}

fn gave_up() -> Signal {
    signal(Source::MlScoring, Said::Unavailable { reason: "no model".to_owned() })
}

fn signal(source: Source, said: Said) -> Signal {
    Signal {
        deployment_id: id(),
        source,
        basis: "basis".to_owned(),
        producer: "0.1.0".to_owned(),
        raised_at: AT,
        took: Duration::from_micros(1_500),
        said,
    }
}

fn reached() -> Reached {
    let evidence = vec![
        Evidence::Finding {
            rule_id: "secret.aws.access-key-id".to_owned(),
            fingerprint: "0f".repeat(16),
            path: "app.py".to_owned(),
            line: 3,
        },
        Evidence::Risk { probability: 0.025, model: "basis".to_owned() },
        Evidence::Missing(MissingInput::Signal(Source::MlScoring)),
    ];
    let reason = Reason {
        rule: "findings.block".to_owned(),
        effect: Verdict::Block,
        message: "a key".to_owned(),
        measured: "critical".to_owned(),
        threshold: "high".to_owned(),
        evidence,
    };
    let missing = Missing { input: MissingInput::Acceptance, why: "never came".to_owned() };
    Reached {
        deployment_id: id(),
        number: 2,
        judgement: Judgement::new(Verdict::Block, vec![reason], vec![missing]),
        policy: PolicyStamp { version: "default-1".to_owned(), digest: "cd".repeat(32) },
        cause: Cause::Late,
        reached_at: AT,
        deployment: Some(deployment().without_diff()),
        signals: vec![found(), gave_up()],
        evidence_digest: String::new(),
        circumstances: Circumstances::default(),
    }
}

fn reached_against_the_policy() -> Reached {
    let file = Evidence::File { path: "app.py".to_owned() };
    let reviewer = Evidence::Review { reviewer: "grace".to_owned(), verdict_number: 2 };
    let first = reached();
    let judgement = Judgement {
        verdict: Verdict::Allow,
        approvals: vec![Approvals { by: "release".to_owned(), count: 2, given: 1 }],
        overruled: Some(Overruled {
            policy_verdict: Verdict::Block,
            decision: ReviewDecision::Emergency,
            by: vec!["grace".to_owned()],
            review_due: Some(AT),
        }),
        counterfactual: Some(Counterfactual {
            verdict: Verdict::Review,
            changes: vec![Remedy { message: "mend it".to_owned(), evidence: vec![file, reviewer] }],
        }),
        ..first.judgement
    };
    Reached {
        number: 3,
        judgement,
        cause: Cause::Review,
        evidence_digest: "ef".repeat(32),
        circumstances: Circumstances { reverts: Some(id()), known_findings: vec!["0f".repeat(16)] },
        ..first
    }
}

fn accepted_with_lines() -> Deployment {
    let mut deployment = deployment();
    deployment.change.lines = Some(LinesDigest { done: "12".repeat(32), undone: "34".repeat(32) });
    deployment
}

fn explanation(origin: Origin) -> Explanation {
    Explanation {
        deployment_id: id(),
        verdict_number: 2,
        verdict: Verdict::Block,
        headline: "Blocked".to_owned(),
        why: vec![Claim { text: "A key.".to_owned(), evidence: vec!["S1".to_owned()] }],
        what_to_do: vec![Claim { text: "Revoke it.".to_owned(), evidence: vec![] }],
        uncertain: vec!["The past is unknown.".to_owned()],
        request: None,
        origin,
        producer: "0.1.0".to_owned(),
        took: Duration::from_millis(3),
        written_at: AT,
    }
}

fn by_a_model(grounding: Option<f64>, claims_dropped: u32, tokens: Option<u64>) -> Explanation {
    explanation(Origin::Model {
        name: "m".to_owned(),
        digest: "d".to_owned(),
        grounding,
        claims_dropped,
        prompt_tokens: tokens,
        answer_tokens: tokens,
    })
}

fn request() -> ExplanationRequest {
    let model = Some(ModelName::parse("m:3b").unwrap());
    ExplanationRequest { deployment_id: id(), model, requested_at: AT, request: None }
}

/// What a caller may send as often as it likes.
fn told_apart() -> Option<RequestId> {
    Some(RequestId::parse("7c9e6679-7425-40de-944b-e07fc1f90ae7").unwrap())
}

fn requested() -> Explanation {
    let request = Some(EventId::parse("2390b58a-c653-5a88-a9a1-c2e65e719444").unwrap());
    Explanation { request, ..by_a_model(Some(1.0), 0, Some(7)) }
}

fn review() -> Review {
    Review {
        deployment_id: id(),
        verdict_number: 2,
        decision: ReviewDecision::Rejected,
        reviewer: "grace".to_owned(),
        why: "not today".to_owned(),
        reviewed_at: AT,
        evidence_digest: String::new(),
        policy_digest: String::new(),
        request: None,
        recorded_by: String::new(),
    }
}

fn review_of_what_was_seen() -> Review {
    Review {
        decision: ReviewDecision::Emergency,
        evidence_digest: "ef".repeat(32),
        policy_digest: "cd".repeat(32),
        ..review()
    }
}

fn outcome() -> Outcome {
    Outcome {
        deployment_id: id(),
        kind: OutcomeKind::RolledBack,
        detail: "500s".to_owned(),
        reporter: "argo".to_owned(),
        occurred_at: AT,
        request: None,
        recorded_by: String::new(),
    }
}

#[track_caller]
fn check<E: Event + PartialEq + std::fmt::Debug>(name: &str, expected: &E) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    let old = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(&decode::<E>(None, &old).unwrap(), expected);
    assert_eq!(&E::from_protobuf(&expected.encode()).unwrap(), expected);
}

#[test]
fn what_an_earlier_version_wrote_is_read() {
    check("submitted-1.bin", &draft());
    check("accepted-1.bin", &deployment());
    check("signal-found-1.bin", &found());
    check("signal-scored-1.bin", &scored());
    check("signal-scored-2.bin", &scored_with_grounds());
    check("signal-scored-3.bin", &scored_with_rank());
    check("signal-gave-up-1.bin", &gave_up());
    check("accepted-2.bin", &accepted_with_lines());
    check("verdict-1.bin", &reached());
    check("verdict-2.bin", &reached_against_the_policy());
    check("review-2.bin", &review_of_what_was_seen());
    check("explanation-model-1.bin", &by_a_model(None, 0, None));
    check("explanation-model-2.bin", &by_a_model(Some(0.75), 1, Some(1_226)));
    check("explanation-model-3.bin", &requested());
    check("explanation-requested-1.bin", &request());
    check("explanation-evidence-1.bin", &explanation(Origin::Evidence { because: "no model".to_owned() }));
    check("review-1.bin", &review());
    check("outcome-1.bin", &outcome());
    check("review-3.bin", &Review { request: told_apart(), ..review_of_what_was_seen() });
    check("outcome-2.bin", &Outcome { request: told_apart(), ..outcome() });
    check("explanation-requested-2.bin", &ExplanationRequest { request: told_apart(), ..request() });
    check("submitted-by-caller-1.bin", &draft_by_a_caller());
    check("accepted-by-caller-1.bin", &accepted_by_a_caller());
    check("review-by-caller-1.bin", &review_by_a_caller());
    check("outcome-by-caller-1.bin", &outcome_by_a_caller());
}

#[test]
fn a_grounding_that_is_no_share_is_refused() {
    for share in [-0.1, 1.1, f64::NAN] {
        let refused = Explanation::from_protobuf(&by_a_model(Some(share), 0, None).encode()).unwrap_err();
        assert_eq!(refused.to_string(), format!("grounding: must be 0 to 1, not {share}"));
    }
}

#[test]
fn an_unspecified_or_unknown_value_is_refused() {
    let text = format!(r#"{{"deployment_id":"{}","reporter":"argo","occurred_at":"2026-11-20T15:30:00Z"}}"#, id());
    assert_eq!(Outcome::from_json(text.as_bytes()).unwrap_err().to_string(), "kind: is required");
    let mut bytes = outcome().encode();
    // Field 3, the kind, as a varint that no version knows.
    bytes.extend([0x18, 0x63]);
    assert_eq!(Outcome::from_protobuf(&bytes).unwrap_err().to_string(), "kind: 99 is not a known value");
}
