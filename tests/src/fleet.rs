//! All of FailSafe as it runs in production: a NATS server, a PostgreSQL, and each service as its own process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use async_nats::jetstream;
use embedded::{Nats, Postgres};
use proto::question::health_subject;
use proto::v1::deployment_service_client::DeploymentServiceClient;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tonic::transport::Channel;

use crate::cluster::Routes;
use crate::eventually;

/// Every service, in the order of the flow.
pub const SERVICES: [&str; 6] = ["gateway", "ingest", "static-analysis", "ml-scoring", "decision", "llm-explainer"];

/// All of FailSafe, each service a process.
#[derive(Debug)]
pub struct Fleet {
    children: BTreeMap<&'static str, Child>,
    environment: Vec<(String, String)>,
    /// Whether each service is a user of its own to NATS.
    users: bool,
    gateway: String,
    http: String,
    admins: BTreeMap<&'static str, String>,
    /// The NATS server, to be killed and restarted; of a cluster the first.
    pub nats: Nats,
    /// The other servers of a cluster.
    pub(crate) peers: Vec<Nats>,
    /// Between the servers of a cluster.
    pub(crate) routes: Routes,
    /// The PostgreSQL server, to be killed and restarted.
    pub postgres: Postgres,
    folder: TempDir,
}

impl Fleet {
    /// Starts the servers and every service, and waits until all serve. `environment` goes over the defaults.
    pub async fn start(environment: &[(&str, &str)]) -> Self {
        let mut fleet = Self::servers(environment).await;
        fleet.all_serve().await;
        fleet
    }

    /// The same with each service a user of its own to NATS, with the permissions of `deploy/nats.users.conf`.
    pub async fn start_with_users(environment: &[(&str, &str)]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats.users.conf");
        let permissions = fs::read_to_string(path).expect("the users' permissions");
        let variables = SERVICES.into_iter().chain(["operator", "submitter"]).map(|user| {
            let variable = user.to_uppercase().replace('-', "_");
            format!("NATS_{variable}_PASSWORD: {:?}\n", nats_password(user))
        });
        let extra = variables.collect::<String>() + &permissions;
        let mut fleet = Self::servers_with(environment, &extra).await;
        fleet.users = true;
        fleet.all_serve().await;
        fleet
    }

    async fn all_serve(&mut self) {
        for service in SERVICES {
            self.spawn(service);
        }
        for service in SERVICES {
            self.serving(service).await;
        }
    }

    /// Starts the servers alone.
    pub async fn servers(environment: &[(&str, &str)]) -> Self {
        Self::servers_with(environment, "").await
    }

    async fn servers_with(environment: &[(&str, &str)], nats_extra: &str) -> Self {
        let folder = embedded::temporary_folder().expect("a temporary folder");
        let (nats, postgres) =
            tokio::join!(Nats::start_with(folder.path(), nats_program(), nats_extra), Postgres::start(folder.path()));
        let nats = vec![nats.expect("a NATS server")];
        Self::around(folder, nats, Routes::default(), postgres.expect("a PostgreSQL"), environment)
    }

    /// With those servers, and no service yet.
    pub(crate) fn around(
        folder: TempDir,
        nats: Vec<Nats>,
        routes: Routes,
        postgres: Postgres,
        environment: &[(&str, &str)],
    ) -> Self {
        let (gateway, http) = (free_address(), free_address());
        let nats_url = nats.iter().map(Nats::url).collect::<Vec<_>>().join(",");
        let mut nats = nats.into_iter();
        let (nats, peers) = (nats.next().expect("at least one NATS server"), nats.collect());
        let mut all = vec![
            ("FAILSAFE__NATS__URL".to_owned(), nats_url),
            ("FAILSAFE__DATABASE__URL".to_owned(), postgres.url().to_owned()),
            ("FAILSAFE__GATEWAY__LISTEN".to_owned(), gateway.clone()),
            ("FAILSAFE__GATEWAY__HTTP_LISTEN".to_owned(), http.clone()),
            // Nothing listens there: the explanations are written from the evidence.
            ("FAILSAFE__LLM_EXPLAINER__MODEL_URL".to_owned(), "http://127.0.0.1:9".to_owned()),
        ];
        all.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let admins = SERVICES.map(|service| (service, free_address())).into();
        Self {
            children: BTreeMap::new(),
            environment: all,
            users: false,
            gateway,
            http,
            admins,
            nats,
            peers,
            routes,
            postgres,
            folder,
        }
    }

    /// Sets a variable for the services that are started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts one service as a process.
    pub fn spawn(&mut self, service: &'static str) {
        let child = self.start_program(service, &binary(service), &self.admins[service]);
        self.children.insert(service, child);
    }

    /// Starts one service from another folder of programs.
    pub fn spawn_from(&mut self, folder: &Path, service: &'static str) {
        let child = self.start_program(service, &folder.join(service), &self.admins[service]);
        self.children.insert(service, child);
    }

    /// Starts a replica of one service, beside the one that runs. It ends when it is dropped.
    #[must_use]
    pub fn replica(&self, service: &str) -> Child {
        self.start_program(service, &binary(service), &free_address())
    }

