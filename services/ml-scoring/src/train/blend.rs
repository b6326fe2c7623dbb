//! The time between a scenario and a model that is learnt from outcomes alone: generated deployments fade out as failures
//! are recorded, and are learnt together with what was recorded.
//!
//! They fade by the number of failures, not of deployments, since a thousand successes alone teach nothing of failures.

use std::io::Read;

use anyhow::{Context, ensure};
use domain::Provenance;

use super::{EARLIER_SHARE, FAILURES_MIN, deployments, fit, hold_out, hold_out_generated, learn, training};
use crate::features::{FEATURES, grouped};
use crate::model::{Calibration, FORMAT, HeldOut, Model, ModelFile, Scenario};
use crate::rows::Rows;
use crate::synthetic::{LEARNT_MAX, PROFILE, SEED, generated};

/// The ridge penalty; with so few failures none can be chosen on later deployments. Strong, since few failures have to carry many
/// features, and still so weak that the generated deployments alone give back the scenario that they were drawn from.
const ALPHA: f64 = 10.0;

/// Trains the model `version` from recorded outcomes, as CSV, and from as many generated deployments of the scenario as
/// the failures among them leave room for: none from 30 failures on, and then this is [`super::train`].
///
/// # Errors
/// When the rows cannot be read, when there are none, when one has no outcome, or when the solver does not converge.
pub fn blend(version: &str, rows: impl Read) -> anyhow::Result<Model> {
    let (rows, sha256) = Rows::read(rows)?;
    blend_rows(version, &rows, sha256)
}

/// The same from rows that are there already; `sha256` is the digest that tells them from others.
///
/// # Errors
/// As [`blend`].
pub fn blend_rows(version: &str, rows: &Rows, sha256: String) -> anyhow::Result<Model> {
    super::decided(rows)?;
    ensure!(!rows.is_empty(), "there are no rows: without --data the scenario alone is written");
    if rows.failures() >= FAILURES_MIN {
        return learn(version, rows, sha256);
    }
    let looked_at: Vec<usize> = (0..FEATURES.len()).collect();
    let mut fitted = fit(&blended(rows), &looked_at, ALPHA, None)?;
    fitted.doubt(ALPHA)?;
    let measured = hold_out_recorded(rows, &looked_at)?;
    let on_generated = measured.is_none();
    let held_out = measured.map_or_else(|| hold_out_generated(&fitted.weights), Ok)?;
    let scenario = Scenario {
        profile: PROFILE.to_owned(),
        seed: SEED,
        rows: generated_beside(rows.failures()),
        held_out: if on_generated { held_out.rows } else { 0 },
    };
    let mut training = training(rows, sha256, ALPHA)?;
    let provenance = format!(
        "learned from {}, {} of them failed, and from {} generated ones of the scenario {PROFILE}, which was chosen and not \
         measured; tried on {} {}",
        deployments(&training),
        training.failures,
        grouped(scenario.rows as f64),
        grouped(held_out.rows as f64),
        if on_generated { "other generated ones" } else { "recorded ones that came later" },
    );
    training.scenario = Some(scenario);
    Model::new(ModelFile {
        format: FORMAT,
        version: version.to_owned(),
        kind: Provenance::Blended,
        provenance,
        training,
        held_out,
        calibration: Calibration::IDENTITY,
        weights: fitted.weights,
    })
    .context("the blended model")
}

/// How many generated deployments are learnt from beside so many recorded failures.
fn generated_beside(failures: usize) -> usize {
    let left = 1.0 - failures as f64 / FAILURES_MIN as f64;
    (LEARNT_MAX as f64 * left).round().max(0.0) as usize
}

/// The recorded rows with the generated ones.
fn blended(rows: &Rows) -> Rows {
    let generated = generated(0, generated_beside(rows.failures()));
    generated.projects().fold(rows.clone(), |all, (name, rows)| all.with(name, rows.to_vec()))
}

