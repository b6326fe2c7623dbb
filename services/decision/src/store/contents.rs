//! What events say, filed into the tables of their kind.

use std::collections::{BTreeMap, BTreeSet};

use chassis::metrics::list::OUTCOMES;
use domain::{Analysis, Deployment, Explanation, Origin, Outcome, Review, Said, Signal};
use proto::Event;
use sqlx::{PgConnection, Row};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::join::Fresh;
use super::statement::Statement;
use crate::SERVICE;
use crate::incoming::Content;

/// Where the event of a row is.
#[derive(Clone, Copy, Debug)]
struct Place {
    month: Date,
    event_id: Uuid,
}

fn months<T>(rows: &[(Place, T)]) -> Vec<Date> {
    rows.iter().map(|(place, _)| place.month).collect()
}

fn event_ids<T>(rows: &[(Place, T)]) -> Vec<Uuid> {
    rows.iter().map(|(place, _)| place.event_id).collect()
}

/// What happened to a deployment in production, and what stood against it: to be told once it is stored.
#[derive(Debug)]
pub(super) struct Filed {
    deployment_id: Uuid,
    kind: String,
    against: Option<String>,
}

impl Filed {
    /// Counts it, and says so when it went against its verdict.
    pub(super) fn tell(&self) {
        OUTCOMES.add(1, [&self.kind, self.against.as_deref().unwrap_or_default()]);
        if let Some(against) = &self.against {
            tracing::warn!(
                service = SERVICE,
                deployment.id = %self.deployment_id,
                outcome = self.kind,
                against_verdict = against,
                "deployed against the verdict: {}",
                if against == "none" { "there was none" } else { against }
            );
        }
    }
}

/// Files what the events say into the tables of their kind; gives the outcomes among them. The rows of the deployments that were
/// `made` with this batch hold their acceptances already.
pub(super) async fn insert_contents(
    connection: &mut PgConnection,
    fresh: &[Fresh<'_>],
    made: &BTreeSet<Uuid>,
) -> Result<Vec<Filed>, sqlx::Error> {
    let (mut accepted, mut signals) = (Vec::new(), Vec::new());
    let (mut explanations, mut reviews, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for one in fresh {
        let place = Place { month: one.month.first_day(), event_id: one.event.event_id.uuid() };
        match &one.event.content {
            Content::Accepted(deployment) if made.contains(&deployment.id.uuid()) => {}
            Content::Accepted(deployment) => accepted.push((place, &**deployment)),
            Content::Signal(signal) => signals.push((place, signal)),
            Content::Explanation(explanation) => explanations.push((place, explanation)),
            Content::Review(review) => reviews.push((place, review)),
            Content::Outcome(outcome) => outcomes.push((place, outcome)),
        }
    }
    if !accepted.is_empty() {
        update_accepted(connection, &accepted).await?;
    }
    if !signals.is_empty() {
        upsert_signals(connection, &signals).await?;
        insert_findings(connection, &signals).await?;
    }
    if !explanations.is_empty() {
        insert_explanations(connection, &explanations).await?;
    }
    if !reviews.is_empty() {
        insert_reviews(connection, &reviews).await?;
    }
    if outcomes.is_empty() { Ok(Vec::new()) } else { insert_outcomes(connection, &outcomes).await }
}

/// The digest of what it does to the lines of its files.
pub(super) fn lines_done(deployment: &Deployment) -> Option<&str> {
    deployment.change.lines.as_ref().map(|lines| lines.done.as_str())
}

/// The digest of what would take that back.
pub(super) fn lines_undone(deployment: &Deployment) -> Option<&str> {
    deployment.change.lines.as_ref().map(|lines| lines.undone.as_str())
}

async fn update_accepted(connection: &mut PgConnection, accepted: &[(Place, &Deployment)]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE deployments SET accepted_event_id = new.event_id, accepted_at = new.accepted_at,
             repository = new.repository, pull_request = new.pull_request, revision = new.revision, title = new.title,
             author = new.author, environment = new.environment, facts = new.facts, lines_done = new.lines_done,
             lines_undone = new.lines_undone
         FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[],
             $9::text[], $10::bytea[], $11::text[], $12::text[])
             AS new (deployment_id, event_id, accepted_at, repository, pull_request, revision, title, author, environment, facts,
                 lines_done, lines_undone)
         WHERE deployments.deployment_id = new.deployment_id AND accepted_event_id IS NULL",
    )
    .bind(accepted.iter().map(|(_, d)| d.id.uuid()).collect::<Vec<_>>())
    .bind(event_ids(accepted))
    .bind(accepted.iter().map(|(_, d)| d.accepted_at).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.repository.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.pull_request.get().cast_signed()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.revision.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.title.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.author.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.environment.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.encode()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| lines_done(d)).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| lines_undone(d)).collect::<Vec<_>>())
    .execute(connection)
    .named("UPDATE deployments")
    .await
    .map(|_| ())
}

