//! Settings: defaults in the code, one TOML file over them, `FAILSAFE__TABLE__KEY` variables over that.
//!
//! A table or key that nobody knows stops the start and is named. Only this module reads the environment's settings.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// The tables of a settings file: the first are shared, the others belong to the service of that name.
pub const TABLES: [&str; 9] =
    ["nats", "database", "admin", "ingest", "static_analysis", "ml_scoring", "llm_explainer", "decision", "gateway"];

/// The settings of a process, not yet given out.
#[derive(Clone, Debug)]
pub struct Settings(Figment);

impl Settings {
    /// Reads `file`, if there is one, and the environment.
    ///
    /// # Errors
    /// When the file cannot be read, or holds a table that nobody knows.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            anyhow::ensure!(path.is_file(), "cannot read the settings file {}", path.display());
            figment = figment.merge(Toml::file_exact(path));
        }
        figment = figment.merge(Env::prefixed("FAILSAFE__").split("__"));
        let all: figment::value::Dict = figment.extract().context("cannot read the settings")?;
        for table in all.keys() {
            anyhow::ensure!(
                TABLES.contains(&table.as_str()),
                "the settings hold an unknown table [{table}]; there are {}",
                TABLES.map(|known| format!("[{known}]")).join(" ")
            );
        }
        Ok(Self(figment))
    }

    /// The same with `table.key` set to `value`, over everything else.
    #[must_use]
    pub fn with(self, key: &str, value: impl Serialize) -> Self {
        Self(self.0.merge(Serialized::default(key, value)))
    }

    /// Whether `table.key` is set at all.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.contains(key)
    }

    /// One table, its defaults filled in.
    ///
    /// # Errors
    /// The key that is unknown or wrong, and where it was set.
    pub fn table<T: DeserializeOwned + Default>(&self, table: &str) -> anyhow::Result<T> {
        if !self.0.contains(table) {
            return Ok(T::default());
        }
        self.0.extract_inner(table).map_err(|error| anyhow::anyhow!("the settings are wrong: {error}"))
    }
}

/// `[nats]`: where the bus is, who the services are to it, and how it keeps events.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// Address of the server, or several with commas between them; `tls://` for TLS.
    pub url: Address,
    /// File of a NATS credential (`.creds`), where the server asks for one.
    pub credentials: Option<PathBuf>,
    /// File of the seed of an NKey, where the server knows its public part.
    pub nkey_path: Option<PathBuf>,
    /// The user's name, where the server asks for one; it has a password.
    pub user: Option<String>,
    /// The user's password. Better set by the environment, or as a file by `password_path`.
    pub password: Option<Secret>,
    /// File of the user's password.
    pub password_path: Option<PathBuf>,
    /// Certificates, in PEM, of the authorities that the server's certificate may be of, instead of the system's. With it, the
    /// connection is by TLS.
    pub tls_ca_path: Option<PathBuf>,
    /// Certificate and key, in PEM, to be shown to a server that asks for one.
    pub tls_cert_path: Option<PathBuf>,
    /// See `tls_cert_path`.
    pub tls_key_path: Option<PathBuf>,
    /// How many servers keep each stream, 1 to 5. Read when a stream is made.
    pub replicas: usize,
    /// For how many days events are kept. The audit trail in PostgreSQL keeps them longer.
    pub days_kept: u64,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            url: Address("nats://127.0.0.1:4222".to_owned()),
            credentials: None,
            nkey_path: None,
            user: None,
            password: None,
            password_path: None,
            tls_ca_path: None,
            tls_cert_path: None,
            tls_key_path: None,
            replicas: 1,
            days_kept: 30,
        }
    }
}

