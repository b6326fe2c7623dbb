//! Look-ups: one deployment with everything, or a page of many.

use chassis::trace;
use domain::{
    AgainstVerdict, Deployment, DeploymentId, Dossier, Explanation, ListQuery, Order, Outcome, Page, Place, Progress,
    Reached, Review, ReviewDecision, Risk, Signal, Summary, Verdict,
};
use sqlx::postgres::PgRow;
use sqlx::{Connection, QueryBuilder, Row};
use time::Date;
use uuid::Uuid;

use super::case::decode;
use super::{OF_ITS_OWN, Store};

/// The newest deployment of the same pull request, if it is newer than `d`.
const SUPERSEDED_BY: &str = "(SELECT newer.deployment_id FROM deployments newer
     WHERE newer.repository = d.repository AND newer.pull_request = d.pull_request AND newer.accepted_at > d.accepted_at
     ORDER BY newer.accepted_at DESC LIMIT 1) AS superseded_by";
/// Not EXISTS: PostgreSQL would read all explanations into a table of its own to answer it for a page.
const EXPLAINED: &str = "(SELECT true FROM explanations x
     WHERE x.month = d.month AND x.deployment_id = d.deployment_id AND x.verdict_number = d.verdict_number LIMIT 1)
     IS NOT NULL AS explained";
/// By which the riskiest come first, as the index has it; what is unknown is below every risk.
const RISK: &str = "coalesce(d.risk, -1)";
const UNKNOWN_RISK: f64 = -1.0;
/// First what PostgreSQL can begin with when findings by a rule are rare, or ask for row by row when they are not.
const FOUND_BY_RULE: &str = " AND EXISTS (SELECT FROM findings f WHERE f.month = d.month AND f.deployment_id = d.deployment_id AND f.rule_id = ";
/// Then whether the finding is one of the signal that counts. Not EXISTS: PostgreSQL would read all signals for it.
const AND_IT_COUNTS: &str = ") AND (SELECT true FROM findings f WHERE f.month = d.month AND f.event_id =
     (SELECT s.event_id FROM signals s WHERE s.deployment_id = d.deployment_id AND s.source = 'static-analysis')
     AND f.rule_id = ";

