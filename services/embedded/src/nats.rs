//! A private nats-server with JetStream.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::folder::{self, Folder};
use crate::guard::{Guarded, Launch};
use crate::{programs, wait};

const NAME: &str = "nats-server";
/// The largest message that the server takes.
const PAYLOAD_BYTES_MAX: u32 = 8 << 20;
/// Reading a large store back takes its time.
const READY: Duration = Duration::from_secs(60);
const INFO: Duration = Duration::from_secs(5);
const PORT_FREE: Duration = Duration::from_secs(15);

/// A private nats-server with JetStream, ended when this is dropped.
#[derive(Debug)]
pub struct Nats {
    server: Guarded,
    folder: Folder,
    program: PathBuf,
    extra: String,
    room: Option<u64>,
    port: u16,
    url: String,
    version: String,
}

impl Nats {
    /// Starts a server that keeps its data in `dir/nats`, and waits until it is ready.
    ///
    /// It listens on the port of its last run, or any free one when there is none or it is taken.
    ///
    /// # Errors
    /// When the program is missing, `dir/nats` is in use, or the server does not start: its last log lines are told.
    pub async fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, None, "").await
    }

    /// The same with `program` in the place of the nats-server that is installed, and with `extra` behind its configuration, such as
    /// users and their permissions: of what stands twice the latter counts.
    ///
    /// # Errors
    /// As for [`Nats::start`], and when the server refuses the configuration.
    pub async fn start_with(dir: &Path, program: Option<PathBuf>, extra: &str) -> Result<Self> {
        let program = program.map_or_else(programs::nats_server, Ok)?;
        let folder = Folder::claim(&dir.join("nats"), NAME)?;
        let kept = folder.kept_port();
        let (server, port, info) = launch(&folder, &program, kept, None, extra).await?;
        folder.keep_port(port)?;
        let url = format!("nats://127.0.0.1:{port}");
        tracing::info!(%url, version = info.version, folder = %folder.path.display(), "nats-server is ready");
        Ok(Self { server, folder, program, extra: extra.to_owned(), room: None, port, url, version: info.version })
    }

    /// The address, such as `nats://127.0.0.1:40871`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's version, such as `2.12.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The server's process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Ends the server in good order, and waits until it is gone.
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
    /// As for [`Nats::start`], and when something else keeps the port.
    pub async fn restart(&mut self) -> Result<()> {
        self.server.stop().await?;
        let what = format!("port {} to be free", self.port);
        wait::until(&what, PORT_FREE, || Ok(folder::is_free(self.port).then_some(()))).await?;
        (self.server, ..) = launch(&self.folder, &self.program, Some(self.port), self.room, &self.extra).await?;
        Ok(())
    }

    /// The same; from then on its streams may take no more than so many bytes of the disk together, or as many as there are (`None`).
    /// What they hold already stays.
    ///
    /// # Errors
    /// As for [`Nats::restart`].
    pub async fn restart_with_room(&mut self, bytes: Option<u64>) -> Result<()> {
        self.room = bytes;
        self.restart().await
    }
}

/// What a server says first to whoever connects.
#[derive(Debug, Deserialize)]
struct Info {
    version: String,
    #[serde(default)]
    jetstream: bool,
}

async fn launch(
    folder: &Folder,
    program: &Path,
    port: Option<u16>,
    room: Option<u64>,
    extra: &str,
) -> Result<(Guarded, u16, Info)> {
    let log = folder.log().await?;
    let ports = folder.path.join("ports");
    // A killed server leaves its file there.
    if ports.exists() {
        std::fs::remove_dir_all(&ports).with_context(|| format!("clearing {}", ports.display()))?;
    }
    std::fs::create_dir(&ports).with_context(|| format!("making {}", ports.display()))?;
    let settings = folder.path.join("nats.conf");
    let durability = Durability::of(&programs::version_line(program)?);
    std::fs::write(&settings, configuration(&folder.path, port, durability, room) + extra)
        .with_context(|| format!("writing {}", settings.display()))?;
    let mut server = Guarded::start(Launch {
        name: NAME,
        program,
        arguments: vec!["--config".into(), settings.into()],
        environment: threads(),
        folder: &folder.path,
        log,
        user: None,
        polite_signal: "TERM",
    })?;
    folder.name_server(server.pid())?;
    let suffix = format!("_{}.ports", server.pid());
    let port = server.ready(READY, || chosen_port(&ports, &suffix)).await?;
    let info = info(port).with_context(|| format!("asking the new nats-server on port {port} who it is"))?;
    ensure!(info.jetstream, "nats-server {} started without JetStream", info.version);
    Ok((server, port, info))
}

