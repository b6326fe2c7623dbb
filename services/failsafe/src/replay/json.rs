//! What would change, for programs.

use domain::Verdict;
use serde_json::{Map, Value, json};

use super::{Changed, Gate, Tally};

/// The report. The lists hold the first few of their kind.
pub(super) fn report(tally: &Tally) -> Value {
    let was = Verdict::ALL.iter().zip(&tally.changes).map(|(was, row)| {
        let would_be =
            Verdict::ALL.iter().zip(row).map(|(would_be, count)| (would_be.name().to_owned(), (*count).into()));
        (was.name().to_owned(), Value::Object(would_be.collect()))
    });
    let kept = tally.kept_as_stored.iter().map(|(why, count)| json!({ "why": why, "deployments": count }));
    json!({
        "policy": tally.policy,
        "deployments": tally.deployments,
        "changed": tally.changed(),
        "was_and_would_be": was.collect::<Map<_, _>>(),
        "stricter": tally.stricter.iter().map(changed).collect::<Vec<_>>(),
        "milder": tally.milder.iter().map(changed).collect::<Vec<_>>(),
        "kept_as_stored": kept.collect::<Vec<_>>(),
        "before": gate(tally.before),
        "after": gate(tally.after),
    })
}

fn changed(one: &Changed) -> Value {
    json!({
        "deployment_id": one.id,
        "name": one.name,
        "was": one.before.name(),
        "would_be": one.after.name(),
        "why": one.why,
        "failed": one.failed,
    })
}

fn gate(gate: Gate) -> Value {
    json!({
        "held_up": gate.gated,
        "failures": gate.failures,
        "failures_held_up": gate.failures_gated,
        "succeeded": gate.good,
        "succeeded_held_up": gate.good_gated,
    })
}
