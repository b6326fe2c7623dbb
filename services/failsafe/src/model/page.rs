//! A model's report as one HTML page that needs nothing else.

use std::fmt::Write as _;

use ml_scoring::Model;
use ml_scoring::evaluation::{Evaluation, Quality};
use ml_scoring::features::FEATURES;
use ml_scoring::metrics::Metrics;

use super::plots;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1120px;margin:2em auto;padding:0 1em;color:#222}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse;margin:.6em 0}\
th,td{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}\
th:first-child,td:first-child{text-align:left}p.note{color:#666;max-width:46em}figure{display:inline-block;margin:0 1em 1em 0;vertical-align:top}\
figcaption{font-weight:600}.far{color:#b00020;font-weight:600}svg{max-width:100%}";

/// The page.
pub(super) fn page(model: &Model, evaluation: &Evaluation) -> anyhow::Result<String> {
    let mut body = String::new();
    let title = format!("{} on {} deployments", model.basis(), evaluation.predictions.len());
    write!(body, "<h1>{}</h1><p>A model {}.</p>", escaped(&title), escaped(&model.file().provenance))?;
    match &evaluation.quality {
        Some(quality) => measured(&mut body, quality)?,
        None => body.push_str("<p>How good the predictions are cannot be said: no outcomes are known.</p>"),
    }
    coefficients(&mut body, model)?;
    drift(&mut body, evaluation)?;
    Ok(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title><style>{STYLE}</style></head>\
         <body>{body}</body></html>\n",
        escaped(&title)
    ))
}

fn measured(body: &mut String, quality: &Quality) -> anyhow::Result<()> {
    let rate = 100.0 * quality.failures as f64 / quality.rows as f64;
    write!(body, "<p>{} of {} failed ({rate:.2} %).", quality.failures, quality.rows)?;
    if let Some((auc, low, high)) = quality.auc {
        write!(body, " AUC {auc:.4}, between {low:.3} and {high:.3} with 95 % confidence.")?;
    }
    body.push_str("</p><table><tr><th></th><th>AUC</th><th>average precision</th><th>top 5 %</th><th>top 10 %</th><th>top 20 %</th></tr>");
    for (name, metrics) in std::iter::once(&("this model", quality.metrics)).chain(&quality.baselines) {
        compared(body, name, metrics)?;
    }
    let m = &quality.metrics;
    write!(
        body,
        "</table><p class=\"note\">“Top 5 %” is the share of all failures among the riskiest 5 %. Differences of the AUC below \
         the width of its interval are noise.</p><p>Predicted over observed {:.2}, expected calibration error {:.4}, Brier \
         skill {:.4}.</p><h2>Curves</h2>",
        m.predicted_over_observed, m.calibration_error, m.brier_skill
    )?;
    let figures = [
        ("ROC", plots::roc(quality)?),
        ("Precision and recall", plots::precision_recall(quality)?),
        ("Reliability, with the density of the predictions", plots::reliability(quality)?),
        ("Lift by tenth", plots::lift(quality)?),
    ];
    for (caption, svg) in figures {
        write!(body, "<figure><figcaption>{caption}</figcaption>{svg}</figure>")?;
    }
    body.push_str("<h2>Services</h2><table><tr><th>service</th><th>deployments</th><th>failed</th><th>AUC</th><th>predicted / observed</th></tr>");
    for (name, rows, failures, metrics) in &quality.services {
        let (auc, ratio) = metrics.map_or(("–".to_owned(), "–".to_owned()), |m| {
            (format!("{:.3}", m.auc), format!("{:.2}", m.predicted_over_observed))
        });
        write!(
            body,
            "<tr><td>{}</td><td>{rows}</td><td>{failures}</td><td>{auc}</td><td>{ratio}</td></tr>",
            escaped(name)
        )?;
    }
    body.push_str("</table>");
    Ok(())
}

fn compared(body: &mut String, name: &str, metrics: &Metrics) -> std::fmt::Result {
    write!(
        body,
        "<tr><td>{name}</td><td>{:.4}</td><td>{:.4}</td><td>{:.3}</td><td>{:.3}</td><td>{:.3}</td></tr>",
        metrics.auc, metrics.average_precision, metrics.top_5_percent, metrics.top_10_percent, metrics.top_20_percent
    )
}

fn coefficients(body: &mut String, model: &Model) -> anyhow::Result<()> {
    write!(body, "<h2>What counts</h2><figure>{}</figure>", plots::coefficients(model)?)?;
    body.push_str("<p class=\"note\">Each coefficient with its 95 % interval. They speak of what goes together, not of causes.</p>");
    body.push_str(
        "<table><tr><th>feature</th><th>×odds</th><th>unit</th><th style=\"text-align:left\">meaning</th></tr>",
    );
    for weight in &model.file().weights.features {
        let feature = &FEATURES[weight.feature];
        write!(
            body,
            "<tr><td>{}</td><td>{:.2}</td><td>{}</td><td style=\"text-align:left\">{}</td></tr>",
            feature.name,
            weight.coefficient.exp(),
            escaped(feature.unit),
            escaped(feature.definition)
        )?;
    }
    body.push_str("</table>");
    Ok(())
}

fn drift(body: &mut String, evaluation: &Evaluation) -> anyhow::Result<()> {
    body.push_str("<h2>Drift</h2><p class=\"note\">Population stability index of each feature against the training data: below 0.1 little, from 0.25 much.</p>");
    body.push_str("<table><tr><th>feature</th><th>stability index</th><th>unknown</th></tr>");
    for drift in &evaluation.drift {
        let class = if drift.stability_index >= 0.25 { " class=\"far\"" } else { "" };
        let (index, unknown) = (drift.stability_index, 100.0 * drift.unknown_share);
        write!(body, "<tr><td>{}</td><td{class}>{index:.3}</td><td>{unknown:.0} %</td></tr>", drift.name())?;
    }
    body.push_str("</table>");
    Ok(())
}

/// `text` as HTML shows it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