/// Of two signals of one source the later counts, and one that is available before one that is not: whatever the order in which
/// they come, the same one counts in the end.
async fn upsert_signals(connection: &mut PgConnection, signals: &[(Place, &Signal)]) -> Result<(), sqlx::Error> {
    let mut counting: BTreeMap<_, (Place, &Signal)> = BTreeMap::new();
    for one in signals {
        let counts = counting.entry((one.1.deployment_id, one.1.source)).or_insert(*one);
        if rank(one.1, one.0.event_id) > rank(counts.1, counts.0.event_id) {
            *counts = *one;
        }
    }
    let signals: Vec<(Place, &Signal)> = counting.into_values().collect();
    sqlx::query(
        "INSERT INTO signals (deployment_id, source, event_id, available, basis, producer, raised_at, took_us, month)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bool[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[],
             $9::date[])
         ON CONFLICT (deployment_id, source) DO UPDATE SET event_id = excluded.event_id, available = excluded.available,
             basis = excluded.basis, producer = excluded.producer, raised_at = excluded.raised_at, took_us = excluded.took_us
         WHERE (excluded.available, excluded.raised_at, excluded.event_id) > (signals.available, signals.raised_at, signals.event_id)",
    )
    .bind(signals.iter().map(|(_, s)| s.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| s.source.name()).collect::<Vec<_>>())
    .bind(event_ids(&signals))
    .bind(signals.iter().map(|(_, s)| is_available(s)).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| s.basis.as_str()).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| s.producer.as_str()).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| s.raised_at).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| i64::try_from(s.took.as_micros()).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    .bind(months(&signals))
    .execute(connection)
    .named("INSERT signals")
    .await
    .map(|_| ())
}

/// By which of two signals of one source the higher counts.
pub(super) fn rank(signal: &Signal, event_id: Uuid) -> (bool, OffsetDateTime, Uuid) {
    (is_available(signal), signal.raised_at, event_id)
}

fn is_available(signal: &Signal) -> bool {
    !matches!(signal.said, Said::Unavailable { .. })
}

async fn insert_findings(connection: &mut PgConnection, signals: &[(Place, &Signal)]) -> Result<(), sqlx::Error> {
    let mut rows = Vec::new();
    for (place, signal) in signals {
        if let Said::Findings(Analysis { findings, .. }) = &signal.said {
            let numbered = (1_i32..).zip(findings);
            rows.extend(numbered.map(|(ordinal, finding)| (place, ordinal, signal.deployment_id.uuid(), finding)));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO findings (event_id, ordinal, deployment_id, rule_id, category, severity, confidence, path, line, message,
             fingerprint, month)
         SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::int[], $10::text[], $11::text[], $12::date[])",
    )
    .bind(rows.iter().map(|row| row.0.event_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.rule_id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.category.name()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.severity.name()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.confidence.name()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.path.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| i32::try_from(row.3.line).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.message.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.fingerprint.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.0.month).collect::<Vec<_>>())
    .execute(connection)
    .named("INSERT findings")
    .await
    .map(|_| ())
}

