//! Training: from rows of the past to a model.
//!
//! Pure but for reading its rows. Nothing is split at random, and nothing is weighted by class: the first flatters the
//! result, the second ruins the calibration. The same rows give the same bytes on the same machine.

mod blend;
mod solver;

pub use blend::{blend, blend_rows};

use std::io::Read;

use anyhow::{Context, ensure};
use domain::Provenance;
use ndarray::{Array2, ShapeBuilder};
use time::OffsetDateTime;

use solver::{Solution, solve, standard_errors};

use crate::calibration::calibrate;
use crate::features::{FEATURES, Features, grouped};
use crate::metrics::{Bin, Metrics, Predicted, bins, log_loss};
use crate::model::{Calibration, FORMAT, HeldOut, Line, Measured, Model, ModelFile, Training, Weight, Weights};
use crate::rows::Rows;
use crate::synthetic;

/// With fewer failures than this there is nothing to learn.
pub const FAILURES_MIN: usize = 30;

/// Share of each service's deployments that the measured model learns from; it is measured on the rest.
const EARLIER_SHARE: f64 = 0.7;

/// Within the earlier part: learn up to the first share, try on what follows up to the second.
const FORWARD: [(f64, f64); 3] = [(0.55, 0.7), (0.7, 0.85), (0.85, 1.0)];

/// Parts of the held-out deployments that what came of them is told of.
const BINS: usize = 10;

/// Penalties to choose from, the strongest first, so that each solution is near to the next one's.
const ALPHAS: [f64; 5] = [400.0, 200.0, 100.0, 50.0, 25.0];

/// Trains the model `version` from rows as CSV, plain or gzipped.
///
/// First the earlier part of each service's deployments alone: the penalty that does best on its own later deployments,
/// the calibration on the same, and how good the result is on the part that was held back. Then, with that penalty, all.
///
/// # Errors
/// When the rows cannot be read, when too few failed, or when the solver does not converge.
pub fn train(version: &str, rows: impl Read) -> anyhow::Result<Model> {
    let (rows, sha256) = Rows::read(rows)?;
    learn(version, &rows, sha256)
}

/// The same from rows that are there already; `sha256` is the digest that tells them from others.
///
/// # Errors
/// As [`train`].
pub fn learn(version: &str, rows: &Rows, sha256: String) -> anyhow::Result<Model> {
    decided(rows)?;
    ensure!(
        rows.failures() >= FAILURES_MIN && rows.len() >= 2 * rows.failures(),
        "{} of {} rows failed: at least {FAILURES_MIN} are needed, and at most half of the rows",
        rows.failures(),
        rows.len()
    );
    let (earlier, later) = (rows.between(0.0, EARLIER_SHARE), rows.between(EARLIER_SHARE, 1.0));
    let Chosen { alpha, mut tried, nearby } = choose_alpha(&earlier)?;
    let measured = fit(&earlier, &learnt(), alpha, Some(&nearby))?.weights;
    let held_out = hold_out(&measured, tried.calibration(), &later, EARLIER_SHARE)?;
    tried.add(&measured, &later);
    let mut fitted = fit(rows, &learnt(), alpha, Some(&nearby))?;
    fitted.doubt(alpha)?;
    let training = training(rows, sha256, alpha)?;
    Model::new(ModelFile {
        format: FORMAT,
        version: version.to_owned(),
        kind: Provenance::Learned,
        provenance: provenance(&training),
        training,
        held_out,
        calibration: tried.calibration(),
        weights: fitted.weights,
    })
    .context("the trained model")
}

/// Refuses rows of which some have no outcome.
fn decided(rows: &Rows) -> anyhow::Result<()> {
    ensure!(rows.undecided() == 0, "{} rows have no label: of what is not known nothing is learnt", rows.undecided());
    Ok(())
}

/// The features that are learnt from outcomes, as indices of [`FEATURES`].
fn learnt() -> Vec<usize> {
    (0..FEATURES.len()).filter(|index| !FEATURES[*index].scenario_only).collect()
}

fn training(rows: &Rows, sha256: String, alpha: f64) -> anyhow::Result<Training> {
    Ok(Training {
        sha256,
        rows: rows.len(),
        failures: rows.failures(),
        services: rows.projects().len(),
        first: day(rows.iter().map(|row| row.time).min())?,
        last: day(rows.iter().map(|row| row.time).max())?,
        alpha,
        scenario: None,
    })
}

