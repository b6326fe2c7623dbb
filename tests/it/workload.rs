//! A workflow of GitHub Actions from end to end: the steps of `deploy/action.yml` as a runner runs them, with the identity that GitHub
//! gives a workflow instead of a stored secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use harness::{Fleet, binary};
use proto::v1;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tonic::Request;

use crate::gate::{Ran, Shop, Step, server};
use crate::issuer::{Issuer, Key};

/// What a runner asks GitHub with.
const PERMIT: &str = "the-permit-of-this-job";

/// The place where GitHub gives out the identity of one workflow, for whatever audience it is asked.
struct GitHub {
    url: String,
    /// Every identity that was given out.
    given: Arc<Mutex<Vec<String>>>,
}

impl GitHub {
    /// For a workflow of `repository`, whose identities `key` signs for `issuer`.
    async fn of(repository: &'static str, issuer: &Issuer, key: Arc<Key>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/identity?api-version=2.0", listener.local_addr().unwrap());
        let (given, issuer) = (Arc::<Mutex<Vec<String>>>::default(), issuer.url().to_owned());
        let gives = Arc::clone(&given);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let (target, headers) = asked(&mut stream).await;
                let permitted = headers.contains(&format!("authorization: Bearer {PERMIT}"));
                let audience = target.split("audience=").nth(1).map(|rest| rest.split('&').next().unwrap());
                let Some(audience) = audience.filter(|_| permitted) else {
                    let _ = stream.write_all(&answer("403 Forbidden", b"")).await;
                    continue;
                };
                let token = key.sign("a", &claims(&issuer, repository, audience));
                let body = json!({ "count": 1, "value": token }).to_string();
                gives.lock().unwrap().push(token);
                let _ = stream.write_all(&answer("200 OK", body.as_bytes())).await;
            }
        });
        Self { url, given }
    }
}

fn claims(issuer: &str, repository: &str, audience: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": issuer, "aud": audience, "sub": format!("repo:{repository}:pull_request"),
        "repository": repository, "repository_owner": repository.split('/').next().unwrap(),
        "iat": now - 5, "nbf": now - 5, "exp": now + 300,
    })
}

