//! How PostgreSQL finds what the audit trail asks for: every statement that the service sends, over tables of twenty thousand
//! deployments, without a look at each row of a large table.

use std::collections::BTreeMap;
use std::time::Duration;

use decision::config::DatabaseSettings;
use decision::policy::Policy;
use decision::store::Store;
use domain::{ListQuery, Order, Place, Risk, Verdict};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool, Row};
use time::OffsetDateTime;

use crate::cases::{Database, aftermath, deployment, events, outcome_at};

/// As many rows as this make a table a large one.
const LARGE: f32 = 1_000.0;
/// PostgreSQL thinks a statement over anew that often before it settles on one plan.
const TIMES: usize = 7;

/// Twenty thousand decided deployments over two months, and fifty that wait: eight thousand of one repository, the others of thirty. Their
/// bodies are those of one that was joined. The same was found in all of them; it came to production in the thirty repositories alone.
const FILL: &str = "
    SET session_replication_role = replica;
    SELECT make_month('2026-01-01');
    CREATE TEMP TABLE made AS SELECT n, md5('d' || n)::uuid AS id, md5('a' || n)::uuid AS accepted, md5('s' || n)::uuid AS law,
        md5('r' || n)::uuid AS risk, md5('v' || n)::uuid AS verdict, md5('x' || n)::uuid AS explained, md5('o' || n)::uuid AS outcome,
        (SELECT month FROM deployments LIMIT 1) AS this_month, timestamptz '2026-01-02' + n * interval '1 minute' AS at
        FROM generate_series(1, 20000) AS n;
    ALTER TABLE made ADD month date;
    UPDATE made SET month = CASE WHEN n % 2 = 0 THEN this_month ELSE '2026-01-01' END;
    INSERT INTO deployments (deployment_id, month, received_at, deadline_at, accepted_event_id, accepted_at, repository, pull_request,
            revision, title, author, environment, facts, risk, verdict, verdict_number)
        SELECT id, made.month, at, at, accepted, at, CASE WHEN n % 50 < 30 THEN 'acme/repo-' || n % 50 ELSE one.repository END, n / 150 + 1, md5(n::text), '',
            CASE WHEN n % 500 = 0 THEN 'eve' ELSE 'ada' END, 'production', facts, CASE WHEN n % 400 = 0 THEN 0.6 ELSE 0.1 END,
            CASE WHEN n <= 50 THEN NULL WHEN n % 10 = 0 THEN 'BLOCK' WHEN n % 3 = 0 THEN 'REVIEW' ELSE 'ALLOW' END,
            CASE WHEN n <= 50 THEN 0 ELSE 1 END
        FROM made, (SELECT repository, facts FROM deployments WHERE facts IS NOT NULL LIMIT 1) AS one;
    UPDATE deployments SET against_verdict = 'BLOCK' WHERE verdict = 'BLOCK' AND received_at < '2026-01-10';
    INSERT INTO events (month, link, event_id, deployment_id, kind, subject, received_at, body, previous, hash)
        SELECT made.month, 1000 + n * 10 + place, one.event_id, id, e.kind, e.subject, at, e.body, e.previous, e.hash
        FROM made, LATERAL (VALUES (1, accepted, 'deployment.accepted'), (2, law, 'signal.raised'), (3, risk, 'signal.raised'),
            (4, verdict, 'verdict.reached'), (5, explained, 'explanation.written'), (6, outcome, 'outcome.recorded'))
            AS one (place, event_id, kind)
        JOIN (SELECT DISTINCT ON (kind) * FROM events ORDER BY kind) AS e USING (kind);
    INSERT INTO signals (deployment_id, month, source, event_id, available, basis, producer, raised_at, took_us)
        SELECT id, month, source, CASE source WHEN 'ml-scoring' THEN risk ELSE law END, true, '', '', at, 1
        FROM made, (VALUES ('ml-scoring'), ('static-analysis')) AS s (source);
    INSERT INTO findings (month, event_id, ordinal, deployment_id, rule_id, category, severity, confidence, path, line, message, fingerprint)
        SELECT month, law, 1, id, CASE WHEN n % 600 = 0 THEN 'rare' ELSE 'common' END, 'code', 'low', 'low', 'p', 1, 'm', fingerprint
        FROM made, (SELECT fingerprint FROM findings LIMIT 1) AS one;
    INSERT INTO verdicts (month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing, reached_at)
        SELECT made.month, id, 1, made.verdict, v.verdict, v.cause, v.policy_digest, ARRAY[law, risk], v.judgement, v.missing, at
        FROM made, (SELECT * FROM verdicts LIMIT 1) AS v WHERE n > 50;
    INSERT INTO outbox (month, event_id, published_at) SELECT month, verdict, CASE WHEN n > 60 THEN at END FROM made WHERE n > 50;
    INSERT INTO explanations (month, event_id, deployment_id, verdict_number, headline, written_at)
        SELECT month, explained, id, 1, '', at FROM made WHERE n > 50;
    INSERT INTO reviews (month, event_id, deployment_id, verdict_number, decision, reviewer, why, reviewed_at)
        SELECT month, md5('w' || n)::uuid, id, 1, 'approved', 'bob', 'fine', at FROM made;
    INSERT INTO outcomes (month, event_id, deployment_id, kind, detail, reporter, occurred_at, against_verdict)
        SELECT month, outcome, id, CASE WHEN n % 50 < 30 THEN 'succeeded' ELSE 'failed' END, '', 'bob', at, NULL FROM made;
    INSERT INTO known_findings SELECT * FROM brought_to_production(ARRAY(SELECT id FROM made));
    SET session_replication_role = origin;
