//! Who is who: the identifiers of deployments and events, each checked when it is made.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The namespace of every UUIDv5 (RFC 9562, section 5.5) that FailSafe derives. It never changes: every sender in the
/// world computes the same deployment id from it.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_8c0e_2b7a_5d43_9e54_0fa1_15af_e001);

/// Identifies one deployment: the UUIDv5 of its repository, pull request and revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId(Uuid);

impl DeploymentId {
    /// The id of the deployment of `revision` of `pull_request` in `repository`.
    ///
    /// The name hashed is `repository`, `pull_request` in decimal and `revision`, joined by line feeds.
    #[must_use]
    pub fn derive(repository: &Repository, pull_request: PullRequest, revision: &Revision) -> Self {
        let name = format!("{repository}\n{pull_request}\n{revision}");
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// An id that was derived earlier, by whoever sent it.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id in its textual form (`xxxxxxxx-xxxx-5xxx-xxxx-xxxxxxxxxxxx`) turned back.
    ///
    /// # Errors
    /// A sentence that says what a deployment id looks like, when `text` is not a UUID.
    pub fn parse(text: &str) -> Result<Self, String> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| "must be a UUID such as 3f0c9a52-8a0e-5a52-9f6e-0d5c1c0f7a11".to_owned())
    }

    /// The id as a plain UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifies one event: the UUIDv5 of what it is about, so that whoever makes the event again makes the same id.
