//! TLS on every connection that can leave a machine: the gateway with and without clients' certificates, NATS and PostgreSQL.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;

use harness::{Fleet, binary};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tokio::process::Command;

use crate::{diffs, http};

/// An authority, and a folder for what it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    name: &'static str,
}

impl Authority {
    fn new(folder: &Path, name: &'static str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder: folder.to_owned(), name }
    }

    fn certificate(&self) -> String {
        self.folder.join(format!("{}.pem", self.name)).display().to_string()
    }

    /// The files of a certificate and its key.
    fn sign(&self, file: &str, names: Vec<SanType>) -> [String; 2] {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, file);
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [cert, private] = ["crt", "key"].map(|kind| self.folder.join(format!("{file}.{kind}")));
        std::fs::write(&cert, certificate.pem()).unwrap();
        std::fs::write(&private, key.serialize_pem()).unwrap();
        [cert, private].map(|path| path.display().to_string())
    }
}

fn here() -> Vec<SanType> {
    vec![SanType::IpAddress([127, 0, 0, 1].into()), SanType::DnsName("localhost".try_into().unwrap())]
}

fn named(name: &str) -> Vec<SanType> {
    vec![SanType::DnsName(name.try_into().unwrap())]
}

/// A fleet whose gateway has a certificate of `ours`, and takes those of `clients`.
async fn secured(ours: &Authority, clients: &str) -> Fleet {
    let [server, server_key] = ours.sign("server", here());
    Fleet::start(&[
        ("FAILSAFE__GATEWAY__TLS_CERT_PATH", &server),
        ("FAILSAFE__GATEWAY__TLS_KEY_PATH", &server_key),
        ("FAILSAFE__GATEWAY__CLIENT_CA_PATH", &ours.certificate()),
        ("FAILSAFE__GATEWAY__CLIENTS", clients),
    ])
    .await
}

