//! A private nats-server and PostgreSQL as child processes, for `failsafe up` and the tests.
//!
//! Both listen on 127.0.0.1 only, on a free port that they keep from run to run where they can, and hold their data in a
//! folder that outlives them. They end with their owner, even when the owner is killed: see `guard.rs`.
//!
//! It must not know what is sent through the servers or stored in them: no streams, no tables, no domain words.

mod folder;
mod guard;
mod nats;
mod postgres;
mod programs;
#[cfg(test)]
mod tests;
mod user;
mod wait;

pub use nats::Nats;
pub use postgres::Postgres;

/// A new temporary folder that the servers can work in, gone when dropped.
///
/// Unlike a plain temporary folder it may be traversed by others: started by root, PostgreSQL runs as another user.
///
/// # Errors
/// When it cannot be made.
pub fn temporary_folder() -> std::io::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new().prefix("failsafe-").permissions(std::fs::Permissions::from_mode(0o711)).tempdir()
}
