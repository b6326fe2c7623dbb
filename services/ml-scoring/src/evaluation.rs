//! How good a model is on deployments whose outcome is known, and how far they have drifted from those it learnt from.
//!
//! Pure.

use std::cmp::Reverse;

use crate::features::{FEATURES, Features};
use crate::metrics::{Bin, Metrics, Predicted, auc_interval, bins};
use crate::model::{Model, Weight};
use crate::rows::{Row, Rows};
use crate::train::rounded;

/// Points of a plot.
pub type Curve = Vec<(f64, f64)>;

/// What a model says of deployments, and what became of them.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Every deployment's name and probability of failure, in the order of the rows.
    pub predictions: Vec<(String, f64)>,
    /// How good those predictions are; `None` unless outcomes are known, of both kinds.
    pub quality: Option<Quality>,
    /// How far each feature has drifted, the furthest first.
    pub drift: Vec<Drift>,
}

/// How good predictions are, with what to compare them with.
#[derive(Clone, Debug)]
pub struct Quality {
    /// Deployments whose outcome is known.
    pub rows: usize,
    /// Of these, how many failed.
    pub failures: usize,
    /// The model's.
    pub metrics: Metrics,
    /// Area under the ROC curve with its 95 % interval.
    pub auc: Option<(f64, f64, f64)>,
    /// What simpler predictions reach on the same deployments: a name and their metrics.
    pub baselines: Vec<(&'static str, Metrics)>,
    /// In ten parts of as many deployments each, from the safest to the riskiest.
    pub deciles: Vec<Bin>,
    /// The same in twenty parts, for a plot.
    pub bins: Vec<Bin>,
    /// The ROC curve: false positive rate and true positive rate, from (0, 0) to (1, 1).
    pub roc: Curve,
    /// Recall and precision, from the riskiest down.
    pub precision_recall: Curve,
    /// For each service its name, its deployments, how many failed, and the metrics where some did.
    pub services: Vec<(String, usize, usize, Option<Metrics>)>,
}

/// How far a feature has drifted from what the model learnt from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Index in [`FEATURES`].
    pub feature: usize,
    /// Population stability index over the training's deciles: below 0.1 little, from 0.25 much (Siddiqi, *Credit Risk
    /// Scorecards*, 2006).
    pub stability_index: f64,
    /// Share of the deployments of which it is not known.
    pub unknown_share: f64,
}

/// What `model` says of `rows`.
#[must_use]
pub fn evaluate(model: &Model, rows: &Rows) -> Evaluation {
    let log_odds = |row: &Row| model.log_odds(&row.features);
    let probability = |row: &Row| (row.id.clone(), crate::metrics::logistic(log_odds(row)));
    let mut drift = drift(model, &rows.iter().map(|row| &row.features).collect::<Vec<_>>());
    drift.sort_by(|a, b| b.stability_index.total_cmp(&a.stability_index));
    Evaluation { predictions: rows.iter().map(probability).collect(), quality: quality(rows, log_odds), drift }
}

fn quality(rows: &Rows, log_odds: impl Fn(&Row) -> f64) -> Option<Quality> {
    let known = |rows: &[Row], by: &dyn Fn(&Row) -> f64| -> Vec<Predicted> {
        rows.iter().filter_map(|row| Some(Predicted { log_odds: by(row), failed: row.failed? })).collect()
    };
    let all = |by: &dyn Fn(&Row) -> f64| -> Vec<Predicted> {
        rows.projects().flat_map(|(_, rows)| known(rows, by)).collect()
    };
    let predicted = all(&log_odds);
    let metrics = Metrics::of(&predicted)?;
    let failures = predicted.iter().filter(|p| p.failed).count();
    let rate = failures as f64 / predicted.len() as f64;
    // A ranking alone says nothing of probabilities: only its ranking is to be compared.
    let ranked_by = |name: &str| all(&|row| row.features.named(name).unwrap_or_default());
    let baselines = [
        ("always the share that failed", all(&|_| (rate / (1.0 - rate)).ln())),
        ("lines added alone", ranked_by("lines_added")),
        ("files changed alone", ranked_by("files_changed")),
    ];
    let services = rows.projects().map(|(name, rows)| {
        let predicted = known(rows, &log_odds);
        let failed = predicted.iter().filter(|p| p.failed).count();
        (name.to_owned(), predicted.len(), failed, Metrics::of(&predicted))
    });
    let mut services: Vec<_> = services.filter(|(_, rows, ..)| *rows > 0).collect();
    services.sort_by_key(|(name, rows, ..)| (Reverse(*rows), name.clone()));
    let (roc, precision_recall) = curves(&predicted);
    Some(Quality {
        rows: predicted.len(),
        failures,
        metrics,
        auc: auc_interval(&predicted),
        baselines: baselines.into_iter().filter_map(|(name, p)| Some((name, Metrics::of(&p)?))).collect(),
        deciles: bins(&predicted, 10),
        bins: bins(&predicted, 20),
        roc,
        precision_recall,
        services,
    })
}

