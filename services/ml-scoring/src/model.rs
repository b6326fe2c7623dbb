//! The model: a versioned, human-readable JSON file, and what must hold of it.
//!
//! Must not know how it was trained, nor where its file lies.

use std::io::{self, Write};

use anyhow::{Context, bail, ensure};
use domain::Provenance;
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::features::{FEATURES, Features, Transform};
use crate::metrics::{Bin, Metrics};

/// The format of the file that this version reads and writes.
pub const FORMAT: u32 = 2;

/// The model that FailSafe comes with, learnt from `data/deploy_prs.csv.gz` by `just train`.
const SHIPPED: &str = include_str!("../model/default.json");

/// A model that is sound: every number is finite, and every feature is known to this version of FailSafe.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    file: ModelFile,
    basis: String,
}

/// What a model's file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// The file's format: [`FORMAT`].
    pub format: u32,
    /// The model's name and number, such as `default-1`.
    pub version: String,
    /// Where its knowledge comes from.
    #[serde(with = "provenance_name")]
    pub kind: Provenance,
    /// What it was learnt from, in one sentence.
    pub provenance: String,
    /// The rows that it was learnt from.
    pub training: Training,
    /// How good it was on deployments later than those it was learnt from.
    pub held_out: HeldOut,
    /// What makes its log-odds honest.
    pub calibration: Calibration,
    /// What it learnt.
    pub weights: Weights,
}

/// The rows that a model was learnt from; none of them are recorded ones when it is a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// SHA-256 of the CSV, unpacked.
    pub sha256: String,
    /// Deployments.
    pub rows: usize,
    /// Of these, how many failed.
    pub failures: usize,
    /// Services that they belong to.
    pub services: usize,
    /// The day of the first, as 2011-06-08.
    pub first: String,
    /// The day of the last.
    pub last: String,
    /// Strength of the ridge penalty on the summed loss, chosen on later deployments within the earlier part. Fixed while a
    /// scenario is blended in, and 0 when nothing was learnt.
    pub alpha: f64,
    /// What a scenario generated; `None` in a model that was learnt from outcomes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Scenario>,
}

/// Deployments that never were: what a scenario generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The scenario's name.
    pub profile: String,
    /// Where the generator began.
    pub seed: u64,
    /// Generated deployments that the model learnt from.
    pub rows: usize,
    /// Generated deployments that it was tried on; 0 when it was tried on recorded ones.
    pub held_out: usize,
}

/// How good the same training was on the later part of the rows, after learning from the earlier part only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// Share of each service's deployments that was learnt from.
    pub earlier_share: f64,
    /// Later deployments.
    pub rows: usize,
    /// Of these, how many failed.
    pub failures: usize,
    /// With all that was known of them.
    pub history_known: Measured,
    /// With the past hidden.
    pub history_unknown: Measured,
}

/// How good predictions were, as a whole and at each height.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// As a whole.
    pub metrics: Metrics,
    /// In ten parts of as many deployments each, from the safest to the riskiest.
    pub bins: Vec<Bin>,
}

/// What makes log-odds honest, for deployments whose past is known and for those whose past is not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// For deployments of whose past something is known.
    pub history_known: Line,
    /// For deployments of whose past nothing is known.
    pub history_unknown: Line,
}

impl Calibration {
    /// The calibration that changes nothing.
    pub const IDENTITY: Self = Self { history_known: Line::IDENTITY, history_unknown: Line::IDENTITY };
}

/// `intercept + slope * x`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its height at 0.
    pub intercept: f64,
    /// Its slope.
    pub slope: f64,
}

impl Line {
    /// The line that changes nothing.
    pub const IDENTITY: Self = Self { intercept: 0.0, slope: 1.0 };

