//! The identity of a GitHub workflow, asked for from GitHub: a token that says for which repository it runs, instead of a stored
//! secret. <https://docs.github.com/actions/reference/security/oidc>
//!
//! Only a job with `id-token: write` has the two variables by which it is asked for.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use serde::Deserialize;

use crate::candidate::Environment;

/// Where GitHub gives the token out, and what it is asked with.
const ADDRESS: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const PERMIT: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
/// How long that may take, and how long an answer may be.
const PATIENCE: Duration = Duration::from_secs(20);
const BYTES_MAX: usize = 64 << 10;

/// What GitHub answers.
#[derive(Deserialize)]
struct Answer {
    value: String,
}

/// The token for `audience`; `None` where no GitHub workflow may ask for one.
///
/// # Errors
/// When GitHub gives none. Neither the permit nor the token is told.
pub(crate) async fn token(environment: &Environment, audience: &str) -> anyhow::Result<Option<String>> {
    let Some((address, permit)) = environment.get(ADDRESS).zip(environment.get(PERMIT)) else { return Ok(None) };
    let asking = || format!("cannot ask GitHub for the workflow's identity ({ADDRESS})");
    let mut address: reqwest::Url = address.parse().map_err(|_| anyhow!("{ADDRESS} is no address"))?;
    address.query_pairs_mut().append_pair("audience", audience);
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
    // The address of an error is left out: it is GitHub's, and long.
    let sent = client.get(address).bearer_auth(permit).send().await.map_err(reqwest::Error::without_url);
    let mut response = sent.with_context(asking)?;
    let status = response.status();
    ensure!(status.is_success(), "GitHub gives no identity to this workflow: it answers {status}");
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url).with_context(asking)? {
        ensure!(body.len() + chunk.len() <= BYTES_MAX, "GitHub's answer is longer than {BYTES_MAX} bytes");
        body.extend_from_slice(&chunk);
    }
    // What cannot be read may be the token all the same.
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| anyhow!("GitHub's answer holds no identity"))?;
    ensure!(!answer.value.is_empty(), "GitHub's answer holds no identity");
    Ok(Some(answer.value))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What stands in GitHub's place: answers one request, and gives what it was asked.
    async fn github(listener: TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            asked.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    }

    async fn asked(answer: &str) -> (anyhow::Result<Option<String>>, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/token?api-version=2.0", listener.local_addr().unwrap());
        let environment = Environment::of(&[(ADDRESS, address.as_str()), (PERMIT, "permit")]);
        let (token, asked) = tokio::join!(token(&environment, "failsafe"), github(listener, answer));
        (token, asked)
    }

    #[tokio::test]
    async fn a_workflow_that_may_is_given_its_identity() {
        let body = r#"{"count":1,"value":"a.jwt.token"}"#;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let (token, asked) = asked(&answer).await;
        assert_eq!(token.unwrap().as_deref(), Some("a.jwt.token"));
        assert!(asked.starts_with("GET /token?api-version=2.0&audience=failsafe "), "{asked}");
        assert!(asked.contains("authorization: Bearer permit"), "{asked}");
    }

    #[tokio::test]
    async fn what_github_refuses_is_told_without_the_permit() {
        let (token, _) = asked("HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\nconnection: close\r\n\r\npermit").await;
        let error = format!("{:#}", token.unwrap_err());
        assert!(error.contains("403") && !error.contains("permit"), "{error}");
    }

    #[tokio::test]
    async fn elsewhere_nobody_is_asked() {
        assert!(token(&Environment::of(&[(ADDRESS, "http://127.0.0.1:9/")]), "failsafe").await.unwrap().is_none());
    }
}
