//! How good predictions are, measured on deployments whose outcome is known.
//!
//! Pure. Recall at a share of the effort is left out on purpose: on this data a constant prediction scores well on it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One prediction and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// Log-odds of failure.
    pub log_odds: f64,
    /// What came of it.
    pub failed: bool,
}

impl Predicted {
    /// The probability of failure, 0 to 1.
    #[must_use]
    pub fn probability(self) -> f64 {
        logistic(self.log_odds)
    }
}

/// How good predictions are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Area under the ROC curve: how often a failure is ranked above a success. 0.5 is a coin.
    pub auc: f64,
    /// Average precision; a coin has the share of failures.
    pub average_precision: f64,
    /// Share of the failures among the riskiest 5 %.
    pub top_5_percent: f64,
    /// Share of the failures among the riskiest 10 %.
    pub top_10_percent: f64,
    /// Share of the failures among the riskiest 20 %.
    pub top_20_percent: f64,
    /// Expected calibration error over ten bins of as many rows each.
    pub calibration_error: f64,
    /// Mean predicted probability over the share that failed.
    pub predicted_over_observed: f64,
    /// 1 - Brier score / Brier score of always predicting the share that failed. Above 0 is better than that constant.
    pub brier_skill: f64,
    /// Mean negative log-likelihood, in nats.
    pub log_loss: f64,
}

impl Metrics {
    /// The metrics of `predicted`; `None` unless some failed and some did not.
    #[must_use]
    pub fn of(predicted: &[Predicted]) -> Option<Self> {
        let rows = predicted.len() as f64;
        let failures = predicted.iter().filter(|p| p.failed).count() as f64;
        if failures == 0.0 || failures == rows {
            return None;
        }
        let mut riskiest: Vec<Predicted> = predicted.to_vec();
        riskiest.sort_by(|a, b| b.log_odds.total_cmp(&a.log_odds));
        let top = |share: f64| found_among(&riskiest, (rows * share).round()) / failures;
        let rate = failures / rows;
        let mean = |of: fn(&Predicted) -> f64| predicted.iter().map(of).sum::<f64>() / rows;
        let brier = mean(|p| (p.probability() - f64::from(u8::from(p.failed))).powi(2));
        Some(Self {
            auc: auc(&riskiest, failures),
            average_precision: average_precision(&riskiest, failures),
            top_5_percent: top(0.05),
            top_10_percent: top(0.10),
            top_20_percent: top(0.20),
            calibration_error: calibration_error(&riskiest),
            predicted_over_observed: mean(|p| p.probability()) / rate,
            brier_skill: 1.0 - brier / (rate * (1.0 - rate)),
            log_loss: log_loss(predicted),
        })
    }
}

/// Predictions of about the same height, and what came of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// The highest predicted probability in it; 1 in the last.
    pub up_to: f64,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Deployments.
    pub rows: usize,
    /// Of these, how many failed.
    pub failures: usize,
}

impl Bin {
    /// Share that failed.
    #[must_use]
    pub fn observed(&self) -> f64 {
        self.failures as f64 / self.rows as f64
    }

    /// Where the true share of failures lies, with 95 % confidence: Wilson's score interval (J. Amer. Statist. Assoc. 22,
    /// 1927).
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        const Z: f64 = 1.959_964;
        let (rows, share) = (self.rows as f64, self.observed());
        let middle = share + Z * Z / (2.0 * rows);
        let reach = Z * (share * (1.0 - share) / rows + Z * Z / (4.0 * rows * rows)).sqrt();
        let scale = 1.0 + Z * Z / rows;
        (((middle - reach) / scale).max(0.0), ((middle + reach) / scale).min(1.0))
    }
}

/// `predicted` in `parts` of as many rows each, from the safest to the riskiest; empty parts are left out.
#[must_use]
pub fn bins(predicted: &[Predicted], parts: usize) -> Vec<Bin> {
    let mut sorted = predicted.to_vec();
    sorted.sort_by(|a, b| a.log_odds.total_cmp(&b.log_odds));
    let rows = sorted.len();
    let parts = (0..parts).map(|part| &sorted[rows * part / parts..rows * (part + 1) / parts]);
    let mut bins: Vec<Bin> = parts.filter(|part| !part.is_empty()).map(bin).collect();
    if let Some(last) = bins.last_mut() {
        last.up_to = 1.0;
    }
    bins
}

