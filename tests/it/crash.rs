//! Nothing is lost and nothing happens twice, whoever is killed.

use std::collections::BTreeMap;

use futures::future;
use harness::{Fleet, eventually};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use sqlx::Row;

use crate::diffs;

/// How many deployments are submitted while each of the victims dies.
const DEPLOYMENTS: u32 = 50;
const VICTIMS: [&str; 4] = ["decision", "static-analysis", "ml-scoring", "ingest"];

/// Half of the deployments by gRPC, half by JetStream.
async fn submit(fleet: &Fleet, numbers: impl Iterator<Item = u32>) {
    let jetstream = fleet.jetstream().await;
    let client = fleet.client();
    let submissions = numbers.map(|number| {
        let (mut client, jetstream) = (client.clone(), jetstream.clone());
        async move {
            let request = v1::SubmitDeploymentRequest {
                repository: "acme/shop".to_owned(),
                pull_request: number,
                change: Some(Change::Diff(diffs::harmless(&format!("file-{number}")))),
                ..Default::default()
            };
            if number % 2 == 0 {
                client.submit_deployment(request).await.unwrap();
            } else {
                let body = prost::Message::encode_to_vec(&request);
                let stored = jetstream.publish("failsafe.v1.deployment.submitted", body.into()).await;
                stored.unwrap().await.unwrap();
            }
        }
    });
    future::join_all(submissions).await;
}

async fn verdicts(pool: &sqlx::PgPool) -> BTreeMap<i32, Vec<i32>> {
    let rows = sqlx::query(
        "SELECT pull_request, array_agg(number ORDER BY number) AS numbers
         FROM verdicts JOIN deployments USING (deployment_id) GROUP BY pull_request",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.iter().map(|row| (row.get("pull_request"), row.get("numbers"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_hundred_deployments_has_exactly_one_verdict_although_services_are_killed_in_the_middle() {
    // Far from the deadline: what a killed service had in its hands comes again after half a minute.
    let mut fleet = Fleet::start(&[("FAILSAFE__DECISION__DEADLINE_MS", "600000")]).await;
    let pool = fleet.database().await;
    for (round, victim) in (0..).zip(VICTIMS) {
        let first = round * DEPLOYMENTS + 1;
        submit(&fleet, first..first + DEPLOYMENTS / 2).await;
        fleet.kill(victim).await;
        submit(&fleet, first + DEPLOYMENTS / 2..first + DEPLOYMENTS).await;
        fleet.spawn(victim);
    }
    let all = DEPLOYMENTS * u32::try_from(VICTIMS.len()).unwrap();
    let expected: BTreeMap<i32, Vec<i32>> = (1..=all.cast_signed()).map(|number| (number, vec![1])).collect();
    eventually("a verdict for every deployment", async || {
        (verdicts(&pool).await.len() == expected.len()).then_some(())
    })
    .await;
    eventually("an explanation for every verdict", async || {
        let explained: i64 = sqlx::query_scalar("SELECT count(DISTINCT deployment_id) FROM explanations")
            .fetch_one(&pool)
            .await
            .unwrap();
        (explained == i64::from(all)).then_some(())
    })
    .await;
    assert_eq!(verdicts(&pool).await, expected);
    let mut dead = fleet.jetstream().await.get_stream("FAILSAFE_DEAD").await.unwrap();
    assert_eq!(dead.info().await.unwrap().state.messages, 0);
    let waiting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL").fetch_one(&pool).await.unwrap();
    assert_eq!(waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_go_on_after_both_servers_were_killed_and_came_back() {
    let mut fleet = Fleet::start(&[]).await;
    submit(&fleet, 1..11).await;
    fleet.postgres.kill().await.unwrap();
    submit(&fleet, 11..21).await;
    fleet.nats.kill().await.unwrap();
    fleet.nats.restart().await.unwrap();
    fleet.postgres.restart().await.unwrap();
    let pool = fleet.database().await;
    eventually("a verdict for every deployment", async || (verdicts(&pool).await.len() == 20).then_some(())).await;
    for service in harness::SERVICES {
        fleet.serving(service).await;
    }
    submit(&fleet, 21..31).await;
    eventually("a verdict for every deployment", async || (verdicts(&pool).await.len() == 30).then_some(())).await;
    for service in harness::SERVICES {
        assert_eq!(fleet.terminate(service).await, Some(0), "{service}: {}", fleet.logged(service));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_whose_migration_ends_with_the_server_waits_for_it() {
    let mut fleet = Fleet::servers(&[]).await;
    let pool = fleet.database().await;
    // The migrator reads this table before all else.
    let migrations = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
        installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL,
        execution_time BIGINT NOT NULL)";
    sqlx::raw_sql(migrations).execute(&pool).await.unwrap();
    let mut held = pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE _sqlx_migrations").execute(&mut *held).await.unwrap();
    fleet.spawn("decision");
    eventually("the migration waits", async || {
        let waits = "SELECT count(*) FROM pg_locks WHERE relation = '_sqlx_migrations'::regclass AND NOT granted";
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&pool).await.unwrap();
        (waiting == 1).then_some(())
    })
    .await;
    fleet.postgres.kill().await.unwrap();
    drop(held);
    eventually("decision says that it waits", async || {
        fleet.logged("decision").contains("waiting for PostgreSQL").then_some(())
    })
    .await;
    fleet.postgres.restart().await.unwrap();
    fleet.serving("decision").await;
}