/// A request's target, and its headers.
async fn asked<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> (String, Vec<String>) {
    let (mut request, mut headers, mut line) = (String::new(), Vec::new(), String::new());
    stream.read_line(&mut request).await.unwrap();
    while stream.read_line(&mut line).await.unwrap() > 2 {
        headers.push(line.trim().to_owned());
        line.clear();
    }
    (request.split(' ').nth(1).unwrap_or_default().to_owned(), headers)
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A place that the program can be fetched from, by https alone; and the file of its certificate.
async fn download(folder: &Path, program: Vec<u8>) -> (String, PathBuf) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let path = folder.join("download.pem");
    std::fs::write(&path, certificate.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/failsafe", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, &program).await;
            }
        }
    });
    (url, path)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, body: &[u8]) {
    let mut stream = BufReader::new(stream);
    asked(&mut stream).await;
    let _ = stream.write_all(&answer("200 OK", body)).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// The Action as a runner sees it.
struct Action {
    inputs: BTreeMap<String, String>,
    steps: Vec<Value>,
}

impl Action {
    /// With these inputs, and the defaults of all others.
    fn with(given: &[(&str, &str)]) -> Self {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/action.yml")).unwrap();
        let action: Value =
            serde_json::to_value(serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&text).unwrap()).unwrap();
        let defaults = action["inputs"].as_object().unwrap().iter();
        let text = |value: &Value| value["default"].as_str().unwrap_or_default().to_owned();
        let mut inputs: BTreeMap<_, _> = defaults.map(|(name, about)| (name.clone(), text(about))).collect();
        for (name, value) in given {
            assert!(inputs.insert((*name).to_owned(), (*value).to_owned()).is_some(), "there is no input {name}");
        }
        Self { inputs, steps: action["runs"]["steps"].as_array().unwrap().clone() }
    }

    /// What an expression such as `${{ inputs.server }}` stands for.
    fn value(&self, expression: &str, outputs: &BTreeMap<String, String>) -> String {
        let name = expression.trim_start_matches("${{").trim_end_matches("}}").trim();
        let input = name.strip_prefix("inputs.").map(|name| &self.inputs[name]);
        input.or_else(|| outputs.get(name)).cloned().unwrap_or_default()
    }

    /// Runs the steps one after the other until one fails, as a runner does.
    async fn run(&self, step: &Step, shop: &Shop, environment: &[(&str, &str)]) -> Ran {
        let mut outputs = BTreeMap::new();
        let mut last = None;
        for (number, one) in self.steps.iter().enumerate() {
            // The only condition that there is.
            if let Some(condition) = one["if"].as_str() {
                let input = condition.strip_suffix(" != ''").unwrap();
                if self.value(input, &outputs).is_empty() {
                    continue;
                }
            }
            let script = step.file(&format!("step-{number}.sh"));
            std::fs::write(&script, one["run"].as_str().unwrap()).unwrap();
            let mut bash = Command::new("bash");
            bash.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(&script).current_dir(shop.path()).env_clear();
            step.set(&mut bash);
            let variables = one["env"].as_object().unwrap().iter();
            bash.envs(variables.map(|(name, value)| (name, self.value(value.as_str().unwrap(), &outputs))));
            bash.envs(environment.iter().copied()).env("RUNNER_TEMP", step.file("temp")).stdin(Stdio::null());
            let output = bash.output().await.unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            let ran = Ran { code: output.status.code(), out: text(output.stdout), log: text(output.stderr) };
            let written = std::fs::read_to_string(step.file("outputs")).unwrap_or_default();
            let id = one["id"].as_str().unwrap();
            outputs.extend(written.lines().filter_map(|line| {
                let (name, value) = line.split_once('=')?;
                Some((format!("steps.{id}.outputs.{name}"), value.to_owned()))
            }));
            let failed = ran.code != Some(0);
            last = Some(ran);
            if failed {
                break;
            }
        }
        last.expect("a step ran")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_submits_and_gates_without_a_stored_secret_and_a_foreign_one_is_refused() {
    let (issuer, key) = (Issuer::start().await, Arc::new(Key::rsa()));
    issuer.serve(&[key.jwk("a")]);
    let believed = format!(
        r#"[{{name="github", issuer="{}", audience="failsafe", claims={{repository_owner="acme"}}, repository_claim="repository", scopes=["submit", "read"]}}]"#,
        issuer.url()
    );
    let fleet = Fleet::start(&[("FAILSAFE__GATEWAY__OIDC", &believed)]).await;
    let shop = Shop::new().await;
    // The program is fetched: a script, in the place of one.
    let program = format!("#!/bin/sh\nexec {} \"$@\"\n", binary("failsafe").display());
    let sha256 = domain::identity::sha256_hex(program.as_bytes());
    let (program_url, certificate) = download(fleet.folder(), program.into_bytes()).await;
    let address = server(&fleet);
    let inputs = [("server", address.as_str()), ("program-url", &program_url), ("program-sha256", &sha256)];
    let run_as = async |step: &Step, github: &GitHub, permit: &str| {
        let environment = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", github.url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", permit),
            ("CURL_CA_BUNDLE", certificate.to_str().unwrap()),
        ];
        Action::with(&inputs).run(step, &shop, &environment).await
    };
    let events = async || {
        let mut stream = fleet.jetstream().await.get_stream(proto::event::STREAM).await.unwrap();
        stream.info().await.unwrap().state.messages
    };

    // Refused: nothing is published, and the job fails.
    for (repository, permit, part) in [
        ("evil/shop", PERMIT, "permit nothing to whom the token speaks for"),
        ("acme/other", PERMIT, "may not work on acme/shop"),
        ("acme/shop", "another job's", "GitHub gives no identity to this workflow"),
    ] {
        let github = GitHub::of(repository, &issuer, Arc::clone(&key)).await;
        let step = Step::of(&shop).await;
        let ran = run_as(&step, &github, permit).await;
        assert!(ran.code == Some(3) && ran.log.contains(part), "{repository}: {:?} {} {}", ran.code, ran.out, ran.log);
        let outputs = std::fs::read_to_string(step.file("outputs")).unwrap_or_default();
        assert!(!outputs.contains("verdict="), "{repository}: {outputs}");
        assert_eq!(events().await, 0, "{repository}");
    }

    let github = GitHub::of("acme/shop", &issuer, Arc::clone(&key)).await;
    let step = Step::of(&shop).await;
    let ran = run_as(&step, &github, PERMIT).await;
    assert_eq!(ran.code, Some(1), "BLOCK: {} {}", ran.out, ran.log);
    let outputs = std::fs::read_to_string(step.file("outputs")).unwrap();
    let output = |name: &str| outputs.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
    assert_eq!(output("verdict"), "BLOCK");
    let page = std::fs::read_to_string(step.file("page.md")).unwrap();
    assert!(page.contains("FailSafe: BLOCK"), "{page}");
    let given = github.given.lock().unwrap().clone();
    assert!(!given.is_empty());
    for token in &given {
        let told = [&ran.out, &ran.log, &page, &outputs].map(|text| text.contains(token.as_str()));
        assert_eq!(told, [false; 4], "the identity is told to nobody");
    }
    // Who submitted is known by the identity.
    let mut get = Request::new(v1::GetDeploymentRequest {
        deployment_id: output("deployment-id").to_owned(),
        ..Default::default()
    });
    get.metadata_mut().insert("authorization", format!("Bearer {}", given[0]).parse().unwrap());
    let known = fleet.client().get_deployment(get).await.unwrap().into_inner();
    let deployment = known.deployment.unwrap();
    assert_eq!(
        (deployment.repository.as_str(), deployment.submitted_by.as_str()),
        ("acme/shop", "github:repo:acme/shop:pull_request")
    );

    // A program that is not the one that was meant is not run.
    let wrong = [inputs[0], inputs[1], ("program-sha256", &"0".repeat(64))];
    let environment = [("CURL_CA_BUNDLE", certificate.to_str().unwrap())];
    let before = events().await;
    let ran = Action::with(&wrong).run(&Step::of(&shop).await, &shop, &environment).await;
    assert!(ran.code == Some(1) && ran.out.contains("FAILED"), "{:?} {} {}", ran.code, ran.out, ran.log);
    assert_eq!(events().await, before);
}