impl Store {
    /// Everything that is known of one deployment; `None` when nothing is.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn dossier(&self, id: DeploymentId) -> Result<Option<Dossier>, sqlx::Error> {
        let mut query = QueryBuilder::new(
            "SELECT d.month, d.against_verdict, d.facts, d.deadline_at, d.verdict_number, d.traceparent,
                 ARRAY(SELECT s.event_id FROM signals s WHERE s.deployment_id = d.deployment_id) AS counting, ",
        );
        query.push(EXPLAINED).push(", ").push(SUPERSEDED_BY);
        query.push(" FROM deployments d WHERE d.deployment_id = ").push_bind(id.uuid());
        let mut connection = self.reading.take(&self.pool).await?;
        let Some(row) = query.build().fetch_optional(&mut *connection).await? else {
            self.reading.give_back(connection);
            return Ok(None);
        };
        let facts: Option<&[u8]> = row.try_get("facts")?;
        let mut dossier = Dossier {
            deployment: facts.map(decode::<Deployment>).transpose()?,
            progress: progress(&row)?,
            signals: Vec::new(),
            verdicts: Vec::new(),
            explanations: Vec::new(),
            reviews: Vec::new(),
            outcomes: Vec::new(),
            superseded_by: superseded_by(&row)?,
            deadline_at: row.try_get("deadline_at")?,
            against_verdict: against(&row)?,
            trace_id: row.try_get::<Option<&str>, _>("traceparent")?.and_then(trace::id_in).map(str::to_owned),
        };
        // A signal that another of its source has replaced is left out; so are acceptances, whose facts are above. They are put in order
        // and told apart here: for an order by link, or for that question beside each row, PostgreSQL may read the whole month.
        let counting: Vec<Uuid> = row.try_get("counting")?;
        let mut events = sqlx::query(
            "SELECT link, event_id, kind, body FROM events WHERE month = $3 AND deployment_id = $1 AND kind <> $2",
        )
        .bind(id.uuid())
        .bind(Deployment::KIND)
        .bind(row.try_get::<Date, _>("month")?)
        .fetch_all(&mut *connection)
        .await?;
        self.reading.give_back(connection);
        events.sort_by_key(|event| event.get::<i64, _>("link"));
        for event in events {
            let body: &[u8] = event.try_get("body")?;
            match event.try_get::<&str, _>("kind")? {
                Signal::KIND if counting.contains(&event.try_get("event_id")?) => dossier.signals.push(decode(body)?),
                Reached::KIND => {
                    let reached = decode::<Reached>(body)?;
                    dossier.verdicts.push(Reached { deployment: None, signals: Vec::new(), ..reached });
                }
                Explanation::KIND => dossier.explanations.push(decode(body)?),
                Review::KIND => dossier.reviews.push(decode(body)?),
                Outcome::KIND => dossier.outcomes.push(decode(body)?),
                _ => {}
            }
        }
        dossier.signals.sort_by_key(|signal| signal.source);
        dossier.verdicts.sort_by_key(|reached| std::cmp::Reverse(reached.number));
        // They came oldest first, and the sort keeps the order of equals.
        dossier.explanations.reverse();
        dossier.explanations.sort_by_key(|explanation| std::cmp::Reverse(explanation.verdict_number));
        Ok(Some(dossier))
    }

    /// A page of deployments, in the order of the query.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, sqlx::Error> {
        let mut sql = QueryBuilder::new(
            "SELECT d.deployment_id, d.repository, d.pull_request, d.revision, d.title, d.author, d.received_at, d.risk,
                 d.verdict, d.verdict_number, d.against_verdict, d.overruled_by, d.review_due_at, ",
        );
        sql.push(EXPLAINED).push(", ").push(SUPERSEDED_BY).push(" FROM deployments d WHERE true");
        if let Some(repository) = &query.repository {
            sql.push(" AND d.repository = ").push_bind(repository);
        }
        if let Some(pull_request) = query.pull_request {
            sql.push(" AND d.pull_request = ").push_bind(i32::try_from(pull_request).unwrap_or(i32::MAX));
        }
        if let Some(verdict) = query.verdict {
            sql.push(" AND d.verdict = ").push_bind(verdict.name());
        }
        if let Some(since) = query.since {
            sql.push(" AND d.received_at >= ").push_bind(since);
        }
        if let Some(until) = query.until {
            sql.push(" AND d.received_at < ").push_bind(until);
        }
        if query.against_verdict {
            sql.push(" AND d.against_verdict IS NOT NULL");
        }
        if query.overruled {
            sql.push(" AND d.overruled_by IS NOT NULL");
        }
        if query.owing_review {
            sql.push(" AND d.review_due_at IS NOT NULL");
        }
        if let Some(author) = &query.author {
            sql.push(" AND d.author = ").push_bind(author);
        }
        if let Some(risk) = query.min_risk {
            sql.push(" AND ").push(RISK).push(" >= ").push_bind(risk.probability());
        }
        if let Some(rule) = &query.rule_id {
            sql.push(FOUND_BY_RULE).push_bind(rule);
            sql.push(AND_IT_COUNTS).push_bind(rule).push(" LIMIT 1) IS NOT NULL");
        }
        if let Some(place) = query.behind {
            sql.push(" AND (");
            if query.order == Order::Riskiest {
                sql.push(RISK).push(", ");
            }
            sql.push("d.received_at, d.deployment_id) < (");
            if query.order == Order::Riskiest {
                sql.push_bind(place.risk.map_or(UNKNOWN_RISK, Risk::probability)).push(", ");
            }
            sql.push_bind(place.received_at).push(", ").push_bind(place.id.uuid()).push(")");
        }
        sql.push(" ORDER BY ");
        if query.order == Order::Riskiest {
            sql.push(RISK).push(" DESC, ");
        }
        let wanted = i64::from(query.page_size);
        sql.push("d.received_at DESC, d.deployment_id DESC LIMIT ").push_bind(wanted + 1);
        let mut connection = self.reading.take(&self.pool).await?;
        let mut transaction = connection.begin_with(OF_ITS_OWN).await?;
        let rows = sql.build().fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        self.reading.give_back(connection);
        let mut deployments = rows.iter().map(summary).collect::<Result<Vec<_>, _>>()?;
        let more = deployments.len() > query.page_size as usize;
        deployments.truncate(query.page_size as usize);
        let last = deployments.last().filter(|_| more);
        let next = last.map(|last| Place { risk: last.risk, received_at: last.received_at, id: last.id });
        Ok(Page { next, deployments })
    }
}

fn summary(row: &PgRow) -> Result<Summary, sqlx::Error> {
    let text = |column: &str| row.try_get::<Option<String>, _>(column).map(Option::unwrap_or_default);
    let verdict = row.try_get::<Option<&str>, _>("verdict")?.and_then(Verdict::from_name);
    let number = row.try_get::<i32, _>("verdict_number")?.cast_unsigned();
    Ok(Summary {
        id: DeploymentId::from_uuid(row.try_get("deployment_id")?),
        repository: text("repository")?,
        pull_request: row.try_get::<Option<i32>, _>("pull_request")?.unwrap_or(0).cast_unsigned(),
        revision: text("revision")?,
        title: text("title")?,
        author: text("author")?,
        received_at: row.try_get("received_at")?,
        progress: progress(row)?,
        verdict: verdict.map(|verdict| (verdict, number)),
        risk: row.try_get::<Option<f64>, _>("risk")?.and_then(|risk| Risk::new(risk).ok()),
        superseded_by: superseded_by(row)?,
        against_verdict: against(row)?,
        overruled: row.try_get::<Option<&str>, _>("overruled_by")?.and_then(ReviewDecision::from_name),
        review_due: row.try_get("review_due_at")?,
    })
}

fn progress(row: &PgRow) -> Result<Progress, sqlx::Error> {
    Ok(match (row.try_get::<i32, _>("verdict_number")?, row.try_get("explained")?) {
        (0, _) => Progress::AwaitingSignals,
        (_, false) => Progress::Decided,
        (_, true) => Progress::Explained,
    })
}

fn against(row: &PgRow) -> Result<Option<AgainstVerdict>, sqlx::Error> {
    Ok(row.try_get::<Option<&str>, _>("against_verdict")?.and_then(AgainstVerdict::from_name))
}

fn superseded_by(row: &PgRow) -> Result<Option<DeploymentId>, sqlx::Error> {
    Ok(row.try_get::<Option<Uuid>, _>("superseded_by")?.map(DeploymentId::from_uuid))
}