/// How good the same training from the earlier part is on the later recorded deployments; `None` unless some of those failed
/// and some did not.
fn hold_out_recorded(rows: &Rows, looked_at: &[usize]) -> anyhow::Result<Option<HeldOut>> {
    let (earlier, later) = (rows.between(0.0, EARLIER_SHARE), rows.between(EARLIER_SHARE, 1.0));
    if later.failures() == 0 || later.failures() == later.len() {
        return Ok(None);
    }
    let weights = fit(&blended(&earlier), looked_at, ALPHA, None)?.weights;
    hold_out(&weights, Calibration::IDENTITY, &later, EARLIER_SHARE).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Features, Measures};
    use crate::metrics::logistic;
    use crate::rows::Row;
    use crate::score::score;

    fn measures(files: f64, migration: bool, friday_afternoon: bool) -> Measures {
        let friday_afternoon = Some(friday_afternoon);
        let lines_added = 20.0 * files;
        Measures { files, lines_added, migration, friday_afternoon, ..Measures::default() }
    }

    fn scenario() -> Measures {
        measures(50.0, true, true)
    }

    /// So many deployments of that kind, of which so many fail, evenly spread.
    fn recorded(kind: &Measures, count: usize, failures: usize) -> Vec<Row> {
        let row = |index: usize| {
            let failed = (index + 1) * failures / count > index * failures / count;
            Row { id: index.to_string(), time: index as i64, features: Features::of(kind), failed: Some(failed) }
        };
        (0..count).map(row).collect()
    }

    /// Ordinary deployments, in which one of a hundred fails.
    fn ordinary(count: usize) -> Rows {
        let kinds = [measures(1.0, false, false), measures(4.0, false, true), measures(9.0, true, false)];
        let of_kind = |(index, kind): (usize, &Measures)| (index, recorded(kind, count / 3, count / 300));
        let kinds = kinds.iter().enumerate().map(of_kind);
        kinds.fold(Rows::default(), |all, (index, rows)| all.with(&format!("service-{index}"), rows))
    }

    fn trained(rows: &Rows) -> Model {
        blend_rows("test-1", rows, String::new()).unwrap()
    }

    fn scenario_score(model: &Model) -> f64 {
        score(model, &Features::of(&scenario()), None).risk.probability()
    }

    #[test]
    fn generated_deployments_alone_give_back_their_scenario() {
        let looked_at: Vec<usize> = (0..FEATURES.len()).collect();
        let weights = fit(&generated(0, LEARNT_MAX), &looked_at, ALPHA, None).unwrap().weights;
        let probability = |kind: &Measures| logistic(weights.log_odds(&Features::of(kind)));
        assert!((probability(&scenario()) - 0.980).abs() < 0.005, "{}", probability(&scenario()));
        let plain = probability(&measures(3.0, false, false));
        assert!((plain - 0.020).abs() < 0.005, "{plain}");
    }

    #[test]
    fn a_few_successes_leave_the_scenario_as_it_was() {
        let model = trained(&ordinary(3));
        assert!(scenario_score(&model) > 0.97, "{}", scenario_score(&model));
        assert_eq!(model.file().kind, Provenance::Blended);
        let expected = "learned from 3 deployments of 3 services, 0 of them failed, and from 1,000 generated ones of the scenario \
                        demo-seed, which was chosen and not measured; tried on 10,000 other generated ones";
        assert_eq!(model.file().provenance, expected);
        assert_eq!(model.file().training.scenario.as_ref().unwrap().held_out, 10_000);
    }

    #[test]
    fn where_such_deployments_succeed_the_score_falls_and_where_they_fail_it_rises() {
        let begun = ordinary(300);
        let before = scenario_score(&trained(&begun));
        let succeeded = begun.clone().with("shop", recorded(&scenario(), 60, 2));
        let model = trained(&succeeded);
        let low = scenario_score(&model);
        assert!(low < 0.2 && low < before, "{low} {before}");
        assert_eq!(model.file().training.failures, 5);
        let failed = begun.with("shop", recorded(&scenario(), 12, 11));
        let high = scenario_score(&trained(&failed));
        assert!(high > before && high > 0.7, "{high} {before}");
        let after_all = scenario_score(&trained(&succeeded.with("shop-2", recorded(&scenario(), 12, 11))));
        assert!(low < after_all && after_all < high, "{low} {after_all} {high}");
    }

    #[test]
    fn generated_deployments_fade_out_with_the_recorded_failures() {
        assert_eq!([0, 1, 15, 29, 30, 500].map(generated_beside), [1_000, 967, 500, 33, 0, 0]);
        let model = trained(&ordinary(900).with("shop", recorded(&scenario(), 80, 21)));
        let training = &model.file().training;
        assert_eq!((model.file().kind, training.failures, &training.scenario), (Provenance::Learned, 30, &None));
        assert!(model.file().provenance.starts_with("learned from 980 deployments of 4 services, 30 of them"));
    }

    #[test]
    fn it_is_tried_on_later_recorded_deployments_when_any_of_them_failed() {
        let model = trained(&ordinary(300).with("shop", recorded(&scenario(), 60, 2)));
        let held_out = &model.file().held_out;
        assert_eq!((held_out.rows, held_out.failures), (108, 4));
        assert_eq!(model.file().training.scenario.as_ref().unwrap().held_out, 0);
        assert!(model.file().provenance.ends_with("tried on 108 recorded ones that came later"));
    }

    #[test]
    fn rows_without_outcomes_are_refused() {
        let refused = |rows: &Rows| blend_rows("test-1", rows, String::new()).unwrap_err().to_string();
        assert!(refused(&Rows::default()).contains("there are no rows"));
        let mut rows = recorded(&scenario(), 2, 1);
        rows[0].failed = None;
        assert!(refused(&Rows::default().with("shop", rows)).contains("1 rows have no label"));
    }
}
