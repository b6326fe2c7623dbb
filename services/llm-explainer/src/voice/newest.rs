//! The newest verdict of each deployment that this process has seen. Bounded: what was seen longest ago is forgotten, and
//! then an old verdict is explained as if it were the newest.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use domain::{DeploymentId, Reached};
use lru::LruCache;

/// Of how many deployments the newest verdict is known; each takes some 100 bytes.
const DEPLOYMENTS_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("not 0");

/// The number of the newest verdict of each deployment.
#[derive(Debug)]
pub(super) struct Newest(Mutex<LruCache<DeploymentId, u32>>);

impl Newest {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(DEPLOYMENTS_MAX)))
    }

    /// Notes that there is this verdict.
    pub(super) fn note(&self, reached: &Reached) {
        let mut seen = self.seen();
        let newest = seen.get_or_insert_mut(reached.deployment_id, || reached.number);
        *newest = (*newest).max(reached.number);
    }

    /// Whether a newer verdict of the same deployment was noted.
    pub(super) fn is_superseded(&self, reached: &Reached) -> bool {
        self.seen().peek(&reached.deployment_id).is_some_and(|newest| *newest > reached.number)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, LruCache<DeploymentId, u32>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_verdict_is_superseded_by_a_higher_number_of_the_same_deployment() {
        let newest = Newest::new();
        let first = samples::blocked_by_a_secret();
        let second = Reached { number: 2, ..first.clone() };
        newest.note(&first);
        assert!(!newest.is_superseded(&first));
        newest.note(&second);
        assert!(newest.is_superseded(&first) && !newest.is_superseded(&second));
        newest.note(&first);
        assert!(newest.is_superseded(&first), "an old one that comes again is still old");
        let repository = domain::Repository::parse("acme/other").unwrap();
        let deployment = samples::deployment();
        let other = DeploymentId::derive(&repository, deployment.pull_request, &deployment.revision);
        assert!(!newest.is_superseded(&Reached { deployment_id: other, ..first }));
    }
}
