//! Recording what decision says to PostgreSQL, as `samples/trail.sql`: for the next version, when this one is tagged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use decision::store;
use harness::{Fleet, SERVICES, eventually};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use sqlx::PgPool;

use super::older;
use crate::diffs;

/// What a recording says of itself.
pub(super) const SCHEMA: &str = "-- schema:";
pub(super) const MONTH: &str = "-- month:";
/// Where the tables are brought up to date.
pub(super) const NOW: &str = "-- Now the tables are brought up to date.\n";
/// In front of what the server logs, behind the number of the process.
const MARK: &str = "|failsafe|";

/// Writes the file that `FAILSAFE_RECORD` names, from the programs of this version or of that which `FAILSAFE_UPGRADE` names.
#[tokio::test(flavor = "multi_thread")]
async fn what_decision_writes_is_recorded() {
    let Some(file) = std::env::var_os("FAILSAFE_RECORD") else {
        println!("skipped: FAILSAFE_RECORD names no file; `just record-trail` does");
        return;
    };
    let programs = older::programs();
    let mut fleet = Fleet::servers(&[("FAILSAFE__DATABASE__MIGRATE", "false")]).await;
    store::migrate(fleet.postgres.url()).await.unwrap();
    let settings = fleet.folder().join("postgres/data/postgresql.conf");
    let mut settings = std::fs::File::options().append(true).open(settings).unwrap();
    settings.write_all(b"log_statement = 'all'\nlog_line_prefix = '%p|failsafe|'\n").unwrap();
    fleet.postgres.restart().await.unwrap();
    for service in SERVICES {
        match &programs {
            Some(programs) => fleet.spawn_from(programs, service),
            None => fleet.spawn(service),
        }
    }
    for service in SERVICES {
        fleet.serving(service).await;
    }
    let log = fleet.folder().join("postgres/postgres.log");
    let mut recorded = Vec::new();
    for numbers in [[1, 2], [3, 4]] {
        for number in numbers {
            tell(&fleet, number).await;
        }
        recorded.push(std::fs::read_to_string(&log).unwrap().len());
    }
    let text = std::fs::read_to_string(&log).unwrap();
    let (before, after) = (units(&text[..recorded[0]]), units(&text[recorded[0]..recorded[1]]));
    let (schema, month) = kept(&fleet.database().await).await;
    let mut written = format!(
        "-- What a decision service said to PostgreSQL about a few deployments, as tests/it/upgrade/record.rs recorded it.\n\
         {SCHEMA} {schema}\n{MONTH} {month}\n"
    );
    let mut seen = BTreeSet::new();
    for (index, half) in [before, after].into_iter().enumerate() {
        if index == 1 {
            written.push_str(NOW);
        }
        for unit in half {
            // What only reads is worth it once in each half.
            if unit.is_reading() && !seen.insert((index, unit.texts.clone())) {
                continue;
            }
            written.push_str(&unit.sql());
        }
    }
    std::fs::write(Path::new(&file), written).unwrap();
}

/// The last migration, and the month in which everything lies.
async fn kept(pool: &PgPool) -> (i64, String) {
    let schema = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(pool).await.unwrap();
    let month = sqlx::query_scalar("SELECT max(month)::text FROM events").fetch_one(pool).await.unwrap();
    (schema, month)
}

/// Submits a deployment, waits until it is explained, reviews it, and tells what became of it.
async fn tell(fleet: &Fleet, number: u32) {
    let diff = if number.is_multiple_of(2) { diffs::migration("orders") } else { diffs::harmless("orders") };
    let request = v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: number,
        change: Some(Change::Diff(diff)),
        ..Default::default()
    };
    let id = fleet.client().submit_deployment(request).await.unwrap().into_inner().deployment_id;
    let known = async |what: &str, is_there: fn(&v1::GetDeploymentResponse) -> bool| {
        eventually(what, async || {
            let get = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
            fleet.client().get_deployment(get).await.ok().filter(|known| is_there(known.get_ref()))
        })
        .await;
    };
    known("an explanation", |known| !known.explanations.is_empty()).await;
    let review = v1::ReviewDeploymentRequest {
        deployment_id: id.clone(),
        decision: v1::ReviewDecision::Rejected.into(),
        reviewer: "ann".to_owned(),
        why: "not today".to_owned(),
        ..Default::default()
    };
    fleet.client().review_deployment(review).await.unwrap();
    let outcome = v1::RecordOutcomeRequest {
        deployment_id: id.clone(),
        kind: v1::OutcomeKind::Succeeded.into(),
        reporter: "argo".to_owned(),
        ..Default::default()
    };
    fleet.client().record_outcome(outcome).await.unwrap();
    known("a second explanation and the outcome", |known| known.explanations.len() == 2 && !known.outcomes.is_empty())
        .await;
    fleet.client().list_deployments(v1::ListDeploymentsRequest::default()).await.unwrap();
}

/// One statement, or those of one transaction, in which nothing of another process comes between.
#[derive(Debug, Default)]
struct Unit {
    /// As they were prepared.
    texts: Vec<String>,
    /// The same with the values in the place of the parameters.
    filled: Vec<String>,
}

