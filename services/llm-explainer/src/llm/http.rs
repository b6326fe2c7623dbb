//! HTTP to the model's server: what goes out and what comes back, within limits of size and time.

use std::error::Error;
use std::time::Duration;

use anyhow::Context;
use reqwest::{Client, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::Unanswered;
use crate::config::{ApiKey, Config};
use crate::text::one_line;

/// Most bytes of a list of models.
const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most characters of what a server says.
const SAID_CHARS_MAX: usize = 200;

/// The server.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
    /// Ends with a slash.
    url: Url,
    key: Option<ApiKey>,
    stall_ms: u64,
    answer_bytes_max: usize,
}

impl Http {
    /// The server at the address `text`.
    ///
    /// # Errors
    /// What is wrong with the address, naming the setting.
    pub(super) fn new(text: &str, config: &Config) -> anyhow::Result<Self> {
        let mut url: Url = text.parse().map_err(|e| anyhow::anyhow!("model_url is not an address ({e}): {text:?}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            anyhow::bail!("model_url must begin with http:// or https:// and name a host, not {text:?}");
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        // No proxy: what is asked tells about code that is not public, and the server is a local one.
        let mut client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
            .user_agent(concat!("failsafe/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &config.ca_path {
            let pem = std::fs::read(path).with_context(|| format!("cannot read ca_path {}", path.display()))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem);
            let authorities =
                authorities.with_context(|| format!("ca_path {} holds no certificates in PEM", path.display()))?;
            client = client.tls_certs_only(authorities);
        }
        let client = client.build()?;
        Ok(Self {
            client,
            url,
            key: config.api_key.clone().filter(|key| !key.is_empty()),
            stall_ms: config.stall_timeout_ms,
            answer_bytes_max: config.answer_bytes_max,
        })
    }

    /// Its host and port.
    pub(super) fn server(&self) -> (&str, u16) {
        (self.url.host_str().unwrap_or_default(), self.url.port_or_known_default().unwrap_or_default())
    }

    /// The address of `path`. People give addresses with and without the version that an OpenAI-compatible path begins with.
    pub(super) fn at(&self, path: &str) -> Url {
        let path = if self.url.path().ends_with("/v1/") { path.trim_start_matches("v1/") } else { path };
        self.url.join(path).expect("a fixed relative path joins every http address")
    }

    /// Asks; what comes back is only begun.
    pub(super) async fn post<Q: Serialize + Sync>(&self, path: &str, question: &Q) -> Result<Response, Unanswered> {
        self.send(self.client.post(self.at(path)).json(question)).await
    }

    /// What the server tells on that path.
    pub(super) async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Unanswered> {
        let response = self.send(self.client.get(self.at(path))).await?;
        let status = response.status().as_u16();
        let body = self.body(response, LIST_BYTES_MAX).await?;
        match serde_json::from_slice(&body) {
            Ok(answer) if status == 200 => Ok(answer),
            _ => Err(Unanswered::Status { status, said: self.said(complaint(&body).as_deref()) }),
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, Unanswered> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key.reveal()),
            None => request,
        };
        request.send().await.map_err(|error| self.failed(&error))
    }

    /// What the server complains of with a status other than 200.
    pub(super) async fn complaint(&self, response: Response) -> Result<Option<String>, Unanswered> {
        Ok(complaint(&self.body(response, self.answer_bytes_max).await?))
    }

    /// The lines of an answer, as they come.
    pub(super) fn lines(&self, response: Response) -> Lines<'_> {
        Lines { http: self, response, bytes: 0, buffer: Vec::new(), searched: 0 }
    }

    /// What the server said, behind a colon, on one line, bounded, and without the key.
    pub(super) fn said(&self, complaint: Option<&str>) -> String {
        let mut said = complaint.unwrap_or_default().to_owned();
        if let Some(key) = &self.key {
            said = said.replace(key.reveal(), "…");
        }
        let said = one_line(&said, SAID_CHARS_MAX);
        if said.is_empty() { String::new() } else { format!(": {said}") }
    }

    /// The body, as far as the limit allows.
    async fn body(&self, mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Unanswered> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len() + chunk.len() > bytes_max {
                return Err(Unanswered::TooLong { bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: &reqwest::Error) -> Unanswered {
        if error.is_connect() {
            let host = self.url.host_str().unwrap_or_default();
            let port = self.url.port_or_known_default().unwrap_or_default();
            let at = format!("{host}:{port}");
            return match certificate_fault(error) {
                Some(why) => Unanswered::Untrusted { at, why },
                None => Unanswered::Unreachable { at },
            };
        }
        Unanswered::Broken
    }
}

/// What TLS finds wrong with the server's certificate, if that is why the connection failed.
fn certificate_fault(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if let Some(rustls::Error::InvalidCertificate(fault)) = one.downcast_ref() {
            return Some(one_line(&fault.to_string(), SAID_CHARS_MAX).into_owned());
        }
        cause = match one.downcast_ref::<std::io::Error>() {
            // Its source is the source of what it holds, and not that itself.
            Some(io) => io.get_ref().map(|held| held as &(dyn Error + 'static)),
            None => one.source(),
        };
    }
    None
}

/// A name or a digest that a server told, on one line and bounded.
pub(super) fn told(text: &str) -> String {
    one_line(text, SAID_CHARS_MAX).into_owned()
}

/// What a body says is wrong: Ollama, OpenAI, vLLM and what stands before them each have their own form.
fn complaint(body: &[u8]) -> Option<String> {
    complaint_in(&serde_json::from_slice(body).ok()?)
}

/// See [`complaint`].
pub(super) fn complaint_in(body: &Value) -> Option<String> {
    let error = body.get("error");
    let forms = [error, error.and_then(|error| error.get("message")), body.get("message"), body.get("detail")];
    forms.into_iter().flatten().find_map(Value::as_str).map(str::to_owned)
}

/// The lines of an answer that is still being written. One may come in pieces, and several at once.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    http: &'a Http,
    response: Response,
    /// Bytes that have come.
    bytes: usize,
    /// What has come and is not yet handed out.
    buffer: Vec<u8>,
    /// As many bytes of it hold no end of a line.
    searched: usize,
}

impl Lines<'_> {
    /// The next line that is not blank, without its end; `None` when there will be no more.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Unanswered> {
        loop {
            let line = match self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                Some(at) => self.buffer.drain(..=self.searched + at).collect::<Vec<u8>>(),
                None => {
                    self.searched = self.buffer.len();
                    if self.more().await? {
                        continue;
                    }
                    std::mem::take(&mut self.buffer)
                }
            };
            self.searched = 0;
            let ended = line.is_empty();
            let line = line.trim_ascii();
            if ended {
                return Ok(None);
            }
            if !line.is_empty() {
                return Ok(Some(line.to_vec()));
            }
        }
    }

    /// Waits for more; says whether there was.
    async fn more(&mut self) -> Result<bool, Unanswered> {
        let next = self.response.chunk();
        let came = if self.bytes == 0 {
            // Until the first byte the model is loaded and reads the prompt: only the whole answer's limit counts.
            next.await
        } else {
            let ms = self.http.stall_ms;
            timeout(Duration::from_millis(ms), next).await.map_err(|_| Unanswered::Stalled { ms })?
        };
        let Some(chunk) = came.map_err(|error| self.http.failed(&error))? else { return Ok(false) };
        self.bytes += chunk.len();
        let bytes_max = self.http.answer_bytes_max;
        if self.bytes > bytes_max {
            return Err(Unanswered::TooLong { bytes_max });
        }
        self.buffer.extend_from_slice(&chunk);
        Ok(true)
    }
}