/// The private server shares the machine with PostgreSQL and the services: as each of those, it runs Go on half as many threads as there are
/// cores, unless it is told otherwise.
fn threads() -> Vec<(&'static str, String)> {
    const NAME: &str = "GOMAXPROCS";
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if std::env::var_os(NAME).is_some() { Vec::new() } else { vec![(NAME, (cores / 2).max(1).to_string())] }
}

/// When the server writes to the disk what it acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durability {
    /// Before it acknowledges.
    Always,
    /// Every two minutes: all that servers before 2.10 can do.
    Periodic,
}

impl Durability {
    fn of(version_line: &str) -> Self {
        let version = version_line.rsplit_once('v').map_or("", |(_, version)| version);
        let mut numbers = version.split('.').map_while(programs::leading_number);
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) if (major, minor) >= (2, 10) => Self::Always,
            _ => Self::Periodic,
        }
    }
}

fn configuration(folder: &Path, port: Option<u16>, durability: Durability, room: Option<u64>) -> String {
    let quoted = |name: &str| format!("{:?}", folder.join(name).display().to_string());
    let mut text = String::from("# Written anew at each start.\n");
    let port = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    let sync = match durability {
        Durability::Always => "sync_interval: always",
        Durability::Periodic => "",
    };
    let room = room.map_or_else(String::new, |bytes| format!("max_file_store: {bytes}"));
    write!(
        text,
        "host: 127.0.0.1\nport: {port}\nports_file_dir: {}\nserver_name: failsafe\nmax_payload: {PAYLOAD_BYTES_MAX}\n\
         jetstream {{\n  store_dir: {}\n  {sync}\n  {room}\n}}\n",
        quoted("ports"),
        quoted("jetstream"),
    )
    .expect("a string takes every write");
    text
}

#[derive(Deserialize)]
struct PortsFile {
    nats: Vec<String>,
}

/// The port in the file that the server writes once it listens; `None` while it is not there or half written.
fn chosen_port(ports: &Path, suffix: &str) -> Result<Option<u16>> {
    for entry in std::fs::read_dir(ports)? {
        let path = entry?.path();
        if !path.to_string_lossy().ends_with(suffix) {
            continue;
        }
        let Ok(file) = serde_json::from_slice::<PortsFile>(&std::fs::read(path)?) else { continue };
        let port = file.nats.iter().find_map(|url| url.rsplit(':').next()?.parse().ok());
        return port.map(Some).with_context(|| format!("no port in {:?}", file.nats));
    }
    Ok(None)
}

fn info(port: u16) -> Result<Info> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(INFO))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match line.strip_prefix("INFO ") {
        Some(json) => Ok(serde_json::from_str(json)?),
        None => bail!("it says {line:?}, which is not what a nats-server says"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_can_is_asked_to_write_before_it_acknowledges() {
        assert_eq!(Durability::of("nats-server: v2.9.10"), Durability::Periodic);
        assert_eq!(Durability::of("nats-server: v2.10.0-beta.1"), Durability::Always);
        assert_eq!(Durability::of("nats-server: v2.12.1"), Durability::Always);
        assert_eq!(Durability::of("nats-server: v3.0"), Durability::Always);
        assert_eq!(Durability::of("nats-server: unknown"), Durability::Periodic);
    }
}