fn bin(part: &[Predicted]) -> Bin {
    Bin {
        up_to: part.last().map_or(1.0, |riskiest| riskiest.probability()),
        predicted: part.iter().map(|p| p.probability()).sum::<f64>() / part.len() as f64,
        rows: part.len(),
        failures: part.iter().filter(|p| p.failed).count(),
    }
}

/// Area under the ROC curve with its 95 % interval, by the method of DeLong et al. (Biometrics 44, 1988); `None` unless
/// at least two failed and two did not.
#[must_use]
pub fn auc_interval(predicted: &[Predicted]) -> Option<(f64, f64, f64)> {
    const Z: f64 = 1.959_964;
    let mut sorted = predicted.to_vec();
    sorted.sort_by(|a, b| a.log_odds.total_cmp(&b.log_odds));
    let failures = sorted.iter().filter(|p| p.failed).count() as f64;
    let successes = sorted.len() as f64 - failures;
    if failures < 2.0 || successes < 2.0 {
        return None;
    }
    // Of each failure the share of successes below it, and of each success the share of failures above it; ties count half.
    let (mut below, mut beaten) = ((0.0, 0.0), (Spread::default(), Spread::default()));
    for run in sorted.chunk_by(|a, b| a.log_odds == b.log_odds) {
        let failed = run.iter().filter(|p| p.failed).count() as f64;
        let passed = run.len() as f64 - failed;
        beaten.0.add((below.1 + passed / 2.0) / successes, failed);
        beaten.1.add(1.0 - (below.0 + failed / 2.0) / failures, passed);
        below = (below.0 + failed, below.1 + passed);
    }
    let auc = beaten.0.mean();
    let reach = Z * (beaten.0.variance() / failures + beaten.1.variance() / successes).sqrt();
    Some((auc, (auc - reach).max(0.0), (auc + reach).min(1.0)))
}

/// Count, sum and sum of squares.
#[derive(Clone, Copy, Default)]
struct Spread {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f64, times: f64) {
        self.count += times;
        self.sum += times * value;
        self.squares += times * value * value;
    }

    fn mean(self) -> f64 {
        self.sum / self.count
    }

    fn variance(self) -> f64 {
        ((self.squares - self.sum * self.sum / self.count) / (self.count - 1.0)).max(0.0)
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AUC {:.4}, average precision {:.4}, top 5/10/20 % hold {:.3}/{:.3}/{:.3}, calibration error {:.4}, \
             predicted/observed {:.2}, Brier skill {:.4}",
            self.auc,
            self.average_precision,
            self.top_5_percent,
            self.top_10_percent,
            self.top_20_percent,
            self.calibration_error,
            self.predicted_over_observed,
            self.brier_skill
        )
    }
}

/// Mean negative log-likelihood of `predicted`, in nats.
#[must_use]
pub fn log_loss(predicted: &[Predicted]) -> f64 {
    predicted.iter().map(|predicted| loss(*predicted)).sum::<f64>() / predicted.len() as f64
}

/// Negative log-likelihood of one prediction, in nats.
#[must_use]
pub fn loss(predicted: Predicted) -> f64 {
    softplus(if predicted.failed { -predicted.log_odds } else { predicted.log_odds })
}

/// The probability of these log-odds.
#[must_use]
pub fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// ln(1 + e^x) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Runs of equal log-odds, as (failures, rows) of each. `sorted` is by log-odds.
fn ties(sorted: &[Predicted]) -> impl Iterator<Item = (f64, f64)> {
    sorted.chunk_by(|a, b| a.log_odds == b.log_odds).map(|run| {
        let failed = run.iter().filter(|p| p.failed).count();
        (failed as f64, run.len() as f64)
    })
}

/// How many failures are among the first `kept` rows. Of rows that are predicted alike no order is better than another.
fn found_among(riskiest: &[Predicted], kept: f64) -> f64 {
    let (mut found, mut seen) = (0.0, 0.0);
    for (failed, rows) in ties(riskiest) {
        let taken = f64::min(rows, kept - seen);
        if taken <= 0.0 {
            break;
        }
        found += failed * taken / rows;
        seen += rows;
    }
    found
}

/// Mann and Whitney's statistic; a tie counts one half.
fn auc(riskiest: &[Predicted], failures: f64) -> f64 {
    let successes = riskiest.len() as f64 - failures;
    let mut above = 0.0;
    let mut won = 0.0;
    for (failed, rows) in ties(riskiest) {
        let passed = rows - failed;
        won += passed * (above + failed / 2.0);
        above += failed;
    }
    won / (failures * successes)
}

