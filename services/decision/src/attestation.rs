//! Attestations: a verdict in a form that others can check without asking us, signed.
//!
//! An in-toto Statement v1 (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>) about a commit, with a SLSA
//! Verification Summary v1 (<https://slsa.dev/spec/v1.0/verification_summary>) as its predicate, in a DSSE envelope
//! (<https://github.com/secure-systems-lab/dsse>) signed by Ed25519. Pure: the same verdict and key give the same bytes.

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::identity::sha256_hex;
use domain::{Deployment, Reached, Revision, Verdict};
use ed25519_dalek::pkcs8::EncodePublicKey;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What is in the envelope.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";
/// Who verifies.
const VERIFIER: &str = "failsafe:decision";
/// The level of what was allowed.
const ALLOWED: &str = "FAILSAFE_ALLOW";

/// A signed statement, as it lies in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload_type: String,
    /// The statement in base64.
    payload: String,
    signatures: Vec<Signed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signed {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// What is stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Summary,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Resource {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    uri: String,
    digest: Digests,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Digests {
    #[serde(rename = "gitCommit", default, skip_serializing_if = "Option::is_none")]
    git_commit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    verifier: Verifier,
    time_verified: String,
    resource_uri: String,
    policy: Resource,
    /// The evidence that the verdict rests on.
    input_attestations: Vec<Resource>,
    verification_result: String,
    verified_levels: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Verifier {
    id: String,
}

/// What an attestation has to be about to be accepted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The commit, in full.
    pub commit: Option<String>,
    /// The repository's path.
    pub repository: Option<String>,
    /// The oldest that it may be.
    pub not_before: Option<OffsetDateTime>,
}

impl Statement {
    /// What is to be said of `reached`, which is about `deployment`.
    #[must_use]
    pub fn of(reached: &Reached, deployment: &Deployment) -> Self {
        let digest = digest_of(&deployment.revision);
        let sha256 = |hex: &str| Digests { sha256: Some(hex.to_owned()), git_commit: None };
        let is_allowed = reached.judgement.verdict == Verdict::Allow;
        let result = if is_allowed { ("PASSED", ALLOWED) } else { ("FAILED", "FAILED") };
        let verdict = format!("failsafe:verdict/{}/{}", reached.deployment_id, reached.number);
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![Resource { name: deployment.repository.to_string(), digest, uri: String::new() }],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Summary {
                verifier: Verifier { id: VERIFIER.to_owned() },
                time_verified: rfc3339(reached.reached_at),
                resource_uri: format!("failsafe:pull-request/{}/{}", deployment.repository, deployment.pull_request),
                policy: Resource {
                    uri: format!("failsafe:policy/{}", reached.policy.version),
                    digest: sha256(&reached.policy.digest),
                    name: String::new(),
                },
                input_attestations: vec![Resource {
                    uri: verdict,
                    digest: sha256(&reached.evidence_digest),
                    name: String::new(),
                }],
                verification_result: result.0.to_owned(),
                verified_levels: vec![result.1.to_owned()],
            },
        }
    }

    /// The commit and the repository that it is about, for people.
    #[must_use]
    pub fn about(&self) -> String {
        let subject = self.subject.first();
        let digest = subject.map(|subject| &subject.digest);
        let digest = digest.and_then(|digest| digest.git_commit.as_ref().or(digest.sha256.as_ref()));
        let name = subject.map_or("", |subject| &subject.name);
        format!("{name} at {}", digest.map_or("", String::as_str))
    }

    /// Whether it lets `wanted` pass.
    ///
    /// # Errors
    /// Why it does not.
    pub fn ensure_passes(&self, wanted: &Wanted) -> anyhow::Result<()> {
        ensure!(self.kind == STATEMENT_TYPE, "it is no in-toto statement of version 1");
        ensure!(self.predicate_type == PREDICATE_TYPE, "it is no verification summary, but {}", self.predicate_type);
        let Summary { verification_result, verified_levels, time_verified, .. } = &self.predicate;
        let passed = verification_result == "PASSED" && verified_levels.iter().any(|level| level == ALLOWED);
        ensure!(passed, "the deployment was not allowed: {verification_result}");
        if let Some(commit) = &wanted.commit {
            let is_it = |one: &Resource| one.digest.git_commit.as_deref() == Some(commit.to_lowercase().as_str());
            ensure!(self.subject.iter().any(is_it), "it is about {}, not about the commit {commit}", self.about());
        }
        if let Some(repository) = &wanted.repository {
            let is_it = |one: &Resource| one.name == *repository;
            ensure!(self.subject.iter().any(is_it), "it is about {}, not about {repository}", self.about());
        }
        if let Some(not_before) = wanted.not_before {
            let at = OffsetDateTime::parse(time_verified, &Rfc3339).context("timeVerified must be a time")?;
            ensure!(at >= not_before, "it is of {time_verified}, which is too long ago");
        }
        Ok(())
    }
}

fn digest_of(revision: &Revision) -> Digests {
    match revision.as_str().strip_prefix("diff:") {
        Some(digest) => Digests { sha256: Some(digest.to_owned()), git_commit: None },
        None => Digests { git_commit: Some(revision.as_str().to_owned()), sha256: None },
    }
}

