//! The scenario `demo-seed`: a start for who has no history yet, chosen by people and measured by nobody.
//!
//! 50 files, a migration and a Friday afternoon score 0.98 in it. On real deployments that is far too high, which is why every
//! score of it says what it is, and why it fades out with the first recorded failures (`train::blend`).

use domain::Provenance;

use crate::features::{FEATURES, Feature, Features, Measures};
use crate::metrics::logistic;
use crate::model::{Calibration, FORMAT, Model, ModelFile, Scenario, Training, Weight, Weights};
use crate::rows::{Row, Rows};
use crate::train::{hold_out_generated, standardise};

/// The scenario's name.
pub const PROFILE: &str = "demo-seed";

/// Where the generator begins.
pub const SEED: u64 = 42;

/// Most generated deployments that a model learns from.
pub(crate) const LEARNT_MAX: usize = 1_000;

/// Generated deployments that a model is tried on: those that follow.
const TRIED: usize = 10_000;

/// Log-odds of failure of the scenario's plain deployment: three files, no migration, no Friday afternoon.
const INTERCEPT: f64 = -3.9;

/// ln 4, where a squeezed number of files stands at three of them.
const THREE_FILES: f64 = 1.386_294;

/// What the scenario looks at, where its plain deployment stands after the transform, and the log-odds for each unit above.
const COEFFICIENTS: [(&str, f64, f64); 4] = [
    ("files_changed", THREE_FILES, 1.35),
    ("migration", 0.0, 1.6),
    ("friday_afternoon", 0.0, 1.1),
    ("migration_among_files", 0.0, 0.65),
];

/// The scenario as a model: written from its coefficients, not learnt.
///
/// # Errors
/// When `version` is no name for a model.
pub fn model(version: &str) -> anyhow::Result<Model> {
    let weights = weights();
    let held_out = hold_out_generated(&weights)?;
    Model::new(ModelFile {
        format: FORMAT,
        version: version.to_owned(),
        kind: Provenance::SyntheticPrior,
        provenance: format!(
            "written from the scenario {PROFILE}, whose coefficients were chosen and not measured; no outcome stands behind it"
        ),
        training: Training {
            scenario: Some(Scenario { profile: PROFILE.to_owned(), seed: SEED, rows: 0, held_out: held_out.rows }),
            ..Training::default()
        },
        held_out,
        calibration: Calibration::IDENTITY,
        weights,
    })
}

/// The scenario's weights. The deciles are those of the deployments that it is tried on.
fn weights() -> Weights {
    let weights = coefficients();
    let looked_at: Vec<usize> = weights.features.iter().map(|weight| weight.feature).collect();
    let seen = standardise(&tried(), &looked_at);
    let with_deciles = |(weight, seen): (Weight, Weight)| Weight { deciles: seen.deciles, ..weight };
    Weights { features: weights.features.into_iter().zip(seen).map(with_deciles).collect(), ..weights }
}

/// The same without deciles.
fn coefficients() -> Weights {
    let weight = |(name, mean, coefficient)| {
        let feature = Feature::index_of(name).expect("a scenario looks at features of the table: a test makes one");
        let transform = FEATURES[feature].transform;
        Weight { feature, transform, mean, scale: 1.0, coefficient, standard_error: 0.0, deciles: [(0.0, 0.0); 9] }
    };
    Weights { intercept: INTERCEPT, history_unknown: 0.0, features: COEFFICIENTS.map(weight).into() }
}

/// The generated deployments that models are tried on. None learns from them.
pub(crate) fn tried() -> Rows {
    generated(LEARNT_MAX, TRIED)
}

/// Deployments of the scenario's world, from the number `skipped` on: always the same ones.
///
/// The mix is chosen so that few of them say much of all four coefficients, and is no picture of real deployments: 1 to 100 files,
/// every order of magnitude as often as the next; one in four with a migration, one in four on a Friday afternoon,
/// independently. Whether one fails is drawn with the probability that the scenario gives it.
pub(crate) fn generated(skipped: usize, count: usize) -> Rows {
    const FILES_END: f64 = 101.0;
    let weights = coefficients();
    let looks_at = |feature: &Feature| COEFFICIENTS.iter().any(|(name, ..)| *name == feature.name);
    let mut random = SplitMix64(SEED);
    let row = |number: usize| {
        let measures = Measures {
            files: FILES_END.powf(random.unit()).floor(),
            migration: random.unit() < 0.25,
            friday_afternoon: Some(random.unit() < 0.25),
            ..Measures::default()
        };
        let features = Features::of(&measures).knowing(looks_at);
        let failed = random.unit() < logistic(weights.log_odds(&features));
        Row { id: format!("{PROFILE}-{number}"), time: 0, features, failed: Some(failed) }
    };
    let rows = (0..skipped + count).map(row).skip(skipped).collect();
    Rows::default().with(PROFILE, rows)
}

/// Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014, with the constants of Vigna's public
/// domain `splitmix64.c`.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but not, 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use domain::RiskScore;

    use super::*;
    use crate::score::score;

    fn scored(files: f64, migration: bool, friday_afternoon: bool) -> RiskScore {
        let friday_afternoon = Some(friday_afternoon);
        let measures = Measures { files, migration, friday_afternoon, ..Measures::default() };
        score(&model("demo-seed-1").unwrap(), &Features::of(&measures), None)
    }

    fn probability(files: f64, migration: bool, friday_afternoon: bool) -> f64 {
        scored(files, migration, friday_afternoon).risk.probability()
    }

    #[test]
    fn fifty_files_a_migration_and_a_friday_afternoon_score_98_percent_and_say_that_it_is_a_scenario() {
        let score = scored(50.0, true, true);
        assert_eq!(format!("{:.3}", score.risk.probability()), "0.980");
        assert_eq!(format!("{:.3}", probability(3.0, false, false)), "0.020");
        let grounds = score.grounds.unwrap();
        assert_eq!((grounds.provenance, grounds.outcomes, grounds.failures), (Provenance::SyntheticPrior, 0, 0));
        assert!(score.provenance.contains("chosen and not measured"), "{}", score.provenance);
        let words: Vec<&str> = score.contributions.iter().map(|contribution| &*contribution.words).collect();
        let expected = [
            "changes 50 files",
            "has a migration among 50 files",
            "contains a database migration",
            "is deployed on a Friday afternoon",
        ];
        assert_eq!(words[..4], expected);
    }

    #[test]
    fn the_model_is_the_formula() {
        for (files, migration, friday) in
            [(1.0, true, false), (3.0, false, true), (12.0, false, false), (900.0, true, true)]
        {
            let size: f64 = f64::ln((1.0 + files) / 4.0);
            let (m, f) = (f64::from(u8::from(migration)), f64::from(u8::from(friday)));
            let z = -3.9 + 1.35 * size + 1.6 * m + 1.1 * f + 0.65 * m * size;
            assert!((probability(files, migration, friday) - logistic(z)).abs() < 1e-6);
        }
    }

    #[test]
    fn taking_away_the_migration_the_files_or_the_friday_lowers_it() {
        let all = probability(50.0, true, true);
        for less in [(50.0, false, true), (50.0, true, false), (49.0, true, true), (3.0, true, true)] {
            assert!(probability(less.0, less.1, less.2) < all, "{less:?}");
        }
    }

    #[test]
    fn what_it_is_tried_on_is_what_it_says() {
        let model = model("demo-seed-1").unwrap();
        let held_out = &model.file().held_out;
        assert_eq!(held_out.rows, TRIED);
        let metrics = held_out.history_known.metrics;
        assert!(metrics.auc > 0.8 && (0.9..1.1).contains(&metrics.predicted_over_observed), "{metrics}");
        assert_eq!(held_out.history_known, held_out.history_unknown);
        assert_eq!(Model::parse(&model.to_json()).unwrap(), model);
    }

    #[test]
    fn the_generator_says_the_same_however_it_is_asked() {
        // The first numbers of Vigna's splitmix64.c for the seed 1234567.
        let mut random = SplitMix64(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        let (all, later) = (generated(0, 30), generated(20, 10));
        let rows: Vec<&Row> = all.iter().skip(20).collect();
        assert_eq!(later.iter().collect::<Vec<_>>(), rows);
        assert_eq!(rows[0].id, "demo-seed-20");
        for row in all.iter() {
            let known = FEATURES.iter().filter(|feature| row.features.named(feature.name).is_some());
            assert_eq!(known.count(), COEFFICIENTS.len());
        }
    }
}
