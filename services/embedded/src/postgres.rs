//! A private PostgreSQL with one database, `failsafe`, owned by the role of that name.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::folder::{self, Folder};
use crate::guard::{Guarded, Launch};
use crate::programs::{self, PostgresPrograms};
use crate::user::User;
use crate::wait;

const NAME: &str = "postgres";
/// Role and database.
const ROLE: &str = "failsafe";
/// Where root's servers keep their data when the user they run as cannot enter the folder asked for.
const ELSEWHERE: &str = "/var/lib/failsafe";
const CONNECTIONS_MAX: u32 = 200;
/// Recovery after a crash takes its time.
const READY: Duration = Duration::from_secs(120);
const PORT_FREE: Duration = Duration::from_secs(15);
/// Between choosing a free port and listening on it, another process may take it.
const PORT_TRIES: usize = 5;

/// A private PostgreSQL, ended when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Guarded,
    folder: Folder,
    programs: PostgresPrograms,
    user: Option<User>,
    port: u16,
    url: String,
}

impl Postgres {
    /// Starts a server that keeps its data in `dir/postgres`, made at the first start, and waits until it is ready.
    ///
    /// It listens on the port of its last run, or any free one when there is none or it is taken. Root starts it as the user
    /// `postgres`; where that user cannot enter `dir`, `dir/postgres` becomes a link to a folder below `/var/lib/failsafe`.
    ///
    /// # Errors
    /// When the programs are missing, `dir/postgres` is in use, or the server does not start: its last log lines are told.
    pub async fn start(dir: &Path) -> Result<Self> {
        let user = User::for_postgres()?;
        let folder = Folder::claim(&home(dir, user)?, NAME)?;
        let cluster = Cluster::open(&folder.path, user).await?;
        let mut tries = 0;
        let (server, port) = loop {
            let port = folder.kept_port().filter(|_| tries == 0).map_or_else(free_port, Ok)?;
            tries += 1;
            match launch(&folder, &cluster.programs, user, port).await {
                Ok(server) => break (server, port),
                Err(error) if tries < PORT_TRIES && format!("{error:#}").contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        };
        folder.keep_port(port)?;
        let Cluster { programs, password } = cluster;
        let url = format!("postgres://{ROLE}:{password}@127.0.0.1:{port}/{ROLE}");
        tracing::info!(port, version = programs.major, folder = %folder.path.display(), "postgresql is ready");
        Ok(Self { server, folder, programs, user, port, url })
    }

    /// The address of the database, password included: `postgres://failsafe:PASSWORD@127.0.0.1:PORT/failsafe`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Ends the server in good order, and waits until it is gone. Open connections are closed.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(mut self) -> Result<()> {
        self.server.stop().await
    }

    /// Ends the server by SIGKILL, as a crash would, and waits until it is gone.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self) -> Result<()> {
        self.server.kill().await
    }

    /// Starts the server again on the same port, after stopping it when it runs.
    ///
    /// # Errors
    /// As for [`Postgres::start`], and when something else keeps the port.
    pub async fn restart(&mut self) -> Result<()> {
        self.server.stop().await?;
        let what = format!("port {} to be free", self.port);
        wait::until(&what, PORT_FREE, || Ok(folder::is_free(self.port).then_some(()))).await?;
        self.server = launch(&self.folder, &self.programs, self.user, self.port).await?;
        Ok(())
    }
}

/// The folder of the data: `dir/postgres`, or what it links to.
fn home(dir: &Path, user: Option<User>) -> Result<PathBuf> {
    std::fs::create_dir_all(dir).with_context(|| format!("making the folder {}", dir.display()))?;
    let home = dir.join(NAME);
    let Some(user) = user else { return Ok(home) };
    if home.is_symlink() {
        return std::fs::canonicalize(&home).with_context(|| format!("following the link {}", home.display()));
    }
    if !home.exists() && !user.may_enter(dir)? {
        let elsewhere = elsewhere()?;
        std::os::unix::fs::symlink(&elsewhere, &home).with_context(|| format!("making the link {}", home.display()))?;
        tracing::info!(
            folder = %elsewhere.display(), link = %home.display(),
            "postgresql's data are kept elsewhere, since the user postgres cannot enter the folder asked for"
        );
        user.own(&elsewhere)?;
        return Ok(elsewhere);
    }
    std::fs::create_dir_all(&home).with_context(|| format!("making the folder {}", home.display()))?;
    user.own(&home)?;
    ensure!(user.may_enter(&home)?, "the user postgres, who runs PostgreSQL for root, cannot enter {}", home.display());
    Ok(home)
}

fn elsewhere() -> Result<PathBuf> {
    std::fs::create_dir_all(ELSEWHERE)
        .and_then(|()| tempfile::Builder::new().prefix("postgres-").tempdir_in(ELSEWHERE))
        .map(tempfile::TempDir::keep)
        .with_context(|| format!("making a folder below {ELSEWHERE}"))
}

