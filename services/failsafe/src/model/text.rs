//! Models and how good they are, for a terminal.

use domain::Provenance;
use ml_scoring::Model;
use ml_scoring::evaluation::{Evaluation, Quality};
use ml_scoring::features::FEATURES;
use ml_scoring::metrics::Metrics;

use crate::terminal::{Look, Sheet, Style};

/// From here a feature's drift is worth a word, and from there it is a reason to train anew.
const DRIFT_SEEN: f64 = 0.1;
const DRIFT_LARGE: f64 = 0.25;

/// Where a model comes from, and how good it was when it was trained.
pub(super) fn model(model: &Model, style: Style) -> String {
    let file = model.file();
    let (training, held_out) = (&file.training, &file.held_out);
    let mut sheet = Sheet::new(style);
    sheet.paragraph(0, Look::Bold, &format!("{}: {}", model.basis(), file.provenance));
    if training.rows > 0 {
        sheet.paragraph(
            2,
            Look::Plain,
            &format!(
                "from {} to {}, ridge penalty {}, data {}",
                training.first,
                training.last,
                training.alpha,
                &training.sha256[..training.sha256.len().min(12)]
            ),
        );
    }
    if let Some(scenario) = &training.scenario {
        let from = match scenario.rows {
            0 => "no generated deployments".to_owned(),
            rows => format!("{rows} generated deployments"),
        };
        let learnt = format!("scenario {}, seed {}: learnt from {from}", scenario.profile, scenario.seed);
        sheet.paragraph(2, Look::Plain, &learnt);
    }
    let (rows, failures) = (held_out.rows, held_out.failures);
    let on = match &training.scenario {
        Some(scenario) if scenario.held_out > 0 => {
            format!("on {rows} generated deployments, {failures} of them drawn as failures, which it did not see:")
        }
        Some(_) => {
            format!("on the later {rows} deployments, {failures} of them failed, which the same training did not see:")
        }
        None => format!(
            "on the later {rows} deployments, {failures} of them reverted, which the same training did not see:"
        ),
    };
    sheet.paragraph(2, Look::Plain, &on);
    for (name, measured) in [("history known", &held_out.history_known), ("history unknown", &held_out.history_unknown)]
    {
        sheet.item(4, (Look::Plain, name), Look::Plain, &measured.metrics.to_string());
    }
    sheet.into_text()
}

/// Every coefficient, the strongest first, as what a typical step up does to the odds.
pub(super) fn coefficients(model: &Model, style: Style) -> String {
    let mut weights: Vec<_> = model.file().weights.features.iter().collect();
    weights.sort_by(|a, b| b.coefficient.abs().total_cmp(&a.coefficient.abs()));
    let mut sheet = Sheet::new(style);
    sheet.space();
    sheet.paragraph(
        0,
        Look::Bold,
        match model.file().kind {
            Provenance::SyntheticPrior => {
                "One unit more of this (of its logarithm, where it is a count) multiplies the odds by:"
            }
            _ => "One standard deviation more of this multiplies the odds of failure by (95 % interval):",
        },
    );
    for weight in weights {
        let at = |deviations: f64| (weight.coefficient + deviations * weight.standard_error).exp();
        let certain = (at(-1.96) > 1.0) || (at(1.96) < 1.0);
        let look = if certain { Look::Plain } else { Look::Dim };
        let feature = &FEATURES[weight.feature];
        let interval = match model.file().kind {
            Provenance::SyntheticPrior => "chosen".to_owned(),
            _ => format!("{:.2} to {:.2}", at(-1.96), at(1.96)),
        };
        sheet.row(&[
            (look, &format!("  ×{:.2}", at(0.0))),
            (look, &interval),
            (look, &format!("{:<28}", feature.name)),
            (Look::Dim, feature.definition),
        ]);
    }
    sheet.into_text()
}

/// Every feature, with what it is and why it is looked at.
pub(super) fn features(style: Style) -> String {
    let mut sheet = Sheet::new(style);
    for feature in &FEATURES {
        let (source, unit, formula) = (feature.source.name(), feature.unit, feature.transform.formula());
        let scenario = if feature.scenario_only { ", for the scenario demo-seed alone" } else { "" };
        let about = format!("{source}, {unit}, {formula}{scenario}");
        sheet.row(&[(Look::Bold, feature.name), (Look::Dim, &about)]);
        sheet.paragraph(4, Look::Plain, feature.definition);
        sheet.paragraph(4, Look::Dim, feature.why);
    }
    sheet.into_text()
}

