//! Checkpoints: statements of where the chain of a month ends, signed, to be kept where the trail's owner cannot reach them.
//!
//! Pure but for the reading of a key's file.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::chain::{Hash, Head, Month, from_hex};

/// What a signature is of, before the fields: it can be taken for that of nothing else.
const DOMAIN: &str = "failsafe audit checkpoint 1";

/// What a checkpoint states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Of which month.
    pub month: Month,
    /// How many events its chain had.
    pub events: i64,
    /// The hash of the last.
    pub head: Hash,
    /// When this was stated.
    pub stated_at: OffsetDateTime,
}

impl Statement {
    /// What is to be said of `head` at `now`.
    #[must_use]
    pub fn of(head: Head, now: OffsetDateTime) -> Self {
        let stated_at = now.replace_nanosecond(0).expect("zero is a nanosecond");
        Self { month: head.month, events: head.events, head: head.hash, stated_at }
    }

    /// The bytes that are signed: five lines, each ended by a line feed.
    #[must_use]
    pub fn signed_text(&self) -> String {
        format!("{DOMAIN}\n{}\n{}\n{}\n{}\n", self.month, self.events, self.head, rfc3339(self.stated_at))
    }
}

fn rfc3339(time: OffsetDateTime) -> String {
    time.to_offset(time::UtcOffset::UTC).format(&Rfc3339).expect("a time of this era can be written")
}

/// A statement with its signature, as it lies in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// What is stated.
    pub statement: Statement,
    /// By which key; `None` when it is unsigned.
    pub signature: Option<(VerifyingKey, Signature)>,
}

/// The form of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    month: String,
    events: i64,
    head: String,
    stated_at: String,
    /// The public key in 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The signature in 128 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

impl Checkpoint {
    /// `statement`, signed by `key` if there is one.
    #[must_use]
    pub fn new(statement: Statement, key: Option<&SigningKey>) -> Self {
        let sign = |key: &SigningKey| (key.verifying_key(), key.sign(statement.signed_text().as_bytes()));
        Self { signature: key.map(sign), statement }
    }

    /// The file's text: one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Statement { month, events, head, stated_at } = &self.statement;
        let written = Written {
            month: month.to_string(),
            events: *events,
            head: head.to_string(),
            stated_at: rfc3339(*stated_at),
            key: self.signature.as_ref().map(|(key, _)| hex(key.as_bytes())),
            signature: self.signature.as_ref().map(|(_, signature)| hex(&signature.to_bytes())),
        };
        serde_json::to_string_pretty(&written).expect("a checkpoint has only plain fields") + "\n"
    }

    /// Reads the file's text; a signature that is there has to hold for the key beside it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(text: &str) -> anyhow::Result<Self> {
        let written: Written = serde_json::from_str(text).context("it is not a checkpoint")?;
        let statement = Statement {
            month: Month::parse(&written.month).map_err(|wrong| anyhow::anyhow!("month {wrong}"))?,
            events: written.events,
            head: Hash::parse(&written.head).context("head must be 64 hexadecimal digits")?,
            stated_at: OffsetDateTime::parse(&written.stated_at, &Rfc3339)
                .context("stated_at must be a time in RFC 3339")?,
        };
        let signature = match (written.key, written.signature) {
            (None, None) => None,
            (Some(key), Some(signature)) => {
                let key = from_hex::<32>(&key).context("key must be 64 hexadecimal digits")?;
                let key = VerifyingKey::from_bytes(&key).context("key is no Ed25519 key")?;
                let signature = from_hex::<64>(&signature).context("signature must be 128 hexadecimal digits")?;
                let signature = Signature::from_bytes(&signature);
                let holds = key.verify_strict(statement.signed_text().as_bytes(), &signature);
                holds.context("its signature does not hold: it was changed after it was signed")?;
                Some((key, signature))
            }
            _ => bail!("key and signature stand together or not at all"),
        };
        Ok(Self { statement, signature })
    }

    /// Whether it is signed by `key`.
    ///
    /// # Errors
    /// That it is not.
    pub fn ensure_signed_by(&self, key: &VerifyingKey) -> anyhow::Result<()> {
        let Some((signer, _)) = &self.signature else { bail!("the checkpoint is not signed") };
        ensure!(
            signer == key,
            "the checkpoint is signed by the key {}, not by {}",
            hex(signer.as_bytes()),
            hex(key.as_bytes())
        );
        Ok(())
    }
}

/// Reads a private Ed25519 key: PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` writes it.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn read_signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let pem =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the signing key {}", path.display()))?;
    // What is wrong with a key is told without the key.
    SigningKey::from_pkcs8_pem(&pem).map_err(|_| {
        anyhow::anyhow!("{} is no Ed25519 key in PEM; `openssl genpkey -algorithm ed25519` writes one", path.display())
    })
}

/// Reads a public Ed25519 key in PEM, as `openssl pkey -pubout` writes it, or the public half of a private one.
///
/// # Errors
/// When the file cannot be read or holds neither.
pub fn read_verifying_key(path: &Path) -> anyhow::Result<VerifyingKey> {
    let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read the key {}", path.display()))?;
    let public = VerifyingKey::from_public_key_pem(&pem).ok();
    let key = public.or_else(|| SigningKey::from_pkcs8_pem(&pem).ok().map(|key| key.verifying_key()));
    key.with_context(|| format!("{} is no Ed25519 key in PEM", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes every write");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        let head = Head { month: Month::parse("2026-03").unwrap(), events: 7, hash: Hash([7; 32]) };
        Statement::of(head, time::macros::datetime!(2026-05-01 12:00:00.5 UTC))
    }

    #[test]
    fn a_checkpoint_holds_as_long_as_nothing_in_it_is_changed() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let checkpoint = Checkpoint::new(statement(), Some(&key));
        let text = checkpoint.to_json();
        assert_eq!(Checkpoint::from_json(&text).unwrap(), checkpoint);
        checkpoint.ensure_signed_by(&key.verifying_key()).unwrap();
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert!(checkpoint.ensure_signed_by(&other).unwrap_err().to_string().contains("not by"));
        for (before, after) in
            [("\"events\": 7", "\"events\": 8"), ("2026-03", "2026-04"), ("0707", "0708"), ("T12", "T13")]
        {
            let error = Checkpoint::from_json(&text.replacen(before, after, 1)).unwrap_err().to_string();
            assert!(error.contains("signature does not hold"), "{before}: {error}");
        }
    }

    #[test]
    fn an_unsigned_checkpoint_is_read_and_is_not_taken_for_a_signed_one() {
        let checkpoint = Checkpoint::from_json(&Checkpoint::new(statement(), None).to_json()).unwrap();
        let key = SigningKey::from_bytes(&[9; 32]).verifying_key();
        assert!(checkpoint.ensure_signed_by(&key).unwrap_err().to_string().contains("not signed"));
        assert!(Checkpoint::from_json("{}").is_err());
    }
}
