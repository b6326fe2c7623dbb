//! Whom a server runs as: ourselves, or an unprivileged user in root's place, since PostgreSQL refuses to run as root.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The user that PostgreSQL's packages create.
const NAME: &str = "postgres";

/// An unprivileged user to run as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Whom to run PostgreSQL as: `None` means as ourselves.
    pub(crate) fn for_postgres() -> Result<Option<Self>> {
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        let ids = id(&["-u", NAME]).and_then(|uid| Ok(Self { uid, gid: id(&["-g", NAME])? }));
        ids.map(Some).with_context(|| {
            format!("PostgreSQL does not run as root, and there is no user {NAME} to run it as: start FailSafe as another user")
        })
    }

    /// Makes `command` run as this user.
    pub(crate) fn run(self, command: &mut Command) {
        command.gid(self.gid).uid(self.uid);
    }

    /// Gives `path` to this user.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid)).with_context(|| format!("giving {} to {NAME}", path.display()))
    }

    /// Whether this user may enter `folder`.
    pub(crate) fn may_enter(self, folder: &Path) -> Result<bool> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"cd -- "$1""#, "sh"]).arg(folder).current_dir("/").stderr(Stdio::null());
        self.run(&mut command);
        Ok(command.status().with_context(|| format!("becoming the user {NAME}"))?.success())
    }
}

fn id(arguments: &[&str]) -> Result<u32> {
    let output = Command::new("id").args(arguments).output().context("running id")?;
    if !output.status.success() {
        bail!("id {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().context("reading what id says")
}