/// How good a model is on deployments whose outcome is known, and how far they have drifted.
pub(super) fn evaluation(model: &Model, evaluation: &Evaluation, style: Style) -> String {
    let mut sheet = Sheet::new(style);
    sheet.paragraph(0, Look::Bold, &format!("{} on {} deployments", model.basis(), evaluation.predictions.len()));
    match &evaluation.quality {
        Some(quality) => measured(&mut sheet, quality),
        None => sheet.paragraph(
            2,
            Look::Plain,
            "How good the predictions are cannot be said: that needs a column `label` with failures (1) and successes (0).",
        ),
    }
    drifted(&mut sheet, evaluation);
    sheet.into_text()
}

/// Whether to train anew, and why.
pub(super) fn advice(reasons: &[String], style: Style) -> String {
    let mut sheet = Sheet::new(style);
    sheet.space();
    if reasons.is_empty() {
        sheet.paragraph(0, Look::Good, "There is no reason to train it anew.");
    } else {
        sheet.paragraph(0, Look::Doubtful, "Train it anew (failsafe model train --recorded):");
    }
    for reason in reasons {
        sheet.item(2, (Look::Plain, "-"), Look::Plain, reason);
    }
    sheet.into_text()
}

fn measured(sheet: &mut Sheet, quality: &Quality) {
    let rate = quality.failures as f64 / quality.rows as f64;
    let known =
        format!("{} of the {} whose outcome is known failed ({:.2} %)", quality.failures, quality.rows, 100.0 * rate);
    sheet.paragraph(2, Look::Plain, &known);
    sheet.space();
    sheet.row(&[(Look::Dim, &format!("  {:<30}{}", "", header()))]);
    sheet.row(&[(Look::Bold, &format!("  {:<30}{}", "this model", line(&quality.metrics)))]);
    for (name, metrics) in &quality.baselines {
        sheet.row(&[(Look::Plain, &format!("  {name:<30}{}", line(metrics)))]);
    }
    sheet.space();
    if let Some((_, low, high)) = quality.auc {
        sheet.paragraph(2, Look::Plain, &format!("The AUC lies between {low:.3} and {high:.3} with 95 % confidence."));
    }
    let m = &quality.metrics;
    let honest = format!(
        "Predicted over observed {:.2}, expected calibration error {:.4}, Brier skill {:.4}.",
        m.predicted_over_observed, m.calibration_error, m.brier_skill
    );
    sheet.paragraph(2, Look::Plain, &honest);
    sheet.space();
    sheet.row(&[(Look::Dim, "  tenth      predicted  observed  95 % interval      lift")]);
    for (index, bin) in quality.deciles.iter().enumerate() {
        let (low, high) = bin.interval();
        let text = format!(
            "  {:<9}  {:>7.2} %  {:>6.2} %  {:>5.2} to {:>5.2} %  {:>6.2}",
            match index {
                0 => "safest".to_owned(),
                9 => "riskiest".to_owned(),
                _ => (index + 1).to_string(),
            },
            100.0 * bin.predicted,
            100.0 * bin.observed(),
            100.0 * low,
            100.0 * high,
            bin.observed() / rate
        );
        sheet.row(&[(Look::Plain, &text)]);
    }
}

const fn header() -> &'static str {
    "  AUC   avg.prec.  top 5/10/20 % hold"
}

fn line(metrics: &Metrics) -> String {
    format!(
        "{:.4}     {:.4}  {:.3}/{:.3}/{:.3}",
        metrics.auc, metrics.average_precision, metrics.top_5_percent, metrics.top_10_percent, metrics.top_20_percent
    )
}

fn drifted(sheet: &mut Sheet, evaluation: &Evaluation) {
    let moved: Vec<_> = evaluation.drift.iter().filter(|drift| drift.stability_index >= DRIFT_SEEN).collect();
    sheet.space();
    if moved.is_empty() {
        sheet.paragraph(
            2,
            Look::Plain,
            "No feature has drifted from what the model learnt from (stability index below 0.1).",
        );
        return;
    }
    sheet.paragraph(
        2,
        Look::Plain,
        "Drifted from what the model learnt from (population stability index; from 0.25 much):",
    );
    for drift in moved {
        let look = if drift.stability_index >= DRIFT_LARGE { Look::Doubtful } else { Look::Plain };
        let unknown = match drift.unknown_share {
            0.0 => String::new(),
            share => format!("unknown of {:.0} %", 100.0 * share),
        };
        sheet.row(&[(look, &format!("    {:.2}", drift.stability_index)), (look, drift.name()), (Look::Dim, &unknown)]);
    }
}
