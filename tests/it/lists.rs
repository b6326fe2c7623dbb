//! What lists can be asked for, straight from the audit trail.

use std::time::Duration;

use decision::incoming::Content;
use decision::store::Store;
use domain::{Deployment, ListQuery, Order, Risk};

use crate::cases::{Database, deployment, events, incoming};

/// The pull requests of a page, in its order.
async fn numbers(store: &Store, query: &ListQuery) -> Vec<u32> {
    store.list(query).await.unwrap().deployments.iter().map(|found| found.pull_request).collect()
}

/// Those of even numbers have a risk of 0.2, the others of 0.01; static analysis finds something in each third.
async fn joined(store: &Store, number: u32) {
    let author = if number <= 2 { "ada" } else { "bob" };
    let mut all = events(number);
    let by = Deployment { author: author.to_owned(), ..deployment(number) };
    all[0] = incoming(by, Content::accepted);
    store.join(&all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_tell_an_authors_deployments_the_risky_ones_and_those_that_a_rule_found() {
    let database = Database::start().await;
    let store = database.store(Duration::from_secs(600)).await;
    for number in 1..=6 {
        joined(&store, number).await;
    }
    let all = || ListQuery { page_size: 100, ..ListQuery::default() };
    let risky = |risk| Risk::new(risk).ok();
    assert_eq!(numbers(&store, &ListQuery { author: Some("ada".to_owned()), ..all() }).await, [2, 1]);
    assert_eq!(numbers(&store, &ListQuery { min_risk: risky(0.1), ..all() }).await, [6, 4, 2]);
    assert_eq!(numbers(&store, &ListQuery { min_risk: risky(0.2), ..all() }).await, [6, 4, 2], "at least");
    assert!(numbers(&store, &ListQuery { min_risk: risky(0.3), ..all() }).await.is_empty());
    let rule = |rule: &str| ListQuery { rule_id: Some(rule.to_owned()), ..all() };
    assert_eq!(numbers(&store, &rule("code.test.rule")).await, [6, 3]);
    assert!(numbers(&store, &rule("code.test")).await.is_empty());
    let both = ListQuery { min_risk: risky(0.1), ..rule("code.test.rule") };
    assert_eq!(numbers(&store, &both).await, [6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_riskiest_come_first_and_pages_keep_their_place_while_others_come_in() {
    let database = Database::start().await;
    let store = database.store(Duration::from_secs(600)).await;
    for number in 1..=4 {
        joined(&store, number).await;
    }
    // Of this one nothing but the acceptance is known, and so no risk.
    store.join(&events(5)[..1]).await.unwrap();
    let riskiest = ListQuery { page_size: 2, order: Order::Riskiest, ..ListQuery::default() };
    let whole = ListQuery { page_size: 9, ..riskiest.clone() };
    assert_eq!(numbers(&store, &whole).await, [4, 2, 3, 1, 5]);

    let first = store.list(&riskiest).await.unwrap();
    assert_eq!(first.deployments.iter().map(|found| found.pull_request).collect::<Vec<_>>(), [4, 2]);
    let behind = first.next.unwrap();
    joined(&store, 6).await;
    let second = ListQuery { behind: Some(behind), ..riskiest.clone() };
    assert_eq!(numbers(&store, &second).await, [3, 1]);
    let behind = store.list(&second).await.unwrap().next.unwrap();
    let third = ListQuery { behind: Some(behind), ..riskiest };
    assert_eq!(numbers(&store, &third).await, [5]);
    assert_eq!(store.list(&third).await.unwrap().next, None);
}