";

/// Has the connections that are made from now on tell what they do.
const EXPLAIN: &str = "
    ALTER DATABASE failsafe SET session_preload_libraries = 'auto_explain';
    ALTER DATABASE failsafe SET auto_explain.log_min_duration = 0;
    ALTER DATABASE failsafe SET auto_explain.log_format = 'json';
    ALTER DATABASE failsafe SET auto_explain.log_nested_statements = on;
    ALTER DATABASE failsafe SET auto_explain.log_analyze = on;
    ALTER DATABASE failsafe SET auto_explain.log_timing = off;
";

/// Every question and every statement of the service, several times.
async fn ask_everything(store: &Store) {
    let pages = [
        ListQuery { repository: Some("acme/repo-7".to_owned()), ..ListQuery::default() },
        ListQuery { repository: Some("acme/repo-7".to_owned()), pull_request: Some(9), ..ListQuery::default() },
        ListQuery { verdict: Some(Verdict::Block), ..ListQuery::default() },
        ListQuery {
            repository: Some("acme/repo-10".to_owned()),
            verdict: Some(Verdict::Block),
            ..ListQuery::default()
        },
        ListQuery { since: Some(time::macros::datetime!(2026-01-12 00:00 UTC)), ..ListQuery::default() },
        ListQuery { until: Some(time::macros::datetime!(2026-01-03 00:00 UTC)), ..ListQuery::default() },
        ListQuery { against_verdict: true, ..ListQuery::default() },
        ListQuery { author: Some("ada".to_owned()), ..ListQuery::default() },
        ListQuery { author: Some("eve".to_owned()), ..ListQuery::default() },
        ListQuery { min_risk: Risk::new(0.1).ok(), ..ListQuery::default() },
        ListQuery { min_risk: Risk::new(0.5).ok(), ..ListQuery::default() },
        ListQuery { min_risk: Risk::new(0.5).ok(), order: Order::Riskiest, ..ListQuery::default() },
        ListQuery { order: Order::Riskiest, ..ListQuery::default() },
        ListQuery { rule_id: Some("common".to_owned()), ..ListQuery::default() },
        ListQuery { rule_id: Some("rare".to_owned()), ..ListQuery::default() },
        ListQuery { rule_id: Some("rare".to_owned()), order: Order::Riskiest, ..ListQuery::default() },
        ListQuery {
            rule_id: Some("common".to_owned()),
            repository: Some("acme/repo-7".to_owned()),
            ..ListQuery::default()
        },
        ListQuery::default(),
    ];
    for time in 0..TIMES {
        for page in &pages {
            let mut query = ListQuery { page_size: 20, ..page.clone() };
            let first = store.list(&query).await.unwrap();
            assert!(!first.deployments.is_empty(), "{query:?}");
            let last = first.deployments.last().unwrap();
            query.behind = Some(Place { risk: last.risk, received_at: last.received_at, id: last.id });
            store.list(&query).await.unwrap();
        }
        let number = 100 + u32::try_from(time).unwrap();
        store.join(&events(number)).await.unwrap();
        store.join(&events(number)).await.unwrap();
        store.join(&aftermath(number)).await.unwrap();
        store.join(&[outcome_at(number + 500, OffsetDateTime::UNIX_EPOCH)]).await.unwrap();
        let id = deployment(number).id;
        assert!(store.dossier(id).await.unwrap().is_some());
        store.rederive(id, 1).await.unwrap();
        assert!(!store.sweep(5).await.unwrap().is_empty());
        let waiting = store.take_waiting(3, Duration::ZERO).await.unwrap();
        let published: Vec<_> = waiting.outgoing.iter().map(|(id, _)| *id).collect();
        assert_eq!(published.len(), 3);
        waiting.take_out(&published).await.unwrap();
        store.make_months().await.unwrap();
    }
}

