//! How many deployments are scored in a second on one core, and how long a training takes. `just bench`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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

fn training(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("training");
    // One takes seconds.
    group.sample_size(10);
    group.bench_function("65,970 rows, penalty and calibration chosen", |bencher| {
        bencher.iter(|| ml_scoring::train("bench-1", black_box(CARRIED)).expect("the carried rows train a model"));
    });
    group.finish();
}

criterion_group!(benches, scores, training);
criterion_main!(benches);
