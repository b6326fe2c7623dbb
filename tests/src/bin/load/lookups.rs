//! How quickly questions are answered once that many deployments are stored.

use std::time::Instant;

use harness::Fleet;
use proto::v1;
use serde::Serialize;

use crate::floors::percentile;
use harness::made;

const LOOKUPS: u32 = 1_000;
/// Before those that count: the first on each connection of decision's pool open it and plan their statements.
const WARMING: u32 = 100;

/// Milliseconds of look-ups by gRPC, one at a time: median and 99 %.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Lookups {
    /// One deployment with all that is known of it.
    pub(crate) get_ms: [f64; 2],
    /// A page of 50 of one repository.
    pub(crate) list_ms: [f64; 2],
}

/// Asks for deployments of the run at random.
pub(crate) async fn measure(fleet: &Fleet, count: u32) -> Lookups {
    let mut client = fleet.client();
    let (mut get, mut list) = (Vec::new(), Vec::new());
    for _ in 0..WARMING + LOOKUPS {
        let made = made::deployment(fastrand::u32(..count));
        let question = v1::GetDeploymentRequest { deployment_id: made.id.to_string(), ..Default::default() };
        let started = Instant::now();
        client.get_deployment(question).await.expect("a deployment of the run is known");
        get.push(started.elapsed().as_secs_f64() * 1e3);
        let question = v1::ListDeploymentsRequest { repository: made.request.repository, ..Default::default() };
        let started = Instant::now();
        client.list_deployments(question).await.expect("a list");
        list.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let [get_ms, list_ms] = [get, list].map(|mut took| {
        took.drain(..WARMING as usize);
        took.sort_by(f64::total_cmp);
        [0.5, 0.99].map(|share| percentile(&took, share))
    });
    Lookups { get_ms, list_ms }
}