/// Points of the ROC curve and of precision over recall, at most some hundred each.
fn curves(predicted: &[Predicted]) -> (Curve, Curve) {
    const POINTS: usize = 400;
    let mut riskiest = predicted.to_vec();
    riskiest.sort_by(|a, b| b.log_odds.total_cmp(&a.log_odds));
    let failures = riskiest.iter().filter(|p| p.failed).count() as f64;
    let successes = riskiest.len() as f64 - failures;
    let (mut found, mut seen, mut shown) = (0.0, 0.0, 0.0);
    let (mut roc, mut precision_recall) = (vec![(0.0, 0.0)], Vec::new());
    for run in riskiest.chunk_by(|a, b| a.log_odds == b.log_odds) {
        found += run.iter().filter(|p| p.failed).count() as f64;
        seen += run.len() as f64;
        let last = seen == riskiest.len() as f64;
        if last || (seen - shown) * POINTS as f64 >= riskiest.len() as f64 {
            roc.push(((seen - found) / successes, found / failures));
            precision_recall.push((found / failures, found / seen));
            shown = seen;
        }
    }
    (roc, precision_recall)
}

/// How far the feature of `weight` has drifted in `rows`.
/// How far the features of `model` have moved among `latest` deployments from what it learnt from.
#[must_use]
pub fn drift(model: &Model, latest: &[&Features]) -> Vec<Drift> {
    model.file().weights.features.iter().map(|weight| drifted(weight, latest)).collect()
}

fn drifted(weight: &Weight, latest: &[&Features]) -> Drift {
    let mut edges = weight.deciles.to_vec();
    edges.dedup();
    let mut counts = vec![0.0; edges.len() + 1];
    let mut unknown = 0.0;
    for features in latest {
        match features.value(weight.feature) {
            Some(value) => {
                // As in the model's file, so that what equals an edge lies below it.
                let value = rounded(weight.transform.apply(value));
                counts[edges.partition_point(|(edge, _)| *edge < value)] += 1.0;
            }
            None => unknown += 1.0,
        }
    }
    let known: f64 = counts.iter().sum();
    let mut index = 0.0;
    for (bin, count) in counts.iter().enumerate() {
        let below = if bin == 0 { 0.0 } else { edges[bin - 1].1 };
        let up_to = edges.get(bin).map_or(1.0, |(_, share)| *share);
        // An empty part would make the index infinite; half a row in a thousand stands in.
        let (expected, actual) = ((up_to - below).max(5e-4), (count / known.max(1.0)).max(5e-4));
        index += (actual - expected) * (actual / expected).ln();
    }
    let all = known + unknown;
    Drift {
        feature: weight.feature,
        stability_index: if known > 0.0 { index } else { 0.0 },
        unknown_share: if all > 0.0 { unknown / all } else { 0.0 },
    }
}

impl Drift {
    /// The feature's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        FEATURES[self.feature].name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn rows(lines: impl IntoIterator<Item = String>) -> Rows {
        let lines: Vec<String> = lines.into_iter().collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        Rows::read(samples::csv(&lines).as_bytes()).unwrap().0
    }

    /// A change of so many files that came to this.
    fn line(files: u32, label: &str) -> String {
        let line = samples::CSV_LINE.replacen(",7,8,", &format!(",{files},{},", files * 9), 1);
        format!("{}{label}", &line[..line.len() - 1])
    }

    #[test]
    fn quality_is_measured_where_outcomes_are_known() {
        let labels = ["0", "0", "1", "0", "", "1"];
        let rows = rows((1..=60).map(|files| line(files, labels[files as usize % 6])));
        let evaluation = evaluate(&Model::shipped(), &rows);
        assert_eq!(evaluation.predictions.len(), 60);
        assert!(evaluation.predictions.iter().all(|(_, p)| (0.0..1.0).contains(p)));
        let quality = evaluation.quality.unwrap();
        assert_eq!((quality.rows, quality.failures), (50, 20));
        assert_eq!(quality.deciles.len(), 10);
        assert_eq!((quality.roc[0], *quality.roc.last().unwrap()), ((0.0, 0.0), (1.0, 1.0)));
        assert_eq!(quality.precision_recall.last().unwrap(), &(1.0, 0.4));
        let (auc, low, high) = quality.auc.unwrap();
        assert!((auc - quality.metrics.auc).abs() < 1e-9 && low < auc && auc < high);
        assert_eq!(quality.baselines[0].1.auc, 0.5);
        assert_eq!(quality.services.len(), 1);
        assert_eq!((quality.services[0].0.as_str(), quality.services[0].1), ("shop", 50));
    }

    #[test]
    fn without_outcomes_there_are_predictions_all_the_same() {
        let evaluation = evaluate(&Model::shipped(), &rows([line(1, ""), line(9, "")]));
        assert!(evaluation.quality.is_none());
        assert!(evaluation.predictions[0].1 != evaluation.predictions[1].1);
    }

    #[test]
    fn drift_is_small_for_what_the_model_learnt_from_and_large_for_another_world() {
        let carried: &[u8] = include_bytes!("../data/deploy_prs.csv.gz");
        let same = evaluate(&Model::shipped(), &Rows::read(carried).unwrap().0);
        for drift in &same.drift {
            assert!(drift.stability_index < 0.01, "{}: {drift:?}", drift.name());
        }
        let large = evaluate(&Model::shipped(), &rows((0..50).map(|_| line(900, "0"))));
        let files = large.drift.iter().find(|drift| drift.name() == "files_changed").unwrap();
        assert!(files.stability_index > 2.0, "{files:?}");
        let reverts = large.drift.iter().find(|drift| drift.name() == "file_reverts").unwrap();
        assert_eq!((reverts.stability_index, reverts.unknown_share), (0.0, 1.0));
    }
}
