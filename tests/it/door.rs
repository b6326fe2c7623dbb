//! What the front door refuses before it looks at a call: names that are not its own, and callers who failed too often.

use std::time::Duration;

use gateway::identity::Token;
use harness::{Fleet, eventually};
use proto::v1;
use serde_json::Value;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::http;
use crate::issuer::{Issuer, Key};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_has_its_own_name_mean_this_machine_reads_nothing() {
    let fleet = Fleet::start(&[("FAILSAFE__GATEWAY__HTTP_HOSTS", r#"["failsafe.acme.example"]"#)]).await;
    let port = fleet.http().split(':').next_back().unwrap();
    let asked_as = async |path: &str, host: &str| {
        let request = http::client().get(format!("http://{}{path}", fleet.http())).header("host", host);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for path in ["/v1/deployments", "/", "/openapi.json"] {
        for own in ["127.0.0.1", "localhost", "[::1]", "failsafe.acme.example"] {
            assert_eq!(asked_as(path, &format!("{own}:{port}")).await.0, 200, "{own}{path}");
        }
        let (status, said) = asked_as(path, &format!("rebound.evil.example:{port}")).await;
        assert!(status == 403 && said.contains("HOST_NOT_PERMITTED"), "{path}: {status} {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_fail_too_often_are_not_looked_at_for_a_while() {
    let (issuer, key) = (Issuer::start().await, Key::ec());
    issuer.serve(&[key.jwk("a")]);
    let believed = format!(
        r#"[{{name="github", issuer="{}", audience="a", claims={{repository_owner="acme"}}, scopes=["read"], keys_retry_s=1}}]"#,
        issuer.url()
    );
    let settings = [
        ("FAILSAFE__GATEWAY__OIDC", believed.as_str()),
        // One is given back after twelve seconds.
        ("FAILSAFE__GATEWAY__FAILED_LOGINS_PER_MINUTE_MAX", "5"),
    ];
    let fleet = Fleet::start(&settings).await;
    let list = async |credential: &str| {
        let mut request = Request::new(v1::ListDeploymentsRequest::default());
        if !credential.is_empty() {
            request.metadata_mut().insert("authorization", format!("Bearer {credential}").parse().unwrap());
        }
        fleet.client().list_deployments(request).await.unwrap_err()
    };
    for _ in 0..5 {
        assert_eq!(list(Token::new().unwrap().reveal()).await.code(), Code::Unauthenticated);
    }
    let asked = issuer.asked();
    // Whatever it is: a JWT of a key that the issuer would be asked for is not read.
    let unknown = key.sign("b", &serde_json::json!({"iss": issuer.url(), "aud": "a", "exp": 4_000_000_000_u64}));
    let refused = list(&unknown).await;
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(refused.get_details_error_info().unwrap().reason, "TOO_MANY_FAILED_LOGINS");
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(12), "{wait:?}");
    let answer = http::client().get(format!("http://{}/v1/deployments", fleet.http())).bearer_auth(&unknown);
    let answer = answer.send().await.unwrap();
    let again: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(answer.status() == 429 && (1..=12).contains(&again), "{answer:?}");
    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(said["code"], 8);
    assert_eq!(issuer.asked(), asked, "the issuer is not asked");
    // Who shows nothing tried nothing.
    assert_eq!(list("").await.code(), Code::Unauthenticated);
    eventually("one login may fail again", async || {
        (list(&unknown).await.code() == Code::Unauthenticated).then_some(())
    })
    .await;
}
