//! How many deployments are scored in a second on one core, how long the features of one take with a long history behind it, and
//! how long forgetting and a training take. `just bench`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use domain::FileChangeKind;
use ml_scoring::features::{Measures, Seen};
use ml_scoring::history::{Asked, Change, Import, Key, Remembered, Repository, Touched};
use ml_scoring::peers::Standings;
use ml_scoring::rows::Rows;
use ml_scoring::{Features, Model, score};

const CARRIED: &[u8] = include_bytes!("../data/deploy_prs.csv.gz");
/// Deployments in a round: enough that no two look alike to the processor's caches.
const ROUND: usize = 1_000;

fn scores(criterion: &mut Criterion) {
    let model = Model::shipped();
    let (rows, _) = Rows::read(CARRIED).expect("the carried rows are sound");
    let features: Vec<Features> = rows.iter().take(ROUND).map(|row| row.features.clone()).collect();
    let mut group = criterion.benchmark_group("scores");
    group.throughput(Throughput::Elements(ROUND as u64));
    group.bench_function("probability", |bencher| {
        bencher.iter(|| features.iter().map(|one| model.log_odds(black_box(one))).sum::<f64>());
    });
    group.bench_function("with contributions in words", |bencher| {
        bencher
            .iter(|| features.iter().map(|one| score(&model, black_box(one), None).contributions.len()).sum::<usize>());
    });
    group.finish();
}

/// Files that the history knows, and the changes that touched them.
const FILES: u32 = 100_000;
const CHANGES: u32 = 100_000;
/// Pull requests among them that may still change.
const OPEN: u32 = 500;

fn touched(number: u32) -> Vec<domain::FileChange> {
    let file = |step: u32| domain::FileChange {
        path: format!("part{}/src/file{}.rs", (number + step) % 40, (number.wrapping_mul(7_919) + step * 31) % FILES),
        old_path: None,
        kind: FileChangeKind::Modified,
        lines_added: 12,
        lines_deleted: 5,
        binary: false,
    };
    (0..10).map(file).collect()
}

/// A repository of as many files, of which each was touched ten times.
fn repository(some: &Features) -> Repository {
    let change = |number: u32| {
        let open = number + OPEN >= CHANGES;
        let id = domain::DeploymentId::parse("2390b58a-c653-5a88-a9a1-c2e65e719444").expect("an id");
        Change {
            key: Key::PullRequest(number),
            deployments: if open { vec![id] } else { Vec::new() },
            at: i64::from(number) * 1_000,
            author: format!("author{}", number % 300).into(),
            title: format!("Change {number}").into(),
            files: touched(number).iter().map(Touched::of).collect(),
            reverts: None,
            failed_at: number.is_multiple_of(90).then_some(i64::from(number) * 1_000 + 500),
            features: Some(Remembered::of(some)),
        }
    };
    let from = Import { head: "0123456789ab".to_owned(), whole: true };
    Repository::new((0..CHANGES).map(change).collect(), Some(from))
}

fn history(criterion: &mut Criterion) {
    let model = Arc::new(Model::shipped());
    let (rows, _) = Rows::read(CARRIED).expect("the carried rows are sound");
    let repository = repository(&rows.iter().next().expect("there are rows").features);
    let (at, author, files) = (i64::from(CHANGES) * 1_000, "author7", touched(77));
    let measure = || {
        let touched: Vec<Touched> = files.iter().map(Touched::of).collect();
        let past = repository.history(&Asked { at, author, files: &touched }, &Key::PullRequest(CHANGES));
        let seen =
            Seen { files: &files, title: "Add", author, branch: "", commits: None, lead_hours: None, revert: false };
        Features::of(&Measures::seen(seen, past))
    };
    let mut group = criterion.benchmark_group("history of 100,000 files and changes");
    group.bench_function("features of a deployment of ten files", |bencher| bencher.iter(measure));
    group.bench_function("the same scored among its peers", |bencher| {
        let standings = Standings::of(&model, repository.changes().rev());
        bencher.iter(|| {
            let peers = standings.peers(&Key::PullRequest(CHANGES));
            score(&model, &measure(), peers.as_ref()).contributions.len()
        });
    });
    group.bench_function("all but the latest two thirds forgotten", |bencher| {
        let forget = |mut all: Repository| all.forget_beyond(CHANGES as usize * 2 / 3).len();
        bencher.iter_batched(|| repository.clone(), forget, BatchSize::PerIteration);
    });
    group.finish();
}

fn training(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("training");
    // One takes seconds.
    group.sample_size(10);
    group.bench_function("65,970 rows, penalty and calibration chosen", |bencher| {
        bencher.iter(|| ml_scoring::train("bench-1", black_box(CARRIED)).expect("the carried rows train a model"));
    });
    group.finish();
}

criterion_group!(benches, scores, history, training);
criterion_main!(benches);
