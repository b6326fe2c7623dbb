//! The latest deployments of a repository, which a new one is held against: how risky it is among them, and in what it differs
//! from the typical one.
//!
//! Pure. Risks are told by today's model, whichever scored them at their time.

use domain::Rank;

use crate::features::Features;
use crate::model::Model;

/// How many of the latest deployments count.
pub const PEERS_MAX: usize = 200;
/// With fewer there is no typical one.
pub const PEERS_MIN: usize = 20;

/// What a model makes of the latest deployments of one repository.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Their log-odds, in order.
    log_odds: Vec<f64>,
    /// Of each of the model's features the mean, in standard deviations above that of the training data; what is not known of a
    /// deployment counts as 0, as it does in its score.
    typical: Vec<f64>,
}

impl Peers {
    /// What `model` makes of the `latest` deployments; `None` when they are fewer than [`PEERS_MIN`].
    #[must_use]
    pub fn of(model: &Model, latest: impl IntoIterator<Item = Features>) -> Option<Self> {
        let weights = &model.file().weights;
        let mut peers = Self { log_odds: Vec::with_capacity(PEERS_MAX), typical: vec![0.0; weights.features.len()] };
        for features in latest.into_iter().take(PEERS_MAX) {
            let log_odds = weights.log_odds_telling(&features, |index, deviations| peers.typical[index] += deviations);
            peers.log_odds.push(model.calibration(&features).at(log_odds));
        }
        let count = peers.log_odds.len();
        if count < PEERS_MIN {
            return None;
        }
        peers.typical.iter_mut().for_each(|sum| *sum /= count as f64);
        peers.log_odds.sort_by(f64::total_cmp);
        Some(peers)
    }

    /// The mean of the feature of the weight with that index.
    pub(crate) fn typical(&self, index: usize) -> f64 {
        self.typical[index]
    }

    /// Where a deployment with these log-odds stands: one that is as risky as another counts as half above it.
    #[must_use]
    pub fn rank(&self, log_odds: f64) -> Rank {
        let below = self.log_odds.partition_point(|other| *other < log_odds);
        let not_above = self.log_odds.partition_point(|other| *other <= log_odds);
        let count = self.log_odds.len();
        Rank { percentile: (below + not_above) as f64 / 2.0 / count as f64, among: count as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Measures;

    /// The more reverts its files have seen, the riskier a deployment is.
    fn of_reverts(reverts: f64) -> Features {
        let history = domain::History { file_reverts: Some(reverts), ..domain::History::default() };
        Features::of(&Measures { files: 3.0, history, ..Measures::default() })
    }

    #[test]
    fn a_few_deployments_are_no_peers() {
        let of = |count: usize| Peers::of(&Model::shipped(), (0..count).map(|_| of_reverts(3.0)));
        assert!(of(PEERS_MIN - 1).is_none());
        assert_eq!(of(PEERS_MIN).unwrap().rank(0.0).among, PEERS_MIN as u32);
        assert_eq!(of(PEERS_MAX + 5).unwrap().rank(0.0).among, PEERS_MAX as u32);
    }

    #[test]
    fn the_rank_is_the_share_of_safer_deployments() {
        let model = Model::shipped();
        let peers = Peers::of(&model, (1..=100).map(|reverts| of_reverts(f64::from(reverts)))).unwrap();
        let rank = |reverts: f64| peers.rank(model.log_odds(&of_reverts(reverts))).percentile;
        assert!((rank(50.0) - 0.495).abs() < 1e-9, "{}", rank(50.0));
        assert!(rank(0.5) == 0.0 && rank(101.0) == 1.0);
    }
}
