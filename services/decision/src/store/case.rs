//! A case: all that the tables hold of one deployment when it may be decided, and what the trail knows around it.

use std::collections::BTreeMap;

use domain::identity::sha256_hex;
use domain::{Circumstances, Deployment, DeploymentId, Review, RiskScore, Said, Signal, Source};
use proto::Event;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::contents::rank;
use super::statement::Statement;
use crate::incoming::{Content, Incoming};
use crate::policy::{Given, Inputs};

/// What the tables hold of one deployment when it may be decided.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) verdict_number: u32,
    pub(super) traceparent: Option<String>,
    /// The acceptance: its event, and the deployment without its diff.
    pub(super) accepted: Option<(Uuid, Deployment)>,
    /// The signals that count, by source, each with its event.
    pub(super) signals: BTreeMap<Source, (Uuid, Signal, Option<String>)>,
    /// What people decided, each with its event.
    pub(super) reviews: Vec<(Uuid, Given)>,
    pub(super) circumstances: Circumstances,
    /// What the latest verdict rests on, and the digest of its evidence.
    pub(super) decided_on: Vec<Uuid>,
    pub(super) decided_on_evidence: String,
}

impl Case {
    /// One of which nothing is known.
    const fn begun(traceparent: Option<String>) -> Self {
        Self {
            verdict_number: 0,
            traceparent,
            accepted: None,
            signals: BTreeMap::new(),
            reviews: Vec::new(),
            circumstances: Circumstances { known_findings: Vec::new(), reverts: None },
            decided_on: Vec::new(),
            decided_on_evidence: String::new(),
        }
    }

    /// The events that a verdict reached now would rest on, sorted.
    pub(super) fn inputs(&self) -> Vec<Uuid> {
        let mut inputs: Vec<Uuid> = self.evidence().chain(self.reviews.iter().map(|(id, _)| *id)).collect();
        inputs.sort_unstable();
        inputs
    }

    fn evidence(&self) -> impl Iterator<Item = Uuid> {
        let accepted = self.accepted.iter().map(|(id, _)| *id);
        accepted.chain(self.signals.values().map(|(id, ..)| *id))
    }

    /// Identifies the evidence: the events that it consists of, reviews apart.
    pub(super) fn evidence_digest(&self) -> String {
        evidence_digest(self.evidence().collect())
    }

    pub(super) fn risk(&self) -> Option<f64> {
        match &self.signals.get(&Source::MlScoring)?.1.said {
            Said::Risk(RiskScore { risk, .. }) => Some(risk.probability()),
            _ => None,
        }
    }
}

/// What a batch says of a deployment, borrowed until it is known to be all that a verdict takes.
#[derive(Debug, Default)]
struct Heard<'a> {
    traceparent: Option<&'a str>,
    accepted: Option<(Uuid, &'a Deployment)>,
    /// The signals that count.
    signals: BTreeMap<Source, (&'a Signal, &'a Incoming)>,
    /// Something refers to what was before.
    has_past: bool,
}

impl Heard<'_> {
    fn is_whole(&self) -> bool {
        !self.has_past && Inputs::are_complete(self.accepted.is_some(), self.signals.keys().copied())
    }

    fn case(&self) -> Case {
        let signals = self.signals.iter().map(|(source, (signal, event))| {
            (*source, (event.event_id.uuid(), (*signal).clone(), event.traceparent.clone()))
        });
        Case {
            accepted: self.accepted.map(|(event, deployment)| (event, deployment.clone())),
            signals: signals.collect(),
            ..Case::begun(self.traceparent.map(str::to_owned))
        }
    }
}

/// The deployments that came whole: of which `batch` holds the acceptance and all signals, and nothing else, as far as nothing was known
/// of them before. None when it tells an outcome, on which the verdict about another may rest.
pub(super) fn whole(batch: &[&Incoming]) -> BTreeMap<DeploymentId, Case> {
    let mut heard: BTreeMap<DeploymentId, Heard<'_>> = BTreeMap::new();
    for event in batch {
        let one = heard
            .entry(event.deployment_id)
            .or_insert_with(|| Heard { traceparent: event.traceparent.as_deref(), ..Heard::default() });
        match &event.content {
            Content::Accepted(deployment) => {
                one.accepted.get_or_insert((event.event_id.uuid(), deployment));
            }
            Content::Signal(signal) => {
                let of = |signal: &Signal, event: &Incoming| rank(signal, event.event_id.uuid());
                if one.signals.get(&signal.source).is_none_or(|(known, by)| of(signal, event) > of(known, by)) {
                    one.signals.insert(signal.source, (signal, event));
                }
            }
            Content::Explanation(_) | Content::Review(_) => one.has_past = true,
            Content::Outcome(_) => return BTreeMap::new(),
        }
    }
    heard.into_iter().filter(|(_, one)| one.is_whole()).map(|(id, one)| (id, one.case())).collect()
}