/// An address that may hold a password. It is shown without.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The address as it was written, to connect to and never to be shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Address {
    /// What stands in front of the `@` of each address, such as `user:password`; `None` where there is none in any.
    ///
    /// # Errors
    /// When the addresses name several.
    pub(crate) fn user_info(&self) -> anyhow::Result<Option<&str>> {
        let mut infos = self.0.split(',').filter_map(|one| {
            let rest = one.trim().split_once("://").map_or(one.trim(), |(_, rest)| rest);
            rest.rsplit_once('@').map(|(info, _)| info)
        });
        let first = infos.next();
        anyhow::ensure!(infos.all(|info| Some(info) == first), "nats.url names several users: name one by nats.user");
        Ok(first)
    }
}

impl From<&str> for Address {
    fn from(address: &str) -> Self {
        Self(address.to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.0.split(',').enumerate() {
            let (scheme, rest) =
                one.split_once("://").map_or(("", one), |(_, rest)| (&one[..one.len() - rest.len()], rest));
            // The last, because a password may hold one, too.
            let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
            write!(f, "{}{scheme}{place}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// A secret of the settings. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, to be sent and never to be shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// The usual error would show what it did not expect, and that is the secret.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // What the environment gives as a number has lost its leading zeros by now.
        String::deserialize(from).map(Self).map_err(|_| {
            serde::de::Error::custom("a secret is text, in quotes; of digits alone, in double quotes in a variable too")
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// `[admin]`: the port of a process for those who run it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Address and port of `/metrics`, `/healthz`, `/readyz` and `/log`; none without. It is plain HTTP for whoever reaches it:
    /// what is logged is only changed from this machine.
    pub listen: Option<SocketAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> anyhow::Result<Settings> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        Settings::load(Some(file.path()))
    }

    #[test]
    fn a_mistyped_table_or_key_stops_the_start_and_is_named() {
        let error = load("[natz]\nurl = 'x'").unwrap_err().to_string();
        assert!(error.contains("[natz]") && error.contains("[nats]"), "{error}");
        let error = load("[nats]\nurll = 'x'").unwrap().table::<NatsSettings>("nats").unwrap_err().to_string();
        assert!(error.contains("urll") && error.contains("nats"), "{error}");
        let error = load("[nats]\nreplicas = 'three'").unwrap().table::<NatsSettings>("nats").unwrap_err().to_string();
        assert!(error.contains("replicas"), "{error}");
    }

    #[test]
    fn a_password_is_never_shown() {
        let text =
            "[nats]\nurl = 'nats://ann:se@cr@here:4222,nats://bob:et@there:4222'\nuser = 'ann'\npassword = 'secret'";
        let nats: NatsSettings = load(text).unwrap().table("nats").unwrap();
        let shown = format!("{nats:?} {}", nats.url);
        for part in ["ann:", "se@", "cr@", "bob", "et@", "secret"] {
            assert!(!shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(nats.url.to_string(), "nats://here:4222,nats://there:4222");
        assert_eq!(Address::from("nats://ann:pass@there:4222").to_string(), "nats://there:4222");
        let address = |text: &str| Address::from(text).user_info().map(|info| info.map(str::to_owned)).ok();
        assert_eq!(address("nats://a:b@c@there:1,nats://a:b@c@here:1"), Some(Some("a:b@c".to_owned())));
        assert_eq!(address("nats://there:1"), Some(None));
        assert_eq!(address("nats://a:b@there:1,nats://c:d@here:1"), None);
        assert_eq!(Address::from("there:4222").to_string(), "there:4222");
        let error = load("[nats]\npassword = ['secret']").unwrap().table::<NatsSettings>("nats").unwrap_err();
        assert!(!error.to_string().contains("secret'"), "{error}");
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let settings = load("[nats]\nurl = 'nats://there:4222'").unwrap();
        let nats: NatsSettings = settings.clone().with("nats.replicas", 3).table("nats").unwrap();
        assert_eq!((nats.url.reveal(), nats.replicas, nats.days_kept), ("nats://there:4222", 3, 30));
        assert!(settings.has("nats.url") && !settings.has("database.url"));
    }
}
