//! API tokens: what one looks like, and what is kept of it. Never the token itself: only its SHA-256. Pure.
//!
//! A token is `fsk_`, 43 random characters out of 62 (256 bits), and 6 more that are the CRC-32 of those before, so that who
//! looks for lost secrets knows one by its form. The static rule `secret.failsafe.api-token` does.

use std::fmt;

use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::caller::{Repositories, Scope};

/// What every token begins with.
pub(super) const PREFIX: &str = "fsk_";
/// Random characters of a token: 62 to the power of 43 is more than 2 to the power of 256.
const RANDOM_CHARS: usize = 43;
/// Characters of its checksum: 62 to the power of 6 is more than 2 to the power of 32.
const CHECKSUM_CHARS: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Longest name of a token, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Digits of the hash that name a token's record: 64 bits.
const ID_DIGITS: usize = 16;

/// A token, to be shown once. Its `Debug` form does not tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A new one, from the system's source of randomness.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new() -> anyhow::Result<Self> {
        let random = ring::rand::SystemRandom::new();
        let mut text = PREFIX.to_owned();
        while text.len() < PREFIX.len() + RANDOM_CHARS {
            let mut bytes = [0; 64];
            random.fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
            // What is beyond the alphabet is left out, so that each character is as likely as the others.
            let chars =
                bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63))).map(|byte| char::from(*byte));
            text.extend(chars.take(PREFIX.len() + RANDOM_CHARS - text.len()));
        }
        let checksum = checksum(&text);
        Ok(Self(text + &checksum))
    }

    /// `text`, if it has the form of a token and its checksum is right.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_long = text.len() == PREFIX.len() + RANDOM_CHARS + CHECKSUM_CHARS;
        let is_plain = text.bytes().skip(PREFIX.len()).all(|byte| byte.is_ascii_alphanumeric());
        if !(text.starts_with(PREFIX) && is_long && is_plain) {
            return None;
        }
        let (before, sum) = text.split_at(PREFIX.len() + RANDOM_CHARS);
        (checksum(before) == sum).then(|| Self(text.to_owned()))
    }

    /// The token itself: print it once, and never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the token, in 64 hexadecimal digits. Without a salt and quick to compute, because a token is no password: nobody
    /// tries 2 to the power of 256.
    #[must_use]
    pub fn hash(&self) -> String {
        Sha256::digest(self.0.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut chars = [b'0'; CHECKSUM_CHARS];
    for place in chars.iter_mut().rev() {
        *place = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    chars.iter().map(|byte| char::from(*byte)).collect()
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose it is: the name that the audit trail shows. Several tokens may have one name, so that one can take over from the other.
    pub name: String,
    /// SHA-256 of the token, in hexadecimal digits.
    pub sha256: String,
    /// What it permits.
    pub scopes: Vec<Scope>,
    /// On which repositories, as globs; on all without any.
    pub repositories: Vec<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// From when on it is refused; `None` for never.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked; `None` as long as it is not.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub revoked_at: Option<OffsetDateTime>,
}

impl Record {
    /// Checks what a token is to be for.
    ///
    /// # Errors
    /// What is wrong with its name, its scopes or its globs.
    pub fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        if self.scopes.is_empty() {
            return Err("a token needs a scope, or it permits nothing".to_owned());
        }
        Repositories::matching(&self.repositories).map_err(|why| format!("a glob of a repository {why}"))?;
        Ok(())
    }

    /// What it is called by in the bucket, and on the command line: the first digits of its hash.
    #[must_use]
    pub fn id(&self) -> &str {
        self.sha256.get(..ID_DIGITS).unwrap_or(&self.sha256)
    }

    /// Whether it is past its time.
    #[must_use]
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_some_and(|expires_at| now >= expires_at)
    }
}

/// Checks the name of a token. A colon is left to callers that an issuer names, so that none of them can take a token's name.
fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@' | b'+' | b'/');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(format!(
            "a token's name has 1 to {NAME_BYTES_MAX} letters, digits, '.', '_', '-', '@', '+' and '/', unlike {name:?}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_form_and_never_shown_by_accident() {
        let token = Token::new().unwrap();
        assert_eq!(token.reveal().len(), 53);
        assert_eq!(Token::parse(token.reveal()).unwrap(), token);
        assert_ne!(Token::new().unwrap(), token);
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(token.hash().len(), 64);
        let mut wrong = token.reveal().to_owned();
        let last = if wrong.ends_with('0') { '1' } else { '0' };
        wrong.pop();
        wrong.push(last);
        for text in ["", "fsk_", &wrong, &token.reveal()[..52], &format!("{}0", token.reveal()), "fsk_é"] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_checksum_does_not_change_from_version_to_version() {
        let text = format!("{PREFIX}{}", "0".repeat(RANDOM_CHARS));
        assert!(Token::parse(&format!("{text}{}", checksum(&text))).is_some());
        assert_eq!(checksum("fsk_example"), checksum("fsk_example"));
        assert_eq!(checksum(""), "000000");
    }

    #[test]
    fn a_record_says_what_is_wrong_with_it() {
        let record = Record {
            name: "ann@acme.example".to_owned(),
            sha256: "ab".repeat(32),
            scopes: vec![Scope::Read],
            repositories: vec!["acme/*".to_owned()],
            created_at: OffsetDateTime::UNIX_EPOCH,
            expires_at: Some(OffsetDateTime::UNIX_EPOCH),
            revoked_at: None,
        };
        assert_eq!(record.check(), Ok(()));
        assert_eq!(record.id(), "abababababababab");
        assert!(record.is_expired(OffsetDateTime::UNIX_EPOCH));
        for (wrong, part) in [
            (Record { name: "github:ann".to_owned(), ..record.clone() }, "name"),
            (Record { scopes: vec![], ..record.clone() }, "scope"),
            (Record { repositories: vec!["acme/[".to_owned()], ..record.clone() }, "glob"),
        ] {
            assert!(wrong.check().unwrap_err().contains(part), "{wrong:?}");
        }
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}