/// Those of `ids`, whose rows are locked, for which everything is in, or that were decided before. Few words to PostgreSQL: it is asked
/// with each signal, and most deployments are not complete with their first.
pub(super) async fn decidable(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "SELECT deployment_id, verdict_number > 0 AS decided, accepted_event_id IS NOT NULL AS accepted,
             ARRAY(SELECT source FROM signals WHERE signals.deployment_id = deployments.deployment_id) AS sources
         FROM deployments WHERE deployment_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(connection)
    .named("SELECT deployments")
    .await?;
    let mut decidable = Vec::new();
    for row in rows {
        let sources: Vec<String> = row.try_get("sources")?;
        let sources = sources.iter().filter_map(|source| Source::from_name(source));
        if row.try_get("decided")? || Inputs::are_complete(row.try_get("accepted")?, sources) {
            decidable.push(row.try_get("deployment_id")?);
        }
    }
    Ok(decidable)
}

/// The cases of `ids`, whose rows are locked, and what the trail knows around them.
pub(super) async fn load_cases(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<BTreeMap<DeploymentId, Case>, sqlx::Error> {
    let mut cases = BTreeMap::new();
    if !ids.is_empty() {
        load_stored(connection, ids, &mut cases).await?;
        load_circumstances(connection, &mut cases).await?;
    }
    Ok(cases)
}

/// What the trail knows around `cases`.
pub(super) async fn load_circumstances(
    connection: &mut PgConnection,
    cases: &mut BTreeMap<DeploymentId, Case>,
) -> Result<(), sqlx::Error> {
    load_known_findings(connection, cases).await?;
    load_reverts(connection, cases).await
}

async fn load_stored(
    connection: &mut PgConnection,
    ids: &[Uuid],
    cases: &mut BTreeMap<DeploymentId, Case>,
) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(
        "SELECT d.deployment_id, d.verdict_number, d.traceparent, d.accepted_event_id, d.facts, v.inputs,
             v.evidence_digest
         FROM deployments d
         LEFT JOIN verdicts v ON v.month = d.month AND v.deployment_id = d.deployment_id AND v.number = d.verdict_number
         WHERE d.deployment_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .named("SELECT deployments")
    .await?;
    for row in rows {
        let accepted = match (row.try_get::<Option<Uuid>, _>("accepted_event_id")?, row.try_get("facts")?) {
            (Some(event), Some(facts)) => Some((event, decode::<Deployment>(facts)?)),
            _ => None,
        };
        let case = Case {
            verdict_number: row.try_get::<i32, _>("verdict_number")?.cast_unsigned(),
            accepted,
            decided_on_evidence: row.try_get::<Option<String>, _>("evidence_digest")?.unwrap_or_default(),
            decided_on: row.try_get::<Option<Vec<Uuid>>, _>("inputs")?.unwrap_or_default(),
            ..Case::begun(row.try_get("traceparent")?)
        };
        cases.insert(DeploymentId::from_uuid(row.try_get("deployment_id")?), case);
    }
    let rows = sqlx::query(
        "SELECT event_id, e.body, e.traceparent FROM signals JOIN events e USING (month, event_id)
         WHERE signals.deployment_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .named("SELECT signals")
    .await?;
    for row in rows {
        let signal = decode::<Signal>(row.try_get("body")?)?;
        if let Some(case) = cases.get_mut(&signal.deployment_id) {
            let entry = (row.try_get("event_id")?, signal, row.try_get("traceparent")?);
            case.signals.insert(entry.1.source, entry);
        }
    }
    load_reviews(connection, ids, cases).await
}

/// A review counts for a verdict that was there before the one that is reached now.
async fn load_reviews(
    connection: &mut PgConnection,
    ids: &[Uuid],
    cases: &mut BTreeMap<DeploymentId, Case>,
) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(
        "SELECT r.event_id, e.body, v.evidence_digest, v.policy_digest FROM reviews r JOIN events e USING (month, event_id)
         LEFT JOIN verdicts v ON v.month = r.month AND v.deployment_id = r.deployment_id AND v.number = r.verdict_number
         WHERE r.deployment_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(connection)
    .named("SELECT reviews")
    .await?;
    for row in rows {
        let review = decode::<Review>(row.try_get("body")?)?;
        let for_verdict = Option::zip(row.try_get("evidence_digest")?, row.try_get("policy_digest")?);
        if let Some(case) = cases.get_mut(&review.deployment_id) {
            case.reviews.push((row.try_get("event_id")?, Given { review, for_verdict }));
        }
    }
    Ok(())
}

/// Findings that another deployment of the repository brought to production before, where it succeeded and nothing else is told of
/// it: what was taken back is not there, and what failed is no proof that it may come again.
async fn load_known_findings(
    connection: &mut PgConnection,
    cases: &mut BTreeMap<DeploymentId, Case>,
) -> Result<(), sqlx::Error> {
    let mut wanted: Vec<(Uuid, String, String)> = Vec::new();
    for (id, case) in &*cases {
        let Some((_, deployment)) = &case.accepted else { continue };
        let Some((_, Signal { said: Said::Findings(analysis), .. }, _)) = case.signals.get(&Source::StaticAnalysis)
        else {
            continue;
        };
        let repository = deployment.repository.as_str();
        let counting = analysis.findings.iter().filter(|finding| finding.suppression.is_none());
        wanted.extend(counting.map(|finding| (id.uuid(), repository.to_owned(), finding.fingerprint.clone())));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(
        "SELECT DISTINCT mine.deployment_id, mine.fingerprint
         FROM unnest($1::uuid[], $2::text[], $3::text[]) AS mine (deployment_id, repository, fingerprint)
         WHERE (SELECT true FROM known_findings k WHERE k.repository = mine.repository AND k.fingerprint = mine.fingerprint
             AND k.deployment_id <> mine.deployment_id LIMIT 1)
         ORDER BY mine.deployment_id, mine.fingerprint",
    )
    .bind(wanted.iter().map(|one| one.0).collect::<Vec<_>>())
    .bind(wanted.iter().map(|one| one.1.as_str()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|one| one.2.as_str()).collect::<Vec<_>>())
    .fetch_all(connection)
    .named("SELECT findings")
    .await?;
    for row in rows {
        if let Some(case) = cases.get_mut(&DeploymentId::from_uuid(row.try_get("deployment_id")?)) {
            case.circumstances.known_findings.push(row.try_get("fingerprint")?);
        }
    }
    Ok(())
}

/// The deployment that each takes back, line by line. Only one that was in production counts: what never was there cannot be
/// taken back, and whoever wants to have something let pass could else submit its opposite first.
async fn load_reverts(
    connection: &mut PgConnection,
    cases: &mut BTreeMap<DeploymentId, Case>,
) -> Result<(), sqlx::Error> {
    let mut wanted: Vec<(Uuid, &str, &str)> = Vec::new();
    for (id, case) in &*cases {
        if let Some((_, deployment)) = &case.accepted
            && let Some(lines) = &deployment.change.lines
        {
            wanted.push((id.uuid(), deployment.repository.as_str(), &lines.done));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(
        "SELECT mine.deployment_id, undone.deployment_id AS reverts
         FROM unnest($1::uuid[], $2::text[], $3::text[]) AS mine (deployment_id, repository, done)
         CROSS JOIN LATERAL (
             SELECT d.deployment_id FROM deployments d
             WHERE d.repository = mine.repository AND d.lines_undone = mine.done AND d.deployment_id <> mine.deployment_id
                 AND EXISTS (SELECT FROM outcomes o WHERE o.month = d.month AND o.deployment_id = d.deployment_id)
             ORDER BY d.accepted_at DESC LIMIT 1
         ) AS undone",
    )
    .bind(wanted.iter().map(|one| one.0).collect::<Vec<_>>())
    .bind(wanted.iter().map(|one| one.1).collect::<Vec<_>>())
    .bind(wanted.iter().map(|one| one.2).collect::<Vec<_>>())
    .fetch_all(connection)
    .named("SELECT deployments")
    .await?;
    for row in rows {
        if let Some(case) = cases.get_mut(&DeploymentId::from_uuid(row.try_get("deployment_id")?)) {
            case.circumstances.reverts = Some(DeploymentId::from_uuid(row.try_get("reverts")?));
        }
    }
    Ok(())
}

/// Identifies the evidence of a verdict by the events that it consists of, reviews apart.
pub(super) fn evidence_digest(mut events: Vec<Uuid>) -> String {
    events.sort_unstable();
    let bytes: Vec<u8> = events.iter().flat_map(|id| *id.as_bytes()).collect();
    sha256_hex(&bytes)
}

/// Reads an event that this service stored before.
pub(super) fn decode<E: Event>(body: &[u8]) -> Result<E, sqlx::Error> {
    E::from_protobuf(body).map_err(|malformed| sqlx::Error::Decode(Box::new(malformed)))
}