fn average_precision(riskiest: &[Predicted], failures: f64) -> f64 {
    let mut found = 0.0;
    let mut seen = 0.0;
    let mut sum = 0.0;
    for (failed, rows) in ties(riskiest) {
        found += failed;
        seen += rows;
        sum += failed * found / seen;
    }
    sum / failures
}

fn calibration_error(predicted: &[Predicted]) -> f64 {
    let gap = |bin: &Bin| (bin.predicted - bin.observed()).abs() * bin.rows as f64;
    bins(predicted, 10).iter().map(gap).sum::<f64>() / predicted.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predicted(pairs: &[(f64, bool)]) -> Vec<Predicted> {
        pairs.iter().map(|&(p, failed)| Predicted { log_odds: (p / (1.0 - p)).ln(), failed }).collect()
    }

    #[track_caller]
    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-9, "got {got}, expected {expected}");
    }

    #[test]
    fn known_values_come_out() {
        // Ten rows, two failures, ranked 1st and 4th of 10 with the 4th tied with a success.
        let rows = predicted(&[
            (0.9, true),
            (0.8, false),
            (0.7, false),
            (0.6, true),
            (0.6, false),
            (0.5, false),
            (0.4, false),
            (0.3, false),
            (0.2, false),
            (0.1, false),
        ]);
        let metrics = Metrics::of(&rows).unwrap();
        close(metrics.auc, (8.0 + 5.5) / 16.0);
        close(metrics.average_precision, (1.0 + 2.0 / 5.0) / 2.0);
        close(metrics.top_10_percent, 0.5);
        close(metrics.top_20_percent, 0.5);
        close(metrics.predicted_over_observed, 5.1 / 2.0);
        let gaps = 0.1 + 0.8 + 0.7 + 0.4 + 0.6 + 0.5 + 0.4 + 0.3 + 0.2 + 0.1;
        close(metrics.calibration_error, gaps / 10.0);
        let brier = (0.01 + 0.64 + 0.49 + 0.16 + 0.36 + 0.25 + 0.16 + 0.09 + 0.04 + 0.01) / 10.0;
        close(metrics.brier_skill, 1.0 - brier / 0.16);
    }

    #[test]
    fn a_constant_is_a_coin_without_skill() {
        let rows: Vec<_> = (0..100).map(|i| (0.25, i % 4 == 0)).collect();
        let metrics = Metrics::of(&predicted(&rows)).unwrap();
        close(metrics.auc, 0.5);
        close(metrics.average_precision, 0.25);
        close(metrics.top_5_percent, 0.05);
        close(metrics.brier_skill, 0.0);
        close(metrics.predicted_over_observed, 1.0);
        close(metrics.log_loss, -(0.25 * 0.25_f64.ln() + 0.75 * 0.75_f64.ln()));
    }

    #[test]
    fn bins_hold_as_many_rows_each_and_say_what_came_of_them() {
        let rows = predicted(&[(0.1, false), (0.2, true), (0.3, false), (0.5, true), (0.4, false)]);
        let two = bins(&rows, 2);
        assert_eq!(two.iter().map(|bin| (bin.rows, bin.failures)).collect::<Vec<_>>(), [(2, 1), (3, 1)]);
        close(two[0].up_to, 0.2);
        close(two[0].predicted, 0.15);
        close(two[1].up_to, 1.0);
        assert_eq!(bins(&rows[..1], 10).len(), 1);
        assert_eq!(bins(&[], 10), []);
        // Newcombe (Statistics in Medicine 17, 1998), table I: 81 of 263.
        let (low, high) = Bin { up_to: 1.0, predicted: 0.0, rows: 263, failures: 81 }.interval();
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
    }

    #[test]
    fn the_interval_of_the_auc_holds_it_and_narrows_with_more_rows() {
        let few = predicted(&[(0.9, true), (0.8, false), (0.7, true), (0.3, false), (0.2, false), (0.7, false)]);
        let (auc, low, high) = auc_interval(&few).unwrap();
        close(auc, Metrics::of(&few).unwrap().auc);
        let many: Vec<_> = few.iter().copied().cycle().take(600).collect();
        let (same, nearer_low, nearer_high) = auc_interval(&many).unwrap();
        close(auc, same);
        assert!(low < nearer_low && nearer_low < auc && auc < nearer_high && nearer_high <= high);
        assert_eq!(auc_interval(&few[..2]), None);
    }

    #[test]
    fn without_failures_there_is_nothing_to_measure() {
        assert_eq!(Metrics::of(&predicted(&[(0.5, false)])), None);
        assert_eq!(Metrics::of(&[]), None);
    }
}
