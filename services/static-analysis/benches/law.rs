//! How fast a diff is read, and judged: bytes per second over the diffs of the demo, and over the file that `FAILSAFE_BENCH_DIFF` names.
//! `just bench`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use static_analysis::{Config, Law};

const DIFFS: [(&str, &str); 2] = [
    ("harmless", include_str!("../../../tests/samples/harmless.diff")),
    ("migration", include_str!("../../../tests/samples/migration.diff")),
];

fn law(criterion: &mut Criterion) {
    let law = Law::new(&Config::default()).expect("the default settings are sound");
    let mut group = criterion.benchmark_group("diff");
    let given = std::env::var_os("FAILSAFE_BENCH_DIFF").map(|file| std::fs::read(file).expect("the file can be read"));
    let given = given.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    for (name, text) in DIFFS.into_iter().chain(given.as_deref().map(|text| ("given", text))) {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("read", name), text, |bencher, text| {
            bencher.iter(|| domain::diff::parse(black_box(text)).expect("a sound diff").files.len());
        });
        group.bench_with_input(BenchmarkId::new("read and judge", name), text, |bencher, text| {
            bencher.iter(|| law.scan(&domain::diff::parse(black_box(text)).expect("a sound diff")).findings.len());
        });
    }
    group.finish();
    criterion.bench_function("making the law", |bencher| {
        bencher.iter(|| Law::new(black_box(&Config::default())).expect("the default settings are sound").rules().len());
    });
}

criterion_group!(benches, law);
criterion_main!(benches);
