//! What is shown of the model while it scores: its risks, its version, and how far deployments have moved from those it learnt
//! from.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use chassis::metrics::list::{DRIFT, MODEL, RISK};

use crate::evaluation::drift;
use crate::features::Features;
use crate::model::Model;

/// How many of the latest deployments the drift is told of.
const LATEST_MAX: usize = 500;
/// With fewer, a share says nothing.
const LATEST_MIN: usize = 100;
/// After how many deployments the drift is told anew.
const EVERY: usize = 100;

/// The latest deployments that were scored, in this process alone: what is shown may be forgotten.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    features: VecDeque<Features>,
    scored: usize,
}

impl Watched {
    /// `model` gave a deployment of these `features` that `risk`.
    pub(crate) fn scored(&self, model: &Model, features: Features, risk: f64) {
        RISK.record(risk, [model.basis()]);
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.features.push_back(features);
        if latest.features.len() > LATEST_MAX {
            latest.features.pop_front();
        }
        latest.scored += 1;
        if latest.features.len() >= LATEST_MIN && latest.scored.is_multiple_of(EVERY) {
            for drift in drift(model, &latest.features.iter().collect::<Vec<_>>()) {
                DRIFT.set(drift.stability_index, [drift.name()]);
            }
        }
    }
}

/// In the role `role`, `now` scores from now on, and `before` does not any more.
pub(crate) fn show(role: &str, before: Option<&Model>, now: Option<&Model>) {
    if let Some(model) = before {
        MODEL.set(0.0, [role, model.basis()]);
    }
    if let Some(model) = now {
        MODEL.set(1.0, [role, model.basis()]);
    }
}