/// The tables that `plan` reads from end to end.
fn read_whole(plan: &Value, tables: &mut Vec<String>) {
    if plan["Node Type"] == "Seq Scan" {
        tables.push(plan["Relation Name"].as_str().unwrap_or_default().to_owned());
    }
    for part in plan["Plans"].as_array().into_iter().flatten() {
        read_whole(part, tables);
    }
}

/// The most rows that a part of `plan` looked at.
fn rows_read(plan: &Value) -> u64 {
    let own = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter"];
    // Later servers tell fractions.
    let own = own.iter().filter_map(|field| plan[field].as_f64()).sum::<f64>() as u64;
    plan["Plans"].as_array().into_iter().flatten().map(rows_read).fold(own, u64::max)
}

/// The statements and their plans in PostgreSQL's log.
fn plans(log: &str) -> Vec<(String, Value)> {
    let mut plans = Vec::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.ends_with("plan:") {
            continue;
        }
        let mut text = String::new();
        while let Some(part) = lines.next_if(|line| line.starts_with('\t')) {
            text.push_str(part);
        }
        let mut plan: Value = serde_json::from_str(&text).unwrap();
        plans.push((plan["Query Text"].as_str().unwrap().to_owned(), plan["Plan"].take()));
    }
    plans
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_reads_a_large_table_from_end_to_end() {
    let database = Database::start().await;
    let store = database.store(Duration::ZERO).await;
    store.join(&events(3)).await.unwrap();
    store.join(&aftermath(3)).await.unwrap();
    let superuser = PgPool::connect(&database.url_as("postgres")).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("{FILL} ANALYZE; {EXPLAIN}"))).execute(&superuser).await.unwrap();
    let sql = "SELECT relname::text, reltuples FROM pg_class WHERE relkind = 'r'";
    let rows = sqlx::query(sql).fetch_all(&superuser).await.unwrap();
    let sizes: BTreeMap<String, f32> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(sizes.values().filter(|rows| **rows >= LARGE).count() >= 14, "{sizes:?}");

    // A store of its own: only its connections explain themselves.
    let store = database.store(Duration::ZERO).await;
    ask_everything(&store).await;
    let plans = plans(&database.log());
    let asked = plans.iter().filter(|(query, _)| query.contains("deployments")).count();
    assert!(asked > 200, "only {asked} plans are in the log");
    let mut slow: Vec<String> = Vec::new();
    for (query, plan) in plans {
        let mut tables = Vec::new();
        read_whole(&plan, &mut tables);
        let large = tables.iter().find(|table| sizes.get(*table).is_some_and(|rows| *rows >= LARGE));
        slow.extend(large.map(|table| format!("{table} is read from end to end by: {query}")));
    }
    slow.sort();
    slow.dedup();
    assert!(slow.is_empty(), "{}", slow.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_of_a_month_whose_rows_nobody_has_counted_go_by_keys() {
    let database = Database::start().await;
    drop(database.store(Duration::from_secs(600)).await);
    let superuser = PgPool::connect(&database.url_as("postgres")).await.unwrap();
    // All months are there before: a new one has plans made anew.
    sqlx::raw_sql(AssertSqlSafe(format!("{EXPLAIN} SELECT make_month('2026-01-01')")))
        .execute(&superuser)
        .await
        .unwrap();
    // One connection, whose plans are those of all statements.
    let settings =
        DatabaseSettings { url: database.postgres.url().to_owned(), connections_max: 1, ..DatabaseSettings::default() };
    let store = Store::open(&settings, Policy::default(), Duration::from_secs(600)).await.unwrap();
    let join = async |store: &Store, numbers: std::ops::Range<u32>| {
        for number in numbers {
            for batch in [events(number), events(number), aftermath(number)] {
                store.join(&batch).await.unwrap();
            }
            assert!(store.dossier(deployment(number).id).await.unwrap().is_some());
        }
    };
    join(&store, 100..107).await;
    sqlx::raw_sql(AssertSqlSafe(FILL.to_owned())).execute(&superuser).await.unwrap();
    let before = database.log().len();
    join(&store, 200..207).await;
    // Plans that are made when the month is full, and nobody has counted its rows yet.
    drop(store);
    join(&Store::open(&settings, Policy::default(), Duration::from_secs(600)).await.unwrap(), 300..307).await;
    let plans = plans(&database.log()[before..]);
    assert!(plans.iter().any(|(query, _)| query.contains("FOR KEY SHARE")), "references are looked at");
    assert!(plans.len() > 100, "only {} plans are in the log", plans.len());
    let mut slow: Vec<String> = plans
        .iter()
        .filter(|(_, plan)| rows_read(plan) >= 1_000)
        .map(|(query, plan)| format!("{query}\n{plan:#}"))
        .collect();
    slow.dedup();
    assert!(slow.is_empty(), "{}", slow.join("\n\n"));
}