fn provenance(training: &Training) -> String {
    format!(
        "learned from {}, {} of them reverted within 30 days",
        deployments(training),
        grouped(training.failures as f64)
    )
}

/// Such as "6,509 deployments of 3 services".
fn deployments(training: &Training) -> String {
    let services =
        if training.services == 1 { "1 service".to_owned() } else { format!("{} services", training.services) };
    format!("{} deployments of {services}", grouped(training.rows as f64))
}

fn day(time: Option<i64>) -> anyhow::Result<String> {
    let time = OffsetDateTime::from_unix_timestamp(time.unwrap_or_default()).context("a row's time")?;
    Ok(time.date().to_string())
}

/// Predictions of deployments that the predicting model did not learn from.
#[derive(Default)]
struct Tried {
    known: Vec<Predicted>,
    unknown: Vec<Predicted>,
}

impl Tried {
    fn add(&mut self, weights: &Weights, rows: &Rows) {
        for row in rows.iter() {
            let failed = row.failed == Some(true);
            let predicted = |features: &Features| Predicted { log_odds: weights.log_odds(features), failed };
            self.known.push(predicted(&row.features));
            self.unknown.push(predicted(&row.features.without_history()));
        }
    }

    fn log_loss(&self) -> f64 {
        log_loss(&self.known) + log_loss(&self.unknown)
    }

    fn calibration(&self) -> Calibration {
        Calibration { history_known: rounded_line(&self.known), history_unknown: rounded_line(&self.unknown) }
    }
}

fn rounded_line(predicted: &[Predicted]) -> Line {
    let line = calibrate(predicted);
    Line { intercept: rounded(line.intercept), slope: rounded(line.slope) }
}

/// A penalty and what came of trying it.
struct Chosen {
    alpha: f64,
    /// Its predictions of later deployments.
    tried: Tried,
    /// Its last solution, for the next to start from.
    nearby: Solution,
}

/// The penalty that does best on later deployments within `rows`.
fn choose_alpha(rows: &Rows) -> anyhow::Result<Chosen> {
    let mut tried: Vec<Tried> = ALPHAS.iter().map(|_| Tried::default()).collect();
    let mut solutions: [Option<Solution>; ALPHAS.len()] = [const { None }; ALPHAS.len()];
    for (until, end) in FORWARD {
        let (past, future) = (rows.between(0.0, until), rows.between(until, end));
        for index in 0..ALPHAS.len() {
            // The same penalty on the fold before, else the neighbouring penalty on this one.
            let start =
                solutions[index].as_ref().or(index.checked_sub(1).and_then(|before| solutions[before].as_ref()));
            let fitted = fit(&past, &learnt(), ALPHAS[index], start)?;
            tried[index].add(&fitted.weights, &future);
            solutions[index] = Some(fitted.solution);
        }
    }
    let all = ALPHAS.into_iter().zip(tried).zip(solutions);
    let best = all.min_by(|((_, a), _), ((_, b), _)| a.log_loss().total_cmp(&b.log_loss()));
    let ((alpha, tried), nearby) = best.context("there is a penalty to choose")?;
    Ok(Chosen { alpha, tried, nearby: nearby.context("the penalty was tried")? })
}

/// How good `weights` are on `later` deployments, of which they did not learn.
fn hold_out(weights: &Weights, calibration: Calibration, later: &Rows, earlier_share: f64) -> anyhow::Result<HeldOut> {
    let mut tried = Tried::default();
    tried.add(weights, later);
    let measured = |predicted: &[Predicted], line: Line| {
        let honest: Vec<_> = predicted.iter().map(|p| Predicted { log_odds: line.at(p.log_odds), ..*p }).collect();
        let metrics = Metrics::of(&honest).map(Metrics::rounded).context("none of the held-out rows failed")?;
        anyhow::Ok(Measured { metrics, bins: bins(&honest, BINS).into_iter().map(Bin::rounded).collect() })
    };
    Ok(HeldOut {
        earlier_share,
        rows: later.len(),
        failures: later.failures(),
        history_known: measured(&tried.known, calibration.history_known)?,
        history_unknown: measured(&tried.unknown, calibration.history_unknown)?,
    })
}