    fn start_program(&self, service: &str, program: &Path, admin: &str) -> Child {
        let log = self.log(service);
        let log = File::options().create(true).append(true).open(&log).expect("a log file");
        let mut command = Command::new(program);
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("FAILSAFE__") || name.starts_with("OTEL_"))
        {
            command.env_remove(name);
        }
        if self.users {
            command.env("FAILSAFE__NATS__USER", service).env("FAILSAFE__NATS__PASSWORD", nats_password(service));
        }
        command.env("FAILSAFE__ADMIN__LISTEN", admin);
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).spawn().expect("the service starts")
    }

    /// Waits until `service` says that it serves.
    pub async fn serving(&mut self, service: &'static str) {
        let client = self.bus().await;
        eventually(&format!("{service} serves"), async || {
            if let Some(Ok(Some(status))) = self.children.get_mut(service).map(Child::try_wait) {
                panic!("{service} ended with {status}:\n{}", self.tail(service));
            }
            let reply = client.request(health_subject(service), "".into()).await.ok()?;
            (reply.payload == "SERVING").then_some(())
        })
        .await;
    }

    /// Ends one service with SIGKILL.
    pub async fn kill(&mut self, service: &'static str) {
        let mut child = self.children.remove(service).expect("the service runs");
        child.kill().await.expect("the service is killed");
    }

    /// Asks one service to end, with SIGTERM, and gives its exit code once it has.
    pub async fn terminate(&mut self, service: &'static str) -> Option<i32> {
        self.signal(service, "TERM").await;
        let mut child = self.children.remove(service).expect("the service runs");
        child.wait().await.expect("the service ends").code()
    }

    /// Sends one service a signal, such as `STOP`.
    pub async fn signal(&self, service: &str, signal: &str) {
        let pid = self.pid(service).to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().await.expect("kill runs");
        assert!(sent.success(), "{service} takes {signal}");
    }

    /// The exit of a service that was not asked to end, if there is one.
    pub fn ended(&mut self, service: &str) -> Option<std::process::ExitStatus> {
        self.children.get_mut(service).and_then(|child| child.try_wait().ok().flatten())
    }

    /// The process of a service that runs.
    #[must_use]
    pub fn pid(&self, service: &str) -> u32 {
        self.children.get(service).and_then(Child::id).expect("the service runs")
    }

    /// What one service logged so far.
    #[must_use]
    pub fn logged(&self, service: &str) -> String {
        fs::read_to_string(self.log(service)).unwrap_or_default()
    }

    fn log(&self, service: &str) -> PathBuf {
        self.folder.path().join(format!("{service}.log"))
    }

    fn tail(&self, service: &str) -> String {
        let logged = self.logged(service);
        let lines: Vec<&str> = logged.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The folder that is gone with the fleet.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of the gateway, as `host:port`.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// The address at which the gateway speaks HTTP, as `host:port`.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }

    /// The address of a service's admin port, as `host:port`.
    #[must_use]
    pub fn admin(&self, service: &str) -> &str {
        &self.admins[service]
    }

    /// A channel to the gateway.
    pub fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.gateway)).expect("an address").connect_lazy()
    }

    /// A gRPC client.
    pub fn client(&self) -> DeploymentServiceClient<Channel> {
        DeploymentServiceClient::new(self.channel()).max_encoding_message_size(256 << 20)
    }

    /// A NATS client.
    pub async fn bus(&self) -> async_nats::Client {
        let mut options = async_nats::ConnectOptions::new();
        if self.users {
            options = options.user_and_password("operator".to_owned(), nats_password("operator"));
        }
        let servers: Vec<&str> = self.nodes().map(Nats::url).collect();
        options.connect(servers).await.expect("NATS answers")
    }

    /// A JetStream context.
    pub async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.bus().await)
    }

    /// A connection pool of the audit trail's database.
    pub async fn database(&self) -> PgPool {
        PgPool::connect(self.postgres.url()).await.expect("PostgreSQL answers")
    }

    /// The same, for the superuser.
    pub async fn superuser(&self) -> PgPool {
        PgPool::connect(&url_as(&self.postgres, "postgres")).await.expect("PostgreSQL answers")
    }

    /// Has PostgreSQL do what it would do within minutes: look through all tables, and write everything, after which its log goes over files of
    /// what went before.
    pub async fn settle(&self) {
        let superuser = self.superuser().await;
        for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            sqlx::query(statement).execute(&superuser).await.expect(statement);
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for service in SERVICES {
                eprintln!("--- the last words of {service}:\n{}", self.tail(service));
            }
        }
    }
}

/// The address of `postgres` for another role than the owner: the superuser's password is the owner's.
#[must_use]
pub fn url_as(postgres: &Postgres, role: &str) -> String {
    postgres.url().replacen("//failsafe:", &format!("//{role}:"), 1)
}

/// The nats-server that the tests run on, where it is not the one that is installed.
pub(crate) fn nats_program() -> Option<PathBuf> {
    std::env::var_os("FAILSAFE_NATS_SERVER").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The password of one of the users that NATS knows in the tests.
#[must_use]
pub fn nats_password(user: &str) -> String {
    format!("the-password-of-{user}")
}

/// The path of one of FailSafe's own programs.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.parent().expect("a program lies in a folder");
    // Tests lie one folder deeper than programs.
    let folder = if folder.ends_with("deps") { folder.parent().expect("target/<profile>") } else { folder };
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: run `cargo build --workspace --bins` first", path.display());
    path
}

/// A free port on the loopback. It is below those that the system gives to outgoing connections (from 32768 on Linux, from
/// 49152 on macOS), so that none of them takes it before the service does.
#[must_use]
pub fn free_address() -> String {
    const PORTS: std::ops::Range<u32> = 20_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Other test processes may look at the same time: each begins elsewhere.
    let first = std::process::id().wrapping_mul(101);
    let candidate = |_| {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + first.wrapping_add(step) % (PORTS.end - PORTS.start);
        format!("127.0.0.1:{port}")
    };
    let free = PORTS.map(candidate).find(|address| TcpListener::bind(address).is_ok());
    free.expect("a free port")
}
