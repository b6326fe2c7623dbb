//! A server below a watcher that ends it when its owner is gone.
//!
//! The owner holds the writing end of a pipe and never lets another process inherit it. A small shell script reads the
//! other end: when the pipe closes, because the owner stopped, crashed or was killed, it ends the server. So one way of
//! stopping serves all cases, needs no signal handler in the owner, and works wherever there is a POSIX shell.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::folder::{Log, LogPlace};
use crate::user::User;
use crate::wait;

/// Prints the server's pid, and ends with it. A line on the standard input names the signal to send; its end means `$1`, the
/// polite one, followed by KILL when `$2` seconds did not suffice.
const WATCHER: &str = r#"
polite=$1; patience=$2; shift 2
exec 3<&0
"$@" </dev/null >&2 3<&- &
server=$!
echo "$server"
exec >&2
(
    read -r signal <&3
    sleep "$patience" &
    trap 'kill "$!"; wait "$!"; exit' TERM
    kill -s "${signal:-$polite}" "$server"
    wait "$!"
    kill -s KILL "$server"
) >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$server"
status=$?
kill "$guard" 2>/dev/null
wait "$guard"
exit "$status"
"#;

/// How long a server may take to stop by itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long until the watcher must be gone, KILL included.
const LIMIT: Duration = Duration::from_secs(40);

/// How a server is started.
pub(crate) struct Launch<'a> {
    /// The server's name.
    pub(crate) name: &'static str,
    /// The program's path.
    pub(crate) program: &'a Path,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// What is added to its environment.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// The folder it works in.
    pub(crate) folder: &'a Path,
    /// Where its output goes.
    pub(crate) log: Log,
    /// Whom it runs as.
    pub(crate) user: Option<User>,
    /// The signal that makes it stop in good order.
    pub(crate) polite_signal: &'static str,
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Guarded {
    name: &'static str,
    watcher: Child,
    pipe: Option<ChildStdin>,
    server: u32,
    log: LogPlace,
}

impl Guarded {
    /// Starts a server; it need not be ready yet.
    pub(crate) fn start(launch: Launch<'_>) -> Result<Self> {
        let Launch { name, program, arguments, environment, folder, log, user, polite_signal } = launch;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WATCHER, name, polite_signal, &PATIENCE.as_secs().to_string()])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .env("LC_ALL", "C")
            .envs(environment)
            // Ctrl-C in the terminal is for the owner alone, which stops the server when it no longer needs it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.file);
        if let Some(user) = user {
            user.run(&mut command);
        }
        let mut watcher = command.spawn().with_context(|| format!("starting {name}"))?;
        let (pipe, stdout) = (watcher.stdin.take(), watcher.stdout.take());
        let mut line = String::new();
        BufReader::new(stdout.context("a pipe was asked for")?)
            .read_line(&mut line)
            .with_context(|| format!("reading the process id of {name}"))?;
        let server = line.trim().parse().with_context(|| format!("starting {name}: {}", log.place.last_lines()))?;
        Ok(Self { name, watcher, pipe, server, log: log.place })
    }

    /// The server's process id.
    pub(crate) const fn pid(&self) -> u32 {
        self.server
    }

    /// What `probe` finds once the server is ready; an error with the server's last words when it ends before.
    pub(crate) async fn ready<T>(
        &mut self,
        limit: Duration,
        mut probe: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let what = format!("{} to be ready", self.name);
        let (name, watcher) = (self.name, &mut self.watcher);
        let ready = wait::until(&what, limit, || match watcher.try_wait()? {
            Some(status) => bail!("{name} ended at once ({status})"),
            None => probe(),
        });
        ready.await.with_context(|| self.log.last_lines())
    }

    /// Ends the server in good order.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.pipe = None;
        self.gone().await
    }

    /// Ends the server by SIGKILL.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        if let Some(mut pipe) = self.pipe.take() {
            // A server that has just ended by itself has taken its watcher with it.
            let _ = pipe.write_all(b"KILL\n");
        }
        self.gone().await
    }

    async fn gone(&mut self) -> Result<()> {
        let what = format!("{} (process {}) to end", self.name, self.server);
        let watcher = &mut self.watcher;
        wait::until(&what, LIMIT, || Ok(watcher.try_wait()?.map(drop))).await
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.pipe = None;
        let start = Instant::now();
        while matches!(self.watcher.try_wait(), Ok(None)) && start.elapsed() < LIMIT {
            std::thread::sleep(wait::PAUSE);
        }
    }
}