/// The data on the disk, and what is needed to serve them.
struct Cluster {
    programs: PostgresPrograms,
    password: String,
}

impl Cluster {
    async fn open(home: &Path, user: Option<User>) -> Result<Self> {
        let version = home.join("data/PG_VERSION");
        let password = home.join("password");
        if version.exists() {
            let text = std::fs::read_to_string(&version).with_context(|| format!("reading {}", version.display()))?;
            let programs = programs::postgres(programs::leading_number(&text))?;
            let password = std::fs::read_to_string(&password)
                .with_context(|| format!("reading {}, without which the data are out of reach", password.display()))?;
            return Ok(Self { programs, password });
        }
        let programs = programs::postgres(None)?;
        let home = home.to_owned();
        // On a thread of its own: it takes most of a second.
        tokio::task::spawn_blocking(move || create(&home, user, programs)).await?
    }
}

/// Makes the cluster under another name and renames it, so that what lies in `data` is always whole.
fn create(home: &Path, user: Option<User>, programs: PostgresPrograms) -> Result<Cluster> {
    let unfinished = home.join("data.unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).with_context(|| format!("clearing {}", unfinished.display()))?;
    }
    let password = uuid::Uuid::new_v4().simple().to_string();
    let password_path = home.join("password");
    write_secret(&password_path, &password, user)?;
    let mut initdb = Command::new(programs.bin.join("initdb"));
    // Not waiting for the disk here saves seconds, and risks no more than a power failure in the first half minute of a
    // folder's life: then it has to be made anew. What is committed later does wait for the disk.
    initdb.args(["--no-sync", "--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
    initdb.arg("--pwfile").arg(&password_path).arg("--pgdata").arg(&unfinished);
    run(initdb, "", home, user)?;
    // Not through a connection: the server in single-user mode needs neither a port nor psql.
    let mut single = Command::new(programs.bin.join("postgres"));
    single.arg("--single").arg("-D").arg(&unfinished).args(["-c", "exit_on_error=on", "-c", "fsync=off", "postgres"]);
    let sql = format!("CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}'\nCREATE DATABASE {ROLE} OWNER {ROLE}\n");
    run(single, &sql, home, user)?;
    std::fs::rename(&unfinished, home.join("data")).context("naming the new data folder")?;
    Ok(Cluster { programs, password })
}

fn write_secret(path: &Path, secret: &str, user: Option<User>) -> Result<()> {
    let write = || {
        let file = std::fs::File::create(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        (&file).write_all(secret.as_bytes())
    };
    write().with_context(|| format!("writing {}", path.display()))?;
    user.map_or(Ok(()), |user| user.own(path))
}

/// Runs `command` to its end as `user`, `input` on its standard input; its output is the error when it fails.
fn run(mut command: Command, input: &str, folder: &Path, user: Option<User>) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.current_dir(folder).env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(user) = user {
        user.run(&mut command);
    }
    let mut child = command.spawn().with_context(|| format!("running {name}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why in its output.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().with_context(|| format!("running {name}"))?;
    if !output.status.success() {
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{name} failed ({}):\n{}\n{}", output.status, stdout.trim(), stderr.trim());
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

async fn launch(folder: &Folder, programs: &PostgresPrograms, user: Option<User>, port: u16) -> Result<Guarded> {
    let log = folder.log().await?;
    let data = folder.path.join("data");
    let mut arguments: Vec<OsString> = vec!["-D".into(), data.clone().into()];
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        // Connections come by TCP alone: a socket's path could be too long, and would be one more door.
        "unix_socket_directories=".to_owned(),
        format!("max_connections={CONNECTIONS_MAX}"),
        // Taken as the tables grow. With the default of 128 MB the indexes of a million deployments do not stay in it.
        "shared_buffers=512MB".to_owned(),
        // After each checkpoint every page that is touched is logged whole; with 1 GB there was one every 25 s at 600 verdicts a second.
        "max_wal_size=4GB".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ] {
        arguments.extend(["-c".into(), setting.into()]);
    }
    let mut server = Guarded::start(Launch {
        name: NAME,
        program: &programs.bin.join("postgres"),
        arguments,
        environment: Vec::new(),
        folder: &folder.path,
        log,
        user,
        // A fast shutdown; TERM would wait for the clients to go.
        polite_signal: "INT",
    })?;
    folder.name_server(server.pid())?;
    let pid = server.pid();
    server.ready(READY, || is_ready(&data, pid)).await?;
    Ok(server)
}

/// Whether the server says that it is ready, in the file that it keeps in its data folder: so it is this server that serves
/// these data, and not another one that holds the port.
fn is_ready(data: &Path, pid: u32) -> Result<Option<()>> {
    let text = match std::fs::read_to_string(data.join("postmaster.pid")) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow!(error).context("reading postmaster.pid")),
    };
    let lines: Vec<_> = text.lines().collect();
    let ours = lines.first().is_some_and(|line| line.trim() == pid.to_string());
    Ok((ours && lines.get(7).is_some_and(|line| line.trim() == "ready")).then_some(()))
}
