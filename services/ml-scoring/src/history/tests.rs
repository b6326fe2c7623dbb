//! What is told of the past, change by change.

use domain::{DeploymentId, FileChangeKind, PullRequest, Revision};

use super::reverts::{reverted, without_number};
use super::*;
use crate::samples;

const DAY: i64 = 86_400;

fn touched(path: &str, kind: FileChangeKind, added: u32, deleted: u32) -> Touched {
    Touched::of(&samples::file(path, kind, added, deleted))
}

fn id(number: u32, revision: &str) -> DeploymentId {
    let repository = domain::Repository::parse("acme/shop").unwrap();
    DeploymentId::derive(&repository, PullRequest::new(number).unwrap(), &Revision::parse(revision).unwrap())
}

/// A change without deployments, as git tells it.
fn change(number: u32, day: i64, author: &str, title: &str, files: Vec<Touched>) -> Change {
    Change {
        key: Key::PullRequest(number),
        deployments: Vec::new(),
        at: day * DAY,
        author: author.into(),
        title: without_number(title).into(),
        files,
        reverts: reverted(title, "", "").map(Box::new),
        failed_at: None,
        features: None,
    }
}

/// The same as it is submitted.
fn submitted(number: u32, revision: &str, day: i64, author: &str, title: &str, files: Vec<Touched>) -> Change {
    Change { deployments: vec![id(number, revision)], ..change(number, day, author, title, files) }
}

fn modified(path: &str) -> Vec<Touched> {
    vec![touched(path, FileChangeKind::Modified, 5, 2)]
}

fn whole() -> Repository {
    let changes = vec![
        change(1, 0, "ann", "Add orders", vec![touched("api/order.rs", FileChangeKind::Added, 100, 0)]),
        change(2, 10, "bob", "Speed up orders", modified("api/order.rs")),
        change(3, 20, "ann", "Document", vec![touched("README.md", FileChangeKind::Added, 7, 0)]),
    ];
    Repository::new(changes, Some(Import { head: "0123abc".to_owned(), whole: true }))
}

fn asked_of(repository: &Repository, day: i64, author: &str, files: &[Touched]) -> History {
    repository.history(&Asked { at: day * DAY, author, files }, &Key::PullRequest(99))
}

#[test]
fn the_past_of_files_author_and_repository_is_told() {
    let history = asked_of(&whole(), 20, "ann", &modified("api/order.rs"));
    let expected = History {
        lines_before: Some(103.0),
        prior_authors: Some(2.0),
        file_age_days: Some(10.0),
        last_changes: Some(1.0),
        author_changes: Some(2.0),
        author_recent_changes: Some(1.0 / (20.0 / 365.25 + 1.0) + 1.0),
        author_subsystem_changes: Some(1.0),
        file_changes_max: Some(2.0),
        file_changes_mean: Some(2.0),
        file_reverts: Some(0.0),
        author_reverts: Some(0.0),
        repository_reverts_14d: Some(0.0),
        repository_deployments_24h: Some(1.0),
        repository_deployments: Some(3.0),
        repository_reverts: Some(0.0),
    };
    assert_eq!(history, expected);
}

#[test]
fn a_renamed_file_keeps_its_past() {
    let mut repository = whole();
    let mut moved = touched("core/order.rs", FileChangeKind::Renamed, 0, 0);
    moved.old_path = Some("api/order.rs".into());
    let before = asked_of(&repository, 30, "", std::slice::from_ref(&moved));
    assert_eq!((before.file_changes_max, before.lines_before), (Some(2.0), Some(103.0)));
    repository.record(submitted(4, "abcdef1", 30, "ann", "Move", vec![moved]));
    let after = asked_of(&repository, 31, "", &modified("core/order.rs"));
    assert_eq!((after.file_changes_max, after.lines_before, after.prior_authors), (Some(3.0), Some(103.0), Some(2.0)));
}

#[test]
fn a_revert_says_that_what_it_takes_back_has_failed() {
    for title in ["Revert \"Speed up orders\"", "Revert #2"] {
        let mut repository = whole();
        repository.record(submitted(4, "abcdef1", 21, "ann", title, modified("api/order.rs")));
        assert_eq!(repository.failures(), 1, "{title}");
        let history = asked_of(&repository, 22, "bob", &modified("api/order.rs"));
        assert_eq!((history.file_reverts, history.author_reverts), (Some(1.0), Some(1.0)));
        assert_eq!((history.repository_reverts, history.repository_reverts_14d), (Some(1.0), Some(1.0)));
        assert_eq!(asked_of(&repository, 40, "bob", &modified("x")).repository_reverts_14d, Some(0.0));
    }
}