/// How good `weights` are on generated deployments.
pub(crate) fn hold_out_generated(weights: &Weights) -> anyhow::Result<HeldOut> {
    hold_out(weights, Calibration::IDENTITY, &synthetic::tried(), 1.0)
}

struct Fitted {
    weights: Weights,
    solution: Solution,
    design: Array2<f64>,
    failed: Vec<bool>,
}

impl Fitted {
    /// Fills in how uncertain each coefficient is.
    fn doubt(&mut self, alpha: f64) -> anyhow::Result<()> {
        let errors = standard_errors(self.design.view(), &self.failed, 2, alpha, &self.solution)?;
        for (weight, error) in self.weights.features.iter_mut().zip(errors) {
            weight.standard_error = rounded(error);
        }
        Ok(())
    }
}

/// Learns from every row twice: once with its past, once without, so that one model scores both honestly.
fn fit(rows: &Rows, looked_at: &[usize], alpha: f64, start: Option<&Solution>) -> anyhow::Result<Fitted> {
    let mut features = standardise(rows, looked_at);
    let width = features.len();
    let count = rows.len();
    // Column by column in memory: the solver's gradient reads it so.
    let mut design = Array2::zeros((2 * count, width + 1).f());
    for (index, row) in rows.iter().enumerate() {
        for (offset, seen) in [(0, &row.features), (count, &row.features.without_history())] {
            for (column, weight) in features.iter().enumerate() {
                let value = seen.value(weight.feature).map_or(0.0, |value| weight.standardised(value));
                design[(offset + index, column)] = value;
            }
        }
        design[(count + index, width)] = 1.0;
    }
    let failed: Vec<bool> = rows.iter().chain(rows.iter()).map(|row| row.failed == Some(true)).collect();
    let solution = solve(design.view(), &failed, alpha, start)?;
    for (weight, coefficient) in features.iter_mut().zip(&solution.coefficients) {
        weight.coefficient = rounded(*coefficient);
    }
    let weights = Weights {
        intercept: rounded(solution.intercept),
        history_unknown: rounded(solution.coefficients[width]),
        features,
    };
    Ok(Fitted { weights, solution, design, failed })
}

/// Mean, scale and deciles of these features where they are known; no coefficients yet.
pub(crate) fn standardise(rows: &Rows, looked_at: &[usize]) -> Vec<Weight> {
    let one = |&feature: &usize| {
        let transform = FEATURES[feature].transform;
        let known = rows.iter().filter_map(|row| row.features.value(feature));
        let mut values: Vec<f64> = known.map(|value| transform.apply(value)).collect();
        let count = values.len().max(1) as f64;
        let mean = rounded(values.iter().sum::<f64>() / count);
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        // A feature that never varies cannot be learnt from; any scale will do.
        let scale = Some(rounded(variance.sqrt())).filter(|scale| *scale > 0.0).unwrap_or(1.0);
        values.sort_by(f64::total_cmp);
        values.iter_mut().for_each(|value| *value = rounded(*value));
        let decile = |tenth: usize| {
            let value = values.get(values.len() * tenth / 10).copied().unwrap_or_default();
            (value, rounded(values.partition_point(|other| *other <= value) as f64 / count))
        };
        let deciles = std::array::from_fn(|index| decile(index + 1));
        Weight { feature, transform, mean, scale, coefficient: 0.0, standard_error: 0.0, deciles }
    };
    looked_at.iter().map(one).collect()
}

/// To six decimals, so that a model can be read, and the last bits of a machine's arithmetic do not show in it.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6 + 0.0
}

impl Metrics {
    fn rounded(self) -> Self {
        Self {
            auc: rounded(self.auc),
            average_precision: rounded(self.average_precision),
            top_5_percent: rounded(self.top_5_percent),
            top_10_percent: rounded(self.top_10_percent),
            top_20_percent: rounded(self.top_20_percent),
            calibration_error: rounded(self.calibration_error),
            predicted_over_observed: rounded(self.predicted_over_observed),
            brier_skill: rounded(self.brier_skill),
            log_loss: rounded(self.log_loss),
        }
    }
}

impl Bin {
    fn rounded(self) -> Self {
        Self { up_to: rounded(self.up_to), predicted: rounded(self.predicted), ..self }
    }
}

#[cfg(test)]
mod tests;