impl Unit {
    fn is_reading(&self) -> bool {
        let writes = |text: &String| ["INSERT", "UPDATE", "DELETE"].iter().any(|word| text.contains(word));
        // FOR UPDATE is a lock.
        !self
            .texts
            .iter()
            .map(|text| text.replace("FOR UPDATE", "").replace("FOR NO KEY UPDATE", ""))
            .any(|text| writes(&text))
    }

    fn sql(&self) -> String {
        let mut sql = String::new();
        for statement in &self.filled {
            let _ = writeln!(sql, "{};", statement.trim().trim_end_matches(';'));
        }
        sql
    }
}

/// What the server logged, transaction by transaction in the order in which they ended; those that were taken back are left out.
fn units(log: &str) -> Vec<Unit> {
    let (mut units, mut open): (Vec<Unit>, BTreeMap<&str, Unit>) = (Vec::new(), BTreeMap::new());
    let mut entries = entries(log).into_iter().peekable();
    while let Some((process, entry)) = entries.next() {
        let Some((_, text)) = entry.strip_prefix("LOG:  ").and_then(|said| said.split_once(": ")) else { continue };
        if !(entry.starts_with("LOG:  execute") || entry.starts_with("LOG:  statement")) {
            continue;
        }
        let values = entries
            .next_if(|(who, next)| *who == process && next.starts_with("DETAIL:  parameters: "))
            .map(|(_, detail)| values(detail.trim_start_matches("DETAIL:  parameters: ")))
            .unwrap_or_default();
        let filled = fill(text, &values);
        match text.split_whitespace().next().unwrap_or_default() {
            "BEGIN" => drop(open.insert(process, Unit { texts: vec![text.to_owned()], filled: vec![filled] })),
            "ROLLBACK" => drop(open.remove(process)),
            "COMMIT" => {
                let mut unit = open.remove(process).unwrap_or_default();
                unit.texts.push(text.to_owned());
                unit.filled.push(filled);
                units.push(unit);
            }
            _ => {
                let unit = Unit { texts: vec![text.to_owned()], filled: vec![filled] };
                match open.get_mut(process) {
                    Some(transaction) => {
                        transaction.texts.extend(unit.texts);
                        transaction.filled.extend(unit.filled);
                    }
                    None => units.push(unit),
                }
            }
        }
    }
    units
}

/// The entries of the log, each with the process that it is of, their further lines put back as they were.
fn entries(log: &str) -> Vec<(&str, String)> {
    let mut entries: Vec<(&str, String)> = Vec::new();
    for line in log.lines() {
        if let Some((process, text)) = line.split_once(MARK) {
            entries.push((process, text.to_owned()));
        } else if let (Some((_, entry)), Some(more)) = (entries.last_mut(), line.strip_prefix('\t')) {
            entry.push('\n');
            entry.push_str(more);
        }
    }
    entries
}

/// The values of `$1 = 'it''s', $2 = NULL`, as SQL.
fn values(mut text: &str) -> Vec<String> {
    let mut values = Vec::new();
    while let Some((_, value)) = text.split_once(" = ") {
        let length = match value.strip_prefix('\'') {
            None => value.find(',').unwrap_or(value.len()),
            Some(quoted) => {
                let mut at = 0;
                // A quote within is doubled.
                while let Some(quote) = quoted[at..].find('\'') {
                    at += quote + 1;
                    if !quoted[at..].starts_with('\'') {
                        break;
                    }
                    at += 1;
                }
                at + 1
            }
        };
        values.push(value[..length].to_owned());
        text = &value[length..];
    }
    values
}

/// `text` with the values in the place of `$1` and so on.
fn fill(text: &str, values: &[String]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        let digits = behind.len() - behind.trim_start_matches(|character: char| character.is_ascii_digit()).len();
        let value = behind[..digits].parse::<usize>().ok().and_then(|number| values.get(number.checked_sub(1)?));
        filled.push_str(before);
        match value {
            Some(value) => filled.push_str(value),
            None => filled.push_str(&format!("${}", &behind[..digits])),
        }
        rest = &behind[digits..];
    }
    filled + rest
}

#[test]
fn a_logged_statement_is_one_that_can_be_run() {
    let log = "7|failsafe|LOG:  execute s1: BEGIN\n\
               8|failsafe|LOG:  execute s2: SELECT $1\n\t::text\n8|failsafe|DETAIL:  parameters: $1 = 'it''s, $2 = x'\n\
               7|failsafe|LOG:  execute s3: INSERT INTO t VALUES ($1, $2)\n7|failsafe|DETAIL:  parameters: $1 = NULL, $2 = '7'\n\
               9|failsafe|LOG:  execute s4: BEGIN\n9|failsafe|LOG:  execute s5: DELETE FROM t\n9|failsafe|LOG:  statement: ROLLBACK\n\
               7|failsafe|LOG:  statement: COMMIT\n";
    let sql: Vec<String> = units(log).iter().map(Unit::sql).collect();
    assert_eq!(sql, ["SELECT 'it''s, $2 = x'\n::text;\n", "BEGIN;\nINSERT INTO t VALUES (NULL, '7');\nCOMMIT;\n"]);
    assert!(units(log)[0].is_reading() && !units(log)[1].is_reading());
}
