//! The certificates that the settings name: until when they hold. They are read here, not where the services run.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use chassis::Settings;
use chassis::settings::NatsSettings;
use decision::config::DatabaseSettings;
use time::OffsetDateTime;
use x509_parser::pem::Pem;

use super::Line;
use crate::cli::Server;

const AREA: &str = "certificates";
/// With fewer days left, it is time to renew.
const SOON_DAYS: i64 = 21;

/// What a file of certificates is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One's own, with those between it and its authority: none of them may be over.
    Own,
    /// Authorities that are believed: while one takes over from another, some may be over.
    Authorities,
}

/// A file that a setting names, and what to do when it is over.
struct Named {
    setting: String,
    path: PathBuf,
    kind: Kind,
    remedy: &'static str,
}

/// Looks at every file of certificates that the settings, and this command's own flags, name.
pub(super) fn look(settings: &Settings, server: &Server) -> anyhow::Result<Vec<Line>> {
    let now = OffsetDateTime::now_utc();
    Ok(named(settings, server)?.iter().map(|one| judged(one, now)).collect())
}

fn named(settings: &Settings, server: &Server) -> anyhow::Result<Vec<Named>> {
    let gateway: gateway::Config = settings.table("gateway")?;
    let nats: NatsSettings = settings.table("nats")?;
    let database: DatabaseSettings = settings.table("database")?;
    let explainer: llm_explainer::Config = settings.table("llm_explainer")?;
    let mut all = Vec::new();
    let mut add = |setting: &str, path: Option<PathBuf>, kind, remedy| {
        all.extend(path.map(|path| Named { setting: setting.to_owned(), path, kind, remedy }));
    };
    let restart = "renew it, and restart the gateways one after another: they read it when they start";
    add("gateway.tls_cert_path", gateway.tls_cert_path, Kind::Own, restart);
    let clients = "put the new authority into the file beside the old one, and restart the gateways: clients with a certificate are refused without";
    add("gateway.client_ca_path", gateway.client_ca_path, Kind::Authorities, clients);
    for issuer in gateway.oidc {
        let setting = format!("gateway.oidc {}.ca_path", issuer.name);
        add(
            &setting,
            issuer.ca_path,
            Kind::Authorities,
            "put the issuer's new authority into the file: its tokens are refused without",
        );
    }
    let reconnect = "renew it, and restart the services: without NATS nothing is submitted or decided";
    add("nats.tls_cert_path", nats.tls_cert_path, Kind::Own, reconnect);
    add("nats.tls_ca_path", nats.tls_ca_path, Kind::Authorities, reconnect);
    let parameter = |names: &[&str]| parameter(&database.url, names);
    let decision = "renew it, and restart decision: without PostgreSQL verdicts wait";
    add("database.url sslcert", parameter(&["sslcert", "ssl-cert"]), Kind::Own, decision);
    add(
        "database.url sslrootcert",
        parameter(&["sslrootcert", "ssl-root-cert", "ssl-ca"]),
        Kind::Authorities,
        decision,
    );
    let model = "put the new authority into the file, and restart llm-explainer: explanations are put together from the evidence without";
    add("llm_explainer.ca_path", explainer.ca_path, Kind::Authorities, model);
    add("--cert", server.cert.clone(), Kind::Own, "have a new one made: the gateway does not know who asks without");
    add("--ca", server.ca.clone(), Kind::Authorities, "put the gateway's new authority into the file");
    Ok(all)
}

/// A file that a parameter of the database's address names; passwords are of no matter here.
fn parameter(url: &str, names: &[&str]) -> Option<PathBuf> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| names.contains(&name.as_ref())).map(|(_, path)| PathBuf::from(path.into_owned()))
}

/// When a certificate begins to hold and when it is over, and whose it is.
struct Validity {
    subject: String,
    from: OffsetDateTime,
    until: OffsetDateTime,
}

fn read(path: &Path) -> anyhow::Result<Vec<Validity>> {
    let bytes = std::fs::read(path)?;
    let mut all = Vec::new();
    for pem in Pem::iter_from_buffer(&bytes) {
        let pem = pem.map_err(|error| anyhow!("not in PEM: {error}"))?;
        if pem.label != "CERTIFICATE" {
            continue;
        }
        let certificate = pem.parse_x509().context("holds what is no certificate")?;
        let validity = certificate.validity();
        all.push(Validity {
            subject: certificate.subject().to_string(),
            from: validity.not_before.to_datetime(),
            until: validity.not_after.to_datetime(),
        });
    }
    ensure!(!all.is_empty(), "holds no certificate");
    Ok(all)
}

