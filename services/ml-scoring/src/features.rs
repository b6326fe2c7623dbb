//! The features: what the model looks at in a deployment, each with its definition, in one table.
//!
//! Pure. Must not know the model's weights, nor where a deployment comes from. The rows of the training data and live
//! deployments become [`Measures`] first, and one table makes features of both, so that training sees what serving sees.

use std::borrow::Cow;
use std::sync::LazyLock;

mod measures;
mod page;
pub mod paths;
mod table;
mod words;

pub(crate) use measures::is_friday_afternoon;
pub use measures::{Measures, Seen};
pub use page::page;
pub use table::FEATURES;
pub(crate) use words::grouped;

/// One feature: a number that the model looks at, or the knowledge that it is not known.
#[derive(Debug)]
pub struct Feature {
    /// Its name in model files, contributions and metrics.
    pub name: &'static str,
    /// Where its value comes from.
    pub source: Source,
    /// How it is squeezed before it is standardised.
    pub transform: Transform,
    /// Its unit.
    pub unit: &'static str,
    /// What it is, in one sentence.
    pub definition: &'static str,
    /// Why it is looked at, in one sentence.
    pub why: &'static str,
    /// True when only scenarios look at it: what is learnt from outcomes alone leaves it out.
    pub scenario_only: bool,
    value: fn(&Measures) -> Option<f64>,
    words: fn(f64) -> Cow<'static, str>,
}

impl Feature {
    /// A value of this feature in words that follow "this deployment": "changes 50 files".
    #[must_use]
    pub fn in_words(&self, value: f64) -> Cow<'static, str> {
        (self.words)(value)
    }

    /// The index in [`FEATURES`] of the feature of that name, if there is one.
    #[must_use]
    pub fn index_of(name: &str) -> Option<usize> {
        FEATURES.iter().position(|feature| feature.name == name)
    }
}

/// Where the value of a feature comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The diff.
    Diff,
    /// What the sender says of the pull request: title, author, commits, times.
    Submission,
    /// The past of the touched files, the author and the repository.
    History,
}

impl Source {
    /// Its name, such as `diff`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Diff => "diff",
            Self::Submission => "submission",
            Self::History => "history",
        }
    }
}

/// How a value is squeezed before it is standardised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Not at all: shares, and 0 or 1.
    Identity,
    /// ln(1 + x): counts and durations.
    Log1p,
    /// ln(x): rates that are never 0.
    Ln,
}

impl Transform {
    /// Its formula, such as `ln(1 + x)`.
    #[must_use]
    pub const fn formula(self) -> &'static str {
        match self {
            Self::Identity => "x",
            Self::Log1p => "ln(1 + x)",
            Self::Ln => "ln(x)",
        }
    }

    /// The transformed `value`.
    #[must_use]
    pub fn apply(self, value: f64) -> f64 {
        match self {
            Self::Identity => value,
            Self::Log1p => ln_1p(value),
            Self::Ln => value.ln(),
        }
    }
}

/// The logarithms of 1 + 0, 1 + 1 and so on: most values are counts and small, and for each score those of hundreds of deployments are
/// squeezed.
static LOGARITHMS: LazyLock<[f64; 1_024]> = LazyLock::new(|| std::array::from_fn(|count| (count as f64).ln_1p()));

/// ln(1 + x), to the last bit the same for a count that is looked up.
fn ln_1p(value: f64) -> f64 {
    let count = value as usize;
    match LOGARITHMS.get(count) {
        Some(logarithm) if count as f64 == value => *logarithm,
        _ => value.ln_1p(),
    }
}

/// The value of every feature of one deployment, in the order of [`FEATURES`]; `None` where it is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    values: [Option<f64>; FEATURES.len()],
    revert: bool,
}

impl Features {
    /// The features of what was measured.
    #[must_use]
    pub fn of(measures: &Measures) -> Self {
        let mut values = [None; FEATURES.len()];
        for (value, feature) in values.iter_mut().zip(&FEATURES) {
            *value = (feature.value)(measures).filter(|value| value.is_finite());
        }
        Self { values, revert: measures.revert }
    }

