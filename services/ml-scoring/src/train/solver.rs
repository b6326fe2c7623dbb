//! The solver: a logistic regression by linfa, checked, with the uncertainty of what it found.

use anyhow::{Context, bail};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_linalg::cholesky::InverseC;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::metrics::logistic;

/// What a logistic regression found.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    pub(super) intercept: f64,
    pub(super) coefficients: Vec<f64>,
}

/// Fits P(failed) = logistic(intercept + records * coefficients), penalised by alpha/2 * |coefficients|^2.
///
/// linfa models the class that is more frequent, and reports success when it did not converge: hence the sign that is
/// looked up, and the gradient that is computed here once more.
pub(super) fn solve(
    records: ArrayView2<'_, f64>,
    failed: &[bool],
    alpha: f64,
    start: Option<&Solution>,
) -> anyhow::Result<Solution> {
    const GRADIENT_TOLERANCE: f64 = 1e-3;
    let targets = Array1::from_vec(failed.to_vec());
    let failures = failed.iter().filter(|failed| **failed).count();
    let mut regression =
        LogisticRegression::default().alpha(alpha).gradient_tolerance(GRADIENT_TOLERANCE).max_iterations(1_000);
    if let Some(start) = start {
        // In linfa's terms.
        let sign = if failures < failed.len() - failures { -1.0 } else { 1.0 };
        let parameters = start.coefficients.iter().chain([&start.intercept]).map(|parameter| sign * parameter);
        regression = regression.initial_params(parameters.collect());
    }
    let fitted = regression.fit(&DatasetBase::new(records, targets.view())).context("linfa's logistic regression")?;
    let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
    let solution = Solution {
        intercept: sign * fitted.intercept(),
        coefficients: fitted.params().iter().map(|parameter| sign * parameter).collect(),
    };
    let gradient = gradient_max(records, failed, alpha, &solution);
    if gradient.is_nan() || gradient > 10.0 * GRADIENT_TOLERANCE {
        bail!("the solver did not converge: the gradient is {gradient:e} at alpha {alpha}");
    }
    Ok(solution)
}

/// The largest component of the gradient of the penalised loss.
pub(super) fn gradient_max(records: ArrayView2<'_, f64>, failed: &[bool], alpha: f64, solution: &Solution) -> f64 {
    let coefficients = Array1::from_vec(solution.coefficients.clone());
    let mut surplus = records.dot(&coefficients) + solution.intercept;
    for (surplus, failed) in surplus.iter_mut().zip(failed) {
        *surplus = logistic(*surplus) - f64::from(u8::from(*failed));
    }
    let gradient = records.t().dot(&surplus) + coefficients * alpha;
    gradient.iter().map(|component| component.abs()).fold(surplus.sum().abs(), f64::max)
}

/// The standard error of each coefficient, where the rows are `copies` blocks one behind the other and a row of one block is
/// the same deployment as the row of that number in the others.
///
/// The sandwich estimator (White, Econometrica 50, 1982) with a deployment as the unit, so that one that was learnt from
/// twice is not taken for two. The penalty's pull towards zero is not in it: it tells the spread, not the bias.
pub(super) fn standard_errors(
    records: ArrayView2<'_, f64>,
    failed: &[bool],
    copies: usize,
    alpha: f64,
    solution: &Solution,
) -> anyhow::Result<Vec<f64>> {
    let parameters = records.ncols() + 1;
    let deployments = records.nrows() / copies;
    let coefficients = Array1::from_vec(solution.coefficients.clone());
    let expected = (records.dot(&coefficients) + solution.intercept).mapv(logistic);
    // With the intercept as a last column of ones.
    let with_one = |row: usize| records.row(row).iter().copied().chain([1.0]).collect::<Array1<f64>>();
    let mut curvature = Array2::<f64>::zeros((parameters, parameters));
    let mut spread = Array2::<f64>::zeros((parameters, parameters));
    for deployment in 0..deployments {
        let mut score = Array1::<f64>::zeros(parameters);
        for copy in 0..copies {
            let row = copy * deployments + deployment;
            let (values, p) = (with_one(row), expected[row]);
            add_outer(&mut curvature, &values, p * (1.0 - p));
            score.scaled_add(p - f64::from(u8::from(failed[row])), &values);
        }
        add_outer(&mut spread, &score, 1.0);
    }
    for parameter in 0..parameters - 1 {
        curvature[(parameter, parameter)] += alpha;
    }
    let inverse = curvature.invc().context("inverting the curvature of the loss")?;
    let covariance = inverse.dot(&spread).dot(&inverse);
    Ok(covariance.diag().iter().take(parameters - 1).map(|variance| variance.max(0.0).sqrt()).collect())
}

/// `matrix += scale * values * values^T`
fn add_outer(matrix: &mut Array2<f64>, values: &Array1<f64>, scale: f64) {
    for (mut row, value) in matrix.axis_iter_mut(Axis(0)).zip(values) {
        row.scaled_add(scale * value, values);
    }
}