fn judged(named: &Named, now: OffsetDateTime) -> Line {
    let Named { setting, path, kind, remedy } = named;
    let all = match read(path) {
        Ok(all) => all,
        Err(error) => {
            let said = format!("{} cannot be read here: {error:#}", path.display());
            return Line::warn(AREA, setting, said, "run this where the services run, as their user");
        }
    };
    let counts = match kind {
        Kind::Own => all.iter().min_by_key(|one| one.until),
        Kind::Authorities => all.iter().max_by_key(|one| one.until),
    };
    let Some(Validity { subject, from, until }) = counts else { return Line::ok(AREA, setting, "none") };
    let days = (*until - now).whole_days();
    if *until <= now {
        return Line::fail(AREA, setting, format!("{subject} is over since {}", until.date()), *remedy);
    }
    if *from > now {
        return Line::fail(
            AREA,
            setting,
            format!("{subject} holds only from {} on", from.date()),
            "are the clocks right?",
        );
    }
    let said = format!("{subject}, {days} days left, until {}", until.date());
    if days < SOON_DAYS { Line::warn(AREA, setting, said, *remedy) } else { Line::ok(AREA, setting, said) }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use tempfile::TempDir;
    use time::Duration;

    use super::super::State;
    use super::*;

    fn pem(name: &str, from: OffsetDateTime, until: OffsetDateTime) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (from, until);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn days_that_are_left_are_told_with_what_to_do() {
        let (folder, now) = (TempDir::new().unwrap(), OffsetDateTime::now_utc());
        let path = folder.path().join("x.pem");
        let days = |number| now + Duration::days(number) + Duration::hours(1);
        let check = |pem: String, kind, state, part: &str| {
            std::fs::write(&path, pem).unwrap();
            let named =
                Named { setting: "gateway.tls_cert_path".to_owned(), path: path.clone(), kind, remedy: "renew it" };
            let line = judged(&named, now);
            assert!(line.state == state && line.said.contains(part), "{line:?}");
            assert_eq!(line.remedy.is_empty(), state == State::Ok, "{line:?}");
        };
        let one = |until| pem("ours", days(-9), days(until));
        check(one(90), Kind::Own, State::Ok, "CN=ours, 90 days left");
        check(one(20), Kind::Own, State::Warn, "20 days left");
        check(one(-1), Kind::Own, State::Fail, "is over since");
        check(pem("ours", days(1), days(9)), Kind::Own, State::Fail, "holds only from");
        check(one(90) + &one(3), Kind::Own, State::Warn, "3 days left");
        check(one(90) + &one(-3), Kind::Authorities, State::Ok, "90 days left");
        check("nothing".to_owned(), Kind::Own, State::Warn, "holds no certificate");
    }

    #[test]
    fn every_file_of_certificates_in_the_settings_is_looked_at() {
        let settings = Settings::load(None)
            .unwrap()
            .with("gateway.tls_cert_path", "a")
            .with("gateway.client_ca_path", "b")
            .with("nats.tls_ca_path", "c")
            .with("nats.tls_cert_path", "d")
            .with("llm_explainer.ca_path", "e")
            .with("database.url", "postgres://u:p@db/failsafe?sslmode=verify-full&sslrootcert=%2Ff&sslcert=g");
        let server = Server { ca: Some("h".into()), ..Server::at("https://there") };
        let all: Vec<_> = named(&settings, &server).unwrap().into_iter().map(|one| (one.setting, one.path)).collect();
        let expected = [
            ("gateway.tls_cert_path", "a"),
            ("gateway.client_ca_path", "b"),
            ("nats.tls_cert_path", "d"),
            ("nats.tls_ca_path", "c"),
            ("database.url sslcert", "g"),
            ("database.url sslrootcert", "/f"),
            ("llm_explainer.ca_path", "e"),
            ("--ca", "h"),
        ];
        assert_eq!(all, expected.map(|(setting, path)| (setting.to_owned(), PathBuf::from(path))));
    }
}
