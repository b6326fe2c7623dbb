//! Scoring: what a model expects of one deployment, and what each feature adds to that.
//!
//! Pure. A score is told relative to the typical deployment of the repository or, as long as its deployments are few, of the
//! training data, whose features are all at their mean.

use std::borrow::Cow;

use domain::{Contribution, Grounds, Risk, RiskScore};

use crate::features::{FEATURES, Features};
use crate::metrics::logistic;
use crate::model::Model;
use crate::peers::Peers;

/// Name of the contribution that stands for the lack of any history.
pub const HISTORY_UNKNOWN: &str = "history";

/// Name of the contribution that says of a revert that nothing was learnt about reverts.
pub const REVERT: &str = "revert";

/// What `model` expects of a deployment that another model scored before: from the features that the score holds.
///
/// # Errors
/// The name of a feature that `model` looks at and the score does not hold.
pub fn rescored(model: &Model, scored: &RiskScore) -> Result<RiskScore, &'static str> {
    let held = |name: &str| scored.contributions.iter().find(|contribution| contribution.feature == name);
    for weight in &model.file().weights.features {
        let name = FEATURES[weight.feature].name;
        if held(name).is_none() && !scored.unknown.iter().any(|unknown| unknown == name) {
            return Err(name);
        }
    }
    let values = FEATURES.iter().map(|feature| held(feature.name).and_then(|contribution| contribution.value));
    let features = Features::known(values, held(REVERT).is_some());
    Ok(RiskScore { lift: scored.lift, rank: scored.rank, ..score(model, &features, None) })
}

/// What `model` expects of the deployment with these `features`, among its `peers` if it has any.
#[must_use]
pub fn score(model: &Model, features: &Features, peers: Option<&Peers>) -> RiskScore {
    let weights = &model.file().weights;
    let line = model.calibration(features);
    // What is typical of the repository; of what is not known of this deployment nothing is.
    let typical = |index: usize| peers.map_or(0.0, |peers| peers.typical(index));
    let known = weights.features.iter().enumerate().filter(|(_, weight)| features.value(weight.feature).is_some());
    let usual: f64 = known.map(|(index, weight)| weight.coefficient * typical(index)).sum();
    let base_log_odds = model.file().calibration.history_known.at(weights.intercept) + line.slope * usual;
    let mut contributions = Vec::with_capacity(weights.features.len() + 2);
    let mut unknown = Vec::new();
    for (index, weight) in weights.features.iter().enumerate() {
        let feature = &FEATURES[weight.feature];
        match features.value(weight.feature) {
            Some(value) => contributions.push(Contribution {
                feature: Cow::Borrowed(feature.name),
                value: Some(value),
                log_odds: line.slope * weight.coefficient * (weight.standardised(value) - typical(index)),
                words: feature.in_words(value),
            }),
            None => unknown.push(Cow::Borrowed(feature.name)),
        }
    }
    if !features.history_is_known() {
        contributions.push(Contribution {
            feature: Cow::Borrowed(HISTORY_UNKNOWN),
            value: None,
            log_odds: line.at(weights.intercept + weights.history_unknown)
                - model.file().calibration.history_known.at(weights.intercept),
            words: Cow::Borrowed("unknown: the history of the files, the author and the repository"),
        });
    }
    if features.is_revert() {
        contributions.push(Contribution {
            feature: Cow::Borrowed(REVERT),
            value: Some(1.0),
            log_odds: 0.0,
            words: Cow::Borrowed(
                "takes an earlier change back: the model learnt from none such, and judges it like any other",
            ),
        });
    }
    contributions.sort_by(|a, b| b.log_odds.abs().total_cmp(&a.log_odds.abs()));
    let log_odds = base_log_odds + contributions.iter().map(|c| c.log_odds).sum::<f64>();
    let probability = logistic(log_odds);
    RiskScore {
        risk: as_risk(probability),
        base_log_odds,
        contributions,
        unknown,
        provenance: model.file().provenance.clone(),
        grounds: Some(grounds(model, features, probability)),
        lift: features.named("repository_revert_rate").map(|rate| probability / rate),
        shadow: None,
        // By the same sum as theirs, whose last bits depend on its order.
        rank: peers.map(|peers| peers.rank(model.log_odds(features))),
    }
}

/// The same probability of failure, without the words.
#[must_use]
pub fn risk(model: &Model, features: &Features) -> Risk {
    as_risk(logistic(model.log_odds(features)))
}

