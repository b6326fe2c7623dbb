//! `failsafe replay`: what is stored is decided again, and nothing is written.

use std::time::Duration;

use decision::policy::Policy;
use harness::binary;
use sqlx::Row;
use tokio::process::Command;

use crate::cases::{Database, aftermath, events};

const LAX: &str = "version = 'lax-1'\n[[rule]]\nname = 'risk'\nwhen = 'risk.probability >= 0.1'\neffect = 'block'\n";

#[tokio::test(flavor = "multi_thread")]
async fn stored_deployments_are_decided_again_without_touching_the_trail() {
    let database = Database::start().await;
    let (store, pool) = (database.store(Duration::from_secs(600)).await, database.pool().await);
    for number in 1..=12 {
        store.join(&events(number)).await.unwrap();
    }
    // The second is rejected by a person and fails in production.
    store.join(&aftermath(2)).await.unwrap();
    let count = async || -> i64 { sqlx::query("SELECT count(*) FROM events").fetch_one(&pool).await.unwrap().get(0) };
    let before = count().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lax.toml"), LAX).unwrap();
    let replay = async |arguments: &[&str]| {
        let output = Command::new(binary("failsafe"))
            .args(["replay", "--database-url", database.postgres.url()])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .await
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    // By the same policy nothing changes, whatever the person said.
    let (code, same) = replay(&[]).await;
    assert_eq!(code, Some(0), "{same}");
    assert!(same.contains("12 deployments decided again by policy default-2: 0 otherwise"), "{same}");
    // Six of twelve have a high risk; four have a finding, two of them both.
    let (code, lax) = replay(&["--policy", "lax.toml", "--html", "report.html"]).await;
    assert_eq!(code, Some(0), "{lax}");
    assert!(lax.contains("12 deployments decided again by policy lax-1: 6 otherwise"), "{lax}");
    assert!(lax.contains("failures captured 1 of 1 (100.0 %)"), "{lax}");
    assert!(lax.contains("acme/shop #2") && lax.contains("REVIEW → BLOCK (it failed)"), "{lax}");
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("lax-1") && !page.contains("src="), "{page}");
    let (code, told) = replay(&["--policy", "lax.toml", "--output", "json"]).await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let numbers = ["deployments", "changed"].map(|name| told[name].as_u64());
    assert_eq!((code, numbers), (Some(0), [Some(12), Some(6)]), "{told}");
    assert_eq!(told["after"]["failures_held_up"], 1, "{told}");
    assert!(told["stricter"].as_array().unwrap().iter().any(|one| one["name"] == "acme/shop #2"), "{told}");
    // The stored diffs are four letters that are no diff: said, and counted.
    let (_, again) = replay(&["--reanalyse"]).await;
    assert!(again.contains("12 times the stored diff cannot be read any more: its findings are taken"), "{again}");
    let (code, none) = replay(&["--since", "2000-01-01", "--until", "2000-01-02"]).await;
    assert!(code == Some(0) && none.contains("give an earlier"), "{none}");
    assert_eq!(replay(&["--since", "yesterday"]).await.0, Some(3));
    assert_eq!(count().await, before);

    // What the candidate in the shadow said is stored beside the verdict, and read back.
    let (_, none) = replay(&["--shadow"]).await;
    assert!(none.contains("a candidate in its shadow"), "{none}");
    store.shadow_by(Some(Policy::parse(LAX).unwrap())).await.unwrap();
    for number in 13..=18 {
        store.join(&events(number)).await.unwrap();
    }
    let (_, shadow) = replay(&["--shadow"]).await;
    assert!(shadow.contains("6 deployments decided again by policy lax-1: 3 otherwise"), "{shadow}");
}