///
/// It is the `Nats-Msg-Id`, a field of the message, and the primary key of the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// The id of the `kind` of event about `deployment`, told apart from others of its kind by `parts` (the producer's
    /// version, the model's or the policy's revision, a verdict's number).
    #[must_use]
    pub fn derive(kind: &str, deployment: DeploymentId, parts: &[&str]) -> Self {
        let mut name = format!("{kind}\n{deployment}");
        for part in parts {
            name.push('\n');
            name.push_str(part);
        }
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// The id of the `kind` of event about `deployment` that one request of a caller makes, however often it is sent.
    #[must_use]
    pub fn of_request(kind: &str, deployment: DeploymentId, request: RequestId) -> Self {
        Self::derive(kind, deployment, &["request", &request.to_string()])
    }

    /// The id of an event of which nothing is known but its bytes.
    #[must_use]
    pub fn of_bytes(kind: &str, bytes: &[u8]) -> Self {
        let mut name = kind.as_bytes().to_vec();
        name.push(b'\n');
        name.extend_from_slice(&Sha256::digest(bytes));
        Self(Uuid::new_v5(&NAMESPACE, &name))
    }

    /// An id that was derived earlier, by whoever sent it.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id in its textual form turned back.
    ///
    /// # Errors
    /// A sentence that says what an event's id looks like, when `text` is not a UUID.
    pub fn parse(text: &str) -> Result<Self, String> {
        Uuid::parse_str(text).map(Self).map_err(|_| "must be a UUID, as events have it for their id".to_owned())
    }

    /// The id as a plain UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The UUID by which a caller tells one request from others: sent again with the same, it is the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// The id in its textual form turned back.
    ///
    /// # Errors
    /// A sentence that says what a request's id looks like, when `text` is not a UUID.
    pub fn parse(text: &str) -> Result<Self, String> {
        Uuid::parse_str(text).map(Self).map_err(|_| "must be a UUID that you made for this request".to_owned())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A repository's path on its forge: `owner/name`, a lone `name`, or nested groups as GitLab has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

impl Repository {
    /// The longest repository path, in bytes.
    pub const BYTES_MAX: usize = 255;
    /// The most path segments: a name below four nested groups.
    pub const SEGMENTS_MAX: usize = 5;

    /// `text` as a repository path.
    ///
    /// # Errors
    /// A sentence that says which part of the form is violated.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is required: the repository's path on its forge, such as acme/shop".to_owned());
        }
        if text.contains("://") || text.starts_with("git@") {
            return Err(format!("must be the path acme/shop, not a clone address: {}", shown(text)));
        }
        if text.len() > Self::BYTES_MAX {
            return Err(format!("must have at most {} bytes, not {}", Self::BYTES_MAX, text.len()));
        }
        let segments: Vec<&str> = text.split('/').collect();
        let plain = |segment: &&str| {
            !segment.is_empty()
                && !segment.starts_with(['-', '.'])
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        if segments.len() > Self::SEGMENTS_MAX || !segments.iter().all(plain) {
            return Err(format!(
                "must be owner/name made of letters, digits, '.', '_' and '-' (at most {} segments), not {}",
                Self::SEGMENTS_MAX,
                shown(text)
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a pull request, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PullRequest(u32);

impl PullRequest {
    /// The largest number: what PostgreSQL's `integer` and every forge can hold.
    pub const MAX: u32 = i32::MAX as u32;

    /// `number` as a pull request's number.
    ///
    /// # Errors
    /// A sentence that gives the range, when `number` lies outside it.
    pub fn new(number: u32) -> Result<Self, String> {
        match number {
            0 => Err("is required: the pull request's number, from 1".to_owned()),
            1..=Self::MAX => Ok(Self(number)),
            _ => Err(format!("must be at most {}, not {number}", Self::MAX)),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for PullRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What exactly would be deployed: a head commit, or the digest of a diff that came without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(String);

impl Revision {
    /// `text` as a commit hash of 7 to 64 hexadecimal digits (git's SHA-1 or SHA-256, or an abbreviation), lowercased, or
    /// as the `diff:` form that [`Revision::of_diff`] makes.
    ///
    /// # Errors
    /// A sentence that says what a revision looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix("diff:").unwrap_or(text);
        let long_enough = if hex.len() == text.len() { (7..=64).contains(&hex.len()) } else { hex.len() == 64 };
        if long_enough && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(format!("must be a commit hash of 7 to 64 hexadecimal digits, not {}", shown(text)))
        }
    }

    /// The revision that stands in where the sender gave none: the SHA-256 of the diff's bytes.
    #[must_use]
    pub fn of_diff(digest: &str) -> Self {
        Self(format!("diff:{digest}"))
    }

    /// The revision as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        let hex = self.0.strip_prefix("diff:").unwrap_or(&self.0);
        &hex[..hex.len().min(12)]
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 (FIPS 180-4) of `bytes`, in 64 lowercase hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    use fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes every write");
        hex
    })
}

/// At most 60 characters of what a sender wrote, quoted, so that an error stays one line.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_three_words_give_the_same_id_for_ever() {
        let id = DeploymentId::derive(
            &Repository::parse("acme/shop").unwrap(),
            PullRequest::new(7).unwrap(),
            &Revision::parse("0123456789ABCDEF").unwrap(),
        );
        assert_eq!(id.to_string(), "2390b58a-c653-5a88-a9a1-c2e65e719444");
    }

    #[track_caller]
    fn repository(text: &str, expected: Result<(), &str>) {
        match (Repository::parse(text), expected) {
            (Ok(parsed), Ok(())) => assert_eq!(parsed.as_str(), text),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (got, expected) => panic!("{text:?}: got {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_repository_is_a_path_on_a_forge() {
        repository("acme/shop", Ok(()));
        repository("failsafe-test", Ok(()));
        repository("group/sub/name.js", Ok(()));
        repository("", Err("is required"));
        repository("acme//shop", Err("owner/name"));
        repository("acme/../etc", Err("owner/name"));
        repository("a/b/c/d/e/f", Err("at most 5 segments"));
        repository("https://github.com/acme/shop", Err("not a clone address"));
        repository("acme/my shop", Err("owner/name"));
        repository(&"x".repeat(300), Err("at most 255 bytes"));
    }

    #[test]
    fn a_revision_is_a_hash() {
        assert_eq!(Revision::parse("ABCDEF1").unwrap().as_str(), "abcdef1");
        assert!(Revision::parse("abc").is_err());
        assert!(Revision::parse("main").is_err());
        assert!(Revision::parse("diff:abcdef1").is_err());
        let digest = sha256_hex(b"");
        assert_eq!(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Revision::parse(&format!("diff:{digest}")).unwrap(), Revision::of_diff(&digest));
    }
}
