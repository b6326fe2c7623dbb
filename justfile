# What people do here; `just` alone lists it.

[private]
default:
    @just --list --unsorted

# Install what is missing, build, and show three deployments from the diff to the verdict
demo *ARGUMENTS:
    deploy/bootstrap demo {{ARGUMENTS}}

# Install what is missing, build, and run all tests
test:
    deploy/bootstrap test

# Formatting, clippy and documentation: what CI runs before the tests
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

# All that has to pass before a merge
ci:
    .ci/run

# Everything in one process, with its data in .failsafe/
up *ARGUMENTS:
    cargo build --workspace --bins --locked
    cargo run --quiet -- up {{ARGUMENTS}}

# The same with each service as a process of its own, on one NATS and one PostgreSQL
services *ARGUMENTS:
    cargo build --workspace --bins --locked
    cargo run --quiet -- services {{ARGUMENTS}}

# Everything in containers, with Ollama, Jaeger (http://127.0.0.1:16686) and Grafana (http://127.0.0.1:3000)
containers:
    docker compose up --build --wait

# How fast a diff is read and judged, scored, decided and explained
bench *ARGUMENTS:
    cargo bench --workspace --bench '*' -- {{ARGUMENTS}}

# How much all services bear on this machine, beside what its servers do alone (`just load --help`)
load *ARGUMENTS:
    cargo build --workspace --bins --release --locked
    target/release/load {{ARGUMENTS}}

# Faults at random while deployments are submitted, seed after seed, a minute each, and a proof after each that nothing was lost
chaos MINUTES="10" SEED="1" TESTS="chaos::nothing_is_lost chaos::a_rolling_restart":
    cargo build --workspace --bins --locked
    for seed in $(seq {{SEED}} $(({{SEED}} + {{MINUTES}} - 1))); do \
        FAILSAFE_CHAOS_SECONDS=60 FAILSAFE_CHAOS_SEED=$seed cargo test --workspace --test it --locked -- --nocapture {{TESTS}} || exit 1; \
    done

# The same on a cluster of three NATS servers. With FAILSAFE_NATS_SERVER=/path/to/nats-server in front, either runs on that one
chaos-cluster MINUTES="10" SEED="1":
    just chaos {{MINUTES}} {{SEED}} chaos::cluster::

# The services of an older version, the last one that has a tag or FROM, are replaced one by one by these while deployments are submitted
upgrade FROM="1":
    cargo build --workspace --bins --locked
    FAILSAFE_UPGRADE={{FROM}} cargo test --workspace --test it --locked -- --nocapture upgrade::replaced::

# What this version, or FROM, says to PostgreSQL, for the next one to be tested against
record-trail FROM="":
    cargo build --workspace --bins --locked
    FAILSAFE_UPGRADE={{FROM}} FAILSAFE_RECORD={{justfile_directory()}}/tests/samples/trail.sql cargo test --workspace --test it --locked -- upgrade::record::

# What telemetry costs: verdicts a second without it and with a tenth of the traces sampled, by turns (deployments, rounds)
telemetry-cost *ARGUMENTS:
    cargo build --release --workspace --bins --locked
    target/release/telemetry-cost {{ARGUMENTS}}

# Train the model that comes with FailSafe anew, from services/ml-scoring/data
train:
    cargo build --workspace --bins --locked
    cargo run --quiet -- model train --name default-2 --out services/ml-scoring/model/default.json

# Write the page of the static rules anew
rules:
    cargo run --quiet -- rules list --format markdown > services/static-analysis/RULES.md

# Write the page of the model's features anew
features:
    cargo run --quiet -- model features --format markdown > services/ml-scoring/FEATURES.md

# Write the page of the metrics anew
metrics:
    cargo run --quiet -- metrics > deploy/metrics.md

# Licences, advisories and sources of the dependencies (cargo install cargo-deny)
deny:
    cargo deny --config deploy/deny.toml check
