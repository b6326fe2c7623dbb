//! The latest deployments of a repository, which a new one is held against: how risky it is among them, and in what it differs
//! from the typical one.
//!
//! Pure. Risks are told by today's model, whichever scored them at their time.

use std::sync::Arc;

use domain::Rank;

use crate::history::{Change, Key};
use crate::model::Model;

/// How many of the latest deployments count.
pub const PEERS_MAX: usize = 200;
/// With fewer there is no typical one.
pub const PEERS_MIN: usize = 20;

/// What a model makes of the latest deployments of one repository. Kept from one to the next, and close together: they are looked at
/// for each new one.
#[derive(Debug, Default)]
pub struct Standings {
    /// None before anybody asks.
    model: Option<Arc<Model>>,
    keys: Vec<Key>,
    /// Of each its log-odds.
    log_odds: Vec<f64>,
    /// Of each, for each of the model's features, how many standard deviations it is above the mean of the training data; what is not
    /// known counts as 0, as it does in the score.
    deviations: Vec<f64>,
    /// The place of the one that goes when another comes and there is no room.
    oldest: usize,
}

impl Standings {
    /// What `model` makes of these changes, the latest of them first.
    #[must_use]
    pub fn of<'a>(model: &Arc<Model>, latest: impl Iterator<Item = &'a Change>) -> Self {
        let mut standings = Self { model: Some(Arc::clone(model)), ..Self::default() };
        let latest: Vec<_> = latest.filter(|change| change.features.is_some()).take(PEERS_MAX).collect();
        latest.into_iter().rev().for_each(|change| standings.note(change));
        standings
    }

    /// Whether this is what `model` makes of them.
    #[must_use]
    pub fn is_of(&self, model: &Arc<Model>) -> bool {
        self.model.as_ref().is_some_and(|own| Arc::ptr_eq(own, model))
    }

    /// Takes in a further change, or what is known now of one that is here. Without a model nothing is made of it.
    pub fn note(&mut self, change: &Change) {
        let (Some(model), Some(features)) = (&self.model, &change.features) else { return };
        let features = features.features(change.reverts.is_some());
        let weights = &model.file().weights;
        let width = weights.features.len();
        let place = match self.keys.iter().position(|key| *key == change.key) {
            Some(place) => place,
            None if self.keys.len() < PEERS_MAX => {
                self.keys.push(change.key.clone());
                self.log_odds.push(0.0);
                self.deviations.resize(self.keys.len() * width, 0.0);
                self.keys.len() - 1
            }
            None => {
                let place = self.oldest;
                self.keys[place] = change.key.clone();
                self.oldest = (place + 1) % PEERS_MAX;
                place
            }
        };
        let deviations = &mut self.deviations[place * width..][..width];
        deviations.fill(0.0);
        let log_odds = weights.log_odds_telling(&features, |index, above| deviations[index] = above);
        self.log_odds[place] = model.calibration(&features).at(log_odds);
    }

    /// All but the change of that key; `None` when they are fewer than [`PEERS_MIN`].
    #[must_use]
    pub fn peers(&self, own: &Key) -> Option<Peers> {
        let width = self.model.as_ref()?.file().weights.features.len();
        let mut peers = Peers { log_odds: Vec::with_capacity(PEERS_MAX), typical: vec![0.0; width] };
        for (place, key) in self.keys.iter().enumerate() {
            if key != own {
                peers.log_odds.push(self.log_odds[place]);
                let deviations = &self.deviations[place * width..][..width];
                peers.typical.iter_mut().zip(deviations).for_each(|(sum, above)| *sum += above);
            }
        }
        let count = peers.log_odds.len();
        peers.typical.iter_mut().for_each(|sum| *sum /= count as f64);
        (count >= PEERS_MIN).then_some(peers)
    }
}

/// The latest deployments of one repository, as a model sees them.
#[derive(Clone, Debug)]
pub struct Peers {
    log_odds: Vec<f64>,
    /// The means of their deviations.
    typical: Vec<f64>,
}

impl Peers {
    /// The mean of the feature of the weight with that index.
    pub(crate) fn typical(&self, index: usize) -> f64 {
        self.typical[index]
    }

