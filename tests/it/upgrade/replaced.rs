//! The services of the last tagged version are replaced one by one while deployments are submitted. `just upgrade` runs it.

use std::path::Path;

use harness::{Fleet, SERVICES, eventually};
use proto::v1;

use super::older;
use crate::chaos::{Driver, everything, memory};

/// So many submissions go by between two steps.
const BETWEEN: usize = 40;

/// Waits until some more submissions were acknowledged.
async fn go_on(driver: &Driver) {
    let acknowledged = || driver.done.lock().unwrap().acknowledged.len();
    let before = acknowledged();
    eventually("submissions go on", async || (acknowledged() > before + BETWEEN).then_some(())).await;
}

/// What was submitted is answered for, whoever answers.
async fn is_answered_for(fleet: &Fleet, driver: &Driver) {
    let id = *driver.done.lock().unwrap().acknowledged.keys().next().unwrap();
    eventually("a verdict is told", async || {
        let get = v1::GetDeploymentRequest { deployment_id: id.to_string(), ..Default::default() };
        let known = fleet.client().get_deployment(get).await.ok()?.into_inner();
        (!known.verdicts.is_empty()).then_some(())
    })
    .await;
    let listed = fleet.client().list_deployments(v1::ListDeploymentsRequest::default()).await.unwrap().into_inner();
    assert!(!listed.deployments.is_empty());
}

async fn ends_well(fleet: &mut Fleet, service: &'static str) {
    let code = fleet.terminate(service).await;
    assert_eq!(code, Some(0), "{service} ends in good order:\n{}", fleet.logged(service));
}

/// Waits until that many processes of decision were up.
async fn decisions_were_up(fleet: &Fleet, many: usize) {
    eventually("decision is up", async || {
        (fleet.logged("decision").matches("decision is up").count() >= many).then_some(())
    })
    .await;
}

async fn start_older(fleet: &mut Fleet, programs: &Path, service: &'static str) {
    fleet.spawn_from(programs, service);
    fleet.serving(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_replaced_one_by_one_and_everything_is_decided_once() {
    let Some(programs) = older::programs() else {
        println!("skipped: it builds an older version, which takes minutes; `just upgrade` runs it");
        return;
    };
    let mut fleet = Fleet::servers(&[("FAILSAFE__DECISION__DEADLINE_MS", "600000")]).await;
    for service in SERVICES {
        fleet.spawn_from(&programs, service);
    }
    for service in SERVICES {
        fleet.serving(service).await;
    }
    let base = memory(&fleet);
    let driver = Driver::start(&fleet, 0).await;
    go_on(&driver).await;
    // Expand: the new decision brings the tables up to date, and both decide side by side.
    let beside = fleet.replica("decision");
    decisions_were_up(&fleet, 2).await;
    go_on(&driver).await;
    is_answered_for(&fleet, &driver).await;
    // The old one dies and starts once more, on tables that are newer than it is; then it is alone again, as after a step back.
    fleet.kill("decision").await;
    start_older(&mut fleet, &programs, "decision").await;
    decisions_were_up(&fleet, 3).await;
    go_on(&driver).await;
    drop(beside);
    go_on(&driver).await;
    // A new gateway asks an old decision; then the new one takes over, and the others follow.
    for service in SERVICES {
        ends_well(&mut fleet, service).await;
        fleet.spawn(service);
        fleet.serving(service).await;
        go_on(&driver).await;
        is_answered_for(&fleet, &driver).await;
    }
    let done = driver.stop().await;
    println!("{} submissions, answers besides: {:?}", done.acknowledged.len(), done.refused);
    // An older gateway may have ended less well than this one does.
    assert!(done.refused.keys().all(|code| ["UNAVAILABLE", "broken off"].contains(code)), "{:?}", done.refused);
    everything(&mut fleet, &done, &base).await;
}