/// What the score rests on, in numbers.
fn grounds(model: &Model, features: &Features, probability: f64) -> Grounds {
    let (file, alike) = (model.file(), model.alike(features, probability));
    let (low, high) = alike.interval();
    Grounds {
        provenance: file.kind,
        outcomes: file.training.rows as u64,
        failures: file.training.failures as u64,
        alike: alike.rows as u64,
        alike_failures: alike.failures as u64,
        interval: (as_risk(low), as_risk(high)),
    }
}

fn as_risk(probability: f64) -> Risk {
    Risk::new(probability).expect("a sound model and finite features make a probability")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{FileChangeKind, History, Provenance};

    use super::*;
    use crate::features::Measures;
    use crate::history::{Change, Key, Remembered};
    use crate::peers::Standings;
    use crate::samples::{deployment, file};

    fn history() -> History {
        History {
            lines_before: Some(900.0),
            prior_authors: Some(4.0),
            file_age_days: Some(20.0),
            last_changes: Some(3.0),
            author_changes: Some(120.0),
            author_recent_changes: Some(60.0),
            author_subsystem_changes: Some(30.0),
            file_changes_max: Some(40.0),
            file_changes_mean: Some(12.0),
            file_reverts: Some(3.0),
            author_reverts: Some(2.0),
            repository_reverts_14d: Some(1.0),
            repository_deployments_24h: Some(5.0),
            repository_deployments: Some(2_000.0),
            repository_reverts: Some(25.0),
        }
    }

    fn fifty_files_with_a_migration() -> Measures {
        let mut files: Vec<_> =
            (0..49).map(|i| file(&format!("app/models/m{i}.rb"), FileChangeKind::Modified, 12, 4)).collect();
        files.push(file("db/migrate/20260306_orders.rb", FileChangeKind::Added, 9, 0));
        Measures::of(&deployment(files))
    }

    fn one_file_of_documentation() -> Measures {
        Measures::of(&deployment(vec![file("docs/guide.md", FileChangeKind::Modified, 3, 1)]))
    }

    fn scored(measures: &Measures) -> RiskScore {
        score(&Model::shipped(), &Features::of(measures), None)
    }

    /// Thirty deployments with the same features.
    fn peers_like(features: &Features) -> Peers {
        let change = |number| Change {
            key: Key::PullRequest(number),
            deployments: Vec::new(),
            at: 0,
            author: "".into(),
            title: "".into(),
            files: Vec::new(),
            reverts: None,
            failed_at: None,
            features: Some(Remembered::of(features)),
        };
        let changes: Vec<Change> = (1..=30).map(change).collect();
        Standings::of(&Arc::new(Model::shipped()), changes.iter()).peers(&Key::PullRequest(31)).unwrap()
    }

    #[test]
    fn among_peers_what_is_usual_in_the_repository_explains_nothing() {
        let usual = Features::of(&Measures { files: 40.0, history: history(), ..Measures::default() });
        // To the digits that are remembered.
        let usual = Remembered::of(&usual).features(false);
        let peers = peers_like(&usual);
        let same = score(&Model::shipped(), &usual, Some(&peers));
        assert!(same.contributions.iter().all(|c| c.log_odds.abs() < 1e-9), "{:?}", same.contributions);
        assert_eq!(same.rank.unwrap().percentile, 0.5);
        // Whatever it is told relative to, the risk is the same, and the parts sum to it; so they do when parts are unknown.
        for measures in [
            Measures { files: 90.0, migration: true, history: history(), ..Measures::default() },
            Measures { files: 90.0, ..Measures::default() },
        ] {
            let features = Features::of(&measures);
            let (alone, among) =
                (score(&Model::shipped(), &features, None), score(&Model::shipped(), &features, Some(&peers)));
            assert!((alone.risk.probability() - among.risk.probability()).abs() < 1e-12);
            let sum = among.base_log_odds + among.contributions.iter().map(|c| c.log_odds).sum::<f64>();
            assert!((logistic(sum) - among.risk.probability()).abs() < 1e-12);
            assert!(among.rank.is_some() && alone.rank.is_none());
        }
    }

    #[test]
    fn contributions_sum_to_the_score() {
        let known = Measures { history: history(), fix: Some(true), ..fifty_files_with_a_migration() };
        let partly = Measures {
            history: History { file_reverts: Some(9.0), ..History::default() },
            revert: true,
            ..one_file_of_documentation()
        };
        for measures in [Measures::default(), known, partly, fifty_files_with_a_migration()] {
            let features = Features::of(&measures);
            let score = scored(&measures);
            let sum = score.base_log_odds + score.contributions.iter().map(|c| c.log_odds).sum::<f64>();
            let p = score.risk.probability();
            assert!((sum - (p / (1.0 - p)).ln()).abs() < 1e-9, "{score:?}");
            assert!((sum - Model::shipped().log_odds(&features)).abs() < 1e-9, "{score:?}");
            let strengths: Vec<f64> = score.contributions.iter().map(|c| c.log_odds.abs()).collect();
            assert!(strengths.is_sorted_by(|a, b| a >= b), "{strengths:?}");
        }
    }

    #[test]
    fn the_probability_is_that_of_failure() {
        // About one deployment in a hundred fails: a flipped class would say 0.99.
        for measures in [one_file_of_documentation(), fifty_files_with_a_migration()] {
            let p = scored(&measures).risk.probability();
            assert!((0.0001..0.2).contains(&p), "{p}");
        }
    }

    #[test]
    fn a_large_change_with_a_migration_is_riskier_than_a_page_of_documentation() {
        for history in [History::default(), history()] {
            let large = scored(&Measures { history: history.clone(), ..fifty_files_with_a_migration() });
            let small = scored(&Measures { history, ..one_file_of_documentation() });
            assert!(large.risk.probability() > 2.0 * small.risk.probability(), "{large:?} {small:?}");
        }
    }

    #[test]
    fn what_was_reverted_before_is_riskier_than_what_never_was() {
        let at = |reverts: f64| {
            let history = History { file_reverts: Some(reverts), ..history() };
            scored(&Measures { history, ..fifty_files_with_a_migration() }).risk.probability()
        };
        assert!(at(0.0) < at(1.0) && at(1.0) < at(5.0));
    }

    #[test]
    fn without_history_the_score_says_so() {
        let score = scored(&fifty_files_with_a_migration());
        for name in ["lines_before", "file_reverts", "author_revert_rate", "repository_revert_rate", "commits", "fix"] {
            assert!(score.unknown.iter().any(|unknown| unknown == name), "{name}: {:?}", score.unknown);
        }
        let contribution = score.contributions.iter().find(|c| c.feature == HISTORY_UNKNOWN).unwrap();
        assert_eq!(contribution.value, None);
        assert!(contribution.words.starts_with("unknown: "));
        assert!(score.contributions.iter().all(|c| !score.unknown.contains(&c.feature)));

        let known = scored(&Measures { history: history(), ..fifty_files_with_a_migration() });
        assert!(known.contributions.iter().all(|c| c.feature != HISTORY_UNKNOWN));
        assert!(known.unknown.iter().all(|name| ["commits", "lead_hours", "fix", "bot"].contains(&&**name)));
    }

    #[test]
    fn a_score_says_what_became_of_deployments_like_it() {
        let training = &Model::shipped().file().training.clone();
        let safe = scored(&Measures { history: history(), ..one_file_of_documentation() });
        let risky = scored(&Measures { history: history(), ..fifty_files_with_a_migration() });
        let share = |score: &RiskScore| {
            let grounds = score.grounds.unwrap();
            assert_eq!(grounds.provenance, Provenance::Learned);
            assert_eq!((grounds.outcomes, grounds.failures), (training.rows as u64, training.failures as u64));
            let share = grounds.alike_failures as f64 / grounds.alike as f64;
            assert!(grounds.interval.0.probability() <= share && share <= grounds.interval.1.probability());
            share
        };
        assert!(share(&safe) < share(&risky), "{safe:?} {risky:?}");
        // 28 of 2,250: the rate that the repository's feature takes.
        let expected = risky.risk.probability() / (28.0 / 2_250.0);
        assert!((risky.lift.unwrap() - expected).abs() < 1e-9);
        assert_eq!(scored(&fifty_files_with_a_migration()).lift, None);
    }

    #[test]
    fn one_unknown_value_counts_as_its_mean() {
        let known = Measures { history: history(), ..fifty_files_with_a_migration() };
        let without = Measures { history: History { file_age_days: None, ..history() }, ..known.clone() };
        let (known, without) = (scored(&known), scored(&without));
        let age = known.contributions.iter().find(|c| c.feature == "file_age_days").unwrap().log_odds;
        let log_odds = |score: &RiskScore| (score.risk.probability() / (1.0 - score.risk.probability())).ln();
        assert!((log_odds(&known) - age - log_odds(&without)).abs() < 1e-9);
    }

    #[test]
    fn a_revert_is_named_and_adds_nothing() {
        let plain = scored(&fifty_files_with_a_migration());
        let revert = scored(&Measures { revert: true, ..fifty_files_with_a_migration() });
        assert_eq!(plain.risk, revert.risk);
        assert!(revert.contributions.iter().any(|c| c.feature == REVERT && c.log_odds == 0.0));
    }
}