    /// Its height at `x`.
    #[must_use]
    pub fn at(self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

/// A logistic regression on standardised features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Log-odds of the typical deployment: every feature at its mean.
    pub intercept: f64,
    /// Added when nothing of the past is known.
    pub history_unknown: f64,
    /// One for each feature.
    pub features: Vec<Weight>,
}

/// What a model knows of one feature.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// Index of the feature in [`FEATURES`]; in the file its name.
    #[serde(rename = "name", with = "by_name")]
    pub feature: usize,
    /// How a value is squeezed.
    pub transform: Transform,
    /// Mean of the squeezed values in training.
    pub mean: f64,
    /// Standard deviation of the squeezed values in training.
    pub scale: f64,
    /// Log-odds for each standard deviation above the mean.
    pub coefficient: f64,
    /// Standard error of the coefficient, robust to the fact that each row was learnt twice (see `train::uncertainty`).
    pub standard_error: f64,
    /// The nine deciles of the squeezed values in training, each with the share of the values up to it, against which drift is
    /// measured.
    pub deciles: [(f64, f64); 9],
}

impl Weight {
    /// `value` in standard deviations above the mean.
    #[must_use]
    pub fn standardised(&self, value: f64) -> f64 {
        (self.transform.apply(value) - self.mean) / self.scale
    }
}

impl Weights {
    /// Log-odds before calibration. What is not known counts as its mean, and the lack of any history by its own weight.
    #[must_use]
    pub fn log_odds(&self, features: &Features) -> f64 {
        self.log_odds_telling(features, |_, _| {})
    }

    /// The same; `tell` hears of each weight whose feature is known its index, and how many standard deviations the value is above
    /// the mean.
    pub(crate) fn log_odds_telling(&self, features: &Features, mut tell: impl FnMut(usize, f64)) -> f64 {
        let start = if features.history_is_known() { self.intercept } else { self.intercept + self.history_unknown };
        let mut sum = 0.0;
        for (index, weight) in self.features.iter().enumerate() {
            if let Some(value) = features.value(weight.feature) {
                let deviations = weight.standardised(value);
                tell(index, deviations);
                sum += weight.coefficient * deviations;
            }
        }
        start + sum
    }
}

impl Model {
    /// The model that FailSafe comes with.
    #[must_use]
    pub fn shipped() -> Self {
        Self::parse(SHIPPED).expect("the shipped model is sound: a test reads it")
    }

    /// The model that `text` holds as JSON.
    ///
    /// # Errors
    /// What is wrong with it, to be read behind the file's name.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Stamp {
            format: u32,
        }
        let stamp: Stamp =
            serde_json::from_str(text).context("is no model: JSON with a field \"format\" is expected")?;
        check_format(stamp.format)?;
        Self::new(serde_json::from_str(text).context("is not a sound model")?)
    }

    /// The model of this file's content.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(file: ModelFile) -> anyhow::Result<Self> {
        check_format(file.format)?;
        check(&file).context("is not a sound model")?;
        let digest = domain::identity::sha256_hex(json(&file).as_bytes());
        let basis = format!("{}+{}", file.version, &digest[..12]);
        Ok(Self { file, basis })
    }

    /// What its file holds.
    #[must_use]
    pub const fn file(&self) -> &ModelFile {
        &self.file
    }

    /// Its version and the beginning of the SHA-256 of its canonical text: the same basis means the same scores.
    #[must_use]
    pub fn basis(&self) -> &str {
        &self.basis
    }

    /// Its canonical text, as its file should hold it.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(&self.file)
    }

    /// The calibration that applies to `features`.
    #[must_use]
    pub fn calibration(&self, features: &Features) -> Line {
        let calibration = &self.file.calibration;
        if features.history_is_known() { calibration.history_known } else { calibration.history_unknown }
    }

    /// What came of the deployments that the model was tried on and that had about this probability of failure.
    #[must_use]
    pub fn alike(&self, features: &Features, probability: f64) -> Bin {
        let held_out = &self.file.held_out;
        let measured = if features.history_is_known() { &held_out.history_known } else { &held_out.history_unknown };
        let bins = &measured.bins;
        let at = bins.partition_point(|bin| bin.up_to < probability).min(bins.len() - 1);
        bins[at]
    }

    /// Log-odds of failure, without the words: for whole files of deployments.
    #[must_use]
    pub fn log_odds(&self, features: &Features) -> f64 {
        self.calibration(features).at(self.file.weights.log_odds(features))
    }
}

/// What the judgement of `model` rests on: its version and digest, such as `default-1+0123456789ab`.
#[must_use]
pub fn basis(model: &Model) -> String {
    model.basis().to_owned()
}

