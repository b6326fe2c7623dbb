//! Finding the servers' programs: on the `PATH`, and where Debian, Homebrew and PostgreSQL's own packages put them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

/// Where programs lie besides the `PATH`: on Debian a normal user's `PATH` lacks `/usr/sbin`, where nats-server is.
const MORE_FOLDERS: [&str; 5] =
    ["/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin", "/home/linuxbrew/.linuxbrew/bin"];

/// Folders that hold one folder for each major version of PostgreSQL: the parent, and how the names begin.
const POSTGRES_FOLDERS: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/opt/homebrew/opt", "postgresql"),
    ("/usr/local/opt", "postgresql"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql"),
    ("/usr", "pgsql-"),
];

/// The programs of one version of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PostgresPrograms {
    /// Major version, such as 17.
    pub(crate) major: u32,
    /// Folder that holds `postgres` and `initdb`.
    pub(crate) bin: PathBuf,
}

/// The nats-server to use.
pub(crate) fn nats_server() -> Result<PathBuf> {
    let mut paths = folders().into_iter().map(|folder| folder.join("nats-server"));
    paths.find(|path| path.is_file()).ok_or_else(|| missing("nats-server"))
}

/// The PostgreSQL to use: `major` when data of that version lies there, else the first on the `PATH`, else the newest.
pub(crate) fn postgres(major: Option<u32>) -> Result<PostgresPrograms> {
    choose(installed_postgres(), major)
}

fn choose(installed: Vec<PostgresPrograms>, major: Option<u32>) -> Result<PostgresPrograms> {
    let Some(first) = installed.first().cloned() else {
        return Err(missing("PostgreSQL (postgres, initdb)"));
    };
    let Some(major) = major else { return Ok(first) };
    installed.into_iter().find(|programs| programs.major == major).ok_or_else(|| {
        anyhow!("the data are of PostgreSQL {major}, which is not installed (PostgreSQL {} is)", first.major)
    })
}

/// Those on the `PATH` in its order, then the others from the newest on.
fn installed_postgres() -> Vec<PostgresPrograms> {
    let complete = |folder: PathBuf| {
        if !folder.join("initdb").is_file() {
            return None;
        }
        // Where a link leads to, since there the other programs are too.
        let program = folder.join("postgres").canonicalize().ok()?;
        let line = version_line(&program).ok()?;
        let major = leading_number(line.strip_prefix("postgres (PostgreSQL) ")?)?;
        Some(PostgresPrograms { major, bin: program.parent()?.to_owned() })
    };
    let mut found: Vec<_> = folders().into_iter().filter_map(complete).collect();
    let mut more: Vec<_> = POSTGRES_FOLDERS
        .iter()
        .flat_map(|(parent, start)| entries(Path::new(parent), start))
        .filter_map(|folder| complete(folder.join("bin")))
        .collect();
    more.sort_by_key(|programs| std::cmp::Reverse(programs.major));
    found.extend(more);
    found
}

fn entries(parent: &Path, start: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
        .collect()
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(MORE_FOLDERS.iter().map(PathBuf::from)).collect()
}

/// The first line of what `program --version` prints.
pub(crate) fn version_line(program: &Path) -> Result<String> {
    let output =
        Command::new(program).arg("--version").output().with_context(|| format!("running {}", program.display()))?;
    if !output.status.success() {
        bail!("{} --version failed: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// The number that `text` begins with.
pub(crate) fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn missing(program: &str) -> anyhow::Error {
    anyhow!(
        "{program} is not installed: `deploy/bootstrap install` installs it \
         (as would apt-get install nats-server postgresql, or brew install nats-server postgresql@17)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u32) -> PostgresPrograms {
        PostgresPrograms { major, bin: PathBuf::from(format!("/{major}")) }
    }

    #[test]
    fn data_are_opened_by_the_version_that_wrote_them() {
        assert_eq!(choose(vec![version(17), version(15)], None).unwrap(), version(17));
        assert_eq!(choose(vec![version(17), version(15)], Some(15)).unwrap(), version(15));
        let error = choose(vec![version(17)], Some(15)).unwrap_err().to_string();
        assert_eq!(error, "the data are of PostgreSQL 15, which is not installed (PostgreSQL 17 is)");
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        let error = choose(vec![], None).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL (postgres, initdb) is not installed"), "{error}");
        assert!(error.contains("deploy/bootstrap install"), "{error}");
    }

    #[test]
    fn a_version_is_the_number_that_a_text_begins_with() {
        assert_eq!(leading_number("15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(leading_number("18beta1"), Some(18));
        assert_eq!(leading_number("devel"), None);
    }
}
