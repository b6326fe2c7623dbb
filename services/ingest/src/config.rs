//! The settings of ingest: the table `[ingest]`.

use serde::Deserialize;

/// `[ingest]`: what is accepted, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Longest diff, in bytes. A diff is held in memory a few times over while it is read.
    pub diff_bytes_max: u64,
    /// Most files in one diff.
    pub files_max: usize,
    /// The repositories in which ingest may compare commits: absolute paths and addresses (`/srv/git`,
    /// `https://github.com/acme/`, `ssh://git@host/`, `git@host:acme/`, `file:///srv/git`), each with all below it. None by
    /// default: senders give the diff itself. Private ones are read with the SSH key or `.netrc` of the user that runs ingest.
    pub git_repositories: Vec<String>,
    /// How long the comparison of two commits may take, fetching included, in milliseconds.
    pub git_timeout_ms: u64,
    /// How many comparisons of commits one process makes at a time.
    pub git_in_flight_max: usize,
    /// How many submissions one process handles at a time.
    pub in_flight_max: usize,
    /// How often a submission is tried while something it needs is away, before it goes to the dead letters.
    pub deliveries_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            diff_bytes_max: 32 * 1024 * 1024,
            files_max: 20_000,
            git_repositories: Vec::new(),
            git_timeout_ms: 60_000,
            git_in_flight_max: 4,
            in_flight_max: 64,
            deliveries_max: 5,
        }
    }
}
