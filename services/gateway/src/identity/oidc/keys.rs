//! The public keys of an issuer, fetched by HTTP and kept: fetched again when they are old, and when a token names one that is not
//! among them, which is how issuers change keys.

use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long one request to an issuer may take.
const FETCH_MAX: Duration = Duration::from_secs(5);
/// The longest answer of an issuer, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The most keys of an issuer.
const KEYS_MAX: usize = 64;
/// How long keys go on that are too old while the issuer is away.
const STALE_MAX: Duration = Duration::from_secs(3_600);

/// Where an issuer's keys are, and when they are fetched again.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) issuer: String,
    /// Without it, the issuer's own description says where they are.
    pub(super) jwks_url: Option<String>,
    pub(super) max_age: Duration,
    /// Between two fetches, whatever anybody sends.
    pub(super) retry: Duration,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    source: Source,
    client: reqwest::Client,
    now: RwLock<Fetched>,
    /// When they were last asked for; held while they are, so that many calls lead to one request.
    tried_at: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Fetched {
    keys: Vec<Key>,
    fetched_at: Option<Instant>,
}

/// One key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    /// The key itself.
    pub(super) decoding: DecodingKey,
}

/// What the keys say to a token.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// This one may have signed it.
    Key(Box<Key>),
    /// None of them has signed it.
    None,
    /// There are none, because the issuer cannot be reached.
    Away,
}

impl Keys {
    /// None yet.
    ///
    /// # Errors
    /// When an address may not be used, or the file of authorities cannot be read.
    pub(super) fn new(source: Source, ca: Option<&Path>) -> anyhow::Result<Self> {
        check_address(&source.issuer)?;
        source.jwks_url.as_deref().map_or(Ok(()), check_address)?;
        let mut client = reqwest::Client::builder()
            .timeout(FETCH_MAX)
            // Whoever can redirect could name keys.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = ca {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem);
            let authorities =
                authorities.with_context(|| format!("{} holds no certificates in PEM", path.display()))?;
            client = client.tls_certs_only(authorities);
        }
        Ok(Self { source, client: client.build()?, now: RwLock::default(), tried_at: Mutex::default() })
    }

    /// The key of that id for that algorithm; without an id, the only one for it.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Found {
        if let Some(key) = self.within(id, algorithm, self.source.max_age) {
            return Found::Key(Box::new(key));
        }
        let mut tried_at = self.tried_at.lock().await;
        // Who waited for the lock waited for the answer to another's request.
        if let Some(key) = self.within(id, algorithm, self.source.max_age) {
            return Found::Key(Box::new(key));
        }
        if tried_at.is_none_or(|at| at.elapsed() >= self.source.retry) {
            *tried_at = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => {
                    let fetched = Fetched { keys, fetched_at: Some(Instant::now()) };
                    *self.now.write().unwrap_or_else(PoisonError::into_inner) = fetched;
                }
                Err(error) => tracing::warn!("cannot fetch the keys of {}: {error:#}", self.source.issuer),
            }
        }
        let usable = self.source.max_age + STALE_MAX;
        match self.within(id, algorithm, usable) {
            Some(key) => Found::Key(Box::new(key)),
            None if self.now().is_younger_than(usable) => Found::None,
            None => Found::Away,
        }
    }

    fn now(&self) -> RwLockReadGuard<'_, Fetched> {
        // A writer only assigns: what it leaves is whole whatever happened to it.
        self.now.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn within(&self, id: Option<&str>, algorithm: Algorithm, age: Duration) -> Option<Key> {
        let now = self.now();
        now.of(id, algorithm).filter(|_| now.is_younger_than(age)).cloned()
    }

    async fn fetch(&self) -> anyhow::Result<Vec<Key>> {
        let url = match &self.source.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let set: KeySet = self.get(&url).await?;
        // Keys of a kind that is not used here are passed over.
        let keys: Vec<Key> = set.keys.into_iter().take(KEYS_MAX).filter_map(Key::read).collect();
        ensure!(!keys.is_empty(), "{url} holds no key for RS256, ES256 or EdDSA");
        Ok(keys)
    }

    /// Where the issuer says that its keys are (OpenID Connect Discovery 1.0, section 4).
    async fn discover(&self) -> anyhow::Result<String> {
        let issuer = &self.source.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let described: Description = self.get(&url).await?;
        ensure!(described.issuer == *issuer, "{url} describes another issuer");
        check_address(&described.jwks_uri)?;
        Ok(described.jwks_uri)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        let mut answer = self.client.get(url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            ensure!(body.len() + chunk.len() <= ANSWER_BYTES_MAX, "{url} answers with over {ANSWER_BYTES_MAX} bytes");
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).with_context(|| format!("{url} is not what it should be"))
    }
}

impl Fetched {
    fn is_younger_than(&self, age: Duration) -> bool {
        self.fetched_at.is_some_and(|at| at.elapsed() < age)
    }

    fn of(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

impl Key {
    fn read(value: serde_json::Value) -> Option<Self> {
        use jsonwebtoken::jwk::{EllipticCurve, KeyAlgorithm};
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        if jwk.common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
            return None;
        }
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        if jwk.common.key_algorithm.is_some_and(|said| said != named) {
            return None;
        }
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, algorithm, decoding })
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

/// Keys come over TLS, or from this machine.
fn check_address(address: &str) -> anyhow::Result<()> {
    let url = reqwest::Url::parse(address).with_context(|| format!("{address:?} is no address"))?;
    let is_here = url.host_str().is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host));
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        _ => bail!("{address} must begin with https://"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for (address, expected) in [
            ("https://issuer.example/keys", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://issuer.example", false),
            ("http://localhost.example", false),
            ("file:///etc/passwd", false),
            ("issuer.example", false),
        ] {
            assert_eq!(check_address(address).is_ok(), expected, "{address}");
        }
    }

    #[test]
    fn a_key_is_for_one_algorithm_and_a_secret_is_none() {
        let rsa = json!({"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"});
        assert_eq!(Key::read(rsa.clone()).unwrap().algorithm, Algorithm::RS256);
        let with = |name: &str, value: &str| {
            let mut key = rsa.clone();
            key[name] = json!(value);
            Key::read(key)
        };
        assert!(with("alg", "RS256").is_some() && with("alg", "PS256").is_none() && with("alg", "HS256").is_none());
        assert!(with("use", "sig").is_some() && with("use", "enc").is_none());
        assert!(Key::read(json!({"kty": "oct", "k": "AQAB", "alg": "HS256"})).is_none());
        assert!(Key::read(json!({"kty": "EC", "crv": "P-384", "x": "AQAB", "y": "AQAB"})).is_none());
        assert!(Key::read(json!({"kty": "new"})).is_none());
    }
}
