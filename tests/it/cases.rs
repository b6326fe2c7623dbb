//! Deployments and their events, for the tests of the join and of the trail.

use std::time::Duration;

use decision::config::DatabaseSettings;
use decision::incoming::{Content, Incoming};
use decision::policy::{Inputs, Policy};
use decision::store::{Audit, Store};
use domain::{
    Analysis, Category, Change, Circumstances, Confidence, Deployment, DeploymentId, DiffDigest, DiffReference,
    Explanation, Finding, History, Judgement, Origin, Outcome, OutcomeKind, PullRequest, Repository, Review,
    ReviewDecision, Revision, Risk, RiskScore, Said, Severity, Signal, Source, Verdict,
};
use embedded::Postgres;
use proto::Event;
use sqlx::PgPool;
use tempfile::TempDir;
use time::OffsetDateTime;

pub(crate) struct Database {
    pub(crate) postgres: Postgres,
    folder: TempDir,
}

impl Database {
    pub(crate) async fn start() -> Self {
        let folder = embedded::temporary_folder().unwrap();
        Self { postgres: Postgres::start(folder.path()).await.unwrap(), folder }
    }

    pub(crate) async fn store(&self, deadline: Duration) -> Store {
        let settings =
            DatabaseSettings { url: self.postgres.url().to_owned(), connections_max: 4, ..DatabaseSettings::default() };
        Store::open(&settings, Policy::default(), deadline).await.unwrap()
    }

    /// The address for another role.
    pub(crate) fn url_as(&self, role: &str) -> String {
        harness::url_as(&self.postgres, role)
    }

    /// What PostgreSQL has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("postgres/postgres.log")).unwrap()
    }

    /// Panics when a chain is broken.
    pub(crate) async fn verify(&self) {
        let audit = Audit::connect(self.postgres.url()).await.unwrap();
        for head in audit.months().await.unwrap() {
            assert_eq!(audit.verify(head.month, &[], |_| ()).await.unwrap(), None);
        }
    }

    pub(crate) async fn pool(&self) -> PgPool {
        PgPool::connect(self.postgres.url()).await.unwrap()
    }
}

pub(crate) fn deployment(number: u32) -> Deployment {
    let repository = Repository::parse("acme/shop").unwrap();
    let pull_request = PullRequest::new(number).unwrap();
    let revision = Revision::parse("0123456789abcdef").unwrap();
    Deployment {
        id: DeploymentId::derive(&repository, pull_request, &revision),
        repository,
        pull_request,
        revision,
        title: String::new(),
        author: String::new(),
        branch: String::new(),
        base_branch: String::new(),
        labels: vec![],
        environment: String::new(),
        opened_at: None,
        deploy_at: None,
        commits: None,
        accepted_at: OffsetDateTime::UNIX_EPOCH,
        submitted_by: String::new(),
        change: Change {
            diff: Some(DiffReference::Inline("diff".to_owned())),
            digest: DiffDigest::of("diff"),
            files: vec![],
            lines: None,
        },
        history: History::default(),
    }
}

pub(crate) fn finding(severity: Severity) -> Finding {
    Finding {
        rule_id: "code.test.rule".to_owned(),
        title: "a test".to_owned(),
        category: Category::Code,
        severity,
        confidence: Confidence::High,
        path: "src/lib.rs".to_owned(),
        line: 3,
        column: 1,
        excerpt: String::new(),
        message: "something is wrong".to_owned(),
        remediation: "mend it".to_owned(),
        cwe: 0,
        fingerprint: "0".repeat(32),
        hazard: String::new(),
        suppression: None,
    }
}

pub(crate) fn signal(deployment: &Deployment, source: Source, basis: &str, second: i64, said: Said) -> Signal {
    Signal {
        deployment_id: deployment.id,
        source,
        basis: basis.to_owned(),
        producer: "0.1.0".to_owned(),
        raised_at: OffsetDateTime::from_unix_timestamp(second).unwrap(),
        took: Duration::from_millis(1),
        said,
    }
}

pub(crate) fn found(severities: &[Severity]) -> Said {
    let findings = severities.iter().map(|severity| finding(*severity)).collect();
    Said::Findings(Analysis { findings, ..Analysis::default() })
}