    /// Where a deployment with these log-odds stands: one that is as risky as another counts as half above it.
    #[must_use]
    pub fn rank(&self, log_odds: f64) -> Rank {
        let below = self.log_odds.iter().filter(|other| **other < log_odds).count();
        let not_above = self.log_odds.iter().filter(|other| **other <= log_odds).count();
        let count = self.log_odds.len();
        Rank { percentile: (below + not_above) as f64 / 2.0 / count as f64, among: count as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Features, Measures};
    use crate::history::Remembered;

    /// The more reverts its files have seen, the riskier a deployment is.
    fn of_reverts(reverts: f64) -> Features {
        let history = domain::History { file_reverts: Some(reverts), ..domain::History::default() };
        Features::of(&Measures { files: 3.0, history, ..Measures::default() })
    }

    fn change(number: u32, reverts: f64) -> Change {
        Change {
            key: Key::PullRequest(number),
            deployments: Vec::new(),
            at: i64::from(number),
            author: "ann".into(),
            title: "Add orders".into(),
            files: Vec::new(),
            reverts: None,
            failed_at: None,
            features: Some(Remembered::of(&of_reverts(reverts))),
        }
    }

    /// None of those that are tried.
    const OWN: Key = Key::PullRequest(u32::MAX);

    #[test]
    fn a_few_deployments_are_no_peers() {
        let model = Arc::new(Model::shipped());
        let changes: Vec<Change> = (0..PEERS_MAX as u32 + 5).map(|number| change(number, 3.0)).collect();
        let of = |count: usize| Standings::of(&model, changes[..count].iter()).peers(&OWN);
        assert!(of(PEERS_MIN - 1).is_none() && of(0).is_none());
        assert_eq!(of(PEERS_MIN).unwrap().rank(0.0).among, PEERS_MIN as u32);
        assert_eq!(of(PEERS_MAX + 5).unwrap().rank(0.0).among, PEERS_MAX as u32);
        assert!(
            Standings::of(&model, changes[..PEERS_MIN].iter()).peers(&changes[3].key).is_none(),
            "itself is no peer"
        );
    }

    #[test]
    fn the_rank_is_the_share_of_safer_deployments() {
        let model = Arc::new(Model::shipped());
        let changes: Vec<Change> = (1..=100).map(|number| change(number, f64::from(number))).collect();
        let peers = Standings::of(&model, changes.iter()).peers(&OWN).unwrap();
        let rank = |reverts: f64| peers.rank(model.log_odds(&of_reverts(reverts))).percentile;
        assert!((rank(50.0) - 0.495).abs() < 1e-9, "{}", rank(50.0));
        assert!(rank(0.5) == 0.0 && rank(101.0) == 1.0);
    }

    #[test]
    fn what_comes_one_by_one_is_seen_as_all_at_once() {
        let model = Arc::new(Model::shipped());
        let mut one_by_one = Standings::of(&model, std::iter::empty());
        let mut changes: Vec<Change> = Vec::new();
        for number in 0..3 * PEERS_MAX as u32 {
            changes.push(change(number, f64::from(number % 50)));
            one_by_one.note(changes.last().unwrap());
            if number % 10 == 9 {
                // A further revision of a recent one.
                let revised = changes.len() - 4;
                changes[revised] = change(number - 3, 90.0);
                one_by_one.note(&changes[revised]);
            }
            let seen = |standings: &Standings| {
                standings.peers(&OWN).map(|mut peers| {
                    peers.log_odds.sort_by(f64::total_cmp);
                    (peers.log_odds, peers.typical)
                })
            };
            let at_once = seen(&Standings::of(&model, changes.iter().rev()));
            assert_eq!(seen(&one_by_one).is_some(), at_once.is_some(), "{number}");
            if let (Some(one_by_one), Some(at_once)) = (seen(&one_by_one), at_once) {
                assert_eq!(one_by_one.0, at_once.0, "{number}");
                let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
                assert!(one_by_one.1.iter().zip(&at_once.1).all(near), "{number}: {one_by_one:?} {at_once:?}");
            }
        }
        assert!(one_by_one.is_of(&model) && !one_by_one.is_of(&Arc::new(Model::shipped())));
    }
}