    /// The features of these values, in the order of [`FEATURES`]; missing ones are not known.
    pub(crate) fn known(values: impl IntoIterator<Item = Option<f64>>, revert: bool) -> Self {
        let mut features = Self { values: [None; FEATURES.len()], revert };
        for (feature, value) in features.values.iter_mut().zip(values) {
            *feature = value.filter(|value| value.is_finite());
        }
        features
    }

    /// The value at `index` of [`FEATURES`]; `None` when it is not known.
    #[must_use]
    pub const fn value(&self, index: usize) -> Option<f64> {
        self.values[index]
    }

    /// The value of the feature of that name; `None` when it is not known or there is no such feature.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<f64> {
        Feature::index_of(name).and_then(|index| self.values[index])
    }

    /// True when the deployment takes an earlier one back. No model learns from such deployments: there are none in the
    /// training data.
    #[must_use]
    pub const fn is_revert(&self) -> bool {
        self.revert
    }

    /// True when anything of the past is known.
    #[must_use]
    pub fn history_is_known(&self) -> bool {
        self.values.iter().zip(&FEATURES).any(|(value, feature)| feature.source == Source::History && value.is_some())
    }

    /// The same deployment to somebody who knows nothing of the past.
    #[must_use]
    pub fn without_history(&self) -> Self {
        self.knowing(|feature| feature.source != Source::History)
    }

    /// The same deployment to somebody who only knows these features.
    #[must_use]
    pub(crate) fn knowing(&self, known: impl Fn(&Feature) -> bool) -> Self {
        let mut masked = self.clone();
        for (value, feature) in masked.values.iter_mut().zip(&FEATURES) {
            if !known(feature) {
                *value = None;
            }
        }
        masked
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_documented_and_its_names_are_unique() {
        let names: HashSet<_> = FEATURES.iter().map(|feature| feature.name).collect();
        assert_eq!(names.len(), FEATURES.len());
        for feature in &FEATURES {
            let documented =
                feature.definition.ends_with('.') && feature.why.ends_with('.') && !feature.unit.is_empty();
            assert!(documented, "{}", feature.name);
            for value in [0.0, 0.5, 1.0, 2.0, 1234.0] {
                assert!(!feature.in_words(value).is_empty(), "{}", feature.name);
            }
        }
    }

    #[test]
    fn a_rate_is_estimated_and_never_zero() {
        for feature in FEATURES.iter().filter(|feature| feature.transform == Transform::Ln) {
            let history = domain::History {
                repository_deployments: Some(0.0),
                repository_reverts: Some(0.0),
                author_changes: Some(0.0),
                author_reverts: Some(0.0),
                ..domain::History::default()
            };
            let value = (feature.value)(&Measures { history, ..Measures::default() });
            assert!(value.is_some_and(|value| value > 0.0), "{}", feature.name);
        }
    }

    #[test]
    fn a_logarithm_is_the_same_whether_or_not_it_is_looked_up() {
        for value in [0.0, 1.0, 1.5, 7.0, 1_023.0, 1_024.0, 123_456.0, 0.000_1, -0.5] {
            assert_eq!(Transform::Log1p.apply(value).to_bits(), value.ln_1p().to_bits(), "{value}");
        }
        assert!(Transform::Log1p.apply(f64::NAN).is_nan());
    }

    #[test]
    fn an_infinite_measure_is_unknown() {
        let history = domain::History { file_reverts: Some(f64::INFINITY), ..domain::History::default() };
        let features = Features::of(&Measures { history, ..Measures::default() });
        assert_eq!(features.named("file_reverts"), None);
        assert!(!features.history_is_known());
    }

    #[test]
    fn masking_forgets_the_past_and_nothing_else() {
        let history =
            domain::History { file_reverts: Some(2.0), lines_before: Some(9.0), ..domain::History::default() };
        let known = Features::of(&Measures { files: 3.0, history, ..Measures::default() });
        let masked = known.without_history();
        assert!(known.history_is_known() && !masked.history_is_known());
        assert_eq!(masked.named("files_changed"), Some(3.0));
        assert_eq!(masked, Features::of(&Measures { files: 3.0, ..Measures::default() }));
    }
}