#[test]
fn taking_a_revert_back_is_no_failure_of_the_revert() {
    let mut repository = whole();
    repository.record(submitted(4, "abcdef1", 21, "ann", "Revert \"Speed up orders\"", modified("api/order.rs")));
    repository.record(submitted(
        5,
        "abcdef2",
        22,
        "bob",
        "Revert \"Revert \"Speed up orders\"\"",
        modified("api/order.rs"),
    ));
    assert_eq!(repository.failures(), 1);
}

#[test]
fn all_revisions_of_a_pull_request_are_one_change_and_never_their_own_past() {
    let mut repository = whole();
    repository.record(submitted(4, "abcdef1", 21, "ann", "Add carts", modified("api/order.rs")));
    repository.record(submitted(4, "abcdef2", 22, "ann", "Add carts", modified("api/cart.rs")));
    assert_eq!(repository.len(), 4);
    let files = modified("api/order.rs");
    let asked = Asked { at: 23 * DAY, author: "ann", files: &files };
    assert_eq!(repository.history(&asked, &Key::PullRequest(4)).author_changes, Some(2.0));
    assert_eq!(repository.history(&asked, &Key::PullRequest(5)).author_changes, Some(3.0));
    assert_eq!(repository.history(&asked, &Key::PullRequest(5)).file_changes_max, Some(2.0));
    assert!(repository.knows(id(4, "abcdef1")) && repository.knows(id(4, "abcdef2")));
}

#[test]
fn outcomes_are_told_of_open_and_of_settled_changes_and_can_be_corrected() {
    let mut repository = whole();
    repository.record(submitted(4, "abcdef1", 21, "ann", "Add carts", modified("api/cart.rs")));
    for open in [true, false] {
        if !open {
            // Enough time goes by for the first to settle.
            repository.record(submitted(5, "abcdef2", 60, "bob", "Add taxes", modified("api/tax.rs")));
        }
        assert!(repository.tell(id(4, "abcdef1"), Some(22 * DAY)));
        assert_eq!(repository.failures(), 1);
        assert_eq!(asked_of(&repository, 23, "ann", &modified("api/cart.rs")).file_reverts, Some(1.0));
        assert!(repository.tell(id(4, "abcdef1"), None));
        assert_eq!(repository.failures(), 0);
        assert_eq!(asked_of(&repository, 23, "ann", &modified("api/cart.rs")).file_reverts, Some(0.0));
    }
    assert!(!repository.tell(id(6, "abcdef3"), None));
}

#[test]
fn without_the_beginning_what_was_never_seen_is_unknown_and_not_zero() {
    let mut repository = Repository::default();
    for number in 1..=CHANGES_MIN as u32 {
        assert_eq!(asked_of(&repository, 40, "ann", &modified("a.rs")), History::default(), "{number}");
        repository.record(submitted(number, "abcdef1", 1, "ann", "More", modified("a.rs")));
    }
    let known = asked_of(&repository, 2, "ann", &modified("a.rs"));
    assert_eq!((known.author_changes, known.file_changes_max), (Some(30.0), Some(30.0)));
    assert_eq!(known.lines_before, None);
    let unknown = asked_of(&repository, 2, "bob", &modified("b.rs"));
    assert_eq!((unknown.author_changes, unknown.file_changes_max), (None, None));
    assert_eq!(unknown.repository_deployments, Some(30.0));
    let new = asked_of(&repository, 2, "", &[touched("b.rs", FileChangeKind::Added, 3, 0)]);
    assert_eq!((new.file_changes_max, new.lines_before, new.file_age_days), (Some(0.0), Some(0.0), Some(0.0)));
    let seen = Asked { at: 2 * DAY, author: "bob", files: &modified("b.rs") };
    assert_eq!(whole().history(&seen, &Key::PullRequest(9)).author_changes, Some(1.0));
}

#[test]
fn what_is_too_old_is_forgotten_and_then_unknown() {
    let mut repository = whole();
    for number in 10..30 {
        let day = 30 * i64::from(number);
        repository.record(submitted(number, "abcdef1", day, "eve", "More", modified("b.rs")));
        assert_eq!(repository.forget_beyond(100), []);
    }
    let forgotten = repository.forget_beyond(10);
    assert_eq!(forgotten.len(), 9, "three came without a deployment, and one is open");
    assert_eq!(
        (repository.len(), repository.knows(id(10, "abcdef1")), repository.knows(id(29, "abcdef1"))),
        (11, false, true)
    );
    assert!(!repository.imported().unwrap().whole);
}