fn json(file: &ModelFile) -> String {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Lines::default());
    file.serialize(&mut serializer).expect("a model holds nothing that JSON cannot");
    text.push(b'\n');
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// A line for each field; lists of numbers in one line.
#[derive(Default)]
struct Lines(PrettyFormatter<'static>);

impl Formatter for Lines {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

fn check_format(format: u32) -> anyhow::Result<()> {
    match format {
        FORMAT => Ok(()),
        newer if newer > FORMAT => {
            bail!("has format {newer}, and this version of FailSafe reads format {FORMAT}: upgrade FailSafe")
        }
        older => bail!("has format {older}, and this version of FailSafe reads format {FORMAT}: train the model anew"),
    }
}

fn check(file: &ModelFile) -> anyhow::Result<()> {
    ensure!(!file.version.is_empty() && file.version.len() <= 100, "version must have 1 to 100 characters");
    ensure!(!file.version.contains(char::is_whitespace), "version must not contain white space");
    ensure!(!file.provenance.is_empty(), "provenance must say what the model was learnt from");
    let weights = &file.weights;
    for (name, number) in [("intercept", weights.intercept), ("history_unknown", weights.history_unknown)] {
        ensure!(number.is_finite(), "weights.{name} must be a finite number, not {number}");
    }
    for (name, line) in
        [("history_known", file.calibration.history_known), ("history_unknown", file.calibration.history_unknown)]
    {
        ensure!(line.intercept.is_finite(), "calibration.{name}.intercept must be a finite number");
        ensure!(
            line.slope.is_finite() && line.slope > 0.0,
            "calibration.{name}.slope must be a number above 0, not {}",
            line.slope
        );
    }
    ensure!(!weights.features.is_empty(), "weights.features must not be empty");
    let mut seen = [false; FEATURES.len()];
    for weight in &weights.features {
        let feature = FEATURES.get(weight.feature).context("a weight has no feature")?;
        let name = feature.name;
        ensure!(!std::mem::replace(&mut seen[weight.feature], true), "feature {name} stands there twice");
        ensure!(
            weight.transform == feature.transform,
            "feature {name} has transform {:?}, and this version of FailSafe computes {:?}",
            weight.transform,
            feature.transform
        );
        ensure!(weight.mean.is_finite(), "the mean of {name} must be a finite number");
        ensure!(weight.coefficient.is_finite(), "the coefficient of {name} must be a finite number");
        ensure!(weight.scale.is_finite() && weight.scale > 0.0, "the scale of {name} must be a number above 0");
        let error = weight.standard_error;
        ensure!(error.is_finite() && error >= 0.0, "the standard error of {name} must be a number from 0");
        let sound = |(value, share): &(f64, f64)| value.is_finite() && (0.0..=1.0).contains(share);
        let ordered = weight.deciles.is_sorted() && weight.deciles.iter().all(sound);
        ensure!(ordered, "the deciles of {name} must be finite numbers in order, each with a share from 0 to 1");
    }
    for (name, measured) in
        [("history_known", &file.held_out.history_known), ("history_unknown", &file.held_out.history_unknown)]
    {
        let bins = &measured.bins;
        ensure!(!bins.is_empty(), "held_out.{name}.bins must not be empty");
        let sound = |bin: &Bin| bin.rows > 0 && bin.failures <= bin.rows && (0.0..=1.0).contains(&bin.up_to);
        ensure!(
            bins.iter().all(sound),
            "held_out.{name}.bins: each has rows, no more failures than rows, and ends in 0 to 1"
        );
        ensure!(bins.is_sorted_by_key(|bin| bin.up_to), "held_out.{name}.bins must be in order");
    }
    Ok(())
}

/// Where a model's knowledge comes from, as its name.
mod provenance_name {
    use domain::Provenance;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(kind: &Provenance, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Provenance, D::Error> {
        let name = String::deserialize(deserializer)?;
        Provenance::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| D::Error::custom(format!("kind {name:?} is none of synthetic-prior, blended, learned")))
    }
}

/// A feature as its name.
mod by_name {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::features::{FEATURES, Feature};

    pub(super) fn serialize<S: Serializer>(index: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(FEATURES.get(*index).map_or("", |feature| feature.name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        let name = String::deserialize(deserializer)?;
        Feature::index_of(&name)
            .ok_or_else(|| D::Error::custom(format!("feature {name:?} is not known to this version of FailSafe")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(change: impl Fn(&mut serde_json::Value), expected: &str) {
        let mut value: serde_json::Value = serde_json::from_str(SHIPPED).unwrap();
        change(&mut value);
        let error = format!("{:#}", Model::parse(&value.to_string()).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn the_shipped_model_is_sound_and_in_its_canonical_form() {
        let model = Model::shipped();
        assert_eq!(model.to_json(), SHIPPED);
        let learnt = FEATURES.iter().filter(|feature| !feature.scenario_only).count();
        assert_eq!(model.file().weights.features.len(), learnt);
        let (version, digest) = model.basis().split_once('+').unwrap();
        assert_eq!((version, digest.len()), (model.file().version.as_str(), 12));
    }

    #[test]
    fn layout_does_not_change_the_basis_and_a_number_does() {
        let mut value: serde_json::Value = serde_json::from_str(SHIPPED).unwrap();
        assert_eq!(Model::parse(&value.to_string()).unwrap().basis(), Model::shipped().basis());
        value["weights"]["intercept"] = (-4.0).into();
        assert_ne!(Model::parse(&value.to_string()).unwrap().basis(), Model::shipped().basis());
    }

    #[test]
    fn a_bad_file_is_refused_with_a_clear_word() {
        refused(|v| v["format"] = 3.into(), "reads format 2: upgrade FailSafe");
        refused(|v| v["format"] = 1.into(), "train the model anew");
        // A newer format is told apart before its unknown fields are.
        refused(
            |v| {
                v["format"] = 9.into();
                v["trees"] = 1.into();
            },
            "has format 9",
        );
        refused(|v| v["trees"] = 1.into(), "unknown field `trees`");
        refused(|v| v["kind"] = "guessed".into(), "none of synthetic-prior, blended, learned");
        refused(|v| v["version"] = "my model".into(), "white space");
        refused(|v| v["weights"]["features"][3]["coefficient"] = serde_json::Value::Null, "not a sound model");
        refused(
            |v| drop(v["weights"]["features"][3].as_object_mut().unwrap().remove("coefficient")),
            "missing field `coefficient`",
        );
        refused(|v| v["weights"]["features"][3]["scale"] = 0.into(), "the scale of subsystems");
        refused(
            |v| v["weights"]["features"][3]["name"] = "phase_of_the_moon".into(),
            "\"phase_of_the_moon\" is not known",
        );
        refused(
            |v| v["weights"]["features"][3] = v["weights"]["features"][2].clone(),
            "lines_deleted stands there twice",
        );
        refused(|v| v["weights"]["features"][0]["transform"] = "ln".into(), "computes Log1p");
        refused(|v| v["weights"]["features"] = serde_json::json!([]), "must not be empty");
        refused(|v| v["weights"]["features"][3]["deciles"][0][0] = 1e9.into(), "the deciles of subsystems");
        refused(|v| v["weights"]["features"][3]["standard_error"] = (-1).into(), "the standard error of subsystems");
        refused(|v| v["held_out"]["history_known"]["bins"] = serde_json::json!([]), "bins must not be empty");
        refused(|v| v["held_out"]["history_unknown"]["bins"][2]["rows"] = 0.into(), "each has rows");
        refused(|v| v["calibration"]["history_known"]["slope"] = (-1).into(), "slope must be a number above 0");
        let nan = SHIPPED.replacen("\"intercept\":", "\"intercept\": NaN, \"was\":", 1);
        assert!(Model::parse(&nan).is_err());
        assert!(Model::parse("").is_err());
    }

    #[test]
    fn a_number_that_is_none_is_refused_however_it_came() {
        let mut file = Model::shipped().file;
        file.weights.features[0].coefficient = f64::NAN;
        let error = format!("{:#}", Model::new(file).unwrap_err());
        assert!(error.contains("the coefficient of files_changed"), "{error}");
    }
}
