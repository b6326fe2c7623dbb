//! Calibration: a line through log-odds that makes them honest, where there is evidence that they are not.
//!
//! Pure. Platt scaling with as few parameters as the evidence supports: none, an intercept, or an intercept and a slope.

use crate::metrics::{Predicted, log_loss, logistic};
use crate::model::Line;

/// The least gain in log-likelihood for one more parameter: half the 95 % point of chi-squared with one degree of freedom.
const GAIN_MIN: f64 = 3.841 / 2.0;

/// Newton steps at most; it takes about five.
const STEPS_MAX: usize = 50;

/// The line that makes `predicted` honest, which must be of deployments that the model did not learn from.
#[must_use]
pub fn calibrate(predicted: &[Predicted]) -> Line {
    let likelihood = |line: Line| {
        let moved: Vec<_> = predicted.iter().map(|p| Predicted { log_odds: line.at(p.log_odds), ..*p }).collect();
        -log_loss(&moved) * predicted.len() as f64
    };
    if predicted.iter().all(|p| p.failed) || !predicted.iter().any(|p| p.failed) {
        return Line::IDENTITY;
    }
    let mut best = Line::IDENTITY;
    for candidate in [fit_intercept(predicted), fit_both(predicted)] {
        let gain = likelihood(candidate) - likelihood(best);
        // A line that falls would turn the ranking around; it means that there is nothing to calibrate.
        if candidate.slope > 0.0 && gain > GAIN_MIN {
            best = candidate;
        }
    }
    best
}

fn fit_intercept(predicted: &[Predicted]) -> Line {
    let mut line = Line::IDENTITY;
    for _ in 0..STEPS_MAX {
        let (mut gradient, mut curvature) = (0.0, 0.0);
        for p in predicted {
            let probability = logistic(line.at(p.log_odds));
            gradient += f64::from(u8::from(p.failed)) - probability;
            curvature += probability * (1.0 - probability);
        }
        let step = gradient / curvature;
        line.intercept += step;
        if step.abs() < 1e-10 {
            break;
        }
    }
    line
}

fn fit_both(predicted: &[Predicted]) -> Line {
    let mut line = fit_intercept(predicted);
    for _ in 0..STEPS_MAX {
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for p in predicted {
            let x = p.log_odds;
            let probability = logistic(line.at(x));
            let missing = f64::from(u8::from(p.failed)) - probability;
            let weight = probability * (1.0 - probability);
            g0 += missing;
            g1 += missing * x;
            h00 += weight;
            h01 += weight * x;
            h11 += weight * x * x;
        }
        let determinant = h00 * h11 - h01 * h01;
        if determinant <= f64::EPSILON * h00 * h11 {
            break;
        }
        let (step0, step1) = ((h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant);
        line.intercept += step0;
        line.slope += step1;
        if step0.abs().max(step1.abs()) < 1e-10 {
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many failures at each log-odds as `truth` demands of 10,000 deployments.
    fn outcomes(told: &[f64], truth: Line) -> Vec<Predicted> {
        let mut all = Vec::new();
        for &log_odds in told {
            let failures = (logistic(truth.at(log_odds)) * 10_000.0).round() as usize;
            all.extend((0..10_000).map(|i| Predicted { log_odds, failed: i < failures }));
        }
        all
    }

    #[track_caller]
    fn check(truth: Line) {
        let got = calibrate(&outcomes(&[-6.0, -5.0, -4.0, -3.0, -2.0], truth));
        assert!((got.intercept - truth.intercept).abs() < 0.02, "{got:?}");
        assert!((got.slope - truth.slope).abs() < 0.02, "{got:?}");
    }

    #[test]
    fn a_bias_and_a_slope_are_found() {
        check(Line { intercept: 0.3, slope: 1.0 });
        check(Line { intercept: -0.5, slope: 0.8 });
        check(Line { intercept: 0.4, slope: 1.2 });
    }

    #[test]
    fn honest_log_odds_are_left_alone() {
        assert_eq!(calibrate(&outcomes(&[-5.0, -4.0, -3.0], Line::IDENTITY)), Line::IDENTITY);
    }

    #[test]
    fn without_evidence_nothing_is_changed() {
        let few: Vec<_> = (0..40).map(|i| Predicted { log_odds: -3.0, failed: i < 3 }).collect();
        assert_eq!(calibrate(&few), Line::IDENTITY);
        let none: Vec<_> = (0..40).map(|_| Predicted { log_odds: -3.0, failed: false }).collect();
        assert_eq!(calibrate(&none), Line::IDENTITY);
        assert_eq!(calibrate(&[]), Line::IDENTITY);
    }
}