async fn insert_explanations(
    connection: &mut PgConnection,
    explanations: &[(Place, &Explanation)],
) -> Result<(), sqlx::Error> {
    let model = |explanation: &Explanation| match &explanation.origin {
        Origin::Model { name, .. } => Some(name.clone()),
        Origin::Evidence { .. } => None,
    };
    sqlx::query(
        "INSERT INTO explanations (month, event_id, deployment_id, verdict_number, headline, model, written_at)
         SELECT * FROM unnest($1::date[], $2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::timestamptz[])",
    )
    .bind(months(explanations))
    .bind(event_ids(explanations))
    .bind(explanations.iter().map(|(_, x)| x.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(explanations.iter().map(|(_, x)| i32::try_from(x.verdict_number).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(explanations.iter().map(|(_, x)| x.headline.as_str()).collect::<Vec<_>>())
    .bind(explanations.iter().map(|(_, x)| model(x)).collect::<Vec<_>>())
    .bind(explanations.iter().map(|(_, x)| x.written_at).collect::<Vec<_>>())
    .execute(connection)
    .named("INSERT explanations")
    .await
    .map(|_| ())
}

async fn insert_reviews(connection: &mut PgConnection, reviews: &[(Place, &Review)]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO reviews (month, event_id, deployment_id, verdict_number, decision, reviewer, why, reviewed_at)
         SELECT * FROM unnest($1::date[], $2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])",
    )
    .bind(months(reviews))
    .bind(event_ids(reviews))
    .bind(reviews.iter().map(|(_, r)| r.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(reviews.iter().map(|(_, r)| i32::try_from(r.verdict_number).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(reviews.iter().map(|(_, r)| r.decision.name()).collect::<Vec<_>>())
    .bind(reviews.iter().map(|(_, r)| r.reviewer.as_str()).collect::<Vec<_>>())
    .bind(reviews.iter().map(|(_, r)| r.why.as_str()).collect::<Vec<_>>())
    .bind(reviews.iter().map(|(_, r)| r.reviewed_at).collect::<Vec<_>>())
    .execute(connection)
    .named("INSERT reviews")
    .await
    .map(|_| ())
}

/// With what the latest verdict before it happened says against each: BLOCK, REVIEW (an approval makes an
/// ALLOW of it), or that there was none. Verdicts are made here, so that one which is not stored yet did not stand when the outcome happened.
const INSERT_OUTCOMES: &str =
    "INSERT INTO outcomes (month, event_id, deployment_id, kind, detail, reporter, occurred_at, against_verdict)
     SELECT new.*, CASE WHEN v.number IS NULL THEN 'none'
         WHEN v.verdict = 'ALLOW' THEN NULL
         ELSE v.verdict END
     FROM unnest($1::date[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
         AS new (month, event_id, deployment_id, kind, detail, reporter, occurred_at)
     LEFT JOIN LATERAL (SELECT number, verdict FROM verdicts
         WHERE verdicts.month = new.month AND verdicts.deployment_id = new.deployment_id AND reached_at <= new.occurred_at
         ORDER BY number DESC LIMIT 1) AS v ON true
     RETURNING deployment_id, kind, against_verdict";

async fn insert_outcomes(
    connection: &mut PgConnection,
    outcomes: &[(Place, &Outcome)],
) -> Result<Vec<Filed>, sqlx::Error> {
    let rows = sqlx::query(INSERT_OUTCOMES)
        .bind(months(outcomes))
        .bind(event_ids(outcomes))
        .bind(outcomes.iter().map(|(_, o)| o.deployment_id.uuid()).collect::<Vec<_>>())
        .bind(outcomes.iter().map(|(_, o)| o.kind.name()).collect::<Vec<_>>())
        .bind(outcomes.iter().map(|(_, o)| o.detail.as_str()).collect::<Vec<_>>())
        .bind(outcomes.iter().map(|(_, o)| o.reporter.as_str()).collect::<Vec<_>>())
        .bind(outcomes.iter().map(|(_, o)| o.occurred_at).collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .named("INSERT outcomes")
        .await?;
    let filed = rows
        .iter()
        .map(|row| {
            let (kind, against) = (row.try_get("kind")?, row.try_get("against_verdict")?);
            Ok(Filed { deployment_id: row.try_get("deployment_id")?, kind, against })
        })
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    let went_against: BTreeMap<Uuid, &str> =
        filed.iter().filter_map(|one| Some((one.deployment_id, one.against.as_deref()?))).collect();
    if went_against.is_empty() {
        return Ok(filed);
    }
    sqlx::query(
        "UPDATE deployments SET against_verdict = new.against FROM unnest($1::uuid[], $2::text[]) AS new (id, against)
         WHERE deployment_id = new.id",
    )
    .bind(went_against.keys().copied().collect::<Vec<_>>())
    .bind(went_against.into_values().collect::<Vec<_>>())
    .execute(connection)
    .named("UPDATE deployments")
    .await?;
    Ok(filed)
}
