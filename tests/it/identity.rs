//! Who may do what at the front door: tokens, OpenID Connect and certificates, against the real gateway.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use gateway::identity::{Record, Scope, Token};
use harness::{Fleet, Receiver, binary, eventually, free_address};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::process::Command;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::issuer::{Issuer, Key, unsigned};
use crate::{diffs, http};

const REQUIRED: (&str, &str) = ("FAILSAFE__GATEWAY__AUTHENTICATION", "true");

fn submission(repository: &str, pull_request: u32) -> v1::SubmitDeploymentRequest {
    v1::SubmitDeploymentRequest {
        repository: repository.to_owned(),
        pull_request,
        change: Some(Change::Diff(diffs::harmless("orders"))),
        // What a sender says of who they are counts for nothing.
        submitted_by: "somebody else".to_owned(),
        ..Default::default()
    }
}

/// A message with what a caller shows.
fn shown<T>(message: T, credential: &str) -> Request<T> {
    let mut request = Request::new(message);
    if !credential.is_empty() {
        request.metadata_mut().insert("authorization", credential.parse().unwrap());
    }
    request
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

async fn submit(fleet: &Fleet, repository: &str, credential: &str) -> Result<String, Status> {
    let request = shown(submission(repository, 7), credential);
    fleet.client().submit_deployment(request).await.map(|answer| answer.into_inner().deployment_id)
}

/// `failsafe token …` on the fleet's NATS.
async fn token_command(fleet: &Fleet, arguments: &[&str]) -> Output {
    let command = Command::new(binary("failsafe"))
        .arg("token")
        .args(arguments)
        .env("FAILSAFE__NATS__URL", fleet.nats.url())
        .output();
    let output = command.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A new token, known to the gateway.
async fn token(fleet: &Fleet, name: &str, more: &[&str]) -> String {
    let arguments = [&["create", name], more].concat();
    let output = token_command(fleet, &arguments).await;
    let token = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let list = v1::ListDeploymentsRequest { repository: "acme/shop".to_owned(), ..Default::default() };
    eventually("the gateway knows the token", async || {
        let answer = fleet.client().list_deployments(shown(list.clone(), &bearer(&token))).await;
        answer.err().is_none_or(|status| status.code() != Code::Unauthenticated).then_some(())
    })
    .await;
    token
}

#[track_caller]
fn check(status: &Status, code: Code, reason: &str, case: &str) {
    assert_eq!(status.code(), code, "{case}: {status:?}");
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{case}: no reason in {status:?}"));
    assert_eq!((info.domain.as_str(), info.reason.as_str()), ("failsafe", reason), "{case}");
}

async fn published(fleet: &Fleet) -> u64 {
    fleet.jetstream().await.get_stream("FAILSAFE").await.unwrap().info().await.unwrap().state.messages
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// What GitHub Actions says of a workflow, as far as it matters here.
fn claims(issuer: &Issuer) -> Value {
    json!({
        "iss": issuer.url(), "aud": "failsafe.acme.example", "sub": "repo:acme/shop:ref:refs/heads/main",
        "repository": "acme/shop", "repository_owner": "acme", "ref": "refs/heads/main",
        "iat": now() - 5, "nbf": now() - 5, "exp": now() + 300,
    })
}

fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// The setting that believes `issuer`.
fn believed(issuer: &Issuer, more: &str) -> String {
    format!(
        r#"[{{name="github", issuer="{}", audience="failsafe.acme.example", claims={{repository_owner="acme"}}, repository_claim="repository", scopes=["submit", "read"]{more}}}]"#,
        issuer.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_refused_with_a_reason_and_nothing_is_published() {
    let issuer = Issuer::start().await;
    let (key, foreign) = (Key::rsa(), Key::ec());
    issuer.serve(&[key.jwk("a")]);
    let fleet = Fleet::start(&[("FAILSAFE__GATEWAY__OIDC", &believed(&issuer, ""))]).await;
    let reader = token(&fleet, "reader", &["--scope", "read"]).await;
    let elsewhere =
        token(&fleet, "elsewhere", &["--scope", "submit", "--repository", "acme/other", "--repository", "acme/x*"])
            .await;
    let revoked = token(&fleet, "revoked", &["--scope", "submit"]).await;
    token_command(&fleet, &["revoke", "revoked"]).await;
    eventually("the revocation is known", async || {
        submit(&fleet, "nobody's", &bearer(&revoked))
            .await
            .err()
            .filter(|status| status.code() == Code::Unauthenticated)
    })
    .await;
    let expired = expired_token(&fleet).await;

    let good = claims(&issuer);
    let signed = |changes: Value| bearer(&key.sign("a", &with(&good, changes)));
    let none = format!("{}.", unsigned(&json!({"typ": "JWT", "alg": "none"}), &good));
    let header = json!({"typ": "JWT", "alg": "HS256", "kid": "a"});
    let (invalid, no, denied) = ("CREDENTIALS_INVALID", Code::Unauthenticated, Code::PermissionDenied);
    let cases = [
        ("nothing", String::new(), no, "CREDENTIALS_MISSING"),
        ("another scheme", "Basic YWRtaW46YWRtaW4=".to_owned(), no, invalid),
        ("no token", bearer(""), no, invalid),
        ("a word", bearer("letmein"), no, invalid),
        ("a token that was never issued", bearer(Token::new().unwrap().reveal()), no, invalid),
        ("a token with a wrong checksum", bearer(&format!("{}0", &reader[..reader.len() - 1])), no, invalid),
        ("a revoked token", bearer(&revoked), no, invalid),
        ("an expired token", bearer(&expired), no, "CREDENTIALS_EXPIRED"),
        ("a token without the scope", bearer(&reader), denied, "SCOPE_MISSING"),
        ("a token of another repository", bearer(&elsewhere), denied, "REPOSITORY_NOT_PERMITTED"),
        ("an expired JWT", signed(json!({"exp": now() - 120})), no, "CREDENTIALS_EXPIRED"),
        ("a JWT of tomorrow", signed(json!({"nbf": now() + 86_400})), no, invalid),
        ("a JWT issued tomorrow", signed(json!({"iat": now() + 86_400})), no, invalid),
        ("a JWT of another issuer", signed(json!({"iss": "https://issuer.example"})), no, invalid),
        ("a JWT for another", signed(json!({"aud": "another"})), no, invalid),
        ("a JWT for nobody", signed(json!({"aud": null})), no, invalid),
        ("a JWT without an end", signed(json!({"exp": null})), no, invalid),
        ("a JWT of an unknown key", bearer(&key.sign("b", &good)), no, invalid),
        ("a JWT signed by another", bearer(&foreign.sign("a", &good)), no, invalid),
        ("a JWT whose claims were changed", changed(&key.sign("a", &good)), no, invalid),
        ("a JWT signed by nobody", bearer(&none), no, invalid),
        ("a JWT signed by the public key", bearer(&hmac_by_public_key(&header, &good, &key)), no, invalid),
        ("a JWT of another owner", signed(json!({"repository_owner": "evil"})), denied, "CLAIMS_NOT_PERMITTED"),
        (
            "a JWT of another repository",
            signed(json!({"repository": "acme/other"})),
            denied,
            "REPOSITORY_NOT_PERMITTED",
        ),
    ];
    for (case, credential, code, reason) in &cases {
        let status = submit(&fleet, "acme/shop", credential).await.expect_err(case);
        check(&status, *code, reason, case);
        let told = format!("{status:?}");
        let secret = credential.split(' ').next_back().unwrap();
        assert!(secret.len() < 8 || !told.contains(secret), "{case}: the credential is in the answer");
    }
    by_http(&fleet, &cases).await;
    let status = submit(&fleet, "acme/shop", &bearer(&reader)).await.unwrap_err();
    assert!(status.message().contains("submit"), "the scope is named: {status:?}");
    assert_eq!(published(&fleet).await, 0, "nothing was published");
    assert!(issuer.asked() <= 2, "unknown keys have the issuer asked {} times", issuer.asked());
    // The same credentials where they are right.
    submit(&fleet, "acme/other", &bearer(&elsewhere)).await.unwrap();
    submit(&fleet, "acme/shop", &signed(json!({}))).await.unwrap();
    // Anybody may ask for the health, which the gateway finds out now and then.
    let mut health = tonic_health::pb::health_client::HealthClient::new(fleet.channel());
    eventually("the gateway serves", async || {
        let asked = health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap().into_inner();
        (asked.status() == tonic_health::pb::health_check_response::ServingStatus::Serving).then_some(())
    })
    .await;
}

/// The same refusals where no gRPC is spoken.
async fn by_http(fleet: &Fleet, cases: &[(&str, String, Code, &str)]) {
    for (case, credential, code, reason) in cases {
        let url = format!("http://{}/analyze?repo=acme/shop&pr_id=7", fleet.http());
        let mut request = http::client().post(url).body(diffs::harmless("x"));
        if !credential.is_empty() {
            request = request.header("authorization", credential);
        }
        let response = request.send().await.unwrap();
        let expected = if *code == Code::Unauthenticated { 401 } else { 403 };
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        assert!(status == expected && text.contains(reason), "{case}: {status} {text}");
    }
}

/// A token that was issued and has expired: the command line makes none.
async fn expired_token(fleet: &Fleet) -> String {
    let token = Token::new().unwrap();
    let record = Record {
        name: "expired".to_owned(),
        sha256: token.hash(),
        scopes: vec![Scope::Submit],
        repositories: vec![],
        created_at: OffsetDateTime::UNIX_EPOCH,
        expires_at: Some(OffsetDateTime::now_utc()),
        revoked_at: None,
    };
    let bucket = fleet.jetstream().await.get_key_value("failsafe-tokens").await.unwrap();
    bucket.put(record.id(), serde_json::to_string(&record).unwrap().into()).await.unwrap();
    eventually("the gateway knows the expired token", async || {
        let status = submit(fleet, "nobody's", &bearer(token.reveal())).await.unwrap_err();
        let reason = status.get_details_error_info()?.reason;
        (reason == "CREDENTIALS_EXPIRED").then_some(())
    })
    .await;
    token.reveal().to_owned()
}

/// The JWT with other claims behind the same signature.
fn changed(token: &str) -> String {
    use base64::Engine;
    let coding = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let parts: Vec<&str> = token.split('.').collect();
    let claims = String::from_utf8(coding.decode(parts[1]).unwrap()).unwrap();
    let claims = coding.encode(claims.replace("refs/heads/main", "refs/heads/evil"));
    bearer(&format!("{}.{claims}.{}", parts[0], parts[2]))
}

/// The attack on those who take a public key for a shared secret.
fn hmac_by_public_key(header: &Value, claims: &Value, key: &Key) -> String {
    use base64::Engine;
    let message = unsigned(header, claims);
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.jwk("a").to_string().as_bytes());
    let tag = ring::hmac::sign(&secret, message.as_bytes());
    format!("{message}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_submits_watches_and_looks_up_its_own_repository_alone() {
    let issuer = Issuer::start().await;
    let keys = [("a", Key::rsa()), ("b", Key::ec()), ("c", Key::ed())];
    issuer.serve(&keys[..2].iter().map(|(id, key)| key.jwk(id)).collect::<Vec<_>>());
    let fleet = Fleet::start(&[("FAILSAFE__GATEWAY__OIDC", &believed(&issuer, ", keys_retry_s=0"))]).await;
    let rsa = bearer(&keys[0].1.sign("a", &claims(&issuer)));
    let id = submit(&fleet, "acme/shop", &rsa).await.unwrap();
    // At once, when nobody has accepted it yet.
    let watch = v1::WatchDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
    let mut stages = fleet.client().watch_deployment(shown(watch.clone(), &rsa)).await.unwrap().into_inner();
    while stages.message().await.unwrap().is_some() {}
    let get = v1::GetDeploymentRequest { deployment_id: id, ..Default::default() };
    let known = eventually("the audit trail knows it", async || {
        let known = fleet.client().get_deployment(shown(get.clone(), &rsa)).await.ok()?.into_inner();
        (!known.verdicts.is_empty()).then_some(known)
    })
    .await;
    assert_eq!(known.deployment.unwrap().submitted_by, "github:repo:acme/shop:ref:refs/heads/main");
    // Its list is that of its repository, whether or not it says so.
    let list =
        fleet.client().list_deployments(shown(v1::ListDeploymentsRequest::default(), &rsa)).await.unwrap().into_inner();
    assert_eq!(list.deployments.len(), 1);

    // Another repository of the same owner, with another key.
    let other =
        bearer(&keys[1].1.sign("b", &with(&claims(&issuer), json!({"repository": "acme/other", "sub": "another"}))));
    let refused = fleet.client().get_deployment(shown(get.clone(), &other)).await.unwrap_err();
    check(&refused, Code::PermissionDenied, "REPOSITORY_NOT_PERMITTED", "get");
    assert!(!refused.message().contains("acme/shop"), "it does not learn of which repository it is: {refused:?}");
    let refused = fleet.client().watch_deployment(shown(watch, &other)).await.unwrap_err();
    check(&refused, Code::PermissionDenied, "REPOSITORY_NOT_PERMITTED", "watch");
    let list = v1::ListDeploymentsRequest { repository: "acme/shop".to_owned(), ..Default::default() };
    let refused = fleet.client().list_deployments(shown(list, &other)).await.unwrap_err();
    check(&refused, Code::PermissionDenied, "REPOSITORY_NOT_PERMITTED", "list");
    let outcome = v1::RecordOutcomeRequest {
        deployment_id: get.deployment_id,
        kind: v1::OutcomeKind::Succeeded.into(),
        ..Default::default()
    };
    let refused = fleet.client().record_outcome(shown(outcome, &rsa)).await.unwrap_err();
    check(&refused, Code::PermissionDenied, "SCOPE_MISSING", "who submits does not say how it went");

    // The issuer changes its keys.
    let ed = bearer(&keys[2].1.sign("c", &claims(&issuer)));
    check(
        &submit(&fleet, "acme/shop", &ed).await.unwrap_err(),
        Code::Unauthenticated,
        "CREDENTIALS_INVALID",
        "not yet",
    );
    issuer.serve(&[keys[2].1.jwk("c")]);
    submit(&fleet, "acme/shop", &ed).await.unwrap();
    check(
        &submit(&fleet, "acme/shop", &rsa).await.unwrap_err(),
        Code::Unauthenticated,
        "CREDENTIALS_INVALID",
        "any more",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_trail_says_who_spoke_and_for_whom() {
    let fleet = Fleet::start(&[REQUIRED]).await;
    let ann = bearer(&token(&fleet, "ann", &["--scope", "submit,read,review"]).await);
    let boss = bearer(&token(&fleet, "boss", &["--scope", "admin"]).await);
    let blocked = v1::SubmitDeploymentRequest {
        change: Some(Change::Diff(include_str!("../samples/aws-key.diff").to_owned())),
        ..submission("acme/shop", 8)
    };
    let id = fleet.client().submit_deployment(shown(blocked, &ann)).await.unwrap().into_inner().deployment_id;
    let known = async |enough: &dyn Fn(&v1::GetDeploymentResponse) -> bool| {
        let get = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
        eventually("the audit trail knows it", async || {
            let known = fleet.client().get_deployment(shown(get.clone(), &ann)).await.ok()?.into_inner();
            enough(&known).then_some(known)
        })
        .await
    };
    let verdict = known(&|known| !known.verdicts.is_empty()).await.verdicts[0].judgement.as_ref().unwrap().verdict();
    assert_eq!(verdict, v1::Verdict::Block);
    let review = |decision: v1::ReviewDecision, reviewer: &str| v1::ReviewDeploymentRequest {
        deployment_id: id.clone(),
        decision: decision.into(),
        reviewer: reviewer.to_owned(),
        why: "I looked at it".to_owned(),
        ..Default::default()
    };
    for (decision, reviewer, reason) in [
        (v1::ReviewDecision::Rejected, "bob", "SCOPE_MISSING"),
        (v1::ReviewDecision::Approved, "", "SCOPE_MISSING"),
        (v1::ReviewDecision::Emergency, "ann", "SCOPE_MISSING"),
    ] {
        let status = fleet.client().review_deployment(shown(review(decision, reviewer), &ann)).await.unwrap_err();
        check(&status, Code::PermissionDenied, reason, &format!("{decision:?} by {reviewer:?}"));
    }
    fleet.client().review_deployment(shown(review(v1::ReviewDecision::Rejected, ""), &ann)).await.unwrap();
    known(&|known| known.reviews.len() == 1).await;
    fleet.client().review_deployment(shown(review(v1::ReviewDecision::Emergency, "grace"), &boss)).await.unwrap();
    let outcome = v1::RecordOutcomeRequest {
        deployment_id: id.clone(),
        kind: v1::OutcomeKind::RolledBack.into(),
        reporter: "argo".to_owned(),
        ..Default::default()
    };
    fleet.client().record_outcome(shown(outcome, &boss)).await.unwrap();
    let all = known(&|known| known.reviews.len() == 2 && known.outcomes.len() == 1).await;
    let reviews: Vec<_> = all.reviews.iter().map(|review| (&*review.reviewer, &*review.recorded_by)).collect();
    assert_eq!(reviews, [("ann", "ann"), ("grace", "boss")]);
    assert_eq!((&*all.outcomes[0].reporter, &*all.outcomes[0].recorded_by), ("argo", "boss"));
    assert_eq!(all.deployment.unwrap().submitted_by, "ann");
    let status = asked(&fleet, &["status", &id], &[("FAILSAFE_TOKEN", ann.trim_start_matches("Bearer "))]).await;
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    for part in ["submitted by ann", "rejected by ann (", "by grace, recorded by boss", "says argo, recorded by boss"] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// The command line, asking the fleet's gateway.
async fn asked(fleet: &Fleet, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary("failsafe"));
    command.args(arguments).env("FAILSAFE_SERVER", format!("http://{}", fleet.gateway())).stdin(Stdio::null());
    command.envs(environment.iter().copied()).output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_is_ever_logged_traced_or_printed() {
    let receiver = Receiver::start().await;
    let issuer = Issuer::start().await;
    let key = Key::rsa();
    issuer.serve(&[key.jwk("a")]);
    let fleet = Fleet::start(&[
        ("FAILSAFE__GATEWAY__OIDC", &believed(&issuer, "")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address()),
        ("RUST_LOG", "debug"),
    ])
    .await;
    let good = token(&fleet, "ann", &["--scope", "submit,read"]).await;
    let revoked = token(&fleet, "old", &["--scope", "submit"]).await;
    token_command(&fleet, &["revoke", "old"]).await;
    let jwt = key.sign("a", &claims(&issuer));
    let wrong = key.sign("a", &with(&claims(&issuer), json!({"aud": "another"})));
    let secrets = [good.as_str(), &revoked, &jwt, &wrong, "fsk_nonsense"];
    let mut printed = String::new();
    for secret in secrets {
        let file = fleet.folder().join("token");
        std::fs::write(&file, secret).unwrap();
        let file = file.to_str().unwrap();
        for arguments in
            [vec!["list", "--repository", "acme/shop"], vec!["status", "6f1d8c0e-2b7a-5d43-9e54-0fa115afe001"]]
        {
            let arguments = [arguments.as_slice(), &["--token-file", file]].concat();
            let output = asked(&fleet, &arguments, &[("RUST_LOG", "debug")]).await;
            printed.push_str(&String::from_utf8_lossy(&output.stdout));
            printed.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        let _ = submit(&fleet, "acme/shop", &bearer(secret)).await;
    }
    let spans = eventually("the spans of the calls", async || {
        let spans = format!("{:?}", receiver.all());
        spans.contains("SubmitDeployment").then_some(spans)
    })
    .await;
    let listed = String::from_utf8(token_command(&fleet, &["list", "--output", "json"]).await.stdout).unwrap();
    let logged = harness::SERVICES.map(|service| fleet.logged(service)).join("\n");
    assert!(logged.contains("refused SubmitDeployment from 127.0.0.1"), "what was refused is logged");
    for secret in secrets {
        // The signature alone would be enough, and so would most of the rest.
        let parts = secret.split('.').filter(|part| part.len() > 12).map(|part| &part[part.len() - 12..]);
        for part in parts.chain([secret]) {
            for (place, text) in
                [("the logs", &logged), ("the spans", &spans), ("the terminal", &printed), ("the list", &listed)]
            {
                assert!(!text.contains(part), "a credential is in {place}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_of_addresses_and_settings_are_never_logged() {
    let fleet = Fleet::servers(&[]).await;
    let host = fleet.nats.url().trim_start_matches("nats://").to_owned();
    let dead = free_address();
    for (service, name, address) in [
        ("ingest", "FAILSAFE__NATS__URL", format!("nats://ann:open-sesame@{dead}")),
        ("decision", "FAILSAFE__DATABASE__URL", format!("postgres://ann:open-sesame@{dead}/failsafe")),
    ] {
        let mut command = Command::new(binary(service));
        command.env("FAILSAFE__NATS__URL", format!("nats://{host}")).env("RUST_LOG", "debug").env(name, address);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stderr.take().unwrap()));
        let mut logged = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            logged.push_str(&line);
            if line.contains("waiting for") || line.contains("ends:") || line.contains("PostgreSQL") {
                break;
            }
        }
        child.kill().await.unwrap();
        assert!(!logged.is_empty() && !logged.contains("open-sesame"), "{service}: {logged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_anybody_could_reach_and_nobody_guards_does_not_start() {
    let fleet = Fleet::servers(&[]).await;
    let gateway = |more: &'static [(&'static str, &'static str)]| {
        let address = free_address().replace("127.0.0.1", "0.0.0.0");
        let command = Command::new(binary("gateway"))
            .env("FAILSAFE__NATS__URL", fleet.nats.url())
            .env("FAILSAFE__GATEWAY__LISTEN", address)
            .env("FAILSAFE__GATEWAY__HTTP_LISTEN", free_address())
            .envs(more.iter().copied())
            .output();
        async { command.await.unwrap() }
    };
    let output = gateway(&[]).await;
    let logged = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{logged}");
    assert!(logged.contains("gateway.authentication = true") && logged.contains("deploy/identity.md"), "{logged}");
    let both = gateway(&[REQUIRED, ("FAILSAFE__GATEWAY__ALLOW_ANONYMOUS", "true")]).await;
    assert_eq!(both.status.code(), Some(1));
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/identity.md").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_needs_a_token_where_authentication_is_on_and_none_where_it_is_off() {
    let mut fleet = Fleet::servers(&[]).await;
    fleet.spawn("decision");
    fleet.spawn("gateway");
    fleet.serving("decision").await;
    fleet.serving("gateway").await;
    fleet.client().list_deployments(v1::ListDeploymentsRequest::default()).await.unwrap();
    // Whoever shows something is held to it.
    let wrong = shown(v1::ListDeploymentsRequest::default(), "Bearer letmein");
    check(
        &fleet.client().list_deployments(wrong).await.unwrap_err(),
        Code::Unauthenticated,
        "CREDENTIALS_INVALID",
        "off",
    );
}
