//! When to train a model anew, and doing so by the clock: only what beats the champion on the latest outcomes replaces it.

use std::time::Duration;

use anyhow::Context;
use chassis::{Bus, Shutdown};
use time::OffsetDateTime;

use crate::evaluation::Evaluation;
use crate::features::FEATURES;
use crate::kept::Histories;
use crate::metrics::{Predicted, loss};
use crate::model::Model;
use crate::published::{self, Models, Role};
use crate::rows::Rows;
use crate::train::{FAILURES_MIN, learn};

/// From this stability index on a feature has drifted much (Siddiqi, *Credit Risk Scorecards*, 2006).
const DRIFTED_MUCH: f64 = 0.25;
/// So many standard errors apart are no chance any more: once in a hundred tries.
const ERRORS_MAX: f64 = 2.58;
/// So many standard errors better is better: once in twenty tries by chance.
const ERRORS_BETTER: f64 = 1.645;
/// Share of each repository's outcomes that candidates learn from; they are held against the champion on the later rest.
const EARLIER_SHARE: f64 = 0.7;

/// Why `model` should be trained anew, by what it said of the latest outcomes; nothing when there is no reason.
#[must_use]
pub fn reasons(model: &Model, evaluation: &Evaluation) -> Vec<String> {
    let mut reasons = Vec::new();
    for drift in &evaluation.drift {
        let weight = model.file().weights.features.iter().find(|weight| weight.feature == drift.feature);
        let matters = weight.is_some_and(|weight| weight.coefficient.abs() > 2.0 * weight.standard_error);
        if matters && drift.stability_index >= DRIFTED_MUCH {
            let name = FEATURES[drift.feature].name;
            reasons.push(format!(
                "{name} is no longer distributed as in training: its stability index is {:.2}, and {DRIFTED_MUCH} is much",
                drift.stability_index
            ));
        }
    }
    let Some(quality) = &evaluation.quality else { return reasons };
    let observed = quality.failures as f64;
    let expected = quality.metrics.predicted_over_observed * observed;
    // Failures are rare, so that their number scatters by about its square root.
    if (observed - expected).abs() > ERRORS_MAX * expected.max(1.0).sqrt() {
        reasons.push(format!("{observed} failed where it expected {expected:.1}: it is not calibrated any more"));
    }
    let then = model.file().held_out.history_known.metrics.auc;
    if let Some((auc, low, high)) = quality.auc.filter(|(_, _, high)| *high < then) {
        reasons.push(format!(
            "it ranks worse than when it was trained: AUC {auc:.3} ({low:.3} to {high:.3}), then {then:.3}"
        ));
    }
    reasons
}

/// True when `candidate` says better what came of `rows` than `champion` does, by more than chance: their log losses compared
/// deployment by deployment.
#[must_use]
pub fn beats(candidate: &Model, champion: &Model, rows: &Rows) -> bool {
    let gains: Vec<f64> = rows
        .iter()
        .filter_map(|row| {
            let failed = row.failed?;
            let of = |model: &Model| loss(Predicted { log_odds: model.log_odds(&row.features), failed });
            Some(of(champion) - of(candidate))
        })
        .collect();
    let count = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / count.max(1.0);
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    mean > ERRORS_BETTER * (variance / count.max(1.0)).sqrt()
}

/// The model that should replace `champion`, learnt from all of `rows`; `None` when there is too little to learn from, or when
/// what is learnt from the earlier outcomes does not beat it on the later ones.
///
/// # Errors
/// When the solver does not converge.
pub fn successor(champion: &Model, rows: &Rows, sha256: String) -> anyhow::Result<Option<Model>> {
    let rows = rows.decided();
    let (earlier, later) = (rows.between(0.0, EARLIER_SHARE), rows.between(EARLIER_SHARE, 1.0));
    if earlier.failures() < FAILURES_MIN || champion.file().training.sha256 == sha256 {
        return Ok(None);
    }
    let candidate = learn("candidate", &earlier, String::new())?;
    if !beats(&candidate, champion, &later) {
        return Ok(None);
    }
    let last = rows.iter().map(|row| row.time).max().unwrap_or_default();
    let day = OffsetDateTime::from_unix_timestamp(last).context("a row's time")?.date();
    learn(&format!("own-{day}"), &rows, sha256).map(Some)
}

/// Trains anew every so often until the process is to end. Replicas that do so at the same time make the same model of the same
/// outcomes.
pub(crate) async fn by_the_clock(every: Duration, models: Models, histories: Histories, bus: Bus, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.called() => return,
            () = tokio::time::sleep(every) => {}
        }
        let champion = models.now().champion;
        let (name, histories) = (champion.basis().to_owned(), histories.clone());
        let trained = tokio::task::spawn_blocking(move || {
            let (rows, sha256) = histories.recorded(OffsetDateTime::now_utc().unix_timestamp());
            successor(&champion, &rows, sha256)
        });
        let published = match trained.await.map_err(anyhow::Error::from).and_then(|trained| trained) {
            Ok(Some(model)) => published::publish(&bus, Role::Champion, &model).await.map(|_| Some(model)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match published {
            Ok(Some(model)) => tracing::info!("{} beats {name} on the latest outcomes and is published", model.basis()),
            Ok(None) => tracing::info!("{name} stays: nothing that the recorded outcomes teach beats it"),
            Err(error) => tracing::error!("cannot train anew, {name} stays: {error:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate;
    use crate::features::{Features, Measures};
    use crate::rows::Row;

    /// A service where one deployment in `every` fails, and those with many deleted lines rather than the others.
    fn world(count: i64, every: i64) -> Rows {
        let row = |index: i64| {
            let failed = index % every == 0;
            let lines = if failed { 900 - index % 300 } else { index * 7 % 800 };
            let measures = Measures {
                files: (1 + index % 5) as f64,
                lines_added: (index * 13 % 90) as f64,
                lines_deleted: lines as f64,
                ..Measures::default()
            };
            Row { id: index.to_string(), time: index * 3600, features: Features::of(&measures), failed: Some(failed) }
        };
        Rows::default().with("shop", (0..count).map(row).collect())
    }

    #[test]
    fn a_model_that_outcomes_contradict_says_so_and_is_replaced() {
        let shipped = Model::shipped();
        let rows = world(3000, 10);
        let said = reasons(&shipped, &evaluate(&shipped, &rows)).join("\n");
        assert!(said.contains("300 failed where it expected"), "{said}");
        assert!(said.contains("subsystems is no longer distributed"), "{said}");

        let own = successor(&shipped, &rows, "1".repeat(64)).unwrap().expect("it beats the shipped model");
        assert_eq!(own.file().version, "own-1970-05-05");
        assert!(beats(&own, &shipped, &rows) && !beats(&shipped, &own, &rows));
        assert_eq!(reasons(&own, &evaluate(&own, &rows)), [""; 0]);
        // Once it stands, the same outcomes do not replace it again.
        assert!(successor(&own, &rows, "1".repeat(64)).unwrap().is_none());
        assert!(successor(&own, &rows, "2".repeat(64)).unwrap().is_none());
    }

    #[test]
    fn a_few_failures_replace_nothing() {
        assert!(successor(&Model::shipped(), &world(400, 10), "1".repeat(64)).unwrap().is_none());
        assert!(successor(&Model::shipped(), &Rows::default(), "1".repeat(64)).unwrap().is_none());
    }
}
