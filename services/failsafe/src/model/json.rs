//! Models and how good they are, for programs.

use std::path::Path;

use ml_scoring::Model;
use ml_scoring::evaluation::{Evaluation, Quality};
use ml_scoring::features::FEATURES;
use serde_json::{Value, json};

/// What came of a training.
pub(super) fn trained(model: &Model, written_to: &Path) -> Value {
    let file = model.file();
    json!({
        "model": model.basis(),
        "provenance": file.provenance,
        "training": file.training,
        "held_out": file.held_out,
        "written_to": written_to.display().to_string(),
    })
}

/// How good a model is, and how far the features have drifted. `quality` is null unless outcomes of both kinds are known.
pub(super) fn evaluation(model: &Model, evaluation: &Evaluation) -> Value {
    let drift = evaluation.drift.iter().map(|one| {
        json!({
            "feature": one.name(),
            "stability_index": one.stability_index,
            "unknown_share": one.unknown_share,
        })
    });
    json!({
        "model": model.basis(),
        "deployments": evaluation.predictions.len(),
        "quality": evaluation.quality.as_ref().map(quality),
        "drift": drift.collect::<Vec<_>>(),
    })
}

/// Whether to train anew, and why; `evaluation` is null while no outcome is known.
pub(super) fn drift(model: &Model, evaluated: Option<&Evaluation>, reasons: &[String]) -> Value {
    json!({
        "model": model.basis(),
        "train_anew": !reasons.is_empty(),
        "reasons": reasons,
        "evaluation": evaluated.map(|evaluated| evaluation(model, evaluated)),
    })
}

/// What a model can look at.
pub(super) fn features() -> Value {
    let all = FEATURES.iter().map(|feature| {
        json!({
            "name": feature.name,
            "source": feature.source.name(),
            "unit": feature.unit,
            "transform": feature.transform.formula(),
            "scenario_only": feature.scenario_only,
            "definition": feature.definition,
            "why": feature.why,
        })
    });
    Value::from_iter(all)
}

fn quality(quality: &Quality) -> Value {
    let baselines = quality.baselines.iter().map(|(name, metrics)| json!({ "name": name, "metrics": metrics }));
    let services = quality.services.iter().map(|(name, rows, failures, metrics)| {
        json!({ "name": name, "rows": rows, "failures": failures, "metrics": metrics })
    });
    json!({
        "rows": quality.rows,
        "failures": quality.failures,
        "metrics": quality.metrics,
        "auc_interval": quality.auc.map(|(_, low, high)| [low, high]),
        "baselines": baselines.collect::<Vec<_>>(),
        "deciles": quality.deciles,
        "services": services.collect::<Vec<_>>(),
    })
}
