//! The program `git` as a child process: what it may read, do and print.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Settings that hold for git and for all that git starts. They come in place of the user's and the system's.
///
/// Every repository that is read has been permitted by its place, whoever owns it. What hangs on the network ends by itself,
/// because only git itself is killed when time is up.
const SETTINGS: &str = "\
[safe]
    directory = *
[http]
    followRedirects = false
    lowSpeedLimit = 1
    lowSpeedTime = 30
[core]
    sshCommand = ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3
    askPass =
[gc]
    auto = 0
";

/// Settings that a repository cannot change.
const OVERRIDES: [&str; 3] = ["core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null"];

/// What this process may have been started with that points git elsewhere.
const REMOVED: [&str; 18] = [
    "GIT_DIR",
    "GIT_COMMON_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_ATTR_SOURCE",
    "GIT_DEFAULT_HASH",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
];

/// How much of its complaints is kept.
const STDERR_BYTES_MAX: u64 = 16 * 1024;

/// A git with settings of its own, and a folder to work in that is gone when this is dropped.
pub(super) struct Git {
    folder: tempfile::TempDir,
    stdout_bytes_max: u64,
}

/// How a git ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// At most one byte more than was allowed: then git was killed, and this is not all.
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl Git {
    pub(super) async fn new(stdout_bytes_max: u64) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("failsafe-ingest-").tempdir().context("cannot make a folder")?;
        let git = Self { folder, stdout_bytes_max };
        tokio::fs::write(git.folder.path().join("config"), SETTINGS).await.context("cannot write git's settings")?;
        Ok(git)
    }

    /// Where a repository can be made.
    pub(super) fn repository(&self) -> std::path::PathBuf {
        self.folder.path().join("repository")
    }

    /// The command `git -C at arguments…`, which may speak `protocol` with others, if with anyone.
    pub(super) fn command(&self, at: &Path, protocol: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(at);
        for setting in OVERRIDES {
            command.arg("-c").arg(setting);
        }
        command.args(arguments);
        for name in REMOVED {
            command.env_remove(name);
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", self.folder.path().join("config"))
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", protocol)
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            // A folder that is no repository must not be taken for a part of one above it.
            .env("GIT_CEILING_DIRECTORIES", at.parent().unwrap_or(at));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs `command` to its end. Dropped before that, it kills git.
    pub(super) async fn run(&self, mut command: Command) -> anyhow::Result<Ended> {
        let mut child = command.spawn().context("cannot start the program git")?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = tokio::try_join!(
            async {
                let stdout = read(stdout, self.stdout_bytes_max.saturating_add(1)).await?;
                if stdout.len() as u64 > self.stdout_bytes_max {
                    child.start_kill()?;
                }
                Ok(stdout)
            },
            async {
                let mut stderr = stderr;
                let kept = read(stderr.as_mut(), STDERR_BYTES_MAX).await?;
                if let Some(mut rest) = stderr {
                    // Unread, it would stop git.
                    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
                }
                Ok(kept)
            },
        )
        .map_err(|error: std::io::Error| anyhow::Error::new(error).context("cannot read what git prints"))?;
        let status = child.wait().await.context("cannot wait for git")?;
        Ok(Ended { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(bytes_max).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
