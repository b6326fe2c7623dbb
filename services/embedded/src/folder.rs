//! A server's folder: it belongs to one process at a time, and keeps the port and the log.
//!
//! Two locks, both `flock`, both gone with the processes that hold them:
//! - `<name>.owner` is held by the process that started the server. Whoever finds it held is refused at once.
//! - `<name>.log` is held by every process of the server, which inherits it as its standard error. Whoever has become the
//!   owner waits for it: the last owner may have been killed a moment ago, and its server may still be stopping.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait;

/// A log longer than this many bytes is emptied at the next start.
const LOG_BYTES_MAX: u64 = 8 << 20;
/// How much of a log an error shows.
const LOG_LINES_SHOWN: usize = 12;
const LAST_SERVER_STOPS: Duration = Duration::from_secs(40);

/// A folder that this process has claimed for a server.
#[derive(Debug)]
pub(crate) struct Folder {
    /// An absolute path.
    pub(crate) path: PathBuf,
    /// The server's name.
    pub(crate) name: &'static str,
    owner: File,
}

impl Folder {
    /// Claims the folder `path`, made when it is not there, for the server `name`.
    pub(crate) fn claim(path: &Path, name: &'static str) -> Result<Self> {
        let path = std::path::absolute(path)?;
        std::fs::create_dir_all(&path).with_context(|| format!("making the folder {}", path.display()))?;
        let owner_path = path.join(format!("{name}.owner"));
        let owner = open(&owner_path)?;
        match owner.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&owner_path).unwrap_or_default();
                let holder = if holder.is_empty() { "a process that is just starting" } else { holder.trim() };
                bail!("{} is in use by {holder}: stop that first, or name another folder", path.display());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", owner_path.display()));
            }
        }
        let folder = Self { path, name, owner };
        folder.write("owner", &format!("process {}", std::process::id()))?;
        Ok(folder)
    }

    /// Names the server's process to whoever else wants this folder.
    pub(crate) fn name_server(&self, pid: u32) -> Result<()> {
        self.write("owner", &format!("process {}, whose {} is process {pid}", std::process::id(), self.name))
    }

    /// The log, once no process of an earlier server is left.
    pub(crate) async fn log(&self) -> Result<Log> {
        let path = self.path.join(format!("{}.log", self.name));
        let mut file = open(&path)?;
        let what = format!("the last {} in {} to stop", self.name, self.path.display());
        wait::until(&what, LAST_SERVER_STOPS, || match file.try_lock() {
            Ok(()) => Ok(Some(())),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
        })
        .await?;
        if file.metadata()?.len() > LOG_BYTES_MAX {
            file.set_len(0)?;
        }
        let start = file.seek(SeekFrom::End(0))?;
        Ok(Log { file, place: LogPlace { path, start } })
    }

    /// The port of the last run, when it is free.
    pub(crate) fn kept_port(&self) -> Option<u16> {
        let text = std::fs::read_to_string(self.path.join(format!("{}.port", self.name))).ok()?;
        text.trim().parse().ok().filter(|port| *port != 0 && is_free(*port))
    }

    /// Keeps `port` for the next run.
    pub(crate) fn keep_port(&self, port: u16) -> Result<()> {
        self.write("port", &port.to_string())
    }

    fn write(&self, extension: &str, text: &str) -> Result<()> {
        let path = self.path.join(format!("{}.{extension}", self.name));
        std::fs::write(&path, format!("{text}\n")).with_context(|| format!("writing {}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread has just forked holds a copy until it runs its program.
        let _ = self.owner.unlock();
    }
}

/// Whether a server could listen on `port`.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A log that no process writes to yet: hand it to the server and drop it.
#[derive(Debug)]
pub(crate) struct Log {
    /// The locked file.
    pub(crate) file: File,
    /// Where to read it again.
    pub(crate) place: LogPlace,
}

/// Where one run of a server logs.
#[derive(Clone, Debug)]
pub(crate) struct LogPlace {
    path: PathBuf,
    start: u64,
}

impl LogPlace {
    /// The last lines of this run, and where the rest is.
    pub(crate) fn last_lines(&self) -> String {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.start))?;
            file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)
        });
        if let Err(error) = read {
            return format!("no log in {}: {error}", self.path.display());
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n  ");
        format!("the end of {}:\n  {shown}", self.path.display())
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}