pub(crate) fn risk(probability: f64) -> Said {
    Said::Risk(RiskScore {
        risk: Risk::new(probability).unwrap(),
        base_log_odds: 0.0,
        contributions: vec![],
        unknown: vec![],
        provenance: String::new(),
        grounds: None,
        lift: None,
        shadow: None,
        rank: None,
    })
}

pub(crate) fn incoming<E: Event>(event: E, content: fn(E) -> Content) -> Incoming {
    Incoming {
        event_id: event.event_id(),
        deployment_id: event.deployment_id().unwrap(),
        kind: E::KIND,
        subject: event.subject(),
        stream_sequence: 1,
        message_id: None,
        traceparent: None,
        submitted_at: None,
        body: event.encode().into(),
        content: content(event),
    }
}

/// All events of one deployment: its acceptance, a first signal that gave up, and the signals that count in the end.
pub(crate) fn events(number: u32) -> Vec<Incoming> {
    let deployment = deployment(number);
    let gave_up = Said::Unavailable { reason: "no luck".to_owned() };
    let severities: &[Severity] = if number.is_multiple_of(3) { &[Severity::High] } else { &[] };
    let signals = [
        signal(&deployment, Source::StaticAnalysis, "rules-1", 10, found(severities)),
        signal(&deployment, Source::MlScoring, "model-1", 30, gave_up),
        signal(&deployment, Source::MlScoring, "model-1", 20, risk(if number.is_multiple_of(2) { 0.2 } else { 0.01 })),
    ];
    let mut all = vec![incoming(deployment, Content::accepted)];
    all.extend(signals.map(|signal| incoming(signal, Content::Signal)));
    all
}

/// What the policy makes of these signals.
pub(crate) fn judged(accepted: bool, signals: &[Signal]) -> Judgement {
    Policy::default().judge(Inputs {
        deployment: accepted.then(|| deployment(1)).as_ref(),
        signals,
        reviews: &[],
        evidence_digest: "",
        circumstances: &Circumstances::default(),
        at: OffsetDateTime::UNIX_EPOCH,
    })
}

/// What happens at `when` in production.
pub(crate) fn outcome_at(number: u32, when: OffsetDateTime) -> Incoming {
    outcome_of(number, OutcomeKind::Failed, when)
}

pub(crate) fn outcome_of(number: u32, kind: OutcomeKind, when: OffsetDateTime) -> Incoming {
    let outcome = Outcome {
        deployment_id: deployment(number).id,
        kind,
        detail: "it broke".to_owned(),
        reporter: "pager".to_owned(),
        occurred_at: when,
        request: None,
        recorded_by: String::new(),
    };
    incoming(outcome, Content::Outcome)
}

/// What a person decides at `when` about the first verdict.
pub(crate) fn review(number: u32, decision: ReviewDecision, when: OffsetDateTime) -> Incoming {
    let review = Review {
        deployment_id: deployment(number).id,
        verdict_number: 1,
        decision,
        reviewer: "ada".to_owned(),
        why: "it was looked at".to_owned(),
        reviewed_at: when,
        evidence_digest: String::new(),
        policy_digest: String::new(),
        request: None,
        recorded_by: String::new(),
    };
    incoming(review, Content::Review)
}

/// What follows a verdict: its explanation, a review, an outcome.
pub(crate) fn aftermath(number: u32) -> Vec<Incoming> {
    let deployment_id = deployment(number).id;
    let explanation = Explanation {
        deployment_id,
        verdict_number: 1,
        verdict: Verdict::Block,
        headline: "It is blocked.".to_owned(),
        why: vec![],
        what_to_do: vec![],
        uncertain: vec![],
        producer: String::new(),
        request: None,
        took: Duration::ZERO,
        origin: Origin::Evidence { because: String::new() },
        written_at: OffsetDateTime::UNIX_EPOCH,
    };
    vec![
        incoming(explanation, Content::Explanation),
        review(number, ReviewDecision::Rejected, OffsetDateTime::UNIX_EPOCH),
        outcome_at(number, OffsetDateTime::UNIX_EPOCH + Duration::from_secs(60)),
    ]
}

pub(crate) fn expected(number: u32) -> &'static str {
    match (number % 3, number % 2) {
        (0, _) => "BLOCK",
        (_, 0) => "REVIEW",
        _ => "ALLOW",
    }
}