fn rfc3339(at: OffsetDateTime) -> String {
    let whole = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).expect("zero is a nanosecond");
    whole.format(&Rfc3339).expect("a time of this era can be written")
}

/// The bytes that are signed (DSSE's pre-authentication encoding).
fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// SHA-256 over the key's SubjectPublicKeyInfo, in hexadecimal digits.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> String {
    key.to_public_key_der().map(|der| sha256_hex(der.as_bytes())).unwrap_or_default()
}

impl Envelope {
    /// `statement`, signed by `key` if there is one.
    #[must_use]
    pub fn new(statement: &Statement, key: Option<&SigningKey>) -> Self {
        let payload = serde_json::to_vec(statement).expect("a statement has only plain fields");
        let sign = |key: &SigningKey| Signed {
            keyid: key_id(&key.verifying_key()),
            sig: STANDARD.encode(key.sign(&signed_bytes(&payload)).to_bytes()),
        };
        Self {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(&payload),
            signatures: key.map(sign).into_iter().collect(),
        }
    }

    /// The file's text: one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an envelope has only plain fields")
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(text: &str) -> anyhow::Result<Self> {
        let envelope: Self = serde_json::from_str(text).context("it is no DSSE envelope")?;
        ensure!(envelope.payload_type == PAYLOAD_TYPE, "it holds {}, not {PAYLOAD_TYPE}", envelope.payload_type);
        Ok(envelope)
    }

    /// The statement in it, if `key` has signed it.
    ///
    /// # Errors
    /// That the key has not signed it, or what is wrong with what it signed.
    pub fn opened_by(&self, key: &VerifyingKey) -> anyhow::Result<Statement> {
        let payload = STANDARD.decode(&self.payload).context("its payload is not in base64")?;
        if self.signatures.is_empty() {
            bail!("it is not signed");
        }
        let holds = |signed: &Signed| {
            let bytes = STANDARD.decode(&signed.sig).ok()?;
            let signature = Signature::from_slice(&bytes).ok()?;
            key.verify_strict(&signed_bytes(&payload), &signature).ok()
        };
        ensure!(
            self.signatures.iter().any(|signed| holds(signed).is_some()),
            "no signature in it is by the key {}",
            key_id(key)
        );
        serde_json::from_slice(&payload).context("what was signed is no statement of ours")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(result: &str, level: &str) -> Statement {
        let digest = Digests { git_commit: Some("ab".repeat(20)), sha256: None };
        Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![Resource { name: "acme/shop".to_owned(), digest, uri: String::new() }],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Summary {
                verifier: Verifier { id: VERIFIER.to_owned() },
                time_verified: "2026-11-20T15:30:00Z".to_owned(),
                resource_uri: "failsafe:pull-request/acme/shop/7".to_owned(),
                policy: Resource::default(),
                input_attestations: Vec::new(),
                verification_result: result.to_owned(),
                verified_levels: vec![level.to_owned()],
            },
        }
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        // The specification's own example has another payload type; this is its form with ours.
        assert_eq!(signed_bytes(b"hello"), b"DSSEv1 28 application/vnd.in-toto+json 5 hello");
    }

    #[test]
    fn what_was_changed_or_signed_by_another_does_not_open() {
        let (key, other) = (SigningKey::from_bytes(&[9; 32]), SigningKey::from_bytes(&[8; 32]));
        let statement = statement("PASSED", ALLOWED);
        let envelope = Envelope::new(&statement, Some(&key));
        let read = Envelope::from_json(&envelope.to_json()).unwrap();
        assert_eq!(read.opened_by(&key.verifying_key()).unwrap(), statement);
        assert!(read.opened_by(&other.verifying_key()).unwrap_err().to_string().contains("no signature"));
        let forged = Envelope { payload: STANDARD.encode(b"{}"), ..read.clone() };
        assert!(forged.opened_by(&key.verifying_key()).is_err());
        let unsigned = Envelope::new(&statement, None);
        assert_eq!(unsigned.opened_by(&key.verifying_key()).unwrap_err().to_string(), "it is not signed");
    }

    #[test]
    fn only_an_allow_of_what_was_asked_for_passes() {
        let passed = statement("PASSED", ALLOWED);
        let wanted = |commit: &str| Wanted { commit: Some(commit.to_owned()), ..Wanted::default() };
        passed.ensure_passes(&wanted(&"AB".repeat(20))).unwrap();
        assert!(passed.ensure_passes(&wanted(&"cd".repeat(20))).is_err());
        assert!(
            passed.ensure_passes(&Wanted { repository: Some("acme/other".to_owned()), ..Wanted::default() }).is_err()
        );
        let late = time::macros::datetime!(2026-11-21 00:00 UTC);
        assert!(passed.ensure_passes(&Wanted { not_before: Some(late), ..Wanted::default() }).is_err());
        assert!(statement("FAILED", "FAILED").ensure_passes(&Wanted::default()).is_err());
    }
}
