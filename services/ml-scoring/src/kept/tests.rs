//! What is remembered, for how long, and what a deployment is scored by.

use domain::{FileChangeKind, PullRequest};
use time::macros::offset;

use super::*;
use crate::samples;

#[test]
fn who_has_few_keeps_them() {
    assert_eq!(share(vec![10, 10, 500, 90], 200), 90);
    assert_eq!(share(vec![300, 20, 300], 200), 90);
    assert_eq!(share(vec![100], 200), 200);
    assert_eq!(share(Vec::new(), 200), 200);
}

#[test]
fn the_oldest_of_the_largest_repositories_are_forgotten_when_all_are_too_many() {
    let histories = Histories::new(offset!(UTC), 100);
    let sample = samples::deployment(Vec::new());
    let features = Features::of(&Measures::default());
    let commit = |name: &str, at: usize| Change {
        key: Key::Commit(format!("{name}{at}")),
        at: i64::try_from(at).unwrap(),
        ..change(&sample, &features)
    };
    for (name, changes) in [("a/small", 20), ("b/large", 100), ("c/large", 60)] {
        let changes = (0..changes).map(|at| commit(name, at)).collect();
        histories.put(name, Repository::new(changes, None), Position::default());
    }
    histories.forget();
    let held = |name| read(&histories.entry(name).unwrap().repository).len();
    assert_eq!((held("a/small"), held("b/large"), held("c/large")), (20, 40, 40));
    let latest = read(&histories.entry("b/large").unwrap().repository).changes().next().unwrap().at;
    assert_eq!(latest, 60);
    histories.forget();
    assert_eq!(held("b/large"), 40, "100 are not too many");
}

#[test]
fn a_deployment_is_scored_by_what_was_known_when_it_was_accepted() {
    let histories = Histories::new(offset!(UTC), 1_000);
    let submitted = |number: u32| {
        let mut deployment = samples::deployment(vec![samples::file("src/a.rs", FileChangeKind::Modified, 20, 3)]);
        let (number, revision) = (PullRequest::new(number).unwrap(), deployment.revision.clone());
        deployment.id = DeploymentId::derive(&deployment.repository, number, &revision);
        deployment.pull_request = number;
        deployment
    };
    // With fewer nothing is told of the past.
    for number in 1..=40 {
        histories.take_in(&submitted(number), u64::from(number), Position::default());
    }
    let first = submitted(41);
    let entry = histories.entry(first.repository.as_str()).unwrap();
    let known = features(&first, &read(&entry.repository), histories.utc_offset);
    histories.take_in(&first, 41, Position::default());
    histories.take_in(&submitted(42), 42, Position::default());
    let look = || histories.look(&first, &Arc::new(Model::shipped())).0;
    assert_eq!(look(), known);
    assert_ne!(look(), known, "whoever looks again counts anew");
}
