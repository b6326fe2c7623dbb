//! What a question costs without the model: building the prompt, the look for secrets in it included, and checking the answer
//! against the evidence, for a verdict with fifty findings that are all told to the model. `just bench`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::{
    Analysis, Category, Cause, Circumstances, Confidence, DeploymentId, Finding, Judgement, PolicyStamp, PullRequest,
    Reached, Reason, Repository, Revision, Said, Severity, Signal, Source, Verdict,
};
use llm_explainer::check::check;
use llm_explainer::evidence::{Evidence, Limits};
use llm_explainer::prompt::prompt;
use llm_explainer::{SecretRules, Template};
use serde_json::json;
use time::OffsetDateTime;

const FINDINGS: u32 = 50;
const LIMITS: Limits = Limits { items_max: 100, chars_max: 100_000 };

fn finding(number: u32) -> Finding {
    Finding {
        rule_id: "migration.rollback.missing".to_owned(),
        title: "Migration without a rollback".to_owned(),
        category: Category::Migration,
        severity: Severity::High,
        confidence: Confidence::Medium,
        path: format!("migrations/{number:04}_drop_email.sql"),
        line: number,
        column: 0,
        excerpt: "ALTER TABLE users DROP COLUMN email;".to_owned(),
        message: "the migration drops a column and has no way back".to_owned(),
        remediation: "Add a down migration that restores the column.".to_owned(),
        cwe: 0,
        fingerprint: format!("{number:032x}"),
        hazard: String::new(),
        suppression: None,
    }
}

fn reached() -> Reached {
    let repository = Repository::parse("acme/shop").expect("a sound name");
    let pull_request = PullRequest::new(7).expect("a sound number");
    let revision = Revision::parse("0123456789abcdef").expect("a sound revision");
    let deployment_id = DeploymentId::derive(&repository, pull_request, &revision);
    let findings: Vec<Finding> = (1..=FINDINGS).map(finding).collect();
    let rests_on = |finding: &Finding| domain::Evidence::Finding {
        rule_id: finding.rule_id.clone(),
        fingerprint: finding.fingerprint.clone(),
        path: finding.path.clone(),
        line: finding.line,
    };
    let reason = Reason {
        rule: "findings.block".to_owned(),
        effect: Verdict::Block,
        message: "50 findings of severity high or above".to_owned(),
        measured: "high".to_owned(),
        threshold: "high".to_owned(),
        evidence: findings.iter().map(rests_on).collect(),
    };
    let analysis = Analysis { findings, findings_dropped: 0, files_scanned: FINDINGS, lines_scanned: 400 };
    let signal = Signal {
        deployment_id,
        source: Source::StaticAnalysis,
        basis: "0.1.0".to_owned(),
        producer: "0.1.0".to_owned(),
        raised_at: OffsetDateTime::UNIX_EPOCH,
        took: Duration::from_millis(3),
        said: Said::Findings(analysis),
    };
    Reached {
        deployment_id,
        number: 1,
        judgement: Judgement::new(Verdict::Block, vec![reason], Vec::new()),
        policy: PolicyStamp { version: "1".to_owned(), digest: "d".repeat(64) },
        cause: Cause::Complete,
        reached_at: OffsetDateTime::UNIX_EPOCH,
        deployment: None,
        signals: vec![signal],
        evidence_digest: "e".repeat(64),
        circumstances: Circumstances::default(),
    }
}

/// An answer that holds, as long as one may be.
fn answer() -> String {
    let claim = |number: u32| {
        let text = format!("The migration in migrations/{number:04}_drop_email.sql:{number} has no way back.");
        json!({ "text": text, "evidence": [format!("S{number}"), "P1"] })
    };
    let step = |number: u32| {
        let text = format!("Add a down migration to migrations/{number:04}_drop_email.sql.");
        json!({ "text": text, "evidence": [format!("S{number}")] })
    };
    json!({
        "headline": "Migrations without a way back block this deployment.",
        "why": (1..=5).map(claim).collect::<Vec<_>>(),
        "what_to_do": (1..=5).map(step).collect::<Vec<_>>(),
        "uncertain": ["Whether anybody still reads the column."],
    })
    .to_string()
}

fn voice(criterion: &mut Criterion) {
    let (reached, answer, template) = (reached(), answer(), Template::english());
    let evidence = Evidence::of(&reached, LIMITS);
    let checked = check(&answer, Verdict::Block, &evidence, &template).expect("an answer that holds");
    assert!(checked.dropped.is_empty() && evidence.cut.words().is_none(), "{checked:?}");
    let nothing_is_secret = SecretRules::new(|_| None);
    let secrets = failsafe::secret_rules(static_analysis::Config::default()).expect("the default settings are right");
    let mut group = criterion.benchmark_group("50 findings");
    for (name, secrets) in [("prompt", &nothing_is_secret), ("prompt, looked through for secrets", &secrets)] {
        group.bench_function(name, |bencher| {
            let made =
                || prompt(Verdict::Block, &Evidence::of(black_box(&reached), LIMITS), &template, secrets).is_ok();
            assert!(made());
            bencher.iter(made);
        });
    }
    group.bench_function("grounding check", |bencher| {
        bencher.iter(|| check(black_box(&answer), Verdict::Block, &evidence, &template).is_ok());
    });
    group.finish();
}

criterion_group!(benches, voice);
criterion_main!(benches);