#[test]
fn what_is_saved_is_read_back() {
    let mut repository = whole();
    let mut open = submitted(4, "abcdef1", 21, "ann", "Revert \"Speed up orders\"", modified("api/order.rs"));
    let features = crate::Features::of(&crate::Measures { files: 3.0, ..Default::default() });
    open.features = Some(Remembered::of(&features));
    repository.record(open);
    let read = Repository::load(&repository.save()).unwrap();
    assert_eq!((read.len(), read.failures(), read.imported()), (4, 1, whole().imported()));
    let asked = |repository: &Repository| asked_of(repository, 25, "ann", &modified("api/order.rs"));
    assert_eq!(asked(&read), asked(&repository));
    assert_eq!(
        read.changes().next_back().unwrap().features.as_ref().unwrap().features(true).named("files_changed"),
        Some(3.0)
    );
    assert_eq!(read.save(), repository.save());
    let error = format!("{:#}", Repository::load(b"nonsense").unwrap_err());
    assert!(error.contains("unpacking a history"), "{error}");
}

#[test]
fn a_pull_request_that_comes_again_after_it_settled_is_read_back_beside_what_it_was() {
    let mut repository = whole();
    let of = |number, revision| submitted(number, revision, 30, "ann", "More", modified("api/order.rs"));
    (0..=OPEN_MAX as u32).for_each(|more| repository.record(of(10 + more, "abcdef1")));
    assert_eq!((repository.settled(), repository.len()), (4, OPEN_MAX + 4), "the first of them has settled");
    repository.record(of(10, "abcdef2"));
    let mut read = Repository::load(&repository.save()).unwrap();
    for more in 1..=3 * OPEN_MAX as u32 {
        let asked = |repository: &Repository| asked_of(repository, 31, "ann", &modified("api/order.rs"));
        assert_eq!((read.len(), asked(&read)), (repository.len(), asked(&repository)), "{more}");
        repository.record(of(1_000 + more, "abcdef1"));
        read.record(of(1_000 + more, "abcdef1"));
    }
    assert!(read.knows(id(10, "abcdef1")) && read.knows(id(10, "abcdef2")));
}

#[test]
fn an_import_is_joined_with_what_was_submitted() {
    let mut own = Repository::default();
    own.record(submitted(2, "abcdef1", 9, "bob", "Speed up orders", modified("api/order.rs")));
    own.record(submitted(7, "abcdef2", 25, "bob", "Add taxes", modified("api/tax.rs")));
    own.tell(id(2, "abcdef1"), Some(11 * DAY));
    let joined = own.with_import(whole());
    assert_eq!((joined.len(), joined.failures(), joined.imported()), (4, 1, whole().imported()));
    assert!(joined.knows(id(2, "abcdef1")) && joined.knows(id(7, "abcdef2")));
    let again = joined.clone().with_import(whole());
    assert_eq!(again.save(), joined.save());
}

#[test]
fn what_may_still_change_tells_the_same_as_what_is_settled() {
    let authors = ["ann", "bob", "eve", ""];
    // 60 changes on 40 names, some of which are renamed again and again.
    let files = |number: u32| -> Vec<Touched> {
        (0..number % 4 + 1)
            .map(|nth| {
                let name = |salt: u32| format!("part{}/file{}.rs", salt % 4, (salt * salt + nth * 7) % 10);
                let mut file = touched(&name(number), FileChangeKind::Modified, number % 5, number % 3);
                if number.is_multiple_of(3) {
                    (file.kind, file.old_path) = (FileChangeKind::Renamed, Some(name(number / 2).into()));
                }
                file
            })
            .collect()
    };
    let (mut open, mut settled) = (whole(), whole());
    for number in 10..70_u32 {
        let author = authors[number as usize % authors.len()];
        let failed_at = number.is_multiple_of(7).then_some(31 * DAY);
        let of = |change: Change| Change { failed_at, ..change };
        open.record(of(submitted(number, "abcdef1", 30, author, "More", files(number))));
        settled.record(of(change(number, 30, author, "More", files(number))));
        assert_eq!((open.open.len(), settled.open.len()), (number as usize - 9, 0));
        for asked in 0..12_u32 {
            let (author, files) = (authors[asked as usize % authors.len()], files(number + asked));
            let told = |repository| asked_of(repository, 32, author, &files);
            assert_eq!(told(&open), told(&settled), "{number} {asked}");
        }
    }
}
