//! When each verdict was stored. decision logs it as soon as PostgreSQL has confirmed the commit. (The time of a commit that PostgreSQL itself
//! can write down is that of its record, before it is on the disk.)

use std::collections::HashMap;

use harness::Fleet;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::drive::percentiles;

/// What a line of the log that tells a verdict has, and no other.
#[derive(Deserialize)]
struct Told {
    timestamp: String,
    #[serde(rename = "deployment.id")]
    deployment: Uuid,
    #[serde(rename = "verdict.number")]
    number: u32,
}

/// Milliseconds from when each was to be submitted to the confirmed commit of its first verdict: median, 99 %, 99.9 %.
pub(crate) fn latency_ms(fleet: &Fleet, due: &HashMap<Uuid, OffsetDateTime>) -> [f64; 3] {
    let log = fleet.logged("decision");
    let told = log.lines().filter_map(|line| serde_json::from_str::<Told>(line).ok());
    let took = told.filter(|told| told.number == 1).map(|told| {
        let at = OffsetDateTime::parse(&told.timestamp, &Rfc3339).expect("a log's time is of RFC 3339");
        (at - due[&told.deployment]).as_seconds_f64() * 1e3
    });
    let took: Vec<f64> = took.collect();
    assert_eq!(took.len(), due.len(), "every first verdict is in the log");
    percentiles(took)
}