async fn list(fleet: &Fleet, more: &[&str]) -> Output {
    let server = format!("https://{}", fleet.gateway());
    Command::new(binary("failsafe")).args(["list", "--server", &server]).args(more).output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_calls_and_a_wrong_one_says_nothing() {
    let folder = embedded::temporary_folder().unwrap();
    let (ours, foreign) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "foreign"));
    let known = ours.sign("known", named("ci.acme.example"));
    let writer = ours.sign("writer", named("writer.acme.example"));
    let unknown = ours.sign("unknown", named("other.acme.example"));
    let wrong = foreign.sign("wrong", named("ci.acme.example"));
    let ca = ours.certificate();
    let ci = r#"{certificate="dns:ci.acme.example", name="ci", scopes=["read"]}"#;
    let writing = r#"{certificate="dns:writer.acme.example", name="writer", scopes=["submit"]}"#;
    let fleet = secured(&ours, &format!("[{ci}, {writing}]")).await;
    let with = |pair: &[String; 2]| ["--ca", &ca, "--cert", &pair[0], "--key", &pair[1]].map(ToOwned::to_owned);
    let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    for (case, arguments, code, part) in [
        ("a known certificate", with(&known).to_vec(), 0, ""),
        ("one without the scope", with(&writer).to_vec(), 3, "needs the scope read"),
        ("one that nobody knows", with(&unknown).to_vec(), 3, "not valid here"),
        ("one of another authority", with(&wrong).to_vec(), 3, ""),
        ("none", ["--ca", &ca].map(ToOwned::to_owned).to_vec(), 3, "say who you are"),
        ("a server of an unknown authority", vec!["--ca".to_owned(), foreign.certificate()], 3, "UnknownIssuer"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = list(&fleet, &arguments).await;
        let told = text(&output);
        assert_eq!(output.status.code(), Some(code), "{case}: {told}");
        assert!(told.contains(part), "{case}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_over_tls_takes_both_versions_and_knows_callers_by_their_certificates() {
    let folder = embedded::temporary_folder().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let known = ours.sign("known", named("ci.acme.example"));
    let ca = ours.certificate();
    let fleet = secured(&ours, r#"[{certificate="dns:ci.acme.example", name="ci", scopes=["submit", "read"]}]"#).await;
    let url = |path: &str| format!("https://{}{path}", fleet.http());
    let read = |path: &str| std::fs::read(path).unwrap();
    let client = |pair: Option<&[String; 2]>| {
        let authority = reqwest::Certificate::from_pem(&read(&ca)).unwrap();
        let client = http::builder().http1_only().tls_certs_only([authority]);
        let shown = pair.map(|[certificate, key]| [read(key), read(certificate)].concat());
        let shown = shown.map(|pem| reqwest::Identity::from_pem(&pem).unwrap());
        shown.into_iter().fold(client, reqwest::ClientBuilder::identity).build().unwrap()
    };
    let submit = client(Some(&known)).post(url("/analyze?repo=acme/shop&pr_id=7")).body(diffs::harmless("x"));
    let submitted = submit.send().await.unwrap();
    assert_eq!((submitted.status().as_u16(), submitted.version()), (200, reqwest::Version::HTTP_11));
    let nobody = client(None).get(url("/v1/deployments")).send().await.unwrap();
    let (status, said) = (nobody.status().as_u16(), nobody.text().await.unwrap());
    assert!(status == 401 && said.contains("CREDENTIALS_MISSING"), "{status} {said}");
    let plain = http::client().get(format!("http://{}/v1/deployments", fleet.http())).send().await;
    assert!(plain.is_err(), "nothing is answered without TLS: {plain:?}");

    // As pipelines call it, by either version.
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", flag, "--cacert", &ca, "--cert", &known[0], "--key", &known[1]]);
        curl.args(["--write-out", "%{http_version} %{http_code}", "--output"]).arg(folder.path().join("answer"));
        let output = curl.arg(url("/v1/deployments")).output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(told, format!("{version} 200"), "{flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_reached_by_tls_with_the_authority_of_the_settings() {
    let folder = embedded::temporary_folder().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let [certificate, key] = ours.sign("nats", here());
    let extra = format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}\n");
    let nats = embedded::Nats::start_with(folder.path(), None, &extra).await.unwrap();
    let settings = chassis::Settings::load(None).unwrap().with("nats.url", nats.url());
    let settings = settings.with("nats.tls_ca_path", ours.certificate());
    let settings = settings.table("nats").unwrap();
    let bus = chassis::Bus::connect(&settings, "ingest", &chassis::Shutdown::default()).await.unwrap();
    assert!(bus.is_connected());
    bus.documents("failsafe-tokens").await.unwrap().write("a", "b").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_reached_by_tls_that_checks_the_authority_and_the_name() {
    let folder = embedded::temporary_folder().unwrap();
    let (ours, foreign) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "foreign"));
    let [certificate, key] = ours.sign("postgres", here());
    let mut postgres = embedded::Postgres::start(folder.path()).await.unwrap();
    let data = std::fs::canonicalize(folder.path().join("postgres")).unwrap().join("data");
    let owner = std::fs::metadata(&data).unwrap();
    for (from, to) in [(&certificate, "server.crt"), (&key, "server.key")] {
        let path = data.join(to);
        std::fs::copy(from, &path).unwrap();
        // The server takes only a key that is its own.
        std::os::unix::fs::chown(&path, Some(owner.uid()), None).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let mut settings = File::options().append(true).open(data.join("postgresql.auto.conf")).unwrap();
    settings.write_all(b"ssl = on\n").unwrap();
    postgres.restart().await.unwrap();
    let by = |mode: &str, ca: &Authority| format!("{}?sslmode={mode}&sslrootcert={}", postgres.url(), ca.certificate());
    let pool = sqlx::PgPool::connect(&by("verify-full", &ours)).await.unwrap();
    let asked = sqlx::query_scalar::<_, bool>("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    assert!(asked.fetch_one(&pool).await.unwrap(), "the connection is by TLS");
    assert!(sqlx::PgPool::connect(&by("verify-full", &foreign)).await.is_err(), "another authority is not believed");
}
