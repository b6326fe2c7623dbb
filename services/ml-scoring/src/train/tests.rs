use std::io::Cursor;

use serde_json::Value;

use super::solver::gradient_max;
use super::*;

const CARRIED: &[u8] = include_bytes!("../../data/deploy_prs.csv.gz");
const SOLVER_FIXTURE: &str = include_str!("../../data/solver_fixture.csv");

/// Records and outcomes of the solver's fixture.
fn solver_fixture() -> (Array2<f64>, Vec<bool>) {
    let mut reader = csv::Reader::from_reader(SOLVER_FIXTURE.as_bytes());
    let rows: Vec<[f64; 5]> = reader.deserialize().map(Result::unwrap).collect();
    let records = Array2::from_shape_fn((rows.len(), 4), |(row, column)| rows[row][column]);
    (records, rows.iter().map(|row| row[4] == 1.0).collect())
}

#[track_caller]
fn agrees(solution: &Solution, sign: f64, intercept: f64, coefficients: [f64; 4]) {
    let got = solution.coefficients.iter().chain([&solution.intercept]);
    for (got, expected) in got.zip(coefficients.iter().chain([&intercept])) {
        assert!((got - sign * expected).abs() < 1e-3, "{solution:?}");
    }
}

/// The expected numbers are scikit-learn's (1.9.1), on the same file:
/// `LogisticRegression(C=1/alpha, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)`.
#[test]
fn linfa_agrees_with_scikit_learn_whichever_class_is_more_frequent() {
    let (records, failed) = solver_fixture();
    let succeeded: Vec<bool> = failed.iter().map(|failed| !failed).collect();
    let expected = [
        (1.0, -0.942683, [-0.211806, 0.415705, 0.180295, 0.022987]),
        (25.0, -0.929765, [-0.046421, 0.234473, 0.126826, -0.004778]),
    ];
    for (alpha, intercept, coefficients) in expected {
        let solution = solve(records.view(), &failed, alpha, None).unwrap();
        agrees(&solution, 1.0, intercept, coefficients);
        let flipped = solve(records.view(), &succeeded, alpha, None).unwrap();
        agrees(&flipped, -1.0, intercept, coefficients);
        // From where the solution is, the solver stays there: the start has the right sign.
        agrees(&solve(records.view(), &failed, alpha, Some(&solution)).unwrap(), 1.0, intercept, coefficients);
        agrees(&solve(records.view(), &succeeded, alpha, Some(&flipped)).unwrap(), -1.0, intercept, coefficients);
    }
}

/// The expected numbers are statsmodels' (0.15.0), on the same file, without a penalty:
/// `Logit(y, add_constant(X)).fit(cov_type="HC0").bse`.
#[test]
fn standard_errors_are_those_of_the_sandwich_and_a_copy_is_no_new_row() {
    let (records, failed) = solver_fixture();
    // A penalty of almost nothing: statsmodels has none.
    let alpha = 1e-6;
    let solution = solve(records.view(), &failed, alpha, None).unwrap();
    let once = standard_errors(records.view(), &failed, 1, alpha, &solution).unwrap();
    for (got, expected) in once.iter().zip([0.180916, 0.174611, 0.132058, 0.128854]) {
        assert!((got - expected).abs() < 1e-3, "{once:?}");
    }
    let twice = ndarray::concatenate(ndarray::Axis(0), &[records.view(), records.view()]).unwrap();
    let both = [failed.clone(), failed].concat();
    let errors = standard_errors(twice.view(), &both, 2, 2.0 * alpha, &solution).unwrap();
    for (got, expected) in errors.iter().zip(&once) {
        assert!((got - expected).abs() < 1e-6, "{errors:?} {once:?}");
    }
}

#[test]
fn the_gradient_tells_a_solution_from_what_is_none() {
    let (records, failed) = solver_fixture();
    let solution = solve(records.view(), &failed, 1.0, None).unwrap();
    assert!(gradient_max(records.view(), &failed, 1.0, &solution) < 1e-2);
    let wrong = Solution { intercept: solution.intercept + 0.01, ..solution };
    assert!(gradient_max(records.view(), &failed, 1.0, &wrong) > 0.1);
}

/// The carried rows of three services, as CSV.
fn three_services() -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(CARRIED).read_to_string(&mut text).unwrap();
    let kept = |line: &&str| {
        ["project,", "grid,", "notification-api,", "treeherder,"].iter().any(|beginning| line.starts_with(beginning))
    };
    text.split_inclusive('\n').filter(kept).collect()
}

#[test]
fn the_same_rows_make_the_same_bytes() {
    let rows = three_services();
    let first = train("test-1", rows.as_bytes()).unwrap();
    let again = train("test-1", Cursor::new(rows)).unwrap();
    assert_eq!(first.to_json(), again.to_json());
    assert_eq!(first.basis(), again.basis());
    assert_eq!(
        first.file().provenance,
        "learned from 6,509 deployments of 3 services, 136 of them reverted within 30 days"
    );
    assert_eq!(Model::parse(&first.to_json()).unwrap(), first);
}

#[test]
fn too_few_failures_teach_nothing() {
    let lines: Vec<&str> = vec![crate::samples::CSV_LINE; FAILURES_MIN - 1];
    let error = train("test-1", crate::samples::csv(&lines).as_bytes()).unwrap_err().to_string();
    assert!(error.contains("29 of 29 rows failed: at least 30 are needed"), "{error}");
}

/// Numbers may differ a little, since another processor adds in another order.
#[track_caller]
fn alike(path: &str, got: &Value, expected: &Value) {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{path}");
            for (key, value) in got {
                alike(&format!("{path}.{key}"), value, &expected[key]);
            }
        }
        (Value::Array(got), Value::Array(expected)) => {
            assert_eq!(got.len(), expected.len(), "{path}");
            for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
                alike(&format!("{path}[{index}]"), got, expected);
            }
        }
        (Value::Number(got), Value::Number(expected)) => {
            let (got, expected) = (got.as_f64().unwrap(), expected.as_f64().unwrap());
            assert!((got - expected).abs() < 1e-3, "{path}: {got} is not {expected}");
        }
        _ => assert_eq!(got, expected, "{path}"),
    }
}

#[test]
fn the_shipped_model_is_what_training_makes_of_the_carried_rows() {
    let trained = train(&Model::shipped().file().version, CARRIED).unwrap();
    let value = |model: &Model| serde_json::from_str::<Value>(&model.to_json()).unwrap();
    alike("model", &value(&trained), &value(&Model::shipped()));
}

#[test]
fn the_shipped_model_is_calibrated_and_better_than_chance_on_later_deployments() {
    let model = Model::shipped();
    let held_out = &model.file().held_out;
    for (measured, auc) in [(&held_out.history_known, 0.70), (&held_out.history_unknown, 0.60)] {
        let metrics = measured.metrics;
        assert_eq!(measured.bins.iter().map(|bin| bin.rows).sum::<usize>(), held_out.rows);
        assert!(metrics.auc > auc, "{metrics}");
        assert!((0.8..1.25).contains(&metrics.predicted_over_observed), "{metrics}");
        assert!(metrics.calibration_error < 0.004 && metrics.brier_skill > 0.0, "{metrics}");
    }
}
